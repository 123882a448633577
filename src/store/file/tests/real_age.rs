//! The public `age` and `age-keygen` on the same file.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use super::*;

/// The full path of a program; says so when it is not there.
fn program(name: &str) -> Option<PathBuf> {
    let found = std::env::split_paths(&std::env::var_os("PATH")?).map(|dir| dir.join(name)).find(|path| path.is_file());
    if found.is_none() {
        eprintln!("skipped: no {name} on PATH");
    }
    found
}

#[test]
fn the_real_age_reads_what_we_write_and_we_read_what_it_writes() {
    let (Some(age), Some(keygen)) = (program("age"), program("age-keygen")) else { return };
    let home = Home::new();
    let identity = home.dir.path().join("identity.txt");
    assert!(Command::new(keygen).arg("-o").arg(&identity).stderr(Stdio::null()).status().unwrap().success());
    let mut file = home.with_identity(&identity);
    // An identity opens it without anybody.
    assert_eq!(file.state(), (StoreState::Open, None));
    assert_eq!(value(&mut file, "a"), Err(StoreError::NotFound));
    put(&mut file, "a", b"one").unwrap();
    let seen = Command::new(&age).arg("-d").arg("-i").arg(&identity).arg(home.path()).output().unwrap();
    assert!(seen.status.success(), "{}", String::from_utf8_lossy(&seen.stderr));
    assert_eq!(String::from_utf8(seen.stdout).unwrap(), r#"{"version":1,"credentials":{"a":"b25l"}}"#);
    // age writes it, binary this time; the form is kept.
    let recipient = fs::read_to_string(&identity).unwrap();
    let recipient = recipient.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap();
    let plain = home.dir.path().join("plain");
    fs::write(&plain, r#"{"version":1,"credentials":{"a":"b25l","b":"dHdv"}}"#).unwrap();
    let written = Command::new(&age).args(["-r", recipient, "-o"]).arg(home.path()).arg(&plain).status().unwrap();
    assert!(written.success());
    assert_eq!(value(&mut file, "b").unwrap(), b"two");
    put(&mut file, "c", b"three").unwrap();
    assert!(fs::read(home.path()).unwrap().starts_with(b"age-encryption.org/v1\n"));
    // Locked stays locked although the identity is there.
    file.lock().unwrap();
    assert_eq!(value(&mut file, "a"), Err(StoreError::Locked));
    file.unlock(None).unwrap();
    assert_eq!(value(&mut file, "c").unwrap(), b"three");
    // The other kind of key is told apart from a wrong one.
    assert!(matches!(unlock(&mut home.file(), "right"), Err(StoreError::Unavailable(_))));
}

#[test]
fn the_real_age_opens_it_with_the_passphrase() {
    // age reads a passphrase from a terminal only; util-linux's script gives it one.
    let (Some(age), Some(script)) = (program("age"), program("script")) else { return };
    let home = Home::new();
    let mut file = home.file();
    unlock(&mut file, "right horse").unwrap();
    put(&mut file, "a", b"one").unwrap();
    let out = home.dir.path().join("plain");
    let command = format!("{} -d -o {} {}", age.display(), out.display(), home.path().display());
    let mut child = Command::new(script)
        .args(["-qec", &command, "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, b"right horse\n").unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(fs::read_to_string(out).unwrap(), r#"{"version":1,"credentials":{"a":"b25l"}}"#);
}
