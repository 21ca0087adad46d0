//! `/topics`: topics, their partitions and settings.

use std::collections::{BTreeMap, HashMap};

use axum::extract::Path;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{CHANGE_TIMEOUT_MS, Created, Json, JsonBody, configs};
use crate::Kafka;
use crate::error::{ApiError, Result};
use ottla_client::Client;
use ottla_wire::codec::Str;
use ottla_wire::protocol::messages::create_partitions::{CreatePartitionsRequest, CreatePartitionsTopic};
use ottla_wire::protocol::messages::create_topics::{CreatableTopic, CreatableTopicConfig, CreateTopicsRequest};
use ottla_wire::protocol::messages::delete_records::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use ottla_wire::protocol::messages::describe_log_dirs::{DescribableLogDirTopic, DescribeLogDirsRequest};
use ottla_wire::protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponseTopic};
use ottla_wire::types::{ErrorCode, Offset, PartitionIndex};

/// The timestamps in ListOffsets for a partition's end and start.
pub const LATEST: i64 = -1;
pub const EARLIEST: i64 = -2;

/// The name for a topic's parts.
type Place<'a> = (&'a str, PartitionIndex);

/// A topic to create.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewTopic {
    name: String,
    /// The broker's default if it is missing.
    partitions: Option<i32>,
    replication_factor: Option<i16>,
    #[serde(default)]
    configs: BTreeMap<String, Value>,
    #[serde(default)]
    validate_only: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopicChange {
    /// The new number of partitions.
    partitions: Option<i32>,
    #[serde(default)]
    configs: BTreeMap<String, Option<Value>>,
    #[serde(default)]
    validate_only: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordDeletion {
    /// The new start offset of each partition; -1 stands for its end.
    offsets: BTreeMap<String, Offset>,
}

pub async fn list(Kafka(client): Kafka) -> Result<Json> {
    let topics = metadata(&client, None).await?;
    let places = || topics.iter().flat_map(places);
    let sizes = sizes(&client, None).await?;
    let (starts, ends) = (offsets(&client, places(), EARLIEST).await?, offsets(&client, places(), LATEST).await?);
    let sizes = sizes.as_ref().map(borrowed);
    let topic = |topic: &MetadataResponseTopic| {
        let name = topic.name.as_deref().unwrap_or_default();
        let sum = |of: &HashMap<Place<'_>, i64>| places_sum(topic, of);
        let count = sum(&ends).zip(sum(&starts)).map(|(end, start)| end - start);
        json!({
            "name": name,
            "id": topic.topic_id.to_string(),
            "internal": topic.is_internal,
            "partitions": topic.partitions.len(),
            "bytes": sizes.as_ref().map(|sizes| places_sum(topic, sizes).unwrap_or_default()),
            "offsets": count,
            "end_offsets": sum(&ends),
        })
    };
    Ok(Json(json!({"topics": topics.iter().map(topic).collect::<Vec<_>>()})))
}

pub async fn get(Kafka(client): Kafka, Path(name): Path<String>) -> Result<Json> {
    let topics = metadata(&client, Some(&name)).await?;
    let topic = topics.first().ok_or_else(|| ApiError::internal("the metadata lacks the topic"))?;
    let sizes = sizes(&client, Some(&name)).await?;
    let sizes = sizes.as_ref().map(borrowed);
    let starts = offsets(&client, places(topic), EARLIEST).await?;
    let ends = offsets(&client, places(topic), LATEST).await?;
    let partition = |partition: &ottla_wire::protocol::messages::metadata::MetadataResponsePartition| {
        let place = (name.as_str(), partition.partition_index);
        json!({
            "partition": partition.partition_index,
            "leader": partition.leader_id,
            "leader_epoch": partition.leader_epoch,
            "replicas": partition.replica_nodes,
            "isr": partition.isr_nodes,
            "start_offset": starts.get(&place),
            "end_offset": ends.get(&place),
            "bytes": sizes.as_ref().and_then(|sizes| sizes.get(&place)),
            "error": ErrorCode::from_code(partition.error_code).filter(|code| !code.is_none()).map(ErrorCode::name),
        })
    };
    let mut partitions: Vec<_> = topic.partitions.iter().collect();
    partitions.sort_by_key(|partition| partition.partition_index);
    // The console's principal may see the topic, but not its settings.
    let configs = match configs::describe(&client, configs::TOPIC, &name).await {
        Err(error) if error.is(ErrorCode::TopicAuthorizationFailed) => None,
        configs => Some(configs?),
    };
    Ok(Json(json!({
        "name": name,
        "id": topic.topic_id.to_string(),
        "internal": topic.is_internal,
        "partitions": partitions.into_iter().map(partition).collect::<Vec<_>>(),
        "configs": configs,
    })))
}

pub async fn create(Kafka(client): Kafka, JsonBody(topic): JsonBody<NewTopic>) -> Result<Created> {
    let config = |(name, value): (&String, &Value)| {
        let value = Some(Str::from(configs::text(name, value)?.as_str()));
        Ok(CreatableTopicConfig { name: Str::from(name.as_str()), value })
    };
    let request = CreatableTopic {
        name: Str::from(topic.name.as_str()),
        num_partitions: topic.partitions.unwrap_or(-1),
        replication_factor: topic.replication_factor.unwrap_or(-1),
        configs: topic.configs.iter().map(config).collect::<Result<_>>()?,
        ..Default::default()
    };
    let validate_only = topic.validate_only;
    let request = CreateTopicsRequest { topics: vec![request], timeout_ms: CHANGE_TIMEOUT_MS, validate_only };
    let response = client.call(request).await?;
    let created = response.topics.first();
    let created = created.ok_or_else(|| ApiError::internal("the response about the topic is incomplete"))?;
    ApiError::check(created.error_code, created.error_message.as_deref(), &format!("topic {}", topic.name))?;
    Ok(Created(Json(json!({
        "name": topic.name,
        "id": created.topic_id.to_string(),
        "partitions": created.num_partitions,
        "created": !validate_only,
    }))))
}

pub async fn change(
    Kafka(client): Kafka,
    Path(name): Path<String>,
    JsonBody(change): JsonBody<TopicChange>,
) -> Result<Json> {
    let validate_only = change.validate_only;
    if !change.configs.is_empty() {
        configs::alter(&client, configs::TOPIC, &name, &change.configs, validate_only).await?;
    }
    if let Some(count) = change.partitions {
        let topic = CreatePartitionsTopic { name: Str::from(name.as_str()), count, assignments: None };
        let request = CreatePartitionsRequest { topics: vec![topic], timeout_ms: CHANGE_TIMEOUT_MS, validate_only };
        let response = client.call(request).await?;
        let result = response.results.first();
        let result = result.ok_or_else(|| ApiError::internal("the response about partitions is incomplete"))?;
        ApiError::check(result.error_code, result.error_message.as_deref(), &format!("topic {name}"))?;
    }
    Ok(Json(json!({"name": name, "changed": !validate_only})))
}

pub async fn delete(Kafka(client): Kafka, Path(name): Path<String>) -> Result<Json> {
    client.delete_topic(&name).await?;
    Ok(Json(json!({"name": name, "deleted": true})))
}

/// Deletes the records before an offset.
pub async fn delete_records(
    Kafka(client): Kafka,
    Path(name): Path<String>,
    JsonBody(deletion): JsonBody<RecordDeletion>,
) -> Result<Json> {
    let partition = |(partition, offset): (&String, &Offset)| {
        let partition_index =
            partition.parse().map_err(|_| ApiError::invalid(format!("{partition} is not a partition")))?;
        Ok(DeleteRecordsPartition { partition_index, offset: *offset })
    };
    let partitions = deletion.offsets.iter().map(partition).collect::<Result<_>>()?;
    let topic = DeleteRecordsTopic { name: Str::from(name.as_str()), partitions };
    let response = client.call(DeleteRecordsRequest { topics: vec![topic], timeout_ms: CHANGE_TIMEOUT_MS }).await?;
    let mut starts = serde_json::Map::new();
    for partition in response.topics.iter().flat_map(|topic| &topic.partitions) {
        let subject = format!("partition {name}-{}", partition.partition_index);
        ApiError::check(partition.error_code, None, &subject)?;
        starts.insert(partition.partition_index.to_string(), Value::from(partition.low_watermark));
    }
    Ok(Json(json!({"name": name, "start_offsets": starts})))
}

/// The metadata of one topic or of all, by name. A topic with an error is an error if it was named, else it is missing.
pub async fn metadata(client: &Client, topic: Option<&str>) -> Result<Vec<MetadataResponseTopic>> {
    let named = |name: &str| MetadataRequestTopic { name: Some(Str::from(name)), ..Default::default() };
    let request = MetadataRequest {
        topics: topic.map(|name| vec![named(name)]),
        allow_auto_topic_creation: false,
        ..Default::default()
    };
    let response = client.call(request).await?;
    ApiError::check(response.error_code, None, "the metadata")?;
    let mut topics = response.topics;
    if let (Some(name), Some(found)) = (topic, topics.first()) {
        ApiError::check(found.error_code, None, &format!("topic {name}"))?;
    }
    topics.retain(|topic| topic.error_code == 0);
    topics.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(topics)
}

/// The partitions of a topic.
pub fn places(topic: &MetadataResponseTopic) -> impl Iterator<Item = Place<'_>> {
    let name = topic.name.as_deref().unwrap_or_default();
    topic.partitions.iter().map(move |partition| (name, partition.partition_index))
}

