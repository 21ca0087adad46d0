//! The schema registry of Ottla, and the validation of records by its schemas.
//!
//! Each registration is of a new schema of eight fields under a subject of its own. The client keeps its connections and
//! sends one request at a time over each. The load of the validation is that of [`throughput`](crate::throughput), with
//! records that decode by a schema of one field of bytes; rounds are interleaved, so that a temporary load on the machine
//! affects all levels.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::admin::Admin;
use crate::contender::{Contender, Running};
use crate::load::{Load, Target};
use crate::report::{Samples, Table, milliseconds, significant};
use crate::system;

const CONNECTIONS: [usize; 2] = [1, 8];
/// The number of schemas of a large registry.
const MANY: usize = 10_000;
const STARTS: usize = 7;
/// Rounds that are not counted.
const WARM_UP: usize = 2;
/// Pause after the last request before memory is measured.
const SETTLE: Duration = Duration::from_millis(500);
const FLAGS: [&str; 2] = ["--registry-port", "0"];
/// The settings of a topic for each level of validation.
const LEVELS: [(&str, &[(&str, &str)]); 3] = [
    ("none", &[]),
    ("level 1", &[("confluent.value.schema.validation", "true")]),
    ("level 2", &[("confluent.value.schema.validation", "true"), ("ottla.schema.validation.level", "2")]),
];

/// Measures requests with `requests` registrations and lookups for each number of connections, and validation with bursts
/// of this size.
pub fn measure(contenders: &[Contender], rounds: usize, burst: u64, requests: usize) -> Vec<Table> {
    let ours: Vec<&Contender> = contenders.iter().filter(|one| matches!(one, Contender::Ottla { .. })).collect();
    let names = || ours.iter().map(|contender| contender.name());
    let mut speed = Table::new("schema registry", names());
    let figures: Vec<Requests> = ours.iter().map(|contender| Requests::measure(contender, requests)).collect();
    for (at, connections) in CONNECTIONS.into_iter().enumerate() {
        let over = format!("over {connections} connection{}", if connections == 1 { "" } else { "s" });
        for (name, of) in [("registrations", 0), ("lookups by id", 1)] {
            let rates = figures.iter().map(|figures| format!("{} /s", significant(figures.rates[at][of])));
            speed.row(&format!("{name} {over}"), rates);
            let latencies = figures.iter().map(|figures| {
                let (median, p99) = figures.latencies[at][of];
                format!("{} / {} ms", significant(median), significant(p99))
            });
            speed.row(&format!("{name} {over}, median / p99"), latencies);
        }
    }
    let cell = |name: &str, unit: &str, figure: fn(&Requests) -> &Samples, table: &mut Table| {
        table.medians(name, unit, figures.iter().map(figure));
    };
    cell("memory of 10,000 schemas", "MB", |figures| &figures.memory, &mut speed);
    cell("ready with no schemas", "ms", |figures| &figures.ready_empty, &mut speed);
    cell("ready with 10,000 schemas", "ms", |figures| &figures.ready_many, &mut speed);
    cell("start to the first schema of 10,000", "ms", |figures| &figures.first_schema, &mut speed);
    let mut tables = vec![speed];
    tables.extend(ours.iter().map(|contender| validation(contender, rounds, burst)));
    tables
}

/// Figures of requests, with those of registrations before those of lookups.
#[derive(Default)]
struct Requests {
    rates: Vec<[f64; 2]>,
    latencies: Vec<[(f64, f64); 2]>,
    memory: Samples,
    ready_empty: Samples,
    ready_many: Samples,
    first_schema: Samples,
}

impl Requests {
    fn measure(contender: &Contender, requests: usize) -> Requests {
        let mut figures = Requests::default();
        for _ in 0..STARTS {
            let (dir, port) = contender.prepared();
            let running = contender.start_with(dir.path(), port, &FLAGS);
            running.ready_ms.into_iter().for_each(|ms| figures.ready_empty.push(ms));
        }
        let (dir, port) = contender.prepared();
        let running = contender.start_with(dir.path(), port, &FLAGS);
        let mut next = 0;
        for connections in CONNECTIONS {
            let registered = on_each(&running, connections, next, requests, register);
            let looked_up = on_each(&running, connections, 0, requests, |client, number| {
                client.call("GET", &format!("/schemas/ids/{}", number % next.max(1) + 1), "");
            });
            next += requests;
            let sums = [registered, looked_up].map(|(took, latencies)| {
                let rate = requests as f64 / took.as_secs_f64();
                (rate, (latencies.median(), latencies.percentile(99.0)))
            });
            figures.rates.push(sums.map(|(rate, _)| rate));
            figures.latencies.push(sums.map(|(_, latency)| latency));
        }
        drop(running);
        figures.measure_many(contender);
        figures
    }

    /// Measures the memory of [`MANY`] schemas, and starts with them.
    fn measure_many(&mut self, contender: &Contender) {
        let (dir, port) = contender.prepared();
        let running = contender.start_with(dir.path(), port, &FLAGS);
        on_each(&running, 1, 0, 1, register);
        thread::sleep(SETTLE);
        let before = system::memory(running.pid()).own;
        on_each(&running, 8, 1, MANY, register);
        thread::sleep(SETTLE);
        self.memory.push(system::memory(running.pid()).own - before);
        running.stop();
        for _ in 0..STARTS {
            let running = contender.start_with(dir.path(), port, &FLAGS);
            let asked = Instant::now();
            Client::connect(&running).call("GET", "/schemas/ids/1", "");
            self.first_schema.push(milliseconds(running.first_answer + asked.elapsed()));
            running.ready_ms.into_iter().for_each(|ms| self.ready_many.push(ms));
            running.stop();
        }
    }
}

