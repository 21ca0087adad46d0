//! Client quotas in simulated time: what is measured, the throttle times of responses, and that the connections are
//! muted for that time. Handlers take no simulated time, so the quota on it is tested elsewhere.

use std::time::Duration;

use super::client::{Client, call};
use super::{Host, Running};
use ottla_wire::protocol::Request;
use ottla_wire::protocol::messages::alter_client_quotas::{
    AlterClientQuotasRequest, EntityData, OpData, RequestEntryData,
};
use ottla_wire::protocol::messages::create_partitions::{CreatePartitionsRequest, CreatePartitionsTopic};
use ottla_wire::protocol::messages::create_topics::{CreatableTopic, CreateTopicsRequest};
use ottla_wire::protocol::messages::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use ottla_wire::protocol::messages::fetch::{FetchPartition, FetchRequest, FetchResponse, FetchTopic};
use ottla_wire::protocol::messages::heartbeat::HeartbeatRequest;
use ottla_wire::protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic};
use ottla_wire::protocol::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use ottla_wire::record::{BatchBuilder, Codec};
use ottla_wire::types::ErrorCode;

const SECOND: Duration = Duration::from_secs(1);
const TOPIC: &str = "t";

/// An entity: types and names.
type Entity<'a> = &'a [(&'a str, Option<&'a str>)];

/// Sets a quota, or removes it (`None`).
async fn set_quota(running: &Running, entity: Entity<'_>, key: &str, value: Option<f64>) {
    let part = |(kind, name): &(&str, Option<&str>)| EntityData {
        entity_type: (*kind).into(),
        entity_name: name.map(Into::into),
    };
    let op = OpData { key: key.into(), value: value.unwrap_or_default(), remove: value.is_none() };
    let entry = RequestEntryData { entity: entity.iter().map(part).collect(), ops: vec![op] };
    let request = AlterClientQuotasRequest { entries: vec![entry], validate_only: false };
    let response = async { Ok::<_, super::Failed>(call!(running.client("admin"), AlterClientQuotas, 1, request)) };
    assert_eq!(response.await.unwrap().entries[0].error_code, 0);
}

async fn create_topic(running: &Running) {
    running.client("admin").create_topic(TOPIC, 1, &[]).await.unwrap();
}

/// A Produce request with a batch of about this many bytes.
fn produce(bytes: usize, acks: i16) -> ProduceRequest {
    let mut batch = BatchBuilder::new(Codec::None);
    batch.append(1, None, Some(&vec![7; bytes]), &[]);
    let batch = batch.build().unwrap();
    let data = PartitionProduceData { index: 0, records: Some(batch.bytes().clone()) };
    let topic = TopicProduceData { name: TOPIC.into(), partition_data: vec![data], ..Default::default() };
    ProduceRequest { acks, timeout_ms: 1_000, topic_data: vec![topic], ..Default::default() }
}

/// The throttle time of the response to a Produce request.
async fn produce_throttle(client: &mut Client, bytes: usize) -> i32 {
    let response = async { Ok::<_, super::Failed>(call!(client, Produce, 9, produce(bytes, 1))) }.await.unwrap();
    assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
    response.throttle_time_ms
}

async fn heartbeat_throttle(client: &mut Client) -> i32 {
    let request = HeartbeatRequest { group_id: "g".into(), ..Default::default() };
    async { Ok::<_, super::Failed>(call!(client, Heartbeat, 4, request)) }.await.unwrap().throttle_time_ms
}

async fn fetch(client: &mut Client, max_bytes: i32) -> FetchResponse {
    let partition =
        FetchPartition { partition: 0, fetch_offset: 0, partition_max_bytes: max_bytes, ..Default::default() };
    let topic = FetchTopic { topic: TOPIC.into(), partitions: vec![partition], ..Default::default() };
    let request = FetchRequest { max_bytes, session_epoch: -1, topics: vec![topic], ..Default::default() };
    async { Ok::<_, super::Failed>(call!(client, Fetch, 11, request)) }.await.unwrap()
}

fn fetched_bytes(response: &FetchResponse) -> usize {
    let partitions = response.responses.iter().flat_map(|topic| &topic.partitions);
    partitions.filter_map(|partition| partition.records.as_ref()).map(bytes::Bytes::len).sum()
}

