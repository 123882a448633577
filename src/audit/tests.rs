//! The log as a whole: tampering is found, faults lose nothing.

use std::{
    fs::{self, File, OpenOptions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use proptest::prelude::*;

use super::{
    read::{Filter, Tail, query},
    stream::Limits,
    verify::{KeptHead, Report, What, verify, verify_against},
    *,
};
use crate::clock::BootId;

fn now(ms: i64) -> Moment {
    Moment { wall_ms: 1_795_000_000_000 + ms, boot_ms: ms, boot: BootId(1) }
}

fn folder() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit");
    (dir, path)
}

fn write(audit: &mut Audit, from: i64, count: i64) {
    for n in from..from + count {
        let detail = format!("number {n}");
        let record = Record { detail: Some(&detail), ..Record::new("mint", "bot", Kind::Agent) };
        audit.record(record, now(n)).unwrap();
    }
}

fn what(report: &Report) -> Option<What> {
    report.streams.iter().find_map(|stream| stream.fault.as_ref()).map(|fault| fault.what)
}

fn details(dir: &Path) -> Vec<String> {
    query(dir, &Filter::default()).unwrap().into_iter().filter_map(|entry| entry.detail).collect()
}

fn numbers(count: i64) -> Vec<String> {
    (0..count).map(|n| format!("number {n}")).collect()
}

/// A stream of eight lines, closed.
fn sample() -> (tempfile::TempDir, PathBuf, Vec<u8>) {
    let (keep, dir) = folder();
    write(&mut Audit::open(&dir).unwrap(), 0, 8);
    let file = dir.join("agent.jsonl");
    let bytes = fs::read(&file).unwrap();
    (keep, file, bytes)
}

#[test]
fn any_changed_byte_any_missing_line_any_swap_and_any_cut_is_found() {
    let (_keep, file, good) = sample();
    let dir = file.parent().unwrap();
    assert!(verify(dir).unwrap().ok);
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(&file, &bad).unwrap();
        assert!(!verify(dir).unwrap().ok, "byte {at} was changed and nobody noticed");
    }
    let lines: Vec<&[u8]> = good.split_inclusive(|b| *b == b'\n').collect();
    for at in 0..lines.len() {
        let mut fewer = lines.clone();
        fewer.remove(at);
        fs::write(&file, fewer.concat()).unwrap();
        let expected = if at == 7 { What::Cut } else { What::Removed };
        assert_eq!(what(&verify(dir).unwrap()), Some(expected), "line {at} was removed");
        for other in at + 1..lines.len() {
            let mut swapped = lines.clone();
            swapped.swap(at, other);
            fs::write(&file, swapped.concat()).unwrap();
            assert_eq!(what(&verify(dir).unwrap()), Some(What::Reordered), "lines {at} and {other} were swapped");
        }
    }
    for length in 0..good.len() {
        fs::write(&file, &good[..length]).unwrap();
        assert!(!verify(dir).unwrap().ok, "cut to {length} bytes and nobody noticed");
    }
    fs::remove_file(&file).unwrap();
    assert_eq!(what(&verify(dir).unwrap()), Some(What::Cut));
    fs::write(&file, &good).unwrap();
    assert!(verify(dir).unwrap().ok);
}

#[test]
fn a_rewritten_stream_is_found_by_a_head_that_was_kept_elsewhere() {
    let (keep, dir) = folder();
    let mut audit = Audit::open(&dir).unwrap();
    write(&mut audit, 0, 5);
    let kept: KeptHead = audit.heads()[0].parse().unwrap();
    drop(audit);
    assert!(verify_against(&dir, std::slice::from_ref(&kept)).unwrap().ok);
    fs::remove_dir_all(&dir).unwrap();
    write(&mut Audit::open(&dir).unwrap(), 10, 9);
    assert!(verify(&dir).unwrap().ok, "a whole new log is in order in itself");
    assert_eq!(what(&verify_against(&dir, &[kept]).unwrap()), Some(What::Changed));
    drop(keep);
}

