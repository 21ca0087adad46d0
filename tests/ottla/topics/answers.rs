//! CreateTopics, DeleteTopics, CreatePartitions and DescribeLogDirs.

use std::collections::BTreeMap;

use ottla_wire::protocol::messages::create_partitions::{
    CreatePartitionsAssignment, CreatePartitionsRequest, CreatePartitionsTopic,
};
use ottla_wire::protocol::messages::create_topics::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreatableTopicResult, CreateTopicsRequest,
};
use ottla_wire::protocol::messages::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use ottla_wire::protocol::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult,
};
use ottla_wire::protocol::messages::describe_log_dirs::{DescribableLogDirTopic, DescribeLogDirsRequest};
use ottla_wire::types::{TopicId, Uuid};

use crate::fixture::{Fixture, batch, code, text};
use common::Broker;

fn topic(name: &str, num_partitions: i32, replication_factor: i16) -> CreatableTopic {
    CreatableTopic { name: text(name), num_partitions, replication_factor, ..Default::default() }
}

fn assigned(partitions: &[(i32, &[i32])]) -> CreatableTopic {
    let assignment = |(partition_index, brokers): &(i32, &[i32])| CreatableReplicaAssignment {
        partition_index: *partition_index,
        broker_ids: brokers.to_vec(),
    };
    CreatableTopic { assignments: partitions.iter().map(assignment).collect(), ..topic("t", -1, -1) }
}

fn configured(settings: &[(&str, Option<&str>)]) -> CreatableTopic {
    let config =
        |(name, value): &(&str, Option<&str>)| CreatableTopicConfig { name: text(name), value: value.map(text) };
    CreatableTopic { configs: settings.iter().map(config).collect(), ..topic("t", 1, 1) }
}

async fn create(fixture: &Fixture, topics: Vec<CreatableTopic>, validate_only: bool) -> Vec<CreatableTopicResult> {
    let request = CreateTopicsRequest { topics, timeout_ms: 5000, validate_only };
    fixture.client.call(request).await.unwrap().topics
}

#[tokio::test]
async fn invalid_topic_creation_returns_its_error_code() {
    let fixture = Fixture::start().await;
    fixture.topic("present", &[]).await;
    fixture.topic("a.b", &[]).await;
    let node = fixture.client.metadata(None).await.unwrap().brokers[0].node_id;
    for (wanted, expect) in [
        (topic("", 1, 1), "INVALID_TOPIC_EXCEPTION"),
        (topic("..", 1, 1), "INVALID_TOPIC_EXCEPTION"),
        (topic("a b", 1, 1), "INVALID_TOPIC_EXCEPTION"),
        (topic("a_b", 1, 1), "INVALID_TOPIC_EXCEPTION"),
        (topic("__cluster_metadata", 1, 1), "INVALID_REQUEST"),
        (topic("present", 1, 1), "TOPIC_ALREADY_EXISTS"),
        (topic("t", 0, 1), "INVALID_PARTITIONS"),
        (topic("t", -2, 1), "INVALID_PARTITIONS"),
        (topic("t", 100_000, 1), "POLICY_VIOLATION"),
        (topic("t", 1, 0), "INVALID_REPLICATION_FACTOR"),
        (topic("t", 1, -2), "INVALID_REPLICATION_FACTOR"),
        (assigned(&[(1, &[node])]), "INVALID_REPLICA_ASSIGNMENT"),
        (assigned(&[(0, &[node]), (0, &[node])]), "INVALID_REPLICA_ASSIGNMENT"),
        (assigned(&[(0, &[node, node])]), "INVALID_REPLICA_ASSIGNMENT"),
        (assigned(&[(0, &[])]), "INVALID_REPLICA_ASSIGNMENT"),
        (assigned(&[(0, &[node + 8])]), "INVALID_REPLICA_ASSIGNMENT"),
        (CreatableTopic { num_partitions: 1, ..assigned(&[(0, &[node])]) }, "INVALID_REQUEST"),
        (configured(&[("no.such", Some("1"))]), "INVALID_CONFIG"),
        (configured(&[("retention.ms", Some("abc"))]), "INVALID_CONFIG"),
        (configured(&[("retention.ms", None)]), "INVALID_CONFIG"),
        (configured(&[("segment.bytes", Some("1"))]), "INVALID_CONFIG"),
        (configured(&[("cleanup.policy", Some("shred"))]), "INVALID_CONFIG"),
        (configured(&[("unclean.leader.election.enable", Some("yes"))]), "INVALID_CONFIG"),
        (configured(&[("min.insync.replicas", Some("0"))]), "INVALID_CONFIG"),
    ] {
        let result = create(&fixture, vec![wanted.clone()], false).await.remove(0);
        assert_eq!(code(result.error_code), expect, "{wanted:?}");
        assert!(result.error_message.is_some_and(|message| !message.is_empty()), "{expect}");
        assert_eq!((result.num_partitions, result.replication_factor, result.topic_id), (-1, -1, Uuid::ZERO));
    }
}

