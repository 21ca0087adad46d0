//! The files that compaction writes, and lookups in them.

use super::*;
use crate::verify::{PartitionFacts, repair, verify};
use crate::{AbortedTxn, names, txn_index};

/// Returns the base offsets of segments on disk.
fn bases(fixture: &Fixture) -> Vec<Offset> {
    let parse = |name: &String| names::parse_file(name).filter(|(_, kind)| *kind == names::LOG).map(|(base, _)| base);
    fixture.names().iter().filter_map(parse).collect()
}

fn log_of(fixture: &Fixture, text: &str) -> Log {
    let mut log = fixture.open();
    Writer::new(Codec::None).write(&mut log, text);
    log
}

#[test]
fn small_segments_are_merged_into_one() {
    let fixture = simulated();
    let mut log = log_of(&fixture, "a1 | 7:b1 | a2 c1 | d1");
    assert_eq!(bases(&fixture), [0, 1, 2, 4]);
    assert!(compact(&mut log, NOW));
    assert_eq!((text_of(&log).as_str(), log.segment_count()), ("1b1 2a2 3c1 4d1", 2));
    let expect = [
        "00000000000000000000.index",
        "00000000000000000000.log",
        "00000000000000000000.timeindex",
        "00000000000000000004.log",
        "00000000000000000004.snapshot",
        "leader-epoch-checkpoint",
    ];
    assert_eq!(fixture.names(), expect);
    let size = fixture.disk.len(&file(&fixture, expect[1])).expect("looks").expect("is there");
    assert_eq!(log.size(), size + 70);
}

#[test]
fn compaction_on_every_backing_keeps_newest_records() {
    on_every_backing(|fixture| {
        let fixture = compacted(fixture);
        let mut log = log_of(&fixture, "a1 b1 | a2 7!c1 7x | b2");
        let held = log.read(0, 1000, true, Offset::MAX).expect("reads").bytes;
        let before = held.to_vec();
        assert!(compact(&mut log, NOW));
        assert_eq!(text_of(&log), "1b1 2a2 [3..3] 4x 5b2");
        assert_eq!(held, before, "bytes read before stay unchanged");
        assert_equals_full_scan(&fixture, &log);
    });
}

#[test]
fn group_is_limited_by_segment_and_index_size() {
    let mut fixture = simulated();
    // Three batches of 70 bytes.
    fixture.config.segment_bytes = 220;
    let mut log = log_of(&fixture, "a1 | b1 | c1 | d1 e1 | f1 g1 | h1 |");
    assert!(compact(&mut log, NOW));
    assert_eq!(bases(&fixture), [0, 3, 5, 8]);
    let mut fixture = simulated();
    fixture.config.segment_index_bytes = 12;
    let mut log = log_of(&fixture, "a1 | b1 | c1 |");
    assert!(compact(&mut log, NOW));
    assert_eq!(bases(&fixture), [0, 1, 2, 3], "each has a time index of one entry");
}

#[test]
fn segments_with_offsets_too_far_apart_are_not_merged() {
    let fixture = simulated();
    fixture.disk.create_folder(&fixture.folder).expect("creates");
    // The offset of the second segment just fits into an index of the first segment, that of the third doesn't.
    let far = i64::from(i32::MAX);
    for (offset, key) in [(0, "a"), (far, "b"), (far + 1, "c")] {
        let mut builder = BatchBuilder::new(Codec::None).placed_at(offset, 0);
        builder.append(NOW, Some(key.as_bytes()), Some(b"1"), &[]);
        let batch = builder.build().expect("builds");
        fixture.disk.write_atomic(&file(&fixture, &format!("{offset:020}.log")), batch.bytes(), false).expect("writes");
    }
    let mut log = fixture.open();
    Writer::new(Codec::None).write(&mut log, "|");
    assert!(compact(&mut log, NOW));
    assert_eq!(bases(&fixture), [0, far + 1, far + 2]);
    assert_eq!(text_of(&log), format!("0a1 {far}b1 {}c1", far + 1));
    assert_equals_full_scan(&fixture, &log);
}

