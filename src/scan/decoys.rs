//! The decoys that a scan leaves alone: each in its own file, and nowhere else.
//!
//! Owns reading the daemon's list. It holds fingerprints and paths, so a scan needs no daemon to know them.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::Report;
use crate::paths::Paths;

/// A line of the list.
#[derive(Debug, Serialize, Deserialize)]
pub struct Line {
    /// The decoy's keyed hash.
    pub fingerprint: String,
    /// The file that it belongs to, behind every link.
    pub path: String,
}

/// Takes the decoys out of a report; one that stands in another file stays in it.
pub fn leave_out(paths: &Paths, report: &mut Report) {
    let text = std::fs::read_to_string(paths.decoys()).unwrap_or_default();
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok());
    let known: BTreeSet<(String, PathBuf)> = lines.map(|line| (line.fingerprint, line.path.into())).collect();
    if known.is_empty() {
        return;
    }
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    report.findings.retain(|finding| !known.contains(&(finding.fingerprint.clone(), real(&finding.path))));
}
