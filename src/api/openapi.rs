//! The OpenAPI 3.1 document, generated from the wire types.
//!
//! Owns `openapi.json` beside this file: it is served as it is, and a test fails when it is not what
//! the types generate (`HALLPASS_WRITE_OPENAPI=1 cargo test openapi` writes it).

use serde_json::{Map, Value, json};

use super::{operations, problem::Problem};

/// The document as it is served.
pub const DOCUMENT: &str = include_str!("openapi.json");

/// Generates the document.
pub fn generate() -> Value {
    let mut settings = schemars::generate::SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    let mut generator = settings.into_generator();
    let problem = generator.subschema_for::<Problem>();
    let mut paths: Map<String, Value> = Map::new();
    for operation in operations::ALL {
        let answer = (operation.response)(&mut generator);
        let mut entry = json!({
            "operationId": operation.id,
            "summary": operation.summary,
            "responses": {
                "200": { "description": "Done.", "content": { "application/json": { "schema": answer } } },
                "default": { "description": "An RFC 9457 problem document.",
                    "content": { "application/problem+json": { "schema": problem } } },
            },
        });
        let parameters: Vec<Value> = parts(operation.path)
            .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
            .collect();
        if let Some(members) = entry.as_object_mut() {
            if !parameters.is_empty() {
                members.insert("parameters".into(), parameters.into());
            }
            if let Some(request) = operation.request {
                let schema = request(&mut generator);
                members.insert(
                    "requestBody".into(),
                    json!({ "required": true, "content": { "application/json": { "schema": schema } } }),
                );
            }
        }
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        if let Some(methods) = path.as_object_mut() {
            methods.insert(operation.method.to_ascii_lowercase(), entry);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "hallpass",
            "version": "1",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
            "description": "The local API of the hallpass daemon, over a Unix socket that only its own user may open.",
        },
        "servers": [{ "url": "http://localhost", "description": "curl --unix-socket PATH http://localhost/v1/ping" }],
        "paths": paths,
        "components": { "schemas": generator.take_definitions(true) },
    })
}

fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_checked_in_openapi_document_is_what_the_types_say() {
        let text = serde_json::to_string_pretty(&super::generate()).unwrap() + "\n";
        if std::env::var_os("HALLPASS_WRITE_OPENAPI").is_some() {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/api/openapi.json");
            std::fs::write(path, &text).unwrap();
            return;
        }
        assert!(text == super::DOCUMENT, "run HALLPASS_WRITE_OPENAPI=1 cargo test openapi, and look at the difference");
    }
}
