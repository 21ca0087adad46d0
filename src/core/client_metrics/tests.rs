use std::sync::Arc;
use std::time::Duration;

use super::*;
use ottla_wire::types::Uuid;

const SECOND: Duration = Duration::from_secs(1);

fn client(id: u8) -> Client {
    Client {
        instance_id: Uuid([id; 16]),
        client_id: Some("orders-1".to_owned()),
        software_name: Some("apache-kafka-java".to_owned()),
        software_version: Some("4.0.0".to_owned()),
        source_address: "10.0.0.7".to_owned(),
        source_port: 4711,
    }
}

/// Settings of subscriptions: name, and settings such as `metrics=*`, of which the value may have further `=`.
fn settings(subscriptions: &[(&str, &[&str])]) -> SubscriptionSettings {
    let pair = |text: &&str| text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    let read = |(name, given): &(&str, &[&str])| (Arc::from(*name), Arc::new(given.iter().filter_map(pair).collect()));
    Arc::new(subscriptions.iter().map(read).collect())
}

fn instances(subscriptions: &[(&str, &[&str])]) -> ClientInstances {
    let mut instances = ClientInstances::default();
    instances.set_subscriptions(&settings(subscriptions));
    instances
}

fn push(subscription_id: i32) -> Push {
    Push { subscription_id, terminating: false, compression_type: 0, bytes: 10, max_bytes: 10 }
}

#[test]
fn subscriptions_that_match_a_client_are_united() {
    let check = |subscriptions: &[(&str, &[&str])], expect: (i32, &[&str])| {
        let found = instances(subscriptions).subscription(SECOND, &client(9), 1).unwrap();
        let names: Vec<&str> = found.metrics.iter().map(String::as_str).collect();
        assert_eq!((found.push_interval_ms, &names[..]), expect, "{subscriptions:?}");
    };
    check(&[], (300_000, &[]));
    check(&[("a", &["metrics=org.b,org.a"])], (300_000, &["org.a", "org.b"]));
    check(&[("a", &["metrics=x", "interval.ms=500"]), ("b", &["metrics=y,x"])], (500, &["x", "y"]));
    check(&[("a", &["metrics=x"]), ("b", &["metrics=*", "interval.ms=3600000"])], (300_000, &["*"]));
    check(&[("a", &["metrics=x", "match=client_id=orders"])], (300_000, &[]));
    let all = "match=client_id=orders-[0-9],client_software_name=.*java,client_software_version=4.*,\
               client_source_address=10.0.0.7,client_source_port=4711,client_instance_id=CQkJCQkJCQkJCQkJCQkJCQ";
    check(&[("a", &["metrics=x", all])], (300_000, &["x"]));
    check(&[("a", &["metrics=x", "match=client_id=orders-1,client_software_name=rust"])], (300_000, &[]));
    check(&[("a", &["metrics=x", "match=client_id=(?<=x)y"])], (300_000, &[]));
}

#[test]
fn client_without_a_property_does_not_match_a_pattern_for_it() {
    let nameless = Client { client_id: None, software_name: None, ..client(9) };
    for property in ["client_id", "client_software_name"] {
        let pattern = format!("match={property}=.*");
        let found = instances(&[("a", &["metrics=x", &pattern])]).subscription(SECOND, &nameless, 1).unwrap();
        assert!(found.metrics.is_empty());
    }
}

#[test]
fn subscription_id_depends_on_the_client_and_what_it_pushes_only() {
    let id = |subscriptions: &[(&str, &[&str])], of: u8| {
        instances(subscriptions).subscription(SECOND, &client(of), 1).unwrap().subscription_id
    };
    let first = id(&[("a", &["metrics=x,y"])], 9);
    assert_eq!(first, id(&[("b", &["metrics=y"]), ("c", &["metrics=x"])], 9));
    assert_ne!(first, id(&[("a", &["metrics=x,y", "interval.ms=1000"])], 9));
    assert_ne!(first, id(&[("a", &["metrics=x"])], 9));
    let client = Client { instance_id: Uuid([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]), ..client(9) };
    assert_ne!(first, instances(&[("a", &["metrics=x,y"])]).subscription(SECOND, &client, 1).unwrap().subscription_id);
}

#[test]
fn question_before_the_next_push_is_throttled() {
    let mut instances = instances(&[("a", &["metrics=x", "interval.ms=10000"])]);
    let first = instances.subscription(SECOND, &client(9), 1).unwrap();
    assert_eq!(instances.subscription(10 * SECOND, &client(9), 1), Err(Throttled));
    assert_eq!(instances.subscription(11 * SECOND, &client(9), 1), Ok(first.clone()));
    assert!(instances.push(12 * SECOND, &client(9), 1, &push(first.subscription_id)).is_ok());
    assert_eq!(instances.subscription(21 * SECOND, &client(9), 1), Err(Throttled));
    // Another client is not affected.
    assert!(instances.subscription(21 * SECOND, &client(8), 2).is_ok());
}

