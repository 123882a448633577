//! `hallpass quarantine --decoy`: a key that is worth nothing, and what is told when it turns up.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use crate::{
    revoke::github_token,
    rules::examples,
    support::{Home, wait_until},
};
use hallpass::detect::{Detector, decoy, rule};

/// Quarantines one made-up GitHub token out of `app/.env`; the file, the token and the decoy.
fn planted(home: &Home) -> (PathBuf, String, String) {
    let folder = home.path().join("app");
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join(".env");
    let token = github_token();
    fs::write(&file, format!("# work\nGITHUB_TOKEN={token} # mine\nAGAIN=\"{token}\"\n")).unwrap();
    let text = home.ok(["quarantine", "--decoy", "--yes", file.to_str().unwrap()]);
    assert!(text.contains("a decoy") && text.contains("hallpass exec --grant"), "{text}");
    let now = fs::read_to_string(&file).unwrap();
    let decoy = now.split(['=', ' ', '\n', '"']).find(|part| part.starts_with("ghp_")).unwrap().to_owned();
    assert_eq!(now, format!("# work\nGITHUB_TOKEN={decoy} # mine\nAGAIN=\"{decoy}\"\n"));
    assert!(!now.contains(&token) && rule::named("github-personal-access-token").unwrap().fits(decoy.as_bytes()));
    (file, token, decoy)
}

fn scan(home: &Home, path: &Path) -> usize {
    let ran = home.run(["--json", "scan", path.to_str().unwrap()], "");
    ran.out().lines().count()
}

fn events(home: &Home, event: &str) -> usize {
    home.does(&format!("--json audit query --event {event}")).matches(&format!("\"{event}\"")).count()
}

#[test]
fn a_decoy_is_left_found_nowhere_and_taken_back() {
    let home = Home::started();
    let (file, token, decoy) = planted(&home);
    assert_eq!(scan(&home, &file), 0, "a decoy in its own file is no finding");
    // Taking again finds nothing: a decoy never becomes a credential.
    home.ok(["quarantine", "--yes", file.to_str().unwrap()]);
    assert!(fs::read_to_string(&file).unwrap().contains(&decoy));
    let other = home.path().join("copy.env");
    fs::write(&other, format!("X={decoy}\n")).unwrap();
    assert_eq!(scan(&home, &other), 1, "elsewhere it is");
    home.ok(["quarantine", "--yes", other.to_str().unwrap()]);
    assert_eq!(fs::read_to_string(&other).unwrap(), format!("X={decoy}\n"));
    assert_eq!(events(&home, "decoy.seen"), 1);

    let list = home.json("quarantine list");
    assert_eq!((list["items"].as_array().unwrap().len(), &list["items"][0]["secrets"][0]["decoy"]), (1, &true.into()));
    home.does(&format!("quarantine restore {}", list["items"][0]["id"].as_str().unwrap()));
    assert_eq!(fs::read_to_string(&file).unwrap(), format!("# work\nGITHUB_TOKEN={token} # mine\nAGAIN=\"{token}\"\n"));
}

#[test]
fn a_decoy_at_the_gateway_is_refused_recorded_and_told_also_after_a_restart() {
    let mut home = Home::new("[daemon]\nheadless_human = true\n[store]\nkind = \"memory\"\n");
    home.start();
    let (_, token, decoy) = planted(&home);
    let stranger = home.through("some other key", "GET /github/user", "", b"");
    let known = home.through(&decoy, "GET /github/user", "", b"");
    assert_eq!((known.status, known.status), (stranger.status, 401));
    assert_eq!(known.json()["code"], stranger.json()["code"], "the caller learns nothing");
    assert_eq!(events(&home, "decoy.used"), 1);
    let notices = fs::read_to_string(home.path().join("state/notices")).unwrap();
    assert!(notices.contains("A decoy was used"), "{notices}");
    assert!(!notices.contains(&decoy) && !notices.contains(&token) && !home.log().contains(&decoy));
    home.kill();
    home.start();
    home.through("x", "GET /github/user", &format!("x-api-key: {decoy}\r\n"), b"");
    assert_eq!(events(&home, "decoy.used"), 2);
}

