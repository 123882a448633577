//! YAML, read and edited: only the bytes of a value change, or a line comes or goes.
//!
//! Owns the way from a pointer to bytes. What it cannot change without touching something else (an anchor, an alias, a
//! block scalar, a key that is there twice, several documents) it does not change.

use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value};

use super::plan::Edit;

/// Deeper than any config.
const MAX_DEPTH: usize = 128;

struct Node {
    span: Range<usize>,
    /// It has an anchor or a tag: others may refer to it.
    marked: bool,
    kind: Kind,
}

enum Kind {
    Map(Vec<(String, Range<usize>, Node)>),
    List(Vec<Node>),
    Text(String, ScalarStyle),
    Alias,
}

/// The file as a tree of values; `None` where it is no single document that can be read.
pub fn read(text: &str) -> Option<Value> {
    Some(value(&parse(text)?))
}

fn value(node: &Node) -> Value {
    match &node.kind {
        Kind::Map(entries) => {
            Value::Object(entries.iter().map(|(key, _, node)| (key.clone(), value(node))).collect::<Map<_, _>>())
        }
        Kind::List(items) => Value::Array(items.iter().map(value).collect()),
        Kind::Text(text, ScalarStyle::Plain) if matches!(text.as_str(), "" | "~" | "null") => Value::Null,
        Kind::Text(text, _) => Value::String(text.clone()),
        Kind::Alias => Value::Null,
    }
}

/// One change; `None` where it cannot be made.
pub fn edit(text: &str, parts: &[String], edit: &Edit) -> Option<String> {
    let root = parse(text)?;
    let mut node = &root;
    for (at, part) in parts.iter().enumerate() {
        let last = at + 1 == parts.len();
        match &node.kind {
            Kind::Map(entries) => match entries.iter().position(|(key, ..)| key == part) {
                Some(index) if last && edit.to.is_none() => return remove(text, node, entries, index),
                Some(index) => node = entries.get(index).map(|(_, _, node)| node)?,
                None => {
                    // What is missing on the way comes with it, as one value.
                    let rest = parts.get(at + 1..)?;
                    let nested = |inner: Value, part: &String| Value::Object(Map::from_iter([(part.clone(), inner)]));
                    let to = rest.iter().rev().fold(edit.to.clone()?, nested);
                    return insert(text, node, entries, part, &to);
                }
            },
            Kind::List(items) => node = items.get(part.parse::<usize>().ok()?)?,
            Kind::Text(..) | Kind::Alias => return None,
        }
    }
    replace(text, node, edit.to.as_ref()?)
}

fn replace(text: &str, node: &Node, to: &Value) -> Option<String> {
    let with =
        |span: Range<usize>, new: &str| Some(format!("{}{new}{}", text.get(..span.start)?, text.get(span.end..)?));
    if node.marked {
        return None;
    }
    match (&node.kind, to) {
        (Kind::Text(_, style), to) => match style {
            ScalarStyle::Literal | ScalarStyle::Folded => None,
            style => with(node.span.clone(), &scalar(to, *style)?),
        },
        (Kind::List(items), Value::Array(new)) => {
            let old: Vec<Value> = items.iter().map(value).collect();
            let more = new.strip_suffix(old.as_slice())?;
            let start = items.first().map_or(node.span.start + 1, |item| item.span.start);
            let words = more.iter().map(|word| serde_json::to_string(word).ok()).collect::<Option<Vec<_>>>()?;
            if text.get(node.span.start..)?.starts_with('[') {
                let comma = if items.is_empty() { "" } else { ", " };
                return with(start..start, &format!("{}{comma}", words.join(", ")));
            }
            // The first item stands behind `- `, in the column that all of them have.
            let (line, _) = line_of(text, start)?;
            let before = text.get(line..start)?;
            let column = before.trim_end().strip_suffix('-').filter(|indent| indent.trim().is_empty())?;
            let lines: String = words.iter().map(|word| format!("{column}- {word}\n")).collect();
            with(line..line, &lines)
        }
        _ => None,
    }
}

