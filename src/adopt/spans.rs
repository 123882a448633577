//! Files of assignments (dotenv, shell, Lua, netrc), read and edited by the spans that the detector knows.
//!
//! Owns what a pointer means there: `/NAME`; below its section where there is one; in Lua, where the same name stands
//! in many tables, `/LINE/NAME`. Only a value's bytes change, or a line of its own comes or goes.

use std::ops::Range;

use serde_json::{Map, Value};

use super::plan::Edit;
use crate::{
    detect::{
        kind::FileKind,
        parse::{self, Document, Quote},
    },
    surface::Format,
};

struct Place {
    parts: Vec<String>,
    span: Range<usize>,
    quote: Quote,
    text: String,
}

fn document(format: Format, bytes: &[u8]) -> Option<Document> {
    let kind = match format {
        Format::Dotenv => FileKind::Dotenv,
        Format::Shell => FileKind::Shell,
        Format::Netrc => FileKind::Netrc,
        _ => return None,
    };
    parse::parse(kind, bytes)
}

fn places(format: Format, text: &str) -> Option<Vec<Place>> {
    if format == Format::Lua {
        return Some(strings(text));
    }
    let bytes = text.as_bytes();
    let document = document(format, bytes)?;
    let mut places: Vec<Place> = Vec::new();
    for scalar in document.scalars.iter().filter(|scalar| !scalar.comment) {
        let (mut parts, mut next) = (Vec::new(), scalar.name);
        while let Some(name) = next.and_then(|index| document.names.get(index as usize)) {
            parts.push(text.get(name.span.clone())?.to_owned());
            next = name.parent;
        }
        parts.reverse();
        // The same name again is another place, which no entry means.
        let again = places.iter().filter(|place| place.parts == parts).count();
        if let Some(last) = parts.last_mut().filter(|_| again > 0) {
            last.push_str(&format!("#{}", again + 1));
        }
        let said = scalar.decoded.as_deref().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let said = said.or_else(|| text.get(scalar.span.clone()).map(ToOwned::to_owned))?;
        places.push(Place { parts, span: scalar.span.clone(), quote: scalar.quote, text: said });
    }
    Some(places)
}

/// Lua's strings that a name is set to, each on one line: all that is ever changed there. The detector looks into a
/// string for more than that.
fn strings(text: &str) -> Vec<Place> {
    let mut places: Vec<Place> = Vec::new();
    let mut start = 0;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let mut from = 0;
        while let Some((name, open)) = line.get(from..).and_then(opened) {
            let (name, open) = (name.start + from..name.end + from, open + from);
            let Some(quote) = line.get(open..).and_then(|rest| rest.chars().next()) else { break };
            let Some((length, said)) = line.get(open + 1..).and_then(|rest| closed(rest, quote)) else { break };
            let begin = start + open + 1;
            let kind = if quote == '"' { Quote::Double } else { Quote::Single };
            let name = line.get(name).unwrap_or_default().to_owned();
            let mut parts = vec![(number + 1).to_string(), name];
            // The same name again is another place, which no entry means.
            let again = places.iter().filter(|place| place.parts == parts).count();
            if let Some(last) = parts.last_mut().filter(|_| again > 0) {
                last.push_str(&format!("#{}", again + 1));
            }
            places.push(Place { parts, span: begin..begin + length, quote: kind, text: said });
            from = open + length + 2;
        }
        start += line.len();
    }
    places
}

