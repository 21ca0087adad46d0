//! Resets: what they remove, what connected clients observe, and which numbers must continue.

use std::time::Duration;

use bytes::Bytes;
use ottla::client::{Client, ClientError, Joined, Subscription, fetched};
use ottla_wire::protocol::messages::describe_configs::{DescribeConfigsRequest, DescribeConfigsResource};
use ottla_wire::protocol::messages::fetch::{FetchPartition, FetchRequest, FetchTopic};
use ottla_wire::protocol::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use ottla_wire::protocol::messages::init_producer_id::InitProducerIdRequest;
use ottla_wire::protocol::messages::list_groups::ListGroupsRequest;
use ottla_wire::record::{BatchBuilder, Codec};
use ottla_wire::types::ErrorCode;

use crate::admin::http::reset;
use common::Broker;

const END: i64 = -1;
/// Far longer than a reset takes; a request that waits this long was not completed by the reset.
const LONG_WAIT: Duration = Duration::from_secs(20);

fn start() -> Broker {
    Broker::with().arg("--admin-port").arg("0").start()
}

async fn connect(broker: &Broker) -> Client {
    Client::connect(broker.bootstrap_servers()).await.unwrap()
}

fn batch(value: &str) -> Bytes {
    let mut builder = BatchBuilder::new(Codec::None);
    builder.append(1_700_000_000_000, None, Some(value.as_bytes()), &[]);
    builder.build().unwrap().bytes().clone()
}

async fn topics(client: &Client) -> Vec<String> {
    let topics = client.metadata(None).await.unwrap().topics;
    let mut names: Vec<String> = topics.into_iter().filter_map(|topic| topic.name).collect();
    names.sort();
    names
}

async fn groups(client: &Client) -> usize {
    client.call(ListGroupsRequest::default()).await.unwrap().groups.len()
}

fn subscription(group: &str) -> Subscription {
    Subscription {
        group: group.to_owned(),
        protocol_type: "consumer".to_owned(),
        protocols: vec![("range".to_owned(), Bytes::new())],
        session_timeout: Duration::from_secs(30),
        rebalance_timeout: Duration::from_secs(30),
        instance_id: None,
    }
}

/// A group of one member, which has its assignment.
async fn stable_group(client: &Client, group: &str) -> Joined {
    let joined = client.join_group(&subscription(group), "").await.unwrap();
    client.sync_group(&joined, &[(joined.member.id.clone(), Bytes::from_static(b"all"))]).await.unwrap();
    joined
}

fn code(error: ClientError) -> ErrorCode {
    error.code().unwrap_or_else(|| panic!("{error}"))
}

async fn set_retention(client: &Client, resource_type: i8, name: &str, setting: &str) {
    let config = AlterableConfig { name: setting.into(), config_operation: 0, value: Some("60000".into()) };
    let resource = AlterConfigsResource { resource_type, resource_name: name.into(), configs: vec![config] };
    let request = IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false };
    assert_eq!(client.call(request).await.unwrap().responses[0].error_code, 0);
}

/// The dynamic settings of a new cluster.
const INITIAL_SETTINGS: [&str; 1] = ["min.insync.replicas"];

/// Names of the dynamic settings of a topic or a broker.
async fn dynamic_settings(client: &Client, resource_type: i8, name: &str) -> Vec<String> {
    const DYNAMIC_SOURCES: [i8; 3] = [1, 2, 3];
    let resource = DescribeConfigsResource { resource_type, resource_name: name.into(), ..Default::default() };
    let request = DescribeConfigsRequest { resources: vec![resource], ..Default::default() };
    let result = client.call(request).await.unwrap().results.remove(0);
    let changed = result.configs.into_iter().filter(|config| DYNAMIC_SOURCES.contains(&config.config_source));
    changed.map(|config| config.name.to_string()).collect()
}

async fn producer_id(client: &Client) -> i64 {
    let request = InitProducerIdRequest { transaction_timeout_ms: 60_000, ..Default::default() };
    let answer = client.call(request).await.unwrap();
    assert_eq!(answer.error_code, 0);
    answer.producer_id
}

