//! JSON-RPC messages as far as the transport has to know them (JSON-RPC 2.0; MCP 2026-07-28 and 2025-11-25).
//!
//! Owns what a message is, whose answer it is and what the bridge itself answers. What it carries goes on as it came:
//! members and methods that are not known here included. Pure.

use std::borrow::Cow;

use bytes::Bytes;
use serde::{
    Deserialize,
    de::{self, Deserializer, IgnoredAny},
};
use serde_json::{Value, json, value::RawValue};

use crate::error::Error;

/// The member of `_meta` that makes a request one of a revision without sessions (2026-07-28 and later).
const VERSION: &str = "io.modelcontextprotocol/protocolVersion";
/// A text that is no JSON.
pub const PARSE_ERROR: i64 = -32700;
/// JSON that is no message.
pub const INVALID_REQUEST: i64 = -32600;
/// What failed at the bridge. Outside of what JSON-RPC and MCP reserve, so that it cannot be taken for a server's.
pub const BRIDGE_FAILED: i64 = -31000;

/// A message from the client.
#[derive(Clone, Debug)]
pub struct Message {
    /// The message as it came, without the line's end.
    pub bytes: Bytes,
    /// The requests in it: one, none, or those of a batch.
    pub ids: Vec<Value>,
    /// Its method; none for an answer and for a batch.
    pub method: Option<String>,
    /// The revision that it says it is of; those before 2026-07-28 say nothing.
    pub version: Option<String>,
    /// What the method is about: a tool's or prompt's name, a resource's URI, a task's id.
    pub name: Option<String>,
    /// The request that `notifications/cancelled` is about.
    pub cancels: Option<Value>,
}

/// A message from the server.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The message, on one line.
    pub line: Bytes,
    /// The requests that it answers.
    pub ids: Vec<Value>,
    /// It is an error that names no request.
    pub is_nameless_error: bool,
}

#[derive(Deserialize)]
struct Shallow<'a> {
    #[serde(default, deserialize_with = "present")]
    id: Option<Value>,
    #[serde(borrow)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "is_there")]
    result: bool,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

/// What makes an error one of JSON-RPC, and not of something else that has one.
#[derive(Deserialize)]
struct Failure {
    #[serde(rename = "code")]
    _code: i64,
}

#[derive(Deserialize, Default)]
struct Params<'a> {
    #[serde(borrow, rename = "_meta")]
    meta: Option<&'a RawValue>,
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    uri: Option<&'a RawValue>,
    #[serde(borrow, rename = "taskId")]
    task_id: Option<&'a RawValue>,
    #[serde(rename = "requestId")]
    request_id: Option<Value>,
}

/// `null` is a value here too, and no id.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    match Value::deserialize(deserializer)? {
        id @ (Value::String(_) | Value::Number(_)) => Ok(Some(id)),
        Value::Null => Ok(None),
        _ => Err(de::Error::custom("an id is a string or a number")),
    }
}

/// `null` is a result too.
fn is_there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
}

impl Message {
    /// Reads a line of the client's.
    ///
    /// # Errors
    /// The code and the text of what the client is answered.
    pub fn read(bytes: Bytes) -> Result<Self, (i64, &'static str)> {
        const ODD: (i64, &str) = (INVALID_REQUEST, "this is no JSON-RPC 2.0 message");
        let odd = |e: serde_json::Error| match e.is_data() {
            true => ODD,
            false => (PARSE_ERROR, "this is no JSON on one line"),
        };
        let mut message =
            Self { bytes: Bytes::new(), ids: Vec::new(), method: None, version: None, name: None, cancels: None };
        if bytes.first() == Some(&b'[') {
            let batch: Vec<Shallow<'_>> = serde_json::from_slice(&bytes).map_err(odd)?;
            if batch.is_empty() || batch.iter().any(|one| !one.is_message()) {
                return Err(ODD);
            }
            message.ids = batch.into_iter().filter(|one| one.method.is_some()).filter_map(|one| one.id).collect();
        } else {
            let one: Shallow<'_> = serde_json::from_slice(&bytes).map_err(odd)?;
            if !one.is_message() {
                return Err(ODD);
            }
            message.method = one.method.map(Cow::into_owned);
            if message.method.is_some() {
                message.ids.extend(one.id);
            }
            // Parameters of another shape are the server's to refuse.
            let params: Params<'_> =
                one.params.and_then(|params| serde_json::from_str(params.get()).ok()).unwrap_or_default();
            let text = |raw: &RawValue| serde_json::from_str::<String>(raw.get()).ok();
            message.version = params
                .meta
                .and_then(|meta| serde_json::from_str::<Value>(meta.get()).ok())
                .and_then(|meta| meta.get(VERSION)?.as_str().map(ToOwned::to_owned));
            message.name = match message.method.as_deref() {
                Some("tools/call" | "prompts/get") => params.name,
                Some("resources/read" | "resources/subscribe" | "resources/unsubscribe") => params.uri,
                Some("tasks/get" | "tasks/update" | "tasks/cancel") => params.task_id,
                _ => None,
            }
            .and_then(text);
            if message.method.as_deref() == Some("notifications/cancelled") {
                message.cancels = params.request_id;
            }
        }
        message.bytes = bytes;
        Ok(message)
    }

    /// Whether it is a request with this method.
    pub fn is(&self, method: &str) -> bool {
        self.method.as_deref() == Some(method)
    }

    /// Whether something waits for an answer to it.
    pub fn is_request(&self) -> bool {
        !self.ids.is_empty()
    }
}

impl Shallow<'_> {
    fn is_message(&self) -> bool {
        match (&self.method, &self.id) {
            (Some(_), _) => true,
            (None, Some(_)) => self.result || self.is_error(),
            (None, None) => self.is_error(),
        }
    }

    fn is_error(&self) -> bool {
        self.error.is_some_and(|error| serde_json::from_str::<Failure>(error.get()).is_ok())
    }
}

