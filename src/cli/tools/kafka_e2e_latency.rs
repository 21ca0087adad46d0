//! kafka-e2e-latency: measures the time from sending a record until it is consumed.
//!
//! Source of behaviour: `org.apache.kafka.tools.EndToEndLatency`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory as _, Parser};
use tokio::sync::mpsc;

use super::Tool;
use super::connect::{Properties, connect, run_to_exit};
use super::exceptions::java_error;
use super::log_line::log;
use super::options::{self, ParserStyle};
use super::output::Output;
use super::producing::{java_send_error, start};
use ottla_broker::clock::Clock;
use ottla_client::Client;
use ottla_client::producer::{Delivered, NewRecord, Observer, Producer, RecordHeader, SendError};
use ottla_wire::record::{Record, batches};

pub const TOOL: Tool =
    Tool { name: "kafka-e2e-latency", style: ParserStyle::JoptSimple, command: Options::command, run: run_tool };

/// How long to wait for a record to be consumed.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// The number of records between two progress lines.
const REPORT_EVERY: usize = 1000;
/// The maximum number of bytes in one fetch.
const FETCH_BYTES: i32 = 64 << 20;

/// This tool measures end-to-end latency in Kafka by sending messages and timing their reception.
#[derive(Debug, Parser)]
#[command(verbatim_doc_comment)]
pub struct Options {
    /// REQUIRED: The servers to connect to, as HOST1:PORT1,HOST2:PORT2.
    #[arg(long, value_name = "String: bootstrap-server")]
    bootstrap_server: Option<String>,
    /// REQUIRED: The topic to write to and to read from.
    #[arg(long, value_name = "String: topic-name")]
    topic: Option<String>,
    /// REQUIRED: The number of records to send.
    #[arg(long, value_name = "Integer: count")]
    num_records: Option<i32>,
    /// REQUIRED: Which replicas must acknowledge a record: '1' the leader, 'all' every in-sync replica.
    #[arg(long, value_name = "String: producer-acks")]
    producer_acks: Option<String>,
    /// REQUIRED: The size of each value in bytes.
    #[arg(long, value_name = "Integer: bytes")]
    record_size: Option<i32>,
    /// The size of each key in bytes; no key if 0. (default: 0)
    #[arg(long, value_name = "Integer: bytes", default_value_t = 0)]
    record_key_size: i32,
    /// The size of each header's key in bytes. (default: 0)
    #[arg(long, value_name = "Integer: bytes", default_value_t = 0)]
    record_header_key_size: i32,
    /// The size of each header's value in bytes; null if -1. (default: 0)
    #[arg(long, value_name = "Integer: bytes", default_value_t = 0)]
    record_header_size: i32,
    /// The number of headers of each record. (default: 0)
    #[arg(long, value_name = "Integer: count", default_value_t = 0)]
    num_headers: i32,
    /// A file with properties of the clients.
    #[arg(long, value_name = "String: config-file")]
    command_config: Option<PathBuf>,
}

fn run_tool(tool: &Tool, arguments: Vec<OsString>) -> ExitCode {
    let arguments = match to_named_arguments(arguments) {
        Ok(arguments) => arguments,
        Err(why) => {
            err_line!("{why}");
            return ExitCode::FAILURE;
        }
    };
    let options = match options::parse::<Options>(tool.command(), tool.style, arguments) {
        Ok(options) => options,
        Err(usage) => return usage.show(),
    };
    match options.check() {
        Err(message) => tool.usage_error(&message),
        Ok(run) => run_to_exit(run.measure()),
    }
}

/// Converts positional arguments, which Kafka before 4.2 took, to named ones.
fn to_named_arguments(arguments: Vec<OsString>) -> Result<Vec<OsString>, String> {
    const NAMES: [&str; 6] =
        ["--bootstrap-server", "--topic", "--num-records", "--producer-acks", "--record-size", "--command-config"];
    let has_names = arguments.iter().any(|argument| argument.to_string_lossy().starts_with("--"));
    if arguments.is_empty() || has_names {
        return Ok(arguments);
    }
    if !(5..=6).contains(&arguments.len()) {
        return Err(format!(
            "Invalid number of arguments. Expected 5 or 6 positional arguments, but got {}. Usage: bootstrap-server \
             topic num-records producer-acks record-size [optional] command-config",
            arguments.len()
        ));
    }
    out_line!(
        "WARNING: Positional argument usage is deprecated and will be removed in Apache Kafka 5.0. Please use named \
         arguments instead: {}",
        NAMES.join(", ")
    );
    Ok(NAMES.into_iter().zip(arguments).flat_map(|(name, argument)| [name.into(), argument]).collect())
}

