//! `hallpass scan --staged` and the hook that runs it, in real repositories.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf, process::Command};

use crate::{
    scan::{findings, token},
    support::{Home, Ran, own_session, run},
};

struct Repository {
    home: Home,
}

impl Repository {
    fn new() -> Self {
        let home = Home::new("");
        fs::create_dir(home.path().join("repo")).unwrap();
        let repository = Self { home };
        repository.git(&["init", "-q", "-b", "main"]).ok();
        repository
    }

    fn path(&self) -> PathBuf {
        self.home.path().join("repo")
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> &Self {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    fn git(&self, arguments: &[&str]) -> Ran {
        let mut command = Command::new("git");
        command.args(arguments).current_dir(self.path());
        self.environment(&mut command);
        own_session(&mut command);
        run(command, b"")
    }

    fn commit(&self, message: &str) -> Ran {
        self.git(&["add", "-A"]).ok();
        self.git(&["commit", "-q", "-m", message])
    }

    fn hallpass(&self, arguments: &[&str], folder: &str) -> Ran {
        let mut command = self.home.command(arguments);
        command.current_dir(self.path().join(folder));
        self.environment(&mut command);
        run(command, b"")
    }

    /// The keys of what is found among what is staged.
    fn staged(&self) -> Vec<String> {
        let found = findings(&self.hallpass(&["scan", "--staged", "--json"], ""));
        found.iter().map(|found| found["key"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Nothing of the caller's settings, and a PATH with hallpass.
    fn environment(&self, command: &mut Command) {
        let binary = PathBuf::from(env!("CARGO_BIN_EXE_hallpass"));
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", binary.parent().unwrap().display());
        command.env_clear().env("PATH", path).env("LC_ALL", "C").env("GIT_CONFIG_NOSYSTEM", "1");
        command.env("HOME", self.home.path()).env("HALLPASS_HOME", self.home.path()).env("HALLPASS_AUTOSTART", "0");
        for who in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{who}_NAME"), "jo").env(format!("GIT_{who}_EMAIL"), "jo@example.org");
        }
    }
}

#[test]
fn only_lines_that_the_commit_adds() {
    let repository = Repository::new();
    let old = token();
    repository.write("a.env", format!("A=1\nOLD={old}\nZ=1\n"));
    assert_eq!(repository.staged(), [""; 0], "nothing is staged");
    repository.git(&["add", "a.env"]).ok();
    assert_eq!(repository.staged(), ["OLD"], "a new file, and no commit before it");
    repository.commit("one").ok();
    // Beside an old one, and what is in the work tree only does not count.
    repository.write("a.env", format!("A=1\nOLD={old}\nNEW={}\nZ=1\n", token()));
    assert_eq!(repository.staged(), [""; 0]);
    repository.git(&["add", "a.env"]).ok();
    repository.write("a.env", "A=1\n");
    assert_eq!(repository.staged(), ["NEW"]);
    let ran = repository.hallpass(&["scan", "--staged"], "");
    assert_eq!(ran.code(), 5);
    // What is taken away is no finding.
    repository.git(&["commit", "-q", "-m", "two"]).ok();
    repository.git(&["add", "a.env"]).ok();
    assert_eq!(repository.staged(), [""; 0]);
}

#[test]
fn names_renames_modes_and_kinds_of_files() {
    let repository = Repository::new();
    let (one, two) = (token(), token());
    let filler = "X=some ordinary line\n".repeat(20);
    repository.write("a.env", format!("{filler}OLD={one}\n")).commit("one").ok();
    // A rename adds nothing; a line added with it does.
    repository.git(&["mv", "a.env", "b.env"]).ok();
    assert_eq!(repository.staged(), [""; 0]);
    repository.write("b.env", format!("{filler}OLD={one}\nNEW={two}\n")).git(&["add", "-A"]).ok();
    assert_eq!(repository.staged(), ["NEW"]);
    repository.git(&["reset", "-q", "--hard"]).ok();
    // A mode alone adds nothing.
    fs::set_permissions(repository.path().join("a.env"), fs::Permissions::from_mode(0o755)).unwrap();
    repository.git(&["add", "-A"]).ok();
    assert_eq!(repository.staged(), [""; 0]);
    // Names that git would quote, from a folder below; a link, and a binary file.
    repository.write("dir/gr\u{fc}\u{df}e \"x\".env", format!("QUOTED={two}\n"));
    repository.write("data.env", [format!("T={two}\n").as_bytes(), &[0; 3]].concat());
    std::os::unix::fs::symlink("dir", repository.path().join("link")).unwrap();
    repository.git(&["add", "-A"]).ok();
    assert_eq!(repository.staged(), ["QUOTED"]);
    let ran = repository.hallpass(&["scan", "--staged"], "dir");
    assert_eq!(ran.code(), 5, "{}", ran.err());
    assert!(ran.err().contains("1 binary"), "{}", ran.err());
    // Its allow file and inline marks hold here too.
    repository.write(".hallpass-allow.toml", "[[allow]]\npath = \"dir/**\"\nreason = \"made up\"\n");
    assert_eq!(repository.staged(), [""; 0]);
}

#[test]
fn outside_a_repository_it_says_so() {
    let home = Home::new("");
    for arguments in [["scan", "--staged"], ["scan", "--install-hook"]] {
        let ran = home.run(arguments, "");
        assert!(![0, 5].contains(&ran.code()), "{}", ran.out());
        assert!(ran.err().contains("inside"), "{}", ran.err());
    }
}

#[test]
fn the_hook_stops_a_commit_with_a_secret() {
    let repository = Repository::new();
    fs::create_dir(repository.path().join("sub")).unwrap();
    let ran = repository.hallpass(&["scan", "--install-hook"], "sub");
    assert_eq!(ran.code(), 0, "{}", ran.err());
    assert!(repository.hallpass(&["scan", "--install-hook"], "").ok().contains("already"));
    repository.write("app.env", format!("T={}\n", token()));
    let ran = repository.commit("a secret");
    assert_ne!(ran.code(), 0);
    assert!([ran.out(), ran.err()].concat().contains("github-personal-access-token"), "{}{}", ran.out(), ran.err());
    assert_eq!(repository.git(&["rev-parse", "-q", "--verify", "HEAD"]).code(), 1, "nothing was committed");
    repository.write("app.env", "T=hallpass:github\n").commit("a reference").ok();
    // Where hallpass is not installed, nobody is kept from committing.
    let mut command = Command::new("git");
    command.args(["commit", "-q", "--allow-empty", "-m", "x"]).current_dir(repository.path());
    repository.environment(&mut command);
    command.env("PATH", "/usr/bin:/bin");
    run(command, b"").ok();
}

#[test]
fn a_hook_of_somebody_elses_is_left_alone() {
    let repository = Repository::new();
    let hook = repository.path().join(".git/hooks/pre-commit");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    fs::write(&hook, "#!/bin/sh\nnpx lint-staged\n").unwrap();
    let ran = repository.hallpass(&["scan", "--install-hook"], "");
    assert!(![0, 5].contains(&ran.code()));
    assert!(ran.err().contains("hallpass scan --staged || exit 1"), "{}", ran.err());
    assert_eq!(fs::read_to_string(&hook).unwrap(), "#!/bin/sh\nnpx lint-staged\n");
}

#[test]
fn what_a_cut_off_quarantine_left_is_said_and_stops_a_commit() {
    let repository = Repository::new();
    let name = ".hallpass-0123456789";
    repository.write(name, format!("T={}\n", token()));
    let ran = repository.hallpass(&["scan", "--json", "."], "");
    assert!(ran.code() == 1 && ran.out().is_empty(), "{}{}", ran.out(), ran.err());
    assert!(ran.err().contains(name) && ran.err().contains("cut off"), "{}", ran.err());
    repository.git(&["add", name]).ok();
    let ran = repository.hallpass(&["scan", "--staged"], "");
    assert!(ran.code() == 1 && ran.err().contains("cut off"), "{}", ran.err());
    // Another name of that beginning is looked at as any file.
    repository.write(".hallpass-mine", format!("T={}\n", token()));
    assert_eq!(repository.hallpass(&["scan", ".hallpass-mine"], "").code(), 5);
}