/// Does `total` pieces of work, with consecutive numbers, over some connections. Returns the time for all of them, and that
/// of each in ms.
fn on_each(
    running: &Running,
    connections: usize,
    first: usize,
    total: usize,
    work: impl Fn(&mut Client, usize) + Sync,
) -> (Duration, Samples) {
    let clients: Vec<Client> = (0..connections).map(|_| Client::connect(running)).collect();
    let started = Instant::now();
    let latencies: Vec<f64> = thread::scope(|scope| {
        let run = |at: usize, mut client: Client| {
            let work = &work;
            scope.spawn(move || {
                let numbers = (first + at..first + total).step_by(connections);
                let timed = numbers.map(|number| {
                    let began = Instant::now();
                    work(&mut client, number);
                    milliseconds(began.elapsed())
                });
                timed.collect::<Vec<f64>>()
            })
        };
        let threads: Vec<_> = clients.into_iter().enumerate().map(|(at, client)| run(at, client)).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("the registry answers")).collect()
    });
    (started.elapsed(), latencies.into_iter().collect())
}

/// Registers a new schema of eight fields.
fn register(client: &mut Client, number: usize) {
    let field = |field| format!(r#"{{\"name\":\"field{field}\",\"type\":[\"null\",\"string\"],\"default\":null}}"#);
    let fields: Vec<String> = (0..8).map(field).collect();
    let schema = format!(r#"{{\"type\":\"record\",\"name\":\"Order{number}\",\"fields\":[{}]}}"#, fields.join(","));
    let path = format!("/subjects/orders-{number}-value/versions");
    client.call("POST", &path, &format!(r#"{{"schema":"{schema}"}}"#));
}

/// A connection to the registry.
struct Client {
    socket: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    fn connect(running: &Running) -> Client {
        let url = running.registry_url.as_deref().expect("a schema registry");
        let socket = TcpStream::connect(url.trim_start_matches("http://")).expect("the registry accepts");
        socket.set_nodelay(true).expect("no delay");
        Client { socket, buffer: vec![0; 64 << 10] }
    }

    /// Sends a request and returns the body of its successful response.
    fn call(&mut self, method: &str, path: &str, body: &str) -> String {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/vnd.schemaregistry.v1+json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.socket.write_all(request.as_bytes()).expect("the request leaves");
        let mut have = 0;
        loop {
            let read = self.socket.read(&mut self.buffer[have..]).expect("an answer");
            assert!(read > 0, "the registry closed the connection");
            have += read;
            let text = String::from_utf8_lossy(&self.buffer[..have]);
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let head = head.to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if length.and_then(|length| length.parse().ok()) == Some(body.len()) {
                assert!(head.starts_with("http/1.1 200"), "{text}");
                return body.to_owned();
            }
        }
    }
}

/// Compares produce without and with validation.
fn validation(contender: &Contender, rounds: usize, burst: u64) -> Table {
    let (dir, port) = contender.prepared();
    let running = contender.start_with(dir.path(), port, &FLAGS);
    let admin = Admin::connect(&running);
    let limit = system::dirty_limit();
    let mut client = Client::connect(&running);
    let schema = r#"{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":\"bytes\"}]}"#;
    let mut rates = vec![Samples::default(); LEVELS.len()];
    let mut cpu = vec![Duration::ZERO; LEVELS.len()];
    let mut bytes = 0;
    for round in 0..WARM_UP + rounds {
        for step in 0..LEVELS.len() {
            let level = (step + round) % LEVELS.len();
            let topic = format!("level-{level}-{round}");
            let registered = client.call(
                "POST",
                &format!("/subjects/{topic}-value/versions"),
                &format!(r#"{{"schema":"{schema}"}}"#),
            );
            assert!(registered.starts_with(r#"{"id":1,"#), "the same schema has the same id: {registered}");
            admin.create_topic_with(&topic, 1, LEVELS[level].1);
            let load = Load::of_values(1, burst, &framed(1));
            system::wait_until_clean(limit / 4);
            system::warm(load.bytes() as usize);
            let target = Target { produce: running.address(), fetch: running.address(), topic };
            let before = system::cpu(running.pid());
            let took = load.produce(&target);
            if round >= WARM_UP {
                rates[level].push(load.bytes() as f64 / 1e6 / took.as_secs_f64());
                cpu[level] += system::cpu(running.pid()) - before;
                bytes += load.bytes() / LEVELS.len() as u64;
            }
            admin.delete_topic(&target.topic);
        }
    }
    let mut table = Table::new("produce of records of 1 kB, by validation", LEVELS.map(|(name, _)| name));
    table.medians("throughput, 1 connection", "MB/s", &rates);
    let without = rates[0].clone();
    table.medians(
        "share of that without",
        "%",
        &rates.iter().map(|rate| rate.percent_of(&without)).collect::<Vec<_>>(),
    );
    let costs = cpu.iter().map(|cpu| cpu.as_secs_f64() / (bytes as f64 / 1e9));
    table.row("broker CPU per GB", costs.map(|cost| format!("{} s", significant(cost))));
    table
}

/// A value of about 1 kB of the schema with an id.
fn framed(id: u32) -> Vec<u8> {
    const BYTES: u32 = 1024;
    let content = (0..BYTES).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8);
    // The length of bytes in Avro: a zigzag varint.
    let length = [(BYTES << 1) as u8 & 0x7f | 0x80, (BYTES >> 6) as u8];
    [0].into_iter().chain(id.to_be_bytes()).chain(length).chain(content).collect()
}
