//! The file against damage, wrong keys, refusing disks and the real `age`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::*;

mod real_age;

/// scrypt without optimisation is slow; the factor is the file's own affair.
const WORK: u8 = 6;

struct Home {
    dir: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("credentials.age")
    }

    fn file(&self) -> File {
        File::new(Settings { path: self.path(), folder: None, identity: None, work: WORK })
    }

    fn with_identity(&self, identity: &Path) -> File {
        File::new(Settings { identity: Some(identity.into()), ..self.file().settings })
    }
}

fn secret(text: &str) -> Secret {
    Secret::take_string(text.into())
}

fn unlock(file: &mut File, passphrase: &str) -> Result<(), StoreError> {
    file.unlock(Some(secret(passphrase)))
}

fn put(file: &mut File, name: &str, value: &[u8]) -> Result<(), StoreError> {
    file.put(name, &Secret::take(value.to_vec()), &Ticket::default())
}

fn value(file: &mut File, name: &str) -> Result<Vec<u8>, StoreError> {
    file.get(name).map(|value| value.expose().to_vec())
}

#[test]
fn the_first_unlock_makes_the_file_and_its_passphrase_is_the_one_from_then_on() {
    let home = Home::new();
    let mut file = home.file();
    assert_eq!(value(&mut file, "a"), Err(StoreError::Locked));
    assert_eq!(put(&mut file, "a", b"x"), Err(StoreError::Locked));
    let (state, detail) = file.state();
    assert!(state == StoreState::Locked && detail.unwrap().contains("no file yet"));
    assert_eq!(unlock(&mut file, ""), Err(StoreError::WrongPassphrase));
    assert!(!home.path().exists());
    unlock(&mut file, "right").unwrap();
    assert!(home.path().exists());
    put(&mut file, "a", b"\x00\xff binary").unwrap();
    file.lock().unwrap();
    assert_eq!(value(&mut file, "a"), Err(StoreError::Locked));
    assert_eq!(file.state(), (StoreState::Locked, None));
    assert_eq!(file.unlock(None), Err(StoreError::Locked));
    assert_eq!(unlock(&mut file, "wrong"), Err(StoreError::WrongPassphrase));
    assert_eq!(value(&mut file, "a"), Err(StoreError::Locked));
    unlock(&mut file, "right").unwrap();
    assert_eq!(value(&mut file, "a").unwrap(), b"\x00\xff binary");
    // A wrong passphrase for an open store is wrong, and closes nothing.
    assert_eq!(unlock(&mut file, "wrong"), Err(StoreError::WrongPassphrase));
    assert_eq!(file.state(), (StoreState::Open, None));
}

#[test]
fn values_are_in_the_file_only_encrypted_and_the_file_is_private() {
    let home = Home::new();
    let mut file = home.file();
    unlock(&mut file, "right").unwrap();
    put(&mut file, "name-canary", b"value-canary").unwrap();
    let text = fs::read_to_string(home.path()).unwrap();
    assert!(text.starts_with("-----BEGIN AGE ENCRYPTED FILE-----"));
    assert!(!text.contains("canary"));
    #[cfg(unix)]
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&fs::metadata(home.path()).unwrap()) & 0o777, 0o600);
    assert_eq!(fs::read_dir(home.dir.path()).unwrap().count(), 1, "no other file is left");
}

#[test]
fn rename_and_remove() {
    let home = Home::new();
    let mut file = home.file();
    unlock(&mut file, "right").unwrap();
    put(&mut file, "a", b"1").unwrap();
    put(&mut file, "b", b"2").unwrap();
    let ticket = Ticket::default();
    assert!(matches!(file.rename("a", "b", &ticket), Err(StoreError::Io(_))), "b has another value");
    assert_eq!(file.rename("none", "x", &ticket), Err(StoreError::NotFound));
    file.rename("a", "c", &ticket).unwrap();
    file.rename("a", "c", &ticket).unwrap();
    assert_eq!(value(&mut file, "a"), Err(StoreError::NotFound));
    file.remove("b", &ticket).unwrap();
    assert_eq!(file.remove("b", &ticket), Err(StoreError::NotFound));
    let mut again = home.file();
    unlock(&mut again, "right").unwrap();
    assert_eq!(value(&mut again, "c").unwrap(), b"1");
    assert_eq!(value(&mut again, "b"), Err(StoreError::NotFound));
}

