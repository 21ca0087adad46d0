//! kafka-verifiable-producer: writes numbers, and prints the result for each as JSON.
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
use super::options::ParserStyle;
use super::output::Output;
use super::producing::{exception_class, start, wait_for_stop_signal};
use super::throttle::Throttle;
use super::{RunTool, Tool};
use ottla_broker::clock::wall_clock_ms;
use ottla_client::producer::{Delivered, NewRecord, Observer, Producer, SendError};
use ottla_wire::types::{Offset, PartitionIndex, TimestampMs};

pub const TOOL: Tool = Tool::new::<Options>("kafka-verifiable-producer", ParserStyle::Argparse);

/// Writes increasing numbers, and prints for each as JSON whether and where it was stored.
#[derive(Debug, Parser)]
#[command(arg_required_else_help = true)]
pub struct Options {
    /// The topic to write to.
    #[arg(long, required = true)]
    topic: String,
    /// The number of records to write; without a limit if negative.
    #[arg(long, default_value_t = -1)]
    max_messages: i32,
    /// The approximate maximum of records per second; no limit if negative.
    #[arg(long, default_value_t = -1)]
    throughput: i32,
    /// Which replicas must acknowledge a record: 0 none, 1 the leader, -1 every in-sync replica.
    #[arg(long, default_value_t = -1)]
    acks: i32,
    /// (DEPRECATED) Use --command-config instead.
    #[arg(long = "producer.config", value_name = "CONFIG-FILE")]
    producer_config: Option<PathBuf>,
    /// The first record's timestamp in milliseconds since 1970-01-01; the current time if -1.
    #[arg(long, default_value_t = -1, value_name = "CREATE-TIME")]
    message_create_time: i64,
    /// A prefix of each value, separated by a dot.
    #[arg(long)]
    value_prefix: Option<i32>,
    /// Give records the keys from 0 up to this number (exclusive), repeatedly.
    #[arg(long)]
    repeating_keys: Option<i32>,
    /// A file with properties of the producer, which take precedence over options.
    #[arg(long, value_name = "CONFIG-FILE")]
    command_config: Option<PathBuf>,
    /// REQUIRED: The servers to connect to.
    #[arg(long, required = true, value_name = "HOST1:PORT1[,HOST2:PORT2[...]]")]
    bootstrap_server: String,
}

impl RunTool for Options {
    fn run(self, tool: &Tool) -> ExitCode {
        if ![0, 1, -1].contains(&self.acks) {
            return tool
                .usage_error(&format!("argument --acks: invalid choice: '{}' (choose from {{0,1,-1}})", self.acks));
        }
        if self.producer_config.is_some() && self.command_config.is_some() {
            return tool.usage_error("Options --producer.config and --command-config are mutually exclusive.");
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
            Err(why) => return tool.usage_error(&why),
        };
        block_on(async {
            let mut properties = Properties::default().into_entries();
            let given = [("acks", self.acks.to_string()), ("bootstrap.servers", self.bootstrap_server.clone())];
            // A failed send is reported and not retried.
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
        print(&Event { timestamp: started, name: "startup_complete", fields: NoFields {} });
        let code = tokio::select! {
            () = self.send(&producer, started, &sent) => ExitCode::SUCCESS,
            code = wait_for_stop_signal() => ExitCode::from(code),
        };
        let code = tokio::select! {
            () = producer.flush() => code,
            code = wait_for_stop_signal() => ExitCode::from(code),
        };
        print(&Event { timestamp: wall_clock_ms(), name: "shutdown_complete", fields: NoFields {} });
        let (now, acked) = (wall_clock_ms(), acked.load(Ordering::Relaxed));
        let fields = ToolData {
            sent: sent.load(Ordering::Relaxed),
            acked,
            target_throughput: self.throughput,
            avg_throughput: 1000.0 * (acked as f64 / (now - started).max(1) as f64),
        };
        print(&Event { timestamp: now, name: "tool_data", fields });
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
            // Each step is the time since the start, as in Kafka's tool.
            create_time = create_time.map(|time| time.saturating_add(wall_clock_ms() - started));
            sent.fetch_add(1, Ordering::Relaxed);
            throttle.next_delay(number, now).wait().await;
        }
    }
}

/// The data kept for a record until it is acknowledged.
struct Sent {
    key: Option<String>,
    value: String,
}

#[derive(Serialize)]
struct Event<T: Serialize> {
    timestamp: TimestampMs,
    name: &'static str,
    #[serde(flatten)]
    fields: T,
}

#[derive(Serialize)]
struct NoFields {}

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
            let fields = Success {
                key: sent.key.as_deref(),
                value: &sent.value,
                offset: if batch.base_offset < 0 { -1 } else { batch.base_offset + index },
                topic: &batch.topic,
                partition: batch.partition,
            };
            print(&Event { timestamp: wall_clock_ms(), name: "producer_send_success", fields });
        }
    }

    fn failed(&mut self, _topic: &str, error: &SendError, tokens: Vec<Sent>) {
        for sent in &tokens {
            let fields = Failure {
                topic: &self.topic,
                key: sent.key.as_deref(),
                value: &sent.value,
                exception: format!("class {}", exception_class(error)),
                message: error.to_string(),
            };
            print(&Event { timestamp: wall_clock_ms(), name: "producer_send_error", fields });
        }
    }

    fn warn(&mut self, message: &str) {
        log("WARN", "org.apache.kafka.clients.NetworkClient", message);
    }
}
