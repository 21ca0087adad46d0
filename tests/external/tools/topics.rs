//! kafka-topics.

use super::normalise::normalise;
use super::side_by_side::SideBySide;
use crate::harness::trials;
use common::Broker;
use libtest_mimic::Trial;

fn side() -> SideBySide {
    SideBySide::new(Broker::with().set("ottla.ephemeral", "true").start()).normalised(normalise)
}

fn create_alter_and_delete_print_the_same() {
    let side = side();
    let check = |arguments: &str| side.check_errors_too(&format!("kafka-topics {arguments}"));
    check("--list");
    check("--describe");
    assert_eq!(check("--create --topic {}").out, "Created topic {}.");
    check("--create --topic {}");
    check("--create --topic {} --if-not-exists");
    check("--create --topic {}.dots --partitions 3 --replication-factor 1");
    check("--create --topic {}.dots_and --replication-factor 3 --partitions 6");
    check("--create --topic {}-placed --replica-assignment 1,1,1");
    check("--create --topic {}-set --config cleanup.policy=compact --config 'retention.ms = 5' --config segment.ms=7");
    check("--describe --topic {}-set");
    check("--describe --topic {}.dots");
    check("--alter --topic {} --partitions 4");
    check("--alter --topic {} --partitions 6 --replica-assignment 1,1,1,1,1,1");
    check("--alter --topic {} --partitions 4");
    check("--alter --topic {} --partitions 0");
    check("--alter --topic {} --partitions 9 --replica-assignment 1,1,1,1,1,1,1,1,9");
    check("--describe --topic {}");
    check("--delete --topic {}");
    check("--delete --topic {}");
    check("--delete --topic {} --if-exists");
    check("--delete --topic '{}.*'");
    assert_eq!(check("--list").out, "");
}

fn list_and_describe_print_the_same() {
    let side = side();
    side.ours("kafka-topics --create --topic a");
    side.ours("kafka-topics --create --topic b --partitions 3 --config retention.ms=7 --config segment.ms=8");
    side.ours("kafka-topics --create --topic b.c --config cleanup.policy=compact --config flush.ms=9");
    for name in ["orders", "payments", "a-longer-name", "clicks"] {
        side.ours(&format!("kafka-topics --create --topic {name}"));
    }
    let check = |arguments: &str| side.check_errors_too(&format!("kafka-topics {arguments}"));
    check("--list");
    check("--list --exclude-internal");
    check("--list --topic 'a|b'");
    check("--list --topic 'a.*,b'");
    check("--list --topic '\"a\"'");
    check("--list --topic nope");
    check("--list and other words");
    let all = check("--describe").out;
    assert!(all.contains("\tPartition: 2\tLeader: 1\tReplicas: 1\tIsr: 1\tElr: \tLastKnownElr:\n"), "{all}");
    check("--describe --topic a,b");
    check("--describe --topic b --partition-size-limit-per-response 1");
    check("--describe --topic b --partition-size-limit-per-response x");
    check("--describe --exclude-internal");
    check("--describe --topics-with-overrides");
    check("--describe --under-replicated-partitions");
    check("--describe --unavailable-partitions");
    check("--describe --under-min-isr-partitions");
    check("--describe --at-min-isr-partitions");
    check("--describe --at-min-isr-partitions --unavailable-partitions --topic 'a|b'");
    check("--describe --topic nope");
    check("--describe --topic nope --if-exists");
    check("--describe --topic a --if-exists");
    check("--describe --topic a --topic-id AAAAAAAAAAAAAAAAAAAAAA --if-exists");
    check("--describe --topic-id AAAAAAAAAAAAAAAAAAAAAQ");
    check("--describe --topic-id AAAAAAAAAAAAAAAAAAAAAQ --if-exists");
    for id in ["bogus", "bogus0", "bogus!", "AAAAAAAAAAAAAAAAAAAAAQAAAAAAAAA"] {
        check(&format!("--describe --topic-id {id}"));
    }
    let described = side.ours("kafka-topics --describe --topic a").out;
    let id = described.split("TopicId: ").nth(1).and_then(|rest| rest.split('\t').next()).unwrap();
    assert!(check(&format!("--describe --topic-id {id}")).out.contains("Elr: N/A"));
}

fn wrong_values_give_the_same_errors() {
    let side = side();
    side.ours("kafka-topics --create --topic a");
    let check = |arguments: &str| side.check_errors_too(&format!("kafka-topics {arguments}"));
    for config in [
        "bogus=1",
        "bogus",
        "retention.ms=",
        "retention.ms=1=2",
        "retention.ms=abc",
        "retention.ms=-7",
        "cleanup.policy=foo",
        "compression.type=foo",
        "max.message.bytes=-1",
        "max.message.bytes=99999999999",
        "preallocate=maybe",
        "segment.bytes=1",
        "leader.replication.throttled.replicas=q",
        "min.compaction.lag.ms=10 --config max.compaction.lag.ms=5",
    ] {
        check(&format!("--create --topic x --config {config}"));
    }
    check("--create --topic x --partitions 0");
    check("--create --topic x --partitions x");
    check("--create --topic x --replication-factor 0");
    check("--create --topic x --replication-factor 40000");
    check("--create --topic x --replica-assignment 1,1,1:2");
    check("--create --topic x --replica-assignment 1,q");
    check("--create --topic x --replica-assignment 1:1");
    check("--create --topic x --replica-assignment 7");
    check("--create --topic 'x y'");
    check("--create --topic ''");
    check("--create --topic ..");
    check("--create --topic x --topic y");
    check("--alter --topic nope --partitions 3");
    check("--alter --topic nope --partitions 3 --if-exists");
    check("--delete --topic nope");
    check("--list --topic '('");
}

fn conflicting_options_give_the_same_errors() {
    let side = side();
    let check = |arguments: &str| {
        let ran = side.check_errors_too(&format!("kafka-topics {arguments}"));
        assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{arguments}");
        ran.err
    };
    assert!(check("--list --describe").starts_with("Command must include exactly one action: --list, --describe,"));
    assert!(check("--list --if-exists").starts_with("Option \"[if-exists]\" can't be used with option \"[list]\""));
    check("");
    check("--bogus");
    check("--topic");
    check("--create --partitions 3");
    check("--create --topic x --replica-assignment 1 --partitions 1");
    check("--create --topic x --replica-assignment 1 --replication-factor 1");
    check("--alter --topic a");
    check("--alter --topic a --config a=b --partitions 3");
    check("--list --if-not-exists");
    check("--list --config a=b");
    check("--describe --if-exists");
    check("--describe --under-replicated-partitions --topics-with-overrides");
    check("--list --unavailable-partitions");
    check("--delete --partitions 1 --topic b");
    check("--list --bootstrap-server localhost:1");
    check("--help");
}

pub fn tests() -> Vec<Trial> {
    trials![
        plain: create_alter_and_delete_print_the_same, list_and_describe_print_the_same, wrong_values_give_the_same_errors, conflicting_options_give_the_same_errors
    ]
}
