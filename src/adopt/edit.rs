//! Members of a text set and removed, with everything else as it was written.
//!
//! Owns keeping comments, order and strictness: the libraries that do it for JSON and TOML, and the proof for every
//! format that nothing else changed.

use jsonc_parser::{
    ParseOptions,
    cst::{CstInputValue, CstNode, CstObject, CstRootNode},
};
use serde_json::Value;
use toml_edit::{DocumentMut, InlineTable, Item, TableLike};

use super::{
    hcl, ini,
    plan::Edit,
    spans,
    tree::{Tree, parts},
    yaml,
};
use crate::surface::Format;

/// One edit of a text, at the place with these parts.
type Editor<'a> = dyn Fn(&str, &[String], &Edit) -> Option<String> + 'a;

/// The text with the edits; `None` where a place is not there, the format cannot be edited, or what came out does not
/// say the same but for the edits when it is read again.
pub fn apply(format: Format, text: &str, edits: &[Edit]) -> Option<String> {
    let each =
        |one: &Editor<'_>| edits.iter().try_fold(text.to_owned(), |text, edit| one(&text, &parts(&edit.at)?, edit));
    let new = match format {
        Format::Json | Format::Jsonc => json(text, edits),
        Format::Toml => toml(text, edits),
        Format::Yaml => each(&yaml::edit),
        Format::Ini => ini::apply(text, edits),
        Format::Dotenv | Format::Shell | Format::Lua | Format::Netrc => {
            each(&|text, parts, edit| spans::edit(format, text, parts, edit))
        }
        // One that goes moves those after it, so that there is nothing to compare by place.
        Format::Lines => return ini::apply_lines(text, edits),
        Format::Hcl => hcl::apply(text, edits),
        Format::Json5 => None,
    }?;
    let (before, after) = (Tree::read(format, text.as_bytes())?, Tree::read(format, new.as_bytes())?);
    after.is(&before, edits).then_some(new)
}

fn json(text: &str, edits: &[Edit]) -> Option<String> {
    let (mark, text) = text.strip_prefix('\u{feff}').map_or(("", text), |rest| ("\u{feff}", rest));
    let root = CstRootNode::parse(text, &ParseOptions::default()).ok()?;
    for edit in edits {
        let parts = parts(&edit.at)?;
        let (last, folders) = parts.split_last()?;
        let object = json_object(&root, folders)?;
        match (&edit.to, object.get(last)) {
            (Some(value), Some(member)) => member.set_value(input(value)),
            (Some(value), None) => drop(object.append(last, input(value))),
            (None, Some(member)) => CstNode::from(member).remove(),
            (None, None) => return None,
        }
    }
    Some(format!("{mark}{root}"))
}

/// The object at the end of the way: objects that are missing come, items of lists have to be there.
fn json_object(root: &CstRootNode, folders: &[String]) -> Option<CstObject> {
    let mut object: CstObject = root.object_value()?;
    let mut folders = folders.iter();
    while let Some(folder) = folders.next() {
        let Some(list) = object.array_value(folder) else {
            object = object.object_value_or_create(folder)?;
            continue;
        };
        let mut item = list.elements().into_iter().nth(folders.next()?.parse().ok()?)?;
        // Lists in lists.
        while let Some(list) = item.as_array() {
            item = list.elements().into_iter().nth(folders.next()?.parse().ok()?)?;
        }
        object = item.as_object()?;
    }
    Some(object)
}

fn input(value: &Value) -> CstInputValue {
    match value {
        Value::Null => CstInputValue::Null,
        Value::Bool(yes) => CstInputValue::Bool(*yes),
        Value::Number(number) => CstInputValue::Number(number.to_string()),
        Value::String(text) => CstInputValue::String(text.clone()),
        Value::Array(items) => CstInputValue::Array(items.iter().map(input).collect()),
        Value::Object(members) => {
            CstInputValue::Object(members.iter().map(|(name, value)| (name.clone(), input(value))).collect())
        }
    }
}

