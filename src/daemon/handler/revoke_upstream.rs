//! `revoke-upstream`: a credential's value revoked at its issuer, for good.
//!
//! Owns the order: record, request, mark, end the leases. Must never put the value, or the issuer's answer, which
//! may repeat it, into an error or a log; must never send a value to an issuer whose keys it does not look like,
//! nor to a public one where it may be a self-hosted server's.

use std::rc::Rc;

use super::{credential, rfc3339};
use crate::{
    api::{
        credential::{RevokeUpstream, RevokedUpstream},
        problem::Code,
    },
    audit::{Decision, Record},
    config::{IssuerKind, raw::check_url},
    daemon::state::{Call, State, callers::Caller},
    detect::rule,
    error::{Error, Result},
    revoke::{self, Api},
    sys,
    task::EndReason,
};

/// Revokes it, or says what would be done.
pub async fn revoke(
    state: &Rc<State>,
    caller: &Caller,
    name: &str,
    request: RevokeUpstream,
) -> Result<RevokedUpstream> {
    let identity = state.human_only(caller, "revoking a key at its issuer")?;
    // Held until it is marked: another value must not take the mark.
    let _turn = state.credential_turn.lock().await;
    let mut known = credential::find(state, name)?;
    let store = state.store.borrow().clone();
    let value = store.get(name).await?;
    let kind = known.kind.clone().or_else(|| revoke::kind_of(value.expose()).map(ToOwned::to_owned));
    let kind = kind.ok_or_else(|| {
        Error::new(Code::InvalidValue, format!("hallpass does not know whose key {name} is, and sends it nowhere"))
            .hint("revoke it by hand, on the page of its issuer where its keys are listed")
    })?;
    let rule = rule::named(&kind);
    let page = rule.and_then(|rule| rule.revoke);
    let by_hand = match page {
        Some(page) => format!("revoke it by hand: {page}"),
        None => "revoke it by hand, on the page of its issuer where its keys are listed".into(),
    };
    let api = revoke::of_kind(&kind).ok_or_else(|| {
        Error::new(Code::InvalidValue, format!("for {kind} there is no API that revokes a key by itself"))
            .hint(by_hand.clone())
    })?;
    if !rule.is_some_and(|rule| rule.fits(value.expose())) {
        return Err(Error::new(Code::InvalidValue, format!("the value of {name} does not look like {kind} any more"))
            .hint(by_hand));
    }
    let Host { base_url, allow_private, assumed } = host(state, name, api, request.base_url.as_deref())?;
    let mut answer = RevokedUpstream {
        name: name.to_owned(),
        kind,
        request: format!("{} {base_url}{}", api.method, api.path),
        effect: api.effect.clone(),
        assumed: assumed.then(|| base_url.clone()),
        page: page.map(ToOwned::to_owned),
        revoked_at: known.revoked_ms.map(rfc3339),
        leases_ended: 0,
    };
    if request.dry_run {
        return Ok(answer);
    }
    if assumed {
        let what = format!("nothing says whether {name} is a key of {base_url} or of a server of your own");
        return Err(Error::new(Code::InvalidValue, what)
            .hint(format!("say where it belongs: hallpass revoke-upstream {name} --base-url {base_url}")));
    }
    let sent = api.request(&value).ok_or_else(|| {
        Error::new(Code::InvalidValue, format!("the value of {name} cannot stand in a request")).hint(by_hand.clone())
    })?;
    drop(value);
    caller.recheck()?;
    let record = |decision| {
        Record::new("credential.revoke_upstream", &identity.principal, identity.kind).issuer(name).decision(decision)
    };
    let evidence = caller.evidence().summary();
    state.record(record(Decision::Allowed).evidence(Some(&evidence)).detail(&answer.request))?;
    // No issuer has this name, so no connection is shared with one.
    let call = Call { name: "revoke upstream", base_url: &base_url, allow_private, request: sent };
    let unclear = |error: Error| {
        let known = error.hint.is_some();
        if known {
            error
        } else {
            error.hint("whether it is revoked is not known: run this again, or look at its page")
        }
    };
    let sent = state.call_issuer(call).await.map_err(unclear)?;
    let (status, body) = (sent.status().as_u16(), sent.into_body());
    if !api.is_done(status, &body) {
        state.record_after(record(Decision::Denied).status(Some(status)).detail("the issuer did not revoke it"));
        return Err(Error::new(
            Code::UpstreamUnreachable,
            format!("the issuer did not revoke it: {base_url} answered with status {status}"),
        )
        .hint(format!("it may be revoked already; {by_hand}")));
    }
    let now = sys::now().wall_ms;
    known.revoked_ms = Some(now);
    state.put_credential(known)?;
    let issuers = credential::issuers_of(state, name);
    let leases = state.leases.borrow().ids(|lease| issuers.contains(&lease.what.issuer));
    answer.leases_ended = leases.len() as u64;
    state.end_leases(leases, EndReason::GrantGone)?;
    issuers.iter().for_each(|issuer| state.forget_connections(issuer));
    state.record_after(record(Decision::Done).status(Some(status)));
    answer.revoked_at = Some(rfc3339(now));
    Ok(answer)
}

/// Where the key goes.
struct Host {
    base_url: String,
    allow_private: bool,
    /// It is the issuer's public host, and a self-hosted server has keys of the same form.
    assumed: bool,
}

/// To where the request says, or to the server that the config says it is a key of, or to the issuer's own host.
fn host(state: &State, name: &str, api: &Api, named: Option<&str>) -> Result<Host> {
    let at = |base_url: &str, allow_private, assumed| Host {
        base_url: base_url.trim_end_matches('/').to_owned(),
        allow_private,
        assumed,
    };
    if let Some(named) = named {
        if !api.own_host && named.trim_end_matches('/') != api.base_url {
            return Err(Error::new(Code::InvalidValue, format!("a key of this kind belongs to {}", api.base_url))
                .hint("leave --base-url out"));
        }
        check_url(named, true).map_err(|why| {
            Error::new(Code::InvalidValue, why)
                .hint("--base-url takes the server's URL, such as https://gitlab.example.com")
        })?;
        return Ok(at(named, api.own_host, false));
    }
    let settings = state.settings();
    let mine = settings.config.issuers.values().filter(|issuer| api.own_host && issuer.credential.as_deref() == Some(name));
    let mut own = mine.filter_map(|issuer| {
        let IssuerKind::Gateway { route, base_url } = &issuer.kind else { return None };
        let of_route = settings.catalogue.get(route)?;
        let custom = settings.catalogue.is_custom(route).then(|| of_route.base_url.clone());
        let url = base_url.clone().or(custom).filter(|url| !url.contains('{'))?;
        Some(at(&url, of_route.allow_private, false))
    });
    Ok(own.next().unwrap_or_else(|| at(&api.base_url, false, api.own_host)))
}
