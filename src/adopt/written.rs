//! How a key stands in its place: alone, in a URL, in Base64, in a header.
//!
//! Owns taking the text apart into the names that a tool's templates are filled with. What it is not sure to take apart as
//! the tool does is no key that stands there in this way.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use super::words::Named;
use crate::surface::replace::Written;

/// The key and what stands around it; `star` is what the first `*` of the place stood for.
pub fn written(how: Written, text: &str, secret: &str, star: &str) -> Result<Named, String> {
    let part = || "the key is only a part of what stands here".to_owned();
    let named = |pairs: &[(&str, &str)]| -> Named {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), Zeroizing::new((*value).to_owned()))).collect()
    };
    match how {
        Written::Text => Ok(named(&[("key", secret)])),
        Written::Whole if text == secret => Ok(named(&[("key", secret)])),
        Written::Whole => Err(part()),
        Written::Basic => {
            let both = decoded(secret).ok_or_else(part)?;
            let (user, key) = both.trim_end_matches('\0').split_once(':').ok_or_else(part)?;
            Ok(named(&[("user", user), ("key", key)]))
        }
        Written::Base64 => Ok(named(&[("key", &decoded(secret).ok_or_else(part)?)])),
        Written::Header => {
            let (name, value) = text.split_once(':').ok_or_else(part)?;
            let (scheme, rest) = value.trim().split_once(' ').ok_or_else(part)?;
            if !name.trim().eq_ignore_ascii_case("authorization") || rest.trim() != secret {
                return Err("only an Authorization header with the key alone can come from a helper".into());
            }
            let both = decoded(secret).filter(|_| scheme.eq_ignore_ascii_case("basic"));
            let (user, key) = match both.as_deref().map(|both| both.split_once(':')) {
                // What no user name can end with says by which scheme it is sent.
                None if scheme.eq_ignore_ascii_case("bearer") => ("Bearer:", secret),
                Some(Some(pair)) => pair,
                _ => return Err(format!("{scheme} is no way in which a helper can give a key")),
            };
            let every =
                || "it goes to every host: give it a section of its own, such as [http \"https://HOST/\"]".to_owned();
            let (kind, rest) = star.split_once("://").ok_or_else(every)?;
            let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
            let path = path.trim_matches('/');
            let url = if path.is_empty() { format!("{kind}://{host}") } else { format!("{kind}://{host}/{path}/*") };
            let below = if path.is_empty() { String::new() } else { format!("{path}/x") };
            Ok(named(&[
                ("user", user),
                ("key", key),
                ("scheme", kind),
                ("host", host),
                ("path", &below),
                ("origin", &format!("{kind}://{host}")),
                ("url", &url),
            ]))
        }
        Written::Url => {
            let (before, after) = text.split_once(secret).ok_or_else(part)?;
            let after = after.strip_prefix('@').ok_or_else(part)?;
            let (front, user) = before.rsplit_once("://").ok_or_else(part)?;
            let scheme = front.rsplit(|c: char| !c.is_ascii_alphanumeric() && !"+.-".contains(c)).next();
            let scheme = scheme.filter(|scheme| !scheme.is_empty()).ok_or_else(part)?;
            let user = user.strip_suffix(':').unwrap_or(user);
            if user.contains(['/', '@', ':']) {
                return Err(part());
            }
            let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8().map(String::from);
            let (user, key) = (decode(user).map_err(|_| part())?, Zeroizing::new(decode(secret).map_err(|_| part())?));
            let end = after.find(|c: char| c.is_whitespace() || "\"',|".contains(c)).unwrap_or(after.len());
            let place = after.get(..end).unwrap_or(after);
            let (host, path) = place.split_once('/').unwrap_or((place, ""));
            // git says a repository with `.git` or without.
            let path = path.trim_end_matches('/');
            let path = path.strip_suffix(".git").unwrap_or(path);
            let origin = format!("{scheme}://{host}");
            let url = if path.is_empty() { origin.clone() } else { format!("{origin}/{path}") };
            // With the name alone, and only where there is one: a tool asks for a password of somebody.
            let kept = format!(
                "{front}://{}@{after}",
                before.rsplit_once("://").map_or("", |(_, user)| user.trim_end_matches(':'))
            );
            let kept = if user.is_empty() { Vec::new() } else { named(&[("named", &kept)]) };
            let mut names = named(&[
                ("user", &user),
                ("key", &key),
                ("scheme", scheme),
                ("host", host),
                ("path", path),
                ("origin", &origin),
                ("url", &url),
                ("bare", &format!("{front}://{after}")),
            ]);
            names.extend(kept);
            Ok(names)
        }
    }
}