/// The next `name = "`, before a comment: the name, and where the quote stands.
fn opened(line: &str) -> Option<(Range<usize>, usize)> {
    let code = line.find("--").and_then(|at| line.get(..at)).unwrap_or(line);
    let (mut from, is_name) = (0, |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.');
    loop {
        let equals = from + code.get(from..)?.find('=')?;
        let (before, after) = (code.get(..equals)?.trim_end(), code.get(equals + 1..)?);
        let open = equals + 1 + (after.len() - after.trim_start().len());
        let name = before.trim_end_matches(is_name).len()..before.len();
        if !name.is_empty() && after.trim_start().starts_with(['"', '\'']) {
            return Some((name, open));
        }
        from = equals + 1;
    }
}

/// The length of a string up to its closing quote, and what it says.
fn closed(rest: &str, quote: char) -> Option<(usize, String)> {
    let (mut said, mut escaped) = (String::new(), false);
    for (at, c) in rest.char_indices() {
        match c {
            _ if escaped => {
                escaped = false;
                said.push(c);
            }
            '\\' => escaped = true,
            _ if c == quote => return Some((at, said)),
            _ => said.push(c),
        }
    }
    None
}

/// The file as a tree of values.
pub fn read(format: Format, text: &str) -> Option<Value> {
    let mut root = Map::new();
    for place in places(format, text)? {
        let Some((last, folders)) = place.parts.split_last() else { continue };
        let mut map = &mut root;
        for folder in folders {
            map = map.entry(folder.clone()).or_insert_with(|| Value::Object(Map::new())).as_object_mut()?;
        }
        map.insert(last.clone(), Value::String(place.text));
    }
    Some(Value::Object(root))
}

/// One change; `None` where it cannot be made.
pub fn edit(format: Format, text: &str, parts: &[String], edit: &Edit) -> Option<String> {
    let places = places(format, text)?;
    let known = places.iter().find(|place| place.parts == parts);
    let with =
        |span: Range<usize>, new: &str| Some(format!("{}{new}{}", text.get(..span.start)?, text.get(span.end..)?));
    match (known, &edit.to) {
        (Some(place), Some(Value::String(new))) => with(place.span.clone(), &written(format, new, place.quote)?),
        (Some(place), None) if matches!(format, Format::Dotenv | Format::Shell) => {
            let start = text.get(..place.span.start)?.rfind('\n').map_or(0, |end| end + 1);
            let end = text.get(place.span.end..)?.find('\n').map_or(text.len(), |end| place.span.end + end + 1);
            let before = text.get(start..place.span.start)?.trim_start().trim_end_matches(['"', '\'']);
            let name = before.strip_prefix("export ").unwrap_or(before).strip_suffix('=')?;
            let after = text.get(place.span.end..end)?.trim_matches(['"', '\'']).trim();
            let alone = parts == [name.to_owned()] && (after.is_empty() || after.starts_with('#'));
            if alone { with(start..end, "") } else { None }
        }
        (None, Some(Value::String(new))) if matches!(format, Format::Dotenv | Format::Shell) => {
            let [name] = parts else { return None };
            let after = places.last().map_or(text.len(), |place| place.span.end);
            let end = text.get(after..)?.find('\n').map_or(text.len(), |end| after + end + 1);
            let cut = if text.get(..end)?.ends_with('\n') || end == 0 { "" } else { "\n" };
            let export = if format == Format::Shell { "export " } else { "" };
            let quote =
                if new.contains(|c: char| c.is_whitespace() || "'\"\\$`#&;|<>()*?!~".contains(c)) { "'" } else { "" };
            let style = if quote.is_empty() { Quote::None } else { Quote::Single };
            let written = written(format, new, style)?;
            with(end..end, &format!("{cut}{export}{name}={quote}{written}{quote}\n"))
        }
        _ => None,
    }
}

/// The text between quotes of this kind, or bare.
fn written(format: Format, text: &str, quote: Quote) -> Option<String> {
    let plain = !text.contains(|c: char| c.is_whitespace() || c.is_control() || "'\"\\$`#&;|<>()*?!~".contains(c));
    match (format, quote) {
        _ if text.contains(char::is_control) => None,
        (Format::Lua, Quote::Single | Quote::Double) => {
            Some(text.replace('\\', "\\\\").replace('"', "\\\"").replace('\'', "\\'"))
        }
        (Format::Shell, Quote::Single) => Some(text.replace('\'', "'\\''")),
        (_, Quote::Single) if !text.contains('\'') => Some(text.to_owned()),
        _ if plain => Some(text.to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn change(format: Format, text: &str, at: &[&str], to: Option<&str>) -> Option<String> {
        let parts: Vec<String> = at.iter().map(|part| (*part).to_owned()).collect();
        edit(format, text, &parts, &Edit { at: String::new(), to: to.map(|text| json!(text)) })
    }

    #[test]
    fn assignments_change_come_and_go() {
        let old = "# mine\nA=\"one\" # why\nexport B=two\nA=again";
        assert_eq!(read(Format::Dotenv, old).unwrap(), json!({"A": "one", "B": "two", "A#2": "again"}));
        let to = |at: &[&str], to| change(Format::Dotenv, old, at, to);
        assert_eq!(to(&["A"], Some("hallpass:x")).unwrap(), old.replace("one", "hallpass:x"));
        assert_eq!(to(&["B"], None).unwrap(), old.replace("export B=two\n", ""));
        assert_eq!(to(&["C"], Some("http://h")).unwrap(), format!("{old}\nC=http://h\n"));
        let shell = "alias a=b; export K=s\nexport L='s'\n";
        assert_eq!(change(Format::Shell, shell, &["K"], None), None);
        let new = change(Format::Shell, shell, &["N"], Some("/o p/h mint a:b")).unwrap();
        assert_eq!(new, format!("{shell}export N='/o p/h mint a:b'\n"));
    }

    #[test]
    fn lua_strings_change_in_their_quotes_only() {
        let old = "return { env = { api_key = \"s\" } } -- mine\n-- api_key = \"t\"\n";
        assert_eq!(read(Format::Lua, old).unwrap(), json!({"1": {"api_key": "s"}}));
        let new = change(Format::Lua, old, &["1", "api_key"], Some("cmd:'/o p/h' x")).unwrap();
        assert_eq!(new, old.replacen("\"s\"", "\"cmd:\\'/o p/h\\' x\"", 1));
        assert_eq!(change(Format::Lua, old, &["1", "other"], Some("x")), None);
        // What stands in a string is one string, a call with options too.
        let call = "a.b = { key='cmd:x --want y:z get', n = 1, t = \"u\" } -- o = \"p\"\n";
        assert_eq!(read(Format::Lua, call).unwrap(), json!({"1": {"key": "cmd:x --want y:z get", "t": "u"}}));
    }
}
