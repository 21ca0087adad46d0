//! The cost of a broker in a test suite: many cycles of start, use and stop, and resets of a running broker.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ottla::client::Client;
use ottla_wire::record::{BatchBuilder, Codec};
use ottla_wire::types::ErrorCode;
use tokio::runtime::{Builder, Runtime};

use crate::contender::{Contender, Running};
use crate::report::{Samples, Table, milliseconds};

const TOPIC: &str = "orders";
/// Numbers of topics that a reset deletes, with one record each.
const TOPIC_COUNTS: [usize; 3] = [1, 100, 1000];
/// Number of cycles for a broker that takes seconds for one.
const SLOW_BROKER_CYCLES: usize = 5;

/// The figures of one broker.
#[derive(Default)]
struct Figures {
    cycle: Samples,
    answered: Samples,
    stop: Samples,
    reset_cycle: Samples,
    reset: Samples,
}

/// Measures `cycles` cycles of each kind.
pub fn measure(contenders: &[Contender], cycles: usize) -> Vec<Table> {
    let columns: Vec<&Contender> = contenders.iter().filter(|contender| contender.keeps_data()).collect();
    let mut figures: Vec<Figures> = columns.iter().map(|contender| cycles_of(contender, cycles)).collect();
    let names = columns.iter().map(|contender| contender.name()).chain(["Ottla, in the test's process"]);
    let mut table = Table::new("a test's broker, medians", names);
    figures.push(embedded(cycles));
    table.medians("start, create, produce, consume, stop", "ms", figures.iter().map(|f| &f.cycle));
    table.medians("of that, until the first answer", "ms", figures.iter().map(|f| &f.answered));
    table.medians("of that, stopping", "ms", figures.iter().map(|f| &f.stop));
    table.medians("reset, create, produce, consume", "ms", figures.iter().map(|f| &f.reset_cycle));
    table.medians("of that, the reset (Kafka: the topic's deletion)", "ms", figures.iter().map(|f| &f.reset));

    let mut sizes =
        Table::new("a reset by number of topics, with one record each", TOPIC_COUNTS.map(|size| size.to_string()));
    let Some(ottla) = columns.iter().find(|contender| matches!(contender, Contender::Ottla { .. })) else {
        return vec![table];
    };
    let persistent = TOPIC_COUNTS.map(|size| resets_of(ottla, &[], size));
    let ephemeral = TOPIC_COUNTS.map(|size| resets_of(ottla, EPHEMERAL, size));
    sizes.medians("without syncs (--ephemeral)", "ms", &ephemeral);
    sizes.medians("with a persistent directory", "ms", &persistent);
    vec![table, sizes]
}

/// The options with which a test suite starts Ottla.
const EPHEMERAL: &[&str] = &["--set", "ottla.ephemeral=true"];

fn cycles_of(contender: &Contender, cycles: usize) -> Figures {
    let (cycles, arguments) = match contender {
        Contender::Ottla { .. } => (cycles, [EPHEMERAL, ADMIN].concat()),
        Contender::Kafka { .. } | Contender::Kfake { .. } => (cycles.min(SLOW_BROKER_CYCLES), Vec::new()),
    };
    let client = TestClient::new();
    let mut figures = Figures::default();
    for _ in 0..cycles {
        let (dir, port) = contender.prepared();
        let started = Instant::now();
        let running = contender.start_with(dir.path(), port, &arguments);
        figures.answered.push(milliseconds(running.first_answer));
        client.create_produce_consume(&running.address().to_string());
        let stopping = Instant::now();
        running.stop();
        figures.stop.push(milliseconds(stopping.elapsed()));
        figures.cycle.push(milliseconds(started.elapsed()));
    }
    let (dir, port) = contender.prepared();
    let running = contender.start_with(dir.path(), port, &arguments);
    let address = running.address().to_string();
    client.create_produce_consume(&address);
    for _ in 0..cycles {
        let started = Instant::now();
        match contender {
            Contender::Ottla { .. } => reset(&running),
            Contender::Kafka { .. } | Contender::Kfake { .. } => client.delete(&address),
        }
        figures.reset.push(milliseconds(started.elapsed()));
        client.create_produce_consume(&address);
        figures.reset_cycle.push(milliseconds(started.elapsed()));
    }
    figures
}

