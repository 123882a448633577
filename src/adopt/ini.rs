//! Files of lines: INI in its dialects (git, AWS, pip, npm), variables, and one thing a line.
//!
//! Owns reading them as members and editing single lines; every other byte stays as it was. What it is not sure to read
//! as the tool does (a line that goes on in the next one) it does not read at all.

use serde_json::{Map, Value};

use super::{plan::Edit, tree::parts};

/// What one line of an INI file says.
enum Line<'a> {
    /// `[name]`, or git's `[name "below"]`.
    Section(Vec<String>),
    Pair(&'a str, String),
    Other,
}

/// Sections as members, git's subsections below them; a key that is there several times is a list.
pub fn read(text: &str) -> Option<Value> {
    let mut root = Map::new();
    let mut section = Vec::new();
    for raw in text.lines() {
        match line(raw)? {
            Line::Section(name) => {
                section = name;
                // One without a line is a section all the same.
                members(&mut root, &section)?;
            }
            Line::Other => {}
            Line::Pair(key, value) => {
                let members = members(&mut root, &section)?;
                match members.get_mut(key) {
                    None => drop(members.insert(key.to_owned(), value.into())),
                    Some(Value::Array(items)) => items.push(value.into()),
                    Some(Value::String(first)) => {
                        let both = vec![Value::from(std::mem::take(first)), value.into()];
                        members.insert(key.to_owned(), both.into());
                    }
                    Some(_) => return None,
                }
            }
        }
    }
    Some(root.into())
}

/// The members of a section, which is made where it is not there.
fn members<'a>(root: &'a mut Map<String, Value>, section: &[String]) -> Option<&'a mut Map<String, Value>> {
    section.iter().try_fold(root, |members, part| {
        members.entry(part.as_str()).or_insert_with(|| Map::new().into()).as_object_mut()
    })
}

/// The text with the edits. A list is the key several times.
pub fn apply(text: &str, edits: &[Edit]) -> Option<String> {
    let end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let mut lines: Vec<String> = text.split_inclusive('\n').map(ToOwned::to_owned).collect();
    if lines.iter().all(|line| line.trim().is_empty()) {
        lines.clear();
    }
    for edit in edits {
        let parts = parts(&edit.at)?;
        let (key, section) = parts.split_last()?;
        let found = find(&lines, section, key)?;
        let Some(to) = &edit.to else {
            found.iter().rev().try_for_each(|at| (*at < lines.len()).then(|| drop(lines.remove(*at))))?;
            if found.is_empty() {
                return None;
            }
            continue;
        };
        let values: Vec<&str> = match to {
            Value::String(text) => vec![text],
            Value::Array(items) => items.iter().map(Value::as_str).collect::<Option<_>>()?,
            _ => return None,
        };
        // Quotes and comments are written in as many ways as there are dialects.
        let plain = |value: &&str| value.trim() == *value && !value.contains(['\n', '\r', '"', '#', ';', '\\']);
        if !values.iter().all(plain) {
            return None;
        }
        match (found.as_slice(), values.as_slice()) {
            ([at], [value]) => {
                let old = lines.get_mut(*at)?;
                let after = old.find('=')? + 1;
                let blank = old.get(after..)?.len() - old.get(after..)?.trim_start_matches([' ', '\t']).len();
                let kept = old.get(..after + blank)?;
                *old = format!("{kept}{value}{}", if old.ends_with('\n') { end } else { "" });
            }
            ([], values) => insert(&mut lines, section, key, values, end)?,
            _ => return None,
        }
    }
    let text = lines.concat();
    Some(if text.is_empty() { end.to_owned() } else { text })
}

/// Where the key stands in the section.
fn find(lines: &[String], section: &[String], key: &str) -> Option<Vec<usize>> {
    let mut found = Vec::new();
    let mut current = Vec::new();
    for (at, raw) in lines.iter().enumerate() {
        match line(raw)? {
            Line::Section(name) => current = name,
            Line::Pair(name, _) if name == key && current == section => found.push(at),
            _ => {}
        }
    }
    Some(found)
}

/// Writes new lines at the end of the section, in the way of those that are there; a section that is not there is begun
/// at the end.
fn insert(lines: &mut Vec<String>, section: &[String], key: &str, values: &[&str], end: &str) -> Option<()> {
    if let Some(last) = lines.last_mut().filter(|last| !last.ends_with('\n')) {
        last.push_str(end);
    }
    let (mut current, mut last, mut first) = (Vec::new(), None, None);
    let (mut indent, mut equals) = (String::new(), if section.is_empty() { "=" } else { " = " });
    for (at, raw) in lines.iter().enumerate() {
        match line(raw)? {
            Line::Section(name) => {
                first = first.or(Some(at));
                current = name;
                if current == section {
                    last = Some(at);
                }
            }
            Line::Pair(..) => {
                indent = raw.chars().take_while(|c| [' ', '\t'].contains(c)).collect();
                equals = if raw.contains(" =") { " = " } else { "=" };
                if current == section {
                    last = Some(at);
                }
            }
            Line::Other => {}
        }
    }
    let at = match last {
        Some(last) => last + 1,
        None if section.is_empty() => first.unwrap_or(lines.len()),
        None => {
            lines.push(format!("{}{end}", header(section)?));
            lines.len()
        }
    };
    for (below, value) in values.iter().enumerate() {
        let text = format!("{indent}{key}{equals}{value}");
        lines.insert(at + below, format!("{}{end}", text.trim_end()));
    }
    Some(())
}

