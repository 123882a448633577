//! AWS's Signature Version 4, by a secret key (HMAC) and by a certificate (X.509).
//!
//! Owns the canonical request and the two ways to sign it. Sources: the IAM user guide, "Create a signed AWS API request";
//! for X.509 the IAM Roles Anywhere guide, "Signing process", and aws/rolesanywhere-credential-helper 1.8.0.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use http::{HeaderName, HeaderValue, Request};
use ring::{digest, hmac};

use crate::{
    identity::certificate::Chain,
    issuer::{
        Failure,
        federation::sensitive,
        jws::{Algorithm, Signer},
    },
    secret::Secret,
};

/// An access key.
pub(super) struct Keys<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its secret.
    pub secret: &'a str,
    /// What belongs to it, where it is a temporary one.
    pub session: Option<&'a str>,
}

impl<'a> Keys<'a> {
    /// A credential as `ID:SECRET` or `ID:SECRET:SESSION`.
    pub(super) fn read(credential: &'a Secret) -> Result<Self, Failure> {
        let text = credential.expose_str().map(str::trim).unwrap_or_default();
        let mut parts = text.splitn(3, ':');
        match (parts.next(), parts.next(), parts.next()) {
            (Some(id), Some(secret), session) if !id.is_empty() && !secret.is_empty() => {
                Ok(Self { id, secret, session })
            }
            _ => Err(Failure::Credential("an access key is kept as KEY_ID:SECRET".into())),
        }
    }
}

/// Where and when a request is signed.
pub(super) struct Scope<'a> {
    /// The service.
    pub service: &'a str,
    /// The region.
    pub region: &'a str,
    /// The host, with its port where that is not the usual one.
    pub host: &'a str,
    /// Now, in milliseconds since 1970 (UTC).
    pub now_ms: i64,
}

impl Scope<'_> {
    /// `20260102T030405Z`.
    fn date(&self) -> Result<String, Failure> {
        let at = jiff::Timestamp::from_millisecond(self.now_ms).map_err(|_| Failure::Settings("no time".into()))?;
        Ok(at.strftime("%Y%m%dT%H%M%SZ").to_string())
    }

    fn text(&self, date: &str) -> String {
        format!("{}/{}/{}/aws4_request", date.get(..8).unwrap_or_default(), self.region, self.service)
    }
}

/// Signs by a secret key.
pub(super) fn by_key<B: AsRef<[u8]>>(
    request: &mut Request<B>,
    keys: &Keys<'_>,
    scope: &Scope<'_>,
) -> Result<(), Failure> {
    let date = scope.date()?;
    let mut extra = vec![("host".to_owned(), scope.host.to_owned()), ("x-amz-date".to_owned(), date.clone())];
    if let Some(session) = keys.session {
        request.headers_mut().insert("x-amz-security-token", sensitive(session.as_bytes())?);
    }
    put(request, "x-amz-date", &date)?;
    let (to_sign, signed) = to_sign(request, "AWS4-HMAC-SHA256", &date, scope, &mut extra);
    let mut key = hmac_of(format!("AWS4{}", keys.secret).as_bytes(), date.get(..8).unwrap_or_default().as_bytes());
    for part in [scope.region, scope.service, "aws4_request"] {
        key = hmac_of(key.as_ref(), part.as_bytes());
    }
    let signature = hex(hmac_of(key.as_ref(), to_sign.as_bytes()).as_ref());
    authorize(request, "AWS4-HMAC-SHA256", keys.id, &scope.text(&date), &signed, &signature)
}

