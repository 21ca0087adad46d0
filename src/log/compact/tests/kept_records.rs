//! Which records are kept.

use super::*;

#[test]
fn compaction_keeps_newest_record_of_each_key() {
    check("a1 b1 a2 | c1", "1b1 2a2 3c1");
    check("a1,b1,a2 a3 b2 |", "3a3 4b2");
    check("a1,b1 c1,a2 |", "1b1 2c1 3a2");
    check("a1 b1 | a2 c1 | b2", "1b1 2a2 3c1 4b2");
    check("a1 b1 | a2 b2 | a3 b3 |", "4a3 5b3");
}

#[test]
fn active_segment_is_not_compacted() {
    check("a1 | a2 a3", "0a1 1a2 2a3");
    check("a1 a2 | a3 a4", "1a2 2a3 3a4");
}

#[test]
fn records_without_key_are_removed() {
    check("_1 a1,_2 _3 b1 |", "1a1 4b1");
    check("a1 _1 |", "0a1 [1..1]");
}

#[test]
fn last_batch_below_uncleanable_offset_is_kept_without_records() {
    // The last batch below the first uncleanable offset is kept, without records if necessary.
    check("a1 _1,_2 |", "0a1 [1..2]");
    check("a1 | _1 |", "0a1 [1..1]");
}

#[test]
fn tombstone_is_kept_until_its_delete_horizon() {
    let text = "a1 b1 a- |";
    let later = NOW + DAY;
    check_again(Codec::None, text, &[(NOW, "1b1 2a-"), (later - 1, "1b1 2a- 3zz"), (later, "1b1 4zz")]);
    check_again(Codec::Zstd, text, &[(NOW, "1b1 2a-"), (later, "1b1 3zz"), (later, "1b1 4zz")]);
    // A tombstone that a newer record supersedes is removed at once.
    check("a1 a- a2 |", "2a2");
}

#[test]
fn commit_marker_is_kept_while_its_transaction_has_records() {
    check("7!a1 7!b1 7+ a2 | z1", "1b1 2+ 3a2 4z1");
    let later = NOW + DAY;
    check_again(
        Codec::None,
        "7!a1 7!b1 7+ 7!c1 7+ a2 b2 | ",
        &[(NOW, "2+ 3c1 4+ 5a2 6b2"), (later - 1, "2+ 3c1 4+ 5a2 6b2 7zz"), (later, "2+ 3c1 4+ 5a2 6b2 8zz")],
    );
}

#[test]
fn marker_of_empty_transaction_is_removed_after_its_delete_horizon() {
    let later = NOW + DAY;
    let text = "7!a1 7+ 7!b1 7+ a2 | ";
    // First the records are removed, then the marker gets its delete horizon, then it is removed.
    check_again(
        Codec::None,
        text,
        &[
            (NOW, "1+ 2b1 3+ 4a2"),
            (NOW + 1, "1+ 2b1 3+ 4a2 5zz"),
            (later, "1+ 2b1 3+ 4a2 6zz"),
            (later + 1, "2b1 3+ 4a2 7zz"),
        ],
    );
}

#[test]
fn repeated_marker_is_removed_after_its_delete_horizon() {
    let later = NOW + DAY;
    check_again(
        Codec::None,
        "7!a1 7+ 7+ 8!b1 8x 8x c1 |",
        &[(NOW, "0a1 1+ 2+ [3..3] 4x 5x 6c1"), (later, "0a1 1+ [3..3] 4x 6c1 7zz")],
    );
}

#[test]
fn segments_before_an_open_transaction_are_compacted() {
    // Producer 9 leaves its transaction open: records in its segment and after it do not replace older records yet.
    check("7!a1 7!a2 7+ 8!b1 8x | a3 9!a4 | 7!a5 7+ a6 |", "1a2 2+ [3..3] 4x 5a3 6a4 7a5 8+ 9a6");
}

#[test]
fn aborted_records_are_removed_and_supersede_nothing() {
    check("a1 7!a2 7!b1 7x c1 |", "0a1 [2..2] 3x 4c1");
    check("a1 | 7!a2 | 7x b1 |", "0a1 [1..1] 2x 3b1");
    // The transaction is aborted in the active segment.
    check("a1 7!a2 b1 | 7x", "0a1 [1..1] 2b1 3x");
}