impl Answer {
    /// Reads what a server sent: one message, or a batch; nothing where it is neither.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.trim_ascii();
        let mut is_nameless_error = false;
        let ids = if bytes.first() == Some(&b'[') {
            let batch: Vec<Shallow<'_>> = serde_json::from_slice(bytes).ok()?;
            if batch.is_empty() || batch.iter().any(|one| !one.is_message()) {
                return None;
            }
            batch.into_iter().filter(|one| one.method.is_none()).filter_map(|one| one.id).collect()
        } else {
            let one: Shallow<'_> = serde_json::from_slice(bytes).ok().filter(Shallow::is_message)?;
            is_nameless_error = one.method.is_none() && one.id.is_none();
            one.id.filter(|_| one.method.is_none()).into_iter().collect()
        };
        Some(Self { line: one_line(bytes), ids, is_nameless_error })
    }

    /// The same error under this id.
    pub fn named(&self, id: &Value) -> Option<Bytes> {
        let mut value: Value = serde_json::from_slice(&self.line).ok()?;
        value.as_object_mut()?.insert("id".into(), id.clone());
        serde_json::to_vec(&value).ok().map(Bytes::from)
    }
}

/// JSON on one line: line ends may stand between its parts only, where a space says the same.
fn one_line(json: &[u8]) -> Bytes {
    let mut line = json.to_vec();
    line.iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
    line.into()
}

/// What the bridge answers where the server could not.
pub fn failed(id: &Value, error: &Error) -> Bytes {
    let text = match &error.hint {
        Some(hint) => format!("{} ({hint})", error.detail),
        None => error.detail.clone(),
    };
    let data = json!({ "from": "hallpass", "code": error.code, "detail": error.detail, "hint": error.hint });
    refused(id, BRIDGE_FAILED, &format!("hallpass: {text}"), Some(data))
}

/// An error answer of JSON-RPC.
pub fn refused(id: &Value, code: i64, text: &str, data: Option<Value>) -> Bytes {
    let mut error = json!({ "code": code, "message": text });
    if let (Some(data), Some(error)) = (data, error.as_object_mut()) {
        error.insert("data".into(), data);
    }
    json!({ "jsonrpc": "2.0", "id": id, "error": error }).to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Message, (i64, &'static str)> {
        Message::read(Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn a_client_s_message_is_known_as_far_as_needed() {
        let call = r#"{"jsonrpc":"2.0","id":"a","method":"tools/call","future":1,"params":{"name":"t","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;
        let message = read(call).unwrap();
        assert_eq!((message.ids.as_slice(), message.name.as_deref()), (&[json!("a")][..], Some("t")));
        assert_eq!((message.version.as_deref(), message.bytes.as_ref()), (Some("2026-07-28"), call.as_bytes()));
        let cancel = read(r#"{"method":"notifications/cancelled","params":{"requestId":7}}"#).unwrap();
        assert!(cancel.cancels == Some(json!(7)) && !cancel.is_request());
        let answer = read(r#"{"id":1,"result":{}}"#).unwrap();
        assert!(answer.method.is_none() && !answer.is_request());
        let batch =
            read(r#"[{"id":1,"method":"a"},{"method":"b"},{"id":2,"result":null},{"id":3,"method":"c"}]"#).unwrap();
        assert_eq!(batch.ids, [json!(1), json!(3)]);
        // What stands in the parameters is the server's business.
        assert!(read(r#"{"id":1,"method":"tools/call","params":[1]}"#).unwrap().name.is_none());
        assert!(read(r#"{"id":1,"method":"tools/call","params":{"name":7,"_meta":7}}"#).unwrap().name.is_none());
    }

    #[test]
    fn what_is_no_message_is_said_so() {
        for (text, code) in [
            ("{", PARSE_ERROR),
            ("nonsense", PARSE_ERROR),
            ("{} {}", PARSE_ERROR),
            ("[]", INVALID_REQUEST),
            ("[1]", INVALID_REQUEST),
            ("{}", INVALID_REQUEST),
            (r#"{"id":1}"#, INVALID_REQUEST),
            (r#"{"id":{},"method":"x"}"#, INVALID_REQUEST),
            (r#"{"id":1,"id":2,"method":"x"}"#, INVALID_REQUEST),
            ("7", INVALID_REQUEST),
        ] {
            assert_eq!(read(text).unwrap_err().0, code, "{text}");
        }
    }

    #[test]
    fn a_server_s_message_goes_on_one_line_and_says_what_it_answers() {
        let answer = Answer::read(b"{\n \"id\": 1,\r\n \"result\": {\"x\": \"a\\nb\"}, \"future\": 1 }\n").unwrap();
        assert_eq!(answer.line.as_ref(), b"{  \"id\": 1,   \"result\": {\"x\": \"a\\nb\"}, \"future\": 1 }");
        assert_eq!(answer.ids, [json!(1)]);
        assert!(Answer::read(br#"{"id":1,"method":"sampling/createMessage"}"#).unwrap().ids.is_empty());
        let nameless = Answer::read(br#"{"jsonrpc":"2.0","error":{"code":-32022,"message":"m"}}"#).unwrap();
        assert!(nameless.is_nameless_error);
        let named: Value = serde_json::from_slice(&nameless.named(&json!(5)).unwrap()).unwrap();
        assert_eq!((&named["id"], &named["error"]["code"]), (&json!(5), &json!(-32022)));
        for odd in ["", "<html>", "{}", "[]", "7", "{\"error\":\"a wrong key\"}"] {
            assert!(Answer::read(odd.as_bytes()).is_none(), "{odd}");
        }
    }
}
