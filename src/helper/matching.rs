//! Which entry of the config a tool's question belongs to.
//!
//! Owns the comparison: by parts, never by text. Scheme, host and port must be the same, and a path is compared by
//! whole components. What could be read in two ways (userinfo, `..`, an encoded separator) belongs to no entry. Must
//! never repeat the text in an error: somebody may have written a password into a URL.

/// The longest text that is looked at, in bytes.
pub const MAX_LENGTH: usize = 8 * 1024;
/// What stands before a name that is no URL.
const KINDS: [&str; 4] = ["profile", "audience", "cluster", "resource"];

/// Why a text names no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Odd {
    /// Neither a URL nor one of the kinds of name.
    #[error(
        "this is neither a URL, like https://example.com/acme/*, nor profile:NAME, audience:NAME, cluster:URL or resource:URL"
    )]
    Shape,
    /// A user name or password before the host.
    #[error("a URL here has no user name and no password; use `username`")]
    Userinfo,
    /// No host, or a character that no host has.
    #[error("the URL's host cannot be read; write it like https://example.com or https://example.com:8443")]
    Host,
    /// `..`, an empty component, an encoding that hides something, a control character.
    #[error("the URL's path could be read in two ways: leave out `..`, `//` and needless %-encodings")]
    Path,
    /// A `*` in the middle.
    #[error("a * may only be the whole last part, like https://example.com/acme/*")]
    Star,
    /// A query or a fragment, in the config.
    #[error("a URL here has neither a query nor a fragment")]
    Query,
}

/// What a tool asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    kind: Option<&'static str>,
    what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    Url { scheme: String, host: String, port: Option<u16>, path: Vec<String> },
    Text(String),
}

impl Subject {
    /// Reads it as a tool names it; a query and a fragment say nothing of whose it is.
    pub fn parse(text: &str) -> Result<Self, Odd> {
        let end = text.find(['?', '#']).unwrap_or(text.len());
        read(text.get(..end).unwrap_or_default())
    }
}

/// What an entry of the config stands for. A URL without a path is a whole host; one with a path is that path and
/// nothing else; `*` as its last part is all that is below, and not the path itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    stem: Subject,
    reach: Reach,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    Whole,
    Below,
    Exactly,
}

impl Pattern {
    /// Reads it as it stands in the config.
    pub fn parse(text: &str) -> Result<Self, Odd> {
        if text.contains(['?', '#']) {
            return Err(Odd::Query);
        }
        let (stem, star) = match text.strip_suffix('*') {
            Some(stem) if stem.ends_with(['/', ':']) => (stem, true),
            Some(_) => return Err(Odd::Star),
            None => (text, false),
        };
        if stem.contains('*') {
            return Err(Odd::Star);
        }
        if let Some(kind) = stem.strip_suffix(':').and_then(known).filter(|_| star) {
            return Ok(Self {
                stem: Subject { kind: Some(kind), what: What::Text(String::new()) },
                reach: Reach::Whole,
            });
        }
        let stem = read(stem)?;
        let reach = match (&stem.what, star) {
            (What::Text(_), true) => return Err(Odd::Star),
            (What::Text(_), false) => Reach::Exactly,
            (What::Url { path, .. }, _) if path.is_empty() => Reach::Whole,
            (What::Url { .. }, true) => Reach::Below,
            (What::Url { .. }, false) => Reach::Exactly,
        };
        Ok(Self { stem, reach })
    }

    /// Whether the tool's question belongs here.
    pub fn covers(&self, subject: &Subject) -> bool {
        if self.stem.kind != subject.kind {
            return false;
        }
        match (&self.stem.what, &subject.what) {
            (What::Text(_), _) if self.reach == Reach::Whole => true,
            (What::Text(a), What::Text(b)) => a == b,
            (
                What::Url { scheme, host, port, path },
                What::Url { scheme: other_scheme, host: other_host, port: other_port, path: other_path },
            ) => {
                (scheme, host, port) == (other_scheme, other_host, other_port)
                    && match self.reach {
                        Reach::Whole => true,
                        Reach::Below => other_path.len() > path.len() && other_path.starts_with(path),
                        Reach::Exactly => path == other_path,
                    }
            }
            _ => false,
        }
    }

