//! Folders that belong to no topic are renamed and kept.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use common::Broker;
use ottla::client::Client;
use ottla_wire::record::{BatchBuilder, Codec};

fn folders(data_dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(data_dir).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let mut names: Vec<String> = entries.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

/// Creates a partition folder like one left by a crash during a deletion or by a restored backup.
fn create_stray_folder(data_dir: &Path, name: &str) -> PathBuf {
    let folder = data_dir.join(name);
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("partition.metadata"), "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAABw").unwrap();
    fs::write(folder.join("00000000000000000000.log"), b"unknown").unwrap();
    folder
}

fn batch() -> Bytes {
    let mut builder = BatchBuilder::new(Codec::None);
    builder.append(1, None, Some(b"value"), &[]);
    builder.build().unwrap().bytes().clone()
}

#[tokio::test]
async fn folder_of_an_unknown_topic_is_renamed_as_stray() {
    let mut broker = Broker::start();
    broker.stop();
    create_stray_folder(broker.data_dir(), "ghost-0");
    create_stray_folder(broker.data_dir(), "deleted-1.0123-delete");
    broker.restart();
    let names = folders(broker.data_dir());
    assert!(names.iter().any(|name| name.starts_with("ghost-0.") && name.ends_with("-stray")), "{names:?}");
    assert!(!names.contains(&"ghost-0".to_owned()), "{names:?}");
    broker.wait_for_log("renamed the directory of an unknown partition");

    let client = Client::connect(broker.bootstrap_servers()).await.unwrap();
    client.create_topic("ghost", 1, &[]).await.unwrap();
    assert_eq!(client.produce("ghost", 0, batch()).await.unwrap().base_offset, 0);
}

#[tokio::test]
async fn folder_with_another_topic_id_is_renamed_as_stray() {
    let mut broker = Broker::start();
    let client = Client::connect(broker.bootstrap_servers()).await.unwrap();
    // A topic that was never used has no folder yet.
    client.create_topic("again", 1, &[]).await.unwrap();
    drop(client);
    broker.stop();
    let _ = fs::remove_dir_all(broker.data_dir().join("again-0"));
    create_stray_folder(broker.data_dir(), "again-0");
    broker.restart();
    let client = Client::connect(broker.bootstrap_servers()).await.unwrap();
    assert_eq!(client.produce("again", 0, batch()).await.unwrap().base_offset, 0);
    broker.wait_for_log("renamed the directory of another topic");
}
