//! The API over HTTP/1.1: reads a request, finds its handler, writes its answer.
//!
//! Owns limits, parsing and the two content types. Must never put a request's body, nor a parser's
//! message about it, into an answer or a log: both may hold a credential.

use std::rc::Rc;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    handler,
    state::{State, callers::Caller},
};
use crate::{
    api::{MAX_BODY, openapi, operations, problem::Code, problem::Problem},
    error::{Error, Result},
    http::{head::Fault, request_body::RequestBody},
};

/// An answer's body, ready to send.
pub struct Answer {
    status: StatusCode,
    content_type: &'static str,
    body: Bytes,
}

/// A request that was read whole.
pub struct Call {
    /// Its body; empty where it has none.
    body: Bytes,
}

impl Call {
    /// Reads the body as JSON of this shape.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.body).map_err(|e| unreadable(&e))
    }
}

/// Answers one request.
pub async fn answer(state: Rc<State>, caller: Rc<Caller>, request: Result<Request<RequestBody>>) -> Response<Full<Bytes>> {
    let answer = match request {
        Ok(request) => serve(&state, &caller, request).await,
        Err(error) => Err(error),
    };
    let answer = answer.unwrap_or_else(problem);
    let mut response = Response::new(Full::new(answer.body));
    *response.status_mut() = answer.status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(answer.content_type));
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    response
}

async fn serve(state: &Rc<State>, caller: &Caller, request: Request<RequestBody>) -> Result<Answer> {
    guard(request.headers())?;
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    if head.uri.query().is_some() {
        return Err(Error::new(Code::BadRequest, "the API takes no query parameters").hint("GET /v1/openapi.json"));
    }
    let parts: Vec<&str> = path.strip_prefix("/v1/").unwrap_or_default().split('/').collect();
    let call = Call { body: read(&head.headers, body).await? };
    route(state, caller, &head.method, &path, &parts, &call).await
}

