//! Quarantine on real files, with a vault in memory. What a crash does is in `tests/quarantine_points`.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::{vault::memory::MemoryVault, *};
use crate::{
    detect::{kind::FileKind, parse::Quote},
    secret::Secret,
};

mod race;

/// How long a test waits for what other tests are doing.
const PATIENCE: Duration = Duration::from_secs(10);
const SECRET: &str = "not-a-real-secret-1";

struct Home {
    folder: tempfile::TempDir,
    vault: MemoryVault,
    quarantine: Quarantine,
}

impl Home {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let vault = MemoryVault::default();
        let quarantine = open(folder.path(), &vault).unwrap();
        Self { folder, vault, quarantine }
    }

    fn file(&self, content: &[u8]) -> PathBuf {
        let path = self.folder.path().join(".env");
        fs::write(&path, content).unwrap();
        path
    }

    fn take(&mut self, path: &Path) -> Result<Item, TakeError> {
        self.take_this(&take(path, &[(SECRET, "key")]))
    }

    /// Another test of this process may be starting a program, which for a moment has all our files open.
    fn take_this(&mut self, take: &Take) -> Result<Item, TakeError> {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.quarantine.take(take) {
                Err(TakeError::Busy) if Instant::now() < until => std::thread::yield_now(),
                other => return other,
            }
        }
    }
}

fn open(folder: &Path, vault: &MemoryVault) -> Result<Quarantine> {
    let until = Instant::now() + PATIENCE;
    loop {
        match Quarantine::open(&folder.join("quarantine"), Box::new(vault.clone()), sys::now) {
            Err(error) if error.code == Code::InUse && Instant::now() < until => std::thread::yield_now(),
            other => return other.map(|(quarantine, _)| quarantine),
        }
    }
}

/// Takes every value out of the file, wherever it stands.
fn take(path: &Path, values: &[(&str, &str)]) -> Take {
    take_of(path, &fs::read(path).unwrap(), values)
}

fn take_of(path: &Path, bytes: &[u8], values: &[(&str, &str)]) -> Take {
    let mut replacements = Vec::new();
    for (value, name) in values {
        for span in restore::standing(bytes, value.as_bytes()) {
            replacements.push(Replacement {
                span,
                credential: (*name).into(),
                value: Secret::take_string((*value).into()),
                text: reference(name, FileKind::Dotenv, Quote::None, false),
                key: None,
                kind: "test".into(),
                fingerprint: "f".into(),
            });
        }
    }
    replacements.sort_by_key(|replacement| replacement.span.start);
    Take {
        path: path.into(),
        replacements,
        expected: Expected::of(bytes),
        adopted: None,
        kept: Secret::take(Vec::new()),
    }
}

#[test]
fn a_secret_goes_into_the_vault_and_comes_back_byte_for_byte() {
    let mut home = Home::new();
    let old = format!("\u{feff}A={SECRET}\r\n# {SECRET}\r\nB=x\r\n");
    let path = home.file(old.as_bytes());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o604)).unwrap();
    let plan = Quarantine::plan(&take(&path, &[(SECRET, "key")])).unwrap();
    let item = home.take(&path).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), old.replace(SECRET, "hallpass:key"));
    assert_eq!(home.vault.value("key").unwrap(), SECRET.as_bytes());
    assert_eq!(home.quarantine.list(), [(&item, State::Quarantined)]);
    let diff = home.quarantine.diff(&item.id).unwrap();
    assert_eq!(diff, plan);
    assert!(diff.contains("+# hallpass:key") && !diff.contains(SECRET), "{diff}");
    // Another start finds it again.
    let Home { folder, vault, quarantine } = home;
    drop(quarantine);
    let mut quarantine = open(folder.path(), &vault).unwrap();
    let before = fs::metadata(&path).unwrap().mtime_nsec();
    let restored = quarantine.restore(&item.id).unwrap();
    assert!(restored.exact && restored.without_place.is_empty());
    assert_eq!(fs::read_to_string(&path).unwrap(), old);
    let metadata = fs::metadata(&path).unwrap();
    assert_eq!(metadata.mode() & 0o777, 0o604);
    assert_ne!(metadata.mtime_nsec(), before);
    assert!(quarantine.list().is_empty() && vault.value(&raw_name(&item.id)).is_none());
    assert!(matches!(quarantine.restore(&item.id), Err(RestoreError::NoSuchItem)));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn links_stay_links_and_a_circle_is_told() {
    let mut home = Home::new();
    let path = home.file(SECRET.as_bytes());
    let (link, second) = (home.folder.path().join("link"), home.folder.path().join("second"));
    symlink(".env", &link).unwrap();
    symlink(&link, &second).unwrap();
    let item = home.take(&second).unwrap();
    assert_eq!(
        (item.path.as_path(), item.target.as_path()),
        (second.as_path(), path.canonicalize().unwrap().as_path())
    );
    assert!(link.is_symlink() && second.is_symlink());
    assert_eq!(fs::read(&path).unwrap(), b"hallpass:key");
    fs::remove_file(&link).unwrap();
    symlink(&second, &link).unwrap();
    let mut circle = take_of(&link, SECRET.as_bytes(), &[(SECRET, "key")]);
    assert!(matches!(home.quarantine.take(&circle), Err(TakeError::Unfit(_))));
    circle.path = home.folder.path().join("none");
    assert!(matches!(home.quarantine.take(&circle), Err(TakeError::Gone)));
}

