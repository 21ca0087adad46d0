//! Reports of records that were removed by another process while no broker was running.

use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use super::*;

/// Creates a closed log of five segments with four batches each, on a real disk: losses are detected by file times.
fn closed() -> (Fixture, Offset) {
    let mut fixture = Fixture::real(Disk::plain());
    fixture.config.segment_bytes = 2000;
    let mut log = fixture.open();
    while log.segment_count() < 5 {
        let value = format!("{} {}", log.end_offset(), "v".repeat(300));
        log.append(&batch_at(NOW + log.end_offset(), &[&value]), CLIENT).expect("appends");
    }
    let end = log.end_offset();
    fixture.close(log);
    let then = SystemTime::now() - Duration::from_secs(100);
    for name in fixture.names() {
        let file = File::options().write(true).open(file(&fixture, &name)).expect("opens");
        file.set_modified(then).expect("sets the time");
    }
    fixture.at.checkpointed_end =
        CheckpointedEnd { end, at: fixture.disk.modified(&fixture.folder.join("partition.metadata")) };
    (fixture, end)
}

fn log_files(fixture: &Fixture) -> Vec<PathBuf> {
    fixture.names().iter().filter(|name| name.ends_with(".log")).map(|name| file(fixture, name)).collect()
}

fn truncate(path: &Path, len: u64) {
    File::options().write(true).open(path).and_then(|file| file.set_len(len)).expect("truncates");
}

/// Checks that the offsets in the log and those reported as lost are together all offsets.
#[track_caller]
fn check_loss_report(log: &mut Log, end: Offset, what: &str) {
    let report = log.take_open_report().unwrap_or_else(|| panic!("{what}: no report"));
    assert!(report.has_problems(), "{what}");
    let mut all: Vec<Offset> = records_from(log, 0).into_iter().map(|(offset, _)| offset).collect();
    for lost in &report.lost {
        assert!(!lost.is_empty(), "{what}: {lost:?}");
        all.extend(lost.clone());
    }
    all.sort_unstable();
    assert_eq!(all, (0..end).collect::<Vec<_>>(), "{what}: {:?}", report.lost);
}

#[test]
fn records_truncated_from_any_segment_are_reported_once_on_open() {
    for clean in [true, false] {
        let count = log_files(&closed().0).len();
        for nth in 0..count {
            for part in [0, 1, 35, 50, 99] {
                let (fixture, end) = closed();
                let path = &log_files(&fixture)[nth];
                let size = fs::metadata(path).expect("is there").len();
                truncate(path, size * part / 100);
                let what = format!("clean {clean}, {path:?}, {part} % left");
                let validated = None;
                let at = OpenParams { clean_shutdown: clean, validated, recovery_point: end - 1, ..fixture.at };
                let config = Arc::new(fixture.config.clone());
                let mut log = Log::open(&fixture.disk, &fixture.folder, config.clone(), at).expect("opens");
                check_loss_report(&mut log, end, &what);
                let after = log.end_offset();
                assert_eq!(log.append(&batch(&["on"]), CLIENT).expect("appends").base_offset, after, "{what}");
                fixture.close(log);
                let at = OpenParams {
                    checkpointed_end: CheckpointedEnd { end: after, at: i64::MAX },
                    ..OpenParams::fresh(NOW)
                };
                let mut log = Log::open(&fixture.disk, &fixture.folder, config, at).expect("opens again");
                assert_eq!(log.take_open_report(), None, "{what}: reported once");
                assert_eq!(log.end_offset(), after + 1, "{what}");
            }
        }
    }
}

#[test]
fn open_of_intact_log_reports_no_loss() {
    let (fixture, _) = closed();
    // As in a copy of the directory: all files have the current time.
    let now = SystemTime::now();
    for path in log_files(&fixture) {
        File::options().write(true).open(path).expect("opens").set_modified(now).expect("sets the time");
    }
    let mut log = fixture.open();
    assert_eq!(log.take_open_report(), None);
    assert_eq!(records_from(&log, 0).len() as Offset, log.end_offset());
}

#[test]
fn checkpointed_end_of_earlier_topic_with_same_name_is_ignored() {
    let disk = Simulation::default();
    disk.set_time(NOW);
    let mut fixture = Fixture::simulated(&disk);
    fixture.at.topic_id = Some(Uuid([5; 16]));
    fixture.at.checkpointed_end = CheckpointedEnd { end: 1000, at: NOW - 1 };
    let mut log = fixture.open();
    assert_eq!(log.take_open_report(), None, "created after the checkpoint");
    log.append(&batch(&["a"]), CLIENT).expect("appends");
    fixture.close(log);
    fixture.at.checkpointed_end.at = NOW + 1;
    let report = fixture.open().take_open_report().expect("a report");
    assert_eq!(report.lost.first(), Some(&(1..1000)));
}

#[test]
fn checkpointed_end_is_high_watermark_of_last_checkpoint() {
    let disk = Simulation::default();
    let identity = Identity {
        node_id: 1,
        cluster_id: None,
        new_cluster_id: Uuid([1; 16]).to_string(),
        new_directory_id: Uuid([2; 16]),
    };
    let open = || LogDir::open_on(Disk::simulated(&disk), Path::new("/data"), &identity).expect("opens");
    let dir = open();
    let partition = ottla_wire::types::TopicPartition::new("t", 0);
    let entry = |recovery_point, high_watermark| Checkpoint {
        partition: partition.clone(),
        recovery_point,
        log_start: 0,
        high_watermark,
        first_dirty: None,
        validated: None,
    };
    disk.set_time(NOW);
    dir.write_checkpoints(&[entry(5, 9)]).expect("writes");
    assert_eq!(open().open_at(&partition, None, NOW).checkpointed_end, CheckpointedEnd { end: 9, at: NOW });
    dir.write_checkpoints(&[entry(12, 12)]).expect("writes");
    assert_eq!(open().open_at(&partition, None, NOW).checkpointed_end.end, 12);
}
