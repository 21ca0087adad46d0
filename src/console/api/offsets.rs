//! `POST /groups/{group}/offsets`: resets committed offsets, or shows what a reset would do.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::Path;
use serde::Deserialize;
use serde_json::{Value, json};

use super::groups::retrying;
use super::topics::{EARLIEST, LATEST, metadata, places};
use super::{Json, JsonBody};
use crate::Kafka;
use crate::error::{ApiError, Result};
use ottla_client::Client;
use ottla_wire::types::{ErrorCode, Offset, TopicPartition};

/// A reset of offsets.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reset {
    to: Target,
    /// The offset, the timestamp in milliseconds, or the number of offsets to move by.
    value: Option<i64>,
    /// The topics and partitions; without it, those with committed offsets.
    topics: Option<Vec<Selection>>,
    /// Whether nothing is changed.
    #[serde(default = "yes")]
    dry_run: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Target {
    Earliest,
    Latest,
    /// The committed offset, limited to what exists.
    Current,
    Offset,
    Shift,
    /// The first record at or after a time; the end without one.
    Timestamp,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Selection {
    topic: String,
    /// All if it is missing.
    partitions: Option<Vec<i32>>,
}

fn yes() -> bool {
    true
}

pub async fn post(Kafka(client): Kafka, Path(id): Path<String>, JsonBody(reset): JsonBody<Reset>) -> Result<Json> {
    let committed = retrying(|| client.all_committed_offsets(&id)).await?;
    let committed: BTreeMap<TopicPartition, Offset> =
        committed.into_iter().map(|(partition, committed)| (partition, committed.offset)).collect();
    let partitions = match &reset.topics {
        None => committed.keys().cloned().collect(),
        Some(selections) => selected(&client, selections).await?,
    };
    let new = new_offsets(&client, &reset, &partitions, &committed).await?;
    if !reset.dry_run {
        apply(&client, &id, &new).await?;
    }
    let row = |(partition, offset): (&TopicPartition, &Offset)| {
        json!({
            "topic": &*partition.topic,
            "partition": partition.partition,
            "committed": committed.get(partition),
            "new": offset,
        })
    };
    let rows: Vec<Value> = new.iter().map(row).collect();
    Ok(Json(json!({"group": id, "dry_run": reset.dry_run, "offsets": rows})))
}

async fn apply(client: &Client, id: &str, offsets: &BTreeMap<TopicPartition, Offset>) -> Result<()> {
    let has_members = match retrying(|| client.describe_consumer_group(id)).await {
        Ok(group) => !group.members.is_empty(),
        // Its offsets can be committed if its members commit none, which the broker decides.
        Err(_) => false,
    };
    if has_members {
        let message = format!("group {id} has members; stop them before its offsets are reset");
        return Err(ApiError::kafka(ErrorCode::NonEmptyGroup, message));
    }
    if offsets.is_empty() {
        return Ok(());
    }
    Ok(retrying(|| client.alter_committed_offsets(id, offsets)).await?)
}

/// The partitions of a selection, which must exist.
async fn selected(client: &Client, selections: &[Selection]) -> Result<BTreeSet<TopicPartition>> {
    let mut selected = BTreeSet::new();
    for Selection { topic, partitions } in selections {
        let found = metadata(client, Some(topic)).await?;
        let existing: BTreeSet<i32> = found.iter().flat_map(places).map(|(_, partition)| partition).collect();
        let wanted = partitions.clone().unwrap_or_else(|| existing.iter().copied().collect());
        for partition in wanted {
            if !existing.contains(&partition) {
                let message = format!("topic {topic} has no partition {partition}");
                return Err(ApiError::kafka(ErrorCode::UnknownTopicOrPartition, message));
            }
            selected.insert(TopicPartition::new(topic.as_str(), partition));
        }
    }
    Ok(selected)
}

async fn new_offsets(
    client: &Client,
    reset: &Reset,
    partitions: &BTreeSet<TopicPartition>,
    committed: &BTreeMap<TopicPartition, Offset>,
) -> Result<BTreeMap<TopicPartition, Offset>> {
    let starts = listed(client, partitions, EARLIEST).await?;
    let ends = listed(client, partitions, LATEST).await?;
    let value = || {
        let needed = "this reset needs a value: the offset, the timestamp, or the number of offsets to move by";
        reset.value.ok_or_else(|| ApiError::invalid(needed))
    };
    let wanted: BTreeMap<TopicPartition, Offset> = match reset.to {
        Target::Earliest => starts.clone(),
        Target::Latest => ends.clone(),
        Target::Timestamp => listed(client, partitions, value()?.max(0)).await?,
        Target::Offset => {
            let offset = value()?;
            partitions.iter().map(|partition| (partition.clone(), offset)).collect()
        }
        Target::Current | Target::Shift => {
            let by = if reset.to == Target::Shift { value()? } else { 0 };
            let of = |partition: &TopicPartition| {
                let offset = committed.get(partition).map(|offset| offset.saturating_add(by));
                let missing = || ApiError::invalid(format!("{partition} has no committed offset"));
                offset.map(|offset| (partition.clone(), offset)).ok_or_else(missing)
            };
            partitions.iter().map(of).collect::<Result<_>>()?
        }
    };
    let limited = |(partition, offset): (TopicPartition, Offset)| {
        let start = starts.get(&partition).copied().unwrap_or_default();
        let end = ends.get(&partition).copied().unwrap_or(start);
        // A timestamp after all records has no offset.
        let offset = if offset < 0 && reset.to == Target::Timestamp { end } else { offset };
        (partition, offset.min(end).max(start))
    };
    Ok(wanted.into_iter().map(limited).collect())
}

/// The offsets that ListOffsets returns for a timestamp.
async fn listed(
    client: &Client,
    partitions: &BTreeSet<TopicPartition>,
    timestamp: i64,
) -> Result<BTreeMap<TopicPartition, Offset>> {
    let requested: Vec<_> = partitions.iter().map(|it| (&*it.topic, it.partition, timestamp)).collect();
    if requested.is_empty() {
        return Ok(BTreeMap::new());
    }
    let listed = client.list_offsets(&requested).await?;
    let offset = |(partition, listed): (&TopicPartition, ottla_client::Result<ottla_client::ListedOffset>)| {
        Ok((partition.clone(), listed?.offset))
    };
    partitions.iter().zip(listed).map(offset).collect()
}
