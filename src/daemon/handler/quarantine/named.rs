//! What stands for a secret: the name of its credential, its issuer, the decoy in its place.
//!
//! Owns these choices. They change nothing: what is chosen is tried, and chosen again where it is taken.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::{
    api::quarantine::TakeFiles,
    config::IssuerKind,
    daemon::{keeper::Seen, state::State},
    detect::{self, rule},
    error::Result,
    principal::is_name,
};

/// Names that other files' secrets would get in a request that changes nothing, by fingerprint.
pub(in crate::daemon) type Planned = BTreeMap<String, String>;

/// The name of each secret's credential: the same secret is one credential, whatever files it is in.
pub(in crate::daemon::handler) fn names(
    state: &State,
    seen: &[Seen],
    tried: &BTreeMap<String, usize>,
    planned: &Planned,
) -> Vec<String> {
    let names = state.names.borrow();
    // A file may have thousands: each is looked up, and numbers go on where the last of their name ended.
    let mut known: HashMap<&str, &str> = HashMap::new();
    let records = names.credentials().filter_map(|record| Some((record.fingerprint.as_deref()?, record.name.as_str())));
    for (print, name) in records.chain(planned.iter().map(|(print, name)| (print.as_str(), name.as_str()))) {
        known.entry(print).or_insert(name);
    }
    let mut taken: HashSet<String> = planned.values().cloned().collect();
    let mut numbers: HashMap<String, usize> = HashMap::new();
    let mut given: HashMap<&str, String> = HashMap::new();
    for one in seen {
        let print = one.fingerprint.as_str();
        if given.contains_key(print) {
            continue;
        }
        let name = known.get(print).map(|name| (*name).to_owned()).unwrap_or_else(|| {
            let base = wanted_name(one);
            // A name that an earlier attempt found taken is passed over as often as that happened.
            let first = !numbers.contains_key(&base);
            let mut skip = if first { tried.get(&base).copied().unwrap_or_default() } else { 0 };
            let number = numbers.entry(base.clone()).or_default();
            loop {
                *number += 1;
                let name = if *number == 1 { base.clone() } else { format!("{base}-{number}") };
                let other = names.credential(&name).is_some_and(|record| record.fingerprint.is_some());
                if other || taken.contains(&name) {
                    continue;
                }
                if skip == 0 {
                    break name;
                }
                skip -= 1;
            }
        });
        taken.insert(name.clone());
        given.insert(print, name);
    }
    seen.iter().map(|one| given.get(one.fingerprint.as_str()).cloned().unwrap_or_default()).collect()
}

/// What the rule says, else the key's own name.
fn wanted_name(seen: &Seen) -> String {
    if let Some(rule) = rule::named(seen.kind).filter(|rule| is_name(rule.credential)) {
        return rule.credential.to_owned();
    }
    let last = seen.key.as_deref().unwrap_or_default().rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    let name: String = last.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(60).collect();
    let name = name.trim_matches('-').to_owned();
    if is_name(&name) { name } else { "secret".into() }
}

/// A name without its number.
pub(super) fn base(name: &str) -> &str {
    match name.rsplit_once('-') {
        Some((base, number)) if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) => base,
        _ => name,
    }
}

/// The gateway where a route can stand in and needs no host of one's own.
pub(in crate::daemon::handler) fn route_kind(state: &State, route: Option<&str>) -> IssuerKind {
    let settings = state.settings();
    match route.and_then(|route| settings.catalogue.get(route)).filter(|route| !route.base_url.contains('{')) {
        Some(route) => IssuerKind::Gateway { route: route.name.clone(), base_url: None },
        None => IssuerKind::Static,
    }
}

/// The decoys that are to be left, by the fingerprints of what they stand for, and why one has none: the same secret has
/// one in a file, so that a restore finds them all.
pub(super) type Decoys = BTreeMap<String, std::result::Result<Vec<u8>, &'static str>>;

pub(super) fn decoys(state: &State, chosen: &[Seen], request: &TakeFiles) -> Result<Decoys> {
    let mut decoys = Decoys::new();
    for seen in chosen.iter().filter(|_| request.decoy) {
        if decoys.contains_key(&seen.fingerprint) {
            continue;
        }
        let made = detect::decoy(seen.kind, seen.value.expose(), &state.random::<32>()?);
        // One that is written with escapes would have to be written so again.
        let made = made.and_then(|made| match made.iter().all(u8::is_ascii_alphanumeric) {
            false if seen.span.len() != seen.value.len() => Err("it is written with escapes"),
            _ => Ok(made),
        });
        decoys.insert(seen.fingerprint.clone(), made);
    }
    Ok(decoys)
}
