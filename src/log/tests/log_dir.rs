use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::*;
use ottla_wire::types::TopicPartition;

fn identity() -> Identity {
    Identity {
        node_id: 1,
        cluster_id: None,
        new_cluster_id: Uuid([1; 16]).to_string(),
        new_directory_id: Uuid([2; 16]),
    }
}

fn checkpoint(topic: &str, partition: i32) -> Checkpoint {
    Checkpoint {
        partition: TopicPartition::new(topic, partition),
        recovery_point: 5,
        log_start: 3,
        high_watermark: 9,
        first_dirty: (partition == 0).then_some(4),
        validated: Some(Validated { segment: 0, position: 700, next_offset: 10 }),
    }
}

#[test]
fn new_directory_gets_identity_and_keeps_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("data");
    let dir = LogDir::open(&path, &identity()).expect("opens");
    assert_eq!(dir.meta().cluster_id, Uuid([1; 16]).to_string());
    assert_eq!(dir.meta().directory_id, Uuid([2; 16]));
    assert!(!dir.clean_shutdown());
    drop(dir);
    let other = Identity { new_cluster_id: Uuid([8; 16]).to_string(), new_directory_id: Uuid([9; 16]), ..identity() };
    let dir = LogDir::open(&path, &other).expect("opens");
    assert_eq!(dir.meta().directory_id, Uuid([2; 16]));
}

#[test]
fn directory_in_use_by_another_broker_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let held = LogDir::open(folder.path(), &identity()).expect("opens");
    // With a slash at the end.
    let refused = LogDir::open(&folder.path().join(""), &identity());
    let error = refused.expect_err("in use").to_string();
    let lock = folder.path().join(".lock");
    // `/proc/locks` may name devices differently from stat, on overlay file systems for example.
    assert!(
        error.contains("is in use by another broker") && error.contains(&format!("holds {}", lock.display())),
        "{error}"
    );
    drop(held);
    LogDir::open(folder.path(), &identity()).expect("opens again");
}

#[test]
fn permission_denied_error_names_owner_mode_and_remedy() {
    let folder = tempfile::tempdir().expect("a folder");
    let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
    let file = folder.path().join("file");
    fs::write(&file, "").expect("written");
    let message =
        |what, path: &Path, kind: ErrorKind| LogDirError::from(LogError::io(what, path, kind.into())).to_string();
    let user = rustix::process::geteuid().as_raw();
    let (dir, missing) = (folder.path().display(), folder.path().join("missing"));
    for (what, path, mode, expect) in [
        (
            "opening",
            &missing.join(".lock"),
            0o500,
            format!(
                "{dir} belongs to this process's uid {user}, but its mode 500 forbids access: give its owner the permission (chmod -R u+rwX {dir})"
            ),
        ),
        (
            "opening",
            &missing,
            0o750,
            format!(
                "{dir} belongs to this process's uid {user}, and its mode 750 allows access: something else forbids it"
            ),
        ),
        (
            "creating",
            &missing,
            0o750,
            format!(
                "{dir} belongs to uid {user} (mode 750), and this process runs as uid {user}: create {} as uid {user} and",
                missing.display()
            ),
        ),
        // The file's mode is sufficient, but the folder's must allow replacing it.
        (
            "writing",
            &file,
            0o700,
            format!("{dir} belongs to this process's uid {user}, and its mode 700 allows access"),
        ),
    ] {
        set(folder.path(), mode);
        let message = message(what, path, ErrorKind::PermissionDenied);
        set(folder.path(), 0o700);
        assert!(message.contains(&format!("permission denied; {expect}")), "{message}");
    }
    assert!(!message("opening", &missing, ErrorKind::NotFound).contains("uid"));
}

#[test]
fn directory_of_another_node_or_cluster_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(LogDir::open(folder.path(), &identity()).expect("opens"));
    let refused = LogDir::open(folder.path(), &Identity { node_id: 2, ..identity() });
    assert!(matches!(refused, Err(LogDirError::OtherNode { expected: 2, found: 1, .. })));
    let refused = LogDir::open(folder.path(), &Identity { cluster_id: Some("x".into()), ..identity() });
    assert!(matches!(refused, Err(LogDirError::OtherCluster { .. })));
}