/// A measurement.
struct Run {
    bootstrap_server: String,
    topic: String,
    records: usize,
    acks: String,
    sizes: Sizes,
    properties: Properties,
}

struct Sizes {
    value: usize,
    key: usize,
    header_key: usize,
    /// `None` for null.
    header_value: Option<usize>,
    headers: usize,
}

impl Options {
    fn check(self) -> Result<Run, String> {
        let missing = |name| format!("Missing required argument \"[{name}]\"");
        let bootstrap_server = self.bootstrap_server.ok_or_else(|| missing("bootstrap-server"))?;
        let topic = self.topic.ok_or_else(|| missing("topic"))?;
        let records = self.num_records.ok_or_else(|| missing("num-records"))?;
        let acks = self.producer_acks.ok_or_else(|| missing("producer-acks"))?;
        let value = self.record_size.ok_or_else(|| missing("record-size"))?;
        if !["1", "all"].contains(&acks.as_str()) {
            return Err("Invalid value for --producer-acks. Latency testing requires synchronous acknowledgement. \
                        Please use '1' or 'all'."
                .to_owned());
        }
        let records = usize::try_from(records).ok().filter(|records| *records > 0);
        let records = records.ok_or("Value for --num-records must be a positive integer.")?;
        let size = |name: &str, size: i32| {
            usize::try_from(size).map_err(|_| format!("Value for --{name} must be a non-negative integer."))
        };
        let sizes = Sizes {
            value: size("record-size", value)?,
            key: size("record-key-size", self.record_key_size)?,
            header_key: size("record-header-key-size", self.record_header_key_size)?,
            header_value: match self.record_header_size {
                -1 => None,
                other => Some(usize::try_from(other).map_err(
                    |_| "Value for --record-header-size must be a non-negative integer or -1 for null header value.",
                )?),
            },
            headers: size("num-headers", self.num_headers)?,
        };
        let properties = Properties::read_optional(self.command_config.as_deref())?;
        Ok(Run { bootstrap_server, topic, records, acks, sizes, properties })
    }
}

