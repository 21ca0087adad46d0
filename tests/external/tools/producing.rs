//! kafka-console-producer, kafka-producer-perf-test and kafka-e2e-latency compared with Apache Kafka's;
//! kafka-verifiable-producer and `ottla produce` alone.

use std::time::{Duration, Instant};

use super::side_by_side::{SideBySide, ours};
use crate::harness::trials;
use crate::java::java;
use common::Broker;
use libtest_mimic::Trial;
use ottla::client::Client;
use ottla_wire::record::{Record, batches};
use regex::Regex;

/// Limit for the arrival of records: Kafka's tools leave some to a thread that continues after the tool has finished.
const TIMEOUT: Duration = Duration::from_secs(20);

struct Fixture {
    side: SideBySide,
    client: Client,
}

impl Fixture {
    async fn start() -> Fixture {
        let broker = Broker::with().set("ottla.ephemeral", "true").start();
        let client = Client::connect(broker.bootstrap_servers()).await.unwrap();
        Fixture { side: SideBySide::new(broker), client }
    }

    /// Waits for `count` records in the topic's only partition, and returns them as `headers|key|value@timestamp`.
    async fn records(&self, topic: &str, count: usize) -> Vec<String> {
        let begun = Instant::now();
        loop {
            let fetched = self.client.fetch(topic, 0, 0, 1 << 20, Duration::from_millis(100)).await;
            let bytes = fetched.map(|fetched| fetched.records).unwrap_or_default();
            let records: Vec<Record> =
                batches(&bytes).flat_map(|batch| batch.unwrap().records().map(Result::unwrap)).collect();
            if records.len() >= count || begun.elapsed() > TIMEOUT {
                return records.into_iter().map(show).collect();
            }
            tokio::task::yield_now().await;
        }
    }

    /// Asserts that both tools write these records for this input.
    async fn check_records(&self, name: &str, options: &str, input: &str, expect: &[&str]) {
        let line = format!("kafka-console-producer --topic {name}-{{}} --timeout 0 {options}");
        self.side.check_with_input(&line, input);
        for side in ["mine", "java"] {
            if side == "mine" || java().is_some() {
                assert_eq!(self.records(&format!("{name}-{side}"), expect.len()).await, expect, "{side}: {line}");
            }
        }
    }
}

fn show(record: Record) -> String {
    let text = |bytes: Option<bytes::Bytes>| match bytes {
        Some(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        None => "-".to_owned(),
    };
    let headers = record.headers.into_iter().map(|header| format!("{}={}", text(Some(header.key)), text(header.value)));
    let headers: Vec<_> = headers.collect();
    format!("{}|{}|{}", headers.join(" "), text(record.key), text(record.value))
}

async fn console_producer_writes_the_same_records() {
    let fixture = Fixture::start().await;
    let key = "--reader-property parse.key=true --reader-property key.separator=:";
    let headers = "--reader-property parse.headers=true";
    let null = "--reader-property null.marker=NULL";
    let check = async |name, options: &str, input, expect: &[&str]| {
        fixture.check_records(name, options, input, expect).await;
    };
    check("values", "", "one\n\ntwo\r\nthree", &["|-|one", "|-|", "|-|two", "|-|three"]).await;
    check("keys", key, "a:1\nb:2:3\n:4\n", &["|a|1", "|b|2:3", "||4"]).await;
    check("headers", headers, "h:1,g:2\tv\n", &["h=1 g=2|-|v"]).await;
    check("all", &format!("{key} {headers} {null}"), "h:NULL\tk:NULL\nNULL\tk:v\n", &["h=-|k|-", "|k|v"]).await;
    check("lenient", &format!("{key} --reader-property ignore.error=true"), "ab\n", &["|-|ab"]).await;
    check("sync", "--sync", "a\nb\n", &["|-|a", "|-|b"]).await;
    check("acks", "--request-required-acks 1", "a\n", &["|-|a"]).await;
    check("codec", "--compression-codec --sync", "a\n", &["|-|a"]).await;
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        check(codec, &format!("--compression-codec {codec}"), "a\nb\n", &["|-|a", "|-|b"]).await;
    }
    let old = "--property parse.key=true --property key.separator=: --producer-property acks=all";
    check("old", old, "a:1\n", &["|a|1"]).await;
    let unknown = "--command-property nonsense=1 --max-partition-memory-bytes 100";
    check("unknown", unknown, "a\n", &["|-|a"]).await;
    // The lines before the wrong one are written.
    let line = format!("kafka-console-producer --topic mistake-{{}} --timeout 0 {key}");
    let ran = fixture.side.check_with_input(&line, "a:1\nbad\nb:2\n");
    let expect = "org.apache.kafka.common.KafkaException: No key separator found on line number 2: 'bad'\n";
    assert_eq!((ran.code, fixture.records("mistake-mine", 1).await), (1, vec!["|a|1".to_owned()]));
    assert!(ran.err.is_empty(), "the message is of a class that is left out here: {}", ran.err);
    let words =
        format!("{} --bootstrap-server {}", line.replace("{}", "again"), fixture.side.broker.bootstrap_servers());
    let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
    assert_eq!(ours(&words, "a:1\nbad\n").err, expect);
}

