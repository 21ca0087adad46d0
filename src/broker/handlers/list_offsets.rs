//! ListOffsets (key 2), versions 0 to 11: offsets by timestamp, and by special timestamps.
//!
//! The special timestamps are -1 latest (the last stable offset for read_committed), -2 earliest, -3 the largest
//! timestamp (version 7), -4 earliest local (8), -5 latest tiered (9), -6 earliest pending upload (11). There is no
//! tiered storage: -4 means -2, and -5 and -6 have no offset. Version 0 returns a list of segment offsets, newest
//! first. From version 1 on, a partition that a request names twice is INVALID_REQUEST.
//!
//! Departures: version 0 compares with the newest timestamp of a segment, Kafka with its file's modification time. If
//! the record found by timestamp was deleted (DeleteRecords), one of a later segment is returned; Kafka returns none.

use std::collections::BTreeMap;

use super::authorizer::Operation;
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

/// No offset, and no leader epoch.
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
    let denied = context.denied_topics(Operation::Describe, request.topics.iter().map(|topic| &*topic.name));
    let topics = merge_duplicates(request.topics).into_iter().map(|(name, partitions)| {
        let authorized = denied.check(&name);
        let partitions = partitions.into_values().map(|(requested, count)| {
            match (authorized, cluster.partition(&name, requested.partition_index)) {
                (Err(denied), _) => failed(&requested, denied.error_code()),
                _ if count > 1 && version > 0 => failed(&requested, ErrorCode::InvalidRequest),
                (_, Ok(partition)) if version == 0 => answer_v0(partition, &requested, now),
                (_, Ok(partition)) => answer(partition, &requested, version, isolation),
                (_, Err(why)) => failed(&requested, why.error_code()),
            }
        });
        ListOffsetsTopicResponse { partitions: partitions.collect(), name }
    });
    ListOffsetsResponse { topics: topics.collect(), ..Default::default() }.into()
}

/// The request for each partition of a topic, and how often the partition is named.
type Requested = BTreeMap<PartitionIndex, (ListOffsetsPartition, usize)>;

/// Merges duplicates: each topic and partition once, with the first request of each partition.
fn merge_duplicates(topics: Vec<ListOffsetsTopic>) -> BTreeMap<Str, Requested> {
    let mut merged: BTreeMap<Str, Requested> = BTreeMap::new();
    for topic in topics {
        let partitions = merged.entry(topic.name).or_default();
        for requested in topic.partitions {
            partitions.entry(requested.partition_index).or_insert((requested, 0)).1 += 1;
        }
    }
    merged
}

fn answer(
    partition: &Partition,
    requested: &ListOffsetsPartition,
    version: i16,
    isolation: Isolation,
) -> ListOffsetsPartitionResponse {
    if requested.timestamp < lowest_special_timestamp(version) {
        return failed(requested, ErrorCode::UnsupportedVersion);
    }
    match find(partition, requested, isolation) {
        Ok(found) => ListOffsetsPartitionResponse {
            partition_index: requested.partition_index,
            error_code: ErrorCode::None.code(),
            timestamp: found.timestamp,
            offset: found.offset,
            leader_epoch: found.leader_epoch,
            ..Default::default()
        },
        Err(fault) => failed(requested, fault.error_code()),
    }
}

/// The lowest special timestamp that a version supports.
fn lowest_special_timestamp(version: i16) -> i64 {
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
    requested: &ListOffsetsPartition,
    isolation: Isolation,
) -> Result<TimestampOffset, FetchFault> {
    check_leader_epoch(requested.current_leader_epoch, partition.leader_epoch())?;
    let none = TimestampOffset { offset: UNKNOWN, timestamp: NO_TIMESTAMP, leader_epoch: UNKNOWN_EPOCH };
    // With read_committed, offsets from the last stable offset on are not visible.
    let visible_end = match isolation {
        Isolation::ReadCommitted => partition.offsets()?.last_stable,
        Isolation::ReadUncommitted => Offset::MAX,
    };
    let query = match requested.timestamp {
        LATEST => TimestampQuery::Latest,
        EARLIEST | EARLIEST_LOCAL => TimestampQuery::Earliest,
        MAX_TIMESTAMP => TimestampQuery::Max,
        LATEST_TIERED | EARLIEST_PENDING_UPLOAD => return Ok(none),
        timestamp => TimestampQuery::At(timestamp),
    };
    let found = partition.offset_for_timestamp(query)?.unwrap_or(none);
    match query {
        TimestampQuery::Latest => Ok(TimestampOffset { offset: found.offset.min(visible_end), ..found }),
        TimestampQuery::At(_) | TimestampQuery::Max if found.offset >= visible_end => Ok(none),
        _ => Ok(found),
    }
}

/// Answers version 0: the log end offset, then the base offsets of segments without newer records than `timestamp`,
/// newest first.
fn answer_v0(
    partition: &Partition,
    requested: &ListOffsetsPartition,
    now: TimestampMs,
) -> ListOffsetsPartitionResponse {
    if requested.timestamp < EARLIEST {
        return failed(requested, ErrorCode::UnsupportedVersion);
    }
    match offsets_before(partition, requested.timestamp, now) {
        Ok(mut offsets) => {
            offsets.truncate(usize::try_from(requested.max_num_offsets).unwrap_or(0));
            ListOffsetsPartitionResponse {
                partition_index: requested.partition_index,
                error_code: ErrorCode::None.code(),
                old_style_offsets: offsets,
                ..Default::default()
            }
        }
        Err(error) => failed(requested, error.error_code()),
    }
}

fn offsets_before(partition: &Partition, timestamp: i64, now: TimestampMs) -> Result<Vec<Offset>, PartitionError> {
    match timestamp {
        EARLIEST => Ok(vec![partition.offsets()?.start]),
        LATEST => partition.segment_offsets_before(TimestampMs::MAX, now),
        timestamp => partition.segment_offsets_before(timestamp, now),
    }
}

fn failed(requested: &ListOffsetsPartition, code: ErrorCode) -> ListOffsetsPartitionResponse {
    ListOffsetsPartitionResponse {
        partition_index: requested.partition_index,
        error_code: code.code(),
        timestamp: NO_TIMESTAMP,
        offset: UNKNOWN,
        ..Default::default()
    }
}
