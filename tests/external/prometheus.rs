//! A real Prometheus scrapes a busy broker: the project's board and those that people have get data, and what they show is
//! what a client has counted and what the tools print.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use common::Broker;
use libtest_mimic::Trial;
use ottla::client::Client;
use ottla_wire::protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_wire::record::{BatchBuilder, Codec};
use serde_json::Value;
use tempfile::TempDir;
use ureq::Agent;

use crate::harness::{skip, trials};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// Scrapes that there are before anything is compared.
const SCRAPES: f64 = 6.0;
/// The longest time for these and for a query.
const PATIENCE: Duration = Duration::from_secs(30);
/// How old the first record is that the group has not read.
const AGE_MS: i64 = 100_000;

pub fn tests() -> Vec<Trial> {
    trials! {
        on_tokio: boards_get_data_and_show_what_a_client_counted_and_what_the_tools_print;
    }
}

/// A Prometheus that scrapes one broker. Dropping it ends it.
struct Prometheus {
    process: Child,
    url: String,
    agent: Agent,
    _dir: TempDir,
}

impl Prometheus {
    fn start(program: &Path, metrics_url: &str) -> Prometheus {
        let dir = TempDir::with_prefix("ottla-prometheus-").unwrap();
        let target = metrics_url.strip_prefix("http://").unwrap().strip_suffix("/metrics").unwrap();
        // The file for users, with another target, more often.
        let config = fs::read_to_string(Path::new(ROOT).join("docker/monitoring/prometheus.yaml")).unwrap();
        let config = config.replace("kafka:9645", target).replace("scrape_interval: 15s", "scrape_interval: 500ms");
        assert!(config.contains(target) && config.contains("500ms"), "{config}");
        fs::write(dir.path().join("prometheus.yaml"), config).unwrap();
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let process = Command::new(program)
            .arg(format!("--config.file={}", dir.path().join("prometheus.yaml").display()))
            .arg(format!("--storage.tsdb.path={}", dir.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // A proxy of the environment is not for this machine.
        let agent = Agent::from(Agent::config_builder().proxy(None).build());
        Prometheus { process, url: format!("http://127.0.0.1:{port}"), agent, _dir: dir }
    }

    /// The result of a query; `None` while Prometheus does not answer.
    fn try_query(&self, query: &str) -> Option<Vec<Value>> {
        let request = self.agent.get(format!("{}/api/v1/query", self.url)).query("query", query);
        let mut answer = request.call().ok()?;
        let answer: Value = serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap();
        Some(answer["data"]["result"].as_array().unwrap().clone())
    }

    fn query(&self, query: &str) -> Vec<Value> {
        self.try_query(query).unwrap_or_else(|| panic!("no answer to {query}"))
    }

    /// The value of a query with one result.
    fn value(&self, query: &str) -> f64 {
        let result = self.query(query);
        assert_eq!(result.len(), 1, "{query}: {result:?}");
        number(&result[0]["value"][1])
    }

    fn scrapes(&self) -> f64 {
        let counted = self.try_query("count_over_time(up{job=\"ottla\"}[1m])").unwrap_or_default();
        counted.first().map_or(0.0, |counted| number(&counted["value"][1]))
    }

    fn wait_for_another_scrape(&self) {
        let before = self.scrapes();
        common::wait_until("another scrape", || self.scrapes() > before + 1.0);
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn number(value: &Value) -> f64 {
    value.as_str().unwrap().parse().unwrap()
}

/// The program, from the path.
fn installed() -> Option<PathBuf> {
    let directories = std::env::var_os("PATH")?;
    std::env::split_paths(&directories).map(|directory| directory.join("prometheus")).find(|program| program.is_file())
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

fn batch(timestamp: i64) -> Bytes {
    let mut builder = BatchBuilder::new(Codec::None);
    builder.append(timestamp, None, Some(b"value"), &[]);
    builder.build().unwrap().bytes().clone()
}

async fn commit(client: &Client, group: &str, topic: &str, offsets: &[i64]) {
    let partition = |(index, offset): (usize, &i64)| OffsetCommitRequestPartition {
        partition_index: index as i32,
        committed_offset: *offset,
        ..Default::default()
    };
    let topic = OffsetCommitRequestTopic {
        name: topic.into(),
        partitions: offsets.iter().enumerate().map(partition).collect(),
        ..Default::default()
    };
    let request = OffsetCommitRequest {
        group_id: group.into(),
        generation_id_or_member_epoch: -1,
        topics: vec![topic],
        ..Default::default()
    };
    client.find_coordinator(group).await.unwrap();
    let answer = client.call_at(request, 8).await.unwrap();
    assert!(answer.topics[0].partitions.iter().all(|partition| partition.error_code == 0), "{answer:?}");
}

/// Runs one of the tools, and returns what it printed.
fn tool(broker: &Broker, name: &str, args: &[&str]) -> String {
    let output = common::run(&[&[name, "--bootstrap-server", broker.bootstrap_servers()], args].concat());
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The lag by partition, as kafka-consumer-groups prints it.
fn described_lag(broker: &Broker, group: &str) -> Vec<(String, f64)> {
    let text = tool(broker, "kafka-consumer-groups", &["--describe", "--group", group]);
    let mut lines =
        text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).filter(|line| !line.is_empty());
    let header = lines.find(|line| line.contains(&"LAG")).unwrap_or_else(|| panic!("{text}"));
    let column = |name| header.iter().position(|title| *title == name).unwrap();
    let (partition, lag) = (column("PARTITION"), column("LAG"));
    lines.map(|line| (line[partition].to_owned(), line[lag].parse().unwrap())).collect()
}

/// The queries of the project's board, with values for its variables.
fn queries_of_the_board() -> Vec<String> {
    let text = fs::read_to_string(Path::new(ROOT).join("docs/grafana-dashboard.json")).unwrap();
    let board: Value = serde_json::from_str(&text).unwrap();
    let panels = board["panels"].as_array().unwrap().iter();
    let targets = panels.filter_map(|panel| panel["targets"].as_array()).flatten();
    let variables = [("$__rate_interval", "1m"), ("$instance", ".*"), ("$topic", ".*"), ("$group", ".*")];
    let filled =
        |query: &str| variables.iter().fold(query.to_owned(), |query, (name, value)| query.replace(name, value));
    targets.map(|target| filled(target["expr"].as_str().unwrap())).collect()
}

/// Uses what boards have panels for, then sends records until there are enough scrapes. Returns the times in ms at which
/// each record was sent and was stored.
async fn make_busy(broker: &Broker, client: &Client, prometheus: &Prometheus) -> Vec<(i64, i64)> {
    client.create_topic("orders", 2, &[]).await.unwrap();
    client.create_topic("synced", 1, &[("flush.messages", "1")]).await.unwrap();
    client.create_topic("compacted", 1, &[("cleanup.policy", "compact")]).await.unwrap();
    let entity = ["--alter", "--entity-type", "clients", "--entity-default"];
    tool(broker, "kafka-configs", &[&entity[..], &["--add-config", "producer_byte_rate=1000000000"]].concat());
    client.produce("synced", 0, batch(now_ms())).await.unwrap();
    // It has no key.
    client.produce("compacted", 0, batch(now_ms())).await.unwrap_err();
    client.fetch("orders", 0, 99, 1 << 20, Duration::ZERO).await.unwrap_err();
    let mut sent = Vec::new();
    let started = now_ms();
    while prometheus.scrapes() < SCRAPES {
        for _ in 0..20 {
            let before = now_ms();
            let timestamp = if sent.is_empty() { before - AGE_MS } else { before };
            client.produce("orders", 0, batch(timestamp)).await.unwrap();
            sent.push((before, now_ms()));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        client.fetch("orders", 0, 0, 1 << 20, Duration::ZERO).await.unwrap();
        assert!(now_ms() - started < PATIENCE.as_millis() as i64, "{} scrapes", prometheus.scrapes());
    }
    sent
}

async fn boards_get_data_and_show_what_a_client_counted_and_what_the_tools_print() {
    let Some(program) = installed() else {
        return skip("prometheus", "Prometheus is missing: install Debian's package prometheus");
    };
    let broker = Broker::with().set("ottla.metrics.listener", "127.0.0.1:0").start();
    let client = Client::connect(broker.bootstrap_servers()).await.unwrap();
    let prometheus = Prometheus::start(&program, broker.ready().metrics_url.as_ref().unwrap());
    let sent = make_busy(&broker, &client, &prometheus).await;
    commit(&client, "billing", "orders", &[0, 0]).await;
    prometheus.wait_for_another_scrape();

    check_counts(&prometheus, &sent);
    check_lag(&broker, &prometheus, sent.len());
    let without: Vec<String> =
        queries_of_the_board().into_iter().filter(|query| prometheus.query(query).is_empty()).collect();
    assert_eq!(without, [""; 0], "queries of docs/grafana-dashboard.json without data");
    check_other_boards(&prometheus);
}

/// Each scrape must have counted what was stored before it, and nothing that was sent after it.
fn check_counts(prometheus: &Prometheus, sent: &[(i64, i64)]) {
    let series = "kafka_server_brokertopicmetrics_messagesin_total{topic=\"orders\"}";
    assert_eq!(prometheus.value(series), sent.len() as f64);
    let samples = prometheus.query(&format!("{series}[1m]"));
    let samples: Vec<(f64, f64)> = samples[0]["values"]
        .as_array()
        .unwrap()
        .iter()
        .map(|sample| (sample[0].as_f64().unwrap() * 1e3, number(&sample[1])))
        .collect();
    assert!(samples.len() >= 4, "{samples:?}");
    for (at, counted) in &samples {
        let stored = sent.iter().filter(|(_, stored)| (*stored as f64) < *at).count() as f64;
        // A scrape takes less than a second.
        let begun = sent.iter().filter(|(begun, _)| (*begun as f64) < at + 1e3).count() as f64;
        assert!((stored..=begun).contains(counted), "at {at}: {counted}, of {stored} to {begun}");
    }
    let (first, last) = (samples.first().unwrap(), samples.last().unwrap());
    let (rate, counted) = (prometheus.value(&format!("rate({series}[1m])")) * 60.0, last.1 - first.1);
    assert!((rate - counted).abs() <= counted * 0.25 + 1.0, "rate: {rate}, counted: {counted}");
}

fn check_lag(broker: &Broker, prometheus: &Prometheus, records: usize) {
    let described = described_lag(broker, "billing");
    assert_eq!(described, [("0".to_owned(), records as f64), ("1".to_owned(), 0.0)]);
    for (partition, lag) in &described {
        for (metric, label) in
            [("kafka_consumergroup_lag", "consumergroup"), ("kafka_consumergroup_group_lag", "group")]
        {
            let series = format!("{metric}{{{label}=\"billing\",topic=\"orders\",partition=\"{partition}\"}}");
            assert_eq!(prometheus.value(&series), *lag, "{series}");
        }
    }
    let seconds = prometheus.value("kafka_consumergroup_group_max_lag_seconds{group=\"billing\"}");
    let least = AGE_MS as f64 / 1e3;
    assert!(seconds >= least && seconds < least + PATIENCE.as_secs_f64() * 2.0, "{seconds}");
}

/// Metrics with the labels that other boards query have data, or the reason why not is listed.
fn check_other_boards(prometheus: &Prometheus) {
    let table = include_str!("../data/board-queries.tsv");
    let rows = table.lines().filter(|line| !line.starts_with('#')).skip(1);
    for row in rows {
        let [board, metric, labels, answer] = row.split('\t').collect::<Vec<_>>()[..] else { panic!("{row}") };
        let labels: Vec<String> =
            labels.split(',').filter(|label| !label.is_empty()).map(|label| format!("{label}!=\"\"")).collect();
        let has_data = !prometheus.query(&format!("{metric}{{{}}}", labels.join(","))).is_empty();
        assert_eq!(has_data, answer == "data", "{board}: {metric}");
    }
}
