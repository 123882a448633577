//! Package registries and the like, adopted: several keys in one file, names that are somebody else's, and how a tool
//! is started that only reads a variable. The tools themselves are run in `tests/peers/tools.sh`.

use std::fs;

use super::{adopt::Jo, support::random};

/// Text that the rules take for a key of GitLab's, put together here.
fn key() -> String {
    ["glpat", "-", &random()[..20]].concat()
}

#[test]
fn of_several_lines_each_goes_alone_and_the_others_stay() {
    let (jo, keys) = (Jo::new(), [key(), key()]);
    let stays = "https://jo@stays.example\n";
    let text = format!("https://jo:{}@a.example\n{stays}https://ci:{}@b.example/acme/web.git\n", keys[0], keys[1]);
    let file = jo.file(".git-credentials", &text);
    jo.run("adopt git --yes").ok();
    assert_eq!(fs::read_to_string(&file).unwrap(), stays);
    assert_eq!(jo.run("adopt --check").ok().matches(" asks for ").count(), 2);
    jo.run("adopt --undo git --yes").ok();
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    // What git's own store adds meanwhile stays too.
    jo.run("adopt git --yes").ok();
    fs::write(&file, format!("{stays}https://jo@new.example\n")).unwrap();
    jo.run("adopt --undo git --yes").ok();
    assert_eq!(fs::read_to_string(&file).unwrap(), format!("{text}https://jo@new.example\n"));
}

#[test]
fn a_key_between_two_that_are_adopted_stays_byte_for_byte() {
    let (jo, keys) = (Jo::new(), [key(), key(), key()]);
    jo.home.run(["credential", "add", "vault"], "value").ok();
    jo.home.does("helper add git https://b.example vault:release");
    let line = |at: usize, host: &str| format!("https://jo:{}@{host}.example\n", keys[at]);
    let text = [line(0, "a"), line(1, "b"), line(2, "c")].concat();
    let file = jo.file(".git-credentials", &text);
    let said = jo.run("adopt git --yes").ok();
    assert_eq!(fs::read_to_string(&file).unwrap(), line(1, "b"), "{said}");
    // Neither its value nor a part of it came into what was written down of the others.
    let journal = fs::read(jo.home.path().join("quarantine/journal.jsonl")).unwrap_or_default();
    assert!(!String::from_utf8_lossy(&journal).contains(&keys[1]));
    jo.run("adopt --undo git --yes").ok();
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
}

#[test]
fn what_is_terraform_s_already_stays() {
    let token = [&random()[..14], ".atlasv1.", &random()[..32], &random()[..32], &random()[..3]].concat();
    let text = format!("{{\"credentials\": {{\"tf.example\": {{\"token\": \"{token}\"}}}}}}\n");
    for (rc, why) in [
        ("credentials_helper \"mine\" {\n  args = []\n}\n", "/credentials_helper already"),
        ("credentials \"tf.example\" {\n  other = \"x\"\n}\n", "/credentials/tf.example already"),
        ("credentials_helper \"mine\" {\n", "cannot be read"),
    ] {
        let jo = Jo::new();
        let files = [jo.file(".terraformrc", rc), jo.file(".terraform.d/credentials.tfrc.json", &text)];
        let said = jo.run("adopt terraform --yes");
        let said = format!("{}{}", said.out(), said.err());
        assert!(said.contains(why), "{why}: {said}");
        assert_eq!(files.map(|file| fs::read_to_string(file).unwrap()), [rc.to_owned(), text.clone()]);
    }
}

#[test]
fn a_keyring_that_is_another_program_s_stays() {
    let jo = Jo::new();
    let text = format!("[global]\nindex-url = https://jo:{}@pypi.example/simple\n", key());
    let file = jo.file(".config/pip/pip.conf", &text);
    let theirs = jo.file(".local/bin/keyring", "#!/bin/sh\n");
    let said = jo.run("adopt pip --yes").ok();
    assert!(said.contains("another program has this name"), "{said}");
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    fs::remove_file(&theirs).unwrap();
    let shown = jo.run("adopt pip --dry-run").ok();
    assert!(shown.contains(".local/bin/keyring becomes a link to hallpass"), "{shown}");
    jo.run("adopt pip --yes").ok();
    let new = "[global]\nindex-url = https://jo@pypi.example/simple\nkeyring-provider = subprocess\n";
    assert_eq!(fs::read_to_string(&file).unwrap(), new);
    jo.run("adopt --check").ok();
    jo.run("adopt --undo --yes").ok();
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
}

#[test]
fn variables_of_one_tool_are_set_at_one_start_and_two_values_of_one_at_two() {
    let jo = Jo::new();
    let npmrc = format!("//a.example/:_authToken={}\n//b.example/x/:_authToken={}\n", key(), key());
    let file = jo.file(".npmrc", &npmrc);
    let said = jo.run("adopt npm --yes").ok();
    let start = "GITLAB_TOKEN=hallpass:gitlab GITLAB_2_TOKEN=hallpass:gitlab-2 hallpass exec --grant gitlab:release --grant gitlab-2:release -- npm";
    assert!(said.contains(start), "{said}");
    let new = "//a.example/:_authToken=${GITLAB_TOKEN}\n//b.example/x/:_authToken=${GITLAB_2_TOKEN}\n";
    assert_eq!(fs::read_to_string(&file).unwrap(), new);
    let section =
        |name: &str| format!("[{name}]\nrepository = https://{name}.example\nusername = jo\npassword = {}\n", key());
    let pypirc = [section("a"), section("b")].concat();
    let other = jo.file(".pypirc", &pypirc);
    let said = jo.run("adopt pip --yes").ok();
    assert_eq!(said.matches("TWINE_PASSWORD=hallpass:gitlab").count(), 2, "{said}");
    assert_eq!(jo.run("adopt --check").ok().matches(" asks for ").count(), 4);
    jo.run("adopt --undo --yes").ok();
    assert_eq!([file, other].map(|file| fs::read_to_string(file).unwrap()), [npmrc, pypirc]);
}
