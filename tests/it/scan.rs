//! `hallpass scan` as a person or a script runs it: exit codes, forms of output, what may stay, and bad files.

use std::{fs, path::Path};

use serde_json::Value;

use crate::{
    made_up::{Random, expand},
    support::{Home, Ran, random, run},
};

/// A GitHub token with a right checksum, not the same twice; no output of hallpass may hold it.
pub fn token() -> String {
    let token = expand("ghp_<alnum:30><seal:base62-crc32>", None, &mut Random::of(&random(), 0));
    // The template has no mark, so the seal is made for all of it.
    crate::canary::watch(&token.text);
    token.text
}

/// A home with a folder `tree`, in which the scans run.
struct Tree(Home);

impl Tree {
    fn new() -> Self {
        let home = Home::new("");
        fs::create_dir(home.path().join("tree")).unwrap();
        Self(home)
    }

    fn path(&self) -> std::path::PathBuf {
        self.0.path().join("tree")
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> &Self {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    fn scan(&self, arguments: &str) -> Ran {
        let mut command = self.0.command(["scan"]);
        command.args(arguments.split_whitespace()).current_dir(self.path());
        run(command, b"")
    }

    /// The findings of a scan, as JSON.
    fn found(&self, arguments: &str) -> Vec<Value> {
        findings(&self.scan(&format!("{arguments} --json")))
    }
}

pub fn findings(ran: &Ran) -> Vec<Value> {
    assert!([0, 1, 5].contains(&ran.code()), "{}", ran.err());
    ran.out().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn exit_codes_tell_the_result() {
    let tree = Tree::new();
    tree.write("clean.env", "PORT=3000\n").write("bad.env", format!("GITHUB_TOKEN={}\n", token()));
    for (arguments, code) in [
        ("clean.env", 0),
        ("bad.env", 5),
        (".", 5),
        ("clean.env missing.env", 1),
        ("bad.env missing.env", 5),
        ("missing", 1),
        (". --staged", 2),
        ("--json --sarif .", 2),
    ] {
        for form in ["", " --json"] {
            if form.is_empty() || code != 2 {
                let ran = tree.scan(&format!("{arguments}{form}"));
                assert_eq!(ran.code(), code, "{arguments}{form}: {}{}", ran.out(), ran.err());
                assert_eq!(ran.err().contains("missing"), arguments.contains("missing"), "{}", ran.err());
            }
        }
    }
}

#[test]
fn without_a_path_and_without_a_known_place_it_says_what_to_do() {
    let tree = Tree::new();
    let mut command = tree.0.command(["--json", "scan"]);
    command.env("HOME", tree.path());
    let ran = run(command, b"");
    let problem: Value = serde_json::from_str(&ran.err()).unwrap();
    assert_eq!(problem["code"], "not_found", "{problem}");
    assert!(problem["hint"].as_str().unwrap().contains("hallpass scan ."), "{problem}");
}

#[test]
fn a_finding_says_where_and_what_and_never_the_secret() {
    let tree = Tree::new();
    let token = token();
    let text = format!("# größe\nA=1\nä = 'ü'; GITHUB_TOKEN={token}\n");
    tree.write("a/.env", &text).write("b/.env", format!("OTHER={token}"));
    let found = tree.found(".");
    assert_eq!(found.len(), 2, "{found:?}");
    let start = text.find(&token).unwrap();
    let first = &found[0];
    assert_eq!(first["path"], "./a/.env");
    assert_eq!(
        (first["start"].as_u64(), first["end"].as_u64()),
        (Some(start as u64), Some((start + token.len()) as u64))
    );
    assert_eq!((first["line"].as_u64(), first["column"].as_u64()), (Some(3), Some(23)));
    assert_eq!(
        (first["kind"].as_str(), first["class"].as_str()),
        (Some("github-personal-access-token"), Some("certain"))
    );
    assert_eq!(first["revoke"], "https://github.com/settings/tokens");
    assert_eq!(found[1]["key"], "OTHER");
    // The same secret has the same fingerprint, now and later, and another home has another.
    assert_eq!(first["fingerprint"], found[1]["fingerprint"]);
    assert_eq!(
        tree.found("a"),
        vec![{
            let mut other = first.clone();
            other["path"] = "a/.env".into();
            other
        }]
    );
    let elsewhere = Tree::new();
    elsewhere.write(".env", format!("OTHER={token}"));
    assert_ne!(elsewhere.found(".")[0]["fingerprint"], first["fingerprint"]);
    // Nor does what a person reads hold it; `support::run` watches all output.
    let ran = tree.scan(".");
    assert!(ran.out().contains("2 secrets found"), "{}", ran.out());
    assert!(!ran.out().contains(&token) && !ran.err().contains(&token));
}

#[test]
fn paths_that_lead_to_one_file_tell_it_once() {
    let tree = Tree::new();
    tree.write("a/.env", format!("T={}", token()));
    std::os::unix::fs::symlink("a/.env", tree.path().join("link")).unwrap();
    assert_eq!(tree.found(". a a/.env link").len(), 1);
    assert_eq!(tree.found("link").len(), 1, "a named link is followed");
}

#[test]
fn certain_leaves_out_what_is_likely() {
    let tree = Tree::new();
    tree.write(".env", format!("SESSION_SECRET={}\nT={}\n", random(), token()));
    assert_eq!(tree.found(".").len(), 2);
    assert_eq!(tree.found(". --certain").len(), 1);
    tree.write(".env", format!("SESSION_SECRET={}\n", random()));
    assert_eq!(tree.scan(". --certain").code(), 0);
}

#[test]
fn sarif_has_what_code_hosts_read() {
    let tree = Tree::new();
    let token = token();
    tree.write("a b/.env", format!("A=1\nT={token}\n")).write("x.env", format!("SESSION_SECRET={}\n", random()));
    let ran = tree.scan(". --sarif");
    assert_eq!(ran.code(), 5);
    let log: Value = serde_json::from_str(&ran.out()).unwrap();
    assert_eq!(log["version"], "2.1.0");
    assert!(log["$schema"].as_str().unwrap().ends_with("sarif-schema-2.1.0.json"));
    let run = &log["runs"][0];
    assert_eq!(run["tool"]["driver"]["name"], "hallpass");
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), 2);
    let rules: Vec<&str> =
        run["tool"]["driver"]["rules"].as_array().unwrap().iter().map(|rule| rule["id"].as_str().unwrap()).collect();
    for result in results {
        assert!(rules.contains(&result["ruleId"].as_str().unwrap()));
        assert!(result["message"]["text"].is_string() && result["partialFingerprints"].is_object());
        let region = &result["locations"][0]["physicalLocation"]["region"];
        assert!(["startLine", "startColumn", "byteOffset", "byteLength"].iter().all(|name| region[name].is_u64()));
    }
    assert_eq!(results[0]["level"], "error");
    assert_eq!(results[1]["level"], "warning");
    let place = &results[0]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "a%20b/.env");
    assert_eq!(place["region"]["startLine"], 2);
    assert_eq!(place["region"]["byteLength"], token.len());
    assert!(!ran.out().contains(&token));
    let clean: Value = serde_json::from_str(&tree.write("clean", "x").scan("clean --sarif").ok()).unwrap();
    assert_eq!(clean["runs"][0]["results"], Value::Array(Vec::new()));
}

