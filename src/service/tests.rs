//! Units are written, kept apart from foreign ones, and removed; the manager is a stand-in.

use std::os::unix::fs::PermissionsExt as _;

use super::{manager::Session, *};

struct Scene {
    keep: tempfile::TempDir,
    units: PathBuf,
    paths: Paths,
    exe: PathBuf,
}

fn scene() -> Scene {
    let keep = tempfile::tempdir().unwrap();
    let exe = keep.path().join("my \"100%\" $hall & pass");
    fs::write(&exe, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&exe, fs::Permissions::from_mode(0o755)).unwrap();
    Scene { units: keep.path().join("units"), paths: Paths::under(&keep.path().join("home"), None), exe, keep }
}

#[test]
fn without_a_manager_the_files_are_written_and_the_commands_named() {
    let s = scene();
    let done = install_at(Manager::Systemd, &s.units, &s.paths, &s.exe, &Session::none()).unwrap();
    assert_eq!((done.files.len(), done.ran.len()), (3, 0));
    assert_eq!(done.to_run[0], "systemctl --user daemon-reload");
    let service = fs::read_to_string(s.units.join("hallpass.service")).unwrap();
    assert!(service.contains("/my \\\"100%%\\\" $$hall & pass\" daemon"), "{service}");
    let socket = fs::read_to_string(s.units.join("hallpass.socket")).unwrap();
    assert!(socket.contains("run/agent.sock") && socket.contains("FileDescriptorName=agent"));
    let gateway = fs::read_to_string(s.units.join("hallpass-gateway.socket")).unwrap();
    assert!(gateway.contains("run/gateway.sock") && gateway.contains("FileDescriptorName=gateway"));
    for text in [&service, &socket, &gateway] {
        assert!(!text.contains('@') || text.contains("@system-service"), "a blank was left open: {text}");
        assert!(text.starts_with(&format!("# {MARKER}")));
    }
    // Twice is as once; an older one of ours is replaced.
    fs::write(s.units.join("hallpass.socket"), format!("# {MARKER}\n")).unwrap();
    install_at(Manager::Systemd, &s.units, &s.paths, &s.exe, &Session::none()).unwrap();
    assert_eq!(fs::read_to_string(s.units.join("hallpass.socket")).unwrap(), socket);
    let gone = uninstall_at(Manager::Systemd, &s.units, &s.paths, &Session::none()).unwrap();
    assert_eq!(gone.removed.len(), 3);
    assert_eq!(fs::read_dir(&s.units).unwrap().count(), 0);
    assert_eq!(uninstall_at(Manager::Systemd, &s.units, &s.paths, &Session::none()).unwrap().removed.len(), 0);
}

#[test]
fn a_unit_of_somebody_else_is_neither_replaced_nor_removed() {
    let s = scene();
    fs::create_dir_all(&s.units).unwrap();
    let theirs = s.units.join("hallpass-gateway.socket");
    for link in [false, true] {
        if link {
            fs::remove_file(&theirs).unwrap();
            std::os::unix::fs::symlink("/dev/null", &theirs).unwrap();
        } else {
            fs::write(&theirs, "[Socket]\n").unwrap();
        }
        let error = install_at(Manager::Systemd, &s.units, &s.paths, &s.exe, &Session::none()).unwrap_err();
        assert_eq!(error.code, Code::Exists);
        assert!(!s.units.join("hallpass.service").exists(), "one was written before all were looked at");
        assert!(uninstall_at(Manager::Systemd, &s.units, &s.paths, &Session::none()).is_err());
        assert!(theirs.symlink_metadata().is_ok());
    }
}

#[test]
fn with_a_manager_the_commands_are_run_up_to_the_first_that_fails() {
    let s = scene();
    let log = s.keep.path().join("log");
    let systemctl = s.keep.path().join("systemctl");
    let script = format!("#!/bin/sh\necho \"$*\" >>'{}'\ncase \"$*\" in *start*) exit 1;; esac\n", log.display());
    fs::write(&systemctl, script).unwrap();
    fs::set_permissions(&systemctl, fs::Permissions::from_mode(0o755)).unwrap();
    let done = install_at(Manager::Systemd, &s.units, &s.paths, &s.exe, &Session::with(&systemctl)).unwrap();
    assert_eq!((done.ran.len(), done.to_run.len(), done.notes.len()), (2, 1, 1));
    assert!(done.to_run[0].starts_with("systemctl --user start hallpass.socket"));
    assert_eq!(fs::read_to_string(&log).unwrap().lines().next(), Some("--user daemon-reload"));
}

#[test]
fn the_launchd_agent_is_whole_xml() {
    let s = scene();
    let done = install_at(Manager::Launchd, &s.units, &s.paths, &s.exe, &Session::none()).unwrap();
    let text = fs::read_to_string(&done.files[0]).unwrap();
    assert!(text.contains("$hall &amp; pass</string>") && !text.contains('@'), "{text}");
    assert_eq!(uninstall_at(Manager::Launchd, &s.units, &s.paths, &Session::none()).unwrap().removed, done.files);
}