fn insert(text: &str, map: &Node, entries: &[(String, Range<usize>, Node)], key: &str, to: &Value) -> Option<String> {
    let with = |at: usize, new: &str| Some(format!("{}{new}{}", text.get(..at)?, text.get(at..)?));
    let key = scalar(&Value::String(key.to_owned()), ScalarStyle::Plain)?;
    let pair = format!("{key}: {}", scalar(to, ScalarStyle::Plain)?);
    if text.get(map.span.start..)?.starts_with('{') {
        let comma = if entries.is_empty() { "" } else { ", " };
        return with(map.span.start + 1, &format!("{pair}{comma}"));
    }
    let (_, first, _) = entries.first()?;
    let (line, _) = line_of(text, first.start)?;
    let indent: String = text.get(line..first.start)?.chars().map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
    let one_line = |(_, key, node): &&(String, Range<usize>, Node)| {
        let plain =
            matches!(node.kind, Kind::Text(_, style) if !matches!(style, ScalarStyle::Literal | ScalarStyle::Folded));
        plain && text.get(key.start..node.span.end).is_some_and(|pair| !pair.contains('\n'))
    };
    match entries.iter().rfind(one_line) {
        Some((_, _, node)) => {
            let (_, end) = line_of(text, node.span.end)?;
            let at = end - text.get(..end)?.len() + text.get(..end)?.trim_end_matches(['\n', '\r']).len();
            let ending = if text.contains("\r\n") { "\r\n" } else { "\n" };
            with(at, &format!("{ending}{indent}{pair}"))
        }
        None => with(first.start, &format!("{pair}\n{indent}")),
    }
}

fn remove(text: &str, map: &Node, entries: &[(String, Range<usize>, Node)], index: usize) -> Option<String> {
    let (_, key, node) = entries.get(index)?;
    let Kind::Text(_, style) = &node.kind else { return remove_below(text, map, entries, index) };
    if node.marked || matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) {
        return None;
    }
    let cut = |span: Range<usize>| Some(format!("{}{}", text.get(..span.start)?, text.get(span.end..)?));
    let next = entries.get(index + 1).map(|(_, key, _)| key.start);
    if text.get(map.span.start..)?.starts_with('{') {
        let before = index.checked_sub(1).and_then(|index| entries.get(index)).map(|(_, _, node)| node.span.end);
        return match (next, before) {
            (Some(next), _) => cut(key.start..next),
            (None, Some(before)) => cut(before..node.span.end),
            (None, None) => cut(key.start..node.span.end),
        };
    }
    if text.get(key.start..node.span.end)?.contains('\n') {
        return None;
    }
    let (line, _) = line_of(text, key.start)?;
    let (_, end) = line_of(text, node.span.end)?;
    let alone = text.get(line..key.start)?.trim().is_empty();
    match (entries.len(), next) {
        (1, _) => Some(format!("{}{{}}{}", text.get(..key.start)?, text.get(node.span.end..)?)),
        _ if alone => cut(line..end),
        // Behind `- `: the next key comes up, where nothing but blanks stands between.
        (_, Some(next)) if text.get(end..next)?.trim().is_empty() => cut(key.start..next),
        _ => None,
    }
}

/// Takes out a key with all that stands below it, each on lines of its own.
fn remove_below(text: &str, map: &Node, entries: &[(String, Range<usize>, Node)], index: usize) -> Option<String> {
    let (_, key, node) = entries.get(index)?;
    if text.get(map.span.start..)?.starts_with('{') || entries.len() == 1 || is_marked(node) {
        return None;
    }
    let (line, _) = line_of(text, key.start)?;
    let (_, end) = line_of(text, last(node))?;
    let alone = text.get(line..key.start)?.trim().is_empty();
    let before_next = entries.get(index + 1).is_none_or(|(_, key, _)| end <= key.start);
    (alone && before_next).then(|| Some(format!("{}{}", text.get(..line)?, text.get(end..)?)))?
}