#[test]
fn a_chain_goes_on_over_restarts_and_rotations() {
    let (_keep, dir) = folder();
    let limits = Limits { file_bytes: 2000, ..Limits::default() };
    for n in 0..10 {
        write(&mut Audit::open_with(&dir, limits).unwrap(), n * 4, 4);
    }
    assert!(dir.join("agent.jsonl.2").exists());
    let report = verify(&dir).unwrap();
    assert!(report.ok, "{report:?}");
    assert_eq!(report.streams[0].lines, 40);
    assert_eq!(details(&dir), numbers(40));
    assert_eq!(fs::metadata(dir.join("agent.jsonl")).unwrap().permissions().mode() & 0o777, 0o600);
    fs::remove_file(dir.join("agent.jsonl.1")).unwrap();
    assert_eq!(what(&verify(&dir).unwrap()), Some(What::Removed));
}

#[test]
fn a_torn_last_line_is_moved_aside_or_completed_and_the_chain_goes_on() {
    let (_keep, file, good) = sample();
    let dir = file.parent().unwrap();
    // Cut inside the last line, as after a crash: what is left of it is kept.
    fs::write(&file, &good[..good.len() - 20]).unwrap();
    fs::remove_file(dir.join("heads.json")).unwrap();
    write(&mut Audit::open(dir).unwrap(), 100, 1);
    assert!(verify(dir).unwrap().ok);
    let torn = fs::read_dir(dir).unwrap().find_map(|e| {
        let e = e.unwrap();
        e.file_name().to_string_lossy().starts_with("agent.torn-").then(|| e.path())
    });
    let last = good.split_inclusive(|b| *b == b'\n').next_back().unwrap();
    assert_eq!(fs::read(torn.unwrap()).unwrap(), &last[..last.len() - 20]);
    // Only the newline is missing: the line is whole.
    fs::write(&file, &good[..good.len() - 1]).unwrap();
    fs::remove_file(dir.join("heads.json")).unwrap();
    write(&mut Audit::open(dir).unwrap(), 101, 1);
    let report = verify(dir).unwrap();
    assert!(report.ok, "{report:?}");
    assert_eq!(report.streams[0].lines, 10);
    assert!(report.streams[0].notes[0].contains("stream.recovered"));
}

#[test]
fn a_cut_before_a_restart_stays_on_record() {
    let (_keep, file, good) = sample();
    let dir = file.parent().unwrap();
    let lines: Vec<&[u8]> = good.split_inclusive(|b| *b == b'\n').collect();
    fs::write(&file, lines[..5].concat()).unwrap();
    write(&mut Audit::open(dir).unwrap(), 100, 1);
    let report = verify(dir).unwrap();
    assert_eq!(what(&report), Some(What::Removed));
    assert!(report.streams[0].notes[0].contains("stream.cut"), "{report:?}");
}

#[test]
fn a_file_deleted_under_the_daemon_is_noticed() {
    let (_keep, dir) = folder();
    let mut audit = Audit::open(&dir).unwrap();
    write(&mut audit, 0, 3);
    fs::remove_file(dir.join("agent.jsonl")).unwrap();
    write(&mut audit, 5000, 1);
    let entries = query(&dir, &Filter::default()).unwrap();
    assert_eq!(entries[0].event, "stream.started");
    assert_eq!((entries[0].seq, entries.len()), (4, 2));
    assert_eq!(what(&verify(&dir).unwrap()), Some(What::Removed));
}