/// Measures the same cycles with [`ottla::Broker`].
fn embedded(cycles: usize) -> Figures {
    let client = TestClient::new();
    let mut figures = Figures::default();
    for _ in 0..cycles {
        let started = Instant::now();
        let broker = ottla::Broker::start().expect("a broker");
        figures.answered.push(milliseconds(started.elapsed()));
        client.create_produce_consume(broker.bootstrap_servers());
        let stopping = Instant::now();
        drop(broker);
        figures.stop.push(milliseconds(stopping.elapsed()));
        figures.cycle.push(milliseconds(started.elapsed()));
    }
    let broker = ottla::Broker::start().expect("a broker");
    client.create_produce_consume(broker.bootstrap_servers());
    for _ in 0..cycles {
        let started = Instant::now();
        broker.reset().expect("a reset");
        figures.reset.push(milliseconds(started.elapsed()));
        client.create_produce_consume(broker.bootstrap_servers());
        figures.reset_cycle.push(milliseconds(started.elapsed()));
    }
    figures
}

fn resets_of(ottla: &Contender, arguments: &[&str], topics: usize) -> Samples {
    let rounds = if topics > 100 { 3 } else { 11 };
    let (dir, port) = ottla.prepared();
    let running = ottla.start_with(dir.path(), port, &[arguments, ADMIN].concat());
    let client = TestClient::new();
    let times = (0..rounds).map(|_| {
        client.fill(&running.address().to_string(), topics);
        let started = Instant::now();
        reset(&running);
        milliseconds(started.elapsed())
    });
    times.collect()
}

const ADMIN: &[&str] = &["--admin-port", "0"];

fn reset(running: &Running) {
    let url = running.admin_url.as_deref().expect("an admin port");
    let host = url.trim_start_matches("http://");
    let mut socket = TcpStream::connect(host).expect("the admin port accepts");
    let request = format!("POST /reset HTTP/1.1\r\nHost: {host}\r\nX-Ottla-Admin: 1\r\n\r\n");
    socket.write_all(request.as_bytes()).expect("the request leaves");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

/// The requests of a test.
struct TestClient {
    runtime: Runtime,
    batch: Bytes,
}

impl TestClient {
    fn new() -> TestClient {
        let mut batch = BatchBuilder::new(Codec::None);
        batch.append(1_700_000_000_000, None, Some(&[7; 100]), &[]);
        TestClient {
            runtime: Builder::new_current_thread().enable_all().build().expect("a runtime"),
            batch: batch.build().expect("a batch").bytes().clone(),
        }
    }

    /// Uses a new connection, as each test does.
    fn create_produce_consume(&self, address: &str) {
        self.runtime.block_on(async {
            let client = Client::connect(address).await.expect("the broker answers");
            create(&client, TOPIC).await;
            client.produce(TOPIC, 0, self.batch.clone()).await.expect("a record is stored");
            let fetched = client.fetch(TOPIC, 0, 0, 1 << 20, Duration::from_secs(10)).await.expect("a record is read");
            assert!(!fetched.records.is_empty());
        });
    }

    fn delete(&self, address: &str) {
        self.runtime.block_on(async {
            let client = Client::connect(address).await.expect("the broker answers");
            client.delete_topic(TOPIC).await.expect("a topic is deleted");
        });
    }

    fn fill(&self, address: &str, topics: usize) {
        self.runtime.block_on(async {
            let client = Client::connect(address).await.expect("the broker answers");
            for number in 0..topics {
                let topic = format!("{TOPIC}-{number}");
                create(&client, &topic).await;
                client.produce(&topic, 0, self.batch.clone()).await.expect("a record is stored");
            }
        });
    }
}

/// Creates a topic and waits until it serves. With Apache Kafka a new topic does not serve at once, and the name of a
/// deleted topic can't be used at once.
async fn create(client: &Client, name: &str) {
    const RETRIABLE: [ErrorCode; 4] = [
        ErrorCode::TopicAlreadyExists,
        ErrorCode::UnknownTopicOrPartition,
        ErrorCode::NotLeaderOrFollower,
        ErrorCode::LeaderNotAvailable,
    ];
    let is_retriable = |error: &ottla::client::ClientError| error.code().is_some_and(|code| RETRIABLE.contains(&code));
    let pause = || tokio::time::sleep(Duration::from_millis(1));
    while let Err(error) = client.create_topic(name, 1, &[]).await {
        assert!(is_retriable(&error), "{error}");
        pause().await;
    }
    while let Err(error) = client.list_offset(name, 0, -1).await {
        assert!(is_retriable(&error), "{error}");
        pause().await;
    }
}
