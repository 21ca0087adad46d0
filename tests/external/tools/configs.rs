//! kafka-configs.

use super::normalise::normalise;
use super::side_by_side::{Ran, SideBySide};
use crate::harness::trials;
use common::Broker;
use libtest_mimic::Trial;

fn side() -> SideBySide {
    SideBySide::new(Broker::with().set("ottla.ephemeral", "true").start()).normalised(normalise)
}

fn check(side: &SideBySide, arguments: &str) -> Ran {
    side.check_errors_too(&format!("kafka-configs {arguments}"))
}

fn topics() {
    let side = side();
    for name in ["a", "mine", "java"] {
        side.ours(&format!("kafka-topics --create --topic {name}"));
    }
    let check = |arguments| check(&side, arguments);
    check("--describe --topic a");
    check("--alter --topic {} --add-config retention.ms=1000,cleanup.policy=[compact,delete]");
    let set = check("--describe --topic {}").out;
    assert!(set.contains("  cleanup.policy=compact,delete sensitive=false synonyms={DYNAMIC_TOPIC_CONFIG:"), "{set}");
    check("--describe --topic {} --all");
    check("--alter --topic {} --add-config flush.ms=7 --delete-config retention.ms,cleanup.policy");
    check("--describe --entity-type topics --entity-name {}");
    check("--alter --topic a --delete-config nope");
    check("--alter --topic a --add-config nope=1");
    check("--alter --topic a --add-config retention.ms=x");
    check("--alter --topic nope --add-config retention.ms=1");
    check("--describe --topic nope");
    check("--describe --topic nope --all");
    check("--describe --topic 'x y'");
}

fn all_topics() {
    let side = side();
    for name in ["a", "b", "c.d", "orders", "payments", "a-longer-name", "clicks"] {
        side.ours(&format!("kafka-topics --create --topic {name} --config retention.ms=7"));
    }
    check(&side, "--describe --entity-type topics");
    check(&side, "--describe --entity-type topics --all");
}

fn brokers() {
    let side = side();
    let check = |arguments| check(&side, arguments);
    check("--describe --broker 1");
    check("--describe --broker-defaults");
    check("--alter --broker 1 --add-config log.cleaner.threads=2");
    check("--describe --broker 1");
    check("--alter --broker-defaults --add-config log.cleaner.threads=3");
    check("--describe --broker-defaults");
    check("--describe --broker 1");
    check("--describe --entity-type brokers");
    check("--describe --entity-type brokers --entity-default");
    check("--describe --entity-type brokers --all");
    check("--alter --broker 1 --delete-config log.cleaner.threads");
    check("--alter --broker-defaults --delete-config log.cleaner.threads");
    check("--describe --broker 7");
    check("--describe --broker x");
    check("--alter --broker 1 --add-config broker.id=2");
    check("--alter --broker 1 --add-config log.retention.ms=x");
    check("--describe --entity-type broker-loggers");
    check("--alter --broker-logger 1 --add-config nope=DEBUG");
}

fn groups_and_client_metrics() {
    let side = side();
    let check = |arguments| check(&side, arguments);
    check("--describe --group {}");
    check("--describe --entity-type groups");
    check("--alter --group {} --add-config consumer.session.timeout.ms=50000");
    check("--describe --group {}");
    check("--alter --group {} --delete-config consumer.session.timeout.ms");
    check("--alter --group {} --add-config nope=1");
    check("--describe --client-metrics {}");
    check("--alter --client-metrics {} --add-config interval.ms=1000,metrics=[a.b,c.d]");
    check("--describe --client-metrics {}");
    check("--alter --client-metrics {} --delete-config interval.ms,metrics");
    check("--describe --entity-type client-metrics");
    check("--alter --client-metrics {} --add-config nope=1");
}

fn users_clients_and_addresses() {
    let side = side();
    let check = |arguments| check(&side, arguments);
    check("--describe --entity-type users");
    check("--describe --user u");
    check("--describe --user-defaults");
    check("--describe --entity-type clients");
    check("--describe --entity-type users --entity-type clients");
    check("--describe --entity-type users --entity-default --entity-type clients --entity-name x");
    check("--describe --ip 127.0.0.1");
    check("--describe --entity-type ips");
    check("--alter --user {} --add-config producer_byte_rate=1024");
    check("--alter --user {} --delete-config producer_byte_rate");
    check("--alter --user u --add-config nope=1");
    check("--alter --client c --add-config nope=1");
    check("--alter --client c --delete-config nope");
    check("--alter --ip 127.0.0.1 --add-config x=10");
    check("--alter --ip no.such.host.invalid --add-config a=b");
    check("--alter --user-defaults --add-config SCRAM-SHA-256=[password=a]");
    check("--alter --user u --add-config SCRAM-SHA-256=[password=a],producer_byte_rate=1");
    check("--alter --user {} --add-config SCRAM-SHA-256=[iterations=8192,password=a]");
    check("--describe --user {}");
    check("--alter --user {} --add-config SCRAM-SHA-256=[iterations=10,password=a]");
    check("--alter --user {} --delete-config SCRAM-SHA-256");
    check("--describe --user {}");
}

fn mistakes() {
    let side = side();
    let check = |arguments| check(&side, arguments);
    check("");
    check("--describe");
    check("--describe --alter");
    check("--bogus");
    check("--describe --topic a --add-config a=b");
    check("--describe --topic a --delete-config a");
    check("--alter --topic a --add-config retention.ms");
    check("--alter --topic a --add-config 'a b=c'");
    check("--alter --topic a");
    check("--alter --topic a --add-config retention.ms=5 --add-config-file /nope");
    check("--alter --entity-type topics --add-config retention.ms=1");
    check("--alter --entity-type brokers --add-config a=b");
    check("--describe --entity-type nope");
    check("--describe --entity-type topics --entity-type topics");
    check("--describe --entity-type topics --topic a");
    check("--describe --entity-type topics --entity-default");
    check("--describe --topic a --group g");
    check("--describe --topic a --topic b");
    check("--describe --topic a --entity-name a");
    check("--bootstrap-controller localhost:1 --describe --topic a");
}

pub fn tests() -> Vec<Trial> {
    trials![
        plain:
            topics,
            all_topics,
            brokers,
            groups_and_client_metrics,
            users_clients_and_addresses,
            mistakes
    ]
}