#[test]
fn a_full_disk_loses_nothing_and_heals() {
    let (_keep, dir) = folder();
    let mut audit = Audit::open(&dir).unwrap();
    write(&mut audit, 0, 3);
    let full = || OpenOptions::new().append(true).open("/dev/full").unwrap();
    let at = audit.streams.iter().position(|stream| stream.kind == Kind::Agent).unwrap();
    let real = audit.streams[at].divert(full()).unwrap();
    for n in 3..7 {
        let detail = format!("number {n}");
        let record = Record { detail: Some(&detail), ..Record::new("mint", "bot", Kind::Agent) };
        let error = audit.record(record, now(n)).unwrap_err();
        assert_eq!(error.code, Code::StateUnwritable);
        assert!(error.hint.is_some());
    }
    assert!(audit.error().unwrap().contains("No space"), "{:?}", audit.error());
    // Another stream can be written, and the log as a whole still says that something is wrong.
    audit.record(Record::new("mint", "you", Kind::Human), now(9)).unwrap();
    assert!(audit.error().is_some());
    assert!(audit.flush_pending().is_err());
    audit.streams[at].divert(real);
    write(&mut audit, 7, 1);
    assert_eq!(audit.error(), None);
    audit.flush_pending().unwrap();
    drop(audit);
    assert_eq!(details(&dir), numbers(8));
    assert!(verify(&dir).unwrap().ok);
}

#[test]
fn what_is_held_is_written_in_order_and_outlives_a_full_disk() {
    fn hold(audit: &mut Audit, n: i64) -> Result<()> {
        let detail = format!("number {n}");
        audit.hold(Record { detail: Some(&detail), ..Record::new("mint", "bot", Kind::Agent) }, now(n))
    }
    let (_keep, dir) = folder();
    let mut audit = Audit::open(&dir).unwrap();
    (0..3).for_each(|n| hold(&mut audit, n).unwrap());
    assert_eq!(details(&dir), numbers(1), "the first opens the file; the others wait");
    // A line that is written at once does not overtake them.
    write(&mut audit, 3, 1);
    assert_eq!(details(&dir), numbers(4));
    (4..6).for_each(|n| hold(&mut audit, n).unwrap());
    audit.let_go();
    assert_eq!(details(&dir), numbers(6));
    let at = audit.streams.iter().position(|stream| stream.kind == Kind::Agent).unwrap();
    (6..8).for_each(|n| hold(&mut audit, n).unwrap());
    let real = audit.streams[at].divert(OpenOptions::new().append(true).open("/dev/full").unwrap()).unwrap();
    audit.let_go();
    assert!(audit.error().unwrap().contains("No space"), "{:?}", audit.error());
    assert_eq!(hold(&mut audit, 8).unwrap_err().code, Code::StateUnwritable);
    audit.streams[at].divert(real);
    hold(&mut audit, 9).unwrap();
    assert_eq!((audit.error(), details(&dir)), (None, numbers(10)));
    // So many that they do not wait, and then the end of the daemon.
    (10..200).for_each(|n| hold(&mut audit, n).unwrap());
    assert!(details(&dir).len() > 100);
    drop(audit);
    assert_eq!(details(&dir), numbers(200));
    assert!(verify(&dir).unwrap().ok);
}

#[test]
fn a_file_swapped_for_another_of_the_same_length_is_noticed() {
    let (_keep, file, good) = sample();
    let dir = file.parent().unwrap();
    let mut audit = Audit::open(dir).unwrap();
    write(&mut audit, 8, 1);
    let (_other, other, _) = sample();
    let mut theirs = Audit::open(other.parent().unwrap()).unwrap();
    write(&mut theirs, 5, 1);
    drop(theirs);
    fs::remove_file(&file).unwrap();
    fs::copy(&other, &file).unwrap();
    assert_ne!(fs::read(&file).unwrap(), good);
    write(&mut audit, 9000, 1);
    drop(audit);
    let report = verify(dir).unwrap();
    assert_eq!(what(&report), Some(What::Changed));
    assert!(report.streams[0].notes[0].contains("stream.cut"), "{report:?}");
}

