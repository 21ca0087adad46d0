use core::net::{IpAddr, Ipv4Addr};
use std::collections::HashMap;
use std::sync::Arc;

use super::meters::{MAX_SENSORS, SENSOR_EXPIRY_MS, Sensors};
use super::*;

/// Values that Kafka's own classes computed: one sequence of events for each kind, windows and bound.
const OF_KAFKA: &str = include_str!("kafka-4.3.1.tsv");

/// `quota.window.*` by default.
const DEFAULT: Windows = Windows { samples: 11, window_ms: 1_000 };

/// An entity: types and names.
type Entity<'a> = &'a [(&'a str, Option<&'a str>)];

fn limits(quotas: &[(Entity, &str, f64)]) -> QuotaLimits {
    let owned = |entity: Entity| {
        entity.iter().map(|(kind, name)| (kind.to_string(), name.map(str::to_owned))).collect::<Vec<_>>()
    };
    let quotas: Vec<_> = quotas.iter().map(|(entity, key, value)| (owned(entity), *key, *value)).collect();
    QuotaLimits::new(quotas.iter().map(|(entity, key, value)| (entity.as_slice(), *key, *value)))
}

#[test]
fn rates_token_buckets_and_throttle_times_are_those_of_kafkas_classes() {
    let mut rates: HashMap<String, Rate> = HashMap::new();
    let mut buckets: HashMap<String, TokenBucket> = HashMap::new();
    let (mut compared, mut throttled) = (0, 0);
    for line in OF_KAFKA.lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        let [kind, samples, window_ms, bound, at_ms, value, measured, throttle_ms] = columns[..] else {
            panic!("{line}")
        };
        let windows = Windows { samples: samples.parse().unwrap(), window_ms: window_ms.parse().unwrap() };
        let (bound, value): (f64, f64) = (bound.parse().unwrap(), value.parse().unwrap());
        let (now, measured): (i64, f64) = (at_ms.parse().unwrap(), measured.parse().unwrap());
        let sequence = [kind, samples, window_ms, columns[3]].join(" ");
        let ours = match kind {
            "rate" => {
                let rate = rates.entry(sequence).or_default();
                rate.record(windows, value, now);
                (rate.measure(windows, now), rate.throttle_ms(windows, bound, now))
            }
            _ => {
                let bucket = buckets.entry(sequence).or_default();
                bucket.record(windows, bound, value, now);
                (bucket.measure(windows, bound, now), bucket.throttle_ms(windows, bound, now))
            }
        };
        assert_eq!(ours, (measured, throttle_ms.parse().unwrap()), "{line}");
        compared += 1;
        throttled += i32::from(ours.1 > 0);
    }
    assert_eq!((compared, throttled), (640, 338));
}

#[test]
fn most_specific_quota_of_user_and_client_id_applies() {
    let key = QuotaType::Produce.key();
    let (alice, bob) = (Some("alice"), Some("bob"));
    let limits = limits(&[
        (&[(USER, alice), (CLIENT_ID, Some("a"))], key, 1.0),
        (&[(USER, alice), (CLIENT_ID, None)], key, 2.0),
        (&[(USER, bob)], key, 3.0),
        (&[(USER, None), (CLIENT_ID, Some("c"))], key, 4.0),
        (&[(USER, None), (CLIENT_ID, None)], key, 5.0),
        (&[(USER, None)], key, 6.0),
        (&[(CLIENT_ID, Some("d"))], key, 7.0),
        (&[(CLIENT_ID, None)], key, 8.0),
        (&[(CLIENT_ID, None)], QuotaType::Fetch.key(), 9.0),
    ]);
    let applicable = |user, client_id| {
        let found = limits.of(QuotaType::Produce).applicable(user, client_id);
        (found.user.to_owned(), found.client_id.to_owned(), found.limit)
    };
    let expected = |user: &str, client_id: &str, limit| (user.to_owned(), client_id.to_owned(), limit);
    assert_eq!(applicable("alice", "a"), expected("alice", "a", Some(1.0)));
    assert_eq!(applicable("alice", "b"), expected("alice", "b", Some(2.0)));
    assert_eq!(applicable("bob", "a"), expected("bob", "", Some(3.0)), "all clients of the user share its quota");
    assert_eq!(applicable("carol", "c"), expected("carol", "c", Some(4.0)));
    assert_eq!(applicable("carol", "d"), expected("carol", "d", Some(5.0)));
    assert_eq!(applicable("carol", ""), expected("carol", "", Some(6.0)));
    let of_clients = limits.of(QuotaType::Fetch);
    assert_eq!(of_clients.applicable("alice", "a").limit, Some(9.0));
    assert_eq!(of_clients.applicable("alice", "").limit, None, "a client without an id has no client quota");
    assert!(limits.of(QuotaType::Request).is_empty());
}

