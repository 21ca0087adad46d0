//! Any byte of any file changed, any file cut or gone: the log opens or says why not, and serves no bad record.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::random::Random;
use super::*;

/// A log with everything in it, closed cleanly or not; what it holds, by offset.
fn written(disk: &Simulation, clean: bool) -> (Shelf, Vec<Option<String>>) {
    let mut shelf = Shelf::simulated(disk);
    shelf.config.segment_bytes = 1500;
    shelf.at.topic_id = Some(Uuid([3; 16]));
    let mut log = shelf.open();
    for index in 0..30 {
        let how = AppendAs { leader_epoch: index / 7, ..COORDINATOR };
        let batch = match index % 5 {
            0 => by_producer(7, 0, index / 5 * 2, 2),
            1 => in_txn(8, 0, index / 5, 1),
            2 => batch_at(NOW + i64::from(index), &["plain", "values"]),
            3 => marker(8, 0, ControlType::Abort, 0),
            _ => compressed(index),
        };
        log.append(&batch, how).expect("appends");
    }
    let mut contents = vec![None; log.end_offset() as usize];
    for (offset, value) in records_from(&log, 0) {
        contents[offset as usize] = Some(value);
    }
    if clean {
        shelf.close(log);
    }
    (shelf, contents)
}

fn compressed(index: i32) -> Verified {
    let codec = [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd][index as usize % 4];
    let mut builder = BatchBuilder::new(codec);
    builder.append(NOW + i64::from(index), Some(b"key"), Some(b"compressed compressed compressed"), &[]);
    builder.build().expect("builds")
}

/// Reads as a consumer does: a batch whose CRC is wrong is not looked at.
fn serves_only(log: &Log, contents: &[Option<String>]) {
    let mut next = log.start_offset();
    while next < log.end_offset() {
        let Ok(slice) = log.read(next, 700, true, Offset::MAX) else { return };
        for batch in batches(&slice.bytes).map_while(Result::ok) {
            // A header's offset is not covered by the CRC; the log's own order is all that can be checked.
            let Ok(()) = batch.check_crc() else { return };
            for record in batch.records().map_while(Result::ok).filter(|_| !batch.header().is_control()) {
                let value = String::from_utf8_lossy(&record.value.unwrap_or_default()).into_owned();
                let known = contents.iter().flatten().any(|content| *content == value);
                assert!(known, "{value:?} at {} was never written", record.offset);
            }
        }
        if slice.next_offset <= next {
            return;
        }
        next = slice.next_offset;
    }
}

/// Uses whatever is left of a log; `Err` is a fine outcome, a panic is not.
fn use_it(shelf: &Shelf, clean: bool, contents: &[Option<String>]) -> Result<(), AppendError> {
    let mut log = if clean { shelf.try_open()? } else { shelf.try_reopen_killed(None)? };
    serves_only(&log, contents);
    for query in [TimestampQuery::Earliest, TimestampQuery::Latest, TimestampQuery::Max, TimestampQuery::At(NOW + 9)] {
        let _ = log.offset_for_timestamp(query);
    }
    let _ = log.aborted_transactions(0, log.end_offset());
    let _ = log.end_offset_for_epoch(2);
    let _ = log.append(&by_producer(7, 0, 10, 2), AppendAs { leader_epoch: 9, ..CLIENT });
    let end = log.end_offset();
    let base = log.append(&batch(&["plain"]), AppendAs { leader_epoch: 9, ..CLIENT })?.base_offset;
    assert_eq!(base, end);
    let _ = log.housekeep(NOW);
    let closed = log.close()?.sync();
    log.mark_synced(closed);
    Ok(())
}

#[track_caller]
fn survives(what: &str, clean: bool, change: impl Fn(&Simulation)) {
    let disk = Simulation::default();
    let (shelf, contents) = written(&disk, clean);
    change(&disk);
    let outcome = catch_unwind(AssertUnwindSafe(|| use_it(&shelf, clean, &contents)));
    assert!(outcome.is_ok(), "{what}, clean {clean}");
}

#[test]
fn any_damage_is_survived() {
    let mut random = Random(7);
    for clean in [true, false] {
        let disk = Simulation::default();
        let (shelf, _) = written(&disk, clean);
        for path in disk.all_files() {
            let len = shelf.disk.len(&path).expect("a length").unwrap_or(0);
            survives(&format!("{} gone", path.display()), clean, |disk| {
                Disk::simulated(disk).remove(&path).expect("removes");
            });
            for _ in 0..12 {
                let (at, to) = (random.below(len.max(1)) as usize, random.next() as u8);
                survives(&format!("{}: byte {at} is {to}", path.display()), clean, |disk| {
                    disk.tamper(&path, |bytes| {
                        if let Some(byte) = bytes.get_mut(at) {
                            *byte = to;
                        }
                    });
                });
                survives(&format!("{}: cut to {at}", path.display()), clean, |disk| {
                    disk.tamper(&path, |bytes| bytes.truncate(at));
                });
            }
        }
    }
}
