//! HCL as a command line's own configuration has it: settings, and blocks with one label.
//!
//! Owns reading such a file as members, `/BLOCK/LABEL/NAME`, and blocks that come at its end or go as a whole. What is in a
//! block without a label is nothing to it. What it is not sure to read as the tool does (a comment or a text over lines, a
//! block in one with a label) it does not read.

use std::ops::Range;

use serde_json::{Map, Value};

use super::{plan::Edit, tree::parts};

/// A block, and the lines that it has.
struct Block {
    kind: String,
    label: Option<String>,
    lines: Range<usize>,
    members: Map<String, Value>,
}

/// The file as a tree; settings outside of blocks are members of it.
pub fn read(text: &str) -> Option<Value> {
    let (mut root, blocks) = parse(text)?;
    for block in blocks {
        let members = Value::Object(block.members);
        match block.label {
            None => root.insert(block.kind, members).is_none().then_some(())?,
            Some(label) => {
                let of_kind = root.entry(block.kind).or_insert_with(|| Map::new().into()).as_object_mut()?;
                of_kind.insert(label, members).is_none().then_some(())?;
            }
        }
    }
    Some(root.into())
}

/// The text with the edits: a block that goes, or one of a kind that is not there yet.
pub fn apply(text: &str, edits: &[Edit]) -> Option<String> {
    let mut text = text.to_owned();
    for edit in edits {
        let parts = parts(&edit.at)?;
        text = match (&edit.to, parts.as_slice()) {
            (None, [kind, label]) => without(&text, kind, label)?,
            (Some(Value::Object(labels)), [kind]) => with(&text, kind, labels)?,
            _ => return None,
        };
    }
    Some(if text.trim().is_empty() { "\n".into() } else { text })
}

fn without(text: &str, kind: &str, label: &str) -> Option<String> {
    let (_, blocks) = parse(text)?;
    let block = blocks.into_iter().find(|block| block.kind == kind && block.label.as_deref() == Some(label))?;
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let mut end = block.lines.end;
    // The empty line that set it apart goes with it.
    if lines.get(end).is_some_and(|line| line.trim().is_empty()) {
        end += 1;
    }
    let (before, after) = (lines.get(..block.lines.start)?, lines.get(end..)?);
    Some([before.concat(), after.concat()].concat())
}

fn with(text: &str, kind: &str, labels: &Map<String, Value>) -> Option<String> {
    let mut text = if text.trim().is_empty() { String::new() } else { text.to_owned() };
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    for (label, members) in labels {
        if label.contains(['"', '\\', '$', '%']) {
            return None;
        }
        text.push_str(&format!("{kind} \"{label}\" {{\n"));
        for (name, value) in members.as_object()? {
            text.push_str(&format!("  {name} = {value}\n"));
        }
        text.push_str("}\n");
    }
    Some(text)
}

fn parse(text: &str) -> Option<(Map<String, Value>, Vec<Block>)> {
    let (mut root, mut blocks, mut open): (_, Vec<Block>, Option<Block>) = (Map::new(), Vec::new(), None);
    let mut depth = 0usize;
    for (at, raw) in text.lines().enumerate() {
        let line = raw.trim();
        if let Some(block) = open.as_mut().filter(|block| block.label.is_none()) {
            let (opened, closed) = braces(line)?;
            depth = (depth + opened).checked_sub(closed)?;
            if depth == 0 {
                block.lines.end = at + 1;
                blocks.extend(open.take());
            }
            continue;
        }
        if line.is_empty() || line.starts_with('#') || line.starts_with("//") {
            continue;
        }
        if line == "}" {
            let mut block = open.take()?;
            block.lines.end = at + 1;
            blocks.push(block);
        } else if let Some(head) = line.strip_suffix('{') {
            if open.is_some() || head.contains('=') {
                return None;
            }
            let (kind, label) = head.trim().split_once(char::is_whitespace).unwrap_or((head.trim(), ""));
            let label = label.trim();
            let label = if label.is_empty() { None } else { Some(string(label)?) };
            word(kind)?;
            depth = 1;
            open = Some(Block { kind: kind.to_owned(), label, lines: at..at, members: Map::new() });
        } else {
            let (name, value) = line.split_once('=')?;
            let name = name.trim();
            word(name)?;
            let members = open.as_mut().map_or(&mut root, |block| &mut block.members);
            if members.insert(name.to_owned(), literal(value.trim())?).is_some() {
                return None;
            }
        }
    }
    open.is_none().then_some((root, blocks))
}