#[test]
fn a_baseline_leaves_only_what_is_new() {
    let tree = Tree::new();
    let old = token();
    tree.write(".env", format!("T={old}\n"));
    tree.scan(". --write-baseline known.json").ok();
    assert!(!fs::read_to_string(tree.path().join("known.json")).unwrap().contains(&old));
    assert_eq!(tree.scan(". --baseline known.json").code(), 0);
    // It moved within its file, and a new one came.
    tree.write(".env", format!("NEW={}\n\n\nT={old}\n", token()));
    let found = tree.found(". --baseline known.json");
    assert_eq!((found.len(), found[0]["key"].as_str()), (1, Some("NEW")), "{found:?}");
    // A copy elsewhere is new, and so is a baseline's path.
    tree.write("copy/.env", format!("T={old}\n"));
    assert_eq!(tree.found(". --baseline known.json").len(), 2);
    fs::rename(tree.path(), tree.0.path().join("moved")).unwrap();
    let mut command = tree.0.command(["scan", "--json", "moved", "--baseline", "moved/known.json"]);
    command.current_dir(tree.0.path());
    assert_eq!(findings(&run(command, b"")).len(), 2);
    fs::rename(tree.0.path().join("moved"), tree.path()).unwrap();
    let ran = tree.scan(". --baseline none.json");
    assert!(ran.code() != 0 && ran.code() != 5 && ran.err().contains("--write-baseline"), "{}", ran.err());
    let ran = tree.write("bad.json", "{\n").scan(". --baseline bad.json");
    assert!(ran.code() != 0 && ran.code() != 5 && ran.err().contains("no baseline"), "{}", ran.err());
}

