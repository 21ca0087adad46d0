//! kafka-verifiable-producer: writes numbers, and says of each in JSON what became of it.
//!
//! Source of behaviour: `org.apache.kafka.tools.VerifiableProducer`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::Parser;
use serde::Serialize;

use super::connect::{Properties, block_on};
use super::log_line::log;
use super::options::Manner;
use super::output::Output;
use super::producing::{asked_to_end, exception_class, start};
use super::throttle::Throttle;
use super::{RunTool, Tool};
use ottla_broker::clock::wall_clock_ms;
use ottla_client::producer::{Delivered, NewRecord, Observer, Producer, SendError};
use ottla_wire::types::{Offset, PartitionIndex, TimestampMs};

pub const TOOL: Tool = Tool::new::<Options>("kafka-verifiable-producer", Manner::Argparse);

/// Writes increasing numbers, and prints JSON about each: whether it was stored, and where.
#[derive(Debug, Parser)]
#[command(arg_required_else_help = true)]
pub struct Options {
    /// The topic to write to.
    #[arg(long, required = true)]
    topic: String,
    /// How many records to write; without end if negative.
    #[arg(long, default_value_t = -1)]
    max_messages: i32,
    /// About how many records a second, at most; as many as there can be if negative.
    #[arg(long, default_value_t = -1)]
    throughput: i32,
    /// Who has to have stored a record: 0 nobody, 1 the leader, -1 every replica in sync.
    #[arg(long, default_value_t = -1)]
    acks: i32,
    /// (DEPRECATED) Use --command-config instead.
    #[arg(long = "producer.config", value_name = "CONFIG-FILE")]
    producer_config: Option<PathBuf>,
    /// The first record's timestamp in milliseconds since 1970; the time it is if -1.
    #[arg(long, default_value_t = -1, value_name = "CREATE-TIME")]
    message_create_time: i64,
    /// Stands before each value, with a dot between.
    #[arg(long)]
    value_prefix: Option<i32>,
    /// Records have keys: 0 to this, without the end, and again.
    #[arg(long)]
    repeating_keys: Option<i32>,
    /// A file with properties of the producer; it counts for more than the options here.
    #[arg(long, value_name = "CONFIG-FILE")]
    command_config: Option<PathBuf>,
    /// REQUIRED: The servers to connect to.
    #[arg(long, required = true, value_name = "HOST1:PORT1[,HOST2:PORT2[...]]")]
    bootstrap_server: String,
}

impl RunTool for Options {
    fn run(self, tool: &Tool) -> ExitCode {
        if ![0, 1, -1].contains(&self.acks) {
            return tool.wrong(&format!("argument --acks: invalid choice: '{}' (choose from {{0,1,-1}})", self.acks));
        }
        if self.producer_config.is_some() && self.command_config.is_some() {
            return tool.wrong("Options --producer.config and --command-config are mutually exclusive.");
        }
        if self.producer_config.is_some() {
            out_line!(
                "Option --producer.config has been deprecated and will be removed in a future version. Use \
                 --command-config instead."
            );
        }
        let file = self.command_config.as_deref().or(self.producer_config.as_deref());
        let file = match Properties::read_optional(file) {
            Ok(file) => file.into_entries(),
            Err(why) => return tool.wrong(&why),
        };
        block_on(async {
            let mut properties = Properties::default().into_entries();
            let given = [("acks", self.acks.to_string()), ("bootstrap.servers", self.bootstrap_server.clone())];
            // What was not stored at once is reported, and not tried again.
            let given = given.into_iter().chain([("retries", "0".to_owned())]);
            properties.extend(given.map(|(name, value)| (name.to_owned(), value)));
            properties.extend(file);
            let acked = Arc::new(AtomicU64::new(0));
            match start(&properties, Reporter { topic: self.topic.clone(), acked: acked.clone() }) {
                Ok(producer) => self.produce(producer, &acked).await,
                Err(why) => {
                    err_line!("Exception in thread \"main\" {why}");
                    ExitCode::FAILURE
                }
            }
        })
    }
}

