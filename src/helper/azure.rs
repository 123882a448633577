//! Azure's managed identity as App Service has it: `IDENTITY_ENDPOINT` and `IDENTITY_HEADER`, api-version 2019-08-01
//! (learn.microsoft.com/azure/app-service/overview-managed-identity, REST endpoint reference).
//!
//! Owns its question, its answer and its errors. Azure's SDKs run no program of ours, so there is nothing else here.

use serde_json::json;
use zeroize::Zeroizing;

use super::{
    Output, bad,
    endpoint::{Given, Question},
    one_line,
};
use crate::{
    api::problem::Code,
    error::{Error, Result},
    principal::printable,
};

/// The version of the contract that is spoken here.
const VERSION: &str = "2019-08-01";

/// The answer where it is run as a program.
pub(super) fn answer() -> Output {
    Output::failed(&bad("Azure's SDKs run no helper; they ask an address").hint(
        "hallpass exec --helper azure:https://management.azure.com/ -- COMMAND sets IDENTITY_ENDPOINT and IDENTITY_HEADER",
    ))
}

/// What is asked for, and for which identity.
pub(super) fn question(query: &[(String, String)]) -> Result<(String, Option<String>)> {
    let found = |name: &str| {
        let mut all = query.iter().filter(|(known, _)| known == name).map(|(_, value)| value.clone());
        match (all.next(), all.next()) {
            (one, None) => Ok(one.filter(|value| !value.is_empty())),
            _ => Err(bad(format!("{name} comes twice"))),
        }
    };
    match found("api-version")? {
        Some(version) if version == VERSION => {}
        _ => return Err(bad(format!("this endpoint speaks api-version={VERSION}")).hint("use a current Azure SDK")),
    }
    let resource = found("resource")?.ok_or_else(|| bad("the query names no resource"))?;
    Ok((resource, found("client_id")?))
}

pub(super) fn token(question: &Question, given: &Given<'_>) -> Result<Zeroizing<String>> {
    // Whoever asks for another identity must not get this one.
    if let (Some(client), Some(own)) = (&question.client, given.username)
        && client != own
    {
        return Err(Error::new(
            Code::OutsideScope,
            format!("the entry for {} is not of the client {:?}", printable(&question.name), printable(client)),
        )
        .hint("hallpass helper list"));
    }
    let mut answer = json!({
        "access_token": given.secret,
        "expires_on": given.expires_ms.div_euclid(1000).to_string(),
        "resource": question.name,
        "token_type": "Bearer",
    });
    if let (Some(client), Some(members)) = (question.client.as_deref().or(given.username), answer.as_object_mut()) {
        members.insert("client_id".into(), client.into());
    }
    Ok(Zeroizing::new(answer.to_string()))
}

pub(super) fn problem(status: u16, error: &Error) -> String {
    json!({ "statusCode": status, "message": one_line(error), "code": error.code.word() }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &[(&str, &str)]) -> Vec<(String, String)> {
        text.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_documented_exchange() {
        let (name, client) =
            question(&pairs(&[("api-version", VERSION), ("resource", "https://vault.azure.net"), ("client_id", "c1")]))
                .unwrap();
        let question = Question { url: format!("resource:{name}"), name, client };
        let parts = std::collections::BTreeMap::new();
        let given = Given { secret: "T", username: Some("c1"), parts: &parts, expires_ms: 1_586_984_735_900 };
        let says: serde_json::Value = serde_json::from_str(&token(&question, &given).unwrap()).unwrap();
        assert_eq!(
            says,
            json!({ "access_token": "T", "expires_on": "1586984735", "resource": "https://vault.azure.net",
                "token_type": "Bearer", "client_id": "c1" })
        );
        let other = Given { username: Some("c2"), ..given };
        assert_eq!(token(&question, &other).unwrap_err().code, Code::OutsideScope);
        for odd in [
            &[("resource", "r")][..],
            &[("api-version", "2018-02-01"), ("resource", "r")],
            &[("api-version", VERSION)],
            &[("api-version", VERSION), ("resource", "r"), ("resource", "s")],
        ] {
            assert_eq!(super::question(&pairs(odd)).unwrap_err().code, Code::BadRequest, "{odd:?}");
        }
        let text = problem(403, &bad("no").hint("do"));
        assert!(text.contains("\"statusCode\":403") && text.contains("hallpass: no; do"), "{text}");
        assert!(answer().say.unwrap().contains("--helper azure:"));
    }
}
