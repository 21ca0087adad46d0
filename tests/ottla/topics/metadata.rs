//! Metadata and DescribeTopicPartitions.

use std::collections::HashSet;

use ottla_wire::protocol::messages::describe_topic_partitions::{
    Cursor, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, TopicRequest,
};
use ottla_wire::protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponse};
use ottla_wire::types::{TopicId, Uuid};

use crate::fixture::{Fixture, code, connect, text};
use common::Broker;

const UNKNOWN: TopicId = Uuid([7; 16]);

fn named(name: &str) -> MetadataRequestTopic {
    MetadataRequestTopic { name: Some(text(name)), ..Default::default() }
}

fn by_id(topic_id: TopicId) -> MetadataRequestTopic {
    MetadataRequestTopic { name: None, topic_id }
}

async fn metadata(fixture: &Fixture, version: i16, topics: Vec<MetadataRequestTopic>) -> MetadataResponse {
    let request = MetadataRequest { topics: Some(topics), allow_auto_topic_creation: false, ..Default::default() };
    fixture.client.call_at(request, version).await.unwrap()
}

fn errors(answer: &MetadataResponse) -> Vec<(&str, &'static str)> {
    answer.topics.iter().map(|topic| (topic.name.as_deref().unwrap_or("-"), code(topic.error_code))).collect()
}

#[tokio::test]
async fn metadata_of_an_invalid_name_returns_invalid_topic_exception() {
    let fixture = Fixture::start().await;
    let long = "x".repeat(250);
    for (name, expect) in [
        ("missing", "UNKNOWN_TOPIC_OR_PARTITION"),
        ("", "INVALID_TOPIC_EXCEPTION"),
        (".", "INVALID_TOPIC_EXCEPTION"),
        ("..", "INVALID_TOPIC_EXCEPTION"),
        ("a b", "INVALID_TOPIC_EXCEPTION"),
        ("a/b", "INVALID_TOPIC_EXCEPTION"),
        ("ünï", "INVALID_TOPIC_EXCEPTION"),
        (&long, "INVALID_TOPIC_EXCEPTION"),
    ] {
        for version in [4, 13] {
            assert_eq!(
                errors(&metadata(&fixture, version, vec![named(name)]).await),
                [(name, expect)],
                "version {version}"
            );
        }
        // Also with auto-creation allowed.
        let answer = fixture.client.metadata_with(Some(&[name]), name != "missing").await.unwrap();
        assert_eq!(code(answer.topics[0].error_code), expect, "{name}");
    }
}

#[tokio::test]
async fn duplicate_topic_in_a_metadata_request_is_answered_once() {
    let fixture = Fixture::start().await;
    fixture.topic("a", &[]).await;
    for version in 4..=13 {
        let answer = metadata(&fixture, version, vec![named("a"), named("b"), named("a"), named("b")]).await;
        assert_eq!(errors(&answer), [("a", "NONE"), ("b", "UNKNOWN_TOPIC_OR_PARTITION")], "version {version}");
    }
}

#[tokio::test]
async fn metadata_by_topic_id_requires_version_12() {
    let fixture = Fixture::start().await;
    let id = fixture.topic("a", &[]).await;
    for version in 12..=13 {
        assert_eq!(errors(&metadata(&fixture, version, vec![by_id(id)]).await), [("a", "NONE")]);
        let answer = metadata(&fixture, version, vec![by_id(UNKNOWN), by_id(id)]).await;
        assert_eq!(errors(&answer), [("-", "UNKNOWN_TOPIC_ID"), ("a", "NONE")]);
        assert_eq!(errors(&metadata(&fixture, version, vec![by_id(Uuid::ZERO)]).await), [("", "INVALID_REQUEST")]);
    }
    for version in 10..=11 {
        let both = MetadataRequestTopic { name: Some(text("a")), topic_id: id };
        let answer = metadata(&fixture, version, vec![both]).await;
        assert_eq!(errors(&answer), [("a", "INVALID_REQUEST")], "version {version}");
        assert!(answer.brokers.is_empty());
    }
}

#[tokio::test]
async fn authorized_operations_are_returned_on_request() {
    let fixture = Fixture::start().await;
    fixture.topic("a", &[]).await;
    let mut request = MetadataRequest { topics: Some(vec![named("a")]), ..Default::default() };
    let without = fixture.client.call_at(request.clone(), 8).await.unwrap();
    assert_eq!(
        (without.cluster_authorized_operations, without.topics[0].topic_authorized_operations),
        (i32::MIN, i32::MIN)
    );
    request.include_cluster_authorized_operations = true;
    request.include_topic_authorized_operations = true;
    let with = fixture.client.call_at(request, 8).await.unwrap();
    assert_eq!((with.cluster_authorized_operations, with.topics[0].topic_authorized_operations), (8096, 3576));
}