impl Options {
    async fn produce(&self, producer: Producer<Sent>, acked: &AtomicU64) -> ExitCode {
        let started = wall_clock_ms();
        let sent = AtomicU64::new(0);
        print(&Event { timestamp: started, name: "startup_complete", what: Nothing {} });
        let code = tokio::select! {
            () = self.send(&producer, started, &sent) => ExitCode::SUCCESS,
            code = asked_to_end() => ExitCode::from(code),
        };
        let code = tokio::select! {
            () = producer.flush() => code,
            code = asked_to_end() => ExitCode::from(code),
        };
        print(&Event { timestamp: wall_clock_ms(), name: "shutdown_complete", what: Nothing {} });
        let (now, acked) = (wall_clock_ms(), acked.load(Ordering::Relaxed));
        let what = ToolData {
            sent: sent.load(Ordering::Relaxed),
            acked,
            target_throughput: self.throughput,
            avg_throughput: 1000.0 * (acked as f64 / (now - started).max(1) as f64),
        };
        print(&Event { timestamp: now, name: "tool_data", what });
        code
    }

    async fn send(&self, producer: &Producer<Sent>, started: TimestampMs, sent: &AtomicU64) {
        let mut throttle = Throttle::new(f64::from(self.throughput), started);
        let mut create_time = (self.message_create_time != -1).then_some(self.message_create_time);
        let mut next_key = 0;
        let records = u64::try_from(self.max_messages).unwrap_or(u64::MAX);
        for number in 0..records {
            let now = wall_clock_ms();
            let value = match self.value_prefix {
                Some(prefix) => format!("{prefix}.{number}"),
                None => number.to_string(),
            };
            let key = self.repeating_keys.map(|keys| {
                let key: i32 = next_key;
                next_key = if key + 1 == keys { 0 } else { key.wrapping_add(1) };
                key.to_string()
            });
            let record = NewRecord {
                topic: &self.topic,
                timestamp: create_time,
                key: key.as_deref().map(str::as_bytes),
                value: Some(value.as_bytes()),
                ..NewRecord::default()
            };
            let token = Sent { key: key.clone(), value: value.clone() };
            producer.send(&record, token).await;
            // The further from the start, the larger the steps: as in Kafka's.
            create_time = create_time.map(|time| time.saturating_add(wall_clock_ms() - started));
            sent.fetch_add(1, Ordering::Relaxed);
            throttle.rest(number, now).take().await;
        }
    }
}

/// What is kept of a record on its way.
struct Sent {
    key: Option<String>,
    value: String,
}

#[derive(Serialize)]
struct Event<T: Serialize> {
    timestamp: TimestampMs,
    name: &'static str,
    #[serde(flatten)]
    what: T,
}

#[derive(Serialize)]
struct Nothing {}

#[derive(Serialize)]
struct Success<'a> {
    key: Option<&'a str>,
    value: &'a str,
    offset: Offset,
    topic: &'a str,
    partition: PartitionIndex,
}

#[derive(Serialize)]
struct Failure<'a> {
    topic: &'a str,
    key: Option<&'a str>,
    value: &'a str,
    exception: String,
    message: String,
}

#[derive(Serialize)]
struct ToolData {
    sent: u64,
    acked: u64,
    target_throughput: i32,
    avg_throughput: f64,
}

fn print(event: &impl Serialize) {
    match serde_json::to_string(event) {
        Ok(text) => Output::stdout().line(text),
        Err(error) => Output::stdout().line(format_args!("Bad data can't be written as json: {error}")),
    }
}

struct Reporter {
    topic: String,
    acked: Arc<AtomicU64>,
}

impl Observer<Sent> for Reporter {
    fn delivered(&mut self, batch: &Delivered, tokens: Vec<Sent>) {
        self.acked.fetch_add(tokens.len() as u64, Ordering::Relaxed);
        for (index, sent) in (0..).zip(&tokens) {
            let what = Success {
                key: sent.key.as_deref(),
                value: &sent.value,
                offset: if batch.base_offset < 0 { -1 } else { batch.base_offset + index },
                topic: &batch.topic,
                partition: batch.partition,
            };
            print(&Event { timestamp: wall_clock_ms(), name: "producer_send_success", what });
        }
    }

    fn failed(&mut self, _topic: &str, error: &SendError, tokens: Vec<Sent>) {
        for sent in &tokens {
            let what = Failure {
                topic: &self.topic,
                key: sent.key.as_deref(),
                value: &sent.value,
                exception: format!("class {}", exception_class(error)),
                message: error.to_string(),
            };
            print(&Event { timestamp: wall_clock_ms(), name: "producer_send_error", what });
        }
    }

    fn warn(&mut self, message: &str) {
        log("WARN", "org.apache.kafka.clients.NetworkClient", message);
    }
}
