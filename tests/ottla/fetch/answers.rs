//! Fetch: offsets, size limits, waiting and sessions.

use std::time::{Duration, Instant};

use ottla_wire::protocol::messages::fetch::{
    FetchPartition, FetchRequest, FetchResponse, FetchTopic, ForgottenTopic, PartitionData,
};
use ottla_wire::record::batches;

use crate::fixture::{Fixture, LONG_AGO, batch, batch_at, code, text};

fn from(partition: i32, fetch_offset: i64) -> FetchPartition {
    FetchPartition { partition, fetch_offset, partition_max_bytes: 1 << 20, ..Default::default() }
}

fn request(partitions: Vec<FetchPartition>) -> FetchRequest {
    let topics = match partitions.is_empty() {
        true => Vec::new(),
        false => vec![FetchTopic { topic: text("t"), partitions, ..Default::default() }],
    };
    FetchRequest { topics, ..Default::default() }
}

/// `index:base offsets` of a partition's batches, or `index!error`.
fn shown(partition: &PartitionData) -> String {
    let records = partition.records.clone().expect("never null");
    let found: Vec<_> = batches(&records).map(|batch| batch.unwrap().header().base_offset.to_string()).collect();
    match partition.error_code {
        0 => format!("{}:{}", partition.partition_index, found.join(",")),
        error => format!("{}!{}", partition.partition_index, code(error)),
    }
}

fn all_shown(answer: &FetchResponse) -> String {
    let partitions = answer.responses.iter().flat_map(|topic| &topic.partitions);
    partitions.map(shown).collect::<Vec<_>>().join(" ")
}

/// A topic of two partitions; the first has batches at 0, 1 and 2, of which the last is large.
async fn fixture() -> Fixture {
    let fixture = Fixture::start().await;
    fixture.client.create_topic("t", 2, &[]).await.unwrap();
    for value in ["a", "b", &"x".repeat(1000)] {
        fixture.client.produce("t", 0, batch(value)).await.unwrap();
    }
    fixture
}

#[tokio::test]
async fn fetch_outside_the_log_returns_offset_out_of_range() {
    let fixture = fixture().await;
    for version in 4..=12 {
        for (partition, offset, expect) in [
            (0, 0, "0:0,1,2"),
            (0, 1, "0:1,2"),
            (0, 3, "0:"),
            (1, 0, "1:"),
            (0, 4, "0!OFFSET_OUT_OF_RANGE"),
            (0, -1, "0!OFFSET_OUT_OF_RANGE"),
            (9, 0, "9!UNKNOWN_TOPIC_OR_PARTITION"),
        ] {
            let answer = fixture.client.call_at(request(vec![from(partition, offset)]), version).await.unwrap();
            assert_eq!(all_shown(&answer), expect, "version {version}, offset {offset}");
        }
    }
}

#[tokio::test]
async fn fetch_size_limits_hold_except_for_the_first_batch() {
    let fixture = fixture().await;
    let size = batch("a").len() as i32;
    let limited = |partition_max_bytes| FetchPartition { partition_max_bytes, ..from(0, 0) };
    for (max_bytes, partition, expect) in [
        (i32::MAX, limited(0), "0:0"),
        (i32::MAX, limited(-1), "0:0"),
        (i32::MAX, limited(2 * size), "0:0,1"),
        (i32::MAX, limited(2 * size + 1), "0:0,1"),
        (0, limited(1 << 20), "0:0"),
        (2 * size, limited(1 << 20), "0:0,1"),
    ] {
        let answer = fixture.client.call_at(FetchRequest { max_bytes, ..request(vec![partition]) }, 11).await.unwrap();
        assert_eq!(all_shown(&answer), expect, "{max_bytes}");
    }
}