#[test]
fn a_damaged_file_is_told_and_never_overwritten() {
    let home = Home::new();
    let mut file = home.file();
    unlock(&mut file, "right").unwrap();
    put(&mut file, "a", b"1").unwrap();
    let good = fs::read(home.path()).unwrap();
    let mut flipped = good.clone();
    let middle = flipped.len() - 60;
    flipped[middle] = if flipped[middle] == b'A' { b'B' } else { b'A' };
    let damages: [&[u8]; 5] = [b"", b"not age at all", &good[..good.len() / 2], &good[..good.len() - 40], &flipped];
    for damage in damages {
        fs::write(home.path(), damage).unwrap();
        for result in [value(&mut file, "a").map(drop), put(&mut file, "b", b"2"), unlock(&mut home.file(), "right")] {
            assert!(matches!(result, Err(StoreError::Damaged(_))), "{result:?} for {} bytes", damage.len());
        }
        assert_eq!(file.state().0, StoreState::Unavailable);
        assert_eq!(fs::read(home.path()).unwrap(), damage);
    }
    // The copy comes back, and the store goes on by itself.
    fs::write(home.path(), good).unwrap();
    assert_eq!(value(&mut file, "a").unwrap(), b"1");
}

#[test]
fn contents_that_are_not_ours_show_nothing_of_themselves() {
    let home = Home::new();
    let key = Key::of_passphrase(secret("right")).unwrap();
    let plains =
        [r#"{"version":1,"credentials":{"a":{"canary":1}}}"#, r#"{"version":1,"credentials":{"a":"canary!"}}"#];
    for plain in plains.into_iter().chain([r#"{"version":2,"new":"canary"}"#, r#"["canary"]"#, "canary"]) {
        let mut recipient = age::scrypt::Recipient::new(age::secrecy::SecretString::from("right".to_owned()));
        recipient.set_work_factor(WORK);
        fs::write(home.path(), age::encrypt(&recipient, plain.as_bytes()).unwrap()).unwrap();
        let error = home.file().settings.read(&key).map(drop).unwrap_err();
        assert!(matches!(error, StoreError::Damaged(_) | StoreError::Unavailable(_)), "{error:?}");
        assert!(!format!("{error:?} {error}").contains("canary"), "{error:?}");
    }
}

#[test]
fn a_change_by_somebody_else_is_read_and_not_overwritten() {
    let home = Home::new();
    let (mut one, mut other) = (home.file(), home.file());
    unlock(&mut one, "right").unwrap();
    unlock(&mut other, "right").unwrap();
    put(&mut one, "a", b"1").unwrap();
    put(&mut other, "b", b"2").unwrap();
    put(&mut one, "c", b"3").unwrap();
    for name in ["a", "b", "c"] {
        value(&mut other, name).unwrap();
    }
    // Another passphrase: for the first one it is locked now.
    fs::remove_file(home.path()).unwrap();
    let gone = value(&mut one, "a");
    assert!(matches!(gone, Err(StoreError::Unavailable(_))), "{gone:?}");
    let begun_anew = put(&mut one, "a", b"1");
    assert!(matches!(begun_anew, Err(StoreError::Unavailable(_))) && !home.path().exists());
    unlock(&mut home.file(), "another").unwrap();
    assert_eq!(value(&mut one, "a"), Err(StoreError::Locked));
}

#[test]
fn a_call_that_was_given_up_changes_nothing_any_more() {
    let home = Home::new();
    let mut file = home.file();
    unlock(&mut file, "right").unwrap();
    put(&mut file, "a", b"1").unwrap();
    let late = Ticket::default();
    late.cancel();
    assert_eq!(file.put("a", &secret("2"), &late), Err(StoreError::Timeout));
    assert_eq!(value(&mut file, "a").unwrap(), b"1");
    assert_eq!(file.remove("a", &late), Err(StoreError::Timeout));
    assert_eq!(value(&mut file, "a").unwrap(), b"1");
}

#[test]
fn several_values_are_one_change() {
    let home = Home::new();
    let mut file = home.file();
    unlock(&mut file, "right").unwrap();
    put(&mut file, "b", b"old").unwrap();
    let values = [("a".to_owned(), secret("1")), ("b".to_owned(), secret("2"))];
    let late = Ticket::default();
    late.cancel();
    assert_eq!(file.put_all(&values, &late), Err(StoreError::Timeout));
    assert_eq!((value(&mut file, "a"), value(&mut file, "b")), (Err(StoreError::NotFound), Ok(b"old".to_vec())));
    file.put_all(&values, &Ticket::default()).unwrap();
    let mut again = home.file();
    unlock(&mut again, "right").unwrap();
    assert_eq!((value(&mut again, "a"), value(&mut again, "b")), (Ok(b"1".to_vec()), Ok(b"2".to_vec())));
}

#[cfg(unix)]
#[test]
fn a_disk_that_refuses_keeps_the_old_file_and_says_why() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::new();
    // No file can be made there by anybody, root included.
    let mut nowhere = File::new(Settings { path: "/proc/credentials.age".into(), ..home.file().settings });
    assert!(matches!(unlock(&mut nowhere, "right"), Err(StoreError::Io(_))));
    assert_eq!(value(&mut nowhere, "a"), Err(StoreError::Locked));
    let mut file = home.file();
    unlock(&mut file, "right").unwrap();
    put(&mut file, "a", b"1").unwrap();
    let before = fs::read(home.path()).unwrap();
    // In the way of the new file, and no file that may be taken away (also for root).
    let in_the_way = home.dir.path().join(".credentials.age.new");
    fs::create_dir(&in_the_way).unwrap();
    assert!(matches!(put(&mut file, "a", b"2"), Err(StoreError::Io(_))));
    fs::remove_dir(&in_the_way).unwrap();
    if crate::sys::uid() != 0 {
        fs::set_permissions(home.dir.path(), fs::Permissions::from_mode(0o500)).unwrap();
        let refused = put(&mut file, "a", b"2");
        fs::set_permissions(home.dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
        assert!(matches!(refused, Err(StoreError::Io(text)) if text.contains("permission denied")));
    }
    assert_eq!(fs::read(home.path()).unwrap(), before);
    assert_eq!(value(&mut file, "a").unwrap(), b"1");
    put(&mut file, "a", b"2").unwrap();
}

/// Needs a file system of a few hundred KiB that may be filled: `mount -t tmpfs -o size=256k tmpfs DIR`.
#[test]
fn a_full_disk_keeps_the_old_file_and_room_is_enough_to_go_on() {
    let Some(dir) = std::env::var_os("HALLPASS_TEST_SMALL_DISK").map(PathBuf::from) else {
        return eprintln!("skipped: HALLPASS_TEST_SMALL_DISK names no small file system");
    };
    let (path, filler) = (dir.join("credentials.age"), dir.join("filler"));
    let mut file = File::new(Settings { path: path.clone(), ..Home::new().file().settings });
    unlock(&mut file, "right").unwrap();
    put(&mut file, "a", b"1").unwrap();
    let before = fs::read(&path).unwrap();
    assert!(fs::write(&filler, vec![0; 1 << 24]).is_err(), "the disk is not a small one");
    let refused = put(&mut file, "b", &[0; 8192]);
    assert!(matches!(&refused, Err(StoreError::Io(text)) if text.contains("disk is full")), "{refused:?}");
    assert_eq!(fs::read(&path).unwrap(), before);
    assert_eq!(value(&mut file, "a").unwrap(), b"1");
    assert!(!dir.join(".credentials.age.new").exists());
    fs::remove_file(&filler).unwrap();
    put(&mut file, "b", &[0; 8192]).unwrap();
}
