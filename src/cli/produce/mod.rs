//! `ottla produce`: writes records from the command line, a file or standard input.

mod json;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use parking_lot::Mutex;
use serde::Serialize;

use super::name_and_value;
use super::tools::connect::{Bootstrap, Properties, block_on, connect};
use super::tools::exceptions::exception_name;
use super::tools::kafka_console_producer::input;
use super::tools::kafka_console_producer::line_reader::OwnedHeader;
use super::tools::output::Output;
use super::tools::producing::{start, wait_for_stop_signal};
use super::tools::security::Security;
use ottla_broker::clock::Clock;
use ottla_client::producer::{Delivered, NewRecord, Observer, Producer, ProducerOptions, RecordHeader, SendError};
use ottla_wire::types::ErrorCode;

/// The interval of progress lines.
const PROGRESS: Duration = Duration::from_secs(1);
/// The defaults that are shorter than Kafka's, so that the command soon fails if no broker answers.
const MAX_BLOCK_MS: &str = "10000";
const REQUEST_TIMEOUT_MS: &str = "10000";
const DELIVERY_TIMEOUT_MS: &str = "20000";
const MAX_BLOCK: &str = "max.block.ms";

/// The arguments of `ottla produce`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ProduceArgs {
    /// The topic to write to; if it is missing, the broker creates it (auto.create.topics.enable)
    topic: String,

    /// The values, one record each; without values, each line of standard input is a record
    values: Vec<String>,

    #[command(flatten)]
    bootstrap: Bootstrap,

    /// Each line of FILE is a value
    #[arg(long, short, value_name = "FILE", conflicts_with = "values")]
    file: Option<PathBuf>,

    /// The key of every record
    #[arg(long, short)]
    key: Option<String>,

    /// The text that separates key and value in each value or line
    #[arg(long, short = 's', value_name = "TEXT", conflicts_with = "key")]
    key_separator: Option<String>,

    /// A header of every record; may be given many times
    #[arg(long = "header", short = 'H', value_name = "NAME=VALUE", value_parser = header)]
    headers: Vec<(String, String)>,

    /// The partition; by default the key decides
    #[arg(long, short)]
    partition: Option<i32>,

    /// The timestamp of all records in milliseconds since 1970 [default: now]
    #[arg(long, value_name = "MS", allow_hyphen_values = true)]
    timestamp: Option<i64>,

    /// Keys and values equal to TEXT become null: a null value deletes its key from a compacted topic
    #[arg(long, value_name = "TEXT")]
    null: Option<String>,

    /// Each value or line is a JSON object: key, value, headers, partition, timestamp; for each stored record, print its
    /// partition and offset as a line of JSON
    #[arg(long, conflicts_with_all = ["key_separator", "null"])]
    json: bool,

    /// The compression of batches
    #[arg(long, short, value_enum)]
    compression: Option<Compression>,

    /// Any setting of Kafka's producers, such as acks=1 or max.block.ms=60000 (how long to wait for a broker, by default
    /// 10 s); may be given many times
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = producer_setting)]
    settings: Vec<(String, String)>,

    #[cfg(feature = "registry")]
    #[command(flatten)]
    schemas: super::schemas::formats::SchemaArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Compression {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

const EXAMPLES: &str = "\
Examples:
  ottla produce orders one two three                  three records
  ottla produce orders -k 42 -H source=test hello     with a key and a header
  ottla produce orders -s : < lines.txt               lines as key:value
  echo '{\"key\":\"a\",\"value\":{\"n\":1}}' | ottla produce orders --json

Exit code 0: all records were stored. 1: not all; the reason is on stderr.";

/// A record to write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Item {
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<OwnedHeader>,
    partition: Option<i32>,
    timestamp: Option<i64>,
}

