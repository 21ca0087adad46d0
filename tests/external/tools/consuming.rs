//! kafka-consumer-perf-test, kafka-verifiable-consumer and ottla consume.

use std::process::Stdio;

use ottla::client::Client;
use ottla_wire::record::{BatchBuilder, Codec};

use super::side_by_side::{Ran, SideBySide};
use crate::harness::trials;
use common::{self, Broker};
use libtest_mimic::Trial;

async fn broker_with_records() -> (SideBySide, Client) {
    let broker = Broker::with().set("ottla.ephemeral", "true").set("log.retention.ms", "-1").start();
    let client = Client::connect(broker.bootstrap_servers()).await.unwrap();
    client.create_topic("t", 1, &[]).await.unwrap();
    let mut batch = BatchBuilder::new(Codec::None);
    for number in 0..5 {
        let (key, value) = (format!("k{number}"), format!("v{number}"));
        batch.append(1_000 + number, Some(key.as_bytes()), Some(value.as_bytes()), &[]);
    }
    client.produce("t", 0, batch.build().unwrap().bytes().clone()).await.unwrap();
    (SideBySide::new(broker), client)
}

/// Replaces each run of digits by one 9: times and speeds differ, but their format is the same.
fn hide_numbers(text: &str) -> String {
    let mut out = String::new();
    for letter in text.chars() {
        match letter {
            '0'..='9' if out.ends_with('9') => {}
            '0'..='9' => out.push('9'),
            other => out.push(other),
        }
    }
    out.replace("Infinity", "9.9").replace("NaN", "9.9").replace("-9", "9")
}

async fn perf_test_prints_the_same_as_kafka() {
    let (side, _) = broker_with_records().await;
    let side = side.normalised(hide_numbers);
    let check = |arguments: &str| side.check(&format!("kafka-consumer-perf-test {arguments}"));
    let ran = check("--topic t --num-records 5");
    assert!(ran.out.starts_with("start.time, end.time, data.consumed.in.MB, MB.sec, "), "{ran:?}");
    assert_eq!(ran.out.lines().count(), 2);
    let ran = check("--topic t --num-records 99 --timeout 300");
    assert!(ran.out.contains("WARNING: Exiting before consuming the expected number of records"), "{ran:?}");
    check("--include 't|u' --messages 5 --hide-header --date-format 'yyyy/MM/dd EEE'");
    check("--topic t --num-records 1 --show-detailed-stats --from-latest --timeout 100");
    check("--topic t --num-records 1 --reporting-interval 0");
    check("--topic t --num-records x");
    check("--topic t --num-records 1 --date-format 'qq'");
    let wrong = |arguments: &str, expect: &str| {
        let ran = check(arguments);
        assert!(ran.err.starts_with(expect), "{arguments}: {}", ran.err);
    };
    wrong("--topic t", "Exactly one of the following arguments is required: [messages], [num-records]\n");
    wrong("--num-records 9", "Exactly one of the following arguments is required: [topic], [include]\n");
}

/// Removes times, and the lines that Kafka's tool prints only when its process ends.
fn hide_times(text: &str) -> String {
    let without_time = |line: &str| match line.split_once(",\"name\":") {
        Some((_, rest)) => format!("{rest}\n"),
        None => format!("{line}\n"),
    };
    text.lines().filter(|line| !line.contains("shutdown_requested")).map(without_time).collect()
}

async fn verifiable_consumer_prints_the_same_events_as_kafka() {
    let (side, _) = broker_with_records().await;
    let side = side.normalised(hide_times);
    let check = |arguments: &str| side.check(&format!("kafka-verifiable-consumer --topic t {arguments}"));
    let ran = check("--group-id a{} --max-messages 2 --verbose");
    assert!(ran.out.contains("\"record_data\",\"key\":\"k1\",\"value\":\"v1\",\"topic\":\"t\""), "{ran:?}");
    check("--group-id a{} --max-messages 3");
    check("--group-id b{} --max-messages 5 --enable-autocommit --session-timeout 6000");
    let cooperative = "--assignment-strategy org.apache.kafka.clients.consumer.CooperativeStickyAssignor";
    check(&format!("--group-id c{{}} --max-messages 1 --group-instance-id i --reset-policy earliest {cooperative}"));
    check("--group-id a{} --max-messages 0");
    check("--group-id a{} --reset-policy soon");
    // Only Ottla's tool runs: Kafka's would end the Java process that runs all of Kafka's tools.
    for wrong in ["", "--group-id a --max-messages x", "--group-id a --bogus"] {
        let ran = side.ours(&format!("kafka-verifiable-consumer --topic t {wrong}"));
        assert!(ran.code == 1 && ran.err.starts_with("usage: "), "{wrong}: {ran:?}");
    }
}

async fn internal_topics_are_printed_as_by_kafka() {
    let (side, client) = broker_with_records().await;
    client.find_coordinator("g").await.unwrap();
    let ran = side.ours("kafka-console-consumer --topic t --group g --from-beginning --max-messages 2");
    assert_eq!(ran.code, 0, "{ran:?}");
    for (formatter, count) in [("OffsetsMessageFormatter", 1), ("GroupMetadataMessageFormatter", 1)] {
        // The partition that stores the group: `"g".hashCode() % 50`.
        let ran = side.check(&format!(
            "kafka-console-consumer --topic __consumer_offsets --partition 3 --from-beginning --timeout-ms 1000 --formatter \
             org.apache.kafka.tools.consumer.{formatter}"
        ));
        assert!(ran.out.matches("{\"key\":{\"type\":").count() >= count, "{ran:?}");
    }
}

fn consume(side: &SideBySide, arguments: &[&str]) -> Ran {
    let mut command = common::command(&[]);
    command.arg("consume").args(arguments).args(["--bootstrap-server", side.broker.bootstrap_servers()]);
    let output = common::run_command(command.stdin(Stdio::null()));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ran { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) }
}

async fn own_consume_command_prints_text_and_json() {
    let (side, _) = broker_with_records().await;
    let check = |arguments: &[&str], expect: &str| assert_eq!(consume(&side, arguments).out, expect, "{arguments:?}");
    let two = "1970-01-01 00:00:01.000  0:0  k0  v0\n1970-01-01 00:00:01.001  0:1  k1  v1\n";
    check(&["t", "--from-beginning", "-n", "2"], two);
    check(&["t", "--until-end"], "");
    let all = consume(&side, &["t", "--from-beginning", "--until-end", "--json"]);
    assert_eq!((all.code, all.out.lines().count()), (0, 5), "{all:?}");
    let first = r#"{"topic":"t","partition":0,"offset":0,"timestamp":1000,"headers":[],"key":"k0","value":"v0"}"#;
    assert_eq!(all.out.lines().next(), Some(first));
    // A group continues after the last printed record.
    check(&["t", "--from-beginning", "-n", "2", "--group", "g"], two);
    check(&["t", "-n", "1", "--group", "g"], "1970-01-01 00:00:01.002  0:2  k2  v2\n");
    let missing = consume(&side, &["absent", "--until-end"]);
    assert_eq!((missing.code, missing.err.as_str()), (1, "ottla: there is no topic absent\n"));
}

pub fn tests() -> Vec<Trial> {
    trials![
        on_tokio: perf_test_prints_the_same_as_kafka, verifiable_consumer_prints_the_same_events_as_kafka,
            internal_topics_are_printed_as_by_kafka, own_consume_command_prints_text_and_json
    ]
}