#[test]
fn quotas_of_client_ids_apply_to_all_users_together() {
    let limits = limits(&[
        (&[(CLIENT_ID, Some("d"))], "consumer_byte_rate", 7.0),
        (&[(CLIENT_ID, None)], "consumer_byte_rate", 8.0),
        (&[(CLIENT_ID, None)], "nonsense", 8.0),
        (&[(IP, None)], "consumer_byte_rate", 8.0),
        (&[(IP, Some("10.0.0.1"))], CONNECTION_CREATION_RATE, 5.0),
        (&[(IP, None)], CONNECTION_CREATION_RATE, 6.0),
    ]);
    let fetch = limits.of(QuotaType::Fetch);
    assert_eq!((fetch.applicable("u", "d").user, fetch.applicable("u", "d").limit), ("", Some(7.0)));
    assert_eq!(fetch.applicable("u", "e").limit, Some(8.0));
    assert_eq!(*limits.ips(), IpLimits { named: vec![("10.0.0.1".to_owned(), 5.0)], default: Some(6.0) });
}

#[test]
fn clients_of_a_user_are_throttled_together_and_others_not_at_all() {
    let limits = limits(&[(&[(USER, Some("u"))], "producer_byte_rate", 1_000.0)]);
    let produce = limits.of(QuotaType::Produce);
    let mut meters = ByteMeters::new(DEFAULT, None);
    assert_eq!(meters.record(produce, ("u", "a"), 10_000.0, 0), 0, "a burst as large as all windows but one");
    assert_eq!(meters.record(produce, ("u", "b"), 2_000.0, 0), 2_000);
    assert_eq!(meters.record(produce, ("v", "a"), 1e12, 0), 0);
    assert_eq!(meters.max_value(produce, ("u", "a")), Some(10_000.0));
    assert_eq!(meters.max_value(produce, ("v", "a")), None);
    meters.unrecord(produce, ("u", "a"), 2_000.0, 0);
    assert_eq!(meters.record(produce, ("u", "a"), 0.0, 0), 0);
}

#[test]
fn throttle_time_of_handler_time_is_at_most_one_window() {
    let limits = limits(&[(&[(CLIENT_ID, Some("a"))], "request_percentage", 1.0)]);
    let request = limits.of(QuotaType::Request);
    let mut meters = ByteMeters::new(DEFAULT, Some(DEFAULT.window_ms));
    assert_eq!(meters.record(request, ("u", "a"), 500.0, 0), 1_000);
}

#[test]
fn strict_mutation_quota_refuses_while_tokens_are_missing() {
    let limits = limits(&[(&[(USER, Some("u"))], "controller_mutation_rate", 1.0)]);
    let (mutations, client) = (limits.of(QuotaType::ControllerMutation), ("u", "a"));
    let mut meters = MutationMeters::new(DEFAULT);
    assert_eq!(meters.record(mutations, client, Permits::Strict, 15, 0), Ok(0), "more than the burst, once");
    assert_eq!(meters.record(mutations, client, Permits::Strict, 1, 0), Err(4_000));
    assert_eq!(meters.record(mutations, client, Permits::Strict, 1, 3_999), Err(1));
    assert_eq!(meters.record(mutations, client, Permits::Strict, 1, 4_000), Ok(0));
    assert_eq!(meters.record(mutations, ("v", "a"), Permits::Strict, 1_000, 4_000), Ok(0));
}

#[test]
fn permissive_mutation_quota_permits_everything_and_throttles() {
    let limits = limits(&[(&[(USER, Some("u"))], "controller_mutation_rate", 1.0)]);
    let (mutations, client) = (limits.of(QuotaType::ControllerMutation), ("u", "a"));
    let mut meters = MutationMeters::new(DEFAULT);
    assert_eq!(meters.record(mutations, client, Permits::Permissive, 11, 0), Ok(0));
    assert_eq!(meters.record(mutations, client, Permits::Permissive, 2, 0), Ok(2_000));
    assert_eq!(meters.record(mutations, client, Permits::Permissive, 2, 500), Ok(3_500));
}

