//! Deletes records.

use std::collections::BTreeMap;

use super::{CHANGE_TIMEOUT_MS, Result, accepted, incomplete};
use ottla_client::Client;
use ottla_wire::codec::Str;
use ottla_wire::protocol::ApiKey;
use ottla_wire::protocol::messages::delete_records::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use ottla_wire::types::{InOrder as _, Offset, TopicPartition};

/// Deletes the records below an offset (-1 is the high watermark) of each partition. Returns each partition's new start
/// offset, or the error.
pub async fn delete(
    client: &Client,
    before: &BTreeMap<TopicPartition, Offset>,
) -> Result<BTreeMap<TopicPartition, Result<Offset>>> {
    let mut topics: BTreeMap<&str, Vec<DeleteRecordsPartition>> = BTreeMap::new();
    for (partition, offset) in before {
        let asked = DeleteRecordsPartition { partition_index: partition.partition, offset: *offset };
        topics.entry(&partition.topic).or_default().push(asked);
    }
    let topics = topics.into_iter();
    let topics = topics.map(|(name, partitions)| DeleteRecordsTopic { name: Str::from(name), partitions }).collect();
    let answer = client.call(DeleteRecordsRequest { topics, timeout_ms: CHANGE_TIMEOUT_MS }).await?;
    let mut results: BTreeMap<_, _> =
        before.keys().map(|partition| (partition.clone(), Err(incomplete(ApiKey::DeleteRecords)))).in_order();
    for topic in answer.topics {
        for partition in topic.partitions {
            let result = accepted(partition.error_code, None).map(|()| partition.low_watermark);
            results.insert(TopicPartition::new(&*topic.name, partition.partition_index), result);
        }
    }
    Ok(results)
}
