//! DeleteRecords (key 21, versions 0 to 2) and OffsetForLeaderEpoch (23, 0 to 4).
//!
//! The response to DeleteRecords is sent when the new log start offset is on disk, so that deleted records do not
//! come back after a crash. Concurrent requests share a sync. In Kafka, deleted records come back after a crash
//! within a minute.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::authorizer::{Operation, Resource};
use super::context::{Answer, Context};
use super::errors::ToErrorCode;
use crate::log_rate_limiter::log_limited;
use crate::state::cluster::NotServed;
use crate::state::fetch::{FetchFault, check_leader_epoch};
use crate::state::partition::{Partition, PartitionError};
use ottla_wire::protocol::messages::delete_records::{
    DeleteRecordsPartitionResult, DeleteRecordsRequest, DeleteRecordsResponse, DeleteRecordsTopicResult,
};
use ottla_wire::protocol::messages::offset_for_leader_epoch::{
    EpochEndOffset, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, OffsetForLeaderPartition,
    OffsetForLeaderTopicResult,
};
use ottla_wire::types::{ErrorCode, InOrder as _, LeaderEpoch, Offset};

/// The offset that means the high watermark in DeleteRecords.
const HIGH_WATERMARK: Offset = -1;

pub(super) fn delete(context: &Context, request: DeleteRecordsRequest) -> Answer {
    let cluster = context.broker.cluster();
    let mut deleted = false;
    let denied = context.denied_topics(Operation::Delete, request.topics.iter().map(|topic| &*topic.name));
    let named = request.topics.into_iter().filter(|topic| !topic.partitions.is_empty());
    let topics = named.map(|topic| {
        let authorized = denied.check(&topic.name);
        // Of several requests for one partition, the last one applies.
        let requested: BTreeMap<_, _> =
            topic.partitions.iter().map(|requested| (requested.partition_index, requested)).in_order();
        let partitions = requested.into_values().map(|requested| {
            let found = cluster.topic(&topic.name).ok_or(NotServed::Unknown);
            let found = found.and_then(|topic| Ok((topic, topic.partition(requested.partition_index)?)));
            let outcome = match (authorized, found) {
                (Err(denied), _) => Err(denied.error_code()),
                (_, Err(why)) => Err(why.error_code()),
                // The records of internal topics must not be deleted.
                (_, Ok((topic, _))) if topic.image.is_internal() => Err(ErrorCode::InvalidTopicException),
                (_, Ok((topic, _))) if !topic.config.cleanup_policy.delete => Err(ErrorCode::PolicyViolation),
                (_, Ok((_, partition))) => delete_before(partition, requested.offset)
                    .inspect(|_| deleted = true)
                    .map_err(|error| error.error_code()),
            };
            DeleteRecordsPartitionResult {
                partition_index: requested.partition_index,
                low_watermark: *outcome.as_ref().unwrap_or(&-1),
                error_code: outcome.err().unwrap_or(ErrorCode::None).code(),
            }
        });
        DeleteRecordsTopicResult { partitions: partitions.collect(), name: topic.name }
    });
    let response = DeleteRecordsResponse { topics: topics.collect(), ..Default::default() };
    if !deleted {
        return response.into();
    }
    // Needed even if no log start offset changed, because writing it may have failed in an earlier request.
    let broker = Arc::clone(&context.broker);
    Answer::parked(async move {
        match broker.make_log_starts_durable().await {
            Ok(()) => response,
            Err(error) => {
                log_limited!(
                    ERROR, broker.log_rate_limiter(), None, "failures to write log start offsets",
                    %error, "failed to write log start offsets, deleted records may reappear after a crash"
                );
                not_durable(response)
            }
        }
    })
}

fn delete_before(partition: &Partition, offset: Offset) -> Result<Offset, PartitionError> {
    let offsets = partition.offsets()?;
    let before = match offset {
        HIGH_WATERMARK => offsets.end,
        offset if offset < 0 || offset > offsets.end => {
            return Err(PartitionError::OutOfRange { asked: offset, start: offsets.start, end: offsets.end });
        }
        offset => offset.max(offsets.start),
    };
    partition.delete_records(before)
}

/// Replaces successes with KAFKA_STORAGE_ERROR: the records cannot be read any more, but may reappear after a crash.
fn not_durable(mut response: DeleteRecordsResponse) -> DeleteRecordsResponse {
    let partitions = response.topics.iter_mut().flat_map(|topic| &mut topic.partitions);
    for partition in partitions.filter(|partition| partition.error_code == ErrorCode::None.code()) {
        (partition.error_code, partition.low_watermark) = (ErrorCode::KafkaStorageError.code(), -1);
    }
    response
}

pub(super) fn offset_for_leader_epoch(context: &Context, request: OffsetForLeaderEpochRequest) -> Answer {
    let cluster = context.broker.cluster();
    let is_replica = context.allows(Operation::ClusterAction, Resource::Cluster);
    let described = request.topics.iter().filter(|_| !is_replica).map(|topic| &*topic.topic);
    let denied_topics = context.denied_topics(Operation::Describe, described);
    let topics = request.topics.into_iter().map(|topic| {
        let denied = denied_topics.contains(&topic.topic);
        let partitions = topic.partitions.iter().map(|requested| {
            let found = match cluster.partition(&topic.topic, requested.partition) {
                _ if denied => Err(FetchFault::TopicAuthorizationFailed),
                Err(why) => Err(why.into()),
                Ok(partition) => end_of_epoch(partition, requested),
            };
            match found {
                Ok(Some((leader_epoch, end_offset))) => {
                    EpochEndOffset { error_code: 0, partition: requested.partition, leader_epoch, end_offset }
                }
                Ok(None) => EpochEndOffset { partition: requested.partition, ..Default::default() },
                Err(fault) => EpochEndOffset {
                    error_code: fault.error_code().code(),
                    partition: requested.partition,
                    ..Default::default()
                },
            }
        });
        OffsetForLeaderTopicResult { partitions: partitions.collect(), topic: topic.topic }
    });
    OffsetForLeaderEpochResponse { topics: topics.collect(), ..Default::default() }.into()
}

fn end_of_epoch(
    partition: &Partition,
    requested: &OffsetForLeaderPartition,
) -> Result<Option<(LeaderEpoch, Offset)>, FetchFault> {
    check_leader_epoch(requested.current_leader_epoch, partition.leader_epoch())?;
    Ok(partition.end_offset_for_epoch(requested.leader_epoch)?)
}
