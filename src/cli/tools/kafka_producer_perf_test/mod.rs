//! kafka-producer-perf-test: measures how fast records can be written.
//!
//! Source of behaviour: `org.apache.kafka.tools.ProducerPerformance`.

mod payload;
mod stats;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use parking_lot::Mutex;

use super::connect::{Properties, block_on};
use super::log_line::log;
use super::options::ParserStyle;
use super::output::Output;
use super::producing::{java_send_error, start, wait_for_stop_signal};
use super::throttle::Throttle;
use super::{RunTool, Tool};
use ottla_broker::clock::{wall_clock_ms, wall_clock_nanos};
use ottla_client::producer::{Delivered, NewRecord, Observer, Producer, SendError};
use payload::Payload;
use stats::Stats;

pub const TOOL: Tool = Tool::new::<Options>("kafka-producer-perf-test", ParserStyle::Argparse);

/// Measures how fast a producer is.
#[derive(Debug, Parser)]
#[command(arg_required_else_help = true)]
pub struct Options {
    /// The servers to connect to; takes precedence over the property bootstrap.servers.
    #[arg(long)]
    bootstrap_server: Option<String>,
    /// The topic to write to.
    #[arg(long, required = true)]
    topic: String,
    /// The number of records to write.
    #[arg(long, required = true, allow_hyphen_values = true)]
    num_records: i64,
    /// The delimiter between two values in the file of --payload-file.
    #[arg(long, default_value = "\\n")]
    payload_delimiter: String,
    /// The approximate maximum of records per second; -1 for no limit.
    #[arg(long, required = true, allow_hyphen_values = true)]
    throughput: f64,
    /// (DEPRECATED) Use --command-property instead.
    #[arg(long, num_args = 1.., value_name = "PROP-NAME=PROP-VALUE")]
    producer_props: Vec<String>,
    /// Properties of the producer, such as linger.ms=10 batch.size=32768; they take precedence over those of a file.
    #[arg(long, num_args = 1.., value_name = "PROP-NAME=PROP-VALUE")]
    command_property: Vec<String>,
    /// (DEPRECATED) Use --command-config instead.
    #[arg(long = "producer.config", value_name = "CONFIG-FILE")]
    producer_config: Option<PathBuf>,
    /// A file with properties of the producer.
    #[arg(long, value_name = "CONFIG-FILE")]
    command_config: Option<PathBuf>,
    /// Print metrics at the end.
    #[arg(long)]
    print_metrics: bool,
    /// The transactional id; with it, records are sent in transactions.
    #[arg(long)]
    transactional_id: Option<String>,
    /// The time after which a transaction is committed and the next one begins, in milliseconds. With it, records are sent
    /// in transactions. 3000 if only a transactional id is given.
    #[arg(long, value_name = "TRANSACTION-DURATION", allow_hyphen_values = true)]
    transaction_duration_ms: Option<i64>,
    /// The number of records at the start that are excluded from an additional line of steady-state statistics.
    #[arg(long, default_value_t = 0, allow_hyphen_values = true)]
    warmup_records: i64,
    /// The time between two progress lines, in milliseconds.
    #[arg(long, default_value_t = 5000, value_name = "INTERVAL-MS", allow_hyphen_values = true)]
    reporting_interval: i64,
    #[command(flatten)]
    payload: PayloadOptions,
}

/// The payload options; exactly one must be given.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct PayloadOptions {
    /// The size of a record in bytes; its value consists of random letters.
    #[arg(long, allow_hyphen_values = true)]
    record_size: Option<i32>,
    /// A file of values; each record has a value chosen at random.
    #[arg(long)]
    payload_file: Option<PathBuf>,
    /// Send the numbers 0, 1, 2 and so on.
    #[arg(long)]
    payload_monotonic: bool,
}

impl RunTool for Options {
    fn run(self, tool: &Tool) -> ExitCode {
        if let Err(message) = self.check() {
            return tool.usage_error(&message);
        }
        let ready = self.payload().and_then(|payload| Ok((payload, self.properties()?)));
        let (payload, properties) = match ready {
            Ok(ready) => ready,
            Err(why) => {
                err_line!("Exception in thread \"main\" java.lang.IllegalArgumentException: {why}");
                return ExitCode::FAILURE;
            }
        };
        block_on(async {
            match self.measure(payload, &properties).await {
                Ok(code) => code,
                Err(why) => {
                    err_line!("Exception in thread \"main\" {why}");
                    ExitCode::FAILURE
                }
            }
        })
    }
}

