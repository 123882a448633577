//! Files on mounts that are not as others: bound by themselves, read-only. Only root can make one; elsewhere these say
//! that they were left out.

use std::{fs, path::Path, process::Command};

use crate::{
    quarantine::anthropic,
    support::{Home, skipped, wait_until},
};

/// A mount that goes with its test.
struct Mounted<'a>(&'a Path);

impl Mounted<'_> {
    fn bind<'a>(from: &Path, to: &'a Path, options: &[&str]) -> Option<Mounted<'a>> {
        let mount = |arguments: &[&str]| {
            let ran = Command::new("mount").args(arguments).arg(to).output();
            ran.is_ok_and(|ran| ran.status.success())
        };
        if !mount(&["--bind", from.to_str().unwrap()]) {
            skipped("mount(8) is not allowed here");
            return None;
        }
        let mounted = Mounted(to);
        assert!(options.is_empty() || mount(options));
        Some(mounted)
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).status();
    }
}

#[test]
fn a_file_that_is_a_mount_of_its_own_is_written_in_place_and_put_back() {
    let home = Home::started();
    let folder = tempfile::tempdir().unwrap();
    let (real, file) = (folder.path().join("real"), folder.path().join(".env"));
    let text = format!("# mine\nANTHROPIC_API_KEY={}\n", anthropic());
    fs::write(&real, &text).unwrap();
    fs::write(&file, "").unwrap();
    let Some(_mounted) = Mounted::bind(&real, &file, &[]) else { return };
    home.ok(["quarantine", "--yes", file.to_str().unwrap()]);
    for name in [&real, &file] {
        assert_eq!(fs::read_to_string(name).unwrap(), "# mine\nANTHROPIC_API_KEY=hallpass:anthropic\n");
    }
    let list = home.json("quarantine list");
    home.does(&format!("quarantine restore {}", list["items"][0]["id"].as_str().unwrap()));
    assert_eq!(fs::read_to_string(&real).unwrap(), text);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left beside it");
}

#[test]
fn a_file_system_that_cannot_be_written_is_told_and_nothing_is_begun() {
    let home = Home::started();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(".env");
    let text = format!("ANTHROPIC_API_KEY={}\n", anthropic());
    fs::write(&file, &text).unwrap();
    let Some(mounted) = Mounted::bind(folder.path(), folder.path(), &["-o", "remount,ro,bind"]) else { return };
    let ran = home.run(["quarantine", "--yes", file.to_str().unwrap()], "");
    let said = [ran.out(), ran.err()].concat();
    assert!(said.contains("the file's folder cannot be written"), "{said}");
    assert_eq!(
        (home.json("quarantine list")["items"].as_array().unwrap().len(), fs::read_to_string(&file).unwrap()),
        (0, text)
    );
    drop(mounted);
    home.ok(["quarantine", "--yes", file.to_str().unwrap()]);
    assert!(fs::read_to_string(&file).unwrap().contains("hallpass:anthropic"));
}

/// The daemon is told of a mount that is not there: what it goes by is `/proc/self/mountinfo`.
#[test]
fn a_network_mount_in_a_watched_folder_is_left_alone_and_said() {
    let home = Home::started();
    let folder = tempfile::tempdir_in("/tmp").unwrap();
    let root = folder.path().canonicalize().unwrap();
    let (network, local) = (root.join("network"), root.join("local"));
    [&network, &local].map(|folder| fs::create_dir(folder).unwrap());
    let mounts = format!("/proc/{}/mountinfo", home.pid().unwrap());
    let made_up = root.join("mountinfo");
    let line = format!("999 1 0:99 / {} rw,relatime - nfs4 server:/export rw,vers=4.2\n", network.display());
    fs::write(&made_up, fs::read_to_string(&mounts).unwrap() + &line).unwrap();
    let Some(_mounted) = Mounted::bind(&made_up, Path::new(&mounts), &[]) else { return };
    home.does(&format!("watch add --yes --mode quarantine {}", root.display()));
    wait_until("the folder is watched", || home.json("watch list")["ready"] == true);
    assert_eq!(home.json("watch list")["left_alone"], serde_json::json!([network]));
    for folder in [&network, &local] {
        fs::write(folder.join(".env"), format!("ANTHROPIC_API_KEY={}\n", anthropic())).unwrap();
    }
    wait_until("the other is taken", || fs::read_to_string(local.join(".env")).unwrap().contains("hallpass:"));
    assert!(!fs::read_to_string(network.join(".env")).unwrap().contains("hallpass:"));
}
