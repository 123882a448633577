//! No bytes make a parser fail, and spans are always in bounds and in order.

use proptest::prelude::*;

use super::super::{Document, parse, text};
use super::meanings;
use crate::detect::kind::FileKind::{self, Dotenv, Hcl, Ini, Json, Netrc, Shell, Text, Toml, Yaml};

const KINDS: [FileKind; 9] = [Dotenv, Json, Toml, Yaml, Ini, Netrc, Shell, Hcl, Text];

fn sound(document: &Document, bytes: &[u8]) {
    let mut end = 0;
    for scalar in &document.scalars {
        assert!(scalar.span.start >= end && !scalar.span.is_empty(), "{:?} in {:?}", scalar, bytes);
        end = scalar.span.end;
        assert!(scalar.name.is_none_or(|name| (name as usize) < document.names.len()));
    }
    assert!(end <= bytes.len());
    for (index, name) in document.names.iter().enumerate() {
        assert!(name.span.start <= name.span.end && name.span.end <= bytes.len());
        assert!(name.parent.is_none_or(|parent| (parent as usize) < index));
    }
}

fn all(bytes: &[u8]) {
    for kind in KINDS {
        if let Some(document) = parse(kind, bytes) {
            sound(&document, bytes);
        }
    }
    let mut document = Document::default();
    text::assignments(bytes, 0..bytes.len(), true, &mut document);
    sound(&document, bytes);
}

/// Pieces that the grammars are made of, so that noise gets past the first byte.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let words: Vec<&'static [u8]> = vec![
        b"\"",
        b"'",
        b"`",
        b"\\",
        b"=",
        b": ",
        b":",
        b"{",
        b"}",
        b"[",
        b"]",
        b"[[",
        b"]]",
        b"\n",
        b"\r\n",
        b" ",
        b"  ",
        b"\t",
        b"#",
        b"//",
        b"/*",
        b"*/",
        b",",
        b"-",
        b"- ",
        b"--",
        b"|\n",
        b">-\n",
        b"&a ",
        b"*a",
        b"!t ",
        b"? ",
        b"---\n",
        b"key",
        b"name",
        b"value",
        b"export ",
        b"-H",
        b"--api-key",
        b"\"\"\"",
        b"'''",
        b"<<EOF\n",
        b"EOF\n",
        b"${",
        b"$env:A",
        b"1",
        b"true",
        b"null",
        b"\xc3\xa9",
        b"\xff",
        b"\xe2\x80\xa8",
        b"\xef\xbb\xbf",
        b"\0",
        b"machine ",
        b"password ",
        b"<a>",
        b"</a>",
        b"%",
        b"a=b",
        b"\\u00",
        b"\\ud800",
        b"\\x4",
        b"@",
        b";",
        b"&",
        b"(",
        b")",
        b"+",
        b".",
        b"0x",
        b"Infinity",
        b"\x85",
    ];
    proptest::sample::select(words).prop_map(<[u8]>::to_vec)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn no_bytes_make_it_fail(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        all(&bytes);
    }

    #[test]
    fn no_pieces_make_it_fail(pieces in proptest::collection::vec(piece(), 0..40)) {
        all(&pieces.concat());
    }

    #[test]
    fn json_means_what_serde_says(value in json()) {
        let text = serde_json::to_string_pretty(&value).unwrap();
        let document = parse(Json, text.as_bytes()).unwrap();
        let mut wanted = Vec::new();
        strings(&value, &mut wanted);
        prop_assert_eq!(meanings(&document, text.as_bytes()), wanted);
    }

    /// JSON is YAML.
    #[test]
    fn yaml_means_what_serde_says(value in json()) {
        let text = serde_json::to_string_pretty(&value).unwrap();
        let document = parse(Yaml, text.as_bytes()).unwrap();
        let mut wanted = Vec::new();
        strings(&value, &mut wanted);
        prop_assert_eq!(meanings(&document, text.as_bytes()), wanted);
    }

    #[test]
    fn toml_means_what_the_crate_says(table in proptest::collection::btree_map("[a-z]{1,5}", json_leaf(), 0..6)) {
        let table: ::toml::Table = table.into_iter().map(|(key, value)| (key, ::toml::Value::String(value))).collect();
        let text = ::toml::to_string(&table).unwrap();
        let document = parse(Toml, text.as_bytes()).unwrap();
        let wanted: Vec<_> = table.values().map(|value| value.as_str().unwrap().to_owned()).filter(|text| !text.is_empty()).collect();
        prop_assert_eq!(meanings(&document, text.as_bytes()), wanted, "{}", text);
    }
}

/// Texts that do not read as a flag or a pair, which lists take apart.
fn json_leaf() -> impl Strategy<Value = String> {
    "[^=:\\-\u{feff}\\p{Cc}\\p{Cn}\\p{Co}\u{2028}\u{2029}]{0,8}[\n\t\"\\\\é]{0,2}"
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = json_leaf().prop_map(serde_json::Value::String);
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(serde_json::Value::Array),
            proptest::collection::btree_map("[a-zé]{3,9}", inner, 0..5)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

fn strings(value: &serde_json::Value, into: &mut Vec<String>) {
    match value {
        serde_json::Value::String(text) if !text.is_empty() => into.push(text.clone()),
        serde_json::Value::Array(values) => values.iter().for_each(|value| strings(value, into)),
        serde_json::Value::Object(members) => members.values().for_each(|value| strings(value, into)),
        _ => {}
    }
}

/// Linear: each is read once or a few times, and in a debug build in seconds. A square would take hours.
#[test]
fn long_lines_and_deep_nesting() {
    const LONG: usize = 4 << 20;
    for kind in KINDS {
        for unit in [
            "a", "\"", "'", "[", "{", "a=", "\\", "- ", "--a ", "a=\"", "\\\"", "a: ", "#", "$(", "<a>", "&a ", "x='\"",
        ] {
            let bytes = unit.repeat((64 << 10) / unit.len());
            if let Some(document) = parse(kind, bytes.as_bytes()) {
                sound(&document, bytes.as_bytes());
            }
            if kind == Text {
                text::assignments(bytes.as_bytes(), 0..bytes.len(), false, &mut Document::default());
            }
        }
        let line = format!("key = \"{}\"\n", "x".repeat(LONG));
        if let Some(document) = parse(kind, line.as_bytes()) {
            sound(&document, line.as_bytes());
        }
        let nested = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        assert!(parse(kind, nested.as_bytes()).is_none_or(|document| document.scalars.is_empty()));
    }
}

#[test]
fn utf16_is_not_read() {
    let text: Vec<u8> = "\u{feff}A=b\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for kind in KINDS {
        assert_eq!(parse(kind, &text), None);
        assert_eq!(parse(kind, text.get(2..).unwrap()), None);
    }
}
