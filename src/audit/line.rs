//! One line of a stream: how it is written, hashed, and read back.
//!
//! Owns the format. `hash` is the last member; it is the SHA-256 of the line's bytes without that
//! member, in hex. The bytes decide, not the JSON they stand for, so there is one way to check a line.

use std::io::Write as _;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Decision, Record};
use crate::{api::problem::Code, principal::Kind};

/// The longest value that is kept, in bytes; what is over is cut and marked.
pub const MAX_VALUE: usize = 2048;
/// The longest line that is read, in bytes; one that was written is always shorter.
pub const MAX_LINE: usize = 256 * 1024;
/// `,"hash":"` + 64 digits + `"}`.
const HASH_MEMBER: usize = 9 + 64 + 2;

/// A stream's newest line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Its number, from 1.
    pub seq: u64,
    /// Its hash, in hex.
    pub hash: String,
}

/// A line as it is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Entry {
    /// Its number in its stream, from 1.
    pub seq: u64,
    /// When (RFC 3339, UTC, milliseconds).
    pub time: String,
    /// What happened.
    pub event: String,
    /// Who did it.
    pub principal: String,
    /// What kind of principal: the stream.
    pub kind: Kind,
    /// What the daemon saw of the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
    /// In which task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// With which lease.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<String>,
    /// From which issuer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// What was to be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// To what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// How it ended.
    pub decision: Decision,
    /// The error's code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// The gateway's route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// The request's method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The request's path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The upstream's status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// A sentence more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The hash of the line before.
    pub prev: String,
    /// Its own hash.
    pub hash: String,
}

/// A buffer that lines are made in, used again for each.
#[derive(Debug, Default)]
pub(super) struct Line {
    bytes: Vec<u8>,
    /// The last second that was written, and its text up to the fraction: lines come many to a second.
    second: Option<(i64, Vec<u8>)>,
}