#[tokio::test]
async fn duplicate_topic_in_one_request_is_refused_and_others_are_created() {
    let fixture = Fixture::start().await;
    let results = create(&fixture, vec![topic("a", 1, 1), topic("a", 1, 1), topic("b", -1, -1)], false).await;
    let found: Vec<_> = results.iter().map(|result| (&*result.name, code(result.error_code))).collect();
    assert_eq!(found, [("a", "INVALID_REQUEST"), ("b", "NONE")]);
    assert_eq!((results[1].num_partitions, results[1].replication_factor), (1, 1));
}

#[tokio::test]
async fn validate_only_creation_answers_and_creates_nothing() {
    let fixture = Fixture::start().await;
    let validated = create(&fixture, vec![topic("a", 2, 1)], true).await.remove(0);
    assert_eq!((code(validated.error_code), validated.num_partitions), ("NONE", 2));
    assert_ne!(validated.topic_id, Uuid::ZERO);
    assert_eq!(code(fixture.metadata("a").await.error_code), "UNKNOWN_TOPIC_OR_PARTITION");
    fixture.topic("a", &[]).await;
    let validated = create(&fixture, vec![topic("a", 2, 1)], true).await.remove(0);
    assert_eq!(code(validated.error_code), "TOPIC_ALREADY_EXISTS");
}

#[tokio::test]
async fn create_topics_returns_all_settings_with_their_sources() {
    let fixture = Fixture::with(Broker::with().set("message.max.bytes", "5000")).await;
    let created = create(&fixture, vec![configured(&[("retention.ms", Some("1000"))])], false).await.remove(0);
    let configs = created.configs.unwrap();
    assert_eq!(configs.len(), 42);
    for (name, value, source) in
        [("retention.ms", "1000", 1), ("max.message.bytes", "5000", 4), ("cleanup.policy", "delete", 5)]
    {
        let config = configs.iter().find(|config| &*config.name == name).unwrap();
        assert_eq!((config.value.as_deref(), config.config_source), (Some(value), source), "{name}");
    }
}

/// As in Apache Kafka 4.3.1, CreateTopics returns values as they were sent, and DescribeConfigs returns parsed values.
#[tokio::test]
async fn create_topics_returns_settings_as_sent() {
    let fixture = Fixture::start().await;
    let sent = [
        ("cleanup.policy", " compact , delete ", "compact,delete"),
        ("retention.ms", " +5 ", "5"),
        ("preallocate", " TRUE ", "true"),
        ("min.cleanable.dirty.ratio", "0.50", "0.5"),
        ("leader.replication.throttled.replicas", " * ", "*"),
    ];
    let settings: Vec<_> = sent.iter().map(|(name, value, _)| (*name, Some(*value))).collect();
    let created = create(&fixture, vec![configured(&settings)], false).await.remove(0);
    let configs = created.configs.unwrap();
    let described = described(&fixture, "t").await;
    for (name, value, shown) in sent {
        let config = configs.iter().find(|config| &*config.name == name).unwrap();
        assert_eq!((config.value.as_deref(), config.config_source), (Some(value), 1), "{name}");
        assert_eq!(described.get(name).map(String::as_str), Some(shown), "{name}");
    }
}

/// The settings of a topic as DescribeConfigs returns them.
async fn described(fixture: &Fixture, topic: &str) -> BTreeMap<String, String> {
    let resource = DescribeConfigsResource { resource_type: 2, resource_name: topic.into(), configuration_keys: None };
    let request = DescribeConfigsRequest { resources: vec![resource], ..Default::default() };
    let answer = fixture.client.call(request).await.unwrap().results.remove(0);
    let pair =
        |config: DescribeConfigsResourceResult| (config.name.to_string(), config.value.unwrap_or_default().to_string());
    answer.configs.into_iter().map(pair).collect()
}

#[tokio::test]
async fn replication_factor_above_the_broker_count_follows_the_policy() {
    let fixture = Fixture::start().await;
    let created = create(&fixture, vec![topic("a", 1, 3)], false).await.remove(0);
    assert_eq!((code(created.error_code), created.replication_factor), ("NONE", 1));
    let strict = Fixture::with(Broker::with().set("ottla.replication.factor.policy", "strict")).await;
    let refused = create(&strict, vec![topic("a", 1, 3)], false).await.remove(0);
    assert_eq!(code(refused.error_code), "INVALID_REPLICATION_FACTOR");
}

/// The result of DeleteTopics for each topic, sorted: `name!error` or `id!error`.
async fn delete(fixture: &Fixture, topics: &[(Option<&str>, TopicId)]) -> Vec<String> {
    let state =
        |(name, topic_id): &(Option<&str>, TopicId)| DeleteTopicState { name: name.map(text), topic_id: *topic_id };
    let request =
        DeleteTopicsRequest { topics: topics.iter().map(state).collect(), timeout_ms: 5000, ..Default::default() };
    let answer = fixture.client.call_at(request, 6).await.unwrap();
    let shown = |name: Option<&str>, error| format!("{}!{}", name.unwrap_or("id"), code(error));
    let mut results: Vec<_> =
        answer.responses.iter().map(|result| shown(result.name.as_deref(), result.error_code)).collect();
    results.sort();
    results
}

