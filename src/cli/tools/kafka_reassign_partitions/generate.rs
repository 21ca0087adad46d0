//! `--generate`, and lookups of current assignments and log directories.

use std::collections::BTreeSet;

use super::plan::{Assignment, Dirs, Replica, duplicates, json, topics};
use super::{Failure, Options};
use crate::cli::admin::{self, log_dirs, topics as admin_topics};
use crate::cli::tools::exceptions::Exception;
use crate::cli::tools::kafka_topics::PARTITIONS_AT_A_TIME;
use crate::cli::tools::options::one_value;
use crate::cli::tools::output::Output;
use ottla_client::Client;
use ottla_wire::types::{ErrorCode, InOrder as _, TopicPartition};

impl Options {
    pub(super) async fn generate(&self, client: &Client) -> Result<(), Failure> {
        let text = self.file("topics-to-move-json-file", &self.topics_to_move_json_file)?;
        let brokers = one_value("broker-list", &self.broker_list).map_err(Failure::local)?.unwrap_or_default();
        let number =
            |text: &str| text.parse::<i32>().map_err(|_| Failure::Error(format!("For input string: \"{text}\"")));
        let brokers: Vec<i32> = brokers.split(',').map(number).collect::<Result<_, _>>()?;
        let repeated = duplicates(brokers.iter());
        if !repeated.is_empty() {
            return Failure::error(format!("Broker list contains duplicate entries: {repeated:?}"));
        }
        let topics = topics(&text)?;
        let repeated = duplicates(topics.iter());
        if !repeated.is_empty() {
            let repeated: Vec<_> = repeated.into_iter().map(String::as_str).collect();
            let repeated = repeated.join(", ");
            return Failure::error(format!("List of topics to reassign contains duplicate entries: [{repeated}]"));
        }
        let current = assignment_of_topics(client, topics.into_iter().in_order()).await?;
        let dirs = dirs(client, &current).await?;
        let live = admin::broker_ids(client).await?;
        let usable: Vec<i32> = live.into_iter().filter(|id| brokers.contains(id)).collect();
        let proposed = propose(&current, &usable)?;
        let mut output = Output::stdout();
        output.line(format_args!("Current partition replica assignment\n{}\n", json(&current, &dirs)?));
        output.line(format_args!("Proposed partition reassignment configuration\n{}", json(&proposed, &Dirs::new())?));
        Ok(())
    }
}

/// Assigns replicas to the brokers round-robin; each partition keeps its number of replicas.
fn propose(current: &Assignment, brokers: &[i32]) -> Result<Assignment, Failure> {
    if brokers.is_empty() && !current.is_empty() {
        return Failure::error("All brokers are currently fenced, or have all their log directories cordoned.");
    }
    let factor = current.values().map(Vec::len).max().unwrap_or(0);
    if factor > brokers.len() {
        return Failure::error(format!(
            "Unable to replicate the partition {factor} time(s): The target replication factor of {factor} cannot be \
             reached because only {} broker(s) are registered or some brokers have all their log directories cordoned.",
            brokers.len()
        ));
    }
    let proposed = current.iter().enumerate().map(|(index, (partition, old))| {
        let new = brokers.iter().cycle().skip(index % brokers.len()).take(old.len());
        (partition.clone(), new.copied().collect())
    });
    Ok(proposed.in_order())
}

/// Returns the partitions of these topics and their brokers; fails if a topic doesn't exist.
pub(super) async fn assignment_of_topics(client: &Client, topics: BTreeSet<String>) -> Result<Assignment, Failure> {
    let listed = admin_topics::list(client).await?;
    if let Some(missing) = topics.iter().find(|name| !listed.iter().any(|topic| topic.name == **name)) {
        let message = format!("Topic {missing} not found.");
        return Err(Exception::refused(ErrorCode::UnknownTopicOrPartition.code(), Some(&message)).into());
    }
    assignment_of_existing_topics(client, topics.into_iter().collect()).await
}

/// Returns the partitions of these topics, which must exist, and their brokers.
pub(super) async fn assignment_of_existing_topics(client: &Client, topics: Vec<String>) -> Result<Assignment, Failure> {
    if topics.is_empty() {
        return Ok(Assignment::new());
    }
    let described = admin_topics::describe(client, &topics, PARTITIONS_AT_A_TIME).await?;
    let partitions = described.into_iter().flat_map(|topic| {
        let name = topic.name;
        let partition = move |partition: admin_topics::PartitionDescription| {
            (TopicPartition::new(name.as_str(), partition.index), partition.replicas)
        };
        topic.partitions.into_iter().map(partition)
    });
    Ok(partitions.in_order())
}

/// Returns the current log directories of the replicas of these partitions, as far as the broker reports them.
pub(super) async fn dirs(client: &Client, assignment: &Assignment) -> Result<Dirs, Failure> {
    if assignment.is_empty() {
        return Ok(Dirs::new());
    }
    let mut found = Dirs::new();
    for dir in log_dirs::describe(client).await? {
        let current = dir.replicas.into_iter().filter(|replica| !replica.is_future);
        for replica in current {
            for broker in assignment.get(&replica.partition).into_iter().flatten() {
                let replica = Replica { broker: *broker, partition: replica.partition.clone() };
                found.insert(replica, dir.path.clone());
            }
        }
    }
    Ok(found)
}