impl Options {
    fn check(&self) -> Result<(), String> {
        let (command, old) = (!self.command_property.is_empty(), !self.producer_props.is_empty());
        let (config, old_config) = (self.command_config.is_some(), self.producer_config.is_some());
        let checks = [
            (self.num_records > 0, "--num-records should be greater than zero."),
            (
                (0..self.num_records).contains(&self.warmup_records),
                "The value for --warmup-records must be strictly fewer than the number of records in the test, \
                 --num-records.",
            ),
            (self.payload.record_size.is_none_or(|size| size > 0), "--record-size should be greater than zero."),
            (
                self.bootstrap_server.is_some() || command || old || config || old_config,
                "At least one of --bootstrap-server, --command-property, --producer-props, --producer.config or \
                 --command-config must be specified.",
            ),
            (!(command && old), "--command-property and --producer-props cannot be specified together."),
            (!(config && old_config), "--command-config and --producer.config cannot be specified together."),
            (
                self.transaction_duration_ms.is_none_or(|duration| duration > 0),
                "--transaction-duration-ms should be greater than zero.",
            ),
            (self.reporting_interval > 0, "--reporting-interval should be greater than zero."),
        ];
        match checks.into_iter().find(|(is_valid, _)| !is_valid) {
            Some((_, message)) => Err(message.to_owned()),
            None => Ok(()),
        }
    }

    fn payload(&self) -> Result<Payload, String> {
        if let Some(size) = self.payload.record_size {
            return Ok(Payload::random(usize::try_from(size).unwrap_or(0)));
        }
        let Some(path) = &self.payload.payload_file else { return Ok(Payload::Monotonic(String::new())) };
        out_line!("Reading payloads from: {}", std::path::absolute(path).unwrap_or_else(|_| path.clone()).display());
        let delimiter = if self.payload_delimiter == "\\n" { "\n" } else { &self.payload_delimiter };
        let payload = Payload::file(path, delimiter)?;
        out_line!("Number of records read: {}", payload.count().unwrap_or(0));
        Ok(payload)
    }

    fn properties(&self) -> Result<BTreeMap<String, String>, String> {
        let future = "has been deprecated and will be removed in a future version.";
        if !self.producer_props.is_empty() {
            out_line!("Option --producer-props {future} Use --command-property instead.");
        }
        if self.producer_config.is_some() {
            out_line!("Option --producer.config {future} Use --command-config instead.");
        }
        let file: Option<&Path> = self.command_config.as_deref().or(self.producer_config.as_deref());
        let mut properties = Properties::read_optional(file)?.into_entries();
        for pair in self.producer_props.iter().chain(&self.command_property) {
            let (name, value) = pair.split_once('=').ok_or_else(|| format!("Invalid property: {pair}"))?;
            properties.insert(name.to_owned(), value.to_owned());
        }
        if let Some(servers) = &self.bootstrap_server {
            properties.insert("bootstrap.servers".to_owned(), servers.clone());
        }
        properties.entry("client.id".to_owned()).or_insert_with(|| "perf-producer-client".to_owned());
        if let Some(id) = &self.transactional_id {
            properties.insert("transactional.id".to_owned(), id.clone());
        } else if self.transaction_duration_ms.is_some() {
            let generated = || format!("performance-producer-{:x}", wall_clock_nanos());
            properties.entry("transactional.id".to_owned()).or_insert_with(generated);
        }
        Ok(properties)
    }