#[test]
fn the_other_name_of_a_file_is_cleaned_too() {
    let mut home = Home::new();
    let path = home.file(format!("A={SECRET}\nB=0123456789\n").as_bytes());
    let other = home.folder.path().join("other");
    fs::hard_link(&path, &other).unwrap();
    let item = home.take(&path).unwrap();
    assert_eq!(fs::read(&other).unwrap(), b"A=hallpass:key\nB=0123456789\n");
    assert_eq!(fs::metadata(&path).unwrap().nlink(), 2);
    home.quarantine.restore(&item.id).unwrap();
    assert_eq!(fs::read(&other).unwrap(), format!("A={SECRET}\nB=0123456789\n").as_bytes());
    assert_eq!(fs::read_dir(home.folder.path()).unwrap().count(), 3);
}

#[test]
fn what_is_read_only_or_not_ours_is_left_alone() {
    let mut home = Home::new();
    let path = home.file(SECRET.as_bytes());
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    mode(&path, 0o444);
    assert!(matches!(home.take(&path), Err(TakeError::ReadOnly(_))));
    mode(&path, 0o644);
    let folder = home.folder.path().to_owned();
    mode(&folder, 0o555);
    assert!(matches!(home.take(&path), Err(TakeError::ReadOnly(_))));
    mode(&folder, 0o755);
    // Only root can give a file away.
    if std::os::unix::fs::chown(&path, Some(12_345), None).is_ok() {
        assert!(matches!(home.take(&path), Err(TakeError::NotOurs { uid: 12_345 })));
    }
    assert_eq!(fs::read(&path).unwrap(), SECRET.as_bytes());
    assert!(home.quarantine.list().is_empty() && home.vault.value("key").is_none());
}

#[test]
fn what_is_no_file_is_not_waited_for() {
    let mut home = Home::new();
    let path = home.file(SECRET.as_bytes());
    let take = take(&path, &[(SECRET, "key")]);
    fs::remove_file(&path).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
    assert!(matches!(home.quarantine.take(&take), Err(TakeError::Unfit(_))));
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(matches!(home.quarantine.take(&take), Err(TakeError::Unfit(_))));
}

