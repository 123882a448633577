//! Baselines: the findings that are known, so that only new ones are told.
//!
//! Owns the file. It holds paths, kinds and fingerprints, and no secret; the fingerprints are this machine's.

use std::{collections::BTreeSet, path::Path};

use serde::{Deserialize, Serialize};

use super::{Report, Reported};
use crate::{
    api::problem::Code,
    error::{Error, Result},
};

const MAX_FILE: u64 = 64 * 1024 * 1024;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Baseline {
    version: u32,
    findings: BTreeSet<Known>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    path: String,
    kind: String,
    fingerprint: String,
}

/// Takes the findings out of the report that the baseline knows.
///
/// # Errors
/// There is no such file, or it is no baseline.
pub fn apply(file: &Path, report: &mut Report) -> Result<()> {
    let place = file.display();
    let text = crate::config::read_file(file, MAX_FILE)?.ok_or_else(|| {
        Error::new(Code::NotFound, format!("there is no baseline {place}"))
            .hint(format!("`hallpass scan --write-baseline {place}` makes one of what is found now"))
    })?;
    let baseline: Baseline = serde_json::from_str(&text).map_err(|e| {
        Error::new(Code::InvalidValue, format!("{place} is no baseline: line {}, column {}", e.line(), e.column()))
            .hint(format!("`hallpass scan --write-baseline {place}` makes a new one"))
    })?;
    let before = report.findings.len();
    report.findings.retain(|finding| !baseline.findings.contains(&known(file, finding)));
    report.allowed += (before - report.findings.len()) as u64;
    Ok(())
}

/// Writes the report's findings as a baseline.
///
/// # Errors
/// The file cannot be written.
pub fn write(file: &Path, report: &Report) -> Result<()> {
    let findings = report.findings.iter().map(|finding| known(file, finding)).collect();
    let text = serde_json::to_string_pretty(&Baseline { version: 1, findings })
        .map_err(|_| Error::internal("a baseline could not be written as JSON"))?;
    std::fs::write(file, text + "\n")
        .map_err(|e| Error::new(Code::Io, format!("{} cannot be written: {e}", file.display())))
}

/// Paths are relative to the baseline's folder, so that a checkout can be moved.
fn known(file: &Path, finding: &Reported) -> Known {
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let (file, path) = (absolute(file), absolute(&finding.path));
    let path = file.parent().and_then(|folder| path.strip_prefix(folder).ok()).unwrap_or(&path);
    Known {
        path: path.to_string_lossy().into_owned(),
        kind: finding.kind.to_owned(),
        fingerprint: finding.fingerprint.clone(),
    }
}
