//! A workload is counted in syncs, then run once for each of them with the machine stopping there.

use super::random::Random;
use super::*;

/// What the workload was told, so far as it got.
#[derive(Default)]
struct Told {
    /// Values by offset.
    appended: Vec<String>,
    synced: Offset,
    recovery_point: Offset,
}

/// Appends, rolls, transactions, syncs, a clean close and a reopening; ends early when the disk is gone.
fn workload(shelf: &Shelf, told: &mut Told) -> Result<(), AppendError> {
    let mut log = shelf.try_open()?;
    for round in 0..3 {
        for index in 0..12 {
            append(&mut log, round * 12 + index, told)?;
            if index % 4 == 3 {
                sync(&mut log, told, index == 7)?;
            }
        }
        if round == 1 {
            let ticket = log.close()?;
            log.mark_synced(Ok(ticket.sync()?));
            (told.synced, told.recovery_point) = (log.durable_offset(), log.recovery_point());
            log = shelf.try_open()?;
        }
    }
    Ok(())
}

fn append(log: &mut Log, index: i32, told: &mut Told) -> Result<(), AppendError> {
    let how = AppendAs { leader_epoch: index / 10, ..CLIENT };
    let batches = match index % 6 {
        0 => vec![by_producer(7, 0, index / 6 * 3, 3)],
        1 => vec![in_txn(8, 0, index / 6, 1)],
        4 => vec![marker(8, 0, if index % 12 == 4 { ControlType::Abort } else { ControlType::Commit }, 0)],
        _ => vec![batch(&["a value of some length, so that pages and segments fill"; 40])],
    };
    for batch in batches {
        let how = if batch.header().is_control() { AppendAs { origin: Origin::Coordinator, ..how } } else { how };
        log.append(&batch, how)?;
        told.appended.resize(log.end_offset() as usize, format!("{index}"));
    }
    Ok(())
}

fn sync(log: &mut Log, told: &mut Told, sealed: bool) -> Result<(), LogError> {
    let ticket = if sealed { log.flush_sealed()? } else { log.flush_target()? };
    log.mark_synced(Ok(ticket.sync()?));
    (told.synced, told.recovery_point) = (log.durable_offset(), log.recovery_point());
    Ok(())
}

fn shelf_on(disk: &Simulation) -> Shelf {
    let mut shelf = Shelf::simulated(disk);
    shelf.config.segment_bytes = 9000;
    shelf.config.index_interval_bytes = 1000;
    shelf
}

/// Opens what a power loss left and compares it with what had been told.
fn check_survivor(shelf: &mut Shelf, told: &Told, what: &str) {
    shelf.at.recovery_point = told.recovery_point;
    let log = shelf.try_reopen_killed(None).unwrap_or_else(|error| panic!("{what}: {error}"));
    let end = log.end_offset();
    assert!(end >= told.synced, "{what}: {} were synced, {end} are left", told.synced);
    let records = records_from(&log, 0);
    let mut expected = (0..end).filter(|offset| records.binary_search_by_key(offset, |record| record.0).is_err());
    // What is no record is a marker.
    let markers = end - records.len() as i64;
    assert!(expected.by_ref().count() as i64 == markers && markers <= end / 20 + 1, "{what}: offsets have gaps");
    same_as_a_full_scan(shelf, &log);
    drop(log);
    // What recovery did is itself durable enough to be opened, appended to and closed.
    let mut log = shelf.try_reopen_killed(None).unwrap_or_else(|error| panic!("{what}, again: {error}"));
    assert_eq!(log.end_offset(), end, "{what}: opened again");
    let on = AppendAs { leader_epoch: 9, ..CLIENT };
    assert_eq!(log.append(&batch(&["on"]), on).expect("appends").base_offset, end, "{what}");
    let closed = log.close().expect("closes").sync();
    log.mark_synced(closed);
    assert_eq!(shelf.open().end_offset(), end + 1, "{what}: closed");
}

#[test]
fn power_lost_at_any_sync_loses_nothing_that_was_synced() {
    let disk = Simulation::default();
    let mut told = Told::default();
    workload(&shelf_on(&disk), &mut told).expect("runs through");
    let syncs = disk.syncs();
    assert!(syncs > 20, "{syncs} syncs");
    for crash in 1..=syncs + 1 {
        let disk = Simulation::default();
        disk.crash_at_sync(crash);
        let mut told = Told::default();
        let outcome = workload(&shelf_on(&disk), &mut told);
        assert_eq!(outcome.is_err(), crash <= syncs, "{crash}");
        for seed in 0..6 {
            let mut random = Random(crash * 1000 + seed);
            let survivor = disk.power_loss(&mut || random.next());
            let what = format!("sync {crash} of {syncs}, seed {seed}");
            check_survivor(&mut shelf_on(&survivor), &told, &what);
        }
    }
}

#[test]
fn a_process_killed_at_any_change_loses_nothing_at_all() {
    let disk = Simulation::default();
    workload(&shelf_on(&disk), &mut Told::default()).expect("runs through");
    for kill in 0..disk.changes() {
        let disk = Simulation::default();
        disk.fail_after_changes(Some(kill));
        let mut told = Told::default();
        workload(&shelf_on(&disk), &mut told).expect_err("is killed");
        disk.fail_after_changes(None);
        let shelf = shelf_on(&disk);
        let log = shelf.try_reopen_killed(None).unwrap_or_else(|error| panic!("change {kill}: {error}"));
        assert!(log.end_offset() >= told.appended.len() as i64, "change {kill}: an appended record is gone");
        same_as_a_full_scan(&shelf, &log);
    }
}