#[test]
fn attributes_and_acls_are_kept() {
    use rustix::fs::{XattrFlags, getxattr, setxattr};
    let mut home = Home::new();
    let path = home.file(SECRET.as_bytes());
    // linux/posix_acl_xattr.h: version 2; user::rw-, user:12345:r--, group::r--, mask::r--, other::---.
    let entry =
        |tag: u16, perm: u16, id: u32| [&tag.to_le_bytes()[..], &perm.to_le_bytes(), &id.to_le_bytes()].concat();
    let acl = [
        2_u32.to_le_bytes().to_vec(),
        entry(1, 6, u32::MAX),
        entry(2, 4, 12_345),
        entry(4, 4, u32::MAX),
        entry(0x10, 4, u32::MAX),
        entry(0x20, 0, u32::MAX),
    ]
    .concat();
    let attributes = [("user.note", b"kept".to_vec()), ("system.posix_acl_access", acl)];
    let mut set = 0;
    for (name, value) in &attributes {
        set += usize::from(setxattr(&path, *name, value, XattrFlags::empty()).is_ok());
    }
    let item = home.take(&path).unwrap();
    home.quarantine.restore(&item.id).unwrap();
    let mut kept = 0;
    for (name, value) in &attributes {
        let mut there = vec![0; 1024];
        if let Ok(length) = getxattr(&path, *name, &mut there[..]) {
            assert_eq!(&there[..length], &value[..], "{name}");
            kept += 1;
        }
    }
    assert_eq!(kept, set);
}

#[test]
fn ten_thousand_secrets_go_at_once() {
    let mut home = Home::new();
    let values: Vec<(String, String)> =
        (0..10_000).map(|n| (format!("value-{n:05}-end"), format!("key-{n}"))).collect();
    let old: String = values.iter().map(|(value, name)| format!("{name}='{value}'\n")).collect();
    let path = home.file(old.as_bytes());
    let (mut from, mut replacements) = (0, Vec::new());
    for (value, name) in &values {
        let start = from + name.len() + 2;
        from = start + value.len() + 2;
        replacements.push(Replacement {
            span: start..start + value.len(),
            credential: name.clone(),
            value: Secret::take_string(value.clone()),
            text: reference(name, FileKind::Dotenv, Quote::Single, false),
            key: None,
            kind: "test".into(),
            fingerprint: String::new(),
        });
    }
    let take = Take {
        path: path.clone(),
        replacements,
        expected: Expected::of(old.as_bytes()),
        adopted: None,
        kept: Secret::take(Vec::new()),
    };
    let item = home.take_this(&take).unwrap();
    assert_eq!(item.holes.len(), 10_000);
    let text = fs::read_to_string(&path).unwrap();
    assert!(!text.contains("value-") && text.contains("key-9999='hallpass:key-9999'\n"));
    home.quarantine.restore(&item.id).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), old);
}

#[test]
fn a_change_since_the_scan_and_a_writer_mean_later() {
    let mut home = Home::new();
    let path = home.file(format!("A={SECRET}\n").as_bytes());
    let early = take(&path, &[(SECRET, "key")]);
    let writer = fs::OpenOptions::new().append(true).open(&path).unwrap();
    {
        assert!(matches!(home.quarantine.take(&early), Err(TakeError::Busy)));
        assert!(home.vault.value("key").is_none() && home.quarantine.list().is_empty());
    }
    drop(writer);
    fs::write(&path, format!("A={SECRET}\nB=1\n")).unwrap();
    assert!(matches!(home.quarantine.take(&early), Err(TakeError::Changed)));
    home.take(&path).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"A=hallpass:key\nB=1\n");
}

#[test]
fn a_vault_that_locks_halfway_loses_nothing_and_the_next_try_finishes() {
    let mut answered = 0;
    loop {
        let mut home = Home::new();
        let path = home.file(format!("A={SECRET}\n").as_bytes());
        home.vault.0.borrow_mut().calls_left = Some(answered);
        let locked = match home.take(&path) {
            Ok(_) => false,
            Err(TakeError::Locked) => true,
            Err(other) => panic!("{other:?}"),
        };
        if locked {
            assert_eq!(fs::read(&path).unwrap(), format!("A={SECRET}\n").as_bytes());
        }
        home.vault.0.borrow_mut().calls_left = None;
        let id = if locked { home.take(&path).unwrap().id } else { home.quarantine.list()[0].0.id.clone() };
        assert_eq!(fs::read(&path).unwrap(), b"A=hallpass:key\n");
        assert_eq!(home.quarantine.list().len(), 1);
        let names: Vec<_> = home.vault.0.borrow().values.keys().cloned().collect();
        assert_eq!(names, ["key".to_owned(), raw_name(&id)]);
        // The same on the way back: the file is written before the vault is asked to forget.
        home.vault.0.borrow_mut().calls_left = Some(0);
        assert!(matches!(home.quarantine.restore(&id), Err(RestoreError::File(TakeError::Locked))));
        home.vault.0.borrow_mut().calls_left = Some(1);
        home.quarantine.restore(&id).unwrap();
        assert_eq!(home.quarantine.show(&id).unwrap().1, State::Restored);
        home.vault.0.borrow_mut().calls_left = None;
        assert!(home.quarantine.settle().is_empty() && home.quarantine.list().is_empty());
        if !locked {
            break;
        }
        answered += 1;
    }
    assert!(answered > 4);
}