#[test]
fn the_watcher_tells_of_a_copy_and_leaves_the_decoy_alone() {
    let home = Home::started();
    let (file, _, decoy) = planted(&home);
    home.does(&format!("watch add {} --mode quarantine --yes", home.path().join("app").display()));
    let copy = home.path().join("app/notes.env");
    fs::write(&copy, format!("COPIED={decoy}\n")).unwrap();
    wait_until("the copy is told", || events(&home, "decoy.seen") == 1);
    // One that is a secret shows that the watcher has been past the decoys.
    let pasted = home.path().join("app/pasted.env");
    fs::write(&pasted, format!("NEW={}\n", github_token())).unwrap();
    wait_until("a secret is taken", || fs::read_to_string(&pasted).unwrap().contains("hallpass:"));
    assert_eq!(fs::read_to_string(&copy).unwrap(), format!("COPIED={decoy}\n"));
    assert!(fs::read_to_string(&file).unwrap().contains(&decoy));
    assert_eq!(home.json("findings")["items"], serde_json::json!([]));
}

/// A database's password has no form of its own: what is left is a connection string with one that opens nothing.
#[test]
fn a_password_gets_a_decoy_too_and_what_cannot_have_one_is_said() {
    let home = Home::started();
    let folder = home.path().join("app");
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join(".env");
    let block =
        ["-----BE", "GIN PRIVATE KEY-----\\n", &"MIIEpAIBAAKCAQEA7c3f".repeat(12), "\\n-----END PRIVATE KEY-----"]
            .concat();
    let text = format!(
        "DATABASE_URL=postgres://shop:Kd8%21vQz2@db.internal:5432/shop?sslmode=require\n\
         DB_PASSWORD=\"Kd8-vQz2-pw\"\nSIGNING_KEY=\"{block}\"\n"
    );
    fs::write(&file, &text).unwrap();
    let said = home.ok(["quarantine", "--decoy", "--all", "--yes", file.to_str().unwrap()]);
    assert!(said.contains("SIGNING_KEY gets a reference and no decoy: a key of several lines"), "{said}");
    let now = fs::read_to_string(&file).unwrap();
    let password = now.split("shop:").nth(1).and_then(|rest| rest.split('@').next()).unwrap().to_owned();
    let other = now.split("DB_PASSWORD=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap().to_owned();
    assert!(password.len() == 20 && other.len() == 20 && password != other, "{now}");
    let (first, second) = (text.replace("Kd8%21vQz2", &password), text.replace("Kd8-vQz2-pw", &other));
    assert_eq!(now.lines().next(), first.lines().next());
    assert_eq!(now.lines().nth(1), second.lines().nth(1));
    assert!(now.lines().nth(2).unwrap().starts_with("SIGNING_KEY=\"hallpass:"), "{now}");
    assert_eq!(scan(&home, &file), 0);
    // A copy of it raises the alert, once for each.
    let copy = home.path().join("copy.env");
    fs::write(&copy, now.lines().take(2).collect::<Vec<_>>().join("\n")).unwrap();
    home.ok(["quarantine", "--all", "--yes", copy.to_str().unwrap()]);
    assert_eq!(events(&home, "decoy.seen"), 2);
    let list = home.json("quarantine list");
    home.does(&format!("quarantine restore {}", list["items"][0]["id"].as_str().unwrap()));
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
}

/// Over the examples of all rules: a decoy is taken by its own rule, at the same place, and is not the value.
#[test]
fn the_decoys_of_all_rules_are_taken_for_the_real_thing() {
    let detector = Detector::new();
    let (mut made, mut without, mut wrong) = (0, BTreeSet::new(), Vec::new());
    for (name, path, text, span) in examples() {
        let rule = rule::named(&name).unwrap();
        let value = &text.as_bytes()[span.clone()];
        let Ok(decoy) = decoy(&name, value, &[42; 32]) else {
            without.insert(name);
            continue;
        };
        made += 1;
        assert_ne!(decoy, value, "{name}");
        if rule.fits(value) {
            assert!(rule.fits(&decoy) && decoy.len() == value.len(), "{name}");
        }
        let file = [&text.as_bytes()[..span.start], &decoy, &text.as_bytes()[span.end..]].concat();
        let found = detector.scan(&path, &file);
        // One for a password has a length of its own, and is seen there whatever it is called.
        let place = span.start..span.start + decoy.len();
        if !found.iter().any(|f| f.span == place && (f.kind == name || !rule.fits(value))) {
            wrong.push(format!("{name}: {:?}", found.iter().map(|f| f.kind).collect::<Vec<_>>()));
        }
    }
    println!("{made} rules with decoys, {} without", without.len());
    assert!(wrong.is_empty(), "{} are not taken for what they stand for:\n{}", wrong.len(), wrong.join("\n"));
    assert!(made > without.len() * 3, "{made} with, {} without: {without:?}", without.len());
}
