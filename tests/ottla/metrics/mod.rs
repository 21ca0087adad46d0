//! `GET /metrics` of the real program.

mod client_metrics;
mod otlp;
mod parser;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use ottla_broker::metrics::declared;
use ottla_wire::protocol::messages::fetch::{FetchPartition, FetchRequest, FetchTopic};
use ottla_wire::protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_wire::record::{BatchBuilder, Codec};

use crate::fixture::{Fixture, LONG_AGO, batch, batch_at, code, connect, text};
use bytes::Bytes;
use common::{Broker, run, wait_until};
use parser::{Scraped, parse};

const TIMEOUT: Duration = Duration::from_secs(30);

/// Sends a GET with these headers; returns the status, the head and the body.
fn get(url: &str, headers: &[&str]) -> (u16, String, String) {
    let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    let host = format!("Host: {host}");
    let has_host = headers.iter().any(|header| header.starts_with("Host:"));
    let headers: Vec<&str> = headers.iter().copied().chain((!has_host).then_some(host.as_str())).collect();
    write!(stream, "GET /{path} HTTP/1.1\r\n{}\r\n\r\n", headers.join("\r\n")).unwrap();
    let mut response = Vec::new();
    stream.read_to_end(&mut response).unwrap();
    let response = String::from_utf8(response).unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_ascii_lowercase(), body.to_owned())
}