#[test]
fn after_an_edit_each_value_goes_where_its_reference_stands() {
    let other = "not-a-real-secret-2";
    let mut home = Home::new();
    let path = home.file(format!("A={SECRET}\nB={other}\n").as_bytes());
    let values = [(SECRET, "key"), (other, "key-2")];
    let id = home.take_this(&take(&path, &values)).unwrap().id;
    fs::write(&path, "# new\nB='hallpass:key-2'\nA=hallpass:key\nA2=hallpass:key\n").unwrap();
    // Which of the two is it?
    assert!(matches!(home.quarantine.restore(&id), Err(RestoreError::Changed(names)) if names == ["key"]));
    fs::write(&path, "# new\nB='hallpass:key-2'\n").unwrap();
    let diff = home.quarantine.diff(&id).unwrap();
    assert!(diff.contains("@@ -2 +2 @@\n-B='********'\n+B='hallpass:key-2'\n"), "{diff}");
    let restored = home.quarantine.restore(&id).unwrap();
    assert!(!restored.exact && restored.without_place == ["key"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), format!("# new\nB='{other}'\n"));
    assert_eq!(home.vault.value("key").unwrap(), SECRET.as_bytes());
    let id = home.take_this(&take(&path, &values)).unwrap().id;
    fs::write(&path, "nothing\n").unwrap();
    assert!(matches!(home.quarantine.restore(&id), Err(RestoreError::Changed(names)) if names == ["key-2"]));
    home.quarantine.purge(&id, false).unwrap();
    assert!(home.quarantine.list().is_empty());
}

#[test]
fn a_purge_forgets_only_what_is_not_in_use_and_keeps_the_credential() {
    let mut home = Home::new();
    let path = home.file(SECRET.as_bytes());
    let id = home.take(&path).unwrap().id;
    assert!(matches!(home.quarantine.purge(&id, false), Err(PurgeError::StillUsed)));
    home.quarantine.purge(&id, true).unwrap();
    assert!(matches!(home.quarantine.purge(&id, true), Err(PurgeError::NoSuchItem)));
    assert!(home.vault.value(&raw_name(&id)).is_none());
    assert_eq!(home.vault.value("key").unwrap(), SECRET.as_bytes());
}

#[test]
fn a_name_with_another_value_is_never_given_a_new_one() {
    let mut home = Home::new();
    home.vault.put("key", &Secret::take_string("mine".into())).unwrap();
    let path = home.file(SECRET.as_bytes());
    assert!(matches!(home.take(&path), Err(TakeError::NameTaken(name)) if name == "key"));
    assert_eq!(fs::read(&path).unwrap(), SECRET.as_bytes());
    assert_eq!(home.vault.value("key").unwrap(), b"mine");
}

#[test]
fn the_second_of_two_on_one_folder_is_refused() {
    let home = Home::new();
    let folder = home.folder.path().join("quarantine");
    let refused = Quarantine::open(&folder, Box::new(home.vault.clone()), sys::now).err().unwrap();
    assert_eq!(refused.code, Code::InUse);
}

#[test]
fn a_file_that_would_be_read_differently_is_left() {
    let mut home = Home::new();
    let path = home.file(&[&[0xff, 0xfe][..], SECRET.as_bytes()].concat());
    assert!(matches!(home.take(&path), Err(TakeError::WouldBreak(_))));
    let mut twice = take(&path, &[(SECRET, "key"), (SECRET, "key")]);
    assert!(matches!(home.quarantine.take(&twice), Err(TakeError::WouldBreak(_))));
    twice.replacements.clear();
    assert!(matches!(home.quarantine.take(&twice), Err(TakeError::WouldBreak(_))));
}