    /// Whether what is sent there can be read on the way: plain http to another machine.
    pub fn is_in_the_clear(&self) -> bool {
        match &self.stem.what {
            What::Url { scheme, host, .. } => {
                let own = host == "localhost"
                    || host == "[::1]"
                    || host.parse::<core::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback());
                scheme == "http" && !own
            }
            What::Text(_) => false,
        }
    }

    /// How much it says: of two that cover the same, the one that says more decides.
    fn weight(&self) -> (usize, bool) {
        let parts = match &self.stem.what {
            What::Url { path, .. } => path.len(),
            What::Text(text) => usize::from(!text.is_empty()),
        };
        (parts, self.reach == Reach::Exactly)
    }
}

/// The entry that decides: the longest path, then the tool by its name before `*`, then the first.
pub fn choose<'a, T>(
    entries: impl IntoIterator<Item = (&'a str, &'a Pattern, T)>,
    tool: &str,
    subject: &Subject,
) -> Option<T> {
    let mut best: Option<((usize, bool, bool), T)> = None;
    for (name, pattern, entry) in entries {
        if (name != tool && name != super::ANY) || !pattern.covers(subject) {
            continue;
        }
        let (parts, exact) = pattern.weight();
        let weight = (parts, exact, name == tool);
        if best.as_ref().is_none_or(|(other, _)| weight > *other) {
            best = Some((weight, entry));
        }
    }
    best.map(|(_, entry)| entry)
}

fn known(word: &str) -> Option<&'static str> {
    KINDS.into_iter().find(|kind| *kind == word)
}

fn read(text: &str) -> Result<Subject, Odd> {
    if text.len() > MAX_LENGTH {
        return Err(Odd::Shape);
    }
    // Google's audiences begin with `//`, which makes them URLs of their own.
    let named = text.split_once(':').filter(|(_, rest)| !rest.starts_with("//"));
    if let Some((kind, rest)) = named.and_then(|(word, rest)| Some((known(word)?, rest))) {
        if rest.contains("://") {
            return Ok(Subject { kind: Some(kind), what: url(rest)? });
        }
        if rest.is_empty() || rest.chars().any(char::is_control) {
            return Err(Odd::Shape);
        }
        return Ok(Subject { kind: Some(kind), what: What::Text(rest.to_owned()) });
    }
    Ok(Subject { kind: None, what: url(text)? })
}

fn url(text: &str) -> Result<What, Odd> {
    let (scheme, rest) = text.split_once("://").ok_or(Odd::Shape)?;
    let letters = scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+.-".contains(&b));
    if !letters || !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Err(Odd::Shape);
    }
    let scheme = scheme.to_ascii_lowercase();
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    if authority.contains('@') {
        return Err(Odd::Userinfo);
    }
    let (host, port) = authority_parts(authority)?;
    let own = match scheme.as_str() {
        "https" => Some(443),
        "http" => Some(80),
        _ => None,
    };
    let path = path.strip_suffix('/').unwrap_or(path);
    let path = if path.is_empty() { Vec::new() } else { path.split('/').map(component).collect::<Result<_, _>>()? };
    Ok(What::Url { scheme, host, port: port.or(own), path })
}

fn authority_parts(authority: &str) -> Result<(String, Option<u16>), Odd> {
    let (host, port) = match authority.rfind(']') {
        Some(end) => {
            let (host, after) = authority.split_at_checked(end + 1).ok_or(Odd::Host)?;
            (host, if after.is_empty() { None } else { Some(after.strip_prefix(':').ok_or(Odd::Host)?) })
        }
        None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    let port = match port {
        None => None,
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
            Some(digits.parse().ok().filter(|port| *port != 0).ok_or(Odd::Host)?)
        }
        Some(_) => return Err(Odd::Host),
    };
    let host = host.to_ascii_lowercase();
    let fits = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse::<core::net::Ipv6Addr>().is_ok(),
        None => {
            let name = host.strip_suffix('.').unwrap_or(&host);
            let labels = name.split('.').all(|label| !label.is_empty());
            labels && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        }
    };
    if !fits {
        return Err(Odd::Host);
    }
    Ok((host.strip_suffix('.').unwrap_or(&host).to_owned(), port))
}

