//! The demo's one screen: at most 24 lines of 80 columns.

use super::{Findings, KEY_ENV, ROUTE, SCOPE};
use crate::{
    audit::line::Entry,
    cli::{
        audit,
        output::{BOLD, DIM, GREEN, RED, safe, styled},
    },
};

/// The most audit lines that are shown.
const LINES: usize = 7;
/// The width that every terminal has.
const WIDTH: usize = 80;

/// The screen; `broken` names the claims that are not so.
pub fn render(found: &Findings, broken: &[&str]) -> String {
    let mut lines = vec![
        styled(BOLD, "hallpass demo"),
        styled(DIM, &format!("$ hallpass exec --grant {ROUTE}:{SCOPE} -- client")),
        String::new(),
        claim(found.upstream_saw_the_key, "the upstream saw", &found.upstream_saw, "the real key"),
        claim(
            found.client_held_no_key,
            "the client held",
            &format!("{KEY_ENV}={}", found.client_held),
            "a token, no key",
        ),
        claim(found.allowed_status == 200, "in its scope", "GET /notes", &found.allowed_status.to_string()),
        claim(
            found.refused_status == 403 && found.refused_before_upstream,
            "outside of it",
            "DELETE /notes/1",
            &format!("{} {}", found.refused_status, found.refused_code),
        ),
        claim(
            found.after_status == 401,
            "after the task",
            "GET /notes",
            &format!("{} {}", found.after_status, found.after_code),
        ),
        claim(
            found.key_in_no_file,
            "the key at rest",
            &format!("{} files of hallpass searched", found.files_searched),
            if found.key_in_no_file { "in none" } else { "found" },
        ),
        claim(
            found.audit_ok,
            "the audit log",
            &format!("{} lines, hash-chained", found.audit_lines),
            if found.audit_ok { "unchanged" } else { "broken" },
        ),
        String::new(),
    ];
    lines.extend(interesting(&found.audit).iter().map(|entry| audit_line(entry)));
    lines.push(String::new());
    lines.push(if broken.is_empty() {
        format!("{} Next: hallpass setup", styled(GREEN, "All of it is so; nothing is left behind."))
    } else {
        styled(RED, &cut(&format!("Not so: {}", broken.join("; ")), WIDTH))
    });
    lines.join("\n")
}

fn claim(so: bool, what: &str, seen: &str, verdict: &str) -> String {
    let mark = if so { styled(GREEN, "ok ") } else { styled(RED, "NO ") };
    let text = format!("{what:<17} {:<36} {}", cut(&safe(seen), 36), cut(&safe(verdict), 21));
    format!("{mark} {}", text.trim_end())
}

fn interesting(all: &[Entry]) -> Vec<&Entry> {
    let surplus = all.len().saturating_sub(LINES);
    all.iter().skip(surplus).collect()
}

fn audit_line(entry: &Entry) -> String {
    let clock = entry.time.get(11..19).unwrap_or_default();
    let head = format!(
        "{clock}  {:<11} {:<16} {:<8}",
        cut(&safe(&entry.principal), 11),
        cut(&safe(&entry.event), 16),
        entry.decision.word()
    );
    styled(DIM, cut(&format!("{head} {}", safe(&audit::what(entry))), WIDTH).trim_end())
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(3)).chain("...".chars()).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{audit::Decision, principal::Kind};

    /// What a good run finds.
    pub(crate) fn good() -> Findings {
        let entry = |at: u64| Entry {
            seq: at,
            time: "2026-01-02T03:04:05.678Z".into(),
            event: "gateway.request".into(),
            principal: "a-principal-with-a-long-name".into(),
            kind: Kind::Agent,
            evidence: None,
            task: None,
            lease: None,
            issuer: Some("demo".into()),
            scope: None,
            resource: None,
            decision: Decision::Denied,
            code: Some(crate::api::problem::Code::OutsideScope),
            route: Some("demo".into()),
            method: Some("DELETE".into()),
            path: Some(format!("/notes/{}", "x".repeat(90))),
            status: Some(403),
            detail: None,
            prev: String::new(),
            hash: String::new(),
        };
        Findings {
            principal: "demo-agent".into(),
            upstream_saw: "sk-demo-************abcd".into(),
            upstream_saw_the_key: true,
            client_held: "hp_abcde...wxyz".into(),
            client_held_no_key: true,
            allowed_status: 200,
            refused_status: 403,
            refused_code: "outside_scope".into(),
            refused_before_upstream: true,
            after_status: 401,
            after_code: "token_revoked".into(),
            audit: (0..20).map(entry).collect(),
            audit_lines: 20,
            audit_ok: true,
            files_searched: 9,
            key_in_no_file: true,
        }
    }

    #[test]
    fn it_fits_one_screen_whatever_it_found() {
        for (found, broken) in [(good(), vec![]), (Findings::default(), Findings::default().broken())] {
            let text = anstream::adapter::strip_str(&render(&found, &broken)).to_string();
            assert!(text.lines().count() <= 24, "{text}");
            assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        }
    }

    #[test]
    fn what_is_not_so_is_marked() {
        let mut found = good();
        found.after_status = 200;
        let broken = found.broken();
        let text = anstream::adapter::strip_str(&render(&found, &broken)).to_string();
        assert!(text.contains("NO  after the task"), "{text}");
        assert!(text.contains("the token worked after its task"), "{text}");
    }
}