#[test]
fn a_note_on_a_mended_stream_survives_a_full_disk() {
    let (_keep, dir) = folder();
    let mut audit = Audit::open(&dir).unwrap();
    write(&mut audit, 0, 2);
    let at = audit.streams.iter().position(|stream| stream.kind == Kind::Agent).unwrap();
    let full = || OpenOptions::new().append(true).open("/dev/full").unwrap();
    audit.streams[at].divert(full());
    audit.record(Record::new("mint", "bot", Kind::Agent), now(2)).unwrap_err();
    fs::remove_file(dir.join("agent.jsonl")).unwrap();
    audit.flush_pending().unwrap();
    drop(audit);
    let events: Vec<_> = query(&dir, &Filter::default()).unwrap().into_iter().map(|e| (e.seq, e.event)).collect();
    assert_eq!(events, [(3, "mint".to_owned()), (4, "stream.started".to_owned())]);
    assert_eq!(what(&verify(&dir).unwrap()), Some(What::Removed));
}

#[test]
fn what_does_not_fit_into_memory_is_counted() {
    let (_keep, dir) = folder();
    let mut audit = Audit::open_with(&dir, Limits { pending_lines: 2, ..Limits::default() }).unwrap();
    write(&mut audit, 0, 1);
    let at = audit.streams.iter().position(|stream| stream.kind == Kind::Agent).unwrap();
    let real = audit.streams[at].divert(OpenOptions::new().append(true).open("/dev/full").unwrap()).unwrap();
    for n in 1..6 {
        audit.record(Record::new("mint", "bot", Kind::Agent), now(n)).unwrap_err();
    }
    audit.streams[at].divert(real);
    audit.flush_pending().unwrap();
    let entries = query(&dir, &Filter::default()).unwrap();
    assert_eq!(entries.len(), 4);
    let lost = entries.iter().find(|entry| entry.event == "stream.lost").unwrap();
    assert!(lost.detail.as_deref().unwrap().starts_with("3 records"));
    assert!(verify(&dir).unwrap().ok);
}

/// The kernel itself cuts a write short: run again under a file size limit, with its signal ignored.
#[test]
fn a_short_write_leaves_no_half_line() {
    const INSIDE: &str = "HALLPASS_TEST_SHORT_WRITE";
    if std::env::var_os(INSIDE).is_none() {
        let me = std::env::current_exe().unwrap();
        let run = "trap '' XFSZ; ulimit -S -f 1; exec \"$0\" --exact audit::tests::a_short_write_leaves_no_half_line";
        let out = std::process::Command::new("bash").args(["-c", run]).arg(me).env(INSIDE, "1").output().unwrap();
        let text = String::from_utf8_lossy(&out.stdout);
        assert!(out.status.success() && text.contains("1 passed"), "{text}");
        return;
    }
    let (_keep, dir) = folder();
    let mut audit = Audit::open(&dir).unwrap();
    let mut failed = None;
    for n in 0..10 {
        let detail = format!("number {n}");
        let record = Record { detail: Some(&detail), ..Record::new("mint", "bot", Kind::Agent) };
        if audit.record(record, now(n)).is_err() {
            failed.get_or_insert(n);
        }
    }
    assert!(failed.is_some_and(|n| n > 0 && n < 9), "the limit was not met");
    assert!(fs::read(dir.join("agent.jsonl")).unwrap().ends_with(b"\n"));
    let hard = rustix::process::getrlimit(rustix::process::Resource::Fsize).maximum;
    let unlimited = rustix::process::Rlimit { current: hard, maximum: hard };
    rustix::process::setrlimit(rustix::process::Resource::Fsize, unlimited).unwrap();
    audit.flush_pending().unwrap();
    drop(audit);
    assert_eq!(details(&dir), numbers(10));
    assert!(verify(&dir).unwrap().ok);
}