fn header(section: &[String]) -> Option<String> {
    match section {
        [name] => Some(format!("[{name}]")),
        [name, below] if !below.contains(['"', '\\', '\n']) => Some(format!("[{name} \"{below}\"]")),
        _ => None,
    }
}

/// `None` where the line goes on in the next one, which git and others read in ways of their own.
fn line(raw: &str) -> Option<Line<'_>> {
    let text = raw.trim();
    if text.ends_with('\\') {
        return None;
    }
    if text.is_empty() || text.starts_with(['#', ';']) {
        return Some(Line::Other);
    }
    if let Some(name) = text.strip_prefix('[') {
        let name = name.get(..name.rfind(']')?)?.trim();
        return Some(Line::Section(match name.split_once(" \"") {
            Some((name, below)) => vec![name.trim().to_owned(), below.strip_suffix('"')?.to_owned()],
            None => vec![name.to_owned()],
        }));
    }
    let Some((key, value)) = text.split_once('=') else { return Some(Line::Other) };
    let value = value.trim();
    let inside = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    Some(Line::Pair(key.trim(), inside.unwrap_or(value).to_owned()))
}

/// One item for each line.
pub fn read_lines(text: &str) -> Value {
    text.lines().collect::<Vec<_>>().into()
}

/// The text with whole lines gone or others in their place.
pub fn apply_lines(text: &str, edits: &[Edit]) -> Option<String> {
    let mut lines: Vec<String> = text.split_inclusive('\n').map(ToOwned::to_owned).collect();
    for edit in edits {
        let [at] = parts(&edit.at)?.try_into().ok()?;
        let line = lines.get_mut(at.parse::<usize>().ok()?)?;
        let end = if line.ends_with("\r\n") { "\r\n" } else { "\n" };
        *line = match &edit.to {
            None => String::new(),
            Some(value) => format!("{}{end}", value.as_str().filter(|text| !text.contains('\n'))?),
        };
    }
    let text = lines.concat();
    Some(if text.is_empty() { "\n".into() } else { text })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn edit(at: &str, to: Option<Value>) -> Edit {
        Edit { at: at.into(), to }
    }

    const GIT: &str = "# mine\n[user]\n\tname = Jo\n[credential]\n\thelper = store\n[remote \"origin\"]\n\turl = \"https://a/b\" \n\tfetch = x\n\tfetch = y\n";

    #[test]
    fn sections_and_what_is_below_them() {
        let tree = read(GIT).unwrap();
        assert_eq!(tree["remote"]["origin"], json!({"url": "https://a/b", "fetch": ["x", "y"]}));
        assert_eq!(read("a=b\n//h/:_authToken=t\n[profile work]\nk=v\n").unwrap()["profile work"]["k"], "v");
        assert!(
            read("[a]\nb = c \\\n d\n").is_none()
                && read("[a\n").is_none()
                && read("[a]\nb=1\n[a \"b\"]\nc=1\n").is_none()
        );
    }

    #[test]
    fn only_the_lines_that_are_meant_change() {
        let edits = [
            edit("/remote/origin/url", Some("https://a/c".into())),
            edit("/user/email", Some("j@o".into())),
            edit("/credential/https:~1~1a/helper", Some(json!(["", "/x/hallpass helper git"]))),
            edit("/credential/helper", None),
        ];
        let new = apply(GIT, &edits).unwrap();
        let expected = GIT
            .replace("\"https://a/b\" ", "https://a/c")
            .replace("\tname = Jo\n", "\tname = Jo\n\temail = j@o\n")
            .replace("\thelper = store\n", "");
        assert_eq!(
            new,
            format!("{expected}[credential \"https://a\"]\n\thelper =\n\thelper = /x/hallpass helper git\n")
        );
        assert_eq!(apply("a=1\r\n", &[edit("/b", Some("2".into()))]).unwrap(), "a=1\r\nb=2\r\n");
        assert_eq!(apply("\n", &[edit("/s/b", Some("2".into()))]).unwrap(), "[s]\nb = 2\n");
        assert_eq!(apply("a=1", &[edit("/a", None)]).unwrap(), "\n");
        for odd in ["a # b", "\"a\"", "a\nb", " a"] {
            assert!(apply("a=1\n", &[edit("/a", Some(odd.into()))]).is_none(), "{odd}");
        }
        assert!(apply("a=1\na=2\n", &[edit("/a", Some("3".into()))]).is_none());
        assert!(apply("a=1\n", &[edit("/b", None)]).is_none());
    }

    #[test]
    fn lines_by_their_number() {
        assert_eq!(read_lines("a\nb\n"), json!(["a", "b"]));
        assert_eq!(apply_lines("a\nb\nc", &[edit("/1", None)]).unwrap(), "a\nc");
        assert_eq!(apply_lines("a\n", &[edit("/0", None)]).unwrap(), "\n");
        assert!(apply_lines("a\n", &[edit("/3", None)]).is_none());
    }
}
