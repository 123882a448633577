//! Issuers that mint, in the config: a table named after the kind beside the issuer's own keys.

use std::ops::Range;

use toml::Spanned;

use super::{place::Place, raw::check_url};
use crate::{
    error::Result,
    issuer::{Native, Proof},
};

/// A kind's table, and where it stands.
pub(super) type Table = (Native, Range<usize>);

/// The table of one kind, where it is there.
pub(super) fn table<T>(raw: Option<Spanned<T>>, kind: impl Fn(T) -> Native) -> Option<Table> {
    raw.map(|table| {
        let span = table.span();
        (kind(table.into_inner()), span)
    })
}

/// The settings of an issuer of this kind, whose tables are all that it has.
pub(super) fn check(
    kind: &Spanned<String>,
    has_credential: bool,
    mut tables: Vec<Table>,
    place: &Place<'_>,
) -> Result<Native> {
    let word = kind.get_ref();
    let (native, span) = match (tables.pop(), tables.len()) {
        (Some((native, span)), 0) if native.word() == *word => (native, span),
        (None, _) => {
            let what = format!("an issuer of the kind \"{word}\" needs a table [issuers.NAME.{word}]");
            return Err(place.error(kind.span(), &what));
        }
        _ => return Err(place.error(kind.span(), "an issuer has the table of its own kind, and no other")),
    };
    let issuer = native.issuer();
    for (key, url) in issuer.urls() {
        check_url(url, issuer.allow_private()).map_err(|why| place.error(span.clone(), &format!("{key}: {why}")))?;
    }
    if !issuer.variables().iter().all(|text| is_variable(text)) {
        return Err(place.error(span, "a name under env is no variable's"));
    }
    if let Some(what) = issuer.flaw() {
        return Err(place.error(span, &what));
    }
    match (issuer.proof(), has_credential) {
        (Proof::Stored, false) => Err(place.error(kind.span(), "`credential` is missing")),
        (Proof::Device, true) => {
            Err(place.error(kind.span(), "it is proved by this device's identity, so that it has no credential"))
        }
        _ => Ok(native),
    }
}

/// Whether it may stand in an environment: a name, or `NAME=PART`.
fn is_variable(text: &str) -> bool {
    let (name, part) = text.split_once('=').unwrap_or((text, "token"));
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    starts && name.chars().chain(part.chars()).all(|c| c.is_ascii_alphanumeric() || c == '_') && !part.is_empty()
}
