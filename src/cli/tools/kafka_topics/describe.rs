//! `kafka-topics --describe`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::{Options, PARTITIONS_AT_A_TIME};
use crate::cli::admin::configs::{self, ConfigEntry, ConfigSource, ResourceType};
use crate::cli::admin::reassignments::{self, Reassignment};
use crate::cli::admin::topics::{self, PartitionDescription, TopicDescription};
use crate::cli::admin::{self};
use crate::cli::tools::exceptions::Exception;
use crate::cli::tools::options::{one_number, one_value};
use crate::cli::tools::output::Output;
use ottla_client::Client;
use ottla_wire::java::sort_as_hash_map;
use ottla_wire::java::string_hash;
use ottla_wire::types::{TopicId, TopicName, TopicPartition, Uuid};

type Reassignments = BTreeMap<TopicPartition, Reassignment>;

impl Options {
    pub(super) async fn describe(&self, client: &Client) -> Result<(), Exception> {
        let id = one_value("topic-id", &self.topic_id)?.map(topic_id).transpose()?;
        let described = match id.filter(|id| !id.is_zero()) {
            Some(id) => self.topic_of_id(client, id).await?,
            None => {
                let names = self.existing_names(client).await?;
                let limit = one_number("partition-size-limit-per-response", &self.partition_size_limit_per_response)?;
                let mut described = match names.is_empty() {
                    true => Vec::new(),
                    false => topics::describe(client, &names, limit.unwrap_or(PARTITIONS_AT_A_TIME)).await?,
                };
                let count = described.len();
                sort_as_hash_map(&mut described, count, |topic| string_hash(&topic.name));
                described
            }
        };
        let resources: Vec<_> = described.iter().map(|topic| (ResourceType::Topic, topic.name.as_str())).collect();
        let configs = configs::describe(client, &resources, false).await?;
        let live = admin::broker_ids(client).await?;
        let reassignments = reassignments_of(client, &described).await?;
        let mut output = Output::stdout();
        for (topic, mut configs) in described.iter().zip(configs) {
            sort_as_hash_map(&mut configs, 16, |entry| string_hash(&entry.name));
            self.print(&mut output, topic, &configs, &reassignments, &live)?;
        }
        Ok(())
    }

    async fn topic_of_id(&self, client: &Client, id: TopicId) -> Result<Vec<TopicDescription>, Exception> {
        let listed = topics::list(client).await?;
        let found = listed.iter().any(|topic| topic.id == id && !(self.exclude_internal && topic.is_internal));
        match found {
            true => Ok(vec![topics::describe_by_id(client, id).await?]),
            false if self.if_exists => Ok(Vec::new()),
            false => Err(Exception::illegal_argument(format!("TopicId '{id}' does not exist as expected"))),
        }
    }

    fn print(
        &self,
        output: &mut Output,
        topic: &TopicDescription,
        configs: &[ConfigEntry],
        reassignments: &Reassignments,
        live: &[i32],
    ) -> Result<(), Exception> {
        let reassignment =
            |partition: &PartitionDescription| reassignments.get(&TopicPartition::new(&*topic.name, partition.index));
        let reports = self.under_replicated_partitions
            || self.unavailable_partitions
            || self.under_min_isr_partitions
            || self.at_min_isr_partitions;
        let overrides: Vec<_> = configs.iter().filter(|entry| entry.source != ConfigSource::Default).collect();
        let is_skipped = self.topics_with_overrides && overrides.is_empty();
        if !(reports || is_skipped) {
            let first = topic.partitions.first();
            let factor = first.map_or(0, |partition| replication_factor(partition, reassignment(partition)));
            output.line(topic_line(topic, factor, &overrides));
        }
        if self.topics_with_overrides {
            return Ok(());
        }
        let min_isr = min_isr(configs)?;
        for partition in &topic.partitions {
            let isr = partition.isr.len();
            let has_live_leader = partition.leader.is_some_and(|leader| live.contains(&leader));
            let is_reported = (self.under_replicated_partitions
                && replication_factor(partition, reassignment(partition)) > isr)
                || (self.unavailable_partitions && !has_live_leader)
                || (self.under_min_isr_partitions && (partition.leader.is_none() || isr < min_isr))
                || (self.at_min_isr_partitions && isr == min_isr);
            if !reports || is_reported {
                output.line(partition_line(&topic.name, partition, reassignment(partition)));
            }
        }
        Ok(())
    }
}

