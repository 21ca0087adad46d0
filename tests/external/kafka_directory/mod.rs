//! A data directory that Apache Kafka filled, under Ottla, and the other way round: the same answers, byte for byte.

mod additions;
mod answers;
mod apache;
mod compaction;
mod transactions;

use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::trials;
use crate::java::dump_log::{dump, dump_compacted, dumped_records, files};
use crate::java::{Java, java};
use answers::{TIMES_OF_PRODUCERS, ask};
use apache::{ApacheKafka, BUSY, QUIET, copy};
use common::{Broker, wait_until};
use libtest_mimic::Trial;
use tempfile::TempDir;

/// The topics that Apache Kafka's cleaner has to have compacted.
const COMPACTED: [&str; 4] = ["compacted", "compacted-transactions", "compacted-deleted", "without-tombstones"];

/// Apache Kafka fills a directory; ours serves it after a clean stop and after a crash, and adds to it; Apache Kafka
/// serves what came of it after a clean stop and after a crash of ours.
async fn each_serves_what_the_other_left() {
    let Some(java) = java() else { return };
    let dir = TempDir::with_prefix("ottla-test-").unwrap();
    let stopped = dir.path().join("stopped");
    fill(java, &stopped).await;

    let theirs = ApacheKafka::start(java, &stopped, QUIET).await;
    let expected = ask(theirs.address()).await;
    // What is on disk while it runs is what a crash would leave.
    let killed = copy(&stopped, &dir.path().join("killed"));
    theirs.stop();

    for (data, except) in [(&stopped, None), (&killed, Some(TIMES_OF_PRODUCERS))] {
        let name = data.file_name().unwrap().display();
        let mut ours = quiet(data);
        let answers = ask(ours.bootstrap_servers()).await;
        answers.must_equal(&expected, &format!("ours and Apache Kafka's before, {name}"), except);

        additions::add(ours.bootstrap_servers()).await;
        let added = ask(ours.bootstrap_servers()).await;
        if except.is_none() {
            ours.stop();
            dump_all(java, data);
        } else {
            wait_until("the new log starts on disk", || are_noted(data, &additions::LOG_STARTS));
            ours.kill();
        }
        let theirs = ApacheKafka::start(java, data, QUIET).await;
        let answers = ask(theirs.address()).await;
        answers.must_equal(&added, &format!("Apache Kafka's and ours before, {name}"), except);
        theirs.stop();
    }
}

/// Two lives of Apache Kafka; the second ends with a transaction left open.
async fn fill(java: &Java, data: &Path) {
    for (life, unended) in [("1", &[][..]), ("2", &["unended"])] {
        let kafka = ApacheKafka::start(java, data, BUSY).await;
        java.run("FillDirectory", &[&[kafka.address(), life], unended].concat());
        wait_until("the cleaner to compact", || is_compacted(data));
        kafka.stop();
    }
}

/// Whether the log starts of these topics' first partitions are written down.
fn are_noted(data: &Path, starts: &[(&str, i64)]) -> bool {
    starts.iter().all(|(topic, start)| noted(data, "log-start-offset-checkpoint", topic, 0) == Some(*start))
}

/// Whether all these topics have been compacted.
fn is_compacted(data: &Path) -> bool {
    COMPACTED.iter().all(|topic| noted(data, "cleaner-offset-checkpoint", topic, 0) > Some(0))
}

/// The offset that a checkpoint has for a partition.
fn noted(data: &Path, checkpoint: &str, topic: &str, partition: i32) -> Option<i64> {
    let text = fs::read_to_string(data.join(checkpoint)).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{topic} {partition} ")))?;
    line.parse().ok()
}

/// A broker of ours in which nothing changes by itself, but for what it notes down. Retention looks once, at the start:
/// when it did in Apache Kafka just before.
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

/// Apache Kafka's dump-log finds nothing wrong with any file.
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
    let own = trials![on_tokio: each_serves_what_the_other_left];
    [own, compaction::tests(), transactions::tests()].into_iter().flatten().collect()
}
