//! Logs that fail while they are in use, and are opened again.

use super::*;

/// Appends batches of 1, 2, 3 ... records until one fails or `count` are there; the values that were taken.
fn append_until_failure(log: &mut Log, count: usize) -> Vec<String> {
    let mut taken = Vec::new();
    for index in 0..count {
        let values: Vec<String> = (0..=index % 5).map(|nth| format!("{index}/{nth} and some more of it")).collect();
        let producer = index as i64 % 3;
        let batch = if index % 2 == 0 {
            batch(&values.iter().map(String::as_str).collect::<Vec<_>>())
        } else {
            in_txn(producer, 0, index as i32 * 10, 1 + index % 5)
        };
        match log.append(&batch, COORDINATOR) {
            Ok(_) => taken.resize(log.end_offset() as usize, String::new()),
            Err(_) => break,
        }
    }
    taken
}

#[test]
fn a_log_that_failed_at_any_change_goes_on_where_it_was() {
    let shelf_on = |disk: &Simulation| {
        let mut shelf = Shelf::simulated(disk);
        shelf.config.segment_bytes = 900;
        shelf
    };
    let disk = Simulation::default();
    append_until_failure(&mut shelf_on(&disk).open(), 60);
    let changes = disk.changes();
    assert!(changes > 60, "{changes} changes");
    for change in 1..changes {
        let disk = Simulation::default();
        let shelf = shelf_on(&disk);
        disk.fail_after_changes(Some(change));
        let Ok(mut log) = shelf.try_open() else { continue };
        let taken = append_until_failure(&mut log, 60).len() as Offset;
        assert!(log.failure().is_some(), "change {change}");
        assert!(log.reopen(NOW).is_err(), "change {change}: the disk fails still");
        disk.fail_after_changes(None);
        let mut log = log.reopen(NOW).unwrap_or_else(|error| panic!("change {change}: {error}"));
        // What failed after it was stored may be there.
        let end = log.end_offset();
        assert!((taken..=taken + 5).contains(&end), "change {change}: {taken} records were taken, {end} are there");
        same_as_a_full_scan(&shelf, &log);
        let on = log.append(&batch(&["on"]), CLIENT).unwrap_or_else(|error| panic!("change {change}: {error}"));
        assert_eq!(on.base_offset, end, "change {change}");
        shelf.close(log);
        assert_eq!(shelf.open().end_offset(), end + 1, "change {change}: closed");
    }
}

#[test]
fn a_log_stays_closed_while_there_is_no_room_for_what_it_had_to_take() {
    let disk = Simulation::default();
    let shelf = Shelf::simulated(&disk);
    let mut log = shelf.open();
    log.append(&batch(&["kept"]), CLIENT).expect("appends");
    disk.fail_after_changes(Some(0));
    log.append(&batch(&["x".repeat(3 << 20).as_str()]), CLIENT).expect_err("is full");
    // Enough to cut what is torn, and for the first of the megabytes that were wanted.
    disk.fail_after_changes(Some(4));
    assert!(log.reopen(NOW).is_err());
    disk.fail_after_changes(None);
    let log = log.reopen(NOW).expect("opens");
    assert_eq!(records_from(&log, 0), [(0, "kept".to_owned())]);
    let size = disk_len(&shelf);
    assert_eq!(size, log.size(), "nothing is left of the trial");
}

fn disk_len(shelf: &Shelf) -> u64 {
    shelf.disk.len(&file(shelf, "00000000000000000000.log")).expect("looks").expect("is there")
}

#[test]
fn records_that_are_gone_keep_the_log_closed() {
    let disk = Simulation::default();
    let shelf = Shelf::simulated(&disk);
    let mut log = shelf.open();
    for value in ["a", "b", "c"] {
        log.append(&batch(&[value]), CLIENT).expect("appends");
    }
    disk.fail_after_changes(Some(0));
    log.append(&batch(&["d"]), CLIENT).expect_err("fails");
    disk.fail_after_changes(None);
    let whole = disk_len(&shelf);
    disk.tamper(&file(&shelf, "00000000000000000000.log"), |bytes| bytes.truncate(bytes.len() / 2));
    let refused = log.reopen(NOW).expect_err("some of it is gone").to_string();
    assert!(refused.contains("are lost") || refused.contains("end of file"), "{refused}");
    assert!(disk_len(&shelf) < whole);
}