#[test]
fn two_clients_of_a_user_produce_at_its_rate_together() {
    Host::new(1, &[])
        .run(async |running| {
            create_topic(running).await;
            set_quota(running, &[("user", Some("ANONYMOUS"))], "producer_byte_rate", Some(1e6)).await;
            let started = running.clock.monotonic();
            // Each could produce at 0.8 times the quota. Faster clients send a burst each time that the sample of the
            // burst before expires, as with Kafka, and reach the rate only as a mean over such periods.
            let produce_for = async |client_id: &str| {
                let (mut client, mut bytes) = (running.client(client_id), 0);
                while running.clock.monotonic() < started + 45 * SECOND {
                    produce_throttle(&mut client, 50_000).await;
                    running.sleep(SECOND / 16).await;
                    if running.clock.monotonic() >= started + 15 * SECOND {
                        bytes += 50_000;
                    }
                }
                bytes
            };
            let (first, second) = tokio::join!(produce_for("a"), produce_for("b"));
            let rate = (first + second) / 30;
            assert!((900_000..1_100_000).contains(&rate), "{rate} bytes/s");
        })
        .unwrap();
}

#[test]
fn produce_above_the_quota_is_answered_at_once_and_mutes_the_connection() {
    Host::new(2, &[])
        .run(async |running| {
            create_topic(running).await;
            set_quota(running, &[("client-id", Some("slow"))], "producer_byte_rate", Some(10_000.0)).await;
            let (mut slow, mut other) = (running.client("slow"), running.client("other"));
            assert_eq!(produce_throttle(&mut slow, 90_000).await, 0, "within the burst of ten seconds");
            let before = running.clock.monotonic();
            let throttle = produce_throttle(&mut slow, 30_000).await;
            assert!((2_000..2_100).contains(&throttle), "{throttle}");
            assert_eq!(produce_throttle(&mut other, 1_000_000).await, 0);
            assert_eq!(running.clock.monotonic(), before, "both were answered at once");
            assert_eq!(heartbeat_throttle(&mut slow).await, 0, "the quota is on the bytes of producers");
            let muted = running.clock.monotonic() - before;
            assert_eq!(muted.as_millis(), throttle as u128);
            set_quota(running, &[("client-id", Some("slow"))], "producer_byte_rate", None).await;
            assert_eq!(produce_throttle(&mut slow, 1_000_000).await, 0);
        })
        .unwrap();
}

#[test]
fn produce_without_acks_mutes_the_connection() {
    Host::new(3, &[])
        .run(async |running| {
            create_topic(running).await;
            set_quota(running, &[("client-id", None)], "producer_byte_rate", Some(10_000.0)).await;
            let mut client = running.client("c");
            client.send_without_response(9, Request::from(produce(150_000, 0))).await;
            let before = running.clock.monotonic();
            heartbeat_throttle(&mut client).await;
            let muted = (running.clock.monotonic() - before).as_millis();
            assert!((5_000..5_100).contains(&muted), "{muted} ms");
        })
        .unwrap();
}

#[test]
fn fetch_above_the_quota_gets_an_empty_response_and_later_the_records() {
    Host::new(4, &[])
        .run(async |running| {
            create_topic(running).await;
            for _ in 0..15 {
                produce_throttle(&mut running.client("p"), 10_000).await;
            }
            set_quota(running, &[("user", None), ("client-id", Some("c"))], "consumer_byte_rate", Some(10_000.0)).await;
            let mut client = running.client("c");
            let first = fetch(&mut client, 80_000).await;

            assert_eq!((first.throttle_time_ms, fetched_bytes(&first) > 70_000), (0, true));
            let before = running.clock.monotonic();
            let second = fetch(&mut client, 50_000).await;
            assert_eq!((running.clock.monotonic(), fetched_bytes(&second)), (before, 0));
            assert!((1_000..3_000).contains(&second.throttle_time_ms), "{}", second.throttle_time_ms);
            let third = fetch(&mut client, 40_000).await;
            let muted = running.clock.monotonic() - before;
            assert_eq!(muted.as_millis(), second.throttle_time_ms as u128);
            assert_eq!((third.throttle_time_ms, fetched_bytes(&third) > 30_000), (0, true));
            // Even a fetch without a limit of its own is limited to what the quota allows after a pause.
            running.sleep(20 * SECOND).await;
            let large = fetch(&mut client, i32::MAX).await;
            assert_eq!((large.throttle_time_ms, fetched_bytes(&large) / 10_000), (0, 9));
        })
        .unwrap();
}

/// Error and throttle time of the response that creates a topic of ten partitions.
async fn create_ten(client: &mut Client, version: i16, name: &str) -> (ErrorCode, i32) {
    let topic = CreatableTopic { name: name.into(), num_partitions: 10, replication_factor: 1, ..Default::default() };
    let request = CreateTopicsRequest { topics: vec![topic], ..Default::default() };
    let response = async { Ok::<_, super::Failed>(call!(client, CreateTopics, version, request)) }.await.unwrap();
    assert_eq!(response.topics[0].error_message, None, "as in Kafka");
    (ErrorCode::from_code(response.topics[0].error_code).unwrap(), response.throttle_time_ms)
}

