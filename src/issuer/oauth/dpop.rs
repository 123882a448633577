//! Tokens that are worth nothing without a key (RFC 9449).
//!
//! Owns the key of one token, the proofs that it signs, and the server's nonce in them. The key never leaves the daemon: who
//! uses the token asks for a proof of each request.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use http::{HeaderName, HeaderValue, Response};
use ring::{digest, rand::SystemRandom, signature};
use serde_json::Map;

use super::Settings;
use crate::{
    issuer::{
        Draw, Failure, Issued, Next, Order,
        answer::{self, text},
        jws::{KeyError, Signer},
    },
    secret::Secret,
};

/// The header of a proof.
pub const HEADER: HeaderName = HeaderName::from_static("dpop");
/// The header of a server's nonce (section 8).
pub const NONCE: HeaderName = HeaderName::from_static("dpop-nonce");
/// What a server says that wants its nonce in the proof (section 8).
pub const USE_NONCE: &str = "use_dpop_nonce";

/// A request that is to be proved.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Its method.
    pub method: &'a str,
    /// Its URL; query and fragment are no part of a proof.
    pub url: &'a str,
    /// The server's nonce, where it gave one.
    pub nonce: Option<&'a str>,
    /// The hash of the token that goes with it, where one does.
    pub token: Option<&'a str>,
}

/// The hash by which a proof names its token (section 4.2).
pub fn hash(token: &Secret) -> String {
    BASE64.encode(digest::digest(&digest::SHA256, token.expose()))
}

/// A proof of one request at this moment.
pub fn proof(key: &Secret, asked: &Asked<'_>, draw: &Draw) -> Result<String, KeyError> {
    let signer = Signer::of_pkcs8(key.expose())?;
    let mut header = Map::new();
    header.insert("typ".into(), "dpop+jwt".into());
    header.insert("jwk".into(), signer.jwk().into());
    let url = asked.url.split(['?', '#']).next().unwrap_or_default();
    let mut claims = Map::new();
    claims.insert("jti".into(), draw.id().into());
    claims.insert("htm".into(), asked.method.into());
    claims.insert("htu".into(), url.into());
    claims.insert("iat".into(), draw.now_ms.div_euclid(1000).into());
    for (name, value) in [("nonce", asked.nonce), ("ath", asked.token)] {
        if let Some(value) = value {
            claims.insert(name.into(), value.into());
        }
    }
    signer.jwt(header, &claims.into())
}

/// A server's nonce, where it gave one that a proof can hold.
pub fn nonce<T>(answer: &Response<T>) -> Option<String> {
    let nonce = answer.headers().get(NONCE)?.to_str().ok()?;
    (!nonce.is_empty() && nonce.len() <= 512).then(|| nonce.to_owned())
}

/// Mints one that is bound to a new key.
pub(super) fn mint<'a>(
    settings: &'a Settings,
    order: Order<'a>,
    secret: Secret,
    draw: &Draw,
) -> Result<Next<'a, Issued>, Failure> {
    let key =
        signature::EcdsaKeyPair::generate_pkcs8(&signature::ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
    let key = key.map_err(|_| Failure::Settings("no key could be made for the token".into()))?;
    attempt(settings, order, secret, Secret::take(key.as_ref().to_vec()), None, draw)
}

