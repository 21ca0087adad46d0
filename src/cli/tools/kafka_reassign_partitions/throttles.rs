//! Throttles of reassignments, which are settings of brokers and topics.

use std::collections::{BTreeMap, BTreeSet};

use super::Failure;
use super::plan::{Assignment, Plan, commas};
use crate::cli::admin::configs::{self, Change, ResourceType};
use crate::cli::admin::{self, reassignments::Reassignment};
use crate::cli::tools::output::Output;
use ottla_client::Client;
use ottla_wire::java::sort_as_hash_map;
use ottla_wire::java::string_hash;
use ottla_wire::types::{InOrder as _, TopicPartition};

const LEADER_RATE: &str = "leader.replication.throttled.rate";
const FOLLOWER_RATE: &str = "follower.replication.throttled.rate";
const DIR_RATE: &str = "replica.alter.log.dirs.io.max.bytes.per.second";
const LEADER_REPLICAS: &str = "leader.replication.throttled.replicas";
const FOLLOWER_REPLICAS: &str = "follower.replication.throttled.replicas";

/// The source and destination brokers of a partition's move.
struct Move {
    sources: BTreeSet<i32>,
    destinations: BTreeSet<i32>,
}

/// Limits the data moved between brokers, in bytes per second.
pub(super) async fn between_brokers(
    client: &Client,
    under_way: &BTreeMap<TopicPartition, Reassignment>,
    proposed: &Assignment,
    current: &Assignment,
    rate: i64,
) -> Result<(), Failure> {
    let moves = moves(under_way, proposed, current);
    let mut topics: BTreeMap<&str, (BTreeSet<String>, BTreeSet<String>)> = BTreeMap::new();
    for (partition, Move { sources, destinations }) in &moves {
        let (leaders, followers) = topics.entry(&partition.topic).or_default();
        let part = |broker: &i32| format!("{}:{broker}", partition.partition);
        leaders.extend(sources.iter().map(part));
        followers.extend(destinations.difference(sources).map(part));
    }
    for (topic, (leaders, followers)) in topics {
        let changes = [set(LEADER_REPLICAS, commas(leaders)), set(FOLLOWER_REPLICAS, commas(followers))];
        configs::alter(client, (ResourceType::Topic, topic), &changes).await?;
    }
    let brokers: BTreeSet<i32> =
        moves.values().flat_map(|moved| moved.sources.iter().chain(&moved.destinations)).copied().in_order();
    let changes = [set(LEADER_RATE, rate), set(FOLLOWER_RATE, rate)];
    alter_brokers(client, &brokers, &changes).await
}

/// Limits the data moved between log directories, in bytes per second.
pub(super) async fn between_dirs(client: &Client, brokers: &BTreeSet<i32>, rate: i64) -> Result<(), Failure> {
    alter_brokers(client, brokers, &[set(DIR_RATE, rate)]).await
}

/// Removes all throttles.
pub(super) async fn clear(client: &Client, plan: &Plan, output: &mut Output) -> Result<(), Failure> {
    let mut brokers: BTreeSet<i32> = admin::broker_ids(client).await?.into_iter().in_order();
    brokers.extend(plan.partitions.iter().flat_map(|(_, brokers)| brokers));
    let plural = if brokers.len() == 1 { "" } else { "s" };
    output.line(format_args!("Clearing broker-level throttles on broker{plural} {}", commas(&brokers)));
    let deletions = [LEADER_RATE, FOLLOWER_RATE, DIR_RATE].map(|name| Change::Delete(name.to_owned()));
    alter_brokers(client, &brokers, &deletions).await?;

    let topics: BTreeSet<&str> = plan.partitions.iter().map(|(partition, _)| &*partition.topic).in_order();
    let mut topics: Vec<_> = topics.into_iter().collect();
    sort_as_hash_map(&mut topics, 16, |topic| string_hash(topic));
    let plural = if topics.len() == 1 { "" } else { "s" };
    output.line(format_args!("Clearing topic-level throttles on topic{plural} {}", topics.join(",")));
    let deletions = [LEADER_REPLICAS, FOLLOWER_REPLICAS].map(|name| Change::Delete(name.to_owned()));
    for topic in topics {
        configs::alter(client, (ResourceType::Topic, topic), &deletions).await?;
    }
    Ok(())
}

fn set(name: &str, value: impl std::fmt::Display) -> Change {
    Change::Set(name.to_owned(), value.to_string())
}

async fn alter_brokers(client: &Client, brokers: &BTreeSet<i32>, changes: &[Change]) -> Result<(), Failure> {
    for broker in brokers {
        configs::alter(client, (ResourceType::Broker, &broker.to_string()), changes).await?;
    }
    Ok(())
}

/// Returns the active and the proposed moves.
fn moves(
    under_way: &BTreeMap<TopicPartition, Reassignment>,
    proposed: &Assignment,
    current: &Assignment,
) -> BTreeMap<TopicPartition, Move> {
    let active = |reassignment: &Reassignment| {
        let destinations: BTreeSet<i32> = reassignment.adding.iter().copied().in_order();
        let sources = reassignment.replicas.iter().filter(|broker| !destinations.contains(broker)).copied().in_order();
        Move { sources, destinations }
    };
    let mut moves: BTreeMap<_, _> =
        under_way.iter().map(|(partition, reassignment)| (partition.clone(), active(reassignment))).in_order();
    for (partition, brokers) in proposed {
        let sources: BTreeSet<i32> = match moves.remove(partition) {
            Some(active) => active.sources,
            None => current.get(partition).into_iter().flatten().copied().collect(),
        };
        let destinations = brokers.iter().filter(|broker| !sources.contains(broker)).copied().in_order();
        moves.insert(partition.clone(), Move { sources, destinations });
    }
    moves
}
