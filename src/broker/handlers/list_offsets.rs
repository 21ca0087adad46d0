//! ListOffsets (key 2), versions 0 to 11: offsets by time, and by the special times.
//!
//! -1 latest (the last stable offset for read_committed), -2 earliest, -3 the largest timestamp
//! (version 7), -4 earliest local (8), -5 latest tiered (9), -6 earliest pending upload (11).
//! Nothing is tiered here: -4 is -2, and -5 and -6 have no answer. Version 0 answers with a list of
//! segment offsets, newest first. From version 1 a
//! partition asked for twice is INVALID_REQUEST.
//!
//! Departures: version 0 compares with the newest record of a segment, Kafka with its file's time.
//! Where the record found by time was deleted (DeleteRecords) and a later segment has another, that one
//! is told; Kafka says that there is none.

use std::collections::BTreeMap;

use super::context::{Answer, Context};
use super::errors::ToErrorCode;
use crate::state::fetch::{FetchFault, check_leader_epoch};
use crate::state::partition::{Isolation, Partition, PartitionError};
use ottla_log::{TimestampOffset, TimestampQuery};
use ottla_wire::codec::Str;
use ottla_wire::protocol::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopic,
    ListOffsetsTopicResponse,
};
use ottla_wire::types::{ErrorCode, LeaderEpoch, NO_TIMESTAMP, Offset, PartitionIndex, TimestampMs};

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;
const EARLIEST_PENDING_UPLOAD: i64 = -6;

/// "No offset", "no epoch".
const UNKNOWN: i64 = -1;
const UNKNOWN_EPOCH: LeaderEpoch = -1;

pub(super) fn handle(context: &Context, request: ListOffsetsRequest) -> Answer {
    let cluster = context.broker.cluster();
    let version = context.version();
    let isolation = match request.isolation_level {
        1 => Isolation::ReadCommitted,
        _ => Isolation::ReadUncommitted,
    };
    let now = context.broker.now().wall;
    let topics = once_each(request.topics).into_iter().map(|(name, partitions)| {
        let partitions =
            partitions.into_values().map(|(asked, times)| match cluster.partition(&name, asked.partition_index) {
                _ if times > 1 && version > 0 => failed(&asked, ErrorCode::InvalidRequest),
                Ok(partition) if version == 0 => answer_v0(partition, &asked, now),
                Ok(partition) => answer(partition, &asked, version, isolation),
                Err(why) => failed(&asked, why.error_code()),
            });
        ListOffsetsTopicResponse { partitions: partitions.collect(), name }
    });
    ListOffsetsResponse { topics: topics.collect(), ..Default::default() }.into()
}

/// What is asked of each partition of a topic, and how many times.
type AskedOnce = BTreeMap<PartitionIndex, (ListOffsetsPartition, usize)>;

/// Each topic and partition once.
fn once_each(topics: Vec<ListOffsetsTopic>) -> BTreeMap<Str, AskedOnce> {
    let mut once: BTreeMap<Str, AskedOnce> = BTreeMap::new();
    for topic in topics {
        let partitions = once.entry(topic.name).or_default();
        for asked in topic.partitions {
            partitions.entry(asked.partition_index).or_insert((asked, 0)).1 += 1;
        }
    }
    once
}

fn answer(
    partition: &Partition,
    asked: &ListOffsetsPartition,
    version: i16,
    isolation: Isolation,
) -> ListOffsetsPartitionResponse {
    if asked.timestamp < oldest_meaning(version) {
        return failed(asked, ErrorCode::UnsupportedVersion);
    }
    match find(partition, asked, isolation) {
        Ok(found) => ListOffsetsPartitionResponse {
            partition_index: asked.partition_index,
            error_code: ErrorCode::None.code(),
            timestamp: found.timestamp,
            offset: found.offset,
            leader_epoch: found.leader_epoch,
            ..Default::default()
        },
        Err(fault) => failed(asked, fault.error_code()),
    }
}

/// The lowest of the special times that a version knows.
fn oldest_meaning(version: i16) -> i64 {
    match version {
        ..=6 => EARLIEST,
        7 => MAX_TIMESTAMP,
        8 => EARLIEST_LOCAL,
        9..=10 => LATEST_TIERED,
        _ => EARLIEST_PENDING_UPLOAD,
    }
}

fn find(
    partition: &Partition,
    asked: &ListOffsetsPartition,
    isolation: Isolation,
) -> Result<TimestampOffset, FetchFault> {
    check_leader_epoch(asked.current_leader_epoch, partition.leader_epoch())?;
    let nothing = TimestampOffset { offset: UNKNOWN, timestamp: NO_TIMESTAMP, leader_epoch: UNKNOWN_EPOCH };
    // Readers of committed records see nothing beyond the last stable offset.
    let visible_end = match isolation {
        Isolation::ReadCommitted => partition.offsets()?.last_stable,
        Isolation::ReadUncommitted => Offset::MAX,
    };
    let query = match asked.timestamp {
        LATEST => TimestampQuery::Latest,
        EARLIEST | EARLIEST_LOCAL => TimestampQuery::Earliest,
        MAX_TIMESTAMP => TimestampQuery::Max,
        LATEST_TIERED | EARLIEST_PENDING_UPLOAD => return Ok(nothing),
        timestamp => TimestampQuery::At(timestamp),
    };
    let found = partition.offset_for_timestamp(query)?.unwrap_or(nothing);
    match query {
        TimestampQuery::Latest => Ok(TimestampOffset { offset: found.offset.min(visible_end), ..found }),
        TimestampQuery::At(_) | TimestampQuery::Max if found.offset >= visible_end => Ok(nothing),
        _ => Ok(found),
    }
}

/// Version 0: the base offsets of segments from `timestamp` on, newest first, the log end before them.
fn answer_v0(partition: &Partition, asked: &ListOffsetsPartition, now: TimestampMs) -> ListOffsetsPartitionResponse {
    if asked.timestamp < EARLIEST {
        return failed(asked, ErrorCode::UnsupportedVersion);
    }
    match offsets_before(partition, asked.timestamp, now) {
        Ok(mut offsets) => {
            offsets.truncate(usize::try_from(asked.max_num_offsets).unwrap_or(0));
            ListOffsetsPartitionResponse {
                partition_index: asked.partition_index,
                error_code: ErrorCode::None.code(),
                old_style_offsets: offsets,
                ..Default::default()
            }
        }
        Err(error) => failed(asked, error.error_code()),
    }
}

fn offsets_before(partition: &Partition, timestamp: i64, now: TimestampMs) -> Result<Vec<Offset>, PartitionError> {
    match timestamp {
        EARLIEST => Ok(vec![partition.offsets()?.start]),
        LATEST => partition.segment_offsets_before(TimestampMs::MAX, now),
        timestamp => partition.segment_offsets_before(timestamp, now),
    }
}

fn failed(asked: &ListOffsetsPartition, code: ErrorCode) -> ListOffsetsPartitionResponse {
    ListOffsetsPartitionResponse {
        partition_index: asked.partition_index,
        error_code: code.code(),
        timestamp: NO_TIMESTAMP,
        offset: UNKNOWN,
        ..Default::default()
    }
}
