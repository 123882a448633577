//! `hallpass status`: one screen of how the daemon is.

use super::{
    context::Context,
    lock,
    output::{DIM, GREEN, RED, YELLOW, safe, styled},
    when,
};
use crate::{
    api::{credential::StoreState, status::Status, watch::WatchSummary},
    error::Result,
};

pub fn run(cx: &Context) -> Result<u8> {
    let mut client = cx.client()?;
    client.ping()?;
    let status: Status = client.get("/v1/status")?;
    cx.show(&status, |status| render(status, when::now()))
}

/// How a line stands.
#[derive(Clone, Copy)]
enum Mark {
    Good,
    Look,
    Bad,
}

fn line(mark: Mark, name: &str, value: &str) -> String {
    let sign = match mark {
        Mark::Good => styled(GREEN, "ok  "),
        Mark::Look => styled(YELLOW, "look"),
        Mark::Bad => styled(RED, "bad "),
    };
    format!("{sign}  {name:<9} {}", safe(value))
}

fn render(s: &Status, now: jiff::Timestamp) -> String {
    let started = when::relative(&s.started_at, now);
    let mut lines = vec![
        line(
            Mark::Good,
            "daemon",
            &format!("{} as process {}, started {started} by {}", s.version, s.pid, s.started_by),
        ),
        line(Mark::Good, "socket", &s.socket),
        gateway(s),
        store_line(s),
        match &s.config.error {
            None => line(
                Mark::Good,
                "config",
                &format!("{}, read {}", s.config.path, when::relative(&s.config.loaded_at, now)),
            ),
            Some(error) => line(Mark::Bad, "config", &format!("{error}; the last good one is in force")),
        },
        match &s.audit.error {
            None => line(Mark::Good, "audit", &s.audit.path),
            Some(error) => line(Mark::Bad, "audit", &format!("{error}; nothing is handed out until it can be written")),
        },
        watch(&s.watch),
        memory(s),
        connections(s),
    ];
    lines.extend(rendered(s));
    lines.push(String::new());
    lines.push(format!(
        "{} credentials, {} principals, {} grants, {} open tasks, {} live tokens",
        s.credentials, s.principals, s.grants, s.open_tasks, s.live_leases
    ));
    if s.waiting_approvals > 0 {
        let count = s.waiting_approvals;
        lines.push(styled(YELLOW, &format!("{count} waiting for approval; `hallpass approvals` shows them")));
    }
    lines.push(safe(&format!("you are {} ({}, by {})", s.you.principal, s.you.kind.word(), named_by(s))));
    lines.push(styled(DIM, &safe(&s.evidence)));
    lines.join("\n")
}

fn gateway(s: &Status) -> String {
    match (&s.gateway.url, &s.gateway.error) {
        (Some(url), None) => line(Mark::Good, "gateway", &format!("{url}, {}", s.gateway.socket)),
        (Some(url), Some(error)) => line(Mark::Look, "gateway", &format!("{url}: {error}")),
        (None, error) => {
            let why = error.as_deref().unwrap_or("not bound");
            line(Mark::Bad, "gateway", &format!("{why}; {} works", s.gateway.socket))
        }
    }
}

fn store_line(s: &Status) -> String {
    let mark = match s.store.state {
        StoreState::Open | StoreState::Unknown => Mark::Good,
        StoreState::Locked => Mark::Look,
        StoreState::Unavailable => Mark::Bad,
    };
    let detail = s.store.detail.as_ref().map(|detail| format!(": {detail}")).unwrap_or_default();
    let text = format!("{}, {}, {}{detail}", s.store.kind, lock::word(s.store.state), s.store.place);
    line(mark, "store", &text)
}

