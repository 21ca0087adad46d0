//! Kafka Connect in distributed mode with `exactly.once.source.support=enabled`: the worker and the broker are killed
//! while a connector's tasks count; the committed records must be every number of each task, once and in order.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use common::Broker;
use libtest_mimic::Trial;
use ottla::client::Client;
use tempfile::TempDir;

use crate::harness::trials;
use crate::java::process::{Running, wait_until};
use crate::java::transactions::program;
use crate::java::{Java, java, jvm, source};

const TASKS: usize = 2;
const LIMIT: u64 = 2000;
const TOPIC: &str = "counted";
/// The worker is killed when this part of all records has arrived, in percent, and the broker at the last one.
const KILLS_AT: [u64; 2] = [10, 40];
const BROKER_KILL_AT: u64 = 70;

async fn exactly_once_source_writes_each_record_once_across_kills() {
    let Some(java) = java() else { return };
    let mut broker = Broker::with()
        .set("group.initial.rebalance.delay.ms", "0")
        .set("group.min.session.timeout.ms", "1000")
        .set("transaction.abort.timed.out.transaction.cleanup.interval.ms", "100")
        .start();
    let client = Client::connect(broker.bootstrap_servers()).await.unwrap();
    client.create_topic(TOPIC, 2, &[]).await.unwrap();
    let directory = TempDir::with_prefix("ottla-connect-").expect("a temporary directory");
    let rest = free_port();
    let mut worker = start_worker(java, &broker, directory.path(), rest);
    wait_until("the worker's REST port", || create_connector(rest));
    let mut reader = program(java, "today", "ReadCommitted");
    let reader = Running::start("the reader", reader.args([broker.bootstrap_servers(), TOPIC]));
    let mut output = Vec::new();
    let all = TASKS as u64 * LIMIT;
    for percent in KILLS_AT {
        wait_for(&reader, &mut output, all * percent / 100);
        worker.kill();
        worker = start_worker(java, &broker, directory.path(), rest);
    }
    wait_for(&reader, &mut output, all * BROKER_KILL_AT / 100);
    broker.kill();
    broker.restart();
    wait_for(&reader, &mut output, all);
    worker.kill();
    check(&output);
}

fn wait_for(reader: &Running, output: &mut Vec<String>, count: u64) {
    wait_until(&format!("{count} committed records"), || {
        output.extend(reader.take_lines());
        output.len() as u64 >= count
    });
}

fn check(output: &[String]) {
    let mut next = [0; TASKS];
    for line in output {
        let fields: Vec<_> = line.split('\t').collect();
        let (task, number) = (fields[3].parse::<usize>().expect("a task"), fields[4].parse::<u64>().expect("a number"));
        assert_eq!(number, next[task], "task {task}: a record is missing or was written twice");
        next[task] += 1;
    }
    assert_eq!(next, [LIMIT; TASKS]);
}

fn start_worker(java: &Java, broker: &Broker, directory: &Path, rest: u16) -> Running {
    let file = directory.join("worker.properties");
    let settings = [
        ("bootstrap.servers", broker.bootstrap_servers()),
        ("group.id", "connect"),
        ("config.storage.topic", "connect-configs"),
        ("offset.storage.topic", "connect-offsets"),
        ("status.storage.topic", "connect-status"),
        ("config.storage.replication.factor", "1"),
        ("offset.storage.replication.factor", "1"),
        ("status.storage.replication.factor", "1"),
        ("offset.storage.partitions", "3"),
        ("key.converter", "org.apache.kafka.connect.storage.StringConverter"),
        ("value.converter", "org.apache.kafka.connect.storage.StringConverter"),
        ("exactly.once.source.support", "enabled"),
        ("plugin.discovery", "service_load"),
        ("listeners", &format!("http://127.0.0.1:{rest}")),
        // What a killed worker held is soon free.
        ("session.timeout.ms", "2000"),
        ("heartbeat.interval.ms", "300"),
        ("scheduled.rebalance.max.delay.ms", "0"),
    ];
    let text: String = settings.map(|(name, value)| format!("{name}={value}\n")).concat();
    fs::write(&file, text).expect("the worker's settings");
    let classes = java.classes("connect", &[&java.libs("today")]);
    // The sources' directory has the file that names the connector.
    let services = source("connect").display().to_string();
    let mut command = jvm(&[classes, services, java.libs("today")].join(":"));
    Running::start("the worker", command.arg("org.apache.kafka.connect.cli.ConnectDistributed").arg(file))
}

/// Creates the connector by the worker's REST API; returns false while the worker is not ready.
fn create_connector(rest: u16) -> bool {
    let body = format!(
        r#"{{"connector.class":"CounterConnector","tasks.max":"{TASKS}","topic":"{TOPIC}","limit":"{LIMIT}",
        "exactly.once.support":"required","transaction.boundary":"poll"}}"#
    );
    let Ok(mut connection) = TcpStream::connect(("127.0.0.1", rest)) else { return false };
    connection.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
    let head = format!(
        "PUT /connectors/counter/config HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut answer = String::new();
    let asked = connection.write_all(format!("{head}{body}").as_bytes());
    let _ = asked.and_then(|()| connection.read_to_string(&mut answer));
    assert!(!answer.starts_with("HTTP/1.1 400"), "{answer}");
    answer.starts_with("HTTP/1.1 201") || answer.starts_with("HTTP/1.1 200")
}

/// Returns a port that was free a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("an address").port()
}

pub fn tests() -> Vec<Trial> {
    trials![on_tokio: exactly_once_source_writes_each_record_once_across_kills]
}