/// The operations of `api::operations`, by method and path.
async fn route(
    state: &Rc<State>,
    caller: &Caller,
    method: &Method,
    path: &str,
    parts: &[&str],
    call: &Call,
) -> Result<Answer> {
    use handler::{
        adopt, approve, credential, env, grant, helper, issuer, lease, lock, mcp, mint, principal, quarantine, render,
        revoke_upstream, route, status, task, trust, watch,
    };
    match (method.as_str(), parts) {
        ("GET", ["ping"]) => json(&status::ping()),
        ("GET", ["status"]) => json(&status::status(state, caller).await?),
        ("GET", ["openapi.json"]) => Ok(Answer {
            status: StatusCode::OK,
            content_type: "application/json",
            body: Bytes::from_static(openapi::DOCUMENT.as_bytes()),
        }),

        ("GET", ["findings"]) => json(&watch::findings(state)),
        ("GET", ["watch"]) => json(&watch::show(state)),
        ("POST", ["watch"]) => json(&watch::add(state, caller, call.json()?)?),
        ("POST", ["watch", "remove"]) => json(&watch::remove(state, caller, call.json()?)?),
        ("POST", ["watch", "places"]) => json(&watch::places(state, caller, call.json()?)?),

        ("GET", ["adopt"]) => json(&adopt::list(state).await?),
        ("POST", ["adopt"]) => json(&adopt::adopt(state, caller, call.json()?).await?),
        ("POST", ["adopt", "undo"]) => json(&adopt::undo(state, caller, call.json()?).await?),
        ("GET", ["quarantine"]) => json(&quarantine::list(state).await?),
        ("POST", ["quarantine"]) => json(&quarantine::take(state, caller, call.json()?).await?),
        ("GET", ["quarantine", id]) => json(&quarantine::show(state, id).await?),
        ("GET", ["quarantine", id, "diff"]) => json(&quarantine::diff(state, id).await?),
        ("POST", ["quarantine", id, "restore"]) => json(&quarantine::restore(state, caller, id).await?),
        ("POST", ["quarantine", id, "purge"]) => json(&quarantine::purge(state, caller, id, call.json()?).await?),

        ("GET", ["credentials"]) => json(&credential::list(state)),
        ("POST", ["credentials"]) => json(&credential::add(state, caller, call.json()?).await?),
        ("GET", ["credentials", name]) => json(&credential::show(state, name)?),
        ("DELETE", ["credentials", name]) => json(&credential::remove(state, caller, name).await?),
        ("POST", ["credentials", name, "rotate"]) => {
            json(&credential::rotate(state, caller, name, call.json()?).await?)
        }
        ("POST", ["credentials", name, "rename"]) => {
            json(&credential::rename(state, caller, name, call.json()?).await?)
        }
        ("POST", ["credentials", name, "reveal"]) => {
            json(&credential::reveal(state, caller, name, call.json()?).await?)
        }
        ("POST", ["credentials", name, "revoke-upstream"]) => {
            json(&revoke_upstream::revoke(state, caller, name, call.json()?).await?)
        }
        ("POST", ["store", "lock"]) => json(&lock::lock(state, caller).await?),
        ("POST", ["store", "unlock"]) => json(&lock::unlock(state, caller, call.json()?).await?),

        ("GET", ["principals"]) => json(&principal::list(state)),
        ("POST", ["principals"]) => json(&principal::add(state, caller, call.json()?)?),
        ("GET", ["principals", name]) => json(&principal::show(state, name)?),
        ("POST", ["principals", name, "disable"]) => json(&principal::disable(state, caller, name)?),
        ("POST", ["principals", name, "enable"]) => json(&principal::enable(state, caller, name)?),
        ("DELETE", ["principals", name]) => json(&principal::remove(state, caller, name)?),

        ("GET", ["grants"]) => json(&grant::list(state)),
        ("POST", ["grants"]) => json(&grant::add(state, caller, call.json()?)?),
        ("DELETE", ["grants", id]) => json(&grant::remove(state, caller, id)?),
        ("POST", ["grants", "explain"]) => json(&grant::explain(state, caller, call.json()?)?),

        ("GET", ["issuers"]) => json(&issuer::list(state)),
        ("POST", ["issuers"]) => json(&issuer::add(state, caller, call.json()?)?),
        ("GET", ["issuers", name]) => json(&issuer::show(state, name)?),
        ("DELETE", ["issuers", name]) => json(&issuer::remove(state, caller, name).await?),

        ("GET", ["routes"]) => json(&route::list(state)),
        ("POST", ["routes"]) => json(&route::add(state, caller, call.json()?)?),
        ("GET", ["routes", name]) => json(&route::show(state, name)?),
        ("DELETE", ["routes", name]) => json(&route::remove(state, caller, name)?),

        ("GET", ["helpers"]) => json(&helper::list(state)),
        ("POST", ["helpers"]) => json(&helper::add(state, caller, call.json()?)?),
        ("POST", ["helpers", "remove"]) => json(&helper::remove(state, caller, call.json()?)?),
        ("POST", ["helper"]) => json(&helper::give(state, caller, call.json()?).await?),

        ("GET", ["renders"]) => json(&render::list(state)),
        ("POST", ["renders"]) => json(&render::add(state, caller, call.json()?).await?),
        ("GET", ["renders", name]) => json(&render::show(state, name)?),
        ("DELETE", ["renders", name]) => json(&render::remove(state, caller, name).await?),
        ("POST", ["renders", name, "renew"]) => json(&render::renew(state, caller, name).await?),
        ("GET", ["mcp"]) => json(&mcp::list(state)?),
        ("POST", ["mcp"]) => json(&mcp::add(state, caller, call.json()?)?),
        ("GET", ["mcp", name]) => json(&mcp::show(state, name)?),
        ("DELETE", ["mcp", name]) => json(&mcp::remove(state, caller, name)?),

        ("GET", ["tasks"]) => json(&task::list(state)?),
        ("POST", ["tasks"]) => json(&task::start(state, caller, call.json()?)?),
        ("GET", ["tasks", id]) => json(&task::show(state, id)?),
        ("POST", ["tasks", id, "end"]) => json(&task::end(state, caller, id)?),

        ("POST", ["mint"]) => json(&mint::mint(state, caller, call.json()?).await?),
        ("GET", ["leases"]) => json(&lease::list(state)?),
        ("GET", ["leases", id]) => json(&lease::show(state, id)?),
        ("POST", ["leases", id, "revoke"]) => json(&lease::revoke(state, caller, id)?),
        ("POST", ["revoke"]) => json(&lease::revoke_token(state, call.json()?)?),

        ("GET", ["approvals"]) => json(&approve::list(state)),
        ("POST", ["approvals", id, "approve"]) => json(&approve::approve(state, caller, id)?),
        ("POST", ["approvals", id, "deny"]) => json(&approve::deny(state, caller, id)?),

        ("POST", ["env"]) => json(&env::open(state, caller, call.json()?).await?),
        ("POST", ["trust"]) => json(&trust::trust(state, caller, call.json()?)?),
        _ => Err(no_operation(path)),
    }
}

fn json<T: Serialize>(value: &T) -> Result<Answer> {
    let body = serde_json::to_vec(value).map_err(|_| Error::internal("an answer could not be written as JSON"))?;
    Ok(Answer { status: StatusCode::OK, content_type: "application/json", body: body.into() })
}

fn problem(error: Error) -> Answer {
    let problem = Problem::from(error);
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = serde_json::to_vec(&problem).unwrap_or_default();
    Answer { status, content_type: "application/problem+json", body: body.into() }
}

