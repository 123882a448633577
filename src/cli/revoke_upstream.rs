//! `hallpass revoke-upstream`: a key revoked at its issuer.

use super::{
    context::Context,
    input,
    output::{self, BOLD, GREEN, safe, styled},
};
use crate::{
    api::credential::{RevokeUpstream, RevokedUpstream},
    client::segment,
    error::Result,
};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Works where the issuer revokes a key that it is shown; for all others, this says on which page you do it.\n\
    The key is sent to its issuer, and nowhere else. It cannot be undone."
)]
pub struct Args {
    /// The credential's name
    credential: String,
    /// The issuer's base URL, where a server of your own has keys of the same form and the config does not say whose it is
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
}

pub fn run(cx: &Context, args: Args) -> Result<u8> {
    let path = format!("/v1/credentials/{}/revoke-upstream", segment(&args.credential));
    let Args { credential: _, mut base_url, yes, dry_run } = args;
    let dry = RevokeUpstream { dry_run: true, base_url: base_url.clone() };
    if dry_run {
        return cx.post(&path, &dry, render_plan);
    }
    if !yes {
        let plan: RevokedUpstream = cx.client()?.post(&path, &dry)?;
        output::note(&render_plan(&plan));
        input::confirm(&format!("Revoke {} for good?", safe(&plan.name)), false)?;
        // A person has seen where it goes.
        base_url = base_url.or(plan.assumed);
    }
    cx.post(&path, &RevokeUpstream { dry_run: false, base_url }, render_done)
}

fn render_plan(plan: &RevokedUpstream) -> String {
    let mut text = format!(
        "{} ({}) is sent to its issuer, to be revoked:\n    {}\nIt works nowhere from then on, and this cannot be undone; {}.",
        styled(BOLD, &safe(&plan.name)),
        safe(&plan.kind),
        safe(&plan.request),
        safe(&plan.effect)
    );
    if let Some(base_url) = &plan.assumed {
        text.push_str(&format!(
            "\nNothing says that it is a key of {}: a server of your own is named with --base-url URL.",
            safe(base_url)
        ));
    }
    if let Some(at) = &plan.revoked_at {
        text.push_str(&format!("\nIt was revoked already, {}.", safe(at)));
    }
    text
}

fn render_done(done: &RevokedUpstream) -> String {
    let name = safe(&done.name);
    let mut text = format!("{} {name} is revoked at its issuer", styled(GREEN, "✓"));
    if done.leases_ended > 0 {
        text.push_str(&format!("; {} of its leases ended", done.leases_ended));
    }
    if let Some(page) = &done.page {
        text.push_str(&format!("\nits issuer's page: {}", safe(page)));
    }
    text.push_str(&format!("\nmake a new one there, then: hallpass credential rotate {name}"));
    text
}