impl Run {
    async fn measure(&self) -> Result<(), String> {
        let consumer = connect(&self.bootstrap_server, &self.properties).await.map_err(|error| error.to_string())?;
        let mut output = Output::stdout();
        self.create_topic_if_missing(&consumer, &mut output).await?;
        let mut properties = self.properties.clone().into_entries();
        let settings = [("bootstrap.servers", &*self.bootstrap_server), ("linger.ms", "0"), ("acks", &*self.acks)];
        properties.extend(settings.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let (reports, mut outcomes) = mpsc::unbounded_channel();
        let producer = start(&properties, Reporter(reports))?;
        let (clock, mut latencies, mut total) = (Clock::start(), Vec::with_capacity(self.records), Duration::ZERO);
        for number in 0..self.records {
            let letter = b'A' + (number % 26) as u8;
            let send_time = clock.monotonic();
            self.send(&producer, letter).await;
            let stored = outcomes.recv().await.ok_or("the producer ended")??;
            self.receive(&consumer, &stored, letter).await?;
            let latency = clock.monotonic() - send_time;
            if number % REPORT_EVERY == 0 {
                output.line(format_args!("{number}\t{}", latency.as_nanos() as f64 / 1e6));
                output.flush();
            }
            total += latency;
            latencies.push(latency.as_millis());
        }
        latencies.sort_unstable();
        let average = total.as_nanos() as f64 / self.records as f64 / 1e6;
        let percentile = |part: f64| latencies.get((latencies.len() as f64 * part) as usize).copied().unwrap_or(0);
        output.line(format_args!("Avg latency: {average:.4} ms"));
        let (p50, p99, p999) = (percentile(0.5), percentile(0.99), percentile(0.999));
        output.line(format_args!("Percentiles: 50th = {p50}, 99th = {p99}, 99.9th = {p999}"));
        Ok(())
    }

    /// Creates the topic if it doesn't exist.
    async fn create_topic_if_missing(&self, client: &Client, output: &mut Output) -> Result<(), String> {
        let all = client.metadata(None).await.map_err(|error| java_error(&error))?;
        if all.topics.iter().any(|topic| topic.name.as_deref() == Some(&*self.topic)) {
            return Ok(());
        }
        let topic = &self.topic;
        output.line(format_args!(
            "Topic \"{topic}\" does not exist. Will create topic with 1 partition(s) and replication factor = 1"
        ));
        output.flush();
        let created = client.create_topic(topic, 1, &[]).await;
        created.map(drop).map_err(|error| format!("Creation of topic {topic} failed\n{}", java_error(&error)))
    }

    async fn send(&self, producer: &Producer<()>, letter: u8) {
        let (value, key) = (vec![letter; self.sizes.value], vec![letter; self.sizes.key]);
        let header_key = vec![letter; self.sizes.header_key];
        let header_value = self.sizes.header_value.map(|size| vec![letter; size]);
        let header: RecordHeader<'_> = (&header_key, header_value.as_deref());
        let headers = vec![header; self.sizes.headers];
        let key = (!key.is_empty()).then_some(key.as_slice());
        let record =
            NewRecord { topic: &self.topic, key, value: Some(&value), headers: &headers, ..NewRecord::default() };
        producer.send(&record, ()).await;
    }

    /// Fetches the stored record, and checks that it equals the sent one.
    async fn receive(&self, client: &Client, stored: &Delivered, letter: u8) -> Result<(), String> {
        let clock = Clock::start();
        loop {
            let left = READ_TIMEOUT.saturating_sub(clock.monotonic());
            if left.is_zero() {
                return Err("poll() timed out before finding a result (timeout:[60000ms])".to_owned());
            }
            let fetched = client.fetch(&stored.topic, stored.partition, stored.base_offset, FETCH_BYTES, left).await;
            let fetched = fetched.map_err(|error| java_error(&error))?;
            let found = batches(&fetched.records)
                .filter_map(Result::ok)
                .flat_map(|batch| batch.records().filter_map(Result::ok))
                .filter(|record| record.offset >= stored.base_offset);
            let found: Vec<Record> = found.collect();
            match found.as_slice() {
                [] => {}
                [one] => return self.compare(one, letter),
                more => {
                    return Err(format!("Only one result was expected during this test. We found [{}]", more.len()));
                }
            }
        }
    }

    fn compare(&self, record: &Record, letter: u8) -> Result<(), String> {
        let sent = vec![letter; self.sizes.value];
        let read = record.value.as_deref().unwrap_or_default();
        if read != sent {
            let text = String::from_utf8_lossy;
            return Err(format!("The message read [{}] did not match the message sent [{}]", text(read), text(&sent)));
        }
        if self.sizes.key > 0 && record.key.is_none() {
            return Err("Expected message key but received null".to_owned());
        }
        if record.headers.len() != self.sizes.headers {
            return Err("Header count mismatch between sent and received messages".to_owned());
        }
        Ok(())
    }
}

/// Passes the results of sends to the measurement.
struct Reporter(mpsc::UnboundedSender<Result<Delivered, String>>);

impl Observer<()> for Reporter {
    fn delivered(&mut self, batch: &Delivered, _tokens: Vec<()>) {
        // The receiver is dropped when the measurement ends.
        let _ = self.0.send(Ok(batch.clone()));
    }

    fn failed(&mut self, _topic: &str, error: &SendError, _tokens: Vec<()>) {
        let _ = self.0.send(Err(java_send_error(error)));
    }

    fn warn(&mut self, message: &str) {
        log("WARN", "org.apache.kafka.clients.NetworkClient", message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positional_arguments_become_named_ones() {
        let check = |line: &str, expect: Result<&str, &str>| {
            let words = line.split_whitespace().map(OsString::from).collect();
            let found = to_named_arguments(words).map(|words| {
                words.iter().map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
            });
            match (found, expect) {
                (Err(found), Err(expect)) => assert!(found.starts_with(expect), "{found}"),
                (found, expect) => assert_eq!(found.ok().as_deref(), expect.ok(), "{line}"),
            }
        };
        check(
            "b:1 t 5 all 7",
            Ok("--bootstrap-server b:1 --topic t --num-records 5 --producer-acks all --record-size 7"),
        );
        check("--topic t", Ok("--topic t"));
        check("", Ok(""));
        check("-h", Err("Invalid number of arguments. Expected 5 or 6 positional arguments, but got 1."));
    }
}
