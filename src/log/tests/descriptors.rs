//! No descriptors left: whoever asks gets an error, and that is all that happens.

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

/// A disk where only the `nth` look, counted from 0, finds no descriptor; and how many looks there were.
fn without_descriptor(nth: u64) -> (Simulation, Arc<AtomicU64>) {
    let disk = Simulation::default();
    let looks = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&looks);
    disk.inject_faults(move |op| {
        let fails = op == DiskOp::Lookup && counted.fetch_add(1, Ordering::Relaxed) == nth;
        fails.then_some(Fault::NoDescriptors)
    });
    (disk, looks)
}

/// Does it once more if it fails, as a client would.
#[track_caller]
fn twice<E: std::fmt::Display>(nth: u64, mut work: impl FnMut() -> Result<(), E>) {
    if let Err(first) = work() {
        assert!(first.to_string().contains("os error 24"), "look {nth}: {first}");
        work().unwrap_or_else(|second| panic!("look {nth}: {first}, then {second}"));
    }
}

/// Appends with rolls, index entries, producers and new epochs; syncs and retention in between.
fn workload(shelf: &Shelf, nth: u64) -> Log {
    let mut log = None;
    twice(nth, || shelf.try_open().map(|opened| log = Some(opened)));
    let mut log = log.expect("opens");
    for index in 0..40 {
        let how = AppendAs { leader_epoch: index / 7, ..CLIENT };
        let one = if index % 2 == 0 { by_producer(7, 0, index / 2, 1) } else { batch(&["some value"; 10]) };
        twice(nth, || log.append(&one, how).map(|appended| assert!(!appended.duplicate)));
        if index % 5 == 0 {
            twice(nth, || {
                let ticket = log.flush_target()?;
                let outcome = ticket.sync();
                let failure = outcome.as_ref().err().cloned();
                log.mark_synced(outcome);
                failure.map_or(Ok(()), Err)
            });
            assert_eq!(log.durable_offset(), log.end_offset());
            twice(nth, || log.housekeep(NOW).map(|deleted| assert!(deleted.is_empty())));
        }
    }
    log
}

#[test]
fn want_of_a_descriptor_at_any_moment_is_an_error_and_no_harm() {
    let run = |nth| {
        let (disk, looks) = without_descriptor(nth);
        let mut shelf = Shelf::simulated(&disk);
        shelf.disk = shelf.disk.with_limits(OpenLimits { descriptors: 1, mappings: 1 });
        shelf.config.segment_bytes = 1500;
        let log = workload(&shelf, nth);
        assert!(log.failure().is_none(), "look {nth}: {:?}", log.failure());
        disk.clear_faults();
        let records = records_from(&log, 0);
        assert_eq!(records.len(), 220, "look {nth}");
        same_as_a_full_scan(&shelf, &log);
        (looks.load(Ordering::Relaxed), log.segment_count())
    };
    let (looks, segments) = run(u64::MAX);
    assert!(looks > 50 && segments >= 5, "{looks} looks, {segments} segments");
    (0..looks).for_each(|nth| {
        run(nth);
    });
}

#[test]
fn retention_waits_for_descriptors_too() {
    for nth in 0..40 {
        let (disk, looks) = without_descriptor(u64::MAX);
        let mut shelf = Shelf::simulated(&disk);
        shelf.config.segment_bytes = 1500;
        shelf.config.retention_ms = 1000;
        let mut log = workload(&shelf, nth);
        let left = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&left);
        disk.inject_faults(move |op| {
            let fails = op == DiskOp::Lookup && counted.fetch_add(1, Ordering::Relaxed) == nth;
            fails.then_some(Fault::NoDescriptors)
        });
        assert!(looks.load(Ordering::Relaxed) > 0);
        twice(nth, || log.housekeep(NOW + 2000).map(drop));
        assert!(log.failure().is_none(), "look {nth}: {:?}", log.failure());
        assert_eq!((log.start_offset(), log.size()), (220, 0), "look {nth}");
    }
}
