//! OAuth 2.0: tokens from an authorization server, by the client's own right or by that of a person who signed in.
//!
//! Owns the settings, and which flow mints. `request` is what a client sends and proves, `token` the judgement on what comes;
//! `discovery` and `register` find a server and the client there, `authorize` and `device` are the two ways in which a
//! person signs in, and `login` is what is left of that. Pure, like all of `issuer`.

pub mod authorize;
mod details;
pub mod device;
pub mod discovery;
pub mod dpop;
pub mod exchange;
mod inspect;
pub mod login;
pub mod register;
mod request;
#[cfg(test)]
mod tests;
mod token;

use std::collections::BTreeMap;

use http::StatusCode;
use serde::{Deserialize, Serialize};

use self::{exchange::Exchange, login::Login};
use super::{Credential, Draw, Failure, Inspection, Issued, Issuer, Limits, Narrowed, Next, Order, form::Form};
use crate::{
    policy::RELEASE,
    scope::{Scope, Wanted, any_resource},
    secret::Secret,
};

/// Where the tokens come from, and who asks for them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "OAuthSettings")]
pub struct Settings {
    /// The token endpoint's URL.
    pub token_url: String,
    /// The client's id. With client credentials, its secret or its private key in PEM is the credential.
    pub client_id: String,
    /// How the client proves itself.
    #[serde(default)]
    pub auth: ClientAuth,
    /// Whose right the tokens stand for.
    #[serde(default, skip_serializing_if = "is_default")]
    pub flow: Flow,
    /// The server's issuer identifier (RFC 8414), where its metadata was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// Where a person signs in by a browser.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization_url: Option<String>,
    /// Where a person's sign-in without a browser starts (RFC 8628).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_url: Option<String>,
    /// Where the server says what a token is worth (RFC 7662).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub introspection_url: Option<String>,
    /// The server names itself in its redirects (RFC 9207): one that does not is refused.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub names_itself: bool,
    /// The credential that is the client's secret or private key, where a person signs in and the client is not public.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_credential: Option<String>,
    /// The server registered the client by itself (RFC 7591): what it gave for a secret rests in the store.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub registered: bool,
    /// What a person is asked to agree to, in the server's words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub login_scopes: Vec<String>,
    /// The port of 127.0.0.1 that the browser comes back to, for a server that knows only one; any where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect_port: Option<u16>,
    /// The server ends one token and leaves the login alone. RFC 7009 lets it end both, and then each lease that ends would
    /// sign the person out: without this, tokens of a login live to their end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub revoke_access_tokens: bool,
    /// A token is exchanged for another one before it is handed out (RFC 8693).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchange: Option<Exchange>,
    /// Tokens are bound to a key of their own (RFC 9449): they are used with a proof of each request, by `mcp bridge` or with
    /// `hallpass lease prove`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dpop: bool,
    /// What is asked for beside scopes (RFC 9396): a JSON array as text, in which `{resource}` is the resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization_details: Option<String>,
    /// The revocation endpoint's URL (RFC 7009); without it a token lives to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocation_url: Option<String>,
    /// The audience of the client's assertions: the authorization server's issuer identifier. The token endpoint's
    /// URL where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// The id of the key that signs assertions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// The resource indicator (RFC 8707), such as `https://api.acme.dev/{resource}`; `{resource}` is what is asked for.
    /// Without the word, one indicator for every token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// The server's own words for each scope, with spaces between several. Without any, a scope is sent as it is.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub scopes: BTreeMap<String, String>,
    /// An answer without a scope is taken for what was asked, as RFC 6749 section 5.1 has it. Some servers leave it out
    /// when they gave nothing of it, so that without this such an answer is refused.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub trust_omitted_scope: bool,
    /// The variables that tools read the token from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// The server may be on this machine or in this network, also over plain http.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_private: bool,
}

