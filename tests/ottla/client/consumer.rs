//! The client's consumer: failures from which it recovers, and errors that it returns.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use common::Broker;
use ottla::client::Client;
use ottla::client::consumer::{Consumer, ConsumerConfig, ConsumerError, Event, Topics};
use ottla_wire::record::{BatchBuilder, Codec};
use ottla_wire::types::{ErrorCode, TopicPartition};

/// Far longer than any wait here takes.
const TIMEOUT: Duration = Duration::from_secs(30);

async fn consumer(broker: &Broker, settings: &[(&str, &str)]) -> Consumer {
    let mut all = BTreeMap::from([("auto.offset.reset", "earliest"), ("metadata.max.age.ms", "200")]);
    all.extend(settings.iter().copied());
    let config = ConsumerConfig::read(|name| all.get(name).copied()).unwrap();
    Consumer::new(Client::connect(broker.bootstrap_servers()).await.unwrap(), config).await.unwrap()
}

async fn produce(broker: &Broker, topic: &str, partition: i32, values: &[&str]) {
    let client = Client::connect(broker.bootstrap_servers()).await.unwrap();
    let mut batch = BatchBuilder::new(Codec::Lz4);
    values.iter().for_each(|value| batch.append(1, None, Some(value.as_bytes()), &[]));
    client.produce(topic, partition, batch.build().unwrap().bytes().clone()).await.unwrap();
}

async fn topic(broker: &Broker, name: &str, partitions: i32) {
    let client = Client::connect(broker.bootstrap_servers()).await.unwrap();
    client.create_topic(name, partitions, &[]).await.unwrap();
}

/// Polls until `done`, and returns all events.
async fn until(consumer: &mut Consumer, done: impl Fn(&[Event]) -> bool) -> Vec<Event> {
    let started = Instant::now();
    let mut events = Vec::new();
    while !done(&events) {
        assert!(started.elapsed() < TIMEOUT, "{events:?}");
        events.extend(consumer.poll(Duration::from_millis(100)).await.unwrap());
    }
    events
}

fn values(events: &[Event]) -> Vec<String> {
    let mut values = Vec::new();
    for event in events {
        let Event::Records(given) = event else { continue };
        for record in given.iter().flat_map(|given| &given.records) {
            values.push(String::from_utf8_lossy(record.record.value.as_deref().unwrap_or_default()).into_owned());
        }
    }
    values
}

async fn read(consumer: &mut Consumer, count: usize) -> Vec<String> {
    values(&until(consumer, |events| values(events).len() >= count).await)
}

fn assigned(events: &[Event]) -> Vec<TopicPartition> {
    let mut assigned = Vec::new();
    for event in events {
        match event {
            Event::Assigned(partitions) => assigned.extend(partitions.iter().cloned()),
            Event::Revoked(partitions) => assigned.retain(|partition| !partitions.contains(partition)),
            _ => {}
        }
    }
    assigned
}