/// One component of a path, its encodings in one spelling. An encoding of what needs none, or of what cuts paths, is
/// how one path passes for another.
fn component(raw: &str) -> Result<String, Odd> {
    if raw.is_empty() || raw == "." || raw == ".." || raw.chars().any(|c| c.is_control() || c == '\\') {
        return Err(Odd::Path);
    }
    let mut pieces = raw.split('%');
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (digits, rest) = piece.split_at_checked(2).ok_or(Odd::Path)?;
        let byte = u8::from_str_radix(digits, 16).map_err(|_| Odd::Path)?;
        let plain = byte.is_ascii_alphanumeric() || b"-._~/\\%".contains(&byte) || byte.is_ascii_control();
        if plain || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(Odd::Path);
        }
        out.push_str(&format!("%{byte:02X}{rest}"));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn covers(pattern: &str, text: &str) -> bool {
        let pattern = Pattern::parse(pattern).unwrap_or_else(|e| panic!("{pattern}: {e}"));
        Subject::parse(text).is_ok_and(|subject| pattern.covers(&subject))
    }

    #[test]
    fn by_parts_and_never_by_text() {
        let all = "https://github.com/acme/*";
        for text in [
            "https://github.com/acme/web",
            "https://github.com/acme/web/",
            "https://github.com/acme/web/info/refs?service=git-upload-pack",
            "HTTPS://GitHub.COM/acme/web",
            "https://github.com:443/acme/web",
            "https://github.com./acme/web",
        ] {
            assert!(covers(all, text), "{text}");
        }
        for text in [
            "https://github.com/acme",
            "https://github.com/acme/",
            "https://github.com/acme-evil/web",
            "https://github.com/ACME/web",
            "https://github.com.evil.com/acme/web",
            "https://evil.com/github.com/acme/web",
            "https://github.com@evil.com/acme/web",
            "https://evil.com@github.com/acme/web",
            "https://github.com:8443/acme/web",
            "https://github.com:/acme/web",
            "https://github.com:0443x/acme/web",
            "http://github.com/acme/web",
            "https://github.com/other/../acme/web",
            "https://github.com/acme/../other/web",
            "https://github.com/acme/%2e%2e/other",
            "https://github.com/acme%2Fweb",
            "https://github.com/%61cme/web",
            "https://github.com/acme//web",
            "https://github.com\\@evil.com/acme/web",
            "https://github.com/acme/we\nb",
            "https://github%2ecom/acme/web",
            "https:///acme/web",
            "https://../acme/web",
            "github.com/acme/web",
            "",
        ] {
            assert!(!covers(all, text), "{text:?}");
        }
        assert!(
            covers("https://github.com", "https://github.com/any/thing")
                && covers("https://github.com/*", "https://github.com")
        );
        assert!(covers("https://h/a", "https://h/a/") && !covers("https://h/a", "https://h/a/b"));
        assert!(covers("https://h/a%2a/*", "https://h/a%2A/b"));
        assert!(
            covers("https://[::1]:8080", "https://[::1]:8080/x") && !covers("https://[::1]", "https://[::1]:8080/x")
        );
        assert!(covers("profile:work", "profile:work") && !covers("profile:work", "profile:works"));
        assert!(covers("profile:*", "profile:any") && !covers("profile:*", "audience:any"));
        assert!(
            covers("cluster:https://k8s:6443", "cluster:https://K8S:6443/")
                && !covers("cluster:https://k8s:6443", "https://k8s:6443")
        );
        assert!(
            covers("resource:https://management.azure.com/", "resource:https://management.azure.com")
                && covers("resource:api://app", "resource:api://app/")
                && !covers("resource:https://vault.azure.net", "resource:https://management.azure.com/")
        );
        assert!(covers("audience://iam.googleapis.com/projects/1/*", "audience://iam.googleapis.com/projects/1/x"));
    }

    #[test]
    fn what_no_entry_may_say() {
        for (text, odd) in [
            ("github.com", Odd::Shape),
            ("", Odd::Shape),
            ("*", Odd::Star),
            ("https://*", Odd::Host),
            ("https://*.github.com", Odd::Star),
            ("https://github.com/*/web", Odd::Star),
            ("https://github.com/ac*", Odd::Star),
            ("https://u:p@github.com", Odd::Userinfo),
            ("https://github.com/a?b", Odd::Query),
            ("https://github.com/a/../b", Odd::Path),
            ("https://git hub.com", Odd::Host),
            ("profile:", Odd::Shape),
            ("name:x", Odd::Shape),
        ] {
            assert_eq!(Pattern::parse(text).unwrap_err(), odd, "{text}");
        }
    }

    #[test]
    fn the_one_that_says_most_decides() {
        let texts = [
            ("*", "https://h"),
            ("git", "https://h"),
            ("*", "https://h/a/*"),
            ("docker", "https://h/a/b"),
            ("*", "https://h/a/b"),
        ];
        let entries: Vec<(&str, Pattern)> = texts.iter().map(|(t, p)| (*t, Pattern::parse(p).unwrap())).collect();
        let chosen = |tool: &str, text: &str| {
            let subject = Subject::parse(text).unwrap();
            choose(entries.iter().enumerate().map(|(at, (t, p))| (*t, p, at)), tool, &subject)
        };
        assert_eq!(chosen("git", "https://h/x"), Some(1));
        assert_eq!(chosen("docker", "https://h/x"), Some(0));
        assert_eq!(chosen("git", "https://h/a/x"), Some(2));
        assert_eq!(chosen("git", "https://h/a/b"), Some(4));
        assert_eq!(chosen("docker", "https://h/a/b"), Some(3));
        assert_eq!(chosen("git", "https://other/a/b"), None);
    }

    proptest! {
        #[test]
        fn a_match_never_crosses_a_host_or_a_component(
            host in "[ab]{1,2}(\\.[ab]{1,2}){0,2}", other in "[ab]{1,2}(\\.[ab]{1,2}){0,2}",
            stem in prop::collection::vec("[ab]{1,2}", 0..3), path in prop::collection::vec("[ab]{1,2}", 0..4),
            ports in (prop::option::of(1u16..4), prop::option::of(1u16..4)), star in any::<bool>(),
        ) {
            let place = |host: &str, port: Option<u16>, path: &[String]| {
                let port = port.map(|port| format!(":{port}")).unwrap_or_default();
                format!("https://{host}{port}{}", path.iter().map(|part| format!("/{part}")).collect::<String>())
            };
            let text = format!("{}{}", place(&host, ports.0, &stem), if star { "/*" } else { "" });
            let expected = host == other && ports.0 == ports.1
                && (stem.is_empty() || if star { path.len() > stem.len() && path.starts_with(&stem) } else { path == stem });
            prop_assert_eq!(covers(&text, &place(&other, ports.1, &path)), expected);
        }

        #[test]
        fn whatever_is_covered_has_the_pattern_s_host_and_path(text in "https://[a-z.@:/%2eE\\\\?#*]{0,24}") {
            let pattern = Pattern::parse("https://a.b/c/*").unwrap();
            if Subject::parse(&text).is_ok_and(|subject| pattern.covers(&subject)) {
                let plain = text.replace(":443", "").replace("a.b./", "a.b/");
                prop_assert!(plain.starts_with("https://a.b/c/"), "{}", text);
            }
        }

        #[test]
        fn no_text_panics(text in ".{0,60}") {
            let _ = Pattern::parse(&text);
            let _ = Subject::parse(&text);
        }
    }
}