#[tokio::test]
async fn concurrent_auto_creation_creates_one_topic() {
    let broker = Broker::with().set("num.partitions", "3").start();
    let mut requests = tokio::task::JoinSet::new();
    for _ in 0..24 {
        let client = connect(&broker).await;
        requests.spawn(async move { client.metadata_with(Some(&["together"]), true).await.unwrap().topics.remove(0) });
    }
    let answers = requests.join_all().await;
    assert!(answers.iter().all(|topic| code(topic.error_code) == "NONE" && topic.partitions == [0, 1, 2]));
    assert_eq!(answers.iter().map(|topic| topic.topic_id).collect::<HashSet<_>>().len(), 1);
}

#[tokio::test]
async fn auto_creation_while_disabled_creates_nothing() {
    let fixture = Fixture::with(Broker::with().set("auto.create.topics.enable", "false")).await;
    let answer = fixture.client.metadata_with(Some(&["a"]), true).await.unwrap();
    assert_eq!(code(answer.topics[0].error_code), "UNKNOWN_TOPIC_OR_PARTITION");
}

/// Calls DescribeTopicPartitions; returns `topic:partitions` or `topic!error` for each topic, and the cursor after ` > `.
async fn page(fixture: &Fixture, topics: &[&str], limit: i32, cursor: Option<(&str, i32)>) -> String {
    let request = DescribeTopicPartitionsRequest {
        topics: topics.iter().map(|name| TopicRequest { name: text(name) }).collect(),
        response_partition_limit: limit,
        cursor: cursor.map(|(topic, partition_index)| Cursor { topic_name: text(topic), partition_index }),
    };
    shown(&fixture.client.call(request).await.unwrap())
}

fn shown(answer: &DescribeTopicPartitionsResponse) -> String {
    let topics = answer.topics.iter().map(|topic| {
        let name = topic.name.as_deref().unwrap_or("-");
        let partitions: Vec<_> = topic.partitions.iter().map(|one| one.partition_index.to_string()).collect();
        match topic.error_code {
            0 => format!("{name}:{}", partitions.join(",")),
            error => format!("{name}!{}", code(error)),
        }
    });
    let topics: Vec<_> = topics.collect();
    match &answer.next_cursor {
        None => topics.join(" "),
        Some(cursor) => format!("{} > {}:{}", topics.join(" "), cursor.topic_name, cursor.partition_index),
    }
}

#[tokio::test]
async fn describe_topic_partitions_returns_pages() {
    let fixture = Fixture::start().await;
    fixture.client.create_topic("a", 3, &[]).await.unwrap();
    fixture.client.create_topic("b", 2, &[]).await.unwrap();
    let unknown = "c!UNKNOWN_TOPIC_OR_PARTITION";
    for (topics, limit, cursor, expect) in [
        (&["b", "a", "b"][..], 2000, None, "a:0,1,2 b:0,1".to_owned()),
        (&[], 2000, None, "a:0,1,2 b:0,1".to_owned()),
        (&["a", "b"], 0, None, "a:0 > a:1".to_owned()),
        (&["a", "b"], 3, None, "a:0,1,2 > b:0".to_owned()),
        (&["a", "b"], 4, None, "a:0,1,2 b:0 > b:1".to_owned()),
        (&["a", "c"], 3, None, "a:0,1,2 > c:0".to_owned()),
        (&["c", "a"], 9, None, format!("a:0,1,2 {unknown}")),
        (&["a", "b"], 2, Some(("a", 1)), "a:1,2 > b:0".to_owned()),
        (&["a", "b"], 9, Some(("b", 1)), "b:1".to_owned()),
        (&[], 9, Some(("aa", 1)), "b:0,1".to_owned()),
        // A cursor must name a requested topic.
        (&["a", "b"], 9, Some(("aa", 1)), "a!INVALID_REQUEST b!INVALID_REQUEST".to_owned()),
        (&["a"], 9, Some(("a", -1)), "a!INVALID_REQUEST".to_owned()),
    ] {
        assert_eq!(page(&fixture, topics, limit, cursor).await, expect, "{topics:?} {limit} {cursor:?}");
    }
}
