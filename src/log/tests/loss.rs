//! What an open says of records that somebody took away while no broker looked.

use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use super::*;

/// Five segments of four batches each, closed; on a real disk, for it is times of files that tell.
fn closed() -> (Shelf, Offset) {
    let mut shelf = Shelf::real(Disk::plain());
    shelf.config.segment_bytes = 2000;
    let mut log = shelf.open();
    while log.segment_count() < 5 {
        let value = format!("{} {}", log.end_offset(), "v".repeat(300));
        log.append(&batch_at(NOW + log.end_offset(), &[&value]), CLIENT).expect("appends");
    }
    let end = log.end_offset();
    shelf.close(log);
    // A while ago.
    let then = SystemTime::now() - Duration::from_secs(100);
    for name in shelf.names() {
        let file = File::options().write(true).open(file(&shelf, &name)).expect("opens");
        file.set_modified(then).expect("sets the time");
    }
    shelf.at.checkpointed_end =
        CheckpointedEnd { end, at: shelf.disk.modified(&shelf.folder.join("partition.metadata")) };
    (shelf, end)
}

fn log_files(shelf: &Shelf) -> Vec<PathBuf> {
    shelf.names().iter().filter(|name| name.ends_with(".log")).map(|name| file(shelf, name)).collect()
}

fn cut(path: &Path, len: u64) {
    File::options().write(true).open(path).and_then(|file| file.set_len(len)).expect("cuts");
}

/// Offsets that are there, and those that the report calls lost: together all there were.
#[track_caller]
fn check_told(log: &mut Log, end: Offset, what: &str) {
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
fn records_that_were_cut_from_any_segment_are_told_at_the_next_open() {
    for clean in [true, false] {
        let count = log_files(&closed().0).len();
        for nth in 0..count {
            for part in [0, 1, 35, 50, 99] {
                let (shelf, end) = closed();
                let path = &log_files(&shelf)[nth];
                let size = fs::metadata(path).expect("is there").len();
                cut(path, size * part / 100);
                let what = format!("clean {clean}, {path:?}, {part} % left");
                let validated = None;
                let at = OpenAt { clean_shutdown: clean, validated, recovery_point: end - 1, ..shelf.at };
                let config = Arc::new(shelf.config.clone());
                let mut log = Log::open(&shelf.disk, &shelf.folder, config.clone(), at).expect("opens");
                check_told(&mut log, end, &what);
                let after = log.end_offset();
                assert_eq!(log.append(&batch(&["on"]), CLIENT).expect("appends").base_offset, after, "{what}");
                shelf.close(log);
                let at =
                    OpenAt { checkpointed_end: CheckpointedEnd { end: after, at: i64::MAX }, ..OpenAt::fresh(NOW) };
                let mut log = Log::open(&shelf.disk, &shelf.folder, config, at).expect("opens again");
                assert_eq!(log.take_open_report(), None, "{what}: it is told once");
                assert_eq!(log.end_offset(), after + 1, "{what}");
            }
        }
    }
}

#[test]
fn a_log_that_is_whole_has_lost_nothing() {
    let (shelf, _) = closed();
    // As a copy of the directory has them: files in any order.
    let now = SystemTime::now();
    for path in log_files(&shelf) {
        File::options().write(true).open(path).expect("opens").set_modified(now).expect("sets the time");
    }
    let mut log = shelf.open();
    assert_eq!(log.take_open_report(), None);
    assert_eq!(records_from(&log, 0).len() as Offset, log.end_offset());
}

#[test]
fn what_was_noted_of_an_earlier_topic_of_that_name_is_not_missed() {
    let disk = Simulation::default();
    disk.set_time(NOW);
    let mut shelf = Shelf::simulated(&disk);
    shelf.at.topic_id = Some(Uuid([5; 16]));
    shelf.at.checkpointed_end = CheckpointedEnd { end: 1000, at: NOW - 1 };
    let mut log = shelf.open();
    assert_eq!(log.take_open_report(), None, "made after that was noted");
    log.append(&batch(&["a"]), CLIENT).expect("appends");
    shelf.close(log);
    shelf.at.checkpointed_end.at = NOW + 1;
    let report = shelf.open().take_open_report().expect("a report");
    assert_eq!(report.lost.first(), Some(&(1..1000)));
}

#[test]
fn a_directory_remembers_where_its_logs_ended() {
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
