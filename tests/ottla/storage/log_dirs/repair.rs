//! `check-log --repair` of data in two log directories whose metadata log is missing.

use std::fs;
use std::path::Path;

use ottla_wire::types::ErrorCode;

use super::{all_refuse, batch, code, connect, copy, end_offset, folders, refused, start, two_dirs};

/// Runs a repair, which must succeed, and returns its stdout.
fn repaired(dirs: &[&Path]) -> String {
    let dirs = dirs.iter().map(|dir| dir.to_str().unwrap());
    let output = common::run(&[vec!["check-log", "--repair"], dirs.collect()].concat());
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    printed
}

#[tokio::test]
async fn repair_of_one_of_two_log_dirs_creates_no_empty_partitions() {
    let dir = two_dirs();
    let (first, second) = (dir.path().join("d1"), dir.path().join("d2"));
    fs::remove_dir_all(first.join("__cluster_metadata-0")).unwrap();
    assert!(refused(&[&format!("log.dirs={}", first.display())]).contains("`ottla check-log --repair "));
    let printed = repaired(&[&first]);
    for part in [
        " partitions (orders-1, __consumer_offsets-1, ".to_owned(),
        "Groups of its missing partitions have no coordinator".to_owned(),
        format!("move its directory into {}", first.display()),
        format!("mkdir {}/orders-1", first.display()),
        "not known: topics without a directory here, and partitions with numbers above those found".to_owned(),
        format!("remove {}/__cluster_metadata-0, and name all log directories", first.display()),
    ] {
        assert!(printed.contains(&part), "{part}: {printed}");
    }
    let before = folders(&first);
    let mut broker = start(&first);
    broker.wait_for_log(" are in a log directory that this broker does not have");
    let client = connect(&broker).await;
    let committed = client.committed_offsets("other", "orders", &[0, 1, 2, 3]).await.unwrap();
    assert!(committed.iter().all(|partition| partition.offset == 100), "{committed:?}");
    for group in ["grp", "third"] {
        assert_eq!(code(client.find_coordinator(group).await), ErrorCode::CoordinatorNotAvailable, "{group}");
    }
    all_refuse(&client, "orders", 1, ErrorCode::KafkaStorageError).await;
    assert_eq!((end_offset(&client, 0).await, end_offset(&client, 2).await), (100, 100));
    drop(client);
    broker.kill();
    assert_eq!(folders(&first), before);

    // The first option: moving the folder here. The metadata records then assign it to this directory.
    copy(&second.join("orders-1"), &first.join("orders-1"));
    broker.restart();
    assert_eq!(end_offset(&connect(&broker).await, 1).await, 100);
    broker.stop();
}

#[tokio::test]
async fn partition_without_a_folder_starts_at_offset_zero_in_a_new_empty_folder() {
    let dir = two_dirs();
    let first = dir.path().join("d1");
    fs::remove_dir_all(first.join("__cluster_metadata-0")).unwrap();
    let printed = repaired(&[&first]);
    let recommended = printed.split("mkdir ").nth(1).unwrap().lines().next().unwrap();
    fs::create_dir(recommended).unwrap();
    let broker = start(&first);
    let client = connect(&broker).await;
    assert_eq!(client.produce("orders", 1, batch("anew")).await.unwrap().base_offset, 0);
    assert_eq!(end_offset(&client, 0).await, 100);
}

#[tokio::test]
async fn repair_of_two_log_dirs_assigns_each_partition_to_its_directory() {
    let dir = two_dirs();
    let (first, second) = (dir.path().join("d1"), dir.path().join("d2"));
    fs::remove_dir_all(first.join("__cluster_metadata-0")).unwrap();
    // As the report of the first repair recommends.
    assert!(repaired(&[&first]).contains("without a directory, not served now"));
    fs::remove_dir_all(first.join("__cluster_metadata-0")).unwrap();
    let printed = repaired(&[&first, &second]);
    assert!(!printed.contains("without a directory, "), "{printed}");
    let mut broker = start(&first);
    let client = connect(&broker).await;
    for partition in [1, 3] {
        all_refuse(&client, "orders", partition, ErrorCode::KafkaStorageError).await;
    }
    assert_eq!(end_offset(&client, 2).await, 100);
    drop(client);
    broker.stop();
    for folder in folders(&second) {
        fs::rename(second.join(&folder), first.join(&folder)).unwrap();
    }
    broker.restart();
    let client = connect(&broker).await;
    for partition in 0..4 {
        assert_eq!(end_offset(&client, partition).await, 100);
    }
    for group in ["other", "grp", "third"] {
        let committed = client.committed_offsets(group, "orders", &[0, 1, 2, 3]).await.unwrap();
        assert!(committed.iter().all(|partition| partition.offset == 100), "{group}: {committed:?}");
    }
}