fn decoded(text: &str) -> Option<Zeroizing<String>> {
    let bytes = Zeroizing::new(STANDARD.decode(text.trim()).ok()?);
    core::str::from_utf8(&bytes).ok().map(|text| Zeroizing::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(how: Written, text: &str, secret: &str, name: &str) -> Option<String> {
        let names = written(how, text, secret, "https://h.example/acme/").ok()?;
        names.into_iter().find(|(known, _)| known == name).map(|(_, value)| value.to_string())
    }

    #[test]
    fn a_key_in_a_url_says_whom_it_is_for() {
        let text = "https://jo:s%40x@h.example:8443/acme/web.git";
        for (name, value) in [
            ("user", "jo"),
            ("key", "s@x"),
            ("host", "h.example:8443"),
            ("path", "acme/web"),
            ("url", "https://h.example:8443/acme/web"),
            ("bare", "https://h.example:8443/acme/web.git"),
            ("named", "https://jo@h.example:8443/acme/web.git"),
        ] {
            assert_eq!(get(Written::Url, text, "s%40x", name).as_deref(), Some(value), "{name}");
        }
        let list = "https://a.example,https://jo:key@b.example,direct";
        assert_eq!(get(Written::Url, list, "key", "url").as_deref(), Some("https://b.example"));
        assert_eq!(
            get(Written::Url, list, "key", "bare").as_deref(),
            Some("https://a.example,https://b.example,direct")
        );
        assert_eq!(get(Written::Url, "https://key@b.example", "key", "user").as_deref(), Some(""));
        for odd in ["https://b.example/?t=key", "https://a/jo:key@b", "key@b", "https://jo:key:x@b"] {
            assert_eq!(get(Written::Url, odd, "key", "url"), None, "{odd}");
        }
    }

    #[test]
    fn base64_is_taken_apart_and_other_text_is_not_touched() {
        let text = STANDARD.encode("jo:pa:ss");
        assert_eq!(get(Written::Basic, &text, &text, "key").as_deref(), Some("pa:ss"));
        assert_eq!(get(Written::Basic, "a", "a", "key"), None);
        assert_eq!(get(Written::Whole, "Bearer a", "a", "key"), None);
        assert_eq!(get(Written::Base64, &text, &text, "key").as_deref(), Some("jo:pa:ss"));
    }

    #[test]
    fn a_header_is_for_one_url_and_says_how_it_is_sent() {
        let basic = STANDARD.encode("jo:s");
        let (header, bearer) = (format!("AUTHORIZATION: basic {basic}"), "Authorization: Bearer k");
        for (text, secret, name, value) in [
            (header.as_str(), basic.as_str(), "user", "jo"),
            (&header, &basic, "key", "s"),
            (bearer, "k", "user", "Bearer:"),
            (bearer, "k", "url", "https://h.example/acme/*"),
            (bearer, "k", "path", "acme/x"),
        ] {
            assert_eq!(get(Written::Header, text, secret, name).as_deref(), Some(value), "{name}");
        }
        for odd in ["Private-Token: k", "Authorization: k", "Authorization: Token k", "X: Bearer k"] {
            assert_eq!(get(Written::Header, odd, "k", "key"), None, "{odd}");
        }
        assert!(written(Written::Header, bearer, "k", "").unwrap_err().contains("every host"));
    }
}
