//! The driver in simulated time on a simulated disk, and with threads.

use super::*;
use crate::clock::Clock;
use crate::environment::Environment;
use crate::log_rate_limiter::LogRateLimiter;
use crate::state::loggers::NoLoggers;
use crate::testing::{Host, Running};
use ottla_config::{BindAddress, BindHost, Sources, load};
use ottla_core::metadata::{DeleteTopics, MutationQuota, TopicRef};
use ottla_log::Origin;
use ottla_registry::validation::Schemas as _;
use ottla_wire::record::{BatchBuilder, Codec};

const TOPIC: &str = "_schemas";

fn config() -> RegistryConfig {
    RegistryConfig {
        bind: BindAddress { host: BindHost::Any, port: 0 },
        is_optional: false,
        allowed_hosts: Vec::new(),
        users: Vec::new(),
        scram_users: Vec::new(),
        tls: None,
        topic: TOPIC.to_owned(),
        compatibility_level: "backward".to_owned(),
        mode_mutability: true,
    }
}

fn registry(running: &Running) -> SchemaRegistry {
    SchemaRegistry::new(&running.broker, &config())
}

/// Sends a request such as `GET /subjects`. Returns the status and the body of the response.
async fn call(registry: &SchemaRegistry, line: &str, body: &str) -> (u16, String) {
    let (method, path) = line.split_once(' ').unwrap();
    let request = OwnedRequest {
        method: method.to_owned(),
        path: path.to_owned(),
        body: body.as_bytes().to_vec(),
        ..OwnedRequest::default()
    };
    let response = registry.respond(request).await;
    (response.status, response.body)
}

/// Registers a schema and returns its id.
async fn register(registry: &SchemaRegistry, subject: &str, schema: &str) -> u32 {
    let body = serde_json::json!({ "schema": schema }).to_string();
    let (status, body) = call(registry, &format!("POST /subjects/{subject}/versions"), &body).await;
    assert_eq!(status, 200, "{body}");
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    u32::try_from(body["id"].as_u64().unwrap()).unwrap()
}

async fn subjects(registry: &SchemaRegistry) -> String {
    let (status, body) = call(registry, "GET /subjects", "").await;
    assert_eq!(status, 200, "{body}");
    body
}

fn partition(broker: &Broker) -> Arc<Partition> {
    Arc::clone(broker.cluster().partition(TOPIC, 0).unwrap())
}

/// Appends records as another client would.
fn append(broker: &Broker, codec: Codec, records: &[(&str, Option<&str>)]) {
    let mut batch = BatchBuilder::new(codec);
    for (key, value) in records {
        batch.append(1, Some(key.as_bytes()), value.map(str::as_bytes), &[]);
    }
    partition(broker).append(&batch.build().unwrap(), Origin::Client, 1).unwrap();
}

async fn create(broker: &Arc<Broker>, partitions: i32) {
    let topic = NewTopic { partitions, ..NewTopic::new(TOPIC, broker.new_uuid()) };
    broker.create_topic(topic, TopicCause::ADMIN_PORT).await.unwrap();
}

async fn delete(broker: &Arc<Broker>) {
    let topics = vec![TopicRef::Name(TOPIC.into())];
    let deleted = broker.metadata().submit(DeleteTopics { topics, quota: MutationQuota::default() }).await.unwrap();
    assert!(deleted[0].result.is_ok());
}

const KEY: &str = r#"{"keytype":"SCHEMA","subject":"other","version":1,"magic":1}"#;
const VALUE: &str = r#"{"subject":"other","version":1,"id":7,"schema":"\"bytes\"","deleted":false}"#;
const NOOP: &str = r#"{"keytype":"NOOP","magic":0}"#;