#[test]
fn changed_subscription_is_returned_at_once() {
    let mut instances = instances(&[("a", &["metrics=x"])]);
    let first = instances.subscription(SECOND, &client(9), 1).unwrap();
    instances.set_subscriptions(&settings(&[("a", &["metrics=y"])]));
    assert_eq!(
        instances.push(2 * SECOND, &client(9), 1, &push(first.subscription_id)),
        Err(PushRefused::UnknownSubscriptionId)
    );
    let second = instances.subscription(3 * SECOND, &client(9), 1).unwrap();
    assert_eq!(second.metrics[..], ["y"]);
    assert!(instances.push(4 * SECOND, &client(9), 1, &push(second.subscription_id)).is_ok());
    // Settings that are equal are not a change.
    instances.set_subscriptions(&settings(&[("a", &["metrics=y"])]));
    assert_eq!(instances.subscription(5 * SECOND, &client(9), 1), Err(Throttled));
}

#[test]
fn push_is_due_after_the_question_and_then_after_each_interval() {
    let mut instances = instances(&[("a", &["metrics=x", "interval.ms=10000"])]);
    let id = instances.subscription(SECOND, &client(9), 1).unwrap().subscription_id;
    let mut pushed = |at: u32| instances.push(at * SECOND, &client(9), 1, &push(id));
    let lifetime = Duration::from_secs(60);
    assert_eq!(pushed(2), Ok(lifetime));
    assert_eq!(pushed(11), Err(PushRefused::Throttled));
    assert_eq!(pushed(12), Ok(lifetime));
    assert_eq!(pushed(13), Err(PushRefused::Throttled));
}

#[test]
fn push_to_a_broker_that_does_not_know_the_client_is_accepted() {
    let subscriptions: &[(&str, &[&str])] = &[("a", &["metrics=x"])];
    let id = instances(subscriptions).subscription(SECOND, &client(9), 1).unwrap().subscription_id;
    assert_eq!(instances(subscriptions).push(SECOND, &client(9), 1, &push(id)), Ok(900 * SECOND));
}

#[test]
fn last_push_may_come_early_and_none_follows_it() {
    let mut instances = instances(&[("a", &["metrics=x"])]);
    let id = instances.subscription(SECOND, &client(9), 1).unwrap().subscription_id;
    assert!(instances.push(SECOND, &client(9), 1, &push(id)).is_ok());
    let last = Push { terminating: true, ..push(id) };
    assert!(instances.push(2 * SECOND, &client(9), 1, &last).is_ok());
    assert_eq!(instances.push(900 * SECOND, &client(9), 1, &last), Err(PushRefused::InvalidRequest));
}

#[test]
fn wrong_push_is_refused() {
    let check = |change: fn(&mut Push), expect| {
        let mut instances = instances(&[("a", &["metrics=x"])]);
        let id = instances.subscription(SECOND, &client(9), 1).unwrap().subscription_id;
        let mut wrong = push(id);
        change(&mut wrong);
        assert_eq!(instances.push(SECOND, &client(9), 1, &wrong), Err(expect));
    };
    check(|push| push.subscription_id += 1, PushRefused::UnknownSubscriptionId);
    check(|push| push.compression_type = 5, PushRefused::UnsupportedCompression);
    check(|push| push.compression_type = -1, PushRefused::UnsupportedCompression);
    check(|push| push.bytes = 11, PushRefused::TooLarge);
    let mut instances = ClientInstances::default();
    for reserved in [Uuid::ZERO, Uuid::METADATA] {
        let client = Client { instance_id: reserved, ..client(9) };
        assert_eq!(instances.push(SECOND, &client, 1, &push(0)), Err(PushRefused::InvalidRequest));
    }
    assert_eq!(instances.count(SECOND), 0);
}

#[test]
fn question_after_a_wrong_push_is_answered_at_once() {
    let mut instances = instances(&[("a", &["metrics=x"])]);
    let id = instances.subscription(SECOND, &client(9), 1).unwrap().subscription_id;
    assert!(instances.push(SECOND, &client(9), 1, &Push { compression_type: 9, ..push(id) }).is_err());
    assert!(instances.subscription(SECOND, &client(9), 1).is_ok());
    assert_eq!(instances.subscription(SECOND, &client(9), 1), Err(Throttled));
}

#[test]
fn instance_is_forgotten_with_its_connection_and_after_three_intervals() {
    let mut instances = instances(&[("a", &["metrics=x", "interval.ms=30000"])]);
    assert!(instances.subscription(SECOND, &client(9), 1).is_ok());
    instances.disconnected(2);
    assert_eq!(instances.subscription(2 * SECOND, &client(9), 1), Err(Throttled));
    instances.disconnected(1);
    assert_eq!(instances.count(2 * SECOND), 0);
    assert!(instances.subscription(2 * SECOND, &client(9), 3).is_ok());
    assert_eq!((instances.count(91 * SECOND), instances.count(92 * SECOND)), (1, 0));
    // It expires even if it was not removed yet.
    assert!(instances.subscription(92 * SECOND, &client(9), 3).is_ok());
}

#[test]
fn instances_are_bounded_and_the_one_used_least_recently_is_forgotten_first() {
    let mut instances = ClientInstances::with_capacity(2);
    for id in [1, 2] {
        assert!(instances.subscription(SECOND, &client(id), id.into()).is_ok());
    }
    assert_eq!(instances.subscription(2 * SECOND, &client(1), 1), Err(Throttled));
    assert!(instances.subscription(3 * SECOND, &client(3), 3).is_ok());
    assert_eq!(instances.count(3 * SECOND), 2);
    assert_eq!(instances.subscription(4 * SECOND, &client(1), 1), Err(Throttled));
    assert!(instances.subscription(4 * SECOND, &client(2), 2).is_ok());
}
