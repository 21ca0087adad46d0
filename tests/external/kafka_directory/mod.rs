//! A data directory that Apache Kafka filled, served by Ottla, and the reverse: the responses are equal, byte for byte.

mod acls;
mod additions;
mod answers;
mod apache;
mod compaction;
mod open_transactions;
mod secure;
mod transactions;

use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::trials;
use crate::java::dump_log::{dump, dump_compacted, dumped_records, files};
use crate::java::{Java, java};
use answers::{TIMES_OF_PRODUCERS, query_all};
use apache::{ApacheKafka, BUSY, QUIET, copy};
use common::{Broker, wait_until};
use libtest_mimic::Trial;
use tempfile::TempDir;

/// The topics that Apache Kafka's cleaner must have compacted.
const COMPACTED: [&str; 4] = ["compacted", "compacted-transactions", "compacted-deleted", "without-tombstones"];

/// Apache Kafka fills a directory; Ottla serves it after a clean stop and after a crash, and adds to it; Apache Kafka
/// serves the result after a clean stop and after a crash of Ottla.
async fn each_broker_serves_the_directory_of_the_other_with_equal_responses() {
    let Some(java) = java() else { return };
    let dir = TempDir::with_prefix("ottla-test-").unwrap();
    let stopped = dir.path().join("stopped");
    fill(java, &stopped).await;

    let theirs = ApacheKafka::start(java, &stopped, QUIET).await;
    let expected = query_all(theirs.address()).await;
    // A copy made while it runs equals what a crash would leave on disk.
    let killed = copy(&stopped, &dir.path().join("killed"));
    theirs.stop();

    for (data, except) in [(&stopped, None), (&killed, Some(TIMES_OF_PRODUCERS))] {
        let name = data.file_name().unwrap().display();
        let mut ours = quiet(data);
        let answers = query_all(ours.bootstrap_servers()).await;
        answers.must_equal(&expected, &format!("ours and Apache Kafka's before, {name}"), except);

        additions::add(ours.bootstrap_servers()).await;
        let added = query_all(ours.bootstrap_servers()).await;
        if except.is_none() {
            ours.stop();
            dump_all(java, data);
        } else {
            wait_until("the new log starts on disk", || are_checkpointed(data, &additions::LOG_STARTS));
            ours.kill();
        }
        let theirs = ApacheKafka::start(java, data, QUIET).await;
        let answers = query_all(theirs.address()).await;
        answers.must_equal(&added, &format!("Apache Kafka's and ours before, {name}"), except);
        theirs.stop();
    }
}

/// Runs Apache Kafka twice; the second run ends with an open transaction.
async fn fill(java: &Java, data: &Path) {
    for (run, open_transaction) in [("1", &[][..]), ("2", &["open-transaction"])] {
        let kafka = ApacheKafka::start(java, data, BUSY).await;
        java.run("FillDirectory", &[&[kafka.address(), run], open_transaction].concat());
        wait_until("the cleaner to compact", || is_compacted(data));
        kafka.stop();
    }
}

/// Returns whether the checkpoint has these log start offsets of the topics' first partitions.
fn are_checkpointed(data: &Path, starts: &[(&str, i64)]) -> bool {
    starts.iter().all(|(topic, start)| checkpointed(data, "log-start-offset-checkpoint", topic, 0) == Some(*start))
}

/// Returns whether all topics of [`COMPACTED`] have been compacted.
fn is_compacted(data: &Path) -> bool {
    COMPACTED.iter().all(|topic| checkpointed(data, "cleaner-offset-checkpoint", topic, 0) > Some(0))
}

/// Returns the offset that a checkpoint has for a partition.
fn checkpointed(data: &Path, checkpoint: &str, topic: &str, partition: i32) -> Option<i64> {
    let text = fs::read_to_string(data.join(checkpoint)).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{topic} {partition} ")))?;
    line.parse().ok()
}

/// Starts a broker of Ottla without background changes except checkpoints. Retention runs once, at the start, as it did
/// in Apache Kafka just before.
fn quiet(data: &Path) -> Broker {
    let settings = [
        ("log.cleaner.enable", "false"),
        ("log.initial.task.delay.ms", "0"),
        ("log.retention.check.interval.ms", "3600000"),
        ("log.flush.offset.checkpoint.interval.ms", "200"),
        ("log.flush.start.offset.checkpoint.interval.ms", "200"),
    ];
    let broker = Broker::with().data_dir(data);
    settings.iter().fold(broker, |broker, (name, value)| broker.set(name, value)).start()
}

/// Asserts that Apache Kafka's dump-log finds no fault in any file.
fn dump_all(java: &Java, data: &Path) {
    for topic in ["codecs", "transactions", "recompressed", "trimmed", "stamped", "new"] {
        assert!(dumped_records(&dump(java, &["--deep-iteration"], &files(data, topic, &["log"]))) > 0, "{topic}");
    }
    for topic in COMPACTED {
        dump_compacted(java, &["--deep-iteration"], &files(data, topic, &["log"]));
    }
    let is_compacted =
        |path: &PathBuf| COMPACTED.iter().any(|topic| path.parent().unwrap().ends_with(format!("{topic}-0")));
    let (compacted, whole): (Vec<_>, Vec<_>) =
        files(data, "", &["index", "timeindex"]).into_iter().partition(is_compacted);
    for how in ["--index-sanity-check", "--verify-index-only"] {
        dump(java, &[how], &whole);
        dump_compacted(java, &[how], &compacted);
    }
    dump(java, &[], &files(data, "", &["txnindex", "snapshot"]));
    dump(java, &["--cluster-metadata-decoder"], &files(data, "__cluster_metadata-0", &["log"]));
    dump(java, &["--offsets-decoder"], &files(data, "__consumer_offsets", &["log"]));
    dump(java, &["--transaction-log-decoder"], &files(data, "__transaction_state", &["log"]));
}

pub fn tests() -> Vec<Trial> {
    let own = trials![on_tokio: each_broker_serves_the_directory_of_the_other_with_equal_responses];
    [own, acls::tests(), compaction::tests(), open_transactions::tests(), secure::tests(), transactions::tests()]
        .into_iter()
        .flatten()
        .collect()
}