/// Writes the records. The error is one line.
pub fn run(args: ProduceArgs) -> Result<ExitCode, String> {
    let properties = args.properties()?;
    let progress = Arc::new(Mutex::new(Progress::default()));
    let reporter = Reporter { json: args.json, progress: progress.clone() };
    Ok(block_on(async {
        let outcome = args.connect_and_produce(&properties, reporter, &progress).await;
        let failed = progress.lock().failed;
        match outcome {
            Ok(code) if failed == 0 => code,
            Ok(_) => ExitCode::FAILURE,
            Err(why) => {
                err_line!("ottla: {why}");
                ExitCode::FAILURE
            }
        }
    }))
}

fn header(text: &str) -> Result<(String, String), String> {
    name_and_value(text, "trace-id=7")
}

fn producer_setting(text: &str) -> Result<(String, String), String> {
    name_and_value(text, "acks=1")
}

impl ProduceArgs {
    fn properties(&self) -> Result<BTreeMap<String, String>, String> {
        let mut properties = Properties::read_optional(self.bootstrap.command_config.as_deref())?.into_entries();
        properties.extend(self.settings.iter().cloned());
        properties.insert("bootstrap.servers".to_owned(), self.bootstrap.bootstrap_server.clone());
        properties.entry("client.id".to_owned()).or_insert_with(|| "ottla-produce".to_owned());
        properties.entry(MAX_BLOCK.to_owned()).or_insert_with(|| MAX_BLOCK_MS.to_owned());
        let (request, delivery) = ("request.timeout.ms", "delivery.timeout.ms");
        // Kafka requires delivery.timeout.ms >= linger.ms + request.timeout.ms.
        if ![request, delivery, "linger.ms"].iter().any(|name| properties.contains_key(*name)) {
            properties.insert(request.to_owned(), REQUEST_TIMEOUT_MS.to_owned());
            properties.insert(delivery.to_owned(), DELIVERY_TIMEOUT_MS.to_owned());
        }
        if let Some(codec) = self.compression.as_ref().and_then(Compression::to_possible_value) {
            properties.insert("compression.type".to_owned(), codec.get_name().to_owned());
        }
        Ok(properties)
    }

    async fn connect_and_produce(
        &self,
        properties: &BTreeMap<String, String>,
        reporter: Reporter,
        progress: &Mutex<Progress>,
    ) -> Result<ExitCode, String> {
        ProducerOptions::from_properties(properties)?;
        tokio::select! {
            connected = self.wait_for_broker(properties) => connected?,
            code = wait_for_stop_signal() => return Ok(ExitCode::from(code)),
        }
        let producer = start(properties, reporter).map_err(|why| {
            // Kafka's message, without the names of Java classes.
            why.rsplit_once("Exception: ").map_or(why.as_str(), |(_, why)| why).to_owned()
        })?;
        self.produce(producer, progress).await
    }

    /// Waits until a broker answers, for `max.block.ms`. A producer alone would wait that long for each record.
    async fn wait_for_broker(&self, properties: &BTreeMap<String, String>) -> Result<(), String> {
        let mut client = Properties::default();
        let is_of_connections =
            |name: &str| matches!(name, "client.id" | "request.timeout.ms") || Security::is_setting(name);
        for (name, value) in properties.iter().filter(|(name, _)| is_of_connections(name)) {
            client.set(name, value);
        }
        properties.get(MAX_BLOCK).into_iter().for_each(|value| client.set("default.api.timeout.ms", value));
        connect(&self.bootstrap.bootstrap_server, &client).await.map(|_| ()).map_err(|error| error.to_string())
    }

    async fn produce(&self, producer: Producer<u64>, progress: &Mutex<Progress>) -> Result<ExitCode, String> {
        let outcome = tokio::select! {
            outcome = self.send_all(&producer, progress) => outcome.map(|()| ExitCode::SUCCESS),
            code = wait_for_stop_signal() => Ok(ExitCode::from(code)),
            never = show_progress(progress) => never,
        };
        tokio::select! {
            () = producer.flush() => {}
            code = wait_for_stop_signal() => return Ok(ExitCode::from(code)),
            never = show_progress(progress) => never,
        }
        progress.lock().end(&self.topic, self.json);
        outcome
    }