#[test]
fn only_a_log_that_failed_is_opened_again() {
    on_every_backing(|shelf| {
        let mut log = shelf.open();
        log.append(&batch(&["a"]), CLIENT).expect("appends");
        assert!(log.reopen(NOW).is_err());
    });
}

/// Appends and syncs until a sync fails: the log, if it was opened by then.
fn sync_until_failure(shelf: &Shelf) -> Option<Log> {
    let mut log = shelf.try_open().ok()?;
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

/// The `n`th sync from now on fails so.
fn fail_sync(disk: &Simulation, n: u64, fault: Fault) {
    let mut left = n;
    disk.set_mishaps(move |act| {
        left -= u64::from(act == Act::Sync && left > 0);
        (act == Act::Sync && left == 0).then_some(fault)
    });
}

/// Lets each sync of the workload fail, until there are no more.
fn at_every_sync(fault: Fault, story: impl Fn(&Simulation, &Shelf, Log, &str)) {
    for n in 1.. {
        let disk = Simulation::default();
        let mut shelf = Shelf::simulated(&disk);
        shelf.config.segment_bytes = 3000;
        fail_sync(&disk, n, fault);
        let Some(log) = sync_until_failure(&shelf) else {
            assert!(n > 20, "only {n} syncs");
            return;
        };
        story(&disk, &shelf, log, &format!("sync {n}"));
    }
}

#[test]
fn what_a_failed_sync_forgot_is_written_again() {
    at_every_sync(Fault::Forgets, |disk, shelf, log, what| {
        assert!(log.reopen(NOW).is_err(), "{what}: syncs fail still");
        disk.heal();
        let end = log.end_offset();
        let log = log.reopen(NOW).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!((log.end_offset(), log.durable_offset()), (end, end), "{what}");
        same_as_a_full_scan(shelf, &log);
        for seed in 0..4 {
            let mut random = random::Random(seed);
            let survivor = Shelf::simulated(&disk.power_loss(&mut || random.next()));
            let survivor = Shelf { config: shelf.config.clone(), at: shelf.at, ..survivor };
            let found = survivor.reopen_killed(None);
            assert_eq!(records_from(&found, 0), records_from(&log, 0), "{what}, seed {seed}");
            let mut sorted = [found.producers(), log.producers()];
            sorted.iter_mut().for_each(|producers| producers.sort_by_key(|producer| producer.producer_id));
            assert_eq!(sorted[0], sorted[1], "{what}, seed {seed}");
        }
    });
}

#[test]
fn what_a_failed_sync_lost_keeps_the_log_closed() {
    let refused = std::cell::Cell::new(0);
    at_every_sync(Fault::Reverts, |disk, _, log, what| {
        disk.heal();
        assert!(matches!(log.read(0, 1000, true, Offset::MAX), Err(ReadError::Storage(_))), "{what}");
        let end = log.end_offset();
        match log.reopen(NOW) {
            // An index, or another file that can be made anew.
            Ok(log) => assert_eq!(records_from(&log, 0).len(), end as usize, "{what}"),
            Err(_) => refused.set(refused.get() + 1),
        }
    });
    assert!(refused.get() > 3, "refused {} times", refused.get());
}

#[test]
fn a_sync_that_went_well_beside_one_that_failed_says_nothing() {
    let disk = Simulation::default();
    let shelf = Shelf::simulated(&disk);
    let mut log = shelf.open();
    log.append(&batch(&["a"]), CLIENT).expect("appends");
    let (fails, succeeds) = (log.flush_target().expect("a ticket"), log.flush_target().expect("a ticket"));
    fail_sync(&disk, 1, Fault::Forgets);
    let failed = fails.sync();
    disk.heal();
    let succeeded = succeeds.sync();
    assert!(failed.is_err() && succeeded.is_ok());
    log.mark_synced(failed);
    log.mark_synced(succeeded);
    assert_eq!(log.durable_offset(), 0);
}
