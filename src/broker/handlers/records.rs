//! DeleteRecords (key 21, versions 0 to 2) and OffsetForLeaderEpoch (23, 0 to 4): where logs begin
//! and where epochs end.
//!
//! DeleteRecords is answered when the new log start is on disk, which many requests at once share a sync for: records that
//! were deleted don't come back. In Kafka they do, when it crashes within a minute.

use std::collections::BTreeMap;
use std::sync::Arc;

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

/// DeleteRecords up to the log's end.
const HIGH_WATERMARK: Offset = -1;

pub(super) fn delete(context: &Context, request: DeleteRecordsRequest) -> Answer {
    let cluster = context.broker.cluster();
    let mut deleted = false;
    let named = request.topics.into_iter().filter(|topic| !topic.partitions.is_empty());
    let topics = named.map(|topic| {
        // A partition named twice counts once, with what was said last.
        let asked: BTreeMap<_, _> = topic.partitions.iter().map(|asked| (asked.partition_index, asked)).in_order();
        let partitions = asked.into_values().map(|asked| {
            let found = cluster.topic(&topic.name).ok_or(NotServed::Unknown);
            let found = found.and_then(|topic| Ok((topic, topic.partition(asked.partition_index)?)));
            let outcome = match found {
                Err(why) => Err(why.error_code()),
                // Kafka's own state must not be cut (nor, with KRaft, its metadata).
                Ok((topic, _)) if topic.image.is_internal() => Err(ErrorCode::InvalidTopicException),
                Ok((topic, _)) if !topic.config.cleanup_policy.delete => Err(ErrorCode::PolicyViolation),
                Ok((_, partition)) => delete_before(partition, asked.offset)
                    .inspect(|_| deleted = true)
                    .map_err(|error| error.error_code()),
            };
            DeleteRecordsPartitionResult {
                partition_index: asked.partition_index,
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
    // Also where no log start moved: it may be one that an earlier request failed to note.
    let broker = Arc::clone(&context.broker);
    Answer::parked(async move {
        match broker.make_log_starts_durable().await {
            Ok(()) => response,
            Err(error) => {
                // Each request meets it while the disk refuses.
                log_limited!(
                    ERROR, broker.log_rate_limiter(), None, "failures to note where logs begin",
                    %error, "deleted records may come back after a crash: where the logs begin could not be noted"
                );
                not_noted(response)
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

/// The records can't be read any more, but a crash could bring them back.
fn not_noted(mut response: DeleteRecordsResponse) -> DeleteRecordsResponse {
    let partitions = response.topics.iter_mut().flat_map(|topic| &mut topic.partitions);
    for partition in partitions.filter(|partition| partition.error_code == ErrorCode::None.code()) {
        (partition.error_code, partition.low_watermark) = (ErrorCode::KafkaStorageError.code(), -1);
    }
    response
}

pub(super) fn offset_for_leader_epoch(context: &Context, request: OffsetForLeaderEpochRequest) -> Answer {
    let cluster = context.broker.cluster();
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|asked| {
            let found = match cluster.partition(&topic.topic, asked.partition) {
                Err(why) => Err(why.into()),
                Ok(partition) => end_of_epoch(partition, asked),
            };
            match found {
                Ok(Some((leader_epoch, end_offset))) => {
                    EpochEndOffset { error_code: 0, partition: asked.partition, leader_epoch, end_offset }
                }
                Ok(None) => EpochEndOffset { partition: asked.partition, ..Default::default() },
                Err(fault) => EpochEndOffset {
                    error_code: fault.error_code().code(),
                    partition: asked.partition,
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
    asked: &OffsetForLeaderPartition,
) -> Result<Option<(LeaderEpoch, Offset)>, FetchFault> {
    check_leader_epoch(asked.current_leader_epoch, partition.leader_epoch())?;
    Ok(partition.end_offset_for_epoch(asked.leader_epoch)?)
}