impl Line {
    /// Makes the line that follows `head`, newline included, and returns its own head.
    pub(super) fn write(&mut self, record: &Record<'_>, wall_ms: i64, head: &Head) -> Head {
        let seq = head.seq.saturating_add(1);
        self.bytes.clear();
        // Writing into a Vec cannot fail.
        let _ = write!(self.bytes, "{{\"seq\":{seq},\"time\":\"");
        self.time(wall_ms);
        self.bytes.push(b'"');
        self.text("event", Some(record.event));
        self.text("principal", Some(record.principal));
        self.text("kind", Some(record.kind.word()));
        self.text("evidence", record.evidence);
        self.text("task", record.task);
        self.text("lease", record.lease);
        self.text("issuer", record.issuer);
        self.text("scope", record.scopes.as_deref());
        self.text("resource", record.resources.as_deref());
        self.text("decision", Some(record.decision.word()));
        self.text("code", record.code.map(Code::word));
        self.text("route", record.route);
        self.text("method", record.method);
        self.text("path", record.path.map(|path| path.split(['?', '#']).next().unwrap_or_default()));
        if let Some(status) = record.status {
            let _ = write!(self.bytes, ",\"status\":{status}");
        }
        self.text("detail", record.detail);
        self.text("prev", Some(&head.hash));
        self.bytes.push(b'}');
        let hash = hex(&Sha256::digest(&self.bytes));
        self.bytes.pop();
        self.text("hash", Some(&hash));
        self.bytes.extend_from_slice(b"}\n");
        Head { seq, hash }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn time(&mut self, wall_ms: i64) {
        let (second, fraction) = (wall_ms.div_euclid(1000), wall_ms.rem_euclid(1000));
        if self.second.as_ref().is_none_or(|(of, _)| *of != second) {
            let mut text = Vec::with_capacity(24);
            push_time(&mut text, second.saturating_mul(1000));
            text.truncate(text.len().saturating_sub("000Z".len()));
            self.second = Some((second, text));
        }
        if let Some((_, text)) = &self.second {
            self.bytes.extend_from_slice(text);
        }
        let _ = write!(self.bytes, "{fraction:03}Z");
    }

    fn text(&mut self, name: &str, value: Option<&str>) {
        let Some(value) = value else { return };
        self.bytes.extend_from_slice(b",\"");
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.extend_from_slice(b"\":\"");
        push_escaped(&mut self.bytes, value);
        self.bytes.push(b'"');
    }
}

/// What the first line's `prev` is: a hash of the stream's name, so that no stream can stand in for
/// another.
pub(super) fn genesis(kind: Kind) -> Head {
    Head { seq: 0, hash: hex(&Sha256::digest(format!("hallpass audit stream {}", kind.word()))) }
}

/// The entry in a line (no newline), or `None` where it is no line of ours.
pub fn parse(line: &[u8]) -> Option<Entry> {
    serde_json::from_slice(line).ok()
}

/// True when the line's own hash is right. It says nothing of its place in the chain.
pub fn is_intact(line: &[u8]) -> bool {
    let Some((body, member)) = line.len().checked_sub(HASH_MEMBER).and_then(|at| line.split_at_checked(at)) else {
        return false;
    };
    let mut whole = Sha256::new();
    whole.update(body);
    whole.update(b"}");
    member.strip_prefix(b",\"hash\":\"").and_then(|rest| rest.strip_suffix(b"\"}"))
        == Some(hex(&whole.finalize()).as_bytes())
}

/// `2026-11-23T22:20:20.123Z`; such texts sort as their times do.
pub(super) fn time_text(wall_ms: i64) -> String {
    let mut bytes = Vec::with_capacity(24);
    push_time(&mut bytes, wall_ms);
    String::from_utf8_lossy(&bytes).into_owned()
}

fn push_time(bytes: &mut Vec<u8>, wall_ms: i64) {
    let time = jiff::Timestamp::from_millisecond(wall_ms).unwrap_or_default();
    let _ = write!(bytes, "{time:.3}");
}

/// JSON string escapes; besides what JSON demands, everything that could move a cursor or reverse a
/// line, so that a stream may be shown on a terminal as it is.
fn push_escaped(bytes: &mut Vec<u8>, value: &str) {
    let plain = |b: u8| matches!(b, 0x20..=0x7e) & (b != b'"') & (b != b'\\');
    // No way out in the middle, so that many bytes are looked at in one step.
    if value.len() <= MAX_VALUE && value.bytes().fold(true, |all, b| all & plain(b)) {
        bytes.extend_from_slice(value.as_bytes());
        return;
    }
    for (at, c) in value.char_indices() {
        if at >= MAX_VALUE {
            bytes.extend_from_slice(b"...");
            return;
        }
        match c {
            '"' => bytes.extend_from_slice(b"\\\""),
            '\\' => bytes.extend_from_slice(b"\\\\"),
            c if c.is_control() || is_format(c) => {
                let _ = write!(bytes, "\\u{:04x}", u32::from(c));
            }
            c => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

/// Characters that reorder or break lines, all below U+10000.
fn is_format(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{61c}')
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| DIGITS.get(usize::from(value)).copied().unwrap_or(b'0');
    let text = bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect();
    String::from_utf8(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_reads_back_on_one_line(principal in ".{0,200}", detail in ".{0,200}", ms in 0i64..4_000_000_000_000) {
            let record = Record { detail: Some(&detail), ..Record::new("mint", &principal, Kind::Agent) };
            let mut line = Line::default();
            let head = line.write(&record, ms, &genesis(Kind::Agent));
            let body = line.bytes().strip_suffix(b"\n").unwrap();
            prop_assert!(!body.iter().any(|b| *b < 0x20 || *b == 0x7f));
            let entry = parse(body).unwrap();
            prop_assert_eq!(&entry.principal, &principal);
            prop_assert_eq!(entry.detail.as_deref(), Some(detail.as_str()));
            prop_assert_eq!(entry.time.len(), 24);
            prop_assert_eq!(Head { seq: entry.seq, hash: entry.hash }, head);
            prop_assert!(is_intact(body));
        }
    }

    #[test]
    fn a_query_is_cut_and_a_long_value_too() {
        let long = "x".repeat(MAX_VALUE * 2);
        let record = Record { path: Some("/v1/x?key=1"), detail: Some(&long), ..Record::new("e", "p", Kind::Human) };
        let mut line = Line::default();
        line.write(&record, 1_795_000_000_123, &genesis(Kind::Human));
        let entry = parse(line.bytes()).unwrap();
        assert_eq!(entry.path.as_deref(), Some("/v1/x"));
        assert_eq!(entry.detail.unwrap().len(), MAX_VALUE + 3);
        assert_eq!(entry.time, "2026-11-18T08:26:40.123Z".replace("08:26:40", &entry.time[11..19]));
    }
}