#[test]
fn sensors_are_bounded_and_unused_ones_expire() {
    let mut sensors: Sensors<Rate> = Sensors::default();
    let names = |n: usize| format!("client-{n}");
    for n in 0..MAX_SENSORS + 5 {
        sensors.get(names(n), n as i64).record(DEFAULT, 1.0, n as i64);
    }
    assert_eq!(sensors.len(), MAX_SENSORS);
    let now = (MAX_SENSORS + 5) as i64;
    assert_eq!(sensors.get(names(5), now).measure(DEFAULT, now), 0.1, "the least recently used ones were removed");
    assert_eq!(sensors.get(names(4), now).measure(DEFAULT, now), 0.0);
    sensors.get(names(1), now + SENSOR_EXPIRY_MS);
    assert_eq!(sensors.len(), 1);
}

#[test]
fn new_connections_above_the_rates_of_broker_and_listener_wait() {
    let mut rates = ConnectionRates::new(DEFAULT);
    let (internal, external): (Arc<str>, Arc<str>) = ("INTERNAL".into(), "EXTERNAL".into());
    rates.set_limits(10.0, HashMap::from([(Arc::clone(&internal), 2.0)]));
    let waits: Vec<i64> = (0..21).map(|_| rates.record(&internal, 0)).collect();
    assert_eq!((waits.iter().position(|wait| *wait > 0), waits[20]), (Some(20), 500), "20 in 10 s");
    let waits: Vec<i64> = (0..100).map(|_| rates.record(&external, 0)).collect();
    assert_eq!((waits.iter().position(|wait| *wait > 0), waits[99]), (Some(79), 1_000), "100 in 10 s");
    rates.set_limits(NO_CONNECTION_RATE, HashMap::new());
    assert_eq!(rates.record(&internal, 0), 0);
}

#[test]
fn throttled_connection_of_an_address_counts_for_nothing() {
    let mut rates = ConnectionRates::new(DEFAULT);
    let listener: Arc<str> = "PLAINTEXT".into();
    let (limited, other) = (IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V4(Ipv4Addr::BROADCAST));
    rates.set_limits(3.0, HashMap::new());
    rates.set_ip_limits(HashMap::from([(limited, 1.0)]), None);
    for _ in 0..10 {
        assert_eq!((rates.record(&listener, 0), rates.record_ip(&listener, limited, 0)), (0, Ok(())));
    }
    for _ in 0..100 {
        assert_eq!((rates.record(&listener, 0), rates.record_ip(&listener, limited, 0)), (0, Err(1_000)));
    }
    for _ in 0..20 {
        assert_eq!((rates.record(&listener, 0), rates.record_ip(&listener, other, 0)), (0, Ok(())));
    }
    assert!(rates.record(&listener, 0) > 0);
    rates.set_ip_limits(HashMap::new(), Some(1.0));
    assert_eq!(rates.record_ip(&listener, limited, 11_000), Ok(()));
}

#[test]
fn rates_are_listed_with_the_names_to_which_quotas_apply() {
    let key = QuotaType::Produce.key();
    let limits = limits(&[(&[("client-id", Some("app"))], key, 1_000.0), (&[("user", Some("bob"))], key, 1_000.0)]);
    let mut meters = ByteMeters::new(DEFAULT, None);
    for client in [("bob", "other"), ("ann", "app")] {
        meters.record(limits.of(QuotaType::Produce), client, 1_000.0, 0);
    }
    let uses = meters.uses(0);
    let shown: Vec<_> = uses.iter().map(|it| format!("{}/{} {}", it.user, it.client_id, it.rate)).collect();
    assert_eq!(shown, ["/app 100", "bob/ 100"]);
}

#[test]
fn throttle_time_of_a_client_is_the_mean_of_those_that_throttled_it() {
    let limits = limits(&[(&[("client-id", Some("app"))], QuotaType::Produce.key(), 1_000.0)]);
    let limits = limits.of(QuotaType::Produce);
    let mut meters = ByteMeters::new(DEFAULT, None);
    let throttled = |meters: &mut ByteMeters, now| meters.uses(now).first().map(|it| it.throttle_ms);
    assert_eq!(meters.record(limits, ("", "app"), 1_000.0, 0), 0);
    assert_eq!(throttled(&mut meters, 0), Some(0.0));
    let first = meters.record(limits, ("", "app"), 20_000.0, 0);
    let second = meters.record(limits, ("", "app"), 20_000.0, 0);
    assert!(first > 0 && second > first, "{first} {second}");
    assert_eq!(throttled(&mut meters, 0), Some((first + second) as f64 / 2.0));
    assert_eq!(throttled(&mut meters, 60_000), Some(0.0));
}
