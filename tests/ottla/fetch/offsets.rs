//! ListOffsets, OffsetForLeaderEpoch and DeleteRecords.

use ottla_wire::protocol::messages::delete_records::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use ottla_wire::protocol::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsTopic,
};
use ottla_wire::protocol::messages::offset_for_leader_epoch::{
    OffsetForLeaderEpochRequest, OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use ottla_wire::record::{BatchBuilder, Codec};

use crate::fixture::{Fixture, LONG_AGO, batch_at, code, text};

fn request(topic: &str, partitions: Vec<ListOffsetsPartition>) -> ListOffsetsRequest {
    let topic = ListOffsetsTopic { name: text(topic), partitions };
    ListOffsetsRequest { replica_id: -1, topics: vec![topic], ..Default::default() }
}

fn at(timestamp: i64) -> ListOffsetsPartition {
    ListOffsetsPartition { timestamp, ..Default::default() }
}

async fn list(
    fixture: &Fixture,
    version: i16,
    topic: &str,
    requested: ListOffsetsPartition,
) -> ListOffsetsPartitionResponse {
    let answer = fixture.client.call_at(request(topic, vec![requested]), version).await.unwrap();
    answer.topics[0].partitions[0].clone()
}

/// A topic with offsets 0 to 2 in one batch at +0, +10 and +5 ms, then batches at +100, +50 and +100 ms.
async fn fixture() -> Fixture {
    let fixture = Fixture::start().await;
    fixture.topic("t", &[]).await;
    fixture.topic("empty", &[]).await;
    let mut builder = BatchBuilder::new(Codec::Lz4);
    for later in [0, 10, 5] {
        builder.append(LONG_AGO + later, None, Some(b"x"), &[]);
    }
    fixture.client.produce("t", 0, builder.build().unwrap().bytes().clone()).await.unwrap();
    for later in [100, 50, 100] {
        fixture.client.produce("t", 0, batch_at(LONG_AGO + later, "x")).await.unwrap();
    }
    fixture
}

#[tokio::test]
async fn list_offsets_by_timestamp_finds_records_inside_batches() {
    let fixture = fixture().await;
    for (later, offset, found) in [
        (-LONG_AGO, 0, 0),
        (0, 0, 0),
        (1, 1, 10),
        (6, 1, 10),
        (10, 1, 10),
        (11, 3, 100),
        (60, 3, 100),
        (100, 3, 100),
        (101, -1, -LONG_AGO - 1),
    ] {
        for version in [1, 4, 7, 11] {
            let listed = list(&fixture, version, "t", at(LONG_AGO + later)).await;
            assert_eq!((listed.offset, listed.timestamp), (offset, LONG_AGO + found), "+{later}, version {version}");
        }
    }
}

#[tokio::test]
async fn list_offsets_special_timestamp_below_its_version_returns_unsupported_version() {
    let fixture = fixture().await;
    for (timestamp, since, offset, of_empty) in
        [(-1, 1, 6, 0), (-2, 1, 0, 0), (-3, 7, 3, -1), (-4, 8, 0, 0), (-5, 9, -1, -1), (-6, 11, -1, -1)]
    {
        for version in 1..=11 {
            let listed = list(&fixture, version, "t", at(timestamp)).await;
            let empty = list(&fixture, version, "empty", at(timestamp)).await;
            let expect = match version >= since {
                true => ("NONE", offset, of_empty),
                false => ("UNSUPPORTED_VERSION", -1, -1),
            };
            assert_eq!((code(listed.error_code), listed.offset, empty.offset), expect, "{timestamp} in {version}");
        }
    }
    assert_eq!(code(list(&fixture, 11, "t", at(-7)).await.error_code), "UNSUPPORTED_VERSION");
    assert_eq!(list(&fixture, 7, "t", at(-3)).await.timestamp, LONG_AGO + 100);
}

#[tokio::test]
async fn list_offsets_returns_the_leader_epoch_even_of_an_empty_log() {
    let fixture = fixture().await;
    for topic in ["t", "empty"] {
        let epoch = fixture.metadata(topic).await.partitions[0].leader_epoch;
        for timestamp in [-1, -2, -4] {
            assert_eq!(list(&fixture, 8, topic, at(timestamp)).await.leader_epoch, epoch, "{topic} {timestamp}");
        }
        let newer = ListOffsetsPartition { current_leader_epoch: epoch + 1, ..at(-1) };
        assert_eq!(code(list(&fixture, 8, topic, newer).await.error_code), "UNKNOWN_LEADER_EPOCH");
    }
}

#[tokio::test]
async fn list_offsets_with_a_duplicate_partition_returns_invalid_request_once() {
    let fixture = fixture().await;
    let answer = fixture.client.call_at(request("t", vec![at(-1), at(-2)]), 5).await.unwrap();
    let listed: Vec<_> = answer.topics[0].partitions.iter().map(|one| code(one.error_code)).collect();
    assert_eq!(listed, ["INVALID_REQUEST"]);
    assert_eq!(code(list(&fixture, 5, "missing", at(-1)).await.error_code), "UNKNOWN_TOPIC_OR_PARTITION");
}

#[tokio::test]
async fn list_offsets_version_0_returns_segment_base_offsets() {
    let fixture = Fixture::start().await;
    fixture.topic("t", &[("segment.bytes", "1048576")]).await;
    let value = "x".repeat(700_000);
    for second in 0..4 {
        fixture.client.produce("t", 0, batch_at(LONG_AGO + second * 1000, &value)).await.unwrap();
    }
    for (timestamp, max_num_offsets, expect) in [
        (-1, 10, &[4, 3, 2, 1, 0][..]),
        (-1, 2, &[4, 3]),
        (-1, 0, &[]),
        (-2, 10, &[0]),
        (LONG_AGO - 1, 10, &[]),
        (LONG_AGO, 10, &[0]),
        (LONG_AGO + 2500, 10, &[2, 1, 0]),
        (i64::MAX, 1, &[4]),
    ] {
        let listed = list(&fixture, 0, "t", ListOffsetsPartition { max_num_offsets, ..at(timestamp) }).await;
        assert_eq!(listed.old_style_offsets, expect, "{timestamp} {max_num_offsets}");
    }
}

/// Deletes records; returns the error and the low watermark.
pub async fn delete_before(fixture: &Fixture, topic: &str, partition: i32, offset: i64) -> (&'static str, i64) {
    let partition = DeleteRecordsPartition { partition_index: partition, offset };
    let topic = DeleteRecordsTopic { name: text(topic), partitions: vec![partition] };
    let answer = fixture.client.call(DeleteRecordsRequest { topics: vec![topic], timeout_ms: 5000 }).await.unwrap();
    let partition = &answer.topics[0].partitions[0];
    (code(partition.error_code), partition.low_watermark)
}

#[tokio::test]
async fn delete_records_moves_the_log_start_only_forward() {
    let fixture = fixture().await;
    fixture.topic("compacted", &[("cleanup.policy", "compact")]).await;
    fixture.topic("both", &[("cleanup.policy", "compact,delete")]).await;
    fixture.client.find_coordinator("group").await.unwrap();
    for (topic, partition, offset, expect) in [
        ("t", 0, 2, ("NONE", 2)),
        ("t", 0, 1, ("NONE", 2)),
        ("t", 0, 7, ("OFFSET_OUT_OF_RANGE", -1)),
        ("t", 0, -2, ("OFFSET_OUT_OF_RANGE", -1)),
        ("t", 0, -1, ("NONE", 6)),
        ("empty", 0, -1, ("NONE", 0)),
        ("empty", 0, 1, ("OFFSET_OUT_OF_RANGE", -1)),
        ("t", 5, 0, ("UNKNOWN_TOPIC_OR_PARTITION", -1)),
        ("missing", 0, 0, ("UNKNOWN_TOPIC_OR_PARTITION", -1)),
        ("__consumer_offsets", 0, 0, ("INVALID_TOPIC_EXCEPTION", -1)),
        ("compacted", 0, 0, ("POLICY_VIOLATION", -1)),
        ("both", 0, 0, ("NONE", 0)),
    ] {
        assert_eq!(delete_before(&fixture, topic, partition, offset).await, expect, "{topic}-{partition} {offset}");
    }
    assert_eq!(list(&fixture, 5, "t", at(-2)).await.offset, 6);
}

#[tokio::test]
async fn offset_for_leader_epoch_returns_the_end_of_the_epoch() {
    let fixture = fixture().await;
    for (topic, end) in [("t", 6), ("empty", 0)] {
        let epoch = fixture.metadata(topic).await.partitions[0].leader_epoch;
        for (current, requested, expect) in [
            (-1, epoch, ("NONE", epoch, end)),
            (epoch, epoch, ("NONE", epoch, end)),
            (-1, epoch + 1, ("NONE", -1, -1)),
            (-1, -1, ("NONE", -1, -1)),
            (epoch + 1, epoch, ("UNKNOWN_LEADER_EPOCH", -1, -1)),
        ] {
            let partition = OffsetForLeaderPartition {
                current_leader_epoch: current,
                leader_epoch: requested,
                ..Default::default()
            };
            let topic = OffsetForLeaderTopic { topic: text(topic), partitions: vec![partition] };
            let request = OffsetForLeaderEpochRequest { topics: vec![topic], ..Default::default() };
            let answer = fixture.client.call_at(request, 4).await.unwrap();
            let partition = &answer.topics[0].partitions[0];
            assert_eq!(
                (code(partition.error_code), partition.leader_epoch, partition.end_offset),
                expect,
                "{current} {requested}"
            );
        }
    }
}
