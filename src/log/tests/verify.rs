//! Verification finds every single corruption that loses records, and repair keeps all records that are not corrupt.

use std::sync::LazyLock;

use super::random::Random;
use super::*;
use crate::verify::{AtStart, PartitionFacts, Verdict, repair, verify};

/// A cleanly closed log with all kinds of batches, of which copies are corrupted.
static INTACT: LazyLock<Intact> = LazyLock::new(Intact::write);

struct Intact {
    files: Vec<(PathBuf, Vec<u8>)>,
    end: Offset,
    contents: Vec<Option<String>>,
}

impl Intact {
    fn write() -> Intact {
        let disk = Simulation::default();
        let (fixture, end) = written(&disk, true);
        let contents = contents(&fixture, end);
        assert_eq!(verify_log(&fixture, known(&fixture, end)).findings, []);
        let bytes = |path: &Path| fixture.disk.read(path).expect("reads").expect("exists");
        let files = disk.all_files().into_iter().map(|path| (path.clone(), bytes(&path))).collect();
        Intact { files, end, contents }
    }

    fn copy(&self) -> (Simulation, Fixture) {
        let disk = Simulation::default();
        self.files.iter().for_each(|(path, bytes)| disk.put(path, bytes));
        let fixture = fixture_on(&disk);
        (disk, fixture)
    }
}

fn fixture_on(disk: &Simulation) -> Fixture {
    let mut fixture = Fixture::simulated(disk);
    fixture.config.segment_bytes = 1500;
    fixture.at.topic_id = Some(Uuid([3; 16]));
    fixture
}

/// Writes a log with all kinds of batches, closed cleanly or not; returns its end offset.
fn written(disk: &Simulation, clean: bool) -> (Fixture, Offset) {
    let fixture = fixture_on(disk);
    let mut log = fixture.open();
    for index in 0..30 {
        let params = AppendParams { leader_epoch: index / 7, ..COORDINATOR };
        let batch = match index % 5 {
            0 => by_producer(7, 0, index / 5 * 2, 2),
            1 => in_txn(8, 0, index / 5, 1),
            2 => batch_at(NOW + i64::from(index), &["plain", "values"]),
            3 => marker(8, 0, ControlType::Abort, 0),
            _ => compressed(index),
        };
        log.append(&batch, params).expect("appends");
    }
    let end = log.end_offset();
    if clean {
        fixture.close(log);
    }
    (fixture, end)
}

fn compressed(index: i32) -> Verified {
    let codec = [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd][index as usize % 4];
    let mut builder = BatchBuilder::new(codec);
    builder.append(NOW + i64::from(index), Some(b"key"), Some(b"compressed compressed compressed"), &[]);
    builder.build().expect("builds")
}

fn known(fixture: &Fixture, end: Offset) -> PartitionFacts {
    PartitionFacts { at: OpenParams { recovery_point: end, log_start: Some(0), ..fixture.at }, compacted: false }
}

fn verify_log(fixture: &Fixture, known: PartitionFacts) -> Verdict {
    verify(&fixture.disk, &fixture.folder, known, &mut |_| {}).expect("can be read")
}

#[test]
fn verify_of_log_with_deleted_records_finds_nothing() {
    let disk = Simulation::default();
    let (fixture, end) = written(&disk, true);
    let mut log = fixture.open();
    log.delete_records(end - 4).expect("deletes");
    fixture.close(log);
    let start = Some(end - 4);
    let at = OpenParams { recovery_point: end, log_start: start, ..fixture.at };
    assert_eq!(verify_log(&fixture, PartitionFacts { at, compacted: false }).findings, []);
    assert_ne!(verify_log(&fixture, known(&fixture, end)).findings, [], "epochs of records that should exist");
}

/// Reads all records of a log that is opened as after a clean shutdown; `None` at offsets without one.
fn contents(fixture: &Fixture, end: Offset) -> Vec<Option<String>> {
    let mut contents = vec![None; end as usize];
    let Ok(log) = fixture.try_open() else { return contents };
    for (offset, value) in readable(&log) {
        if let Some(content) = contents.get_mut(offset as usize) {
            *content = Some(value);
        }
    }
    contents
}

fn readable(log: &Log) -> Vec<(Offset, String)> {
    let mut found = Vec::new();
    let mut next = log.start_offset();
    while next < log.end_offset() {
        let Ok(slice) = log.read(next, 1 << 20, true, Offset::MAX) else { break };
        for batch in batches(&slice.bytes).map_while(Result::ok).take_while(|batch| batch.check_crc().is_ok()) {
            for record in batch.records().map_while(Result::ok) {
                found.push((record.offset, String::from_utf8_lossy(&record.value.unwrap_or_default()).into_owned()));
            }
        }
        if slice.next_offset <= next {
            break;
        }
        next = slice.next_offset;
    }
    found
}