#[test]
fn an_inline_mark_needs_a_reason_and_ends() {
    let tree = Tree::new();
    for (mark, above, code, said) in [
        ("hallpass:allow made up for the tests", "", 0, "1 finding that is allowed"),
        ("hallpass:allow made up until=2999-01-31", "", 0, "1 finding that is allowed"),
        ("", "# hallpass:allow made up", 0, "1 finding that is allowed"),
        ("hallpass:allow", "", 5, "needs a reason"),
        ("hallpass:allow --", "", 5, "needs a reason"),
        ("hallpass:allow until=2999-01-31", "", 5, "needs a reason"),
        ("hallpass:allow made up until=2020-01-31", "", 5, "ended on 2020-01-31"),
        ("hallpass:allow made up until=soon", "", 5, "takes a date"),
        ("", "# hallpass:allow made up\n", 5, ""),
    ] {
        tree.write("app.env", format!("A=1\n{above}\nT={} # {mark}\nB=2\n", token()));
        let ran = tree.scan(".");
        assert_eq!(ran.code(), code, "{mark:?} {above:?}: {}{}", ran.out(), ran.err());
        assert!(ran.err().contains(said), "{mark:?} {above:?}: {}", ran.err());
    }
}

#[test]
fn an_allow_file_needs_a_reason_and_ends() {
    let tree = Tree::new();
    tree.write("tests/data/app.env", format!("T={}\n", token()));
    let fingerprint = tree.found(".")[0]["fingerprint"].as_str().unwrap().to_owned();
    let reason = "reason = \"made up\"";
    for (entry, code, said) in [
        (format!("path = \"tests/**\"\n{reason}"), 0, ""),
        (format!("path = \"tests/*.env\"\n{reason}"), 5, ""),
        (format!("path = \"tests/data/*.env\"\nkind = \"github-personal-access-token\"\n{reason}"), 0, ""),
        (format!("path = \"tests/**\"\nkind = \"npm-access-token\"\n{reason}"), 5, ""),
        (format!("fingerprint = \"{fingerprint}\"\n{reason}"), 0, ""),
        (format!("path = \"tests/**\"\n{reason}\nexpires = 2999-01-31"), 0, ""),
        (format!("path = \"tests/**\"\n{reason}\nexpires = 2020-01-31"), 5, "ended on 2020-01-31"),
        ("path = \"tests/**\"\nreason = \" \"".to_owned(), 5, "needs a reason"),
        ("path = \"tests/**\"".to_owned(), 5, "missing field `reason`"),
        (reason.to_owned(), 5, "at least one of path, kind and fingerprint"),
        (format!("path = \"tests/[\"\n{reason}"), 5, "tests/["),
        (format!("path = \"tests/**\"\nuntil = 2999-01-31\n{reason}"), 5, "unknown field `until`"),
        (format!("path = \"tests/**\"\n{reason}\nexpires = \"2999-01-31\""), 5, ".hallpass-allow.toml:4"),
        (format!("path = \"tests/**\"\n{reason}\nexpires = 10:00:00"), 5, "takes a date"),
    ] {
        tree.write(".hallpass-allow.toml", format!("[[allow]]\n{entry}\n"));
        let ran = tree.scan(".");
        assert_eq!(ran.code(), code, "{entry}\n{}{}", ran.out(), ran.err());
        assert!(ran.err().contains(said), "{entry}\n{}", ran.err());
    }
    // It speaks for everything below its folder, from wherever the scan starts.
    tree.write(".hallpass-allow.toml", format!("[[allow]]\npath = \"tests/**\"\n{reason}\n"));
    assert_eq!(tree.scan("tests/data/app.env").code(), 0);
    fs::remove_file(tree.path().join(".hallpass-allow.toml")).unwrap();
    tree.write("tests/.hallpass-allow.toml", format!("[[allow]]\npath = \"data/**\"\n{reason}\n"));
    assert_eq!(tree.scan(".").code(), 0);
}