fn places_sum(topic: &MetadataResponseTopic, of: &HashMap<Place<'_>, i64>) -> Option<i64> {
    places(topic).map(|place| of.get(&place).copied()).sum()
}

/// The offsets that ListOffsets returns for a timestamp. Partitions with an error are missing.
pub async fn offsets<'a>(
    client: &Client,
    places: impl Iterator<Item = Place<'a>>,
    timestamp: i64,
) -> Result<HashMap<Place<'a>, Offset>> {
    let requested: Vec<_> = places.map(|(topic, partition)| (topic, partition, timestamp)).collect();
    if requested.is_empty() {
        return Ok(HashMap::new());
    }
    let listed = client.list_offsets(&requested).await?;
    let found = requested.into_iter().zip(listed).filter_map(|((topic, partition, _), listed)| {
        let listed = listed.ok()?;
        Some(((topic, partition), listed.offset))
    });
    Ok(found.collect())
}

/// The bytes of the partitions of one topic or of all; `None` if the console's principal is not allowed to see them.
async fn sizes(client: &Client, topic: Option<&str>) -> Result<Option<HashMap<(String, PartitionIndex), i64>>> {
    let topics = match topic {
        None => None,
        Some(name) => {
            let metadata = metadata(client, Some(name)).await?;
            let partitions = metadata.iter().flat_map(places).map(|(_, partition)| partition).collect();
            Some(vec![DescribableLogDirTopic { topic: Str::from(name), partitions }])
        }
    };
    let response = client.call(DescribeLogDirsRequest { topics }).await?;
    let mut sizes = HashMap::new();
    for dir in response.results.iter().filter(|dir| dir.error_code == 0) {
        for topic in &dir.topics {
            for partition in topic.partitions.iter().filter(|partition| !partition.is_future_key) {
                sizes.insert((topic.name.to_string(), partition.partition_index), partition.partition_size);
            }
        }
    }
    Ok((response.error_code == 0).then_some(sizes))
}

fn borrowed(sizes: &HashMap<(String, PartitionIndex), i64>) -> HashMap<Place<'_>, i64> {
    sizes.iter().map(|((topic, partition), size)| ((topic.as_str(), *partition), *size)).collect()
}