/// Verifies and repairs a cleanly closed log after `change`: all losses must be found, and no other record may be lost.
#[track_caller]
fn check(what: &str, change: impl Fn(&Simulation)) {
    let Intact { end, contents: before, .. } = &*INTACT;
    let (disk, fixture) = INTACT.copy();
    let known = known(&fixture, *end);
    change(&disk);
    let verdict = verify_log(&fixture, known);
    if verdict.findings.is_empty() {
        assert_eq!(&contents(&fixture, *end), before, "{what}: nothing was found");
        return;
    }
    let lost = |offset: Offset| {
        let mut losses = verdict.findings.iter().filter_map(|finding| finding.lost);
        losses.any(|lost| offset >= lost.first && lost.last.is_none_or(|last| offset <= last))
    };
    if verdict.findings.iter().any(|finding| finding.at_start == AtStart::Refuses) {
        // The folder seems to belong to another topic.
        assert!(repair(&fixture.disk, &fixture.folder, known, &verdict).is_err(), "{what}");
        return;
    }
    let repaired = repair(&fixture.disk, &fixture.folder, known, &verdict).expect("repairs");
    let at = OpenParams { recovery_point: repaired.end, log_start: Some(repaired.start), ..known.at };
    let known = PartitionFacts { at, ..known };
    assert_eq!(verify_log(&fixture, known).findings, [], "{what}: after repair of {:?}", verdict.findings);
    let after = contents(&fixture, *end);
    for (offset, (before, after)) in before.iter().zip(&after).enumerate() {
        if !lost(offset as Offset) {
            assert_eq!(before, after, "{what}: offset {offset} of {:?}", verdict.findings);
        }
    }
}

fn files() -> Vec<(PathBuf, u64)> {
    INTACT.files.iter().map(|(path, bytes)| (path.clone(), bytes.len() as u64)).collect()
}

#[test]
fn verify_of_intact_log_finds_nothing() {
    for clean in [true, false] {
        let disk = Simulation::default();
        let (fixture, end) = written(&disk, clean);
        let verdict = verify_log(&fixture, known(&fixture, end));
        assert_eq!(verdict.findings, []);
        assert_eq!((verdict.start, verdict.end), (0, end));
        assert!(verdict.records > 30 && verdict.segments > 1 && verdict.batches == 30, "{verdict:?}");
    }
}

#[test]
fn verify_of_flipped_bit_in_any_file_finds_every_loss() {
    let mut random = Random(11);
    for (path, len) in files() {
        for _ in 0..25 {
            let (at, flip) = (random.below(len.max(1)) as usize, 1 << random.below(8));
            check(&format!("{}: byte {at} ^ {flip}", path.display()), |disk| {
                disk.corrupt(&path, |bytes| {
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte ^= flip;
                    }
                });
            });
        }
    }
}

#[test]
fn verify_of_flipped_header_bit_finds_every_loss() {
    let (path, _) =
        files().into_iter().find(|(path, _)| path.ends_with("00000000000000000000.log")).expect("a segment");
    for bit in (0..61 * 8).step_by(3) {
        check(&format!("bit {bit}"), |disk| disk.corrupt(&path, |bytes| bytes[bit / 8] ^= 1 << (bit % 8)));
    }
}

#[test]
fn verify_of_truncated_or_removed_file_finds_every_loss() {
    let mut random = Random(12);
    for (path, len) in files() {
        check(&format!("{} removed", path.display()), |disk| {
            Disk::simulated(disk).remove(&path).expect("removes");
        });
        for _ in 0..6 {
            let at = random.below(len.max(1)) as usize;
            check(&format!("{}: truncated to {at}", path.display()), |disk| {
                disk.corrupt(&path, |bytes| bytes.truncate(at));
            });
            check(&format!("{}: zeros from {at} on", path.display()), |disk| {
                disk.corrupt(&path, |bytes| bytes.iter_mut().skip(at).for_each(|byte| *byte = 0));
            });
        }
        check(&format!("{}: longer", path.display()), |disk| {
            disk.corrupt(&path, |bytes| bytes.extend_from_slice(&[7; 100]));
        });
    }
}

#[test]
fn verify_of_interrupted_work_finds_every_loss() {
    let folder = PathBuf::from("/data/t-0");
    for name in
        ["00000000000000000000.log.cleaned", "00000000000000000009.snapshot.deleted", "leader-epoch-checkpoint.tmp"]
    {
        let path = folder.join(name);
        check(name, |disk| Disk::simulated(disk).write_atomic(&path, b"half", false).expect("writes"));
    }
    // A compaction that was interrupted before its last rename.
    check("swap", |disk| {
        let disk = Disk::simulated(disk);
        let path = folder.join("00000000000000000000.log");
        let bytes = disk.read(&path).expect("reads").expect("a segment");
        disk.write_atomic(&folder.join("00000000000000000000.log.swap"), &bytes, false).expect("writes");
    });
}

