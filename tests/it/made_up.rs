//! Texts with secrets that were made up: what the rules' examples and the labelled set are written as.
//!
//! Owns the expansion that `data/rules/README.md` describes, the same on every run. No template holds a key.

use std::ops::Range;

use base64::Engine as _;
use hallpass::detect::check;

/// A template with everything made up.
pub struct Made {
    pub text: String,
    /// Where the values marked `[[` and `]]` are, without the marks.
    pub values: Vec<Range<usize>>,
}

/// Expands a template. `seal` is the check that `<seal>` is made for.
pub fn expand(template: &str, seal: Option<&str>, random: &mut Random) -> Made {
    let mut made = Made { text: String::new(), values: Vec::new() };
    let mut start = None;
    let mut rest = template;
    while let Some(next) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("[[").filter(|_| start.is_none()) {
            start = Some(made.text.len());
            rest = after;
        } else if let Some(after) = rest.strip_prefix("]]").filter(|_| start.is_some()) {
            made.values.extend(start.take().map(|start| start..made.text.len()));
            rest = after;
        } else if let Some((text, after)) = fragment(rest, random, &made.text[start.unwrap_or(0)..], seal) {
            made.text.push_str(&text);
            rest = after;
        } else {
            made.text.push(next);
            rest = &rest[next.len_utf8()..];
        }
    }
    made
}

/// What the `<...>` at the start of `rest` becomes, and what follows it. `before` is the value up to here.
fn fragment<'a>(rest: &'a str, random: &mut Random, before: &str, seal: Option<&str>) -> Option<(String, &'a str)> {
    let (inside, after) = rest.strip_prefix('<')?.split_once('>')?;
    let made = match inside.split_once(':') {
        None if inside == "~" => String::new(),
        None if inside == "seal" => check::seal(seal?, before.as_bytes())?,
        None if inside == "uuid" => [8, 4, 4, 4, 12].map(|n| random.text(n, HEX_LOWER)).join("-"),
        None if inside == "jwt" => jwt(&format!(r#"{{"sub":"{}","iat":1700000000}}"#, random.text(12, ALNUM)), random),
        None => return None,
        Some(("seal", check)) => check::seal(check, before.as_bytes())?,
        Some(("jwt", payload)) => jwt(payload, random),
        Some(("base64of", text)) => base64::engine::general_purpose::STANDARD_NO_PAD.encode(text),
        Some(("base64secret", length)) => {
            base64::engine::general_purpose::STANDARD.encode(random.text(length.parse().ok()?, ALNUM))
        }
        Some(("pem", name)) => pem(name, random, "\n"),
        Some(("pem1", name)) => pem(name, random, "\\n"),
        Some(("pem64", name)) => base64::engine::general_purpose::STANDARD.encode(pem(name, random, "\n")),
        Some(("pemin", rest)) => {
            let (indent, name) = rest.split_once(':')?;
            pem(name, random, &format!("\n{}", " ".repeat(indent.parse().ok()?)))
        }
        Some((class, length)) => random.text(length.parse().ok()?, alphabet(class)?),
    };
    Some((made, after))
}

const HEX_LOWER: &str = "0123456789abcdef";
const ALNUM: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const WORD: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";

fn alphabet(class: &str) -> Option<&'static str> {
    Some(match class {
        "lower" => "abcdefghijklmnopqrstuvwxyz",
        "upper" => "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        "letters" => "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
        "digits" => "0123456789",
        "hex" => HEX_LOWER,
        "HEX" => "0123456789ABCDEF",
        "alnum" => ALNUM,
        "loweralnum" => "abcdefghijklmnopqrstuvwxyz0123456789",
        "x" => "x",
        "X" => "X",
        "upperalnum" => "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
        "word" => WORD,
        "base32" => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
        "base64" => "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
        _ => return None,
    })
}

fn jwt(payload: &str, random: &mut Random) -> String {
    let encode = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
    format!("{}.{}.{}", encode(r#"{"alg":"HS256","typ":"JWT"}"#), encode(payload), random.text(43, WORD))
}

/// A block that decodes to something of the right shape and is no key.
fn pem(name: &str, random: &mut Random, line_end: &str) -> String {
    let start: &[u8] = match name {
        name if name.starts_with("OPENSSH") => b"openssh-key-v1\0",
        name if name.starts_with("PGP") => &[0x95],
        _ => &[0x30, 0x82, 0x04, 0xa4],
    };
    let der: Vec<u8> = start.iter().copied().chain((0..300).map(|_| random.next() as u8)).collect();
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    let mut lines = vec![format!("{}BEGIN {name}-----", "-".repeat(5))];
    lines.extend(body.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned()));
    lines.push(format!("-----END {name}-----"));
    lines.join(line_end)
}

/// xorshift64*: the same on every run.
pub struct Random(u64);

impl Random {
    /// Different for each text and round.
    pub fn of(text: &str, round: u64) -> Self {
        Self(text.bytes().fold(round + 1, |sum, byte| sum.wrapping_mul(0x0100_0000_01b3) ^ u64::from(byte)).max(1))
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32
    }

    fn text(&mut self, length: usize, alphabet: &str) -> String {
        (0..length).map(|_| char::from(alphabet.as_bytes()[self.next() as usize % alphabet.len()])).collect()
    }
}
