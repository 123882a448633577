//! Each way in which programs save a file.

use std::{
    fs::{self, File},
    io::{Seek, Write},
    path::Path,
    process::Command,
    time::Instant,
};

use hallpass::{
    scan::read::{self, Buffer, Limits, MAX_SIZE, Unread},
    watch::Why,
};

use super::Scene;

/// The file, as the daemon reads it.
fn read(path: &Path) -> Result<Vec<u8>, Unread> {
    let mut buffer = Buffer::default();
    read::file(path, Limits { size: MAX_SIZE, network: false }, &mut buffer).map(|()| buffer.bytes().to_vec())
}

/// Saves `.env` in the project and expects it to be seen with the new content in it, twice, because a watch that
/// dies with the first save sees only one.
fn saved(save: impl Fn(&Scene, &str)) {
    let scene = Scene::project();
    scene.write("project/.env", "A=0\n");
    scene.sees("project/.env");
    for text in ["A=1\n", "A=1\nB=22\n"] {
        save(&scene, text);
        loop {
            let seen = scene.sees("project/.env");
            assert_eq!(seen.why, Why::Event);
            // A save in several steps may be seen in between; the last one has to be seen.
            match read(&seen.path) {
                Ok(bytes) if bytes == text.as_bytes() => break,
                Ok(_) | Err(Unread::Gone | Unread::Changing) => {}
                Err(other) => panic!("{other:?}"),
            }
        }
    }
}

fn shell(scene: &Scene, line: &str) {
    let status = Command::new("sh").arg("-c").arg(line).current_dir(scene.path("project")).status().unwrap();
    assert!(status.success());
}

#[test]
fn truncate_and_write() {
    saved(|scene, text| scene.write("project/.env", text));
}

#[test]
fn vim_makes_a_backup_by_rename_and_writes_anew() {
    saved(|scene, text| {
        fs::write(scene.path("project/4913"), "").unwrap();
        fs::remove_file(scene.path("project/4913")).unwrap();
        fs::rename(scene.path("project/.env"), scene.path("project/.env~")).unwrap();
        scene.write("project/.env", text);
        fs::remove_file(scene.path("project/.env~")).unwrap();
    });
}

#[test]
fn a_temporary_file_renamed_over_it() {
    saved(|scene, text| {
        let mut file = tempfile::NamedTempFile::new_in(scene.path("project")).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file.as_file().sync_all().unwrap();
        file.persist(scene.path("project/.env")).unwrap();
    });
}

#[test]
fn code_writes_in_place_in_pieces_and_cuts_the_rest() {
    saved(|scene, text| {
        let mut file = File::options().write(true).open(scene.path("project/.env")).unwrap();
        file.rewind().unwrap();
        for byte in text.as_bytes() {
            file.write_all(&[*byte]).unwrap();
        }
        file.set_len(text.len() as u64).unwrap();
    });
}

#[test]
fn sed_in_place() {
    saved(|scene, text| {
        shell(scene, &format!("printf '{text}' | sed -n 'w new'; sed -i -e '1r new' -e 1d .env; cp new .env; rm new"))
    });
    let scene = Scene::project();
    scene.write("project/.env", "A=0\n");
    scene.sees("project/.env");
    shell(&scene, "sed -i s/0/1/ .env");
    assert_eq!(read(&scene.sees("project/.env").path).unwrap(), b"A=1\n");
}

#[test]
fn echo_appends() {
    let scene = Scene::project();
    for n in 1..=3 {
        shell(&scene, "echo A=1 >> .env");
        let seen = scene.sees("project/.env");
        assert_eq!(read(&seen.path).unwrap(), "A=1\n".repeat(n).as_bytes());
    }
}

#[test]
fn a_hard_link_and_a_link_take_its_place() {
    let scene = Scene::project();
    scene.write("elsewhere", "A=1\n");
    fs::hard_link(scene.path("elsewhere"), scene.path("project/.env")).unwrap();
    scene.sees("project/.env");
    std::os::unix::fs::symlink(scene.path("elsewhere"), scene.path("project/b.env")).unwrap();
    scene.sees("project/b.env");
}

#[test]
fn several_writers_at_once_and_a_file_that_never_rests_is_handed_out_all_the_same() {
    let scene = Scene::project();
    let path = scene.path("project/.env");
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for n in 0..3 {
            let (path, stop) = (&path, &stop);
            scope.spawn(move || {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    let mut file = File::options().append(true).create(true).open(path).unwrap();
                    writeln!(file, "K{n}=1").unwrap();
                }
            });
        }
        // It is written much more often than every 15 ms.
        scene.sees("project/.env");
        scene.sees("project/.env");
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    scene.write("project/.env", "LAST=1\n");
    while read(&scene.sees("project/.env").path).is_ok_and(|bytes| bytes != b"LAST=1\n") {}
}

#[test]
fn a_burst_of_writes_to_one_file_is_seen_a_few_times() {
    let scene = Scene::project();
    let began = Instant::now();
    for n in 0..300 {
        scene.write("project/.env", &format!("A={n}\n"));
    }
    scene.write("project/mark.env", "");
    let took = began.elapsed();
    let mut times = 0;
    loop {
        let seen = scene.seen.recv_timeout(super::DEADLINE).unwrap();
        if seen.path == scene.path("project/mark.env") {
            break;
        }
        times += 1;
    }
    // Only as often as 15 ms of quiet fit in, on a machine so slow that there were some, or 250 ms.
    assert!(times >= 1 && times <= took.as_millis() / 15 + 2, "{times} in {took:?}");
}

#[test]
fn a_fifo_in_place_of_the_file_blocks_nobody() {
    let scene = Scene::project();
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, scene.path("project/.env"), rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let seen = scene.sees("project/.env");
    assert!(matches!(read(&seen.path), Err(Unread::Special)));
    fs::remove_file(&seen.path).unwrap();
    scene.write("project/.env", "A=1\n");
    scene.sees("project/.env");
    assert_eq!(read(&seen.path).unwrap(), b"A=1\n");
}