#[test]
fn lookups_by_offset_and_time_after_compaction_find_first_remaining_record() {
    let fixture = simulated();
    let (mut log, mut writer) = (fixture.open(), Writer::new(Codec::None));
    for round in 0..40 {
        writer.timestamp = NOW + round * 1000;
        let key = |key: u8| char::from(b'a' + (key + round as u8) % 26);
        writer
            .write(&mut log, &format!("{}1 {}2,{}3 {}", key(0), key(1), key(7), if round % 3 == 0 { "|" } else { "" }));
    }
    writer.write(&mut log, "|");
    assert!(compact(&mut log, NOW + 1_000_000));
    let records: Vec<(Offset, TimestampMs)> = all_batches(&log)
        .iter()
        .flat_map(|batch| batch.records().map(|record| record.expect("a record")).map(|it| (it.offset, it.timestamp)))
        .collect();
    assert!(records.len() < 60 && records.len() > 20, "{}", records.len());
    for log in [log, fixture.reopen_killed(None)] {
        for offset in 0..log.end_offset() {
            let expect = records.iter().find(|record| record.0 >= offset).map(|record| record.0);
            let slice = log.read(offset, 1, true, Offset::MAX).expect("reads");
            let batch = Batch::parse(&slice.bytes).expect("a batch");
            let found = batch.records().map(|record| record.expect("a record").offset).find(|found| *found >= offset);
            assert_eq!(found, expect, "offset {offset}");
        }
        for time in (NOW - 500..NOW + 41_000).step_by(500) {
            let expect = records.iter().find(|record| record.1 >= time).map(|record| record.0);
            let found = log.offset_for_timestamp(crate::TimestampQuery::At(time)).expect("looks up");
            assert_eq!(found.map(|found| found.offset), expect, "time {time}");
        }
    }
}

/// Apache Kafka looks only in the first segment whose time index has a time as late, and finds nothing in this case.
#[test]
fn time_of_emptied_batch_is_looked_up_in_later_segment() {
    let fixture = simulated();
    let (mut log, mut writer) = (fixture.open(), Writer::new(Codec::None));
    for (time, text) in [(NOW + 5, "7:a1"), (NOW, "a2 |"), (NOW + 10, "c1")] {
        writer.timestamp = time;
        writer.write(&mut log, text);
    }
    assert!(compact(&mut log, NOW + 1000));
    assert_eq!(text_of(&log), "[0..0] 1a2 2c1");
    for (time, expect) in [(NOW, Some(1)), (NOW + 1, Some(2)), (NOW + 5, Some(2)), (NOW + 11, None)] {
        let found = log.offset_for_timestamp(crate::TimestampQuery::At(time)).expect("looks up");
        assert_eq!(found.map(|found| found.offset), expect, "time {time}");
    }
}

#[test]
fn leader_epochs_after_compaction_and_restart_are_unchanged() {
    let fixture = simulated();
    let mut log = fixture.open();
    let mut writer = Writer::new(Codec::None);
    for (epoch, key) in [(1, "a1"), (2, "a2"), (4, "b1"), (4, "a3")] {
        let params = crate::AppendParams { leader_epoch: epoch, ..CLIENT };
        log.append(&writer.batch(key), params).expect("appends");
    }
    log.roll(NOW).expect("rolls");
    writer.write(&mut log, "");
    let ends = |log: &Log| [0, 1, 2, 3, 4].map(|epoch| log.end_offset_for_epoch(epoch));
    let before = ends(&log);
    assert!(compact(&mut log, NOW));
    assert_eq!((text_of(&log).as_str(), ends(&log)), ("2b1 3a3", before));
    assert_eq!(all_batches(&log)[0].header().partition_leader_epoch, 4);
    drop(log);
    assert_eq!(ends(&fixture.reopen_killed(None)), before);
}

#[test]
fn old_segments_are_unlinked_after_new_names_are_synced() {
    let disk = Simulation::default();
    let fixture = compacted(Fixture::simulated(&disk));
    let mut log = log_of(&fixture, "a1 a2 | b1");
    let mut compaction = log.begin_compaction(NOW).expect("begins").expect("is dirty");
    let group = compaction.next_group(&mut buffers(), &mut unthrottled).expect("cleans").expect("a group");
    let syncs = disk.syncs();
    let Replaced::InPlace(files) = log.replace(group).expect("replaces") else { panic!("the log was not changed") };
    assert_eq!(disk.syncs(), syncs, "nothing waits for the disk under the lock");
    files.unlink().expect("unlinks");
    assert_eq!(disk.syncs(), syncs + 1);
    assert!(compaction.next_group(&mut buffers(), &mut unthrottled).expect("cleans").is_none());
    log.finish_compaction(&compaction).expect("finishes");
    assert_eq!(log.first_dirty_offset(), None, "unchanged before the names are durable");
    let ticket = log.flush_target().expect("has a ticket");
    log.mark_synced(ticket.sync());
    assert_eq!(log.first_dirty_offset(), Some(2));
}

