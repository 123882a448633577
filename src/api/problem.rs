//! Errors on the wire: RFC 9457 problem documents with a stable code and a hint.
//!
//! Owns the codes; a code, once released, keeps its meaning.

use serde::{Deserialize, Serialize};

/// An RFC 9457 problem document, sent as `application/problem+json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Problem {
    /// `urn:hallpass:error:` and the code (RFC 9457 section 3.1.1).
    #[serde(rename = "type")]
    pub kind: String,
    /// The code in words (section 3.1.3).
    pub title: String,
    /// The HTTP status (section 3.1.2).
    pub status: u16,
    /// What went wrong with this request (section 3.1.4).
    pub detail: String,
    /// The stable code (an extension member, section 3.2).
    pub code: Code,
    /// What to do next; the exact command where there is one (an extension member).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hint: Option<String>,
}

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $word:literal, $status:literal, $exit:literal;)+) => {
        /// The stable error codes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum Code {
            $($(#[doc = $doc])+ #[serde(rename = $word)] $name,)+
            /// A code that this version does not know.
            #[serde(other)]
            Other,
        }

        impl Code {
            /// Every code, for the documentation and the tests.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The code's word on the wire.
            pub fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)+ Self::Other => "other" }
            }

            /// The HTTP status it is sent with.
            pub fn status(self) -> u16 {
                match self { $(Self::$name => $status,)+ Self::Other => 500 }
            }

            /// The exit code of a command that ends with it: 1 user error, 2 usage, 3 daemon
            /// unavailable, 4 denied, 70 internal.
            pub fn exit_code(self) -> u8 {
                match self { $(Self::$name => $exit,)+ Self::Other => 70 }
            }
        }
    };
}

codes! {
    /// The request is malformed.
    BadRequest = "bad_request", 400, 1;
    /// A value in the request or on the command line is not acceptable.
    InvalidValue = "invalid_value", 422, 1;
    /// The command line does not make sense.
    Usage = "usage", 400, 2;
    /// No such thing.
    NotFound = "not_found", 404, 1;
    /// It exists already.
    Exists = "exists", 409, 1;
    /// It is still used by something else.
    InUse = "in_use", 409, 1;
    /// The path exists, the method does not fit it.
    MethodNotAllowed = "method_not_allowed", 405, 1;
    /// The request's head or body is too large.
    TooLarge = "too_large", 413, 1;
    /// The body is not JSON.
    UnsupportedMediaType = "unsupported_media_type", 415, 1;
    /// The caller was too slow.
    Timeout = "timeout", 408, 1;
    /// The peer is another user.
    ForeignPeer = "foreign_peer", 403, 4;
    /// The request comes from a web page or with a Host that is not ours.
    Browser = "browser_refused", 403, 4;
    /// No grant allows it.
    NoGrant = "no_grant", 403, 4;
    /// A grant says never, or the task was opened for less.
    Denied = "denied", 403, 4;
    /// The caller could not be named.
    UnknownCaller = "unknown_caller", 403, 4;
    /// Only a human at a terminal may do this.
    HumanOnly = "human_only", 403, 4;
    /// A human must approve, and has not.
    ApprovalDenied = "approval_denied", 403, 4;
    /// Nobody answered in time.
    ApprovalTimeout = "approval_timeout", 403, 4;
    /// No token came with the request, or it is none of ours.
    TokenMissing = "token_missing", 401, 4;
    /// The token is damaged or not known.
    TokenInvalid = "token_invalid", 401, 4;
    /// The token has expired.
    TokenExpired = "token_expired", 401, 4;
    /// The token was revoked, or its task has ended.
    TokenRevoked = "token_revoked", 401, 4;
    /// The token has no uses left.
    TokenUsedUp = "token_used_up", 401, 4;
    /// Too many requests for the token's rate.
    RateLimited = "rate_limited", 429, 4;
    /// The request is outside the token's scope or resource.
    OutsideScope = "outside_scope", 403, 4;
    /// The body is outside the grant's bounds, or cannot be judged.
    OutsideBounds = "outside_bounds", 403, 4;
    /// A request target that could be read in two ways.
    AmbiguousRequest = "ambiguous_request", 400, 4;
    /// The narrower token would be wider, longer or in another task than its parent.
    Widening = "widening", 403, 4;
    /// The task has ended.
    TaskEnded = "task_ended", 409, 4;
    /// The project is not trusted, or changed since it was.
    NotTrusted = "not_trusted", 403, 4;
    /// The store is locked.
    StoreLocked = "store_locked", 423, 1;
    /// The store cannot be reached.
    StoreUnavailable = "store_unavailable", 503, 1;
    /// The store did not answer in time.
    StoreTimeout = "store_timeout", 504, 1;
    /// The passphrase or identity does not open the store.
    WrongPassphrase = "wrong_passphrase", 403, 1;
    /// The state or the audit log cannot be written; nothing is handed out unrecorded.
    StateUnwritable = "state_unwritable", 507, 1;
    /// The configuration has an error.
    Config = "config", 422, 1;
    /// The upstream cannot be reached.
    UpstreamUnreachable = "upstream_unreachable", 502, 1;
    /// The issuer gave no token, or one that is not what was asked.
    UpstreamRefused = "upstream_refused", 502, 1;
    /// The upstream did not answer in time.
    UpstreamTimeout = "upstream_timeout", 504, 1;
    /// The upstream's address is not allowed.
    UpstreamForbidden = "upstream_forbidden", 502, 4;
    /// The gateway's TCP port is not bound.
    GatewayDown = "gateway_down", 503, 1;
    /// The daemon is at its limit.
    Busy = "busy", 503, 3;
    /// The daemon is stopping.
    Stopping = "stopping", 503, 3;
    /// The daemon is not running and could not be started.
    DaemonUnavailable = "daemon_unavailable", 503, 3;
    /// Another daemon has the socket.
    AlreadyRunning = "already_running", 409, 3;
    /// The daemon speaks another version of the API.
    Version = "version", 505, 3;
    /// A file or program on this machine could not be used.
    Io = "io", 500, 1;
    /// A fault in hallpass.
    Internal = "internal", 500, 70;
}

impl Problem {
    /// A problem document for this code.
    pub fn new(code: Code, detail: String, hint: Option<String>) -> Self {
        Self {
            kind: format!("urn:hallpass:error:{}", code.word()),
            title: code.word().replace('_', " "),
            status: code.status(),
            detail,
            code,
            hint,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_unique_and_read_back() {
        let mut words: Vec<_> = Code::ALL.iter().map(|code| code.word()).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Code::ALL.len());
        for code in Code::ALL {
            let wire = serde_json::to_string(code).unwrap();
            assert_eq!(wire, format!("{:?}", code.word()));
            assert_eq!(serde_json::from_str::<Code>(&wire).unwrap(), *code);
            assert!(matches!(code.exit_code(), 1..=4 | 70));
        }
        assert_eq!(serde_json::from_str::<Code>("\"from_the_future\"").unwrap(), Code::Other);
    }
}