/// Asks, and once more with the server's nonce where it wants that.
fn attempt<'a>(
    settings: &'a Settings,
    order: Order<'a>,
    secret: Secret,
    key: Secret,
    with: Option<String>,
    draw: &Draw,
) -> Result<Next<'a, Issued>, Failure> {
    let mut call = settings.request(&order, &secret, draw)?;
    let asked = Asked { method: "POST", url: &settings.token_url, nonce: with.as_deref(), token: None };
    let proof = proof(&key, &asked, draw).map_err(|error| Failure::Settings(error.to_string()))?;
    let proof = HeaderValue::from_str(&proof).map_err(|_| Failure::Settings("a proof that fits no header".into()))?;
    call.request.headers_mut().insert(HEADER, proof);
    Ok(Next::call(call, move |answer, draw| {
        let wants = answer.status().is_client_error()
            && answer::object(answer).is_ok_and(|members| text(&members, "error") == Some(USE_NONCE));
        match nonce(answer).filter(|_| wants && with.is_none()) {
            Some(nonce) => attempt(settings, order, secret, key, Some(nonce), draw),
            None => {
                let issued = settings.read(&order, answer, draw)?;
                Ok(Next::Done(Issued { key: Some(key), ..issued }))
            }
        }
    }))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::{
        issuer::{
            Credential, Issuer as _,
            oauth::{
                ClientAuth,
                tests::{DRAW, answer, settings},
            },
            tests::nobody,
        },
        scope::Wanted,
    };

    fn parts(proof: &str) -> (serde_json::Value, serde_json::Value) {
        let part = |at: usize| {
            let text = proof.split('.').nth(at).unwrap();
            serde_json::from_slice(&BASE64.decode(text).unwrap()).unwrap()
        };
        (part(0), part(1))
    }

    #[test]
    fn a_token_is_bound_to_a_key_and_the_servers_nonce_is_sent_once() {
        let settings = Settings { dpop: true, ..settings(ClientAuth::ClientSecretBasic) };
        let what: Wanted = "x:a@r".parse().unwrap();
        let order = Order { what: &what, ttl: Duration::from_secs(60), who: nobody() };
        let credential = Credential::Stored(Secret::take(b"s".to_vec()));
        let Ok(Next::Call(first)) = settings.mint(order, &credential, &DRAW) else { panic!("no call") };
        let (header, claims) = parts(first.call.request.headers()[HEADER].to_str().unwrap());
        assert_eq!((header["typ"].as_str(), header["jwk"]["kty"].as_str()), (Some("dpop+jwt"), Some("EC")));
        assert!(header["jwk"].get("d").is_none(), "the private half stays here");
        assert_eq!(
            (claims["htm"].as_str(), claims["htu"].as_str()),
            (Some("POST"), Some("https://auth.acme.dev/oauth/token"))
        );
        let mut wants = answer(400, &json!({ "error": "use_dpop_nonce" }));
        wants.headers_mut().insert(NONCE, "n1".parse().unwrap());
        let Ok(Next::Call(second)) = (first.then)(&wants, &DRAW) else { panic!("no second call") };
        let (again, claims) = parts(second.call.request.headers()[HEADER].to_str().unwrap());
        assert_eq!((claims["nonce"].as_str(), &again["jwk"]), (Some("n1"), &header["jwk"]));
        let body = |kind: &str| json!({ "access_token": "t", "token_type": kind, "expires_in": 60, "scope": "a" });
        let Ok(Next::Done(issued)) = (second.then)(&answer(200, &body("DPoP")), &DRAW) else { panic!("none") };
        assert!(issued.key.is_some());

        // A server that does not bind it has given something else than was asked; one that wants another nonce gets none.
        let Ok(Next::Call(first)) = settings.mint(order, &credential, &DRAW) else { panic!("no call") };
        assert!(matches!(
            (first.then)(&answer(200, &body("Bearer")), &DRAW),
            Err(Failure::Answer { token: Some(_), .. })
        ));
        let Ok(Next::Call(first)) = settings.mint(order, &credential, &DRAW) else { panic!("no call") };
        let Ok(Next::Call(second)) = (first.then)(&wants, &DRAW) else { panic!("no second call") };
        assert!(matches!((second.then)(&wants, &DRAW), Err(Failure::Administrator(_))));
    }

    #[test]
    fn a_proof_is_of_one_request_and_one_token() {
        let key =
            signature::EcdsaKeyPair::generate_pkcs8(&signature::ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
        let key = Secret::take(key.unwrap().as_ref().to_vec());
        let token = hash(&Secret::take(b"t".to_vec()));
        let asked = Asked { method: "GET", url: "https://h/a?b#c", nonce: None, token: Some(&token) };
        let (_, claims) = parts(&proof(&key, &asked, &DRAW).unwrap());
        assert_eq!((claims["htu"].as_str(), claims["ath"].as_str()), (Some("https://h/a"), Some(token.as_str())));
        assert_eq!((claims["iat"].as_i64(), claims.get("nonce")), (Some(1_000_000), None));
    }
}