#[tokio::test]
async fn reset_removes_topics_groups_and_dynamic_settings() {
    let broker = start();
    let client = connect(&broker).await;
    for round in 0..3 {
        client.create_topic("orders", 3, &[("retention.ms", "777")]).await.unwrap();
        client.produce("orders", 2, batch("of an earlier test")).await.unwrap();
        stable_group(&client, "billing").await;
        client.commit_offsets("offsets-alone", None, "orders", &[(0, 7)]).await.unwrap();
        set_retention(&client, 4, "1", "log.retention.ms").await;
        assert_eq!(groups(&client).await, 2, "round {round}");

        let done = reset(&broker);
        assert_eq!((done["topics_removed"].as_i64(), done["topics_created"].as_i64()), (Some(2), Some(0)));
        assert!(done["took_ms"].as_f64().is_some_and(|ms| ms > 0.0), "{done}");
        assert_eq!(topics(&client).await, Vec::<String>::new());
        assert_eq!(groups(&client).await, 0);
        assert_eq!(dynamic_settings(&client, 4, "1").await, INITIAL_SETTINGS);

        client.create_topic("orders", 1, &[]).await.unwrap();
        assert_eq!(dynamic_settings(&client, 2, "orders").await, INITIAL_SETTINGS);
        assert_eq!(client.list_offset("orders", 0, END).await.unwrap().offset, 0);
        assert_eq!(client.committed_offsets("offsets-alone", "orders", &[0]).await.unwrap()[0].offset, -1);
        reset(&broker);
    }
}

#[tokio::test]
async fn reset_recreates_configured_topics_empty() {
    let broker = Broker::with().arg("--admin-port").arg("0").arg("--create-topic").arg("orders:3").start();
    let client = connect(&broker).await;
    for _ in 0..3 {
        assert_eq!(topics(&client).await, ["orders"]);
        assert_eq!(client.list_offset("orders", 2, END).await.unwrap().offset, 0);
        client.produce("orders", 2, batch("x")).await.unwrap();
        client.create_topic("another", 1, &[]).await.unwrap();
        let done = reset(&broker);
        assert_eq!((done["topics_removed"].as_i64(), done["topics_created"].as_i64()), (Some(2), Some(1)));
    }
}

#[tokio::test]
async fn waiting_fetch_is_answered_at_once_by_a_reset() {
    let broker = start();
    let client = connect(&broker).await;
    client.create_topic("orders", 1, &[]).await.unwrap();
    client.produce("orders", 0, batch("x")).await.unwrap();
    let waiting = client.submit_fetch("orders", 0, 1, 1 << 20, LONG_WAIT * 2).await.unwrap();
    // The broker reads the fetch before it answers this later request, so the fetch is waiting by now.
    connect(&broker).await.list_offset("orders", 0, END).await.unwrap();
    reset(&broker);
    let answer = tokio::time::timeout(LONG_WAIT, waiting.response())
        .await
        .expect("the reset did not complete the fetch")
        .unwrap();
    let refused = code(fetched(answer).unwrap_err());
    assert!([ErrorCode::UnknownTopicOrPartition, ErrorCode::UnknownTopicId].contains(&refused), "{refused:?}");
}

#[tokio::test]
async fn fetch_session_is_removed_by_a_reset() {
    let broker = start();
    let client = connect(&broker).await;
    let topic_id = client.create_topic("orders", 1, &[]).await.unwrap();
    let partitions = vec![FetchPartition { partition_max_bytes: 1 << 20, ..Default::default() }];
    let topics = vec![FetchTopic { topic_id, partitions, ..Default::default() }];
    let open = FetchRequest { topics, session_epoch: 0, ..Default::default() };
    let session = client.call_at(open, 13).await.unwrap().session_id;
    assert_ne!(session, 0);
    let next = |epoch| FetchRequest { session_id: session, session_epoch: epoch, ..Default::default() };
    assert_eq!(client.call_at(next(1), 13).await.unwrap().error_code, 0);
    reset(&broker);
    let answer = client.call_at(next(2), 13).await.unwrap();
    assert_eq!(answer.error_code, ErrorCode::FetchSessionIdNotFound.code());
}

#[tokio::test]
async fn member_of_a_reset_group_gets_unknown_member_id() {
    let broker = start();
    let client = connect(&broker).await;
    let member = stable_group(&client, "billing").await.member;
    client.heartbeat(&member).await.unwrap();
    reset(&broker);
    assert_eq!(code(client.heartbeat(&member).await.unwrap_err()), ErrorCode::UnknownMemberId);
    client.create_topic("orders", 1, &[]).await.unwrap();
    let commit = client.commit_offsets("billing", Some(&member), "orders", &[(0, 1)]).await.unwrap_err();
    assert_eq!(code(commit), ErrorCode::GroupIdNotFound);
    stable_group(&client, "billing").await;
}