fn scrape(broker: &Broker) -> Scraped {
    let (status, head, body) = get(broker.ready().metrics_url.as_ref().unwrap(), &[]);
    assert_eq!(status, 200, "{body}");
    assert!(head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
    parse(&body, false)
}

/// Commits an offset of each partition of a topic for a group without members.
async fn commit(fixture: &Fixture, group: &str, topic: &str, offsets: impl Iterator<Item = (i32, i64)>) {
    let partition = |(partition_index, committed_offset)| OffsetCommitRequestPartition {
        partition_index,
        committed_offset,
        ..Default::default()
    };
    let topic = OffsetCommitRequestTopic {
        name: text(topic),
        partitions: offsets.map(partition).collect(),
        ..Default::default()
    };
    let request = OffsetCommitRequest {
        group_id: text(group),
        generation_id_or_member_epoch: -1,
        topics: vec![topic],
        ..Default::default()
    };
    let response = fixture.client.call_at(request, 8).await.unwrap();
    assert!(response.topics[0].partitions.iter().all(|it| code(it.error_code) == "NONE"), "{response:?}");
}

#[tokio::test]
async fn scrape_after_known_traffic_has_exact_counts() {
    let fixture = Fixture::with(Broker::with().set("ottla.admin.listener", "0")).await;
    let name = "odd.topic";
    fixture.client.create_topic(name, 2, &[]).await.unwrap();
    fixture.client.create_topic("synced", 1, &[("flush.messages", "1")]).await.unwrap();
    fixture.client.produce("synced", 0, batch("value")).await.unwrap();
    let records = batch("value");
    for _ in 0..3 {
        fixture.client.produce(name, 0, records.clone()).await.unwrap();
    }
    let partition = FetchPartition { partition: 0, partition_max_bytes: 1 << 20, ..Default::default() };
    let topic = FetchTopic { topic: text(name), partitions: vec![partition], ..Default::default() };
    let fetch = FetchRequest { topics: vec![topic], max_bytes: 1 << 20, ..Default::default() };
    fixture.client.call_at(fetch.clone(), 11).await.unwrap();
    fixture.client.call_at(fetch, 11).await.unwrap();
    commit(&fixture, "g", name, [(0, 1), (1, 0)].into_iter()).await;

    let scraped = scrape(&fixture.broker);
    let bytes = records.len() as f64;
    for (series, expect) in [
        ("kafka_server_brokertopicmetrics_messagesin_total{topic=\"odd.topic\"}", 3.0),
        ("kafka_server_brokertopicmetrics_bytesin_total{topic=\"odd.topic\"}", 3.0 * bytes),
        ("kafka_server_brokertopicmetrics_bytesout_total{topic=\"odd.topic\"}", 6.0 * bytes),
        ("kafka_server_brokertopicmetrics_bytesout_total", 6.0 * bytes),
        ("kafka_server_brokertopicmetrics_totalproducerequests_total{topic=\"odd.topic\"}", 3.0),
        ("kafka_server_brokertopicmetrics_totalfetchrequests_total{topic=\"odd.topic\"}", 2.0),
        ("kafka_network_requestmetrics_requests_total{request=\"Fetch\",version=\"11\"}", 2.0),
        ("kafka_network_requestmetrics_requests_total{request=\"FetchConsumer\",version=\"11\"}", 2.0),
        ("kafka_network_requestmetrics_totaltimems_count{request=\"Produce\"}", 4.0),
        ("kafka_network_requestmetrics_errors_total{request=\"Produce\",error=\"NONE\"}", 4.0),
        ("kafka_log_logflushstats_logflushrateandtimems_count", 1.0),
        ("kafka_server_delayedoperationpurgatory_purgatorysize{delayedOperation=\"Fetch\"}", 0.0),
        ("kafka_log_log_logendoffset{topic=\"odd.topic\",partition=\"0\"}", 3.0),
        ("kafka_log_log_size{topic=\"odd.topic\",partition=\"0\"}", 3.0 * bytes),
        ("kafka_topic_partition_current_offset{topic=\"odd.topic\",partition=\"0\"}", 3.0),
        ("kafka_topic_partition_oldest_offset{topic=\"odd.topic\",partition=\"1\"}", 0.0),
        ("kafka_topic_partition_leader{topic=\"odd.topic\",partition=\"0\"}", 1.0),
        ("kafka_topic_partitions{topic=\"odd.topic\"}", 2.0),
        ("kafka_brokers", 1.0),
        ("kafka_consumergroup_current_offset{consumergroup=\"g\",topic=\"odd.topic\",partition=\"0\"}", 1.0),
        ("kafka_consumergroup_lag{consumergroup=\"g\",topic=\"odd.topic\",partition=\"0\"}", 2.0),
        ("kafka_consumergroup_lag_sum{consumergroup=\"g\",topic=\"odd.topic\"}", 2.0),
        ("kafka_consumergroup_members{consumergroup=\"g\"}", 0.0),
        ("kafka_coordinator_group_groupmetadatamanager_numgroupsempty", 1.0),
        ("kafka_controller_kafkacontroller_activecontrollercount", 1.0),
        ("kafka_server_replicamanager_underreplicatedpartitions", 0.0),
        ("kafka_server_socket_server_metrics_connection_count{listener=\"PLAINTEXT\",networkProcessor=\"0\"}", 1.0),
        ("kafka_server_group_coordinator_metrics_offset_commit_count", 2.0),
        ("kafka_server_group_coordinator_metrics_offset_deletion_count", 0.0),
        ("kafka_server_group_coordinator_metrics_num_partitions{state=\"active\"}", 50.0),
        ("kafka_server_kafkaserver_brokerstate", 3.0),
        ("kafka_server_replicamanager_atminisrpartitioncount", 53.0),
        ("kafka_server_replicamanager_partitionswithlatetransactionscount", 0.0),
        ("kafka_log_logmanager_offlinelogdirectorycount", 0.0),
        ("kafka_log_logcleaner_deadthreadcount", 0.0),
        ("ottla_log_recovery_remaining", 0.0),
        ("ottla_metrics_omitted_series", 0.0),
        ("ottla_log_unopened", 0.0),
    ] {
        assert_eq!(scraped.value(series), expect, "{series}");
    }
    let median = scraped.value("kafka_network_requestmetrics_totaltimems{request=\"Produce\",quantile=\"0.50\"}");
    assert!(median > 0.0 && median < 10_000.0, "{median}");
    assert_eq!(
        scraped.find("kafka_network_requestmetrics_requests_total{request=\"DeleteTopics\",version=\"6\"}"),
        None
    );
    let idle = scraped.value("kafka_network_socketserver_networkprocessoravgidlepercent");
    assert!((0.0..=1.0).contains(&idle), "{idle}");

    let bootstrap = fixture.broker.bootstrap_servers();
    let deleted = run(&["kafka-consumer-groups", "--bootstrap-server", bootstrap, "--delete", "--group", "g"]);
    assert!(deleted.status.success(), "{deleted:?}");
    let deletions = "kafka_server_group_coordinator_metrics_offset_deletion_count";
    assert_eq!(scrape(&fixture.broker).value(deletions), 2.0);
}

#[tokio::test]
async fn refused_records_count_by_the_reason() {
    let fixture = Fixture::with(Broker::with().set("ottla.admin.listener", "0")).await;
    fixture.client.create_topic("t", 1, &[("cleanup.policy", "compact")]).await.unwrap();
    let mut keyless = BatchBuilder::new(Codec::None);
    keyless.append(LONG_AGO, None, Some(b"value"), &[]);
    fixture.client.produce("t", 0, keyless.build().unwrap().bytes().clone()).await.unwrap_err();
    let with_byte = |at: usize, byte: u8| {
        let mut bytes = batch("value").to_vec();
        bytes[at] = byte;
        Bytes::from(bytes)
    };
    const MAGIC: usize = 16;
    fixture.client.produce("t", 0, with_byte(MAGIC, 9)).await.unwrap_err();
    fixture.client.produce("t", 0, with_byte(MAGIC + 1, 9)).await.unwrap_err();
    let scraped = scrape(&fixture.broker);
    for (counter, expect) in [
        ("nokeycompactedtopicrecords", 1.0),
        ("invalidmagicnumberrecords", 1.0),
        ("invalidmessagecrcrecords", 1.0),
        ("failedproducerequests", 1.0),
        ("totalproducerequests", 3.0),
    ] {
        let series = format!("kafka_server_brokertopicmetrics_{counter}_total{{topic=\"t\"}}");
        assert_eq!(scraped.value(&series), expect, "{series}");
    }
}

#[tokio::test]
async fn every_metric_of_a_scrape_is_declared_and_both_formats_have_the_same() {
    let fixture = Fixture::with(Broker::with().set("ottla.admin.listener", "0")).await;
    fixture.client.create_topic("t", 1, &[]).await.unwrap();
    let url = fixture.broker.ready().metrics_url.clone().unwrap();
    let accept = "Accept: application/openmetrics-text;version=1.0.0";
    let (_, head, body) = get(&url, &[accept]);
    assert!(head.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"), "{head}");
    let open_metrics = parse(&body, true);
    let names: Vec<String> = scrape(&fixture.broker)
        .families
        .into_iter()
        .map(|(name, family)| match family.kind.as_str() {
            "counter" => name.strip_suffix("_total").unwrap().to_owned(),
            _ => name,
        })
        .collect();
    let mut expect: Vec<String> = open_metrics.families.keys().cloned().collect();
    expect.sort();
    let mut sorted = names.clone();
    sorted.sort();
    assert_eq!(sorted, expect);
    let declared: Vec<&str> = declared().iter().flat_map(|(_, metrics)| metrics).map(|metric| metric.name()).collect();
    let undeclared: Vec<&String> = names.iter().filter(|name| !declared.contains(&name.as_str())).collect();
    assert!(undeclared.is_empty(), "{undeclared:?}");
}

#[tokio::test]
async fn lag_in_seconds_is_the_age_of_the_next_record_that_the_group_reads() {
    let fixture = Fixture::with(Broker::with().set("ottla.admin.listener", "0")).await;
    fixture.client.create_topic("t", 2, &[("message.timestamp.before.max.ms", "9223372036854775807")]).await.unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64;
    for age in [300_000, 200_000, 100_000] {
        fixture.client.produce("t", 0, batch_at(now - age, "value")).await.unwrap();
    }
    commit(&fixture, "g", "t", [(0, 1), (1, 0)].into_iter()).await;
    let lag = |series: &str| {
        let scraped = scrape(&fixture.broker);
        let family = &scraped.families[series].samples;
        family.values().copied().fold(0.0, f64::max)
    };
    let seconds = lag("kafka_consumergroup_group_lag_seconds");
    assert!((200.0..260.0).contains(&seconds), "{seconds}");
    let seconds = lag("kafka_consumergroup_group_max_lag_seconds");
    assert!((200.0..260.0).contains(&seconds), "{seconds}");
    commit(&fixture, "g", "t", [(0, 3)].into_iter()).await;
    assert_eq!(lag("kafka_consumergroup_group_lag_seconds"), 0.0);
}

/// States what the reference says about numbers of series.
#[tokio::test]
async fn thousand_partitions_and_hundred_groups_have_a_known_number_of_series() {
    let options = Broker::with().arg("--ephemeral").set("ottla.admin.listener", "0");
    let fixture = Fixture::with(options.set("offsets.topic.num.partitions", "1")).await;
    commit_to_create_the_topic(&fixture).await;
    let settle = || {
        wait_until("all logs are open", || scrape(&fixture.broker).value("ottla_log_unopened") == 0.0);
        scrape(&fixture.broker)
    };
    let before = settle();
    fixture.client.create_topic("t", 1_000, &[]).await.unwrap();
    for group in 0..100 {
        commit(&fixture, &format!("g{group}"), "t", (0..10).map(|partition| (partition, 0))).await;
    }
    let after = settle();
    // For each partition 19 series, and one for the topic; for each offset 5, and for each group 6; and the figures of
    // new APIs and of the topic's traffic.
    let added = after.len() - before.len();
    let of_state = 19 * 1_000 + 1 + 5 * 1_000 + 6 * 100;
    assert!((of_state..of_state + 300).contains(&added), "{added} series, of the state {of_state}");
    let begin = Instant::now();
    let scraped = scrape(&fixture.broker);
    println!("{} series, scraped and parsed in {:?}", scraped.len(), begin.elapsed());
}

/// Creates `__consumer_offsets`.
async fn commit_to_create_the_topic(fixture: &Fixture) {
    fixture.client.create_topic("other", 1, &[]).await.unwrap();
    fixture.client.find_coordinator("g").await.unwrap();
    commit(fixture, "g", "other", [(0, 0)].into_iter()).await;
}

#[tokio::test]
async fn series_above_the_limit_are_counted_and_logged() {
    let options = Broker::with().set("ottla.admin.listener", "0").set("ottla.metrics.max.series", "400");
    let fixture = Fixture::with(options).await;
    fixture.client.create_topic("t", 20, &[]).await.unwrap();
    let scraped = scrape(&fixture.broker);
    assert!(scraped.len() <= 401, "{}", scraped.len());
    assert!(scraped.value("ottla_metrics_omitted_series") > 100.0);
    assert_eq!(scraped.value("kafka_server_kafkaserver_brokerstate"), 3.0);
    fixture.broker.wait_for_log("ottla.metrics.max.series");
}

#[tokio::test]
async fn port_for_metrics_has_its_own_token_and_host_names() {
    let options = Broker::with().set("ottla.metrics.listener", "127.0.0.1:0").set("ottla.metrics.token", "hush");
    let broker = options.set("ottla.metrics.allowed.hosts", "ottla").start();
    connect(&broker).await;
    assert_eq!(broker.ready().admin_url, None);
    let url = broker.ready().metrics_url.clone().unwrap();
    let status = |headers: &[&str]| get(&url, headers).0;
    let token = "Authorization: Bearer hush";
    assert_eq!(status(&[]), 401);
    assert_eq!(status(&[token]), 200);
    assert_eq!(status(&[token, "Host: ottla:9645"]), 200);
    assert_eq!(status(&[token, "Host: evil.test"]), 403);
    assert_eq!(get(&url.replace("/metrics", "/health"), &[token]).0, 404);
}
