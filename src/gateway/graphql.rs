//! GraphQL bodies: the rule "queries only".
//!
//! Owns the reading of a GraphQL request (the de-facto GraphQL-over-HTTP JSON form). Judged by the
//! document itself: `operationName` is no ground, so each operation in it must be a query.

use async_graphql_parser::{parse_query, types::OperationType};
use serde::Deserialize;

use crate::{api::problem::Code, error::Error};

/// Members of a request; any other (a persisted document's id, for example) is refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "named so that nothing else is taken")]
struct Request {
    query: String,
    #[serde(default, rename = "operationName")]
    operation_name: serde::de::IgnoredAny,
    #[serde(default)]
    variables: serde::de::IgnoredAny,
}

/// Holds a body to "queries only".
pub(super) fn require_queries(body: &[u8]) -> Result<(), Error> {
    // serde would also read a struct from an array.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(refused("the body is not one GraphQL request (batches are not judged)"));
    }
    let request: Request = serde_json::from_slice(body).map_err(|_| {
        refused("the body is not a plain GraphQL request with `query`, and at most `operationName` and `variables`")
    })?;
    let document = parse_query(&request.query).map_err(|_| refused("the GraphQL document does not parse"))?;
    let mut operations = document.operations.iter();
    if operations.any(|(_, operation)| operation.node.ty != OperationType::Query) {
        return Err(refused("this scope allows GraphQL queries only, no mutation and no subscription"));
    }
    Ok(())
}

fn refused(why: &str) -> Error {
    Error::new(Code::OutsideScope, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_only() {
        let judge = |body: &str| require_queries(body.as_bytes()).is_ok();
        assert!(judge(r#"{"query":"{ viewer { id } }"}"#));
        assert!(judge(
            r#"{"query":"query A($n: Int = 1) { a(first: $n) { ...F } } fragment F on B { c }","variables":{"n":2},"operationName":"A"}"#
        ));
        for body in [
            r#"{"query":"mutation { a }"}"#,
            r#"{"query":"subscription { a }"}"#,
            r#"{"query":"query A { a } mutation B { b }","operationName":"A"}"#,
            r#"{"query":"{ a }","query":"mutation { a }"}"#,
            r#"{"\u0071uery":"{ a }","query":"mutation { a }"}"#,
            // What ends a comment or a block string there must end it here.
            r#"{"query":"query A { a } #\rmutation B { b }","operationName":"B"}"#,
            r#"{"query":"query A { a } #\nmutation B { b }","operationName":"B"}"#,
            r#"{"query":"query A { a(x: \"\"\"\\\"\"\"\"\"\") } mutation B { b(x: \"\"\"\"\"\") }","operationName":"B"}"#,
            r#"{"query":"query A { a(x: \"\"\"\\\\\"\"\") } mutation B { b(x: \"\"\"\"\"\") }","operationName":"B"}"#,
            r#"{"query":"{ a }","id":"x"}"#,
            r#"{"query":"{ a }","Query":"mutation { a }"}"#,
            r#"{"query":"{ a }","extensions":{"persistedQuery":{"sha256Hash":"x"}}}"#,
            r#"[{"query":"{ a }"}]"#,
            r#"["{ a }"]"#,
            r#"{"extensions":{}}"#,
            r#"{"query":"{ a"}"#,
            r#"{"query":""}"#,
            r#"{"query":null}"#,
            "",
        ] {
            assert!(!judge(body), "{body} was taken");
        }
        let deep = format!(r#"{{"query":"{}a{}"}}"#, "{ a ".repeat(5000), "}".repeat(5000));
        assert!(!judge(&deep));
    }
}
