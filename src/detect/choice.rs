//! What wins where findings overlap.
//!
//! Owns that order: the surer class, then the issuer's mark, then the issuer's name, then the generic kinds; then the
//! longer value and the longer mark.

use std::{collections::BTreeMap, ops::Range};

use super::{Class, Finding, parse::Document};

/// What saw the value; the later, the more it says of whose it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Seen {
    /// By a name that says secret.
    Generic,
    /// By a format with hardly a mark: a JWT says not whose token it is.
    Shape,
    /// By a name that says whose it is, and the issuer's format.
    Name,
    /// By the issuer's format, with a mark.
    Mark,
}

/// A finding before the choice.
pub(super) struct Candidate {
    pub span: Range<usize>,
    pub kind: &'static str,
    pub class: Class,
    pub name: Option<u32>,
    pub why: &'static str,
    pub seen: Seen,
    /// How much of the format is literal, in bytes.
    pub mark: usize,
}

impl Candidate {
    fn rank(&self) -> (Class, Seen, usize, usize) {
        (self.class, self.seen, self.span.len(), self.mark)
    }
}

/// The best first; what overlaps a better one is dropped.
pub(super) fn choose(mut found: Vec<Candidate>, bytes: &[u8], document: &Document) -> Vec<Finding> {
    found.sort_by(|a, b| b.rank().cmp(&a.rank()).then(a.span.start.cmp(&b.span.start)));
    let mut taken: BTreeMap<usize, usize> = BTreeMap::new();
    let mut findings = Vec::new();
    for candidate in found {
        let before = taken.range(..candidate.span.end).next_back();
        if before.is_some_and(|(_, end)| *end > candidate.span.start) {
            continue;
        }
        taken.insert(candidate.span.start, candidate.span.end);
        findings.push(Finding {
            span: candidate.span,
            kind: candidate.kind,
            class: candidate.class,
            key: candidate.name.map(|name| document.path(bytes, Some(name))),
            why: candidate.why,
        });
    }
    findings.sort_by_key(|finding| finding.span.start);
    findings
}