fn watch(watch: &WatchSummary) -> String {
    let mut text = match (&watch.degraded, watch.folders + watch.polling) {
        (Some(degraded), _) => format!("degraded: {degraded}"),
        (None, 0) => "nothing is watched; `hallpass watch add FOLDER`".into(),
        (None, _) => format!("{} folders", watch.folders),
    };
    if watch.polling > 0 && watch.degraded.is_none() {
        text.push_str(&format!(", {} looked at in turn because they give no events", watch.polling));
    }
    if watch.left_alone > 0 {
        text.push_str(&format!(", {} on network file systems left alone", watch.left_alone));
    }
    match watch.findings {
        0 => {}
        1 => text.push_str("; a secret lies in a file, `hallpass findings`"),
        many => text.push_str(&format!("; {many} secrets lie in files, `hallpass findings`")),
    }
    let good = watch.degraded.is_none() && watch.findings == 0;
    line(if good { Mark::Good } else { Mark::Look }, "watch", &text)
}

fn memory(s: &Status) -> String {
    let off: Vec<String> =
        s.hardening.iter().filter(|p| !p.active).map(|p| format!("{} is off ({})", p.name, p.detail)).collect();
    if off.is_empty() {
        let on: Vec<&str> = s.hardening.iter().map(|p| p.name.as_str()).collect();
        line(Mark::Good, "memory", &on.join(", "))
    } else {
        line(Mark::Look, "memory", &off.join("; "))
    }
}

fn rendered(s: &Status) -> Option<String> {
    let rendered = &s.rendered;
    if rendered.files == 0 {
        return None;
    }
    let count = format!("{} rendered in {}", rendered.files, rendered.folder);
    Some(match (rendered.failing, rendered.in_memory) {
        (0, true) => line(Mark::Good, "files", &count),
        (0, false) => line(Mark::Look, "files", &format!("{count}, which is on a disk and not in memory")),
        (n, _) => line(Mark::Bad, "files", &format!("{count}, {n} without a fresh token; `hallpass render list`")),
    })
}

fn connections(s: &Status) -> String {
    let mark = if s.connections.open * 10 < s.connections.limit * 9 { Mark::Good } else { Mark::Look };
    line(mark, "open", &format!("{} of {} connections", s.connections.open, s.connections.limit))
}

fn named_by(s: &Status) -> String {
    let word = serde_json::to_value(s.you.named_by).ok().and_then(|v| v.as_str().map(ToOwned::to_owned));
    word.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_screen_that_says_what_is_bad() {
        let status: Status = serde_json::from_value(serde_json::json!({
            "version": "0.1.0", "pid": 7, "started_at": "2026-01-02T03:00:00Z", "started_by": "client",
            "socket": "/run/user/1000/hallpass/agent.sock",
            "gateway": { "url": null, "socket": "/g.sock", "error": "port 7711 is taken" },
            "store": { "kind": "file", "state": "locked", "place": "/c.age", "detail": "run `hallpass unlock`" },
            "config": { "path": "/c.toml", "loaded_at": "2026-01-02T03:00:00Z", "error": "line 3, column 1: \u{1b}[2J" },
            "audit": { "path": "/audit", "error": null },
            "watch": { "folders": 7, "degraded": "the limit of 7 folders is reached", "polling": 3, "left_alone": 1, "findings": 2 },
            "hardening": [{ "name": "mlock", "active": false, "detail": "limit 64 KiB" }],
            "credentials": 1, "principals": 2, "grants": 3, "open_tasks": 4, "live_leases": 5, "waiting_approvals": 1,
            "connections": { "open": 1, "limit": 100 },
            "rendered": { "folder": "/r", "files": 2, "failing": 1, "in_memory": false },
            "you": { "principal": "human", "kind": "human", "named_by": "terminal", "task": null },
            "evidence": "bash[1] < systemd[2]", "from_the_future": {}
        }))
        .unwrap();
        let text = render(&status, "2026-01-02T06:00:00Z".parse().unwrap());
        let plain = anstream::adapter::strip_str(&text).to_string();
        assert!(plain.lines().count() <= 24, "{plain}");
        for part in [
            "3 h ago by client",
            "bad   gateway",
            "look  store",
            "port 7711",
            "mlock is off",
            "1 waiting",
            "look  watch     degraded: the limit",
            "2 secrets lie",
            "1 without a fresh token",
        ] {
            assert!(plain.contains(part), "{part} in {plain}");
        }
        assert!(!plain.contains('\u{1b}'));
    }
}