#[tokio::test]
async fn delete_topics_answers_each_topic() {
    let fixture = Fixture::start().await;
    let (missing, by_name) = (Uuid([9; 16]), Uuid::ZERO);
    let [a, b, c] = [fixture.topic("a", &[]).await, fixture.topic("b", &[]).await, fixture.topic("c", &[]).await];
    for (topics, expect) in [
        (&[(Some("a"), by_name)][..], &["a!NONE"][..]),
        (&[(Some("a"), by_name), (None, a)], &["a!UNKNOWN_TOPIC_OR_PARTITION", "id!UNKNOWN_TOPIC_ID"]),
        (&[(None, b), (None, missing)], &["b!NONE", "id!UNKNOWN_TOPIC_ID"]),
        (&[(Some("c"), by_name), (Some("c"), by_name)], &["c!INVALID_REQUEST"]),
        (&[(Some("c"), by_name), (None, c)], &["c!INVALID_REQUEST"]),
        (&[(Some("c"), c), (None, Uuid::ZERO)], &["c!INVALID_REQUEST", "id!INVALID_REQUEST"]),
        (&[(None, Uuid::ZERO), (Some("c"), by_name)], &["c!NONE", "id!INVALID_REQUEST"]),
    ] {
        assert_eq!(delete(&fixture, topics).await, expect, "{topics:?}");
    }
}

#[tokio::test]
async fn delete_topics_while_disabled_returns_the_error_code_of_the_version() {
    let fixture = Fixture::with(Broker::with().set("delete.topic.enable", "false")).await;
    fixture.topic("a", &[]).await;
    for (version, expect) in [(0, "INVALID_REQUEST"), (2, "INVALID_REQUEST"), (3, "TOPIC_DELETION_DISABLED")] {
        let request = DeleteTopicsRequest { topic_names: vec![text("a")], ..Default::default() };
        let answer = fixture.client.call_at(request, version).await.unwrap();
        assert_eq!(code(answer.responses[0].error_code), expect, "version {version}");
    }
}

#[tokio::test]
async fn create_partitions_without_an_increase_is_refused() {
    let fixture = Fixture::start().await;
    fixture.client.create_topic("a", 2, &[]).await.unwrap();
    let node = fixture.client.metadata(None).await.unwrap().brokers[0].node_id;
    for (name, count, assignments, expect) in [
        ("a", 2, None, "INVALID_PARTITIONS"),
        ("a", 1, None, "INVALID_PARTITIONS"),
        ("a", 0, None, "INVALID_PARTITIONS"),
        ("missing", 3, None, "UNKNOWN_TOPIC_OR_PARTITION"),
        ("a", 3, None, "NONE"),
        ("a", 5, Some(vec![vec![node]]), "INVALID_REPLICA_ASSIGNMENT"),
        ("a", 4, Some(vec![vec![node + 8]]), "INVALID_REPLICA_ASSIGNMENT"),
        ("a", 4, Some(vec![vec![node, node]]), "INVALID_REPLICA_ASSIGNMENT"),
        ("a", 4, Some(vec![vec![node]]), "NONE"),
    ] {
        let assignments = assignments
            .map(|all| all.into_iter().map(|broker_ids| CreatePartitionsAssignment { broker_ids }).collect::<Vec<_>>());
        let topic = CreatePartitionsTopic { name: text(name), count, assignments };
        let request = CreatePartitionsRequest { topics: vec![topic], timeout_ms: 5000, validate_only: false };
        let answer = fixture.client.call(request).await.unwrap();
        assert_eq!(code(answer.results[0].error_code), expect, "{name} {count}");
    }
    assert_eq!(fixture.metadata("a").await.partitions.len(), 4);
}

#[tokio::test]
async fn describe_log_dirs_returns_sizes_of_existing_partitions() {
    let fixture = Fixture::start().await;
    fixture.client.create_topic("a", 2, &[]).await.unwrap();
    let sent = batch("x");
    fixture.client.produce("a", 1, sent.clone()).await.unwrap();
    for (requested, expect) in [
        (None, vec![(0, 0), (1, sent.len() as i64)]),
        (Some(("a", vec![1])), vec![(1, sent.len() as i64)]),
        (Some(("a", vec![7])), vec![]),
        (Some(("missing", vec![0])), vec![]),
    ] {
        let topic = |(topic, partitions): (&str, Vec<i32>)| DescribableLogDirTopic { topic: text(topic), partitions };
        let request = DescribeLogDirsRequest { topics: requested.map(|requested| vec![topic(requested)]) };
        let answer = fixture.client.call(request).await.unwrap();
        let partitions = answer.results[0].topics.iter().flat_map(|topic| &topic.partitions);
        let found: Vec<_> = partitions.map(|one| (one.partition_index, one.partition_size)).collect();
        assert_eq!(found, expect);
    }
}