    async fn measure(&self, payload: Payload, properties: &BTreeMap<String, String>) -> Result<ExitCode, String> {
        let mut output = Output::stdout();
        if self.warmup_records > 0 {
            output.line(format_args!(
                "Warmup first {} records. Steady state results will print after the complete test summary.",
                self.warmup_records
            ));
            output.flush();
        }
        let records = self.num_records.unsigned_abs();
        let stats = Stats::new(records, self.reporting_interval, false, wall_clock_ms());
        let results = Arc::new(Mutex::new(Results { stats, steady: None, failed: 0, batches: 0 }));
        let producer = start(properties, Reporter(results.clone()))?;
        let duration = properties
            .contains_key("transactional.id")
            .then(|| self.transaction_duration_ms.unwrap_or(DEFAULT_TRANSACTION_DURATION_MS));
        let sending = async {
            if duration.is_some() {
                producer.init_transactions().await?;
            }
            self.send(&producer, payload, &results, duration).await?;
            producer.flush().await;
            Ok::<(), SendError>(())
        };
        tokio::select! {
            sent = sending => sent.map_err(|error| java_send_error(&error))?,
            code = wait_for_stop_signal() => return Ok(ExitCode::from(code)),
        }
        let mut results = results.lock();
        let now = wall_clock_ms();
        output.bytes(results.stats.total(now).as_bytes());
        if let Some(steady) = &mut results.steady {
            output.bytes(steady.total(now).as_bytes());
        }
        if self.print_metrics {
            let client = properties.get("client.id").map_or("", String::as_str);
            output.bytes(results.metrics(records, client).as_bytes());
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Sends all records; in transactions of this duration in milliseconds, if one is given.
    async fn send(
        &self,
        producer: &Producer<Sent>,
        mut payload: Payload,
        results: &Mutex<Results>,
        duration: Option<i64>,
    ) -> Result<(), SendError> {
        let mut transaction_start = None;
        let mut throttle = Throttle::new(self.throughput, wall_clock_ms());
        let warmup = self.warmup_records.unsigned_abs();
        for number in 0..self.num_records.unsigned_abs() {
            let value = payload.next(number);
            let now = wall_clock_ms();
            let is_steady = warmup > 0 && number >= warmup;
            if is_steady && number == warmup {
                let remaining = self.num_records.unsigned_abs() - warmup;
                let mut results = results.lock();
                results.steady = Some(Stats::new(remaining, self.reporting_interval, true, now));
                results.stats.stop_progress_lines();
            }
            let sent = Sent { at: now, bytes: value.len() as u32, is_steady };
            let record =
                NewRecord { topic: &self.topic, value: Some(value), timestamp: Some(now), ..NewRecord::default() };
            if duration.is_some() && transaction_start.is_none() {
                producer.begin_transaction()?;
                transaction_start = Some(now);
            }
            producer.send(&record, sent).await;
            if let (Some(duration), Some(start)) = (duration, transaction_start)
                && now - start >= duration
            {
                producer.commit_transaction().await?;
                transaction_start = None;
            }
            throttle.next_delay(number, now).wait().await;
        }
        match transaction_start {
            Some(_) => producer.commit_transaction().await,
            None => Ok(()),
        }
    }
}

/// The duration of transactions if only a transactional id is given.
const DEFAULT_TRANSACTION_DURATION_MS: i64 = 3_000;

/// The data kept for a record until it is acknowledged.
struct Sent {
    at: i64,
    bytes: u32,
    is_steady: bool,
}

/// The results so far.
struct Results {
    stats: Stats,
    steady: Option<Stats>,
    failed: u64,
    batches: u64,
}

impl Results {
    /// Formats counters as Kafka's tools print metrics.
    fn metrics(&self, records: u64, client: &str) -> String {
        let counters =
            [("batch-total", self.batches), ("record-error-total", self.failed), ("record-send-total", records)];
        let name = |metric: &str| format!("producer-metrics:{metric}:{{client-id={client}}}");
        let width = counters.iter().map(|(metric, _)| name(metric).len()).max().unwrap_or(0);
        let mut text = format!("\n{:<width$}   Value\n", "Metric Name");
        for (metric, value) in counters {
            text.push_str(&format!("{:<width$} : {value}.000\n", name(metric)));
        }
        text
    }
}

struct Reporter(Arc<Mutex<Results>>);

impl Observer<Sent> for Reporter {
    fn delivered(&mut self, _batch: &Delivered, tokens: Vec<Sent>) {
        let now = wall_clock_ms();
        let mut results = self.0.lock();
        results.batches += 1;
        for sent in tokens {
            let latency = u32::try_from(now - sent.at).unwrap_or(0);
            let mut lines = results.stats.record(latency, sent.bytes, now);
            if sent.is_steady
                && let Some(steady) = &mut results.steady
            {
                let more = steady.record(latency, sent.bytes, now);
                lines = lines.into_iter().chain(more).reduce(|lines, more| lines + &more);
            }
            if let Some(lines) = lines {
                Output::stdout().bytes(lines.as_bytes());
            }
        }
    }

    fn failed(&mut self, _topic: &str, error: &SendError, tokens: Vec<Sent>) {
        self.0.lock().failed += tokens.len() as u64;
        for _ in tokens {
            err_line!("{}", java_send_error(error));
        }
    }

    fn warn(&mut self, message: &str) {
        log("WARN", "org.apache.kafka.clients.NetworkClient", message);
    }
}