#[test]
fn what_git_ignores_is_found_where_secrets_are_kept() {
    let tree = Tree::new();
    let line = || format!("T={}\n", token());
    tree.write(".gitignore", ".env*\nbuild/\n*.log\n.claude/\n");
    tree.write(".env", line()).write("packages/app/.env.local", line()).write(".claude/settings.local.json", "{}");
    tree.write("build/out.log", line()).write("node_modules/x/.env", line());
    let paths: Vec<String> = tree.found(".").iter().map(|found| found["path"].as_str().unwrap().to_owned()).collect();
    assert_eq!(paths, ["./.env", "./packages/app/.env.local"]);
    assert_eq!(tree.found("build/out.log").len(), 1, "what is named is looked at");
}

#[test]
fn files_of_every_kind_are_told_or_counted() {
    let tree = Tree::new();
    let name = tree.path().join("pipe.env");
    rustix::fs::mknodat(rustix::fs::CWD, &name, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
    let socket = std::os::unix::net::UnixListener::bind(tree.path().join("s.env")).unwrap();
    std::os::unix::fs::symlink(".", tree.path().join("loop")).unwrap();
    std::os::unix::fs::symlink("nowhere", tree.path().join("dangling.env")).unwrap();
    tree.write("a.env", format!("T={}\n", token()));
    tree.write("b.env", [format!("T={}\n", token()).as_bytes(), &[0, 1, 2]].concat());
    tree.write("big.env", vec![b'x'; 3 * 1024 * 1024]);
    let ran = tree.scan(". --max-size 1");
    assert_eq!((ran.code(), findings(&tree.scan(". --json --max-size 1")).len()), (5, 1), "{}", ran.out());
    assert!(ran.err().contains("1 binary") && ran.err().contains("1 too large"), "{}", ran.err());
    // Named, they are opened, without hanging.
    let ran = tree.scan("pipe.env s.env /dev/null loop/a.env dangling.env");
    assert_eq!(ran.code(), 5);
    assert!(ran.err().contains("no plain file") && ran.err().contains("dangling.env was not read"), "{}", ran.err());
    drop(socket);
}

#[test]
fn ten_thousand_findings_in_a_file() {
    let tree = Tree::new();
    let lines: Vec<String> = (0..10_000).map(|n| format!("T{n}={}", token_of(n))).collect();
    tree.write("many.env", lines.join("\n"));
    // Not by `run`, which looks for every key of every test in what is printed.
    let output = tree.0.command(["scan", "--json", "tree/many.env"]).output().unwrap();
    let found = findings(&Ran(output));
    assert_eq!(found.len(), 10_000);
    assert_eq!(found[9_999]["line"], 10_000);
}

/// A minified file. What each finding costs must not be what the line costs: that took three minutes.
#[test]
fn ten_thousand_findings_on_one_line() {
    let tree = Tree::new();
    let member = |n| format!("\"T{n}\": \"{}\", \"about\": \"{}\"", token_of(n), "lorem ipsum ".repeat(40));
    let members: Vec<String> = (0..10_000).map(member).collect();
    tree.write("line.json", format!("{{{}}}", members.join(",")));
    let begun = std::time::Instant::now();
    let output = tree.0.command(["scan", "--json", "tree/line.json"]).output().unwrap();
    assert_eq!(findings(&Ran(output)).len(), 10_000);
    assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
}

#[test]
fn a_mark_speaks_for_its_line_and_the_next_and_not_from_within_a_value() {
    let tree = Tree::new();
    let mark = "hallpass:allow made up";
    let tokens = [token(), token(), token(), token()];
    let [a, b, c, d] = &tokens;
    tree.write("a.env", format!("A={a} # {mark}\nB={b}\nC={c}\nD={d} # x {mark} # {mark}\n"));
    let lines: Vec<_> = tree.found("a.env").iter().map(|one| one["line"].as_u64().unwrap()).collect();
    assert_eq!(lines, [3]);
    tree.write("b.env", format!("# {mark} # hallpass:allow\nA={a}\nB={b}\n"));
    let lines: Vec<_> = tree.found("b.env").iter().map(|one| one["line"].as_u64().unwrap()).collect();
    assert_eq!(lines, [3]);
}

#[test]
fn a_name_that_is_no_text_hides_no_finding() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
    let tree = Tree::new();
    tree.write("plain.env", format!("T={}\n", token()));
    fs::write(tree.path().join(OsStr::from_bytes(b"a\xff.env")), format!("T={}\n", token())).unwrap();
    tree.write("b\nno secret found.env", format!("T={}\n", token()));
    let paths: Vec<_> = tree.found(".").iter().map(|one| one["path"].as_str().unwrap().to_owned()).collect();
    assert_eq!(paths, ["./a\u{fffd}.env", "./b\nno secret found.env", "./plain.env"]);
    let sarif = tree.scan("--sarif .");
    assert!(sarif.out().contains("\"a%FF.env\"") && sarif.out().contains("\"b%0Ano%20secret"), "{}", sarif.out());
    let table = tree.scan(".");
    assert!(!table.out().lines().any(|line| line.starts_with("no secret found")), "{}", table.out());
}

