//! `.hallpass.toml`: counts only after a person trusted it, and again after it changes.

use std::fs;

use super::{
    support::{Home, Ran, key, run},
    upstream::Upstream,
};

fn project(home: &Home, text: &str) -> std::path::PathBuf {
    let folder = home.path().join("project");
    fs::create_dir_all(folder.join("deep/er")).unwrap();
    fs::write(folder.join(".hallpass.toml"), text).unwrap();
    folder
}

fn there(home: &Home, folder: &std::path::Path, line: &str) -> Ran {
    let mut command = home.command(line.split(' '));
    command.current_dir(folder);
    run(command, b"")
}

#[test]
fn untrusted_trusted_changed_and_revoked() {
    let (home, upstream) = (Home::started(), Upstream::start());
    home.with_upstream(&upstream, &key());
    home.does("grant add human up:*");
    let folder = project(&home, "want = [\"up:read\"]\n");
    let exec = "--json exec -- env";
    let refused = |why: &str| {
        let ran = there(&home, &folder, exec);
        assert_eq!(ran.code(), 4, "{why}: {}", ran.err());
        assert!(ran.err().contains("not_trusted") && ran.err().contains("hallpass trust"), "{why}: {}", ran.err());
        assert_eq!(there(&home, &folder, "trust --check").code(), 4, "{why}");
    };
    refused("nobody trusted it");
    there(&home, &folder, "trust --yes").ok();
    there(&home, &folder, "trust --check").ok();
    assert!(there(&home, &folder, exec).ok().contains("UP_KEY=hp_"));
    assert!(there(&home, &folder.join("deep/er"), exec).ok().contains("UP_KEY=hp_"), "from below too");

    fs::write(folder.join(".hallpass.toml"), "want = [\"up:*\"]\n").unwrap();
    refused("it changed");
    there(&home, &folder, "trust --yes").ok();
    there(&home, &folder, exec).ok();
    there(&home, &folder, "trust --revoke").ok();
    refused("the trust was taken back");
}

#[test]
fn trust_lasts_through_a_restart_and_is_for_one_folder() {
    let mut home = Home::started();
    let folder = project(&home, "want = [\"openai:chat\"]\n");
    there(&home, &folder, "trust --yes").ok();
    home.kill();
    home.start();
    there(&home, &folder, "trust --check").ok();
    let copy = home.path().join("copy");
    fs::create_dir(&copy).unwrap();
    fs::copy(folder.join(".hallpass.toml"), copy.join(".hallpass.toml")).unwrap();
    assert_eq!(there(&home, &copy, "trust --check").code(), 4);
}

#[test]
fn a_bad_project_file_is_told_with_its_line() {
    let home = Home::started();
    for (text, word) in [
        ("want = [\"up:read\"\n", ":"),
        ("wnat = []\n", "wnat"),
        ("want = []\n", "want"),
        ("want = [\"Bad Scope!\"]\n", ":1:"),
    ] {
        let folder = project(&home, text);
        let ran = there(&home, &folder, "trust --yes");
        assert_eq!(ran.code(), 1, "{text}: {}", ran.out());
        assert!(ran.err().contains(word), "{text}: {}", ran.err());
    }
    let folder = project(&home, "");
    fs::remove_file(folder.join(".hallpass.toml")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        folder.join(".hallpass.toml"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    let ran = there(&home, &folder, "trust --yes");
    assert_eq!(ran.code(), 1, "a FIFO is refused and hangs nobody: {}", ran.err());
}