/// How a client proves itself; the words of OAuth's registry of `token_endpoint_auth_method`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// Its secret in the `Authorization` header.
    #[default]
    ClientSecretBasic,
    /// Its secret in the body.
    ClientSecretPost,
    /// An assertion that its private key signed.
    PrivateKeyJwt,
    /// Not at all: a public client, such as a program on a person's own machine (RFC 8252 section 8.4).
    None,
}

/// Whose right a token stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Flow {
    /// The client's own (RFC 6749 section 4.4).
    #[default]
    ClientCredentials,
    /// That of a person who signs in; what is left of it, a refresh token, is the credential.
    Login,
}

impl Issuer for Settings {
    fn limits(&self) -> Limits {
        Limits {
            least: None,
            most: None,
            revocable: self.revocation_url.is_some() && (self.flow != Flow::Login || self.revoke_access_tokens),
            scope: Narrowed::Token,
            resource: if self.resource.as_ref().is_some_and(|template| template.contains("{resource}")) {
                Narrowed::Token
            } else {
                Narrowed::Issuer
            },
            life: Narrowed::Issuer,
        }
    }

    fn rotates(&self) -> bool {
        self.flow == Flow::Login
    }

    fn urls(&self) -> Vec<(&'static str, &str)> {
        let others = [
            ("revocation_url", &self.revocation_url),
            ("authorization_url", &self.authorization_url),
            ("device_url", &self.device_url),
            ("introspection_url", &self.introspection_url),
        ];
        let others = others.into_iter().filter_map(|(name, url)| Some((name, url.as_deref()?)));
        // An authorization endpoint may have a query (RFC 6749 section 3.1).
        let others = others.map(|(name, url)| (name, url.split('?').next().unwrap_or(url)));
        std::iter::once(("token_url", self.token_url.as_str())).chain(others).collect()
    }

    fn allow_private(&self) -> bool {
        self.allow_private
    }

    fn flaw(&self) -> Option<String> {
        let named = |name: &String| name.parse::<Scope>().is_ok() && name != RELEASE && !name.ends_with('*');
        let odd = !self.scopes.keys().all(named);
        match self.flow {
            _ if self.authorization_details.as_ref().is_some_and(|text| details::read(text, "r").is_none()) => {
                Some("authorization_details is no JSON array of objects that each have a type (RFC 9396)".into())
            }
            _ if self.dpop && (self.flow == Flow::Login || self.exchange.is_some()) => {
                Some("dpop goes with a client's own right, and with tokens that are not exchanged".into())
            }
            Flow::Login if self.authorization_details.is_some() => {
                Some("authorization_details go with a client's own right, and a person signs in here".into())
            }
            _ if odd => Some("a name under scopes is no scope; write it like contacts:read".into()),
            Flow::Login if self.authorization_url.is_none() && self.device_url.is_none() => {
                Some("a login needs an authorization_url or a device_url".into())
            }
            Flow::ClientCredentials if self.auth == ClientAuth::None => {
                Some("a client without a secret has no credentials of its own; flow = \"login\" asks a person".into())
            }
            _ => None,
        }
    }

    fn check(&self, what: &Wanted) -> Result<(), Failure> {
        self.server_scopes(what)?;
        self.details(what)?;
        self.indicator(what).map(drop)
    }

    fn scopes(&self) -> Vec<Scope> {
        self.scopes.keys().filter_map(|name| name.parse().ok()).collect()
    }

    fn variables(&self) -> &[String] {
        &self.env
    }

