//! Like `crash`, for the log directory: its identity, checkpoints, positions and clean shutdown marker, and a partition
//! that is deleted and created again, with the machine or the process stopping at any point.

use super::random::Random;
use super::*;
use ottla_wire::types::{TopicId, TopicPartition};

const DIR: &str = "/data";

/// What was acknowledged to the workload, for partition 0, which stays, and partition 1, which is created again.
#[derive(Clone, Debug, Default)]
struct Acknowledged {
    cluster_id: Option<String>,
    appended: [Offset; 2],
    synced: [Offset; 2],
    /// The log start offset in the checkpoint.
    start: Offset,
    /// How often partition 1 was created again, and whether that is in progress.
    recreated: u8,
    is_recreating: bool,
    /// The end offsets of the logs when the directory was marked clean; `None` once it is opened again.
    closed_at: Option<[Offset; 2]>,
}

fn partition(number: usize) -> TopicPartition {
    TopicPartition::new("t", number as i32)
}

fn topic(recreated: u8) -> TopicId {
    Uuid([recreated + 1; 16])
}

fn open_dir(disk: &Simulation) -> Result<LogDir, LogDirError> {
    // Each open proposes another id; only the first one may be used.
    let proposed = Uuid([disk.changes() as u8; 16]);
    let identity =
        Identity { node_id: 1, cluster_id: None, new_cluster_id: proposed.to_string(), new_directory_id: proposed };
    LogDir::open_on(Disk::simulated(disk), Path::new(DIR), &identity)
}

fn open_log(dir: &LogDir, number: usize, recreated: u8) -> Result<Log, LogError> {
    let config = LogConfig { segment_bytes: 700, retention_ms: -1, index_interval_bytes: 100, ..LogConfig::default() };
    let id = if number == 0 { topic(100) } else { topic(recreated) };
    let at = dir.open_at(&partition(number), Some(id), NOW);
    Log::open(dir.disk(), &dir.partition_path(&partition(number)), Arc::new(config), at)
}

fn checkpoint(dir: &LogDir, logs: &[Log; 2], acked: &mut Acknowledged) -> Result<(), LogError> {
    let entry = |number: usize| Checkpoint {
        partition: partition(number),
        recovery_point: logs[number].recovery_point(),
        log_start: logs[number].start_offset(),
        high_watermark: logs[number].end_offset(),
        first_dirty: None,
        validated: logs[number].validated(),
    };
    dir.write_checkpoints(&[entry(0), entry(1)])?;
    acked.start = logs[0].start_offset();
    Ok(())
}

fn append(log: &mut Log, end: &mut Offset, index: i32) -> Result<(), AppendError> {
    log.append(&by_producer(7, index as i16, 0, 2), AppendParams { leader_epoch: index, ..CLIENT })?;
    *end = log.end_offset();
    Ok(())
}

fn sync(log: &mut Log, synced: &mut Offset) -> Result<(), LogError> {
    let outcome = log.flush_target()?.sync()?;
    log.mark_synced(Ok(outcome));
    *synced = log.durable_offset();
    Ok(())
}

/// Runs the workload; ends early when the disk fails.
fn workload(disk: &Simulation, acked: &mut Acknowledged) -> Result<(), Box<dyn std::error::Error>> {
    for round in 0..3 {
        let dir = open_dir(disk)?;
        acked.closed_at = None;
        acked.cluster_id = Some(dir.meta().cluster_id.clone());
        let mut logs = [open_log(&dir, 0, 0)?, open_log(&dir, 1, acked.recreated)?];
        for index in 0..6 {
            for (number, log) in logs.iter_mut().enumerate() {
                append(log, &mut acked.appended[number], round * 6 + index)?;
                if index as usize % 3 == number {
                    sync(log, &mut acked.synced[number])?;
                }
            }
            if index == 2 {
                logs[0].delete_records(acked.synced[0] - 1)?;
                checkpoint(&dir, &logs, acked)?;
                let _ = logs[0].housekeep(NOW)?.unlink();
            }
        }
        if round == 1 {
            (acked.is_recreating, acked.recreated) = (true, acked.recreated + 1);
            (acked.appended[1], acked.synced[1]) = (0, 0);
            let deleted = logs[1].delete(Uuid([round as u8; 16]))?;
            dir.sync()?;
            acked.is_recreating = false;
            deleted.unlink()?;
            logs[1] = open_log(&dir, 1, acked.recreated)?;
            append(&mut logs[1], &mut acked.appended[1], round * 6)?;
        }
        for (log, synced) in logs.iter_mut().zip(&mut acked.synced) {
            let outcome = log.close()?.sync()?;
            log.mark_synced(Ok(outcome));
            *synced = log.end_offset();
        }
        checkpoint(&dir, &logs, acked)?;
        // From here on the marker may exist.
        acked.closed_at = Some(acked.appended);
        dir.mark_clean(-1)?;
    }
    Ok(())
}

