//! Precision and recall of the detection engine on the labelled set in `tests/detect`, and the aims on it.
//!
//! `HALLPASS_LABELLED_SET=FOLDER` also writes the set there, with its labels, for `benches/compare/detect.py`.
//! `HALLPASS_CASES=untuned-d` scores only the files of that name, against no aim. Mistakes are told of the cases that the
//! engine may be tuned on, and of no other.

use std::{collections::BTreeMap, fmt::Write as _, fs, ops::Range, path::Path};

use hallpass::detect::{Class, Detector, Finding};

use crate::made_up::{Random, expand};

/// The tier of a file without a secret.
const CLEAN: &str = "clean";
/// Each file is made up so often, with other values each time: luck shows.
const ROUNDS: u64 = 3;

struct Case {
    tier: String,
    path: String,
    text: String,
    secrets: Vec<Range<usize>>,
    /// Where it stands, for a person.
    place: String,
    /// Nobody looked at it to make the engine better.
    untuned: bool,
}

#[test]
fn the_labelled_set_is_found() {
    let detector = Detector::new();
    let mut tiers: BTreeMap<(bool, String), Tally> = BTreeMap::new();
    let mut files: BTreeMap<(bool, String), Tally> = BTreeMap::new();
    let mut all = Tally::default();
    let mut mistakes = String::new();
    let wanted = std::env::var("HALLPASS_CASES").ok();
    for round in 0..ROUNDS {
        let cases = cases(round, wanted.as_deref().unwrap_or_default());
        if round == 0 && wanted.is_none() {
            let clean = cases.iter().filter(|case| case.tier == CLEAN).count();
            assert!(clean >= 150 && cases.len() - clean >= 250, "{clean} clean files of {}", cases.len());
            if let Some(folder) = std::env::var_os("HALLPASS_LABELLED_SET") {
                write_out(Path::new(&folder), &cases);
            }
        }
        for case in &cases {
            let found = detector.scan(&case.path, case.text.as_bytes());
            all.count(case, &found);
            tiers.entry((case.untuned, case.tier.clone())).or_default().count(case, &found);
            tiers.entry((case.untuned, "~ all".to_owned())).or_default().count(case, &found);
            let file = case.place.split(':').next().unwrap_or_default();
            files.entry((case.untuned, file.to_owned())).or_default().count(case, &found);
            if !case.untuned {
                explain(case, &found, &mut mistakes);
            }
        }
    }
    for ((untuned, name), tally) in tiers.iter().chain(&files) {
        println!("{} {name:<14} {}", if *untuned { "untuned" } else { "tuned  " }, tally.row());
    }
    println!("        {:<14} {}\n{mistakes}", "all", all.row());
    if wanted.is_some() {
        return;
    }
    assert!(all.precision() >= 0.985, "precision {:.4}", all.precision());
    assert!(all.recall() >= 0.95, "recall {:.4}", all.recall());
    assert!(all.exact() >= 0.95, "exact spans {:.4}", all.exact());
    assert!(all.certain() >= 0.995, "precision of `certain` {:.4}", all.certain());
}

/// What was found of how much.
#[derive(Default)]
struct Tally {
    files_with: u32,
    files_found: u32,
    files_clean: u32,
    files_false: u32,
    secrets: u32,
    exact: u32,
    extra: u32,
    certain: u32,
    certain_right: u32,
}

impl Tally {
    fn count(&mut self, case: &Case, found: &[Finding]) {
        let right = |finding: &Finding| case.secrets.iter().any(|secret| overlap(secret, &finding.span));
        if case.secrets.is_empty() {
            self.files_clean += 1;
            self.files_false += u32::from(!found.is_empty());
        } else {
            self.files_with += 1;
            self.files_found += u32::from(found.iter().any(right));
        }
        self.secrets += case.secrets.len() as u32;
        self.exact += case.secrets.iter().filter(|secret| found.iter().any(|f| f.span == **secret)).count() as u32;
        self.extra += found.iter().filter(|finding| !right(finding)).count() as u32;
        let certain = || found.iter().filter(|finding| finding.class == Class::Certain);
        self.certain += certain().count() as u32;
        self.certain_right += certain().filter(|finding| right(finding)).count() as u32;
    }

