//! SARIF 2.1.0, for code hosts and editors.
//! <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>
//!
//! Owns the mapping. Regions are byte offsets as well as lines; no snippet, since it would be the secret.

use std::{collections::BTreeSet, os::unix::ffi::OsStrExt as _, path::Path};

use serde_json::{Value, json};

use super::Report;
use crate::detect::rule;

/// The report as a SARIF log.
pub fn log(report: &Report) -> Value {
    let kinds: BTreeSet<&str> = report.findings.iter().map(|finding| finding.kind).collect();
    let rules: Vec<Value> = kinds
        .iter()
        .map(|kind| {
            let help = rule::named(kind).and_then(|rule| rule.revoke).unwrap_or("https://github.com/hallpass/hallpass");
            json!({ "id": kind, "shortDescription": { "text": format!("A secret: {kind}") }, "helpUri": help })
        })
        .collect();
    let results: Vec<Value> = report
        .findings
        .iter()
        .map(|finding| {
            json!({
                "ruleId": finding.kind,
                "level": if finding.class == "certain" { "error" } else { "warning" },
                "message": { "text": format!("{}: {}", finding.kind, finding.why) },
                "partialFingerprints": { "hallpass/v1": finding.fingerprint },
                "locations": [{ "physicalLocation": {
                    "artifactLocation": { "uri": uri(&finding.path) },
                    "region": {
                        "startLine": finding.line,
                        "startColumn": finding.column,
                        "byteOffset": finding.start,
                        "byteLength": finding.end - finding.start,
                    },
                }}],
            })
        })
        .collect();
    json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "hallpass",
                "version": env!("CARGO_PKG_VERSION"),
                "informationUri": "https://github.com/hallpass/hallpass",
                "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

/// A path as a URI reference: relative ones stay so, an absolute one becomes a file URI.
fn uri(path: &Path) -> String {
    const PATH: &percent_encoding::AsciiSet =
        &percent_encoding::NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_').remove(b'~');
    let path = path.as_os_str().as_bytes();
    let encoded = percent_encoding::percent_encode(path.strip_prefix(b"./").unwrap_or(path), PATH).to_string();
    if path.starts_with(b"/") { format!("file://{encoded}") } else { encoded }
}
