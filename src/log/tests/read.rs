use super::*;

fn log_of_ten(fixture: &Fixture) -> Log {
    let mut log = fixture.open();
    for index in 0..10 {
        log.append(&batch_at(NOW + index * 10, &["one", "two"]), CLIENT).expect("appends");
    }
    log
}

#[test]
fn read_returns_whole_batches_within_max_bytes() {
    on_every_backing(|mut fixture| {
        fixture.config.segment_bytes = 400;
        let log = log_of_ten(&fixture);
        let size = batch(&["one", "two"]).bytes().len();
        for (from, max, at_least_one, batches, next) in [
            (0, size, false, 1, 2),
            (1, size, false, 1, 2),
            (2, size * 2 + 1, false, 2, 6),
            (0, size - 1, false, 0, 0),
            (0, size - 1, true, 1, 2),
            (0, 0, false, 0, 0),
            (20, 1000, true, 0, 20),
        ] {
            let slice = log.read(from, max, at_least_one, Offset::MAX).expect("reads");
            assert_eq!((slice.bytes.len(), slice.next_offset), (size * batches, next), "from {from} max {max}");
        }
    });
}

#[test]
fn read_returns_batches_below_up_to() {
    on_every_backing(|fixture| {
        let log = log_of_ten(&fixture);
        for (from, up_to, next) in [(0, 4, 4), (0, 5, 6), (6, 6, 6), (7, 6, 7), (0, 0, 0), (0, 100, 20)] {
            assert_eq!(log.read(from, 100_000, true, up_to).expect("reads").next_offset, next, "{from} up to {up_to}");
        }
    });
}

#[test]
fn read_outside_log_returns_offset_out_of_range_with_bounds() {
    on_every_backing(|fixture| {
        let mut log = log_of_ten(&fixture);
        log.delete_records(3).expect("deletes");
        for offset in [-1, 0, 2, 21] {
            let refused = log.read(offset, 1000, true, Offset::MAX);
            assert!(matches!(refused, Err(ReadError::OutOfRange { start: 3, end: 20, .. })), "{refused:?}");
        }
        assert!(!log.read(3, 1000, true, Offset::MAX).expect("reads").bytes.is_empty());
    });
}

#[test]
fn read_with_large_index_finds_every_offset() {
    on_every_backing(|mut fixture| {
        fixture.config.index_interval_bytes = 0;
        let mut log = fixture.open();
        for _ in 0..3000 {
            log.append(&batch(&["x"]), CLIENT).expect("appends");
        }
        for offset in (0..3000).step_by(37) {
            let slice = log.read(offset, 100, true, Offset::MAX).expect("reads");
            assert_eq!(slice.next_offset, offset + 1);
        }
        fixture.close(log);
        let log = fixture.open();
        for offset in (0..3000).step_by(41) {
            let slice = log.read(offset, 1000, true, Offset::MAX).expect("reads");
            assert_eq!(batches(&slice.bytes).next().expect("one").expect("whole").header().base_offset, offset);
        }
    });
}

#[track_caller]
fn at(log: &Log, timestamp: TimestampMs) -> Option<(Offset, TimestampMs)> {
    let found = log.offset_for_timestamp(TimestampQuery::At(timestamp)).expect("looks up");
    found.map(|found| (found.offset, found.timestamp - NOW))
}

#[test]
fn offset_for_timestamp_returns_first_record_not_older() {
    on_every_backing(|mut fixture| {
        fixture.config.segment_bytes = 250;
        let mut log = fixture.open();
        for codec in [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
            let base = log.end_offset();
            let mut builder = BatchBuilder::new(codec);
            for index in 0..3 {
                builder.append(NOW + (base + index) * 10, None, Some(b"v"), &[]);
            }
            log.append(&builder.build().expect("builds"), CLIENT).expect("appends");
        }
        for (timestamp, expected) in [
            (-5, Some((0, 0))),
            (0, Some((0, 0))),
            (1, Some((1, 10))),
            (70, Some((7, 70))),
            (131, Some((14, 140))),
            (141, None),
        ] {
            assert_eq!(at(&log, NOW + timestamp), expected, "{timestamp}");
        }
        log.delete_records(8).expect("deletes");
        assert_eq!(at(&log, NOW), Some((8, 80)));
        fixture.close(log);
        assert_eq!(at(&fixture.open(), NOW + 131), Some((14, 140)));
    });
}

#[test]
fn offset_for_timestamp_with_decreasing_times_returns_first_match_by_offset() {
    on_every_backing(|mut fixture| {
        fixture.config.segment_bytes = 150;
        let mut log = fixture.open();
        for timestamp in [50, 10, 90, 20, 90, 30] {
            log.append(&batch_at(NOW + timestamp, &["v"]), CLIENT).expect("appends");
        }
        assert_eq!(at(&log, NOW + 20), Some((0, 50)));
        assert_eq!(at(&log, NOW + 60), Some((2, 90)));
        let newest = log.offset_for_timestamp(TimestampQuery::Max).expect("looks up").expect("one");
        assert_eq!((newest.offset, newest.timestamp), (2, NOW + 90));
    });
}

#[test]
fn earliest_and_latest_offsets_have_no_timestamp() {
    on_every_backing(|fixture| {
        let empty = fixture.open();
        let look_up = |log: &Log, query| {
            log.offset_for_timestamp(query)
                .expect("looks up")
                .map(|found| (found.offset, found.timestamp, found.leader_epoch))
        };
        assert_eq!(look_up(&empty, TimestampQuery::Earliest), Some((0, -1, -1)));
        assert_eq!(look_up(&empty, TimestampQuery::Latest), Some((0, -1, -1)));
        assert_eq!(look_up(&empty, TimestampQuery::Max), None);
        assert_eq!(look_up(&empty, TimestampQuery::At(0)), None);
        drop(empty);
        let mut log = log_of_ten(&fixture);
        log.delete_records(5).expect("deletes");
        assert_eq!(look_up(&log, TimestampQuery::Earliest), Some((5, -1, 0)));
        assert_eq!(look_up(&log, TimestampQuery::Latest), Some((20, -1, 0)));
        assert_eq!(look_up(&log, TimestampQuery::Max), Some((18, NOW + 90, 0)));
    });
}