/// Lists the reassignments of these topics' partitions; empty if the broker doesn't support or doesn't permit it.
async fn reassignments_of(client: &Client, described: &[TopicDescription]) -> Result<Reassignments, Exception> {
    let of_topic = |topic: &TopicDescription| {
        let name: TopicName = topic.name.as_str().into();
        let partitions: Vec<_> = topic.partitions.iter().map(|partition| partition.index).collect();
        partitions.into_iter().map(move |index| TopicPartition::new(name.clone(), index))
    };
    let partitions: Vec<_> = described.iter().flat_map(of_topic).collect();
    match reassignments::list(client, Some(&partitions)).await {
        Ok(found) => Ok(found),
        Err(error)
            if matches!(error.simple_name(), "UnsupportedVersionException" | "ClusterAuthorizationException") =>
        {
            Ok(Reassignments::new())
        }
        Err(error) => Err(error),
    }
}

/// Returns the replication factor of the partition, without the replicas that a reassignment adds.
fn replication_factor(partition: &PartitionDescription, reassignment: Option<&Reassignment>) -> usize {
    let is_under_way = |reassignment: &&Reassignment| {
        let mut changing = reassignment.removing.iter().chain(&reassignment.adding);
        changing.any(|node| partition.replicas.contains(node))
    };
    match reassignment.filter(is_under_way) {
        Some(reassignment) => reassignment.replicas.len().saturating_sub(reassignment.adding.len()),
        None => partition.replicas.len(),
    }
}

fn topic_line(topic: &TopicDescription, replication_factor: usize, overrides: &[&ConfigEntry]) -> String {
    let mut line = format!("Topic: {}", topic.name);
    if !topic.id.is_zero() {
        let _ = write!(line, "\tTopicId: {}", topic.id);
    }
    let configs: Vec<_> =
        overrides.iter().map(|entry| format!("{}={}", entry.name, entry.value.as_deref().unwrap_or("null"))).collect();
    let _ = write!(
        line,
        "\tPartitionCount: {}\tReplicationFactor: {replication_factor}\tConfigs: {}",
        topic.partitions.len(),
        configs.join(",")
    );
    line
}

fn partition_line(topic: &str, partition: &PartitionDescription, reassignment: Option<&Reassignment>) -> String {
    let leader = partition.leader.map_or_else(|| "none".to_owned(), |leader| leader.to_string());
    let mut line = format!(
        "\tTopic: {topic}\tPartition: {}\tLeader: {leader}\tReplicas: {}\tIsr: {}",
        partition.index,
        nodes(&partition.replicas),
        nodes(&partition.isr)
    );
    if let Some(reassignment) = reassignment {
        let _ = write!(
            line,
            "\tAdding Replicas: {}\tRemoving Replicas: {}",
            nodes(&reassignment.adding),
            nodes(&reassignment.removing)
        );
    }
    let or_not_available = |listed: &Option<Vec<i32>>| listed.as_deref().map_or_else(|| "N/A".to_owned(), nodes);
    let _ = write!(
        line,
        "\tElr: {}\tLastKnownElr: {}",
        or_not_available(&partition.eligible_leader_replicas),
        or_not_available(&partition.last_known_elr)
    );
    line
}

fn nodes(ids: &[i32]) -> String {
    ids.iter().map(i32::to_string).collect::<Vec<_>>().join(",")
}

fn min_isr(configs: &[ConfigEntry]) -> Result<usize, Exception> {
    let entry = configs.iter().find(|entry| entry.name == "min.insync.replicas");
    let value = entry.and_then(|entry| entry.value.as_deref()).unwrap_or("null");
    value
        .parse()
        .map_err(|_| Exception::new("java.lang.NumberFormatException", format!("For input string: \"{value}\"")))
}

/// Parses a topic id.
fn topic_id(text: &str) -> Result<TopicId, Exception> {
    const MAX_LENGTH: usize = 24;
    // Like Java's decoder, ignores trailing bits.
    const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent);
    if text.len() > MAX_LENGTH {
        let prefix: String = text.chars().take(MAX_LENGTH).collect();
        let message = format!("Input string with prefix `{prefix}` is too long to be decoded as a base64 UUID");
        return Err(Exception::illegal_argument(message));
    }
    let bytes = GeneralPurpose::new(&base64::alphabet::URL_SAFE, LENIENT).decode(text);
    let bytes = bytes.map_err(|error| {
        Exception::illegal_argument(match error {
            base64::DecodeError::InvalidByte(_, byte) => format!("Illegal base64 character {byte:x}"),
            _ => "Last unit does not have enough valid bits".to_owned(),
        })
    })?;
    let count = bytes.len();
    bytes.try_into().map(Uuid).map_err(|_| {
        Exception::illegal_argument(format!(
            "Input string `{text}` decoded as {count} bytes, which is not equal to the expected 16 bytes of a \
             base64-encoded UUID"
        ))
    })
}