/// Whether others may refer to it or to what is below it.
fn is_marked(node: &Node) -> bool {
    let below = match &node.kind {
        Kind::Map(entries) => entries.iter().any(|(_, _, node)| is_marked(node)),
        Kind::List(items) => items.iter().any(is_marked),
        Kind::Text(_, style) => matches!(style, ScalarStyle::Literal | ScalarStyle::Folded),
        Kind::Alias => true,
    };
    node.marked || below
}

/// Where its last text ends: a block ends where the next thing begins, behind comments that are not its own.
fn last(node: &Node) -> usize {
    match &node.kind {
        Kind::Map(entries) => entries.last().map_or(node.span.end, |(_, _, node)| last(node)),
        Kind::List(items) => items.last().map_or(node.span.end, last),
        Kind::Text(..) | Kind::Alias => node.span.end,
    }
}

/// The value as it is written: plain where it was and can be, else in quotes.
fn scalar(value: &Value, style: ScalarStyle) -> Option<String> {
    let Value::String(text) = value else { return serde_json::to_string(value).ok() };
    let plain = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
            && text.chars().all(|c| c.is_ascii_alphanumeric() || " ._/:@%+=-".contains(c))
            && !text.contains(": ")
            && !text.ends_with([':', ' '])
            && !matches!(
                text.to_ascii_lowercase().as_str(),
                "true" | "false" | "yes" | "no" | "on" | "off" | "null" | "y" | "n"
            )
    };
    match style {
        ScalarStyle::Plain if plain(text) => Some(text.clone()),
        ScalarStyle::SingleQuoted if !text.contains(char::is_control) => {
            Some(format!("'{}'", text.replace('\'', "''")))
        }
        _ => serde_json::to_string(text).ok(),
    }
}

/// Where the line with this byte begins, and where the next one does.
fn line_of(text: &str, at: usize) -> Option<(usize, usize)> {
    let start = text.get(..at)?.rfind('\n').map_or(0, |end| end + 1);
    let end = text.get(at..)?.find('\n').map_or(text.len(), |end| at + end + 1);
    Some((start, end))
}

/// A collection that is open.
struct Open {
    node: Node,
    key: Option<(String, Range<usize>)>,
}

fn parse(text: &str) -> Option<Node> {
    let bytes: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let byte = |index: usize| bytes.get(index).copied().unwrap_or(text.len());
    let (mut open, mut root, mut documents): (Vec<Open>, Option<Node>, usize) = (Vec::new(), None, 0);
    for event in Parser::new_from_str(text) {
        let (event, span) = event.ok()?;
        let span = byte(span.start.index())..byte(span.end.index());
        let done = match event {
            Event::DocumentStart(_) => {
                documents += 1;
                continue;
            }
            Event::MappingStart(anchor, ref tag) | Event::SequenceStart(anchor, ref tag) => {
                let marked = anchor != 0 || tag.is_some();
                let kind =
                    if matches!(event, Event::MappingStart(..)) { Kind::Map(vec![]) } else { Kind::List(vec![]) };
                open.push(Open { node: Node { span, marked, kind }, key: None });
                if open.len() > MAX_DEPTH {
                    return None;
                }
                continue;
            }
            Event::MappingEnd | Event::SequenceEnd => {
                let mut node = open.pop()?.node;
                node.span.end = span.end;
                node
            }
            Event::Alias(_) => Node { span, marked: true, kind: Kind::Alias },
            Event::Scalar(said, style, anchor, tag) => {
                let end = span.start + length(text.get(span.clone())?, style);
                let span = span.start..end;
                Node { span, marked: anchor != 0 || tag.is_some(), kind: Kind::Text(said.into_owned(), style) }
            }
            _ => continue,
        };
        match open.last_mut() {
            None => root = Some(done),
            Some(Open { node: Node { kind: Kind::List(items), .. }, .. }) => items.push(done),
            Some(Open { node: Node { kind: Kind::Map(entries), .. }, key }) => match key.take() {
                Some((name, _)) if entries.iter().any(|(known, ..)| *known == name) => return None,
                Some((name, at)) => entries.push((name, at, done)),
                None => {
                    let Kind::Text(name, _) = done.kind else { return None };
                    *key = Some((name, done.span));
                }
            },
            Some(_) => return None,
        }
    }
    root.filter(|_| documents == 1)
}

