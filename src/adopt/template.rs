//! Templates of the catalogue, filled.

use serde_json::Value;

use crate::surface::replace::escape;

/// What the names in a template stand for.
#[derive(Clone, Copy)]
pub struct Names<'a> {
    /// The program, absolute.
    pub hallpass: &'a str,
    /// What is asked for, `ISSUER:SCOPES`.
    pub want: &'a str,
    /// The issuer.
    pub issuer: &'a str,
    /// The route's address at the gateway.
    pub base_url: &'a str,
    /// What followed the API's own address where the route's comes to stand.
    pub rest: &'a str,
    /// The variable that the API's clients read their key from.
    pub variable: &'a str,
    /// The rendered file, or the name of the server in hallpass's config.
    pub entry: &'a str,
    /// What each `*` of the place stood for.
    pub stars: &'a [String],
}

impl Names<'_> {
    /// The value with every template in it filled.
    pub fn fill(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text)),
            Value::Array(items) => Value::Array(items.iter().map(|item| self.fill(item)).collect()),
            Value::Object(members) => {
                Value::Object(members.iter().map(|(name, value)| (name.clone(), self.fill(value))).collect())
            }
            other => other.clone(),
        }
    }

    /// One template. The program is one word to a shell, unless it is the whole text: then no shell reads it.
    pub fn text(&self, text: &str) -> String {
        let program = if text == "{hallpass}" { self.hallpass.to_owned() } else { word(self.hallpass) };
        let text = text.replace("{want}", self.want).replace("{issuer}", self.issuer);
        let text = text.replace("{base_url}", self.base_url).replace("{rest}", self.rest);
        let text = text.replace("{variable}", self.variable).replace("{entry}", self.entry);
        text.replace("{hallpass}", &program)
    }

    /// A pointer with `{1}` and the like.
    pub fn pointer(&self, text: &str) -> String {
        let numbered = self.stars.iter().enumerate();
        numbered.fold(text.to_owned(), |text, (at, star)| text.replace(&format!("{{{}}}", at + 1), &escape(star)))
    }
}

/// The text as one word of a POSIX shell.
pub fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_program_with_a_space_is_one_word_to_a_shell_and_itself_without_one() {
        let stars = ["x/y".to_owned()];
        let names = Names {
            hallpass: "/o p/hallpass",
            want: "a:b",
            issuer: "a",
            base_url: "u",
            rest: "/v1",
            variable: "V",
            entry: "/r/f",
            stars: &stars,
        };
        let filled =
            names.fill(&json!({"command": "{hallpass}", "args": ["mint", "{want}"], "s": "{hallpass} mint {want}"}));
        assert_eq!(
            filled,
            json!({"command": "/o p/hallpass", "args": ["mint", "a:b"], "s": "'/o p/hallpass' mint a:b"})
        );
        assert_eq!(names.text("{base_url}{rest} ${{ secrets.{variable} }}"), "u/v1 ${{ secrets.V }}");
        assert_eq!(names.text("{file:{entry}}"), "{file:/r/f}");
        assert_eq!(names.pointer("/p/{1}/q"), "/p/x~1y/q");
    }
}