#[test]
fn topic_is_created_by_the_first_record_and_not_by_reads() {
    let mut host = Host::new(1, &[]);
    host.run(async |running| {
        let registry = registry(running);
        registry.load().await;
        assert_eq!(subjects(&registry).await, "[]");
        assert_eq!(call(&registry, "GET /schemas/ids/1", "").await.0, 404);
        assert!(running.broker.cluster().topic(TOPIC).is_none());
        assert_eq!(register(&registry, "s", r#""int""#).await, 1);
        let cluster = running.broker.cluster();
        let topic = cluster.topic(TOPIC).unwrap();
        assert!(topic.config.cleanup_policy.compact && !topic.config.cleanup_policy.delete);
        assert_eq!(topic.image.partition_count(), 1);
    })
    .unwrap();
}

#[test]
fn state_after_a_kill_is_the_one_before_it() {
    let mut host = Host::new(2, &[]);
    host.run(async |running| {
        let registry = registry(running);
        assert_eq!(register(&registry, "a", r#""int""#).await, 1);
        assert_eq!(register(&registry, "b", r#""string""#).await, 2);
        assert_eq!(register(&registry, "a", r#""int""#).await, 1);
    })
    .unwrap();
    host.run(async |running| {
        let registry = registry(running);
        registry.load().await;
        assert_eq!(subjects(&registry).await, r#"["a","b"]"#);
        assert_eq!(register(&registry, "c", r#""string""#).await, 2);
        assert_eq!(register(&registry, "e", r#""int""#).await, 1);
        assert_eq!(register(&registry, "d", r#""long""#).await, 3);
    })
    .unwrap();
}

#[test]
fn records_of_others_are_seen_and_unreadable_ones_are_skipped() {
    let mut host = Host::new(3, &[]);
    host.run(async |running| {
        let registry = registry(running);
        assert_eq!(register(&registry, "s", r#""int""#).await, 1);
        for codec in [Codec::None, Codec::Gzip] {
            append(&running.broker, codec, &[(NOOP, None), ("{", Some("{}")), (KEY, Some(VALUE)), (KEY, Some("x"))]);
            assert_eq!(subjects(&registry).await, r#"["other","s"]"#);
        }
        assert_eq!(register(&registry, "s2", r#""bytes""#).await, 7);
        assert_eq!(register(&registry, "s3", r#""long""#).await, 8);
    })
    .unwrap();
}

#[test]
fn deleted_topic_is_an_empty_registry_and_one_made_again_begins_at_id_1() {
    let mut host = Host::new(4, &[]);
    host.run(async |running| {
        let registry = registry(running);
        assert_eq!(register(&registry, "s", r#""int""#).await, 1);
        delete(&running.broker).await;
        assert_eq!(subjects(&registry).await, "[]");
        assert_eq!(register(&registry, "t", r#""long""#).await, 1);
        delete(&running.broker).await;
        create(&running.broker, 1).await;
        append(&running.broker, Codec::None, &[(KEY, Some(VALUE))]);
        assert_eq!(subjects(&registry).await, r#"["other"]"#);
        Arc::clone(&running.broker).reset().await.unwrap();
        assert_eq!(subjects(&registry).await, "[]");
        assert_eq!(register(&registry, "t", r#""long""#).await, 1);
    })
    .unwrap();
}

/// During a deletion, the view that requests see has the topic for a moment longer.
#[test]
fn deleted_partition_that_is_still_published_is_a_missing_topic() {
    let mut host = Host::new(8, &[]);
    host.run(async |running| {
        let registry = registry(running);
        assert_eq!(register(&registry, "s", r#""int""#).await, 1);
        drop(partition(&running.broker).delete(running.broker.new_uuid()).unwrap().unwrap());
        assert_eq!(subjects(&registry).await, "[]");
        let (status, body) = call(&registry, "POST /subjects/s/versions", r#"{"schema":"\"int\""}"#).await;
        let expect = r#"{"error_code":50001,"message":"the topic _schemas is deleted all the time"}"#;
        assert_eq!((status, body.as_str()), (500, expect));
    })
    .unwrap();
}

#[test]
fn failed_append_is_an_error_and_its_id_is_given_to_the_next_schema() {
    let mut host = Host::new(5, &[]);
    let disk = host.disk.clone();
    host.run(async |running| {
        let registry = registry(running);
        assert_eq!(register(&registry, "s", r#""int""#).await, 1);
        disk.fail_after_changes(Some(0));
        let body = r#"{"schema":"\"long\""}"#;
        let (status, response) = call(&registry, "POST /subjects/t/versions", body).await;
        assert!(status == 500 && response.starts_with(r#"{"error_code":50001,"#), "{status} {response}");
        disk.fail_after_changes(None);
        running.sleep(std::time::Duration::from_secs(60)).await;
        assert_eq!(subjects(&registry).await, r#"["s"]"#);
        assert_eq!(register(&registry, "u", r#""bytes""#).await, 2);
    })
    .unwrap();
}

#[test]
fn topic_with_two_partitions_is_an_error() {
    let mut host = Host::new(6, &[]);
    host.run(async |running| {
        create(&running.broker, 2).await;
        let (status, body) = call(&registry(running), "GET /subjects", "").await;
        let expect = r#"{"error_code":50001,"message":"the topic _schemas must have one partition, and has 2"}"#;
        assert_eq!((status, body.as_str()), (500, expect));
    })
    .unwrap();
}

#[test]
fn response_waits_for_the_sync_that_the_topic_requires() {
    let mut host = Host::new(7, &[("log.flush.interval.messages", "1")]);
    let disk = host.disk.clone();
    host.run(async |running| {
        let registry = registry(running);
        assert_eq!(register(&registry, "s", r#""int""#).await, 1);
        let before = disk.syncs();
        assert_eq!(register(&registry, "t", r#""long""#).await, 2);
        assert!(disk.syncs() > before);
    })
    .unwrap();
}

/// Two drivers write to one topic: each often finds that the log has grown since it was replayed.
#[test]
fn concurrent_registries_give_each_schema_one_id() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().display().to_string();
    let sources = Sources { command_line: vec![("log.dirs".to_owned(), data)], ..Sources::default() };
    let broker_config = load(&sources).unwrap().config;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    let ids = runtime.block_on(async {
        let clock = Clock::start();
        let (environment, limiter) = (Environment::system(clock), LogRateLimiter::new(clock));
        let broker = Broker::open(broker_config, environment, Vec::new(), Arc::new(NoLoggers), limiter).await.unwrap();
        let registries = [(); 4].map(|()| Arc::new(SchemaRegistry::new(&broker, &config())));
        let mut tasks = tokio::task::JoinSet::new();
        for task in 0..400_u32 {
            let registry = Arc::clone(&registries[task as usize % 4]);
            tasks.spawn(async move {
                // Each schema is registered by four tasks, one of each registry.
                let schema = format!(r#"{{"type":"fixed","name":"F","size":{}}}"#, task / 4 + 1);
                (task / 4, register(&registry, &format!("s{}", task / 4), &schema).await)
            });
        }
        let ids = tasks.join_all().await;
        broker.close().unwrap();
        ids
    });
    let by_schema: std::collections::BTreeMap<u32, u32> = ids.iter().copied().collect();
    assert!(ids.iter().all(|(schema, id)| by_schema[schema] == *id), "{ids:?}");
    let mut given: Vec<u32> = by_schema.into_values().collect();
    given.sort_unstable();
    assert_eq!(given, (1..=100).collect::<Vec<u32>>());
}

/// Whether the schema with an id is registered under the subject `s`, or why that is not known.
fn is_known(registry: &SchemaRegistry, id: i32) -> Result<bool, NotCurrent> {
    Ok(registry.current_schemas()?.index().is_valid_id("s", id))
}

#[test]
fn requests_that_read_do_not_wait_for_one_that_compares() {
    let mut host = Host::new(8, &[]);
    host.run(async |running| {
        let registry = registry(running);
        assert_eq!(register(&registry, "s", r#""int""#).await, 1);
        // A comparison holds its turn and its snapshot.
        let comparing =
            OwnedRequest { method: "POST".to_owned(), path: "/subjects/s/versions".into(), ..Default::default() };
        let turn = registry.turns.of(Some(&comparing)).await;
        let snapshot = registry.replica.snapshot().unwrap();
        assert_eq!(call(&registry, "GET /schemas/ids/1", "").await.0, 200);
        assert_eq!(call(&registry, "GET /subjects/s/versions", "").await, (200, "[1]".to_owned()));
        assert_eq!(call(&registry, "POST /subjects/s", r#"{"schema":"\"int\""}"#).await.0, 200);
        assert_eq!(is_known(&registry, 1), Ok(true));
        // What others write is seen, and does not change what is compared.
        append(&running.broker, Codec::None, &[(KEY, Some(VALUE))]);
        assert_eq!(subjects(&registry).await, r#"["other","s"]"#);
        assert_eq!(snapshot.state().subjects().len(), 1);
        // Requests that write wait.
        let clock = running.broker.clock();
        let waiting = register(&registry, "s2", r#""bytes""#);
        let mut waiting = std::pin::pin!(waiting);
        assert!(clock.timeout(std::time::Duration::from_secs(5), waiting.as_mut()).await.is_none());
        drop(turn);
        assert_eq!(waiting.await, 7);
    })
    .unwrap();
}

#[test]
fn schemas_for_records_are_those_up_to_the_end_of_the_topic() {
    let mut host = Host::new(9, &[]);
    host.run(async |running| {
        let registry = registry(running);
        assert_eq!(is_known(&registry, 1), Err(NotCurrent::Loading), "nothing is read yet");
        registry.load().await;
        assert_eq!(is_known(&registry, 1), Ok(false), "there is no topic");
        assert_eq!(register(&registry, "s", r#""int""#).await, 1);
        assert_eq!(is_known(&registry, 1), Ok(true));
        // What another registry has written.
        let (key, value) = (KEY.replace("other", "s").replace("1", "2"), VALUE.replace("other", "s"));
        append(
            &running.broker,
            Codec::None,
            &[(&key.replace("magic\":2", "magic\":1"), Some(&value.replace("version\":1", "version\":2")))],
        );
        assert_eq!(is_known(&registry, 7), Ok(true));
        delete(&running.broker).await;
        assert_eq!(is_known(&registry, 1), Err(NotCurrent::Loading), "the topic is another one");
        running.broker.clock().sleep(std::time::Duration::from_secs(1)).await;
        assert_eq!(is_known(&registry, 1), Ok(false), "it was read in the background");
        create(&running.broker, 2).await;
        assert_eq!(is_known(&registry, 1), Err(NotCurrent::Unreadable));
    })
    .unwrap();
}

#[test]
fn schemas_for_records_come_back_after_a_restart() {
    let mut host = Host::new(10, &[]);
    host.run(async |running| {
        assert_eq!(register(&registry(running), "s", r#""int""#).await, 1);
    })
    .unwrap();
    host.run(async |running| {
        let registry = registry(running);
        assert_eq!(is_known(&registry, 1), Err(NotCurrent::Loading));
        assert_eq!(is_known(&registry, 1), Err(NotCurrent::Loading));
        running.broker.clock().sleep(std::time::Duration::from_secs(1)).await;
        assert_eq!(is_known(&registry, 1), Ok(true), "it was read in the background");
    })
    .unwrap();
}
