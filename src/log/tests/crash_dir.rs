//! As `crash`, for the directory around the logs: its identity, checkpoints, positions and clean marker, and a
//! partition that is deleted and made again, with the machine or the process stopping anywhere.

use super::random::Random;
use super::*;
use ottla_wire::types::{TopicId, TopicPartition};

const DIR: &str = "/data";

/// What the workload was told, as far as it got, of partition 0, which stays, and 1, which is made again.
#[derive(Clone, Debug, Default)]
struct Told {
    cluster_id: Option<String>,
    appended: [Offset; 2],
    synced: [Offset; 2],
    /// The log start that the checkpoint has.
    start: Offset,
    /// How often partition 1 was made, and whether it is being made again.
    made: u8,
    being_made: bool,
    /// Where the logs ended when the directory was marked clean, unless it was opened again.
    closed_at: Option<[Offset; 2]>,
}

fn partition(number: usize) -> TopicPartition {
    TopicPartition::new("t", number as i32)
}

fn topic(made: u8) -> TopicId {
    Uuid([made + 1; 16])
}

fn open_dir(disk: &Simulation) -> Result<LogDir, LogDirError> {
    // Who opens it a second time has other ids to offer.
    let offered = Uuid([disk.changes() as u8; 16]);
    let identity =
        Identity { node_id: 1, cluster_id: None, new_cluster_id: offered.to_string(), new_directory_id: offered };
    LogDir::open_on(Disk::simulated(disk), Path::new(DIR), &identity)
}

fn open_log(dir: &LogDir, number: usize, made: u8) -> Result<Log, LogError> {
    let config = LogConfig { segment_bytes: 700, retention_ms: -1, index_interval_bytes: 100, ..LogConfig::default() };
    let id = if number == 0 { topic(100) } else { topic(made) };
    let at = dir.open_at(&partition(number), Some(id), NOW);
    Log::open(dir.disk(), &dir.partition_path(&partition(number)), Arc::new(config), at)
}

fn checkpoint(dir: &LogDir, logs: &[Log; 2], told: &mut Told) -> Result<(), LogError> {
    let entry = |number: usize| Checkpoint {
        partition: partition(number),
        recovery_point: logs[number].recovery_point(),
        log_start: logs[number].start_offset(),
        high_watermark: logs[number].end_offset(),
        first_dirty: None,
        validated: logs[number].validated(),
    };
    dir.write_checkpoints(&[entry(0), entry(1)])?;
    told.start = logs[0].start_offset();
    Ok(())
}

fn append(log: &mut Log, end: &mut Offset, index: i32) -> Result<(), AppendError> {
    log.append(&by_producer(7, index as i16, 0, 2), AppendAs { leader_epoch: index, ..CLIENT })?;
    *end = log.end_offset();
    Ok(())
}

fn sync(log: &mut Log, synced: &mut Offset) -> Result<(), LogError> {
    let outcome = log.flush_target()?.sync()?;
    log.mark_synced(Ok(outcome));
    *synced = log.durable_offset();
    Ok(())
}

/// Ends early when the disk is gone.
fn workload(disk: &Simulation, told: &mut Told) -> Result<(), Box<dyn std::error::Error>> {
    for round in 0..3 {
        let dir = open_dir(disk)?;
        told.closed_at = None;
        told.cluster_id = Some(dir.meta().cluster_id.clone());
        let mut logs = [open_log(&dir, 0, 0)?, open_log(&dir, 1, told.made)?];
        for index in 0..6 {
            for (number, log) in logs.iter_mut().enumerate() {
                append(log, &mut told.appended[number], round * 6 + index)?;
                if index as usize % 3 == number {
                    sync(log, &mut told.synced[number])?;
                }
            }
            if index == 2 {
                logs[0].delete_records(told.synced[0] - 1)?;
                checkpoint(&dir, &logs, told)?;
                let _ = logs[0].housekeep(NOW)?.unlink();
            }
        }
        if round == 1 {
            (told.being_made, told.made) = (true, told.made + 1);
            (told.appended[1], told.synced[1]) = (0, 0);
            let deleted = logs[1].delete(Uuid([round as u8; 16]))?;
            dir.sync()?;
            told.being_made = false;
            deleted.unlink()?;
            logs[1] = open_log(&dir, 1, told.made)?;
            append(&mut logs[1], &mut told.appended[1], round * 6)?;
        }
        for (log, synced) in logs.iter_mut().zip(&mut told.synced) {
            let outcome = log.close()?.sync()?;
            log.mark_synced(Ok(outcome));
            *synced = log.end_offset();
        }
        checkpoint(&dir, &logs, told)?;
        // From here on it may be there.
        told.closed_at = Some(told.appended);
        dir.mark_clean(-1)?;
    }
    Ok(())
}

