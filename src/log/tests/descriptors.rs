//! Exhaustion of file descriptors: the operation fails, and the log is not affected.

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

/// Returns a disk where only the `nth` lookup, counted from 0, fails for lack of a descriptor; and the count of lookups.
fn without_descriptor(nth: u64) -> (Simulation, Arc<AtomicU64>) {
    let disk = Simulation::default();
    let lookups = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&lookups);
    disk.inject_faults(move |op| {
        let fails = op == DiskOp::Lookup && counted.fetch_add(1, Ordering::Relaxed) == nth;
        fails.then_some(Fault::NoDescriptors)
    });
    (disk, lookups)
}

/// Runs `work`, and retries it once if it fails, as a client would.
#[track_caller]
fn with_retry<E: std::fmt::Display>(nth: u64, mut work: impl FnMut() -> Result<(), E>) {
    if let Err(first) = work() {
        assert!(first.to_string().contains("os error 24"), "lookup {nth}: {first}");
        work().unwrap_or_else(|second| panic!("lookup {nth}: {first}, then {second}"));
    }
}

/// Appends with rolls, index entries, producers and new epochs, with syncs and retention in between.
fn workload(fixture: &Fixture, nth: u64) -> Log {
    let mut log = None;
    with_retry(nth, || fixture.try_open().map(|opened| log = Some(opened)));
    let mut log = log.expect("opens");
    for index in 0..40 {
        let params = AppendParams { leader_epoch: index / 7, ..CLIENT };
        let one = if index % 2 == 0 { by_producer(7, 0, index / 2, 1) } else { batch(&["some value"; 10]) };
        with_retry(nth, || log.append(&one, params).map(|appended| assert!(!appended.duplicate)));
        if index % 5 == 0 {
            with_retry(nth, || {
                let ticket = log.flush_target()?;
                let outcome = ticket.sync();
                let failure = outcome.as_ref().err().cloned();
                log.mark_synced(outcome);
                failure.map_or(Ok(()), Err)
            });
            assert_eq!(log.durable_offset(), log.end_offset());
            with_retry(nth, || log.housekeep(NOW).map(|deleted| assert!(deleted.is_empty())));
        }
    }
    log
}

#[test]
fn fd_exhaustion_at_any_lookup_fails_operation_without_damage() {
    let run = |nth| {
        let (disk, lookups) = without_descriptor(nth);
        let mut fixture = Fixture::simulated(&disk);
        fixture.disk = fixture.disk.with_limits(OpenLimits { descriptors: 1, mappings: 1 });
        fixture.config.segment_bytes = 1500;
        let log = workload(&fixture, nth);
        assert!(log.failure().is_none(), "lookup {nth}: {:?}", log.failure());
        disk.clear_faults();
        let records = records_from(&log, 0);
        assert_eq!(records.len(), 220, "lookup {nth}");
        assert_equals_full_scan(&fixture, &log);
        (lookups.load(Ordering::Relaxed), log.segment_count())
    };
    let (lookups, segments) = run(u64::MAX);
    assert!(lookups > 50 && segments >= 5, "{lookups} lookups, {segments} segments");
    (0..lookups).for_each(|nth| {
        run(nth);
    });
}

#[test]
fn retention_failed_by_fd_exhaustion_succeeds_on_retry() {
    for nth in 0..40 {
        let (disk, lookups) = without_descriptor(u64::MAX);
        let mut fixture = Fixture::simulated(&disk);
        fixture.config.segment_bytes = 1500;
        fixture.config.retention_ms = 1000;
        let mut log = workload(&fixture, nth);
        let left = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&left);
        disk.inject_faults(move |op| {
            let fails = op == DiskOp::Lookup && counted.fetch_add(1, Ordering::Relaxed) == nth;
            fails.then_some(Fault::NoDescriptors)
        });
        assert!(lookups.load(Ordering::Relaxed) > 0);
        with_retry(nth, || log.housekeep(NOW + 2000).map(drop));
        assert!(log.failure().is_none(), "lookup {nth}: {:?}", log.failure());
        assert_eq!((log.start_offset(), log.size()), (220, 0), "lookup {nth}");
    }
}