    fn precision(&self) -> f64 {
        share(self.files_found, self.files_found + self.files_false)
    }

    fn recall(&self) -> f64 {
        share(self.files_found, self.files_with)
    }

    fn exact(&self) -> f64 {
        share(self.exact, self.secrets)
    }

    fn certain(&self) -> f64 {
        share(self.certain_right, self.certain)
    }

    fn row(&self) -> String {
        format!(
            "precision {:.3}  recall {:.3}  exact {:.3}  certain {:.3}  ({} files with, {} found; {} clean, {} false; {} extra)",
            self.precision(),
            self.recall(),
            self.exact(),
            self.certain(),
            self.files_with,
            self.files_found,
            self.files_clean,
            self.files_false,
            self.extra
        )
    }
}

fn share(part: u32, whole: u32) -> f64 {
    if whole == 0 { 1.0 } else { f64::from(part) / f64::from(whole) }
}

fn overlap(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.start < b.end && b.start < a.end
}

fn explain(case: &Case, found: &[Finding], to: &mut String) {
    let text = |span: &Range<usize>| String::from_utf8_lossy(&case.text.as_bytes()[span.clone()]).into_owned();
    for secret in case.secrets.iter().filter(|secret| !found.iter().any(|finding| finding.span == **secret)) {
        let near: Vec<_> = found.iter().filter(|f| overlap(secret, &f.span)).map(|f| (f.kind, text(&f.span))).collect();
        writeln!(to, "{} {} {}: not exact: {}; instead {near:?}", case.place, case.tier, case.path, text(secret))
            .unwrap();
    }
    for finding in found.iter().filter(|f| !case.secrets.iter().any(|secret| overlap(secret, &f.span))) {
        let (kind, class) = (finding.kind, finding.class);
        writeln!(to, "{} {} {}: false: {kind} {class:?} {}", case.place, case.tier, case.path, text(&finding.span))
            .unwrap();
    }
}

/// The cases of `tests/detect/*.txt`, in the form that its README describes, of the files whose name begins so.
fn cases(round: u64, wanted: &str) -> Vec<Case> {
    let mut paths: Vec<_> = fs::read_dir("tests/detect").unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "txt"));
    paths.sort();
    let mut cases = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        let file = path.file_name().unwrap().to_string_lossy();
        if !file.starts_with(wanted) {
            continue;
        }
        let mut line = 1;
        for (n, part) in text.split("\n=== ").enumerate() {
            let place = format!("{file}:{line}");
            line += part.matches('\n').count() + 1;
            if n == 0 {
                continue;
            }
            let (head, body) = part.split_once('\n').unwrap_or((part, ""));
            let (tier, path) = head.split_once(' ').unwrap();
            let body = format!("{}\n", body.trim_end_matches('\n'));
            let made = expand(&body, None, &mut Random::of(&body, round * 1000 + n as u64));
            assert_eq!(made.values.is_empty(), tier == CLEAN, "{place}: marks and tier {tier} do not fit");
            let (tier, path) = (tier.to_owned(), path.to_owned());
            let untuned = file.starts_with("untuned") && n % 2 == 1;
            cases.push(Case { tier, path, text: made.text, secrets: made.values, place, untuned });
        }
    }
    cases
}

/// The files, each in a folder of its own, and `labels.json`.
fn write_out(folder: &Path, cases: &[Case]) {
    let mut labels = Vec::new();
    for (n, case) in cases.iter().enumerate() {
        let path = format!("{n:03}/{}", case.path.trim_start_matches('/'));
        let file = folder.join("files").join(&path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, &case.text).unwrap();
        let secrets: Vec<[usize; 2]> = case.secrets.iter().map(|s| [s.start, s.end]).collect();
        labels.push(serde_json::json!({ "path": path, "tier": case.tier, "secrets": secrets }));
    }
    fs::write(folder.join("labels.json"), serde_json::to_vec(&labels).unwrap()).unwrap();
}