#[test]
fn clean_shutdown_marker_is_removed_on_open() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = LogDir::open(folder.path(), &identity()).expect("opens");
    dir.mark_clean(7).expect("marks");
    drop(dir);
    let marker = folder.path().join(".kafka_cleanshutdown");
    assert_eq!(fs::read_to_string(&marker).expect("reads"), r#"{"version":0,"brokerEpoch":7}"#);
    let dir = LogDir::open(folder.path(), &identity()).expect("opens");
    assert!(dir.clean_shutdown());
    assert!(!marker.exists());
    drop(dir);
    assert!(!LogDir::open(folder.path(), &identity()).expect("opens").clean_shutdown());
}

#[test]
fn written_checkpoints_are_read_on_open() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = LogDir::open(folder.path(), &identity()).expect("opens");
    dir.write_checkpoints(&[checkpoint("a", 0), checkpoint("b-c", 12)]).expect("writes");
    drop(dir);
    let text = |name: &str| fs::read_to_string(folder.path().join(name)).expect("reads");
    assert_eq!(text("recovery-point-offset-checkpoint"), "0\n2\na 0 5\nb-c 12 5\n");
    assert_eq!(text("cleaner-offset-checkpoint"), "0\n1\na 0 4\n");
    let dir = LogDir::open(folder.path(), &identity()).expect("opens");
    let at = dir.open_at(&TopicPartition::new("b-c", 12), None, NOW);
    assert_eq!((at.recovery_point, at.log_start, at.clean_shutdown), (5, Some(3), false));
    assert_eq!(at.validated, checkpoint("b-c", 12).validated);
    assert_eq!(at.first_dirty, None);
    assert_eq!(dir.open_at(&TopicPartition::new("a", 0), None, NOW).first_dirty, Some(4));
    let unknown = dir.open_at(&TopicPartition::new("d", 0), None, NOW);
    assert_eq!((unknown.recovery_point, unknown.log_start, unknown.validated), (0, None, None));
}

#[test]
fn corrupt_recovery_checkpoint_is_ignored_and_corrupt_log_start_checkpoint_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = LogDir::open(folder.path(), &identity()).expect("opens");
    dir.write_checkpoints(&[checkpoint("a", 0)]).expect("writes");
    drop(dir);
    fs::write(folder.path().join("recovery-point-offset-checkpoint"), "damage").expect("writes");
    let dir = LogDir::open(folder.path(), &identity()).expect("opens");
    assert_eq!(dir.open_at(&TopicPartition::new("a", 0), None, NOW).recovery_point, 0);
    drop(dir);
    fs::write(folder.path().join("log-start-offset-checkpoint"), "0\n1\na 0 x\n").expect("writes");
    let refused = LogDir::open(folder.path(), &identity()).expect_err("refuses");
    assert!(refused.to_string().contains("log-start-offset-checkpoint"), "{refused}");
}

#[test]
fn partition_folders_are_listed_with_their_state() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = LogDir::open(folder.path(), &identity()).expect("opens");
    let hex = "ab".repeat(16);
    let names = ["a-b-0", "c-1", "no number", &format!("d.e-2.{hex}-delete"), &format!("f-3.{hex}-stray"), "x.y-4"];
    for name in names {
        fs::create_dir(folder.path().join(name)).expect("creates");
    }
    fs::write(folder.path().join("plain-5"), "a file").expect("writes");
    let mut found: Vec<_> =
        dir.partitions().expect("lists").into_iter().map(|it| (it.partition.to_string(), it.state)).collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    let expected = [
        ("a-b-0", PartitionState::Live),
        ("c-1", PartitionState::Live),
        ("d.e-2", PartitionState::Deleted),
        ("f-3", PartitionState::Other),
        ("x.y-4", PartitionState::Live),
    ];
    assert_eq!(found, expected.map(|(name, state)| (name.to_owned(), state)));
}

/// A checkpoint writer waits for each partition, so opening a partition's log must not wait for the writer.
#[test]
fn opener_of_a_log_does_not_wait_for_a_checkpoint_writer() {
    let simulation = Simulation::default();
    let dir = LogDir::open_on(Disk::simulated(&simulation), Path::new("/data"), &identity()).expect("opens");
    let _writer = dir.checkpoint_writer();
    dir.retry_remove_checkpoints().expect("nothing is to be removed");
}