#[tokio::test(flavor = "multi_thread")]
async fn consumer_continues_after_the_broker_is_killed_and_restarted() {
    let mut broker = Broker::start();
    topic(&broker, "t", 1).await;
    produce(&broker, "t", 0, &["a", "b"]).await;
    let mut member = consumer(&broker, &[("group.id", "g"), ("heartbeat.interval.ms", "100")]).await;
    let mut single = consumer(&broker, &[]).await;
    for consumer in [&mut member, &mut single] {
        consumer.subscribe(Topics::named("t"));
        assert_eq!(read(consumer, 2).await, ["a", "b"]);
    }
    broker.kill();
    broker.restart();
    produce(&broker, "t", 0, &["c"]).await;
    for consumer in [&mut member, &mut single] {
        assert_eq!(read(consumer, 1).await, ["c"]);
    }
    member.commit(None).await.unwrap();
    member.close().await;
    let mut next = consumer(&broker, &[("group.id", "g")]).await;
    next.subscribe(Topics::named("t"));
    produce(&broker, "t", 0, &["d"]).await;
    assert_eq!(read(&mut next, 1).await, ["d"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn subscribed_consumer_finds_new_topics_and_partitions() {
    let broker = Broker::with().set("ottla.ephemeral", "true").start();
    for (prefix, group) in [("a", None), ("b", Some(("group.id", "g")))] {
        let (old, new) = (format!("{prefix}1"), format!("{prefix}2"));
        topic(&broker, &old, 1).await;
        let mut consumer = consumer(&broker, group.as_slice()).await;
        consumer.subscribe(Topics::Matching(regex::Regex::new(&format!("^{prefix}[0-9]$")).unwrap()));
        until(&mut consumer, |events| assigned(events).len() == 1).await;
        topic(&broker, &new, 2).await;
        until(&mut consumer, |events| assigned(events).iter().filter(|it| *it.topic == *new).count() == 2).await;
        produce(&broker, &new, 1, &["new"]).await;
        assert_eq!(read(&mut consumer, 1).await, ["new"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn member_beyond_max_poll_interval_loses_its_partitions_until_it_polls() {
    let broker = Broker::with().set("ottla.ephemeral", "true").start();
    topic(&broker, "t", 2).await;
    let settings = [("group.id", "g"), ("heartbeat.interval.ms", "50"), ("max.poll.interval.ms", "300")];
    let mut idle = consumer(&broker, &settings).await;
    idle.subscribe(Topics::named("t"));
    until(&mut idle, |events| assigned(events).len() == 2).await;
    // One long poll does not count as idle.
    assert!(idle.poll(Duration::from_secs(1)).await.unwrap().is_none());
    let mut other = consumer(&broker, &[("group.id", "g"), ("heartbeat.interval.ms", "50")]).await;
    other.subscribe(Topics::named("t"));
    until(&mut other, |events| assigned(events).len() == 2).await;
    // Both poll again and share the partitions.
    let (mut of_idle, mut of_other) = (Vec::new(), Vec::new());
    let started = Instant::now();
    let shared = |of_idle: &[Event], of_other: &[Event]| {
        of_idle.iter().any(|event| matches!(event, Event::Revoked(_)))
            && assigned(of_idle).len() == 1
            && of_other.iter().any(|event| matches!(event, Event::Revoked(_)))
            && assigned(of_other).len() == 1
    };
    while !shared(&of_idle, &of_other) {
        assert!(started.elapsed() < TIMEOUT, "{of_idle:?} {of_other:?}");
        of_idle.extend(idle.poll(Duration::from_millis(20)).await.unwrap());
        of_other.extend(other.poll(Duration::from_millis(20)).await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn static_member_is_fenced_by_a_second_one_of_its_instance_id() {
    let broker = Broker::with().set("ottla.ephemeral", "true").start();
    topic(&broker, "t", 1).await;
    let settings = [("group.id", "g"), ("group.instance.id", "i"), ("heartbeat.interval.ms", "50")];
    let mut first = consumer(&broker, &settings).await;
    first.subscribe(Topics::named("t"));
    until(&mut first, |events| assigned(events).len() == 1).await;
    let mut second = consumer(&broker, &settings).await;
    second.subscribe(Topics::named("t"));
    until(&mut second, |events| assigned(events).len() == 1).await;
    let started = Instant::now();
    let error = loop {
        assert!(started.elapsed() < TIMEOUT);
        if let Err(error) = first.poll(Duration::from_millis(50)).await {
            break error;
        }
    };
    assert!(matches!(error, ConsumerError::Refused(ErrorCode::FencedInstanceId)), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn offset_beyond_the_log_follows_auto_offset_reset() {
    let broker = Broker::with().set("ottla.ephemeral", "true").start();
    topic(&broker, "t", 1).await;
    produce(&broker, "t", 0, &["a"]).await;
    let partition = TopicPartition::new("t", 0);
    let mut strict = consumer(&broker, &[("auto.offset.reset", "none")]).await;
    strict.assign(std::slice::from_ref(&partition));
    assert!(matches!(strict.poll(TIMEOUT).await, Err(ConsumerError::NoOffset(_))));
    strict.seek(&partition, ottla::client::consumer::Start::At(50));
    let error = strict.poll(TIMEOUT).await.unwrap_err();
    assert!(matches!(error, ConsumerError::OutOfRange { offset: 50, .. }), "{error}");
    let mut easy = consumer(&broker, &[]).await;
    easy.assign(std::slice::from_ref(&partition));
    easy.seek(&partition, ottla::client::consumer::Start::At(50));
    assert_eq!(read(&mut easy, 1).await, ["a"]);
}

#[tokio::test]
async fn topic_is_missing_only_once_the_broker_has_answered_so() {
    let broker = Broker::start();
    topic(&broker, "here", 1).await;
    for name in ["here", "nowhere"] {
        let mut consumer = consumer(&broker, &[("allow.auto.create.topics", "false")]).await;
        consumer.subscribe(Topics::named(name));
        assert!(!consumer.lacks_topics(), "{name}: nothing has been asked");
        let started = Instant::now();
        let mut events = Vec::new();
        while !consumer.lacks_topics() && events.is_empty() {
            assert!(started.elapsed() < TIMEOUT);
            events.extend(consumer.poll(Duration::from_millis(100)).await.unwrap());
        }
        assert_eq!(consumer.lacks_topics(), name == "nowhere", "{events:?}");
    }
}