async fn console_producer_reports_the_same_errors() {
    let fixture = Fixture::start().await;
    let check = |options: &str| {
        let ran = fixture.side.check_with_input(&format!("kafka-console-producer {options}"), "a\n");
        (ran.code, ran.err.lines().next().unwrap_or_default().to_owned())
    };
    assert_eq!(check(""), (1, "Missing required argument \"[topic]\"".to_owned()));
    let both = check("--topic t --property a=b --reader-property c=d");
    assert_eq!(both.1, "Options --reader-property and --property cannot be specified together.");
    for options in [
        "--topic t --request-required-acks 7",
        "--topic t --compression-codec foo",
        "--topic t --line-reader com.example.Reader",
        "--topic t --reader-property null.marker=,",
        "--topic t --batch-size x",
        "--topic t --bogus",
    ] {
        assert_eq!(check(options).0, 1, "{options}");
    }
    // A record that can't be sent is logged, and the exit code is 0.
    let ran = fixture.side.check_with_input("kafka-console-producer --topic 'no topic'", "a\n");
    assert_eq!(ran.code, 0);
    let ran = fixture.side.check_with_input("kafka-console-producer --topic t --sync", &"a".repeat(1_100_000));
    assert_eq!(ran.code, 1);
}

async fn perf_tools_print_the_same() {
    let fixture = Fixture::start().await;
    let numbers = |text: &str| Regex::new(r"[0-9]+(\.[0-9]+)?(E-[0-9]+)?").unwrap().replace_all(text, "N").into_owned();
    let side = fixture.side.normalised(numbers);
    let check = |line: &str| side.check(line);
    let ran = check("kafka-producer-perf-test --topic p-{} --num-records 20 --record-size 10 --throughput -1");
    assert!(
        ran.out.starts_with("N records sent, N records/sec (N MB/sec), N ms avg latency, N ms max latency, N ms Nth")
    );
    check(
        "kafka-producer-perf-test --topic p-{} --num-records 20 --payload-monotonic --throughput 1000 --warmup-records 5",
    );
    check(
        "kafka-producer-perf-test --topic p-{} --num-records 2 --record-size 9 --throughput -1 --producer-props acks=1",
    );
    for mistake in [
        "--num-records 0 --record-size 1 --throughput -1",
        "--num-records 1 --record-size 0 --throughput -1",
        "--num-records 1 --throughput -1",
        "--num-records x --record-size 1 --throughput -1",
        "--num-records 1 --record-size 1 --payload-monotonic --throughput -1",
        "--num-records 1 --record-size 1 --throughput -1 --warmup-records 1",
        "--num-records 1 --payload-file /nothing/there --throughput -1",
    ] {
        assert_eq!(check(&format!("kafka-producer-perf-test --topic p-{{}} {mistake}")).code, 1, "{mistake}");
    }
    check("kafka-e2e-latency --topic e-{} --num-records 3 --producer-acks 1 --record-size 20");
    check("kafka-e2e-latency --topic e-{} --num-records 2 --producer-acks all --record-size 5 --num-headers 2");
    assert_eq!(check("kafka-e2e-latency --topic e-{} --num-records 1 --producer-acks 0 --record-size 20").code, 1);
    assert_eq!(check("kafka-e2e-latency --topic e-{}").code, 1);
}