#[test]
fn checkpoints_of_deleted_partition_are_removed_after_disk_was_full() {
    let simulation = Simulation::default();
    let path = Path::new("/data");
    let open = || LogDir::open_on(Disk::simulated(&simulation), path, &identity()).expect("opens");
    let (kept, deleted) = (TopicPartition::new("kept", 0), TopicPartition::new("deleted", 0));
    let dir = open();
    dir.write_checkpoints(&[checkpoint("kept", 0), checkpoint("deleted", 0)]).expect("writes");
    let dir = {
        drop(dir);
        open()
    };
    simulation.inject_faults(|_| Some(Fault::NoSpace));
    dir.remove_checkpoints([&deleted].into_iter()).expect_err("the disk is full");
    dir.retry_remove_checkpoints().expect_err("the disk is still full");
    let writer = dir.checkpoint_writer();
    dir.retry_remove_checkpoints().expect_err("another writer has the lock");
    drop(writer);
    simulation.clear_faults();
    dir.retry_remove_checkpoints().expect("there is space again");
    drop(dir);
    let dir = open();
    let log_start = |partition| dir.open_at(partition, None, NOW).log_start;
    assert_eq!((log_start(&kept), log_start(&deleted)), (Some(3), None));
}

#[test]
fn restore_clean_marker_writes_marker_found_on_open() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(LogDir::open(folder.path(), &identity()).expect("opens"));
    let marker = folder.path().join(".kafka_cleanshutdown");
    LogDir::open(folder.path(), &identity()).expect("opens").restore_clean_marker().expect("has nothing to do");
    assert!(!marker.exists());
    let text = r#"{"version":0,"brokerEpoch":16}"#;
    fs::write(&marker, text).expect("writes");
    let dir = LogDir::open(folder.path(), &identity()).expect("opens");
    assert!(!marker.exists());
    dir.restore_clean_marker().expect("writes");
    assert_eq!(fs::read_to_string(&marker).expect("reads"), text);
}

#[test]
fn without_folder_returns_checkpointed_partitions_with_records() {
    let folder = tempfile::tempdir().expect("a folder");
    let open = || LogDir::open(folder.path(), &identity()).expect("opens");
    let empty = Checkpoint { recovery_point: 0, high_watermark: 0, validated: None, ..checkpoint("empty", 0) };
    open().write_checkpoints(&[checkpoint("there", 0), checkpoint("removed", 0), empty]).expect("writes");
    fs::create_dir(folder.path().join("there-0")).expect("creates");
    let dir = open();
    let missing = || dir.partitions_without_folder(&dir.partitions().expect("lists"));
    let removed = TopicPartition::new("removed", 0);
    assert_eq!(missing(), [(removed.clone(), 10)]);
    dir.remove_checkpoints([&removed].into_iter()).expect("writes");
    assert_eq!(missing(), []);
}

/// `ottla --ephemeral` promises this.
#[test]
fn disk_without_syncs_syncs_nothing() {
    let syncs = |on: fn(Disk) -> Disk| {
        let simulation = Simulation::default();
        let disk = on(Disk::simulated(&simulation));
        let mut fixture = Fixture::simulated(&simulation).on_disk(disk.clone());
        fixture.config.segment_bytes = 100;
        let dir = LogDir::open_on(disk, Path::new("/data"), &identity()).expect("opens");
        let mut log = fixture.open();
        for _ in 0..3 {
            log.append(&batch(&["0123456789"]), CLIENT).expect("appends");
        }
        for ticket in [log.flush_sealed(), log.flush_target()] {
            let ticket = ticket.expect("a ticket");
            assert!(!ticket.is_empty());
            log.mark_synced(ticket.sync());
        }
        assert_eq!(log.durable_offset(), log.end_offset());
        fixture.close(log);
        dir.mark_clean(-1).expect("closes");
        simulation.syncs()
    };
    assert!(syncs(|disk| disk) > 3);
    assert_eq!(syncs(Disk::without_syncs), 0);
}