#[test]
fn repair_of_one_corrupt_batch_removes_only_it() {
    let disk = Simulation::default();
    let (fixture, end) = written(&disk, true);
    disk.corrupt(&fixture.folder.join("00000000000000000000.log"), |bytes| bytes[80] ^= 1);
    let known = known(&fixture, end);
    let verdict = verify_log(&fixture, known);
    let lost: Vec<_> = verdict.findings.iter().filter_map(|finding| finding.lost).collect();
    assert_eq!(lost.len(), 1, "{verdict:?}");
    assert_eq!((lost[0].first, lost[0].last), (0, Some(1)));
    let repaired = repair(&fixture.disk, &fixture.folder, known, &verdict).expect("repairs");
    assert_eq!((repaired.start, repaired.end, repaired.set_aside.len()), (0, end, 1));
    let log = fixture.open();
    assert_eq!(readable(&log).first().map(|(offset, _)| *offset), Some(2));
}

#[test]
fn repair_of_corrupt_last_batch_keeps_the_end_offset_and_a_copy() {
    let disk = Simulation::default();
    let (mut fixture, end) = written(&disk, true);
    fixture.at.clean_shutdown = true;
    let active = fixture.open().segments.last().map(|segment| segment.base()).expect("has segments");
    let active = fixture.folder.join(format!("{active:020}.log"));
    disk.corrupt(&active, |bytes| *bytes.last_mut().expect("has batches") ^= 1);
    let known = known(&fixture, end);
    let verdict = verify_log(&fixture, known);
    let lost: Vec<_> = verdict.findings.iter().filter_map(|finding| finding.lost).collect();
    assert_eq!((lost.len(), lost[0].last), (1, Some(end - 1)), "{verdict:?}");
    let repaired = repair(&fixture.disk, &fixture.folder, known, &verdict).expect("repairs");
    assert_eq!((repaired.end, repaired.set_aside.len()), (end, 1));
    assert_eq!(fixture.open().end_offset(), end);
}

/// Creates a log of idempotent batches in several segments, all records of which were deleted.
fn emptied(disk: &Simulation) -> (Fixture, Log) {
    let mut fixture = Fixture::simulated(disk);
    fixture.config.segment_bytes = 600;
    let mut log = fixture.open();
    for index in 0..20 {
        log.append(&by_producer(7, 0, index, 1), AppendParams { leader_epoch: 3, ..CLIENT }).expect("appends");
    }
    let end = log.end_offset();
    log.delete_records(end).expect("deletes");
    fixture.at.log_start = Some(end);
    (fixture, log)
}

/// Checks that verification finds nothing wrong with the leader epochs.
#[track_caller]
fn check_epochs(fixture: &Fixture, what: &str) {
    let known = PartitionFacts { at: fixture.at, compacted: false };
    let findings = verify_log(fixture, known).findings;
    let of_epochs = findings.iter().find(|finding| finding.file == "leader-epoch-checkpoint");
    assert_eq!(of_epochs, None, "{what}");
}

#[test]
fn log_with_all_records_deleted_keeps_last_epoch_on_open() {
    for clean in [true, false] {
        let (mut fixture, mut log) = emptied(&Simulation::default());
        // As a roll and a clean shutdown do.
        log.take_snapshot().expect("is written");
        let end = log.end_offset();
        let validated = log.validated();
        fixture.close(log);
        fixture.at.clean_shutdown = clean;
        let log = if clean { fixture.open() } else { fixture.reopen_killed(validated) };
        assert_eq!(log.end_offset_for_epoch(3), Some((3, end)), "clean: {clean}");
        check_epochs(&fixture, if clean { "clean" } else { "killed" });
    }
}

#[test]
fn log_with_all_records_deleted_keeps_last_epoch_after_disk_failure_and_kill() {
    for allowed in 0..40 {
        let disk = Simulation::default();
        let (fixture, mut log) = emptied(&disk);
        let validated = log.validated();
        disk.fail_after_changes(Some(allowed));
        // Larger than the rest of the segment: it rolls.
        let appended = log.append(&by_producer(7, 0, 20, 20), AppendParams { leader_epoch: 3, ..CLIENT }).is_ok();
        disk.fail_after_changes(None);
        if let Ok(reopened) = log.reopen(NOW) {
            log = reopened;
        }
        check_epochs(&fixture, &format!("{allowed} changes, appended: {appended}"));
        drop(log);
        drop(fixture.reopen_killed(validated));
        check_epochs(&fixture, &format!("{allowed} changes, appended: {appended}, killed"));
    }
}

#[test]
fn last_batch_of_a_new_epoch_that_the_checkpoint_lacks_is_found_only_after_a_clean_stop() {
    for clean in [false, true] {
        let (fixture, _) = written(&Simulation::default(), true);
        let checkpoint = fixture.folder.join("leader-epoch-checkpoint");
        let before = fixture.disk.read(&checkpoint).expect("reads").expect("exists");
        let mut log = fixture.open();
        log.append(&batch(&["begins an epoch"]), AppendParams { leader_epoch: 9, ..COORDINATOR }).expect("appends");
        let end = log.end_offset();
        fixture.close(log);
        // The rename of the new checkpoint was not synced.
        fixture.disk.write_atomic(&checkpoint, &before, true).expect("writes");
        let mut known = known(&fixture, end);
        known.at.clean_shutdown = clean;
        let findings = verify_log(&fixture, known).findings;
        let is_found = findings.iter().any(|finding| finding.what.contains("its neighbours"));
        assert_eq!(is_found, clean, "{findings:?}");
    }
}