/// Opens what is left and holds it against what was told; `at_least` is what the logs must still have.
fn check_survivor(disk: &Simulation, told: &Told, at_least: [Offset; 2], what: &str) {
    let dir = open_dir(disk).unwrap_or_else(|error| panic!("{what}: {error}"));
    if let Some(cluster_id) = &told.cluster_id {
        assert_eq!(&dir.meta().cluster_id, cluster_id, "{what}");
    }
    if dir.clean_shutdown() {
        assert!(told.closed_at.is_some(), "{what}: clean, but was not closed");
    }
    for number in [0, 1] {
        let log = match open_log(&dir, number, told.made) {
            Err(LogError::OtherTopic { .. }) if number == 1 && told.being_made => {
                dir.rename_to_stray(&partition(1), Uuid([77; 16])).expect("moves it");
                open_log(&dir, number, told.made)
            }
            opened => opened,
        };
        let log = log.unwrap_or_else(|error| panic!("{what}, partition {number}: {error}"));
        let (start, end) = (log.start_offset(), log.end_offset());
        assert!(end >= at_least[number], "{what}, partition {number}: ends at {end}, not {}", at_least[number]);
        if dir.clean_shutdown() {
            assert_eq!(Some(end), told.closed_at.map(|ends| ends[number]), "{what}, partition {number}");
        }
        if number == 0 {
            assert!(start >= told.start, "{what}: deleted records are back: {start}, not {}", told.start);
        }
        assert_eq!(records_from(&log, start).len() as i64, end - start, "{what}, partition {number}");
        let mut shelf = Shelf::simulated(disk);
        shelf.folder = log.path().to_path_buf();
        shelf.config = (**log.config()).clone();
        shelf.at.log_start = Some(start);
        same_as_a_full_scan(&shelf, &log);
    }
}

/// After a reboot the positions are of another boot.
fn rebooted(disk: &Simulation) {
    disk.tamper(&Path::new(DIR).join("ottla-positions"), |bytes| {
        if let Some(first) = bytes.get_mut(2) {
            *first = b'x';
        }
    });
}

#[test]
fn a_directory_survives_power_lost_at_any_sync() {
    let disk = Simulation::default();
    workload(&disk, &mut Told::default()).expect("runs through");
    let syncs = disk.syncs();
    assert!(syncs > 60, "{syncs} syncs");
    for crash in 1..=syncs + 1 {
        let (disk, mut told) = (Simulation::default(), Told::default());
        disk.crash_at_sync(crash);
        let outcome = workload(&disk, &mut told);
        assert_eq!(outcome.is_err(), crash <= syncs, "{crash}: {outcome:?}");
        for seed in 0..2 {
            let mut random = Random(crash * 1000 + seed);
            let survivor = disk.power_loss(&mut || random.next());
            rebooted(&survivor);
            check_survivor(&survivor, &told, told.synced, &format!("sync {crash} of {syncs}, seed {seed}"));
        }
    }
}

#[test]
fn a_directory_survives_a_kill_at_any_change() {
    let disk = Simulation::default();
    workload(&disk, &mut Told::default()).expect("runs through");
    let changes = disk.changes();
    for kill in 0..changes {
        let (disk, mut told) = (Simulation::default(), Told::default());
        disk.fail_after_changes(Some(kill));
        workload(&disk, &mut told).expect_err("is killed");
        disk.fail_after_changes(None);
        let at_least = told.appended;
        check_survivor(&disk, &told, at_least, &format!("change {kill} of {changes}"));
    }
}