#[test]
fn replace_after_log_changed_leaves_log_unchanged() {
    type Change = fn(&mut Log);
    let changes: [Change; 4] = [
        |log| drop(log.truncate_fully(0, NOW).expect("empties")),
        |log| {
            log.delete_records(2).expect("deletes");
            drop(log.housekeep(NOW).expect("housekeeps"));
        },
        |log| drop(log.close().expect("closes")),
        |log| drop(log.delete(ottla_wire::types::Uuid([1; 16])).expect("deletes")),
    ];
    for change in changes {
        let fixture = simulated();
        let mut log = log_of(&fixture, "a1 a2 | a3 | b1");
        let mut compaction = log.begin_compaction(NOW).expect("begins").expect("is dirty");
        let group = compaction.next_group(&mut buffers(), &mut unthrottled).expect("cleans").expect("a group");
        change(&mut log);
        let names = fixture.names();
        let Replaced::LogChanged(files) = log.replace(group).expect("refuses") else { panic!("the log was changed") };
        assert_eq!(fixture.names(), names);
        files.unlink().expect("unlinks");
        assert!(!fixture.names().iter().any(|name| name.ends_with(".cleaned")));
    }
}

/// Checks the records of a compacted log after a crash, when its `cleanup.policy` is `delete` now.
#[track_caller]
fn check_gaps(text: &str, recovery_point: Offset, first_dirty: Option<Offset>, expect: &str) {
    let mut fixture = simulated();
    fixture.config.segment_bytes = 140;
    let mut log = log_of(&fixture, text);
    assert!(compact(&mut log, NOW));
    drop(log);
    fixture.config = LogConfig { cleanup_compact: false, cleanup_delete: true, ..fixture.config.clone() };
    fixture.at = OpenParams { clean_shutdown: false, recovery_point, first_dirty, ..fixture.at };
    assert_eq!(text_of(&fixture.open()), expect);
}

#[test]
fn recovery_of_formerly_compacted_topic_accepts_offset_gaps() {
    // The batches that are left of "a1 b1 | b2 c1" show no trace of compaction.
    let whole = "0a1 2b2 3c1 4d1";
    check_gaps("a1 b1 | b2 c1 | d1", 4, None, whole);
    check_gaps("a1 b1 | b2 c1 | d1", 2, None, whole);
    check_gaps("a1 b1 | b2 c1 | d1", 0, Some(4), whole);
    check_gaps("a1 b1 | b2 c1 | d1", 1, Some(1), "0a1");
    // These have traces: a gap between batches or before the first, fewer records than offsets, a delete horizon.
    check_gaps("a1 b1 | b2 c1 b3 d1 | e1", 0, None, "0a1 3c1 4b3 5d1 6e1");
    check_gaps("a1 b1 | c1 b2 c2 | e1", 0, None, "0a1 3b2 4c2 5e1");
    check_gaps("a1 b1 | b2 c1,c2 | e1", 0, None, "0a1 2b2 4c2 5e1");
    check_gaps("a1 b1 | b2 c- | e1", 0, None, "0a1 2b2 3c- 4e1");
    check_gaps("a1 b1 | b2 _1 | e1", 0, None, "0a1 2b2 [3..3] 4e1");
}

#[test]
fn verify_of_compacted_log_finds_nothing_and_repair_changes_nothing() {
    let fixture = simulated();
    let mut log = log_of(&fixture, "a1 7:a2 8!c1 8x a3 e1 | 7:b2 9!d1 9x z1");
    assert!(compact(&mut log, NOW));
    let end = log.end_offset();
    fixture.close(log);
    // As Apache Kafka leaves it: an index entry of a transaction without records.
    let removed = AbortedTxn { producer_id: 8, first_offset: 2, last_offset: 3, last_stable_offset: 4 };
    let index = names::file(&fixture.folder, 0, names::TXN_INDEX);
    fixture.disk.remove(&index).expect("removes");
    txn_index::append(&fixture.disk, &index, 0, &removed).expect("writes");
    let known = PartitionFacts { at: OpenParams { recovery_point: end, ..fixture.at }, compacted: true };
    let verdict = || verify(&fixture.disk, &fixture.folder, known, &mut |_| {}).expect("reads");
    let contents = || {
        let is_primary = |name: &String| {
            names::parse_file(name)
                .is_some_and(|(_, kind)| [names::LOG, names::SNAPSHOT, names::TXN_INDEX].contains(&kind))
        };
        let names = fixture.names().into_iter().filter(is_primary);
        names.map(|name| (fixture.disk.read(&fixture.folder.join(&name)).expect("reads"), name)).collect::<Vec<_>>()
    };
    let (first_verdict, before) = (verdict(), contents());
    assert_eq!(first_verdict.findings, []);
    repair(&fixture.disk, &fixture.folder, known, &first_verdict).expect("repairs");
    assert_eq!(contents(), before);
    assert_eq!(verdict().findings, []);
    fixture.disk.remove(&names::file(&fixture.folder, 6, names::TXN_INDEX)).expect("removes");
    let files: Vec<_> = verdict().findings.into_iter().map(|finding| finding.file).collect();
    assert_eq!(files, ["00000000000000000006.txnindex"], "records of its transaction exist");
}
