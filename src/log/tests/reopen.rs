//! Logs that fail while they are in use and are reopened.

use super::*;

/// Appends `count` batches of 1 to 5 records, or until one fails; returns the number of acknowledged records.
fn append_until_failure(log: &mut Log, count: usize) -> Offset {
    let mut acknowledged = 0;
    for index in 0..count {
        let values: Vec<String> = (0..=index % 5).map(|nth| format!("{index}/{nth} and some more of it")).collect();
        let producer = index as i64 % 3;
        let batch = if index % 2 == 0 {
            batch(&values.iter().map(String::as_str).collect::<Vec<_>>())
        } else {
            in_txn(producer, 0, index as i32 * 10, 1 + index % 5)
        };
        match log.append(&batch, COORDINATOR) {
            Ok(_) => acknowledged = log.end_offset(),
            Err(_) => break,
        }
    }
    acknowledged
}

#[test]
fn log_failed_at_any_change_is_reopened_with_all_acknowledged_records() {
    let fixture_on = |disk: &Simulation| {
        let mut fixture = Fixture::simulated(disk);
        fixture.config.segment_bytes = 900;
        fixture
    };
    let disk = Simulation::default();
    append_until_failure(&mut fixture_on(&disk).open(), 60);
    let changes = disk.changes();
    assert!(changes > 60, "{changes} changes");
    for change in 1..changes {
        let disk = Simulation::default();
        let fixture = fixture_on(&disk);
        disk.fail_after_changes(Some(change));
        let Ok(mut log) = fixture.try_open() else { continue };
        let acknowledged = append_until_failure(&mut log, 60);
        assert!(log.failure().is_some(), "change {change}");
        assert!(log.reopen(NOW).is_err(), "change {change}: the disk still fails");
        disk.fail_after_changes(None);
        let mut log = log.reopen(NOW).unwrap_or_else(|error| panic!("change {change}: {error}"));
        // The batch of the failed append may have been stored.
        let end = log.end_offset();
        let expected = acknowledged..=acknowledged + 5;
        assert!(expected.contains(&end), "change {change}: {end} records, {acknowledged} were acknowledged");
        assert_equals_full_scan(&fixture, &log);
        let on = log.append(&batch(&["on"]), CLIENT).unwrap_or_else(|error| panic!("change {change}: {error}"));
        assert_eq!(on.base_offset, end, "change {change}");
        fixture.close(log);
        assert_eq!(fixture.open().end_offset(), end + 1, "change {change}: closed");
    }
}

#[test]
fn reopen_on_full_disk_fails_until_space_for_failed_append() {
    let disk = Simulation::default();
    let fixture = Fixture::simulated(&disk);
    let mut log = fixture.open();
    log.append(&batch(&["first"]), CLIENT).expect("appends");
    disk.fail_after_changes(Some(0));
    log.append(&batch(&["x".repeat(3 << 20).as_str()]), CLIENT).expect_err("is full");
    // Enough to truncate the torn tail, and to write the first of the megabytes of the failed append.
    disk.fail_after_changes(Some(4));
    assert!(log.reopen(NOW).is_err());
    disk.fail_after_changes(None);
    let log = log.reopen(NOW).expect("opens");
    assert_eq!(records_from(&log, 0), [(0, "first".to_owned())]);
    let size = disk_len(&fixture);
    assert_eq!(size, log.size(), "nothing is left of the attempts");
}

fn disk_len(fixture: &Fixture) -> u64 {
    fixture.disk.len(&file(fixture, "00000000000000000000.log")).expect("looks").expect("is there")
}

#[test]
fn reopen_with_truncated_records_fails() {
    let disk = Simulation::default();
    let fixture = Fixture::simulated(&disk);
    let mut log = fixture.open();
    for value in ["a", "b", "c"] {
        log.append(&batch(&[value]), CLIENT).expect("appends");
    }
    disk.fail_after_changes(Some(0));
    log.append(&batch(&["d"]), CLIENT).expect_err("fails");
    disk.fail_after_changes(None);
    let whole = disk_len(&fixture);
    disk.corrupt(&file(&fixture, "00000000000000000000.log"), |bytes| bytes.truncate(bytes.len() / 2));
    let refused = log.reopen(NOW).expect_err("records are missing").to_string();
    assert!(refused.contains("are lost") || refused.contains("end of file"), "{refused}");
    assert!(disk_len(&fixture) < whole);
}

#[test]
fn reopen_of_log_that_has_not_failed_is_refused() {
    on_every_backing(|fixture| {
        let mut log = fixture.open();
        log.append(&batch(&["a"]), CLIENT).expect("appends");
        assert!(log.reopen(NOW).is_err());
    });
}

/// Appends and syncs until a sync fails; returns the failed log, or `None` if opening or no sync failed.
fn sync_until_failure(fixture: &Fixture) -> Option<Log> {
    let mut log = fixture.try_open().ok()?;
    for round in 0..6 {
        append_until_failure(&mut log, 10 + round);
        let ticket = if round % 2 == 0 { log.flush_target() } else { log.flush_sealed() };
        log.mark_synced(ticket.ok()?.sync());
        if log.failure().is_some() {
            return Some(log);
        }
    }
    None
}