#[test]
fn a_folder_that_cannot_be_made_now_is_made_later_and_a_link_is_refused() {
    let (keep, dir) = folder();
    fs::write(keep.path().join("in-the-way"), "").unwrap();
    let below = keep.path().join("in-the-way/audit");
    let mut audit = Audit::open(&below).unwrap();
    assert!(audit.error().is_some());
    audit.record(Record::new("mint", "bot", Kind::Agent), now(0)).unwrap_err();
    fs::remove_file(keep.path().join("in-the-way")).unwrap();
    audit.flush_pending().unwrap();
    assert_eq!(audit.error(), None);
    assert_eq!(query(&below, &Filter::default()).unwrap()[0].event, "stream.lost");
    std::os::unix::fs::symlink(keep.path(), &dir).unwrap();
    assert!(Audit::open(&dir).is_err());
    let loose = keep.path().join("loose");
    fs::create_dir(&loose).unwrap();
    fs::set_permissions(&loose, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(Audit::open(&loose).unwrap_err().hint.unwrap().starts_with("chmod 700"));
}

#[test]
fn a_link_or_a_fifo_in_a_stream_s_place_is_refused() {
    for fifo in [false, true] {
        let (keep, dir) = folder();
        drop(Audit::open(&dir).unwrap());
        let victim = keep.path().join("victim");
        File::create(&victim).unwrap();
        let place = dir.join("agent.jsonl");
        if fifo {
            let made = std::process::Command::new("mkfifo").arg(&place).status().unwrap();
            assert!(made.success());
        } else {
            std::os::unix::fs::symlink(&victim, &place).unwrap();
        }
        let mut audit = Audit::open(&dir).unwrap();
        audit.record(Record::new("mint", "bot", Kind::Agent), now(0)).unwrap_err();
        assert!(audit.error().is_some());
        drop(audit);
        assert_eq!(fs::read(&victim).unwrap(), b"");
    }
}

#[test]
fn queries_and_tails() {
    let (_keep, dir) = folder();
    let limits = Limits { file_bytes: 1500, ..Limits::default() };
    let mut audit = Audit::open_with(&dir, limits).unwrap();
    write(&mut audit, 0, 2);
    let mut tail = Tail::new(&dir, Filter::default()).unwrap();
    assert_eq!(tail.poll().unwrap(), []);
    write(&mut audit, 2, 20);
    let human =
        Record { task: Some("task_1"), lease: Some("lease_1"), ..Record::new("gateway.request", "you", Kind::Human) };
    audit.record(human, now(50)).unwrap();
    let fresh: Vec<_> = tail.poll().unwrap();
    // What was rotated away between two looks may be missed by a tail, the newest file never is.
    assert_eq!(fresh.last().unwrap().event, "gateway.request");
    assert_eq!(tail.poll().unwrap(), []);
    let count = |filter: Filter| query(&dir, &filter).unwrap().len();
    assert_eq!(count(Filter::default()), 23);
    assert_eq!(count(Filter { kind: Some(Kind::Human), ..Filter::default() }), 1);
    assert_eq!(count(Filter { principal: Some("bot".into()), ..Filter::default() }), 22);
    assert_eq!(count(Filter { task: Some("task_1".into()), ..Filter::default() }), 1);
    assert_eq!(count(Filter { lease: Some("lease_2".into()), ..Filter::default() }), 0);
    assert_eq!(count(Filter { event: Some("gateway".into()), ..Filter::default() }), 1);
    assert_eq!(count(Filter { event: Some("gate".into()), ..Filter::default() }), 0);
    assert_eq!(count(Filter { since_ms: Some(now(20).wall_ms), ..Filter::default() }), 3);
    assert_eq!(count(Filter { until_ms: Some(now(20).wall_ms), ..Filter::default() }), 20);
    let newest = query(&dir, &Filter { limit: Some(2), ..Filter::default() }).unwrap();
    assert_eq!(newest[1].event, "gateway.request");
    assert_eq!(newest[0].detail.as_deref(), Some("number 21"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]
    #[test]
    fn no_bytes_in_a_stream_s_place_break_anything(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let (_keep, dir) = folder();
        drop(Audit::open(&dir).unwrap());
        fs::write(dir.join("agent.jsonl"), &bytes).unwrap();
        verify(&dir).unwrap();
        query(&dir, &Filter::default()).unwrap();
        let mut audit = Audit::open(&dir).unwrap();
        write(&mut audit, 0, 2);
        drop(audit);
        prop_assert_eq!(details(&dir).into_iter().filter(|d| d.starts_with("number")).count(), 2);
    }
}
