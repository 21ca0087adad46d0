//! kafka-acls, against brokers without and with an authorizer.

use super::side_by_side::SideBySide;
use crate::harness::trials;
use common::Broker;
use libtest_mimic::Trial;

/// Removes stack traces, which Kafka's tool prints to stdout.
fn without_traces(text: &str) -> String {
    let trace = |line: &&str| {
        let trace = ["\tat ", "\t... ", "java.", "joptsimple.", "Caused by: "];
        !line.is_empty() && !trace.iter().any(|start| line.starts_with(start))
    };
    text.lines().filter(trace).collect::<Vec<_>>().join("\n")
}

fn acls_without_an_authorizer_match_kafka() {
    let side = SideBySide::new(Broker::with().set("ottla.ephemeral", "true").start()).normalised(without_traces);
    let disabled = "Error while executing ACL command: org.apache.kafka.common.errors.SecurityDisabledException: \
                    No Authorizer is configured";
    for arguments in [
        "--list",
        "--list --topic t",
        "--list --principal User:a --cluster",
        "--add --allow-principal User:a --operation Read --topic t",
        "--add --allow-principal User:a --producer --topic t --idempotent",
        "--add --allow-principal User:a --consumer --topic t --group g",
        "--add --deny-principal User:a --deny-host 10.0.0.1 --topic t --resource-pattern-type prefixed",
        "--remove --force --allow-principal User:a --operation Read --topic t",
        "--remove --force --topic t",
    ] {
        let ran = side.check(&format!("kafka-acls {arguments}"));
        assert!(ran.out.starts_with(disabled), "{arguments}: {}", ran.out);
    }
    side.check("kafka-acls --add --allow-principal foo --topic t");
    for (arguments, expect) in [
        ("", "Command must include exactly one action: --list, --add, --remove. "),
        ("--add --list", "Command must include exactly one action: --list, --add, --remove. "),
        ("--list --producer", "Option \"[list]\" can't be used with option \"[producer]\""),
        ("--add --producer --operation Read", "Option \"[producer]\" can't be used with option \"[operation]\""),
        ("--add --producer", "With --producer you must specify a --topic"),
        ("--add --idempotent", "The --idempotent option is only available if --producer is set"),
        ("--add --principal User:a", "The --principal option is only available if --list is set"),
        (
            "--add --allow-principal User:a",
            "You must provide at least one resource: --topic <topic> or --cluster or --group <group> or \
             --delegation-token <Delegation Token ID>",
        ),
    ] {
        let ran = side.check(&format!("kafka-acls {arguments}"));
        assert_eq!((ran.code, ran.err.lines().next()), (1, Some(expect)), "{arguments}");
    }
}

/// Sorts the lines: Kafka's tool prints ACLs in the order of a hash table, which differs between runs. The first one
/// begins with a blank.
fn sorted(text: &str) -> String {
    let mut lines: Vec<_> = text.lines().map(str::trim).collect();
    lines.sort_unstable();
    lines.join("\n")
}

fn acls_with_an_authorizer_match_kafka() {
    let broker = Broker::with()
        .set("ottla.ephemeral", "true")
        .set("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer")
        .set("super.users", "User:ANONYMOUS");
    let side = SideBySide::new(broker.start()).normalised(sorted);
    side.ours("kafka-acls --add --cluster --operation Create --operation ClusterAction --allow-principal User:a");
    for arguments in [
        "--list --topic nothing",
        "--add --cluster --operation Create --allow-principal User:a",
        "--add --allow-principal User:alice --operation Read --topic {}",
        "--add --allow-principal User:alice --allow-principal User:bob --operation Read --operation Write --topic {} \
         --allow-host 10.0.0.1",
        "--add --deny-principal User:eve --deny-host 10.0.0.9 --operation All --topic {}",
        "--add --producer --topic t-{} --transactional-id {} --allow-principal User:a",
        "--add --consumer --topic t-{} --group g-{} --allow-principal User:c",
        "--add --producer --consumer --topic both-{} --group {} --allow-principal User:d",
        "--add --delegation-token {} --operation Describe --allow-principal User:a",
        "--add --user-principal User:{} --operation CreateTokens --allow-principal User:a",
        "--add --topic {} --resource-pattern-type prefixed --allow-principal User:a --operation Read",
        "--add --allow-principal User:alice --operation Read --topic {}",
        "--list",
        "--list --topic java",
        "--list --topic mine-1 --resource-pattern-type match",
        "--list --topic mine --resource-pattern-type any",
        "--list --topic mine --resource-pattern-type prefixed",
        "--list --principal User:a --principal User:c --topic t-mine",
        "--list --cluster",
        "--list --group g-mine --group nothing",
        "--remove --allow-principal User:alice --operation Read --topic {} --force",
        "--remove --topic {} --force",
        "--remove --cluster --force",
        "--list",
    ] {
        let ran = side.check(&format!("kafka-acls {arguments}"));
        assert_eq!(ran.code, 0, "{arguments}: {}", ran.out);
    }
}

pub fn tests() -> Vec<Trial> {
    trials![
        plain: acls_without_an_authorizer_match_kafka,
        acls_with_an_authorizer_match_kafka
    ]
}
