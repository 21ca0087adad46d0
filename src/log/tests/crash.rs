//! Crashes at every point of a workload. The workload is run once for each of its syncs, with a power loss at that
//! sync, and once for each of its changes of the disk, with a kill of the process at that change. Then the log is
//! compared with what was acknowledged before.
//!
//! The workload has all operations of a log: appends of producers and transactions, rolls, snapshots, syncs,
//! DeleteRecords, retention, compactions that swap segments, a clean close, and truncation.
//! `LOG_CRASH_SEEDS` sets the number of different power losses at each point.

use super::model::{Run, UnknownOutcomes, number};
use super::*;

const SEED: u64 = 11;

fn new_run(disk: &Simulation) -> Run {
    let mut fixture = Fixture::simulated(disk);
    fixture.config = LogConfig {
        segment_bytes: 3000,
        index_interval_bytes: 300,
        retention_ms: -1,
        producer_id_expiration_ms: i64::MAX,
        cleanup_compact: true,
        delete_retention_ms: 300,
        min_cleanable_dirty_ratio: 0.0,
        ..LogConfig::default()
    };
    Run::with_settings_of(SEED, Some(disk.clone()), fixture)
}

/// Runs the workload; ends early when the disk fails.
fn workload(run: &mut Run, unknown: &mut UnknownOutcomes) -> Result<(), LogError> {
    for round in 0..4 {
        for index in 0..12 {
            run.now += 40;
            run.try_append(unknown)?;
            run.try_end_transaction(unknown)?;
            if index % 4 == round % 4 {
                run.try_sync()?;
            }
        }
        match round {
            0 => run.try_delete_records()?,
            1 => run.try_close_and_open()?,
            2 => run.try_retain_older_than(1500, unknown)?,
            _ => {}
        }
        run.try_compact()?;
    }
    run.try_truncate(unknown)?;
    for _ in 0..3 {
        run.try_append(unknown)?;
    }
    run.try_sync()
}

/// Checks the log after a crash, then continues to use it.
fn check_after_crash(mut run: Run) {
    run.check_everything();
    run.check_windows();
    assert_indexes_equal_full_scan(&run.fixture, &run.log);
    assert_equals_full_scan(&run.fixture, &run.log);
    // The recovered log can be used, closed and opened again.
    run.kill();
    for _ in 0..2 {
        run.append_without_producer();
        run.compact();
    }
    run.sync();
    run.lose_power();
    run.reopen_clean();
    run.check_everything();
}

#[test]
fn power_loss_at_any_sync_keeps_synced_records() {
    let disk = Simulation::default();
    workload(&mut new_run(&disk), &mut UnknownOutcomes::default()).expect("runs through");
    let (syncs, seeds) = (disk.syncs(), number("LOG_CRASH_SEEDS").unwrap_or(1));
    assert!(syncs > 60, "{syncs} syncs");
    for crash in 1..=syncs + 1 {
        let disk = Simulation::default();
        disk.crash_at_sync(crash);
        let (mut run, mut unknown) = (new_run(&disk), UnknownOutcomes::default());
        let outcome = workload(&mut run, &mut unknown);
        assert_eq!(outcome.is_err(), crash <= syncs, "{crash}: {outcome:?}");
        for seed in 0..seeds {
            println!("power lost at sync {crash} of {syncs}, seed {seed}");
            check_after_crash(run.after_power_loss(crash * 1000 + seed, &unknown));
        }
    }
    println!("{} power losses at {syncs} syncs", (syncs + 1) * seeds);
}

#[test]
fn kill_at_any_change_keeps_acknowledged_records() {
    let disk = Simulation::default();
    let mut run = new_run(&disk);
    let before = disk.changes();
    workload(&mut run, &mut UnknownOutcomes::default()).expect("runs through");
    let (changes, seeds) = (disk.changes() - before, number("LOG_CRASH_SEEDS").unwrap_or(0));
    // Every change in a long run, every eleventh in a short one.
    let step = if seeds > 0 { 1 } else { 11 };
    for kill in (0..changes).step_by(step) {
        let disk = Simulation::default();
        let (mut run, mut unknown) = (new_run(&disk), UnknownOutcomes::default());
        disk.fail_after_changes(Some(kill));
        workload(&mut run, &mut unknown).expect_err("is killed");
        disk.fail_after_changes(None);
        // The power may be lost at any change, too.
        for seed in 0..seeds {
            println!("power lost at change {kill} of {changes}, seed {seed}");
            check_after_crash(run.after_power_loss(kill * 1000 + seed, &unknown));
        }
        println!("killed at change {kill} of {changes}");
        check_after_crash(run.after_kill(&unknown));
    }
    println!("{} kills, {} power losses at {changes} changes", changes / step as u64, changes * seeds);
}
