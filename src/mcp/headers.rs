//! The headers that repeat parts of a message, from revision 2026-07-28 on (Streamable HTTP, "Request Metadata").
//!
//! Owns `Mcp-Method`, `Mcp-Name` and `Mcp-Param-*`, and which tools have the last. Pure. rmcp has the same rules, and
//! only for messages of its own types, which lose what they do not know.

use std::collections::HashMap;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use super::message::Message;

/// The most tools whose parameters go into headers.
const MAX_TOOLS: usize = 4096;

/// What of each tool's arguments goes into headers: the way to the value, and the header.
#[derive(Debug, Default)]
pub struct ParamHeaders(HashMap<String, Vec<(Vec<String>, HeaderName)>>);

impl ParamHeaders {
    /// Learns from the answer to `tools/list`. A tool that breaks the rules of `x-mcp-header` has none.
    pub fn learn(&mut self, answer: &[u8]) {
        // Most servers have none; their lists are not read a second time.
        if memchr::memmem::find(answer, b"x-mcp-header").is_none() {
            return;
        }
        let Ok(answer) = serde_json::from_slice::<Value>(answer) else { return };
        let tools = answer.pointer("/result/tools").and_then(Value::as_array);
        for tool in tools.into_iter().flatten() {
            let Some(name) = tool.get("name").and_then(Value::as_str) else { continue };
            let mut found = Vec::new();
            let sound = collect(tool.pointer("/inputSchema/properties"), &mut Vec::new(), &mut found);
            self.0.remove(name);
            if sound && !found.is_empty() && self.0.len() < MAX_TOOLS {
                self.0.insert(name.to_owned(), found);
            }
        }
    }

    /// Adds the headers of a message of such a revision.
    pub fn add(&self, message: &Message, headers: &mut HeaderMap) {
        let mut put = |name: HeaderName, value: &str| {
            if let Ok(value) = HeaderValue::from_str(&encode(value)) {
                headers.insert(name, value);
            }
        };
        if let Some(method) = &message.method {
            put(HeaderName::from_static("mcp-method"), method);
        }
        let Some(name) = &message.name else { return };
        put(HeaderName::from_static("mcp-name"), name);
        let Some(params) = self.0.get(name).filter(|_| message.is("tools/call")) else { return };
        let Ok(whole) = serde_json::from_slice::<Value>(&message.bytes) else { return };
        for (path, header) in params {
            let value = path.iter().try_fold(whole.pointer("/params/arguments"), |at, key| Some(at?.get(key)));
            match value.flatten() {
                Some(Value::String(text)) => put(header.clone(), text),
                Some(Value::Bool(value)) => put(header.clone(), if *value { "true" } else { "false" }),
                Some(Value::Number(number)) => put(header.clone(), &number.to_string()),
                _ => {}
            }
        }
    }
}

/// Follows `properties` only, as the rules say; false where one of them is broken.
fn collect(at: Option<&Value>, path: &mut Vec<String>, found: &mut Vec<(Vec<String>, HeaderName)>) -> bool {
    if path.len() > 32 {
        return false;
    }
    for (name, schema) in at.and_then(Value::as_object).into_iter().flatten() {
        path.push(name.clone());
        if let Some(header) = schema.get("x-mcp-header") {
            let header = header
                .as_str()
                .filter(|text| !text.is_empty())
                .and_then(|text| format!("mcp-param-{text}").parse().ok());
            let simple = matches!(schema.get("type").and_then(Value::as_str), Some("string" | "integer" | "boolean"));
            let Some(header) = header.filter(|_| simple) else { return false };
            if found.iter().any(|(_, known)| *known == header) {
                return false;
            }
            found.push((path.clone(), header));
        }
        if !collect(schema.get("properties"), path, found) {
            return false;
        }
        path.pop();
    }
    true
}

/// A value as it may stand in a header ("Value Encoding").
fn encode(value: &str) -> String {
    let plain = value.bytes().all(|byte| (b' '..0x7f).contains(&byte))
        && value.trim_ascii() == value
        && !(value.starts_with("=?base64?") && value.ends_with("?="));
    if plain { value.to_owned() } else { format!("=?base64?{}?=", BASE64_STANDARD.encode(value)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(known: &ParamHeaders, text: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        known.add(&Message::read(bytes::Bytes::copy_from_slice(text.as_bytes())).unwrap(), &mut headers);
        headers
    }

    #[test]
    fn values_are_encoded_as_the_specification_s_examples() {
        for (value, header) in [
            ("us-west1", "us-west1"),
            ("Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="),
            (" padded ", "=?base64?IHBhZGRlZCA=?="),
            ("line1\nline2", "=?base64?bGluZTEKbGluZTI=?="),
            ("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
        ] {
            assert_eq!(encode(value), header);
        }
    }

    #[test]
    fn method_name_and_marked_arguments_are_repeated() {
        let mut known = ParamHeaders::default();
        known.learn(
            br#"{"result":{"tools":[
                {"name":"sql","inputSchema":{"properties":{"region":{"type":"string","x-mcp-header":"Region"},
                    "deep":{"properties":{"n":{"type":"integer","x-mcp-header":"N"}}},"gone":{"type":"string","x-mcp-header":"Gone"}}}},
                {"name":"odd","inputSchema":{"properties":{"a":{"type":"string","x-mcp-header":"A"},"b":{"type":"string","x-mcp-header":"a"}}}},
                {"name":"worse","inputSchema":{"properties":{"a":{"type":"number","x-mcp-header":"A"}}}}]}}"#,
        );
        let found = headers(
            &known,
            r#"{"id":1,"method":"tools/call","params":{"name":"sql","arguments":{"region":"us-west1","deep":{"n":4},"gone":null}}}"#,
        );
        let text = |name: &str| found.get(name).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!((text("mcp-method").as_deref(), text("mcp-name").as_deref()), (Some("tools/call"), Some("sql")));
        assert_eq!(
            (text("mcp-param-region").as_deref(), text("mcp-param-n").as_deref()),
            (Some("us-west1"), Some("4"))
        );
        assert_eq!(found.len(), 4);
        for odd in ["odd", "worse"] {
            let call =
                format!(r#"{{"id":1,"method":"tools/call","params":{{"name":"{odd}","arguments":{{"a":"x"}}}}}}"#);
            assert_eq!(headers(&known, &call).len(), 2);
        }
        let read = headers(&known, r#"{"id":1,"method":"resources/read","params":{"uri":"file:///a"}}"#);
        assert_eq!(read.get("mcp-name").unwrap(), "file:///a");
    }
}
