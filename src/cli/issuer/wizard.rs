//! `hallpass issuer add KIND NAME --wizard`: what the other side has to know, and then whether it does.
//!
//! Owns the order: the identity is there, the text is printed, the ids that came out of it are asked for, the issuer is added
//! and tried. The texts are data.

use crate::{
    api::{
        identity::{Identity, InitIdentity},
        issuer::{Issuer, TestIssuer, Tested},
        problem::Code,
    },
    cli::{context::Context, input, output, output::safe},
    client::Client,
    error::{Error, Result},
    scope::Wanted,
    sys,
};

/// Prints the text of a kind; the identity is made where there is none.
pub fn explain(client: &mut Client, text: &str, audience: &str) -> Result<()> {
    let identity: Identity = match client.get("/v1/identity") {
        Err(error) if error.code == Code::NotFound => client.post("/v1/identity", &InitIdentity::default())?,
        answer => answer?,
    };
    let keys = identity.jwks.get("keys").cloned().unwrap_or_default();
    let inline = serde_json::json!({ "type": "inline", "keys": keys });
    let owner = crate::identity::subject(&crate::issuer::Who { owner: sys::user_name(), ..Default::default() });
    let filled = [
        ("{issuer}", identity.issuer.clone()),
        ("{jwks}", identity.jwks.to_string()),
        ("{inline}", inline.to_string()),
        ("{audience}", audience.to_owned()),
        ("{owner}", owner.trim_end_matches('/').to_owned()),
    ];
    let text = filled.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value));
    output::note(&text);
    Ok(())
}

/// A setting that was given, or is asked for now.
pub fn need(given: Option<String>, option: &str, question: &str, wizard: bool) -> Result<String> {
    if let Some(given) = given {
        return Ok(given);
    }
    let missing =
        || Error::new(Code::Usage, format!("--{option} is missing")).hint("--wizard says where it comes from");
    let typed = if wizard { input::ask(&format!("{question}:")) } else { None };
    typed.filter(|typed| !typed.is_empty()).ok_or_else(missing)
}

/// Mints a token and throws it away.
pub fn test(cx: &Context, what: Wanted) -> Result<u8> {
    cx.post("/v1/issuers/test", &TestIssuer { what }, |tested: &Tested| {
        let revoked = if tested.revoked { "it was revoked again" } else { "it was thrown away" };
        format!("it works: there was a token for {} until {}; {revoked}", tested.what, safe(&tested.expires_at))
    })
}

/// What was added, and what comes next.
pub fn added(issuer: &Issuer) -> String {
    let name = safe(&issuer.name);
    let scope = if let [scope] = issuer.scopes.as_slice() { safe(scope) } else { "SCOPE".into() };
    format!(
        "issuer {name} is added\n\nhallpass issuer test '{name}:{scope}' tries it\n\
         hallpass grant add PRINCIPAL '{name}:{scope}' says who may ask it for what"
    )
}
