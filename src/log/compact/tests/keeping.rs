//! Which records stay.

use super::*;

#[test]
fn the_newest_record_of_a_key_stays() {
    check("a1 b1 a2 | c1", "1b1 2a2 3c1");
    check("a1,b1,a2 a3 b2 |", "3a3 4b2");
    check("a1,b1 c1,a2 |", "1b1 2c1 3a2");
    check("a1 b1 | a2 c1 | b2", "1b1 2a2 3c1 4b2");
    check("a1 b1 | a2 b2 | a3 b3 |", "4a3 5b3");
}

#[test]
fn the_active_segment_is_left_alone() {
    check("a1 | a2 a3", "0a1 1a2 2a3");
    check("a1 a2 | a3 a4", "1a2 2a3 3a4");
}

#[test]
fn records_without_a_key_go() {
    check("_1 a1,_2 _3 b1 |", "1a1 4b1");
    check("a1 _1 |", "0a1 [1..1]");
}

#[test]
fn the_last_offset_is_never_forgotten() {
    // The last batch below what may be compacted stays, if only without its records.
    check("a1 _1,_2 |", "0a1 [1..2]");
    check("a1 | _1 |", "0a1 [1..1]");
}

#[test]
fn tombstones_stay_until_their_horizon() {
    let text = "a1 b1 a- |";
    let later = NOW + DAY;
    check_again(Codec::None, text, &[(NOW, "1b1 2a-"), (later - 1, "1b1 2a- 3zz"), (later, "1b1 4zz")]);
    check_again(Codec::Zstd, text, &[(NOW, "1b1 2a-"), (later, "1b1 3zz"), (later, "1b1 4zz")]);
    // One that a newer record of its key replaces needs no horizon.
    check("a1 a- a2 |", "2a2");
}

#[test]
fn committed_transactions_keep_their_marker_while_they_have_records() {
    check("7!a1 7!b1 7+ a2 | z1", "1b1 2+ 3a2 4z1");
    let later = NOW + DAY;
    // Producer 7 wrote last at 1: that batch tells its sequence.
    check_again(
        Codec::None,
        "7!a1 7!b1 7+ 7!c1 7+ a2 b2 | ",
        &[(NOW, "2+ 3c1 4+ 5a2 6b2"), (later - 1, "2+ 3c1 4+ 5a2 6b2 7zz"), (later, "2+ 3c1 4+ 5a2 6b2 8zz")],
    );
}

#[test]
fn markers_of_empty_transactions_go_after_their_horizon() {
    let later = NOW + DAY;
    let text = "7!a1 7+ 7!b1 7+ a2 | ";
    // First the records go, then the marker gets its horizon, then it goes.
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
fn aborted_records_go_and_replace_nothing() {
    check("a1 7!a2 7!b1 7x c1 |", "0a1 [2..2] 3x 4c1");
    check("a1 | 7!a2 | 7x b1 |", "0a1 [1..1] 2x 3b1");
    // The transaction is aborted in the active segment.
    check("a1 7!a2 b1 | 7x", "0a1 [1..1] 2b1 3x");
}

#[test]
fn aborted_transactions_are_still_told_of() {
    let shelf = simulated();
    let mut log = shelf.open();
    Writer::new(Codec::None).write(&mut log, "7!a1 7!b1 | 8!c1 7x | 8+ d1 |");
    let before = log.aborted_transactions(0, 10).expect("looks up");
    assert_eq!(before.len(), 1);
    assert!(compact(&mut log, NOW));
    assert_eq!(left(&log), "[1..1] 2c1 3x 4+ 5d1");
    assert_eq!(log.aborted_transactions(0, 10).expect("looks up"), before);
    shelf.close(log);
    assert_eq!(shelf.open().aborted_transactions(0, 10).expect("looks up"), before);
}

#[test]
fn open_transactions_are_not_touched() {
    check("a1 a2 | 7!a3 | a4 |", "1a2 2a3 3a4");
    let shelf = simulated();
    let mut log = shelf.open();
    Writer::new(Codec::None).write(&mut log, "7!a1 | a2 |");
    assert!(!compact(&mut log, NOW), "all of it is in or behind a transaction that may yet be aborted");
}

#[test]
fn the_last_batch_of_each_producer_stays() {
    check("7:a1 7:b1,a2 8:a3 a4 b2 |", "[1..2] [3..3] 4a4 5b2");
    let shelf = simulated();
    let mut log = shelf.open();
    let mut writer = Writer::new(Codec::Lz4);
    writer.write(&mut log, "7:a1 7:b1,a2 a4 b2 |");
    compact(&mut log, NOW);
    drop(log);
    // Nothing but the batches tells where the producer was.
    for name in shelf.names().iter().filter(|name| name.ends_with(".snapshot")) {
        shelf.disk.remove(&file(&shelf, name)).expect("removes");
    }
    let mut log = shelf.reopen_killed(None);
    let next = writer.batch("7:c1");
    let repeated = by_producer(7, 0, 1, 2);
    assert!(log.append(&repeated, CLIENT).expect("is known").duplicate);
    assert!(!log.append(&next, CLIENT).expect("follows").duplicate);
}

#[test]
fn batches_keep_what_they_say_of_themselves() {
    for codec in Codec::ALL {
        let shelf = simulated();
        let mut log = shelf.open();
        let mut writer = Writer::new(codec);
        writer.write(&mut log, "x1 | 7:a1,b1,c1,d- c2 |");
        let before = all_batches(&log);
        assert!(compact(&mut log, NOW));
        let after = all_batches(&log);
        assert_eq!(left(&log), "0x1 1a1 2b1 4d- 5c2");
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
fn log_append_time_stays() {
    let shelf = simulated();
    let mut log = shelf.open();
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
    assert_eq!(left(&log), "1b1 2c- 3a2");
}