/// Opens the directory after a crash and compares it with what was acknowledged; `at_least` has the minimum end offsets.
fn check_survivor(disk: &Simulation, acked: &Acknowledged, at_least: [Offset; 2], what: &str) {
    let dir = open_dir(disk).unwrap_or_else(|error| panic!("{what}: {error}"));
    if let Some(cluster_id) = &acked.cluster_id {
        assert_eq!(&dir.meta().cluster_id, cluster_id, "{what}");
    }
    if dir.clean_shutdown() {
        assert!(acked.closed_at.is_some(), "{what}: clean, but was not closed");
    }
    for number in [0, 1] {
        let log = match open_log(&dir, number, acked.recreated) {
            Err(LogError::OtherTopic { .. }) if number == 1 && acked.is_recreating => {
                dir.rename_to_stray(&partition(1), Uuid([77; 16])).expect("moves it");
                open_log(&dir, number, acked.recreated)
            }
            opened => opened,
        };
        let log = log.unwrap_or_else(|error| panic!("{what}, partition {number}: {error}"));
        let (start, end) = (log.start_offset(), log.end_offset());
        assert!(end >= at_least[number], "{what}, partition {number}: ends at {end}, not {}", at_least[number]);
        if dir.clean_shutdown() {
            assert_eq!(Some(end), acked.closed_at.map(|ends| ends[number]), "{what}, partition {number}");
        }
        if number == 0 {
            assert!(start >= acked.start, "{what}: deleted records are back: {start}, not {}", acked.start);
        }
        assert_eq!(records_from(&log, start).len() as i64, end - start, "{what}, partition {number}");
        let mut fixture = Fixture::simulated(disk);
        fixture.folder = log.path().to_path_buf();
        fixture.config = (**log.config()).clone();
        fixture.at.log_start = Some(start);
        assert_equals_full_scan(&fixture, &log);
    }
}

/// Changes the boot id in the positions file, as if the machine had rebooted.
fn reboot(disk: &Simulation) {
    disk.corrupt(&Path::new(DIR).join("ottla-positions"), |bytes| {
        if let Some(first) = bytes.get_mut(2) {
            *first = b'x';
        }
    });
}

#[test]
fn directory_after_power_loss_at_any_sync_has_synced_state() {
    let disk = Simulation::default();
    workload(&disk, &mut Acknowledged::default()).expect("runs through");
    let syncs = disk.syncs();
    assert!(syncs > 60, "{syncs} syncs");
    for crash in 1..=syncs + 1 {
        let (disk, mut acked) = (Simulation::default(), Acknowledged::default());
        disk.crash_at_sync(crash);
        let outcome = workload(&disk, &mut acked);
        assert_eq!(outcome.is_err(), crash <= syncs, "{crash}: {outcome:?}");
        for seed in 0..2 {
            let mut random = Random(crash * 1000 + seed);
            let survivor = disk.power_loss(&mut || random.next());
            reboot(&survivor);
            check_survivor(&survivor, &acked, acked.synced, &format!("sync {crash} of {syncs}, seed {seed}"));
        }
    }
}

#[test]
fn directory_after_kill_at_any_change_has_acknowledged_state() {
    let disk = Simulation::default();
    workload(&disk, &mut Acknowledged::default()).expect("runs through");
    let changes = disk.changes();
    for kill in 0..changes {
        let (disk, mut acked) = (Simulation::default(), Acknowledged::default());
        disk.fail_after_changes(Some(kill));
        workload(&disk, &mut acked).expect_err("is killed");
        disk.fail_after_changes(None);
        let at_least = acked.appended;
        check_survivor(&disk, &acked, at_least, &format!("change {kill} of {changes}"));
    }
}
