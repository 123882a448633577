//! The way back in a file that its tool wrote anew since.
//!
//! Owns what is kept of each place that was changed, and finding the places again: by reading the file, and only where
//! exactly that stands which was put there. Everything else is as the tool left it.

use serde_json::Value;

use super::{edit, plan::Edit, tree::Tree};
use crate::surface::Format;

/// What stood at each place before, in the order of the edits: what is kept with the key's own bytes.
pub fn before(tree: &Tree, edits: &[Edit]) -> Vec<Option<Value>> {
    edits.iter().map(|edit| tree.get(&edit.at).cloned()).collect()
}

/// The text with everything as it was at the places of the edits; `None` where something else stands at one of them, or
/// where the file cannot be read or edited. Half of a setting would be a file that does not work.
pub fn undone(format: Format, text: &str, edits: &[Edit], before: &[Option<Value>]) -> Option<String> {
    // In these a place is a line's number, or what moves when another one goes.
    if !matches!(format, Format::Json | Format::Jsonc | Format::Toml | Format::Yaml) || edits.len() != before.len() {
        return None;
    }
    let tree = Tree::read(format, text.as_bytes())?;
    if !edits.iter().all(|edit| tree.get(&edit.at) == edit.to.as_ref()) {
        return None;
    }
    let back = edits.iter().zip(before).rev().filter(|(edit, before)| edit.to != **before);
    let back: Vec<Edit> = back.map(|(edit, before)| Edit { at: edit.at.clone(), to: before.clone() }).collect();
    edit::apply(format, text, &back)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_tool_wrote_anew_gets_its_key_where_the_replacement_stands_and_nowhere_else() {
        let old = "{\"m\": {\"one\": {\"url\": \"u\", \"headers\": {\"A\": \"key\"}}}}";
        let edits = [
            Edit { at: "/m/one/url".into(), to: None },
            Edit { at: "/m/one/headers".into(), to: None },
            Edit { at: "/m/one/command".into(), to: Some(json!("hallpass")) },
        ];
        let was = before(&Tree::read(Format::Json, old.as_bytes()).unwrap(), &edits);
        let written = "{\n    \"m\": {\n        \"two\": {},\n        \"one\": {\n            \"command\": \"hallpass\",\n            \"timeout\": 5\n        }\n    }\n}";
        let back = undone(Format::Json, written, &edits, &was).unwrap();
        assert_eq!(
            serde_json::from_str::<Value>(&back).unwrap(),
            json!({"m": {"two": {}, "one": {"url": "u", "headers": {"A": "key"}, "timeout": 5}}})
        );
        for other in [
            written.replace("\"hallpass\"", "\"mine\""),
            written.replace("\"timeout\": 5", "\"url\": \"v\""),
            written.replace("\"one\"", "\"renamed\""),
            written.replace("\"two\": {},", "\"two\": {"),
        ] {
            assert_eq!(undone(Format::Json, &other, &edits, &was), None, "{other}");
        }
    }
}