/// How many braces a line opens and closes, outside of texts and comments.
fn braces(line: &str) -> Option<(usize, usize)> {
    let (mut opened, mut closed, mut quoted) = (0, 0, false);
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' if quoted => drop(chars.next()),
            '"' => quoted = !quoted,
            _ if quoted => {}
            '#' => break,
            '/' if chars.peek() == Some(&'/') => break,
            '/' if chars.peek() == Some(&'*') => return None,
            '{' => opened += 1,
            '}' => closed += 1,
            _ => {}
        }
    }
    (!quoted && !line.contains("<<")).then_some((opened, closed))
}

fn word(text: &str) -> Option<()> {
    (!text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c))).then_some(())
}

/// A text, a number, a truth or a list of them, each as JSON has it too.
fn literal(text: &str) -> Option<Value> {
    let value: Value = serde_json::from_str(text).ok()?;
    // A template stands for something else.
    let plain = |value: &Value| value.as_str().is_none_or(|text| !text.contains("%{"));
    plain(&value).then_some(value)
}

fn string(text: &str) -> Option<String> {
    literal(text)?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const RC: &str = "# mine\nplugin_cache_dir = \"$HOME/x\"\n\ncredentials \"a.example\" {\n  token = \"s\"\n}\n\ncredentials \"b.example\" {\n  token = \"t\" \n}\n";

    fn edit(at: &str, to: Option<Value>) -> Edit {
        Edit { at: at.into(), to }
    }

    #[test]
    fn blocks_are_members_below_their_label() {
        let tree = read(RC).unwrap();
        assert_eq!(tree["credentials"]["b.example"], json!({"token": "t"}));
        assert_eq!(tree["plugin_cache_dir"], "$HOME/x");
        assert_eq!(read("x \"y\" {\n  args = [\"a\"]\n}\n").unwrap()["x"]["y"]["args"], json!(["a"]));
        let mirror = "provider_installation {\n  mirror {\n    path = \"/x}\" # }\n    include = [\n      \"a/*\",\n    ]\n  }\n  direct {}\n}\n";
        assert_eq!(read(&format!("{mirror}{RC}")).unwrap()["credentials"], tree["credentials"]);
        for odd in [
            "a \"b\" {\nb {\n}\n}\n",
            "a {\n}}\n",
            "a = <<E\nE\n",
            "/* a */\n",
            "a {\n",
            "}\n",
            "a = b\n",
            "a \"x\" {}\n",
        ] {
            assert!(read(odd).is_none(), "{odd}");
        }
    }

    #[test]
    fn a_block_goes_and_another_comes_at_the_end() {
        let asks = json!({"hallpass": {"args": []}});
        let edits = [edit("/credentials/a.example", None), edit("/credentials_helper", Some(asks.clone()))];
        let new = apply(RC, &edits).unwrap();
        let block = "credentials_helper \"hallpass\" {\n  args = []\n}\n";
        let gone = "credentials \"a.example\" {\n  token = \"s\"\n}\n\n";
        assert_eq!(new, format!("{}{block}", RC.replace(gone, "")));
        assert_eq!(read(&new).unwrap()["credentials_helper"], asks);
        assert_eq!(apply("\n", &edits[1..]).unwrap(), block);
        assert!(apply(RC, &[edit("/credentials/c", None)]).is_none());
    }
}