    fn mint<'a>(
        &'a self,
        order: Order<'a>,
        credential: &'a Credential,
        draw: &Draw,
    ) -> Result<Next<'a, Issued>, Failure> {
        if self.flow == Flow::Login {
            let secret = Login::open(self, credential.stored()?)?.client_secret();
            let first = login::mint(self, order, credential.stored()?, draw)?;
            return exchange::after(self, order, secret, first, draw);
        }
        if self.dpop {
            return dpop::mint(self, order, credential.stored()?.clone(), draw);
        }
        let call = self.request(&order, credential.stored()?, draw)?;
        let first = Next::call(call, move |answer, draw| self.read(&order, answer, draw).map(Next::Done));
        exchange::after(self, order, credential.stored()?.clone(), first, draw)
    }

    fn revoke<'a>(
        &'a self,
        token: &'a Secret,
        credential: &'a Credential,
        draw: &Draw,
    ) -> Result<Option<Next<'a, bool>>, Failure> {
        let Some(url) = self.revocation_url.as_ref().filter(|_| self.limits().revocable) else { return Ok(None) };
        let secret = match self.flow {
            Flow::ClientCredentials => credential.stored()?.clone(),
            Flow::Login => Login::open(self, credential.stored()?)?.client_secret(),
        };
        let mut form = Form::default();
        form.add("token", token.expose());
        form.add("token_type_hint", b"access_token");
        let call = self.call(url, form, &secret, draw)?;
        Ok(Some(Next::call(call, move |answer, draw| {
            // Also for a token that the server does not know (RFC 7009 section 2.2).
            if answer.status() != StatusCode::OK {
                return Ok(Next::Done(false));
            }
            inspect::is_over(self, token, &secret, draw)
        })))
    }

    fn inspect<'a>(
        &'a self,
        handle: &'a Secret,
        credential: &'a Credential,
        draw: &Draw,
    ) -> Result<Option<Next<'a, Inspection>>, Failure> {
        let secret = match self.flow {
            Flow::ClientCredentials => credential.stored()?.clone(),
            Flow::Login => Login::open(self, credential.stored()?)?.client_secret(),
        };
        let call = inspect::request(self, handle, &secret, draw)?;
        Ok(call.map(|call| Next::call(call, |answer, _| inspect::read(answer).map(Next::Done))))
    }
}

impl Settings {
    /// The server's words for scopes that a person named.
    pub fn words(&self, named: &[String]) -> Result<Vec<String>, Failure> {
        let scopes = named.iter().map(|name| name.parse::<Scope>()).collect::<Result<Vec<_>, _>>();
        let scopes = scopes.map_err(|odd| Failure::Narrow(odd.to_string()))?;
        self.server_words(scopes.iter())
    }

    /// The scopes in the server's words.
    fn server_scopes(&self, what: &Wanted) -> Result<Vec<String>, Failure> {
        self.server_words(what.scopes.iter())
    }

    fn server_words<'a>(&self, scopes: impl Iterator<Item = &'a Scope>) -> Result<Vec<String>, Failure> {
        let mut all = Vec::new();
        for scope in scopes {
            let name = scope.to_string();
            if name.ends_with('*') {
                return Err(Failure::Narrow(format!("{name} is no scope of an OAuth server; name them one by one")));
            }
            match self.scopes.get(&name) {
                Some(words) => all.extend(words.split_ascii_whitespace().map(ToOwned::to_owned)),
                None if self.scopes.is_empty() => all.push(name),
                None => return Err(Failure::Narrow(format!("the config names no scope {name}"))),
            }
        }
        all.sort_unstable();
        all.dedup();
        Ok(all)
    }

    /// The resource indicator, where there is one.
    pub fn indicator(&self, what: &Wanted) -> Result<Option<String>, Failure> {
        let every = what.resources == any_resource();
        match &self.resource {
            Some(template) if template.contains("{resource}") => {
                let mut named = what.resources.iter().map(ToString::to_string);
                match (named.next(), named.next()) {
                    (Some(one), None) if !one.ends_with('*') => Ok(Some(template.replace("{resource}", &one))),
                    _ => Err(Failure::Narrow("each of its tokens is for one resource; name it: @RESOURCE".into())),
                }
            }
            None if self.authorization_details.as_ref().is_some_and(|text| text.contains("{resource}")) => Ok(None),
            fixed if every => Ok(fixed.clone()),
            _ => Err(Failure::Narrow(
                "its tokens cannot be narrowed to a resource: the config has no `resource` for it".into(),
            )),
        }
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