fn token_of(seed: u64) -> String {
    expand("ghp_<alnum:30><seal:base62-crc32>", None, &mut Random::of("many", seed)).text
}

#[test]
fn wide_and_broken_encodings() {
    let tree = Tree::new();
    let token = token();
    let text = format!("A=1\r\nT={token}\r\n");
    let wide: Vec<u8> = [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    tree.write("wide.env", &wide);
    let found = tree.found("wide.env");
    assert_eq!(found.len(), 1, "{found:?}");
    let span = found[0]["start"].as_u64().unwrap() as usize..found[0]["end"].as_u64().unwrap() as usize;
    let value: Vec<u8> = token.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(wide[span], value);
    assert_eq!(found[0]["line"], 2);
    tree.write("broken.env", [b"A=\xff\xfe\xc3\n", format!("T={token}\nB=").as_bytes(), b"\xe9"].concat());
    let found = tree.found("broken.env");
    assert_eq!((found.len(), found[0]["start"].as_u64()), (1, Some(8)), "{found:?}");
    let ran = tree.scan("broken.env");
    assert_eq!(ran.code(), 5);
}

#[test]
fn one_very_long_line() {
    let tree = Tree::new();
    let token = token();
    let mut text = vec![b' '; 12 * 1024 * 1024];
    let half = text.len() / 2;
    text[half..half + token.len()].copy_from_slice(token.as_bytes());
    tree.write("long.txt", &text).write("long.json", [b"{\"a\": \"", text.as_slice(), b"\"}"].concat());
    for (name, start) in [("long.txt", half), ("long.json", half + 7)] {
        let found = tree.found(name);
        assert_eq!((found.len(), found[0]["start"].as_u64()), (1, Some(start as u64)), "{name}: {found:?}");
    }
}

#[test]
fn a_scan_changes_nothing_and_needs_no_home_of_its_own() {
    let tree = Tree::new();
    tree.write("a.env", format!("T={}\n", token()));
    let mut command = tree.0.command(["scan", "a.env"]);
    command.env("HALLPASS_HOME", Path::new("/dev/null/none")).current_dir(tree.path());
    let ran = run(command, b"");
    assert_eq!(ran.code(), 5, "{}{}", ran.out(), ran.err());
    assert!(ran.err().contains("fingerprints will be others"), "{}", ran.err());
}
