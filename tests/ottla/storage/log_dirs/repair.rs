//! `check-log --repair` where the metadata log of a directory that Kafka spread over two is gone.

use std::fs;
use std::path::Path;

use ottla_wire::types::ErrorCode;

use super::{all_refuse, batch, client, code, copy, end_offset, folders, refused, start, two_dirs};

/// Runs a repair, which must mend everything; what it says.
fn repaired(dirs: &[&Path]) -> String {
    let dirs = dirs.iter().map(|dir| dir.to_str().unwrap());
    let output = common::run(&[vec!["check-log", "--repair"], dirs.collect()].concat());
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

#[tokio::test]
async fn a_repair_of_one_of_kafkas_directories_makes_nothing_empty_of_what_may_lie_in_the_other() {
    let dir = two_dirs();
    let (first, second) = (dir.path().join("d1"), dir.path().join("d2"));
    fs::remove_dir_all(first.join("__cluster_metadata-0")).unwrap();
    assert!(refused(&[&format!("log.dirs={}", first.display())]).contains("`ottla check-log --repair "));
    let said = repaired(&[&first]);
    for part in [
        " partitions (orders-1, __consumer_offsets-1, ".to_owned(),
        "Groups of its missing partitions have no coordinator".to_owned(),
        format!("move its directory into {}", first.display()),
        format!("mkdir {}/orders-1", first.display()),
        "not known: topics without a directory here, and partitions with numbers above those found".to_owned(),
        format!("remove {}/__cluster_metadata-0, and name all log directories", first.display()),
    ] {
        assert!(said.contains(&part), "{part}: {said}");
    }
    let before = folders(&first);
    let mut broker = start(&first);
    broker.wait_for_log(" lie in a log directory that is not here");
    let asking = client(&broker).await;
    let committed = asking.committed_offsets("other", "orders", &[0, 1, 2, 3]).await.unwrap();
    assert!(committed.iter().all(|partition| partition.offset == 100), "{committed:?}");
    for group in ["grp", "third"] {
        assert_eq!(code(asking.find_coordinator(group).await), ErrorCode::CoordinatorNotAvailable, "{group}");
    }
    all_refuse(&asking, "orders", 1, ErrorCode::KafkaStorageError).await;
    assert_eq!((end_offset(&asking, 0).await, end_offset(&asking, 2).await), (100, 100));
    drop(asking);
    broker.kill();
    assert_eq!(folders(&first), before);

    // One choice: its folder. The records say then where it is.
    copy(&second.join("orders-1"), &first.join("orders-1"));
    broker.restart();
    assert_eq!(end_offset(&client(&broker).await, 1).await, 100);
    broker.stop();
}

#[tokio::test]
async fn a_partition_that_a_repair_found_no_folder_of_begins_anew_where_an_empty_one_is_made() {
    let dir = two_dirs();
    let first = dir.path().join("d1");
    fs::remove_dir_all(first.join("__cluster_metadata-0")).unwrap();
    let said = repaired(&[&first]);
    let made = said.split("mkdir ").nth(1).unwrap().lines().next().unwrap();
    fs::create_dir(made).unwrap();
    let broker = start(&first);
    let asking = client(&broker).await;
    assert_eq!(asking.produce("orders", 1, batch("anew")).await.unwrap().base_offset, 0);
    assert_eq!(end_offset(&asking, 0).await, 100);
}

#[tokio::test]
async fn a_repair_of_both_directories_assigns_each_partition_to_the_one_that_has_it() {
    let dir = two_dirs();
    let (first, second) = (dir.path().join("d1"), dir.path().join("d2"));
    fs::remove_dir_all(first.join("__cluster_metadata-0")).unwrap();
    // As the repair of one says.
    assert!(repaired(&[&first]).contains("without a directory, not served now"));
    fs::remove_dir_all(first.join("__cluster_metadata-0")).unwrap();
    let said = repaired(&[&first, &second]);
    assert!(!said.contains("not served now"), "{said}");
    let mut broker = start(&first);
    let asking = client(&broker).await;
    for partition in [1, 3] {
        all_refuse(&asking, "orders", partition, ErrorCode::KafkaStorageError).await;
    }
    assert_eq!(end_offset(&asking, 2).await, 100);
    drop(asking);
    broker.stop();
    for folder in folders(&second) {
        fs::rename(second.join(&folder), first.join(&folder)).unwrap();
    }
    broker.restart();
    let asking = client(&broker).await;
    for partition in 0..4 {
        assert_eq!(end_offset(&asking, partition).await, 100);
    }
    for group in ["other", "grp", "third"] {
        let committed = asking.committed_offsets(group, "orders", &[0, 1, 2, 3]).await.unwrap();
        assert!(committed.iter().all(|partition| partition.offset == 100), "{group}: {committed:?}");
    }
}