#[tokio::test]
async fn waiting_join_is_answered_at_once_by_a_reset() {
    let broker = start();
    let (client, other) = (connect(&broker).await, connect(&broker).await);
    let member = stable_group(&client, "billing").await.member;
    // The second join waits until the first member joins again, which it does not do.
    let waiting = tokio::spawn(async move { other.join_group(&subscription("billing"), "").await });
    let rebalancing = || async { client.heartbeat(&member).await.is_err() };
    while !rebalancing().await {
        tokio::task::yield_now().await;
    }
    reset(&broker);
    let joined = tokio::time::timeout(LONG_WAIT, waiting).await.expect("the reset did not complete the join").unwrap();
    let refused = code(joined.unwrap_err());
    assert!([ErrorCode::CoordinatorNotAvailable, ErrorCode::UnknownMemberId].contains(&refused), "{refused:?}");
}

#[tokio::test]
async fn leader_epochs_and_producer_ids_grow_across_resets() {
    let mut broker = start();
    let (mut epoch, mut last_id) = (-1, -1);
    for round in 0..6 {
        let client = connect(&broker).await;
        client.create_topic("orders", 1, &[]).await.unwrap();
        client.produce("orders", 0, batch("x")).await.unwrap();
        let current = client.list_offset("orders", 0, END).await.unwrap().leader_epoch;
        assert!(current > epoch, "round {round}: {current} after {epoch}");
        let id = producer_id(&client).await;
        assert!(id > last_id, "round {round}: {id} after {last_id}");
        (epoch, last_id) = (current, id);
        reset(&broker);
        match round % 3 {
            1 => broker.kill(),
            2 => broker.stop(),
            _ => continue,
        }
        broker.restart();
        assert_eq!(topics(&connect(&broker).await).await, Vec::<String>::new(), "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reset_under_load_removes_all_topics() {
    let broker = start();
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let busy: Vec<_> = (0..4)
        .map(|worker| {
            let (stop, address) = (std::sync::Arc::clone(&stop), broker.bootstrap_servers().to_owned());
            tokio::spawn(async move {
                let client = Client::connect(&address).await.unwrap();
                let topic = format!("busy-{}", worker % 2);
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    // Each of these may fail, because the topic is missing or exists already.
                    let _ = client.create_topic(&topic, 2, &[]).await;
                    let _ = client.produce(&topic, 0, batch("x")).await;
                    let _ = client.fetch(&topic, 0, 0, 1 << 20, Duration::from_millis(5)).await;
                    let _ = client.commit_offsets("group", None, &topic, &[(0, 1)]).await;
                }
            })
        })
        .collect();
    let mut removed = 0;
    while removed < 60 {
        removed += reset(&broker)["topics_removed"].as_u64().unwrap();
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    for worker in busy {
        worker.await.unwrap();
    }
    reset(&broker);
    let client = connect(&broker).await;
    assert_eq!(topics(&client).await, Vec::<String>::new());
    client.create_topic("busy-0", 1, &[]).await.unwrap();
    assert_eq!(client.produce("busy-0", 0, batch("x")).await.unwrap().base_offset, 0);
    let is_problem = |line: &&str| ["ERROR", " WARN "].iter().any(|level| line.contains(level));
    assert_eq!(broker.log().lines().filter(is_problem).collect::<Vec<_>>(), Vec::<&str>::new());
}

/// After a kill in the middle of a reset the broker has either all topics or none.
#[tokio::test]
async fn reset_interrupted_by_a_crash_removes_all_topics_or_none() {
    const TOPICS: usize = 40;
    let mut broker = start();
    for after in [0, 300, 1000, 2000, 4000, 8000] {
        let client = connect(&broker).await;
        for topic in 0..TOPICS {
            client.create_topic(&format!("topic-{topic}"), 1, &[]).await.unwrap();
            client.produce(&format!("topic-{topic}"), 0, batch("x")).await.unwrap();
        }
        let mut stream = crate::admin::http::connect(&broker);
        let host = crate::admin::http::address(&broker);
        let request = format!("POST /reset HTTP/1.1\r\nHost: {host}\r\n{}\r\n\r\n", crate::admin::http::ADMIN);
        std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
        tokio::time::sleep(Duration::from_micros(after)).await;
        broker.kill();
        broker.restart();

        let client = connect(&broker).await;
        let left = topics(&client).await;
        assert!(left.is_empty() || left.len() == TOPICS, "{} topics are left after {after} us", left.len());
        for topic in &left {
            assert_eq!(client.list_offset(topic, 0, END).await.unwrap().offset, 1, "{topic} after {after} us");
        }
        reset(&broker);
        assert_eq!(topics(&client).await, Vec::<String>::new());
    }
}