#[test]
fn aborted_transactions_after_compaction_are_still_listed() {
    let fixture = simulated();
    let mut log = fixture.open();
    Writer::new(Codec::None).write(&mut log, "7!a1 7!b1 | 8!c1 7x | 8+ d1 |");
    let before = log.aborted_transactions(0, 10).expect("looks up");
    assert_eq!(before.len(), 1);
    assert!(compact(&mut log, NOW));
    assert_eq!(text_of(&log), "[1..1] 2c1 3x 4+ 5d1");
    assert_eq!(log.aborted_transactions(0, 10).expect("looks up"), before);
    fixture.close(log);
    assert_eq!(fixture.open().aborted_transactions(0, 10).expect("looks up"), before);
}

#[test]
fn records_of_open_transaction_are_not_compacted() {
    check("a1 a2 | 7!a3 | a4 |", "1a2 2a3 3a4");
    let fixture = simulated();
    let mut log = fixture.open();
    Writer::new(Codec::None).write(&mut log, "7!a1 | a2 |");
    assert!(!compact(&mut log, NOW), "all records are in or after an open transaction");
}

#[test]
fn last_batch_of_each_producer_is_kept() {
    check("7:a1 7:b1,a2 8:a3 a4 b2 |", "[1..2] [3..3] 4a4 5b2");
    let fixture = simulated();
    let mut log = fixture.open();
    let mut writer = Writer::new(Codec::Lz4);
    writer.write(&mut log, "7:a1 7:b1,a2 a4 b2 |");
    compact(&mut log, NOW);
    drop(log);
    // The producer's state must be recovered from the batches alone.
    for name in fixture.names().iter().filter(|name| name.ends_with(".snapshot")) {
        fixture.disk.remove(&file(&fixture, name)).expect("removes");
    }
    let mut log = fixture.reopen_killed(None);
    let next = writer.batch("7:c1");
    let repeated = by_producer(7, 0, 1, 2);
    assert!(log.append(&repeated, CLIENT).expect("is a duplicate").duplicate);
    assert!(!log.append(&next, CLIENT).expect("is in sequence").duplicate);
}

#[test]
fn compacted_batch_keeps_offsets_producer_and_timestamps() {
    for codec in Codec::ALL {
        let fixture = simulated();
        let mut log = fixture.open();
        let mut writer = Writer::new(codec);
        writer.write(&mut log, "x1 | 7:a1,b1,c1,d- c2 |");
        let before = all_batches(&log);
        assert!(compact(&mut log, NOW));
        let after = all_batches(&log);
        assert_eq!(text_of(&log), "0x1 1a1 2b1 4d- 5c2");
        assert_eq!(after[0].bytes(), before[0].bytes(), "nothing was removed from it");
        let (old, new) = (before[1].header(), after[1].header());
        assert_eq!((new.base_offset, new.last_offset()), (old.base_offset, old.last_offset()));
        assert_eq!((new.producer_id, new.base_sequence, new.last_sequence()), (7, 0, 3));
        assert_eq!(new.partition_leader_epoch, old.partition_leader_epoch);
        assert_eq!((new.max_timestamp, new.record_count), (old.max_timestamp, 3));
        assert_eq!((new.delete_horizon(), new.base_timestamp), (Some(NOW + DAY), NOW + DAY));
        let times = after[1].records().map(|record| record.expect("a record").timestamp - NOW).collect::<Vec<_>>();
        assert_eq!(times, [0, 1, 3]);
    }
}

#[test]
fn compacted_batch_keeps_log_append_time() {
    let fixture = simulated();
    let mut log = fixture.open();
    let mut builder = BatchBuilder::new(Codec::None).log_append_time(NOW + 50);
    for (key, value) in [("a", Some("1")), ("b", Some("1")), ("c", None)] {
        builder.append(NOW, Some(key.as_bytes()), value.map(str::as_bytes), &[(b"header", None)]);
    }
    log.append(&builder.build().expect("builds"), CLIENT).expect("appends");
    Writer::new(Codec::None).write(&mut log, "a2 |");
    compact(&mut log, NOW);
    let batch = &all_batches(&log)[0];
    assert_eq!(batch.header().max_timestamp, NOW + 50);
    for record in batch.records().map(|record| record.expect("a record")) {
        assert_eq!((record.timestamp, record.headers.len()), (NOW + 50, 1));
    }
    assert_eq!(text_of(&log), "1b1 2c- 3a2");
}