fn toml(text: &str, edits: &[Edit]) -> Option<String> {
    let mut document: DocumentMut = text.parse().ok()?;
    for edit in edits {
        let parts = parts(&edit.at)?;
        let (last, folders) = parts.split_last()?;
        let mut table: &mut dyn TableLike = document.as_table_mut();
        let section = folders.len() == 1;
        let mut folders = folders.iter();
        while let Some(folder) = folders.next() {
            if !table.contains_key(folder) && edit.to.is_some() {
                // A section of the file's own, where it is one.
                let inline = || Item::Value(InlineTable::new().into());
                table.insert(folder, if section { Item::Table(toml_edit::Table::new()) } else { inline() });
            }
            let item = table.get_mut(folder)?;
            table = if item.is_array_of_tables() {
                item.as_array_of_tables_mut()?.get_mut(folders.next()?.parse().ok()?)?
            } else {
                item.as_table_like_mut()?
            };
        }
        match &edit.to {
            None => drop(table.remove(last)?),
            Some(value) => {
                let mut new = toml_value(value)?;
                match table.get_mut(last) {
                    Some(Item::Value(old)) => {
                        *new.decor_mut() = old.decor().clone();
                        *old = new;
                    }
                    Some(_) => return None,
                    None => drop(table.insert(last, Item::Value(new))),
                }
            }
        }
    }
    Some(document.to_string())
}

fn toml_value(value: &Value) -> Option<toml_edit::Value> {
    Some(match value {
        Value::String(text) => text.as_str().into(),
        Value::Bool(yes) => (*yes).into(),
        Value::Array(items) => items.iter().map(toml_value).collect::<Option<toml_edit::Array>>()?.into(),
        Value::Object(members) => {
            let members = members.iter().map(|(name, value)| Some((name.clone(), toml_value(value)?)));
            members.collect::<Option<InlineTable>>()?.into()
        }
        Value::Null | Value::Number(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn edit(at: &str, to: Option<Value>) -> Edit {
        Edit { at: at.into(), to }
    }

    #[test]
    fn what_is_not_edited_stays_as_it_was_written() {
        let old = "{\n  // why\n  \"env\": {\n    \"A\": \"1\",\n    \"B\": \"2\"\n  },\n  \"z\": [1, 2,],\n}\n";
        let edits = [edit("/env/B", None), edit("/env/A", Some(json!("x"))), edit("/n/m", Some(json!(["p", "q"])))];
        let new = apply(Format::Jsonc, old, &edits).unwrap();
        assert!(new.contains("// why") && new.contains("\"z\": [1, 2,]") && new.contains("\"A\": \"x\""), "{new}");
        assert!(!new.contains("\"B\"") && new.contains("\"n\": {"), "{new}");
        let strict = apply(Format::Json, "{\"a\": {\"b\": \"1\", \"c\": 2}}", &[edit("/a/b", None)]).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&strict).unwrap(), json!({"a": {"c": 2}}));
    }

    #[test]
    fn toml_keeps_its_comments_and_its_inline_tables() {
        let old = "a = 1 # one\n[p.w]\nkey = \"s\" # two\nurl = \"u\" # three\n[m]\nh = { x = \"1\", y = \"2\" }\n";
        let edits = [
            edit("/p/w/key", None),
            edit("/p/w/url", Some(json!("v"))),
            edit("/p/w/auth", Some(json!({"command": "c", "args": ["d"]}))),
            edit("/m/h/x", None),
        ];
        let new = apply(Format::Toml, old, &edits).unwrap();
        assert!(new.contains("a = 1 # one") && new.contains("url = \"v\" # three"), "{new}");
        assert!(new.contains("auth = { args = [\"d\"], command = \"c\" }") && !new.contains("key ="), "{new}");
        assert!(apply(Format::Toml, old, &[edit("/p/w/none", None)]).is_none());
        let list = "# mine\n[[index]]\nname = \"a\"\n\n[[index]]\nurl = \"s\" # why\n";
        let edits = [edit("/index/1/url", Some(json!("t"))), edit("/provider", Some(json!("p")))];
        let new = apply(Format::Toml, list, &edits).unwrap();
        assert_eq!(new, format!("provider = \"p\"\n{}", list.replace("\"s\"", "\"t\"")));
    }
}