    async fn send_all(&self, producer: &Producer<u64>, progress: &Mutex<Progress>) -> Result<(), String> {
        let rules = Rules {
            json: self.json,
            key: self.key.clone(),
            key_separator: self.key_separator.clone(),
            null: self.null.clone(),
            #[cfg(feature = "registry")]
            encoder: Arc::new(self.schemas.encoder(&self.topic)?),
        };
        if !self.values.is_empty() {
            for (number, value) in (1..).zip(&self.values) {
                self.send(producer, rules.item(value, number)?, number).await;
                progress.lock().check_reachable()?;
            }
            return Ok(());
        }
        let rules = rules.clone();
        let read = move |line: &str, number| rules.item(line, number).map(|item| (item, number));
        let mut lines = match &self.file {
            Some(path) => {
                let file = File::open(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
                input::lines(file, false, read)
            }
            None => {
                let (stdin, prompt) = input::stdin();
                input::lines(stdin, prompt, read)
            }
        };
        while let Some(group) = lines.recv().await {
            for item in group {
                let (item, number) = item?;
                self.send(producer, item, number).await;
                progress.lock().check_reachable()?;
            }
        }
        Ok(())
    }

    async fn send(&self, producer: &Producer<u64>, item: Item, number: u64) {
        let own = item.headers.iter().map(|(key, value)| (key.as_slice(), value.as_deref()));
        let common = self.headers.iter().map(|(key, value)| (key.as_bytes(), Some(value.as_bytes())));
        let headers: Vec<RecordHeader<'_>> = own.chain(common).collect();
        let record = NewRecord {
            topic: &self.topic,
            partition: item.partition.or(self.partition),
            timestamp: item.timestamp.or(self.timestamp),
            key: item.key.as_deref(),
            value: item.value.as_deref(),
            headers: &headers,
        };
        producer.send(&record, number).await;
    }
}

/// The rules that convert a value or a line into a record.
#[derive(Clone, Default)]
struct Rules {
    json: bool,
    key: Option<String>,
    key_separator: Option<String>,
    null: Option<String>,
    #[cfg(feature = "registry")]
    encoder: Arc<super::schemas::formats::RecordEncoder>,
}

impl Rules {
    /// Converts one. `number` counts values or lines from 1. The error is one line.
    fn item(&self, text: &str, number: u64) -> Result<Item, String> {
        #[cfg_attr(not(feature = "registry"), allow(unused_mut))]
        let mut item = self.text_item(text, number)?;
        #[cfg(feature = "registry")]
        self.encoder.encode(&mut item.key, &mut item.value, number)?;
        Ok(item)
    }

    /// The record of a text before it is encoded.
    fn text_item(&self, text: &str, number: u64) -> Result<Item, String> {
        if self.json {
            let mut item = json::item(text).map_err(|why| format!("record {number} is not valid JSON: {why}"))?;
            item.key = item.key.or_else(|| self.bytes(self.key.as_deref()));
            return Ok(item);
        }
        let (key, value) = match &self.key_separator {
            None => (self.key.as_deref(), text),
            Some(separator) => match text.split_once(separator.as_str()) {
                Some((key, value)) => (Some(key), value),
                None => return Err(format!("record {number} has no key: {text:?} does not contain {separator:?}")),
            },
        };
        Ok(Item { key: self.bytes(key), value: self.bytes(Some(value)), ..Item::default() })
    }

    fn bytes(&self, text: Option<&str>) -> Option<Vec<u8>> {
        text.filter(|text| self.null.as_deref() != Some(text)).map(|text| text.as_bytes().to_vec())
    }
}

/// The records that were stored so far.
#[derive(Debug, Default)]
struct Progress {
    stored: u64,
    failed: u64,
    /// A request timed out or the connection was lost: later records would fail too, each after a timeout.
    is_unreachable: bool,
    /// The terminal shows a progress line.
    shown: bool,
}

impl Progress {
    fn check_reachable(&self) -> Result<(), String> {
        match self.is_unreachable {
            true => Err("stopped after the first timeout: the remaining records were not sent".to_owned()),
            false => Ok(()),
        }
    }