/// How long the value is: the parser's end may be that of the blanks and the comment behind it.
fn length(raw: &str, style: ScalarStyle) -> usize {
    let quote = match style {
        ScalarStyle::Literal | ScalarStyle::Folded => return raw.len(),
        ScalarStyle::Plain => return raw.trim_end().len(),
        ScalarStyle::SingleQuoted => b'\'',
        ScalarStyle::DoubleQuoted => b'"',
    };
    let mut bytes = raw.bytes().enumerate().skip_while(|(_, byte)| *byte != quote).skip(1).peekable();
    while let Some((at, byte)) = bytes.next() {
        let doubled = byte == quote && quote == b'\'' && bytes.peek().is_some_and(|(_, next)| *next == quote);
        if doubled || (byte == b'\\' && quote == b'"') {
            bytes.next();
        } else if byte == quote {
            return at + 1;
        }
    }
    raw.trim_end().len()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn change(text: &str, at: &str, to: Option<Value>) -> Option<String> {
        let parts: Vec<String> = at.split('/').skip(1).map(ToOwned::to_owned).collect();
        edit(text, &parts, &Edit { at: at.into(), to })
    }

    #[test]
    fn only_the_value_s_bytes_change_and_lines_come_and_go() {
        let old = "# mine\nm:\n  - name: é one   # why\n    key: \"s\"   # personal\n    args:\n      - a # first\n      - b\n  - { n: x, key: s }\nz: &a 1\n";
        for (at, to, from, into) in [
            ("/m/0/key", Some(json!("a: b")), "\"s\"   #", "\"a: b\"   #"),
            ("/m/0/key", None, "    key: \"s\"   # personal\n", ""),
            ("/m/0/name", None, "name: é one   # why\n    key", "key"),
            ("/m/0/base", Some(json!("http://h:1/v1")), "# personal\n", "# personal\n    base: http://h:1/v1\n"),
            ("/m/0/args", Some(json!(["x", "a", "b"])), "      - a", "      - \"x\"\n      - a"),
            ("/m/1/key", None, "x, key: s", "x"),
            ("/m/1/n", None, "n: x, key", "key"),
            ("/m/1/e/f", Some(json!("g")), "{ n", "{e: {\"f\":\"g\"},  n"),
        ] {
            assert!(old.contains(from), "{from}");
            assert_eq!(change(old, at, to).unwrap(), old.replacen(from, into, 1), "{at}");
        }
        let nested = "s:\n  one:\n    uri: u\n    headers:\n      A: b # why\n      # none\n    # next\n    on: true\n";
        assert_eq!(
            change(nested, "/s/one/headers", None).unwrap(),
            nested.replace("    headers:\n      A: b # why\n", "")
        );
        assert_eq!(change("a: 1\nh: {b: c}\n", "/h", None).unwrap(), "a: 1\n");
        assert_eq!(change("a: 1\nh:\n  b: &x c\n", "/h", None), None);
        for at in ["/z", "/m/7/key", "/m/0/name/x"] {
            assert_eq!(change(old, at, Some(json!("x"))), None, "{at}");
        }
    }

    #[test]
    fn what_is_no_single_tree_is_not_read() {
        for text in ["a: 1\na: 2\n", "a: 1\n---\nb: 2\n", "a: [1", "", "? [a]\n: b\n"] {
            assert!(read(text).is_none(), "{text}");
        }
        assert!(read("a: ~\nc: [1, *d]\n").is_none());
        assert_eq!(read("a: ~\nb: 'x'\n").unwrap(), json!({"a": null, "b": "x"}));
        assert_eq!(change("key: s\n", "/key", None).unwrap(), "{}\n");
    }
}
