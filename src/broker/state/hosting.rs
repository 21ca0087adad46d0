//! Finds the partitions that this broker does not serve, and those whose folders were moved here.

use std::collections::HashSet;

use super::cluster::{Cluster, NotServed};
use ottla_core::metadata::Hosting;
use ottla_log::LogDir;
use ottla_wire::types::{PartitionIndex, TopicId, TopicPartition, sort_by};

/// Partitions that are named in a log line.
const NAMED: usize = 10;

/// The partitions whose folders are in this log directory although the metadata names another one. They were moved
/// while the broker was stopped.
pub fn found_here(cluster: &Cluster, log_dir: &LogDir) -> HashSet<(TopicId, PartitionIndex)> {
    let (node, directory) = (cluster.config.node_id, log_dir.meta().directory_id);
    let partitions = cluster.image.topics().flat_map(|topic| topic.partitions().map(move |found| (topic, found)));
    let elsewhere = partitions
        .filter(|(_, (_, partition))| matches!(partition.hosting(node, directory), Hosting::AbsentDirectory(_)));
    elsewhere
        .filter(|(topic, (index, _))| log_dir.has_partition(&TopicPartition::new(topic.name.clone(), *index), topic.id))
        .map(|(topic, (index, _))| (topic.id, index))
        .collect()
}

/// Logs the partitions that are not served, one line for each reason.
pub fn report(cluster: &Cluster) {
    if let Some(absent) = not_served(cluster, NotServed::AbsentDirectory) {
        tracing::warn!(
            "{absent} are in a log directory that this broker does not have: clients get KAFKA_STORAGE_ERROR until it \
             is in log.dirs again, or until their folders are moved to this one while the broker is stopped"
        );
    }
    if let Some(others) = not_served(cluster, NotServed::NotLeader) {
        tracing::warn!("{others} have no leader here: no replica on this node is in sync");
    }
}

/// Lists the partitions that are not served for a reason: "3 partitions (a-0, a-1, b-0)". `None` if there are none.
fn not_served(cluster: &Cluster, reason: NotServed) -> Option<String> {
    let mut found: Vec<TopicPartition> = Vec::new();
    for topic in cluster.topics() {
        let indexes = topic.image.partitions().map(|(index, _)| index);
        let unserved = indexes.filter(|index| topic.partition(*index).err() == Some(reason));
        found.extend(unserved.map(|index| TopicPartition::new(topic.name().clone(), index)));
    }
    let count = found.len();
    sort_by(&mut found, TopicPartition::cmp);
    let named: Vec<String> = found.iter().take(NAMED).map(TopicPartition::to_string).collect();
    let more = if count > NAMED { ", …" } else { "" };
    (count > 0).then(|| format!("{count} partitions ({}{more})", named.join(", ")))
}