async fn verifiable_producer_prints_kafkas_events() {
    let fixture = Fixture::start().await;
    let ran =
        fixture.side.ours("kafka-verifiable-producer --topic v --max-messages 3 --value-prefix 7 --repeating-keys 2");
    let times = Regex::new("\"timestamp\":[0-9]+,|,\"avg_throughput\":[0-9.]+").unwrap();
    // The output of Apache Kafka 4.3.1. Its last two lines come from a shutdown hook, which doesn't run in the shared
    // virtual machine of these tests.
    let expect = r#"{"name":"startup_complete"}
{"name":"producer_send_success","key":"0","value":"7.0","offset":0,"topic":"v","partition":0}
{"name":"producer_send_success","key":"1","value":"7.1","offset":1,"topic":"v","partition":0}
{"name":"producer_send_success","key":"0","value":"7.2","offset":2,"topic":"v","partition":0}
{"name":"shutdown_complete"}
{"name":"tool_data","sent":3,"acked":3,"target_throughput":-1}
"#;
    assert_eq!(times.replace_all(&ran.out, ""), expect);
    assert_eq!(fixture.records("v", 3).await, ["|0|7.0", "|1|7.1", "|0|7.2"]);
    let ran = fixture.side.ours("kafka-verifiable-producer --topic 'v 1' --max-messages 1");
    let error = r#"{"name":"producer_send_error","topic":"v 1","key":null,"value":"0","exception":"class org.apache.kafka.common.errors.InvalidTopicException","message":"Invalid topics: [v 1]"}"#;
    assert!(times.replace_all(&ran.out, "").contains(error), "{}", ran.out);
    assert_eq!(fixture.side.ours("kafka-verifiable-producer --topic v --acks 5").code, 1);
}

async fn own_produce_command_writes_records() {
    let fixture = Fixture::start().await;
    let server = fixture.side.broker.bootstrap_servers();
    let produce = |words: &[&str], input: &str| {
        let words = ["produce", "-b", server].iter().chain(words).map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let ran = ours(&words, input);
        (ran.code, ran.out)
    };
    assert_eq!(produce(&["t", "one", "two"], ""), (0, "2 records stored in t\n".to_owned()));
    assert_eq!(produce(&["t", "-s", ":", "--null", "-", "-H", "h=1"], "a:1\nb:-\n").0, 0);
    let (code, out) = produce(&["t", "--json"], "{\"key\":\"c\",\"value\":{\"n\":1},\"headers\":{\"g\":null}}\n");
    assert_eq!((code, out.as_str()), (0, "{\"record\":1,\"topic\":\"t\",\"partition\":0,\"offset\":4}\n"));
    let expect = ["|-|one", "|-|two", "h=1|a|1", "h=1|b|-", "g=-|c|{\"n\":1}"];
    assert_eq!(fixture.records("t", 5).await, expect);
    assert_eq!(produce(&["t", "--json"], "no JSON\n"), (1, String::new()));
    assert_eq!(produce(&["no topic", "a"], "").0, 1);
    assert_eq!(produce(&["t", "a", "-p", "7"], ""), (1, "0 records stored in t\n".to_owned()));
}

pub fn tests() -> Vec<Trial> {
    trials![
        on_tokio:
            console_producer_writes_the_same_records,
            console_producer_reports_the_same_errors,
            perf_tools_print_the_same,
            verifiable_producer_prints_kafkas_events,
            own_produce_command_writes_records
    ]
}
