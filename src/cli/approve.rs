//! `hallpass approvals`, `approve` and `deny`: what the daemon found out, never the asker's words as fact.

use super::{context::Context, output::safe, when};
use crate::{
    api::{Done, List, approval::ApprovalRequest},
    client::segment,
    error::Result,
};

/// Names a request.
#[derive(Debug, clap::Args)]
pub struct Id {
    /// Its id, as `hallpass approvals` shows it
    id: String,
}

pub fn list(cx: &Context) -> Result<u8> {
    cx.get("/v1/approvals", |list: &List<ApprovalRequest>| render(list, when::now()))
}

pub fn decide(cx: &Context, id: &Id, verb: &str) -> Result<u8> {
    let said = if verb == "approve" { "approved" } else { "denied" };
    cx.post(&format!("/v1/approvals/{}/{verb}", segment(&id.id)), &(), |_: &Done| format!("{} is {said}", id.id))
}

fn render(list: &List<ApprovalRequest>, now: jiff::Timestamp) -> String {
    if list.items.is_empty() {
        return "nothing waits for you".into();
    }
    let blocks = list.items.iter().map(|a| {
        let facts = super::table::facts(&[
            ("request", a.id.clone()),
            ("who", a.principal.clone()),
            ("wants", a.what.to_string()),
            ("for", when::length(a.ttl_seconds)),
            ("processes", a.evidence.clone()),
            ("asked", when::relative(&a.asked_at, now)),
            ("denied", when::relative(&a.expires_at, now)),
            ("task, in its own words", a.task_title.clone().map(|t| format!("{t:?}")).unwrap_or_default()),
            ("reason, in its own words", a.reason.clone().map(|t| format!("{t:?}")).unwrap_or_default()),
        ]);
        format!("{facts}\n`hallpass approve {0}` or `hallpass deny {0}`", safe(&a.id))
    });
    blocks.collect::<Vec<_>>().join("\n\n")
}