/// Makes the `n`th sync from now on, and later ones, fail with `fault`.
fn fail_sync(disk: &Simulation, n: u64, fault: Fault) {
    let mut left = n;
    disk.inject_faults(move |op| {
        left -= u64::from(op == DiskOp::Sync && left > 0);
        (op == DiskOp::Sync && left == 0).then_some(fault)
    });
}

/// Runs the test once for each sync of the workload, with that sync failing.
fn at_every_sync(fault: Fault, test: impl Fn(&Simulation, &Fixture, Log, &str)) {
    for n in 1.. {
        let disk = Simulation::default();
        let mut fixture = Fixture::simulated(&disk);
        fixture.config.segment_bytes = 3000;
        fail_sync(&disk, n, fault);
        let Some(log) = sync_until_failure(&fixture) else {
            assert!(n > 20, "only {n} syncs");
            return;
        };
        test(&disk, &fixture, log, &format!("sync {n}"));
    }
}

#[test]
fn reopen_after_sync_dropped_dirty_pages_writes_them_again() {
    at_every_sync(Fault::SyncDropsDirtyPages, |disk, fixture, log, what| {
        assert!(log.reopen(NOW).is_err(), "{what}: syncs still fail");
        disk.clear_faults();
        let end = log.end_offset();
        let log = log.reopen(NOW).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!((log.end_offset(), log.durable_offset()), (end, end), "{what}");
        assert_equals_full_scan(fixture, &log);
        for seed in 0..4 {
            let mut random = random::Random(seed);
            let survivor = Fixture::simulated(&disk.power_loss(&mut || random.next()));
            let survivor = Fixture { config: fixture.config.clone(), at: fixture.at, ..survivor };
            let found = survivor.reopen_killed(None);
            assert_eq!(records_from(&found, 0), records_from(&log, 0), "{what}, seed {seed}");
            let mut sorted = [found.producers(), log.producers()];
            sorted.iter_mut().for_each(|producers| producers.sort_by_key(|producer| producer.producer_id));
            assert_eq!(sorted[0], sorted[1], "{what}, seed {seed}");
        }
    });
}

#[test]
fn start_after_a_sync_dropped_dirty_pages_and_the_process_was_killed_writes_them_again() {
    at_every_sync(Fault::SyncDropsDirtyPages, |disk, fixture, log, what| {
        disk.clear_faults();
        let recovery_point = log.recovery_point();
        drop(log);
        let at = OpenParams { clean_shutdown: false, recovery_point, rewrite_unsynced: true, ..fixture.at };
        let fixture = Fixture { config: fixture.config.clone(), at, ..Fixture::simulated(disk) };
        let mut log = fixture.open();
        let expected = records_from(&log, 0);
        let synced = log.flush_target().and_then(|ticket| ticket.sync());
        log.mark_synced(Ok(synced.unwrap_or_else(|error| panic!("{what}: {error}"))));
        for seed in 0..4 {
            let mut random = random::Random(seed);
            let survivor = Fixture::simulated(&disk.power_loss(&mut || random.next()));
            let at = OpenParams { recovery_point: log.recovery_point(), rewrite_unsynced: false, ..at };
            let survivor = Fixture { config: fixture.config.clone(), at, ..survivor };
            assert_eq!(records_from(&survivor.reopen_killed(None), 0), expected, "{what}, seed {seed}");
        }
    });
}

#[test]
fn reopen_after_sync_reverted_records_fails() {
    let refused = std::cell::Cell::new(0);
    at_every_sync(Fault::SyncReverts, |disk, _, log, what| {
        disk.clear_faults();
        assert!(matches!(log.read(0, 1000, true, Offset::MAX), Err(ReadError::Storage(_))), "{what}");
        let end = log.end_offset();
        match log.reopen(NOW) {
            // Only an index, or another file that can be rebuilt, was reverted.
            Ok(log) => assert_eq!(records_from(&log, 0).len(), end as usize, "{what}"),
            Err(_) => refused.set(refused.get() + 1),
        }
    });
    assert!(refused.get() > 3, "refused {} times", refused.get());
}

#[test]
fn successful_sync_concurrent_with_failed_sync_does_not_advance_durable_offset() {
    let disk = Simulation::default();
    let fixture = Fixture::simulated(&disk);
    let mut log = fixture.open();
    log.append(&batch(&["a"]), CLIENT).expect("appends");
    let (fails, succeeds) = (log.flush_target().expect("a ticket"), log.flush_target().expect("a ticket"));
    fail_sync(&disk, 1, Fault::SyncDropsDirtyPages);
    let failed = fails.sync();
    disk.clear_faults();
    let succeeded = succeeds.sync();
    assert!(failed.is_err() && succeeded.is_ok());
    log.mark_synced(failed);
    log.mark_synced(succeeded);
    assert_eq!(log.durable_offset(), 0);
}
