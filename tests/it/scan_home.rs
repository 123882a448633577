//! `hallpass scan` in a home laid out as real people's are: every planted secret at its exact place, nothing else.
//!
//! The home is made of `tests/data/home`, one file for each surface of the catalogue.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use hallpass::surface::{Catalogue, Os, Scope, Surface, expand};

use crate::{
    made_up::{Random, expand as make_up},
    support::{Home, run, skipped},
};

/// Surfaces that keep no secret; their fixture only shows that nothing is found.
const WITHOUT: &[&str] = &["ssh"];

pub struct Planted {
    pub surface: String,
    pub path: String,
    text: String,
    places: Vec<std::ops::Range<usize>>,
}

pub fn planted() -> Vec<Planted> {
    let mut files = Vec::new();
    let mut paths: Vec<_> = fs::read_dir("tests/data/home").unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "txt"));
    paths.sort();
    for path in paths {
        let surface = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&path).unwrap();
        for section in text.split("=== ").filter(|section| !section.is_empty()) {
            let (path, text) = section.split_once('\n').unwrap();
            let mut random = Random::of(&format!("{surface} {path}"), 0);
            let path = make_up(path, None, &mut random).text;
            let made = make_up(text, None, &mut random);
            files.push(Planted { surface: surface.clone(), path, text: made.text, places: made.values });
        }
    }
    files
}

/// Writes them below `home`; two surfaces may share a file, but not a path.
pub fn write(files: &[Planted], home: &Path) {
    for file in files {
        let path = home.join(&file.path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        assert!(!path.exists(), "{} is there twice", file.path);
        fs::write(path, &file.text).unwrap();
    }
}

type Places = BTreeSet<(PathBuf, u64, u64)>;

fn scan(home: &Home, folder: &Path, arguments: &[&str]) -> Places {
    let mut command = home.command(["scan", "--json"]);
    command.args(arguments).env("HOME", folder).current_dir(folder);
    let ran = run(command, b"");
    assert_eq!(ran.code(), 5, "{}{}", ran.out(), ran.err());
    let findings = ran.out();
    let findings = findings.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    findings
        .map(|finding| {
            let path = folder.join(finding["path"].as_str().unwrap());
            (path, finding["start"].as_u64().unwrap(), finding["end"].as_u64().unwrap())
        })
        .collect()
}

fn compare(what: &str, files: &[Planted], folder: &Path, found: &Places) {
    let texts: BTreeMap<PathBuf, &Planted> = files.iter().map(|file| (folder.join(&file.path), file)).collect();
    let wanted: Places = texts
        .iter()
        .flat_map(|(path, file)| file.places.iter().map(|p| (path.clone(), p.start as u64, p.end as u64)))
        .collect();
    let show = |place: &(PathBuf, u64, u64)| {
        let text = texts.get(&place.0).map_or("", |file| &file.text[place.1 as usize..place.2 as usize]);
        format!("{}:{}..{} {text:?}", place.0.strip_prefix(folder).unwrap().display(), place.1, place.2)
    };
    let missed: Vec<_> = wanted.difference(found).map(show).collect();
    let wrong: Vec<_> = found.difference(&wanted).map(show).collect();
    assert!(missed.is_empty() && wrong.is_empty(), "{what}\nmissed: {missed:#?}\nwrong: {wrong:#?}");
    println!("{what}: {} secrets in {} files", wanted.len(), files.len());
}

#[test]
fn every_planted_secret_is_found_and_nothing_else() {
    if Os::current() != Os::Linux {
        return skipped("the home is laid out as on Linux");
    }
    let home = Home::new("");
    let folder = home.path().join("jo");
    let (project, user): (Vec<_>, Vec<_>) = planted().into_iter().partition(|file| file.path.starts_with("src/"));
    write(&user, &folder);
    write(&project, &folder);
    // With no path it looks at the known places, and in a project's folder at everything but git's own.
    compare("the known places", &user, &folder, &scan(&home, &folder, &[]));
    let outside_git: Vec<_> = project.into_iter().filter(|file| !file.path.contains("/.git/")).collect();
    compare("a project", &outside_git, &folder, &scan(&home, &folder, &["src"]));
}

#[test]
fn every_surface_has_a_fixture() {
    let catalogue = Catalogue::built_in().unwrap();
    let files = planted();
    let mut wrong = Vec::new();
    for surface in catalogue.iter() {
        let own: Vec<_> = files.iter().filter(|file| file.surface == surface.name).collect();
        let planted = own.iter().any(|file| !file.places.is_empty());
        if own.is_empty() || planted == WITHOUT.contains(&surface.name.as_str()) {
            wrong.push(format!("{}: needs a file in tests/data/home with a planted secret", surface.name));
        }
        let strays = own.iter().filter(|file| !is_of(surface, &file.path));
        wrong.extend(strays.map(|file| format!("{}: {} is none of its files", surface.name, file.path)));
    }
    let strays = files.iter().filter(|file| catalogue.get(&file.surface).is_none());
    wrong.extend(strays.map(|file| format!("{}: there is no such surface", file.surface)));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whether the catalogue says that this is a file of the surface, or in a folder of it.
fn is_of(surface: &Surface, path: &str) -> bool {
    let home = Path::new("/h");
    surface.file.iter().any(|file| {
        file.paths(Os::Linux).chain(&file.backups).any(|pattern| {
            let full = match file.scope {
                Scope::Project => home.join("src/shop").join(pattern),
                _ => expand(pattern, home, &|_| None).unwrap(),
            };
            let glob = globset::GlobBuilder::new(full.to_str().unwrap()).literal_separator(true).build().unwrap();
            let glob = glob.compile_matcher();
            home.join(path).ancestors().any(|path| glob.is_match(path))
        })
    })
}
