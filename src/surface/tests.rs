//! Every entry of the catalogue is sound, and its paths mean what they should.

use std::collections::BTreeSet;

use super::*;

const HOOKS: &[&str] = &["helper", "mcp-wrap", "mcp-bridge", "base-url", "rendered-file", "socket", "reference"];
const SYSTEMS: [Os; 3] = [Os::Linux, Os::MacOs, Os::Windows];

#[test]
fn every_entry_is_sound() {
    let catalogue = Catalogue::built_in().unwrap();
    let mut names = BTreeSet::new();
    let mut wrong = Vec::new();
    for (surface, file) in catalogue.iter().zip(BUILT_IN.files().filter(|f| f.path().extension().unwrap() == "toml")) {
        let name = &surface.name;
        let mut check = |ok: bool, why: &str| {
            if !ok {
                wrong.push(format!("{name}: {why}"));
            }
        };
        check(names.insert(name), "is there twice");
        check(file.path().file_stem().unwrap().to_str() == Some(name), "the file is called otherwise");
        check(!surface.title.is_empty(), "needs a title");
        check(!surface.source.is_empty() && surface.source.iter().all(|s| s.starts_with("https://")), "needs a source");
        check(surface.keeps.is_empty() || surface.scrubs == ["*"], "`keeps` is what `*` in `scrubs` leaves");
        check(surface.file.iter().any(|file| file.scope == Scope::User), "needs a file of the user's");
        for hook in &surface.hooks {
            check(HOOKS.contains(&hook.split(':').next().unwrap()), &format!("{hook} is no kind of hook"));
        }
        for file in &surface.file {
            check(SYSTEMS.iter().any(|os| file.paths(*os).count() > 0), "a file without a path");
            check(file.secrets.iter().all(|place| place.starts_with('/')), "a place inside a file begins with `/`");
            check(file.backups.is_empty() == !file.on_write.contains(&OnWrite::BacksUp), "backups go with `backs_up`");
            for path in SYSTEMS.iter().flat_map(|os| file.paths(*os)).chain(&file.backups) {
                let begins = |marks: &[&str]| marks.iter().any(|mark| path.starts_with(mark));
                let ok = match file.scope {
                    Scope::User => begins(&["~/", "${"]),
                    Scope::Project => !begins(&["~", "${", "/", "../"]),
                    Scope::Managed => begins(&["/", "C:/"]),
                };
                check(ok, &format!("{path} is no path for this scope"));
                check(expand(path, Path::new("/h"), &|_| None).is_some(), &format!("{path} cannot be expanded"));
                check(
                    !path.contains("**") && !path.contains('\\'),
                    &format!("{path}: `*` within a component, `/` between"),
                );
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn paths_follow_the_variables() {
    let env = |name: &str| match name {
        "XDG_CONFIG_HOME" => Some("/x".to_owned()),
        "RELATIVE" => Some("here".to_owned()),
        _ => None,
    };
    for (pattern, path) in [
        ("~/.a/b.json", Some("/h/.a/b.json")),
        ("~", Some("/h")),
        ("~other/x", None),
        ("${XDG_CONFIG_HOME:-~/.config}/a", Some("/x/a")),
        ("${XDG_DATA_HOME:-~/.local/share}/a", Some("/h/.local/share/a")),
        ("${RELATIVE:-~/.r}/a", Some("/h/.r/a")),
        ("${MINE:-${XDG_CONFIG_HOME:-~/.config}/mine}/a", Some("/x/mine/a")),
        ("${MINE:-~/.netrc}", Some("/h/.netrc")),
        ("${MINE:-~/.netrc", None),
        ("${MINE}/a", None),
        ("${MINE:-~/.a}b", None),
    ] {
        assert_eq!(expand(pattern, Path::new("/h"), &env), path.map(PathBuf::from), "{pattern}");
    }
}

#[test]
fn places_are_of_the_system_and_each_once() {
    let catalogue = Catalogue::built_in().unwrap();
    let linux = catalogue.user_places(Os::Linux, Path::new("/h"), |_| None);
    let once: BTreeSet<&PathBuf> = linux.iter().collect();
    assert_eq!(once.len(), linux.len());
    for wanted in ["/h/.claude.json", "/h/.claude/backups/.claude.json.backup.*", "/h/.config/Code/User/mcp.json"] {
        assert!(linux.contains(&PathBuf::from(wanted)), "{wanted}");
    }
    let mac = catalogue.user_places(Os::MacOs, Path::new("/h"), |_| None);
    assert!(mac.contains(&PathBuf::from("/h/Library/Application Support/Code/User/mcp.json")));
    assert!(!linux.iter().any(|path| path.starts_with("/h/Library")));
    let moved =
        catalogue.user_places(Os::Linux, Path::new("/h"), |name| (name == "CODEX_HOME").then(|| "/c".to_owned()));
    assert!(moved.contains(&PathBuf::from("/c/config.toml")));
    let names = catalogue.project_names(Os::Linux);
    assert!([".mcp.json", ".env", ".vscode/mcp.json", ".continue/mcpServers/*.yaml"].iter().all(|n| names.contains(n)));
}
