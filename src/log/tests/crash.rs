//! A workload is counted in syncs and in changes of the disk, then run once for each of them with the machine, or the
//! process, stopping there. What is left is held against what had been told by then.
//!
//! The workload has everything a log does: appends of producers and transactions, rolls, snapshots, syncs,
//! DeleteRecords, retention, compactions that swap segments, a clean close, and emptying.
//! `LOG_CRASH_SEEDS` says how many different power losses each point gets.

use super::model::{Run, Unsure, number};
use super::*;

const SEED: u64 = 11;

fn new_run(disk: &Simulation) -> Run {
    let mut shelf = Shelf::simulated(disk);
    shelf.config = LogConfig {
        segment_bytes: 3000,
        index_interval_bytes: 300,
        retention_ms: -1,
        producer_id_expiration_ms: i64::MAX,
        cleanup_compact: true,
        delete_retention_ms: 300,
        min_cleanable_dirty_ratio: 0.0,
        ..LogConfig::default()
    };
    Run::begun(SEED, Some(disk.clone()), shelf)
}

/// Ends early when the disk is gone.
fn workload(run: &mut Run, unsure: &mut Unsure) -> Result<(), LogError> {
    for round in 0..4 {
        for index in 0..12 {
            run.now += 40;
            run.try_append(unsure)?;
            run.try_end_transaction(unsure)?;
            if index % 4 == round % 4 {
                run.try_sync()?;
            }
        }
        match round {
            0 => run.try_delete_records()?,
            1 => run.try_close_and_open()?,
            2 => run.try_retain_older_than(1500, unsure)?,
            _ => {}
        }
        run.try_compact()?;
    }
    run.try_truncate(unsure)?;
    for _ in 0..3 {
        run.try_append(unsure)?;
    }
    run.try_sync()
}

/// Goes on with what is left, and finds out whether that can be relied on.
fn check_survivor(mut run: Run) {
    run.check_everything();
    run.check_windows();
    indexes_of_a_full_scan(&run.shelf, &run.log);
    same_as_a_full_scan(&run.shelf, &run.log);
    // What recovery did is itself durable enough to be used, closed and opened.
    run.kill();
    for _ in 0..2 {
        run.append_plain();
        run.compact();
    }
    run.sync();
    run.lose_power();
    run.reopen_clean();
    run.check_everything();
}

#[test]
fn power_lost_at_any_sync_loses_nothing_that_was_synced() {
    let disk = Simulation::default();
    workload(&mut new_run(&disk), &mut Unsure::default()).expect("runs through");
    let (syncs, seeds) = (disk.syncs(), number("LOG_CRASH_SEEDS").unwrap_or(1));
    assert!(syncs > 60, "{syncs} syncs");
    for crash in 1..=syncs + 1 {
        let disk = Simulation::default();
        disk.crash_at_sync(crash);
        let (mut run, mut unsure) = (new_run(&disk), Unsure::default());
        let outcome = workload(&mut run, &mut unsure);
        assert_eq!(outcome.is_err(), crash <= syncs, "{crash}: {outcome:?}");
        for seed in 0..seeds {
            println!("power lost at sync {crash} of {syncs}, seed {seed}");
            check_survivor(run.after_power_loss(crash * 1000 + seed, &unsure));
        }
    }
    println!("{} power losses at {syncs} syncs", (syncs + 1) * seeds);
}

#[test]
fn a_process_killed_at_any_change_loses_nothing_at_all() {
    let disk = Simulation::default();
    let mut run = new_run(&disk);
    let before = disk.changes();
    workload(&mut run, &mut Unsure::default()).expect("runs through");
    let (changes, seeds) = (disk.changes() - before, number("LOG_CRASH_SEEDS").unwrap_or(0));
    // Every change in a long run, some of them otherwise.
    let step = if seeds > 0 { 1 } else { 5 };
    for kill in (0..changes).step_by(step) {
        let disk = Simulation::default();
        let (mut run, mut unsure) = (new_run(&disk), Unsure::default());
        disk.fail_after_changes(Some(kill));
        workload(&mut run, &mut unsure).expect_err("is killed");
        disk.fail_after_changes(None);
        // The power may go at any change, too.
        for seed in 0..seeds {
            println!("power lost at change {kill} of {changes}, seed {seed}");
            check_survivor(run.after_power_loss(kill * 1000 + seed, &unsure));
        }
        println!("killed at change {kill} of {changes}");
        check_survivor(run.after_kill(&unsure));
    }
    println!("{} kills, {} power losses at {changes} changes", changes / step as u64, changes * seeds);
}
