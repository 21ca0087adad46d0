//! The web console in Chromium, against a busy broker: every page, its flows, its accessibility, and pages of attackers.
//!
//! `browser/console.mjs` has the steps. With `OTTLA_WRITE_DOCS=1` it writes the pictures of docs/console.md.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::Broker;
use common::transactions::{TransactionalProducer, TxnProtocol};
use libtest_mimic::Trial;
use ottla::client::Client;
use ottla::client::consumer::{Consumer, ConsumerConfig, Topics};
use ottla_broker::clock::wall_clock_ms;
use ottla_wire::record::{BatchBuilder, Codec};
use ottla_wire::types::TopicPartition;

use crate::bindings::node::runners;
use crate::harness::{skip, trials};

/// Records in the topic `big`: a hundred batches in each of two partitions.
const RECORDS_PER_BATCH: usize = 5_000;
const BATCHES: usize = 100;
/// The age of these records: the lag of the group that has not read them.
const AGE_MS: i64 = 130_000;
/// The time between two records of the producer that works all the time.
const PACE: Duration = Duration::from_millis(5);

fn chromium() -> Option<&'static str> {
    let found = ["chromium", "chromium-browser"].into_iter().find(|name| {
        let run = Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        run.is_ok_and(|status| status.success())
    });
    if found.is_none() {
        skip("chromium", "Chromium is missing: install the package chromium");
    }
    found
}

fn busy_broker() -> Broker {
    let args = ["--console", "--admin-port", "0", "--registry-port", "0"];
    let topics = ["big:2", "orders:3", "hostile:1", "payments:1"];
    let options = args.into_iter().fold(Broker::with(), |options, arg| options.arg(arg));
    let options = topics.into_iter().fold(options, |options, topic| options.arg("--create-topic").arg(topic));
    options
        .set("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer")
        .set("super.users", "User:ANONYMOUS")
        .start()
}

/// Writes a million records: one batch, many times.
async fn fill(client: &Client) {
    let timestamp = wall_clock_ms() - AGE_MS;
    let mut batch = BatchBuilder::new(Codec::Lz4);
    for number in 0..RECORDS_PER_BATCH {
        let value = format!("{{\"number\":{number},\"city\":\"Turku\",\"amount\":{}}}", number % 97);
        batch.append(timestamp, Some(format!("key-{number}").as_bytes()), Some(value.as_bytes()), &[]);
    }
    let batch = batch.build().unwrap().bytes().clone();
    for partition in 0..2 {
        for _ in 0..BATCHES {
            client.produce("big", partition, batch.clone()).await.unwrap();
        }
    }
    let mut batch = BatchBuilder::new(Codec::None);
    batch.append(timestamp, Some(b"needle"), Some(b"{\"number\":-1,\"city\":\"Oulu\"}"), &[]);
    client.produce("big", 1, batch.build().unwrap().bytes().clone()).await.unwrap();
    let committed = [(TopicPartition::new("big", 0), 100), (TopicPartition::new("big", 1), 200)];
    client.alter_committed_offsets("shipping", &committed.into_iter().collect()).await.unwrap();
}

/// Produces to `payments` and consumes it in the group `billing`, until it is dropped.
async fn work(servers: String) {
    let client = Client::connect(&servers).await.unwrap();
    let settings = [("group.id", "billing"), ("auto.offset.reset", "earliest"), ("auto.commit.interval.ms", "500")];
    let config = ConsumerConfig::read(|name| settings.iter().find(|it| it.0 == name).map(|it| it.1)).unwrap();
    let mut consumer = Consumer::new(client.new_connection().await.unwrap(), config).await.unwrap();
    consumer.subscribe(Topics::named("payments"));
    let mut pace = tokio::time::interval(PACE);
    for number in 0_u64.. {
        pace.tick().await;
        let mut batch = BatchBuilder::new(Codec::None);
        batch.append(wall_clock_ms(), None, Some(number.to_string().as_bytes()), &[]);
        client.produce("payments", 0, batch.build().unwrap().bytes().clone()).await.unwrap();
        consumer.poll(Duration::from_millis(50)).await.unwrap();
    }
}

/// Runs the steps, which end by themselves.
async fn run_driver(chromium: &str, broker: &Broker, guarded: &Broker, modules: &Path) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let console = |broker: &Broker| format!("{}/console/", broker.ready().admin_url.as_deref().unwrap());
    let mut driver = Command::new("node");
    driver.arg(folder.join("tests/external/browser/console.mjs")).stdin(Stdio::null());
    driver.env("CHROMIUM", chromium).env("AXE", modules.join("axe-core/axe.min.js"));
    driver.env("CONSOLE", console(broker)).env("GUARDED_CONSOLE", console(guarded));
    driver.env("BROKER_PID", broker.pid().to_string());
    if std::env::var_os("OTTLA_WRITE_DOCS").is_some() {
        driver.env("PICTURES", folder.join("docs"));
    }
    let output = tokio::task::spawn_blocking(move || driver.output()).await.unwrap().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}");
    println!("{text}");
}

async fn console_works_in_chromium() {
    let Some(chromium) = chromium() else { return };
    let Some(modules) = runners() else { return };
    let broker = busy_broker();
    let guarded =
        Broker::with().arg("--console").arg("--admin-port").arg("0").set("ottla.admin.token", "s3cret").start();
    let client = Client::connect(broker.bootstrap_servers()).await.unwrap();
    fill(&client).await;
    let mut producer = TransactionalProducer::start(&client, "payments-1", TxnProtocol::V2, 600_000).await;
    producer.produce("orders", 0, "uncommitted").await;
    let user = ["kafka-configs", "--bootstrap-server", broker.bootstrap_servers(), "--alter", "--entity-type", "users"];
    let credentials = ["--entity-name", "ann", "--add-config", "SCRAM-SHA-256=[password=secret]"];
    let altered = common::run(&[&user[..], &credentials].concat());
    assert!(altered.status.success(), "{altered:?}");
    let working = tokio::spawn(work(broker.bootstrap_servers().to_owned()));
    run_driver(chromium, &broker, &guarded, modules).await;
    assert!(!working.is_finished(), "the clients worked all the time");
    working.abort();
    assert!(!broker.log().contains("panicked"), "{}", broker.log());
}

pub fn tests() -> Vec<Trial> {
    trials! {
        on_tokio: console_works_in_chromium;
    }
}