#[test]
fn changes_of_topics_above_the_mutation_quota_are_refused_until_the_throttle_time_is_over() {
    Host::new(5, &[])
        .run(async |running| {
            set_quota(running, &[("user", Some("ANONYMOUS"))], "controller_mutation_rate", Some(1.0)).await;
            let mut client = running.client("c");
            assert_eq!(create_ten(&mut client, 7, "a").await, (ErrorCode::None, 0));
            assert_eq!(create_ten(&mut client, 7, "b").await, (ErrorCode::None, 0), "more than the tokens, once");
            let before = running.clock.monotonic();
            let (error, throttle) = create_ten(&mut client, 7, "c").await;
            assert_eq!(error, ErrorCode::ThrottlingQuotaExceeded);
            assert!((8_900..=9_000).contains(&throttle), "{throttle}");
            let delete = DeleteTopicsRequest {
                topics: vec![DeleteTopicState { name: Some("a".into()), ..Default::default() }],
                ..Default::default()
            };
            let deleted = call!(client, DeleteTopics, 6, delete);
            assert_eq!((running.clock.monotonic() - before).as_millis(), throttle as u128, "the connection was muted");
            assert_eq!((deleted.responses[0].error_code, deleted.throttle_time_ms), (0, 0));
            let topic = CreatePartitionsTopic { name: "b".into(), count: 11, assignments: None };
            let grow = CreatePartitionsRequest { topics: vec![topic], ..Default::default() };
            let grown = call!(client, CreatePartitions, 3, grow);
            assert_eq!(grown.results[0].error_code, ErrorCode::ThrottlingQuotaExceeded.code());
            assert_eq!(grown.results[0].error_message, None);
            let topic = MetadataRequestTopic { name: Some("made-by-use".into()), ..Default::default() };
            let request =
                MetadataRequest { topics: Some(vec![topic]), allow_auto_topic_creation: true, ..Default::default() };
            let mut other = running.client("d");
            let response = call!(other, Metadata, 9, request);
            assert_eq!(response.topics[0].error_code, ErrorCode::UnknownTopicOrPartition.code());
            Ok::<_, super::Failed>(())
        })
        .unwrap()
        .unwrap();
}

#[test]
fn old_versions_without_the_error_change_topics_and_are_throttled() {
    Host::new(6, &[])
        .run(async |running| {
            set_quota(running, &[("user", Some("ANONYMOUS"))], "controller_mutation_rate", Some(1.0)).await;
            let mut client = running.client("c");
            assert_eq!(create_ten(&mut client, 5, "a").await, (ErrorCode::None, 0));
            let (error, throttle) = create_ten(&mut client, 5, "b").await;
            assert_eq!(error, ErrorCode::None);
            assert!((8_900..=9_000).contains(&throttle), "{throttle}");
        })
        .unwrap();
}

#[test]
fn windows_are_those_of_the_settings() {
    let settings = [
        ("quota.window.num", "3"),
        ("quota.window.size.seconds", "2"),
        ("controller.quota.window.num", "2"),
        ("controller.quota.window.size.seconds", "3"),
    ];
    Host::new(8, &settings)
        .run(async |running| {
            create_topic(running).await;
            set_quota(running, &[("client-id", Some("c"))], "producer_byte_rate", Some(10_000.0)).await;
            set_quota(running, &[("client-id", Some("c"))], "controller_mutation_rate", Some(1.0)).await;
            let mut client = running.client("c");
            assert_eq!(produce_throttle(&mut client, 39_000).await, 0, "two windows of two seconds");
            let throttle = produce_throttle(&mut client, 10_000).await;
            assert!((900..1_100).contains(&throttle), "{throttle}");
            assert_eq!(create_ten(&mut client, 7, "a").await, (ErrorCode::None, 0));
            // Ten partitions of six tokens.
            let (error, throttle) = create_ten(&mut client, 7, "b").await;
            assert_eq!((error, throttle), (ErrorCode::ThrottlingQuotaExceeded, 4_000));
        })
        .unwrap();
}

#[test]
fn quotas_survive_a_restart() {
    let mut host = Host::new(7, &[]);
    let set = host.run(async |running| {
        create_topic(running).await;
        set_quota(running, &[("client-id", None)], "producer_byte_rate", Some(10_000.0)).await;
    });
    set.unwrap();
    let throttle = host.run(async |running| produce_throttle(&mut running.client("c"), 150_000).await).unwrap();
    assert!(throttle > 4_000, "{throttle}");
}