    fn show(&mut self, since: Duration) {
        self.shown = true;
        let rate = self.stored as f64 / since.as_secs_f64().max(0.001);
        err_text!("\r\x1b[K{} records stored, {rate:.0} a second", self.stored);
    }

    fn end(&mut self, topic: &str, json: bool) {
        if std::mem::take(&mut self.shown) {
            err_text!("\r\x1b[K");
        }
        if !json {
            let plural = if self.stored == 1 { "" } else { "s" };
            Output::stdout().line(format_args!("{} record{plural} stored in {topic}", self.stored));
        }
    }
}

/// Shows progress on a terminal while it is polled.
async fn show_progress<T>(progress: &Mutex<Progress>) -> T {
    // Not between the prompts of an interactive input.
    if !io::stderr().is_terminal() || io::stdin().is_terminal() {
        return std::future::pending().await;
    }
    let clock = Clock::start();
    loop {
        tokio::time::sleep(PROGRESS).await;
        progress.lock().show(clock.monotonic());
    }
}

/// Counts records, and prints the partition and offset of each as JSON.
struct Reporter {
    json: bool,
    progress: Arc<Mutex<Progress>>,
}

/// The line of a stored record; `record` is its number in the input, from 1.
#[derive(Serialize)]
struct Stored<'a> {
    record: u64,
    topic: &'a str,
    partition: i32,
    /// Absent if unknown (acks=0).
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<i64>,
}

/// The line of a record that was not stored.
#[derive(Serialize)]
struct Failed<'a> {
    record: u64,
    topic: &'a str,
    error: String,
    message: String,
}

impl Observer<u64> for Reporter {
    fn delivered(&mut self, batch: &Delivered, tokens: Vec<u64>) {
        self.progress.lock().stored += tokens.len() as u64;
        if !self.json {
            return;
        }
        let mut output = Output::stdout();
        for (index, record) in (0..).zip(tokens) {
            let offset = (batch.base_offset >= 0).then_some(batch.base_offset + index);
            let line = Stored { record, topic: &batch.topic, partition: batch.partition, offset };
            output.line(serde_json::to_string(&line).unwrap_or_default());
        }
    }

    fn failed(&mut self, topic: &str, error: &SendError, tokens: Vec<u64>) {
        let mut progress = self.progress.lock();
        progress.failed += tokens.len() as u64;
        progress.is_unreachable |= matches!(error.code(), ErrorCode::RequestTimedOut | ErrorCode::NetworkException);
        drop(progress);
        for record in tokens {
            err_line!("ottla: record {record} was not stored: {error}");
            if self.json {
                let line = Failed { record, topic, error: exception_name(error.code()), message: error.to_string() };
                Output::stdout().line(serde_json::to_string(&line).unwrap_or_default());
            }
        }
    }

    fn warn(&mut self, message: &str) {
        err_line!("ottla: {message}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_converted_into_records() {
        let check = |rules: Rules, text, expect: Result<(Option<&str>, Option<&str>), &str>| {
            let item = rules.item(text, 3);
            let found = item.as_ref().map(|item| (item.key.as_deref(), item.value.as_deref()));
            let expect = expect.map(|(key, value)| (key.map(str::as_bytes), value.map(str::as_bytes)));
            assert_eq!(found.map_err(String::as_str), expect, "{text}");
        };
        let text = |text: &str| Some(text.to_owned());
        check(Rules::default(), "a:b", Ok((None, Some("a:b"))));
        check(Rules { key: text("k"), ..Rules::default() }, "v", Ok((Some("k"), Some("v"))));
        let keyed = Rules { key_separator: text(":"), null: text("-"), ..Rules::default() };
        check(keyed.clone(), "a:b:c", Ok((Some("a"), Some("b:c"))));
        check(keyed.clone(), "a:-", Ok((Some("a"), None)));
        check(keyed, "ab", Err("record 3 has no key: \"ab\" does not contain \":\""));
        let json = Rules { json: true, key: text("k"), ..Rules::default() };
        check(json.clone(), r#"{"value":"v"}"#, Ok((Some("k"), Some("v"))));
        check(json, r#"{"key":"own"}"#, Ok((Some("own"), None)));
    }
}