/// Nothing that a browser would send belongs on this socket; a proxy that bridges it to TCP would
/// otherwise open it to every web page.
fn guard(headers: &HeaderMap) -> Result<()> {
    let foreign = ["origin", "referer", "sec-fetch-site", "cookie", "x-forwarded-for", "forwarded"];
    match foreign.iter().find(|name| headers.contains_key(**name)) {
        Some(name) => Err(Error::new(Code::Browser, format!("a request with {name} is not answered here"))
            .hint("the API is for local programs; remove what puts that header on the request")),
        None => Ok(()),
    }
}

async fn read(headers: &HeaderMap, body: RequestBody) -> Result<Bytes> {
    let bytes = match Limited::new(body, MAX_BODY).collect().await {
        Ok(collected) => collected.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => {
            return Err(Error::new(Code::TooLarge, format!("a request to the API may be {MAX_BODY} bytes long"))
                .hint("send a smaller one"));
        }
        Err(error) => {
            let broken = || Error::new(Code::BadRequest, "the request's body broke off");
            return Err(error.downcast_ref::<Fault>().map_or_else(broken, |fault| fault.clone().into()));
        }
    };
    let media = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("application/json");
    let media = media.split(';').next().unwrap_or_default().trim();
    // A form that a web page could post without asking first is never JSON by name.
    if !bytes.is_empty() && !media.eq_ignore_ascii_case("application/json") {
        return Err(Error::new(Code::UnsupportedMediaType, "the body must be application/json")
            .hint("curl: -H 'content-type: application/json' --data @-"));
    }
    Ok(bytes)
}

fn no_operation(path: &str) -> Error {
    let fits = |pattern: &str| {
        let (mut a, mut b) = (pattern.split('/'), path.split('/'));
        loop {
            match (a.next(), b.next()) {
                (None, None) => return true,
                (Some(x), Some(y)) if x == y || (x.starts_with('{') && !y.is_empty()) => {}
                _ => return false,
            }
        }
    };
    let methods: Vec<&str> = operations::ALL.iter().filter(|op| fits(op.path)).map(|op| op.method).collect();
    if methods.is_empty() {
        Error::new(Code::NotFound, "there is no such path").hint("GET /v1/openapi.json lists them all")
    } else {
        Error::new(Code::MethodNotAllowed, format!("this path takes {}", methods.join(", ")))
            .hint("GET /v1/openapi.json lists them all")
    }
}

/// What may be said of a body that could not be read: where, and which member, but never a value.
fn unreadable(error: &serde_json::Error) -> Error {
    let text = error.to_string();
    let what = ["unknown field `", "missing field `", "duplicate field `"]
        .into_iter()
        .find(|start| text.starts_with(start))
        .and_then(|_| text.split('`').nth(1).filter(|name| is_word(name)).map(|name| (text.split(' ').next(), name)))
        .map(|(word, name)| format!("{} member {name:?}", word.unwrap_or("odd")));
    let (code, what) = match (error.classify(), what) {
        (_, Some(what)) => (Code::BadRequest, what),
        (serde_json::error::Category::Data, None) => (Code::InvalidValue, "a value of the wrong type or form".into()),
        (_, None) => (Code::BadRequest, "it is not JSON".into()),
    };
    Error::new(code, format!("the body cannot be read: {what} (line {}, column {})", error.line(), error.column()))
        .hint("GET /v1/openapi.json says what each operation takes")
}

/// Only what looks like a member's name is repeated: a key pasted in its place does not.
fn is_word(name: &str) -> bool {
    name.len() <= 24 && name.chars().all(|c| c.is_ascii_lowercase() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{credential::AddCredential, lease::Mint};

    #[test]
    fn an_unreadable_body_is_told_without_its_values() {
        let call = |text: &str| Call { body: Bytes::copy_from_slice(text.as_bytes()) };
        let secret = "canary-4711";
        for text in [
            format!("{{\"name\": \"x\", \"value\": [\"{secret}\"]}}"),
            format!("{{\"name\": \"x\", \"{secret}\": 1"),
            format!("\"{secret}\""),
            secret.to_owned(),
        ] {
            let error = call(&text).json::<AddCredential>().unwrap_err();
            assert!(!error.to_string().contains(secret), "{error}");
        }
        let error = call(r#"{"what":"github:x","oops":1}"#).json::<Mint>().unwrap_err();
        assert_eq!(error.code, Code::InvalidValue);
        let error = call(r#"{"oops":1}"#).json::<Mint>().unwrap_err();
        assert!(error.to_string().contains("unknown member \"oops\""), "{error}");
    }

    #[test]
    fn a_wrong_method_is_told_from_a_wrong_path() {
        assert_eq!(no_operation("/v1/ping").code, Code::MethodNotAllowed);
        assert_eq!(no_operation("/v1/tasks/x/end").code, Code::MethodNotAllowed);
        assert_eq!(no_operation("/v1/tasks/x/stop").code, Code::NotFound);
        assert_eq!(no_operation("/").code, Code::NotFound);
    }
}