/// Signs by the key of a certificate: the text itself, with no key derived.
pub(super) fn by_certificate<B: AsRef<[u8]>>(
    request: &mut Request<B>,
    signer: &Signer,
    chain: &Chain,
    scope: &Scope<'_>,
) -> Result<(), Failure> {
    let date = scope.date()?;
    let algorithm = match signer.algorithm() {
        Algorithm::ES256 => "AWS4-X509-ECDSA-SHA256",
        Algorithm::RS256 => "AWS4-X509-RSA-SHA256",
    };
    let mut der = chain.der.iter().map(|one| BASE64.encode(one));
    put(request, "x-amz-date", &date)?;
    put(request, "x-amz-x509", &der.next().unwrap_or_default())?;
    let rest: Vec<String> = der.collect();
    if !rest.is_empty() {
        put(request, "x-amz-x509-chain", &rest.join(","))?;
    }
    let mut extra = vec![("host".to_owned(), scope.host.to_owned())];
    let (to_sign, signed) = to_sign(request, algorithm, &date, scope, &mut extra);
    let signature = signer.sign_der(to_sign.as_bytes()).map_err(|error| Failure::Credential(error.to_string()))?;
    authorize(request, algorithm, &chain.serial, &scope.text(&date), &signed, &hex(&signature))
}

/// The text that is signed, and the names of the headers in it.
fn to_sign<B: AsRef<[u8]>>(
    request: &Request<B>,
    algorithm: &str,
    date: &str,
    scope: &Scope<'_>,
    headers: &mut Vec<(String, String)>,
) -> (String, String) {
    for (name, value) in request.headers() {
        let name = name.as_str();
        if name == "content-type" || name.starts_with("x-amz-") && !headers.iter().any(|(known, _)| known == name) {
            headers.push((name.to_owned(), value.to_str().unwrap_or_default().trim().to_owned()));
        }
    }
    headers.sort();
    let signed = headers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(";");
    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let mut query: Vec<&str> =
        request.uri().query().unwrap_or_default().split('&').filter(|one| !one.is_empty()).collect();
    query.sort_unstable();
    let body = hex(digest::digest(&digest::SHA256, request.body().as_ref()).as_ref());
    let canonical =
        format!("{}\n{}\n{}\n{lines}\n{signed}\n{body}", request.method(), request.uri().path(), query.join("&"));
    let hash = hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
    (format!("{algorithm}\n{date}\n{}\n{hash}", scope.text(date)), signed)
}

fn authorize<B>(
    request: &mut Request<B>,
    algorithm: &str,
    id: &str,
    scope: &str,
    signed: &str,
    signature: &str,
) -> Result<(), Failure> {
    let text = format!("{algorithm} Credential={id}/{scope}, SignedHeaders={signed}, Signature={signature}");
    request.headers_mut().insert(http::header::AUTHORIZATION, sensitive(text.as_bytes())?);
    Ok(())
}

fn put<B>(request: &mut Request<B>, name: &'static str, value: &str) -> Result<(), Failure> {
    let value = HeaderValue::from_str(value).map_err(|_| Failure::Settings("a value fits into no header".into()))?;
    request.headers_mut().insert(HeaderName::from_static(name), value);
    Ok(())
}

fn hmac_of(key: &[u8], text: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector "post-x-www-form-urlencoded" of AWS's Signature Version 4 test suite (aws-sig-v4-test-suite).
    #[test]
    fn the_vector_of_the_published_suite() {
        let mut request = Request::post("/")
            .header("content-type", "application/x-www-form-urlencoded")
            .body("Param1=value1")
            .unwrap();
        let secret = ["wJalrXUtnFEMI/K7MDENG", "+bPxRfiCYEXAMPLEKEY"].concat();
        let keys = Keys { id: "AKIDEXAMPLE", secret: &secret, session: None };
        let now_ms = "2015-08-30T12:36:00Z".parse::<jiff::Timestamp>().unwrap().as_millisecond();
        let scope = Scope { service: "service", region: "us-east-1", host: "example.amazonaws.com", now_ms };
        by_key(&mut request, &keys, &scope).unwrap();
        let said = request.headers()["authorization"].to_str().unwrap();
        assert_eq!(
            said,
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
             SignedHeaders=content-type;host;x-amz-date, \
             Signature=ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"
        );
    }
}