#[tokio::test]
async fn fetch_waits_for_min_bytes_until_max_wait() {
    let fixture = fixture().await;
    let began = Instant::now();
    let waiting = FetchRequest { max_wait_ms: 60, min_bytes: 100_000, ..request(vec![from(0, 0)]) };
    let answer = fixture.client.call_at(waiting, 11).await.unwrap();
    assert!(began.elapsed() >= Duration::from_millis(60));
    assert_eq!(all_shown(&answer), "0:0,1,2");
    // An error is returned at once.
    let began = Instant::now();
    let failing = FetchRequest { max_wait_ms: 20_000, min_bytes: 1, ..request(vec![from(0, 9), from(1, 0)]) };
    let answer = fixture.client.call_at(failing, 11).await.unwrap();
    assert_eq!(all_shown(&answer), "0!OFFSET_OUT_OF_RANGE 1:");
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn append_completes_a_waiting_fetch() {
    let fixture = fixture().await;
    let waiting = FetchRequest { max_wait_ms: 20_000, min_bytes: 1, ..request(vec![from(0, 3), from(1, 0)]) };
    let pending = fixture.client.submit_at(waiting, 11).await.unwrap();
    let other = crate::fixture::connect(&fixture.broker).await;
    other.produce("t", 1, batch("new")).await.unwrap();
    assert_eq!(all_shown(&pending.response().await.unwrap()), "0: 1:0");
}

#[tokio::test]
async fn fetch_with_a_newer_leader_epoch_returns_unknown_leader_epoch() {
    let fixture = fixture().await;
    let epoch = fixture.metadata("t").await.partitions[0].leader_epoch;
    for (current_leader_epoch, expect) in [(-1, "0:0,1,2"), (epoch, "0:0,1,2"), (epoch + 1, "0!UNKNOWN_LEADER_EPOCH")] {
        let partition = FetchPartition { current_leader_epoch, ..from(0, 0) };
        let answer = fixture.client.call_at(request(vec![partition]), 11).await.unwrap();
        assert_eq!(all_shown(&answer), expect, "{current_leader_epoch}");
    }
}

#[tokio::test]
async fn fetch_below_version_4_returns_old_message_formats() {
    let fixture = fixture().await;
    for (version, magic) in [(0, 0), (1, 0), (2, 1), (3, 1)] {
        let answer = fixture.client.call_at(request(vec![from(0, 1)]), version).await.unwrap();
        let records = answer.responses[0].partitions[0].records.clone().unwrap();
        let offset = i64::from_be_bytes(records[..8].try_into().unwrap());
        assert_eq!((offset, records[16]), (1, magic), "version {version}");
    }
    fixture.client.create_topic("z", 1, &[("compression.type", "zstd")]).await.unwrap();
    fixture.client.produce("z", 0, batch("x")).await.unwrap();
    for (version, expect) in [(3, "0!UNSUPPORTED_COMPRESSION_TYPE"), (4, "0:0"), (10, "0:0")] {
        let topic = FetchTopic { topic: text("z"), partitions: vec![from(0, 0)], ..Default::default() };
        let request = FetchRequest { topics: vec![topic], ..Default::default() };
        assert_eq!(all_shown(&fixture.client.call_at(request, version).await.unwrap()), expect, "version {version}");
    }
}

/// Sends a fetch in a session; returns the error or the partitions, and the session id.
async fn in_session(
    fixture: &Fixture,
    id: i32,
    epoch: i32,
    partitions: Vec<FetchPartition>,
    removed: &[i32],
) -> (String, i32) {
    let forgotten = ForgottenTopic { topic: text("t"), partitions: removed.to_vec(), ..Default::default() };
    let request = FetchRequest {
        session_id: id,
        session_epoch: epoch,
        forgotten_topics_data: if removed.is_empty() { Vec::new() } else { vec![forgotten] },
        ..request(partitions)
    };
    let answer = fixture.client.call_at(request, 12).await.unwrap();
    match answer.error_code {
        0 => (all_shown(&answer), answer.session_id),
        error => (code(error).to_owned(), answer.session_id),
    }
}

#[tokio::test]
async fn fetch_session_returns_only_changes() {
    let fixture = fixture().await;
    let (shown, id) = in_session(&fixture, 0, 0, vec![from(0, 3), from(1, 0)], &[]).await;
    assert_eq!(shown, "0: 1:");
    assert!(id > 0);
    let expect = |partitions: &str| (partitions.to_owned(), id);
    assert_eq!(in_session(&fixture, id, 1, vec![], &[]).await, expect(""));
    fixture.client.produce("t", 1, batch("new")).await.unwrap();
    assert_eq!(in_session(&fixture, id, 2, vec![], &[]).await, expect("1:0"));
    assert_eq!(in_session(&fixture, id, 3, vec![from(1, 1)], &[]).await, expect(""));
    assert_eq!(in_session(&fixture, id, 9, vec![], &[]).await, ("INVALID_FETCH_SESSION_EPOCH".to_owned(), 0));
    assert_eq!(in_session(&fixture, id, 4, vec![from(1, 9)], &[]).await, expect("1!OFFSET_OUT_OF_RANGE"));
    assert_eq!(in_session(&fixture, id, 5, vec![], &[]).await, expect("1!OFFSET_OUT_OF_RANGE"));
    assert_eq!(in_session(&fixture, id, 6, vec![from(1, 1)], &[]).await, expect("1:"));
    fixture.client.produce("t", 0, batch("new")).await.unwrap();
    assert_eq!(in_session(&fixture, id, 7, vec![], &[0]).await, expect(""));
    // A session without partitions is closed.
    assert_eq!(in_session(&fixture, id, 8, vec![], &[1]).await, (String::new(), 0));
    assert_eq!(in_session(&fixture, id, 9, vec![], &[]).await, ("FETCH_SESSION_ID_NOT_FOUND".to_owned(), 0));
}

#[tokio::test]
async fn fetch_session_ends_with_a_final_or_initial_epoch() {
    let fixture = fixture().await;
    for last_epoch in [-1, 0] {
        let (_, id) = in_session(&fixture, 0, 0, vec![from(0, 0)], &[]).await;
        let (shown, _) = in_session(&fixture, id, last_epoch, vec![from(0, 0)], &[]).await;
        assert_eq!(shown, "0:0,1,2");
        assert_eq!(in_session(&fixture, id, 1, vec![], &[]).await.0, "FETCH_SESSION_ID_NOT_FOUND");
    }
    assert_eq!(in_session(&fixture, 12345, 1, vec![], &[]).await.0, "FETCH_SESSION_ID_NOT_FOUND");
}

#[tokio::test]
async fn fetch_session_that_mixes_names_and_ids_returns_topic_id_error() {
    let fixture = fixture().await;
    let (_, id) = in_session(&fixture, 0, 0, vec![from(0, 0)], &[]).await;
    let request = FetchRequest { session_id: id, session_epoch: 1, ..Default::default() };
    let answer = fixture.client.call_at(request, 13).await.unwrap();
    assert_eq!(code(answer.error_code), "FETCH_SESSION_TOPIC_ID_ERROR");
}

#[tokio::test]
async fn fetch_below_log_start_returns_offset_out_of_range() {
    let fixture = fixture().await;
    let deleted = crate::fetch::offsets::delete_before(&fixture, "t", 0, 2).await;
    assert_eq!(deleted, ("NONE", 2));
    let answer = fixture.client.call_at(request(vec![from(0, 1)]), 11).await.unwrap();
    assert_eq!(all_shown(&answer), "0!OFFSET_OUT_OF_RANGE");
    fixture.client.produce("t", 0, batch_at(LONG_AGO, "y")).await.unwrap();
    let answer = fixture.client.call_at(request(vec![from(0, 2)]), 11).await.unwrap();
    assert_eq!((all_shown(&answer), answer.responses[0].partitions[0].log_start_offset), ("0:2,3".to_owned(), 2));
}
