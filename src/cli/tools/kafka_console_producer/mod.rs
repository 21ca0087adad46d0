//! kafka-console-producer: sends the lines of standard input as records.
//!
//! Source of behaviour: `org.apache.kafka.tools.ConsoleProducer`.

pub mod input;
pub mod line_reader;
#[cfg(feature = "registry")]
mod schema_reader;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use tokio::sync::oneshot;

use super::connect::{Properties, run_to_exit};
use super::log_line::log;
use super::options::ParserStyle;
use super::producing::{java_send_error, key_values, start, wait_for_stop_signal};
use super::{RunTool, Tool};
use line_reader::{LineReader, LineRecord};
use ottla_client::producer::{Delivered, NewRecord, Observer, Producer, RecordHeader, SendError};

pub const TOOL: Tool = tool("kafka-console-producer");

/// This tool under a name, which decides on the default line reader.
pub const fn tool(name: &'static str) -> Tool {
    Tool::new::<Options>(name, ParserStyle::JoptSimple)
}

/// The only supported line reader.
const LINE_READER: &str = "org.apache.kafka.tools.LineMessageReader";

/// This tool helps to read data from standard input and publish it to Kafka.
#[derive(Debug, Parser)]
#[command(verbatim_doc_comment)]
pub struct Options {
    /// REQUIRED: The topic to write to.
    #[arg(long, value_name = "String: topic")]
    topic: Option<String>,
    /// REQUIRED: The servers to connect to, as HOST1:PORT1,HOST2:PORT2.
    #[arg(long, value_name = "String: server to connect to")]
    bootstrap_server: Option<String>,
    /// Wait for the acknowledgement of each record before sending the next one.
    #[arg(long)]
    sync: bool,
    /// The compression of batches: 'none', 'gzip', 'snappy', 'lz4' or 'zstd'; without a value, 'gzip'.
    #[arg(long, num_args = 0..=1, default_missing_value = "gzip", value_name = "String: compression-codec")]
    compression_codec: Option<String>,
    /// The size in bytes of a batch of records for one partition (batch.size). (default: 16384)
    #[arg(long, value_name = "Integer: size")]
    batch_size: Option<i32>,
    /// How often sending a batch is retried (retries). (default: 3)
    #[arg(long, value_name = "Integer")]
    message_send_max_retries: Option<i32>,
    /// The time before a retry (retry.backoff.ms). (default: 100)
    #[arg(long, value_name = "Long")]
    retry_backoff_ms: Option<i64>,
    /// How long a record waits for others to fill its batch (linger.ms). (default: 1000)
    #[arg(long, value_name = "Long: timeout_ms")]
    timeout: Option<i64>,
    /// Which replicas must acknowledge a record (acks): 0 none, 1 the leader, -1 or all every in-sync replica.
    /// (default: -1)
    #[arg(long, value_name = "String: request required acks")]
    request_required_acks: Option<String>,
    /// How long to wait for a response (request.timeout.ms). (default: 1500)
    #[arg(long, value_name = "Integer: request timeout ms")]
    request_timeout_ms: Option<i32>,
    /// The time after which metadata is refreshed (metadata.max.age.ms). (default: 300000)
    #[arg(long, value_name = "Long: metadata expiration interval")]
    metadata_expiry_ms: Option<i64>,
    /// How long sending can block (max.block.ms). (default: 60000)
    #[arg(long, value_name = "Long: max block on send")]
    max_block_ms: Option<i64>,
    /// The maximum size in bytes of all batches not yet acknowledged (buffer.memory). (default: 33554432)
    #[arg(long, value_name = "Long: total memory in bytes")]
    max_memory_bytes: Option<i64>,
    /// (Deprecated) Use --batch-size instead. (default: 16384)
    #[arg(long, value_name = "Integer: memory in bytes per partition")]
    max_partition_memory_bytes: Option<i32>,
    /// The class that reads lines; only the default is supported. (default: org.apache.kafka.tools.LineMessageReader)
    #[arg(long, value_name = "String: reader_class")]
    line_reader: Option<String>,
    /// Accepted but ignored: the system chooses the size. (default: 102400)
    #[arg(long, value_name = "Integer: size")]
    socket_buffer_size: Option<i32>,
    /// (DEPRECATED) Use --reader-property instead.
    #[arg(long, value_name = "String: prop")]
    property: Vec<String>,
    /// A property of the line reader, key=value. The properties and their defaults:
    ///  parse.key=false
    ///  parse.headers=false
    ///  ignore.error=false
    ///  key.separator=\t
    ///  headers.delimiter=\t
    ///  headers.separator=,
    ///  headers.key.separator=:
    ///  null.marker=   text that means null, in any field
    /// The format of a line:
    ///  parse.headers=true and parse.key=true:
    ///   "h1:v1,h2:v2...\tkey\tvalue"
    ///  parse.key=true:
    ///   "key\tvalue"
    ///  parse.headers=true:
    ///   "h1:v1,h2:v2...\tvalue"
    #[arg(long, value_name = "String: prop", verbatim_doc_comment)]
    reader_property: Vec<String>,
    /// A file with properties of the line reader; --reader-property takes precedence.
    #[arg(long, value_name = "String: config file")]
    reader_config: Option<PathBuf>,
    /// (DEPRECATED) Use --command-property instead.
    #[arg(long, value_name = "String: producer_prop")]
    producer_property: Vec<String>,
    /// Properties of the producer, as key=value.
    #[arg(long, value_name = "String: producer_prop")]
    command_property: Vec<String>,
    /// (DEPRECATED) Use --command-config instead.
    #[arg(long = "producer.config", value_name = "String: config file")]
    producer_config: Option<PathBuf>,
    /// A file with properties of the producer; --command-property takes precedence.
    #[arg(long, value_name = "String: config file")]
    command_config: Option<PathBuf>,
}

impl RunTool for Options {
    fn run(self, tool: &Tool) -> ExitCode {
        if let Err(message) = self.check() {
            return tool.usage_error(&message);
        }
        let reader = default_reader(tool.name);
        self.warn_of_deprecated_options(reader.is_some());
        run_to_exit(self.produce(reader))
    }
}

impl Options {
    fn check(&self) -> Result<(), String> {
        if self.topic.is_none() {
            return Err("Missing required argument \"[topic]\"".to_owned());
        }
        for (new, is_new, old, is_old) in [
            ("--command-config", self.command_config.is_some(), "--producer.config", self.producer_config.is_some()),
            (
                "--command-property",
                !self.command_property.is_empty(),
                "--producer-property",
                !self.producer_property.is_empty(),
            ),
            ("--reader-property", !self.reader_property.is_empty(), "--property", !self.property.is_empty()),
        ] {
            if is_new && is_old {
                return Err(format!("Options {new} and {old} cannot be specified together."));
            }
        }
        let servers = self.bootstrap_server.as_deref().unwrap_or_default();
        if servers.is_empty() {
            return Err("Error while validating the bootstrap address\n".to_owned());
        }
        let has_port = |address: &str| address.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        if !servers.split(',').all(has_port) {
            return Err("Please provide valid host:port like host1:9091,host2:9092\n".to_owned());
        }
        Ok(())
    }

    /// The documentation of Confluent's tools has `--property`, so they do not warn of it.
    fn warn_of_deprecated_options(&self, is_confluents: bool) {
        let future = "is deprecated and will be removed in a future version.";
        if !self.producer_property.is_empty() {
            out_line!("Warning: --producer-property {future} Use --command-property instead.");
        }
        if self.producer_config.is_some() {
            out_line!("Warning: --producer.config {future} Use --command-config instead.");
        }
        if !self.property.is_empty() && !is_confluents {
            out_line!("Warning: --property {future} Use --reader-property instead.");
        }
        if self.max_partition_memory_bytes.is_some() {
            out_line!(
                "Warning: --max-partition-memory-bytes is deprecated and will be removed in Apache Kafka 5.0. Use \
                 --batch-size instead."
            );
        }
    }

    async fn produce(&self, default_reader: Option<String>) -> Result<ExitCode, String> {
        let properties = self.reader_properties()?;
        let class = self.line_reader.clone().or(default_reader).unwrap_or_else(|| LINE_READER.to_owned());
        let encode = encoder(&class, &properties)?;
        let kafka_exception = |why| format!("org.apache.kafka.common.KafkaException: {why}");
        let topic = properties.get("topic").cloned().unwrap_or_default();
        let reader = LineReader::new(&properties).map_err(kafka_exception)?;
        let producer = start(&self.producer_properties()?, Log)?;
        let sending = async {
            let (stdin, prompt) = input::stdin();
            let mut lines = input::lines(stdin, prompt, move |line, number| encode(reader.record(line, number)?));
            while let Some(group) = lines.recv().await {
                for record in group {
                    self.send(&producer, &topic, record.map_err(kafka_exception)?).await?;
                }
            }
            Ok(ExitCode::SUCCESS)
        };
        let outcome = tokio::select! {
            outcome = sending => outcome,
            code = wait_for_stop_signal() => Ok(ExitCode::from(code)),
        };
        // Sends what was read, also after an error or a signal; a second signal ends it at once.
        tokio::select! {
            () = producer.flush() => outcome,
            code = wait_for_stop_signal() => Ok(ExitCode::from(code)),
        }
    }

    async fn send(&self, producer: &Producer<Sent>, topic: &str, record: LineRecord) -> Result<(), String> {
        let headers: Vec<RecordHeader<'_>> =
            record.headers.iter().map(|(key, value)| (key.as_slice(), value.as_deref())).collect();
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        let sent = NewRecord { topic, key, value, headers: &headers, ..NewRecord::default() };
        let sizes = Sent { key: key.map(<[u8]>::len), value: value.map(<[u8]>::len), stored: None };
        if !self.sync {
            producer.send(&sent, sizes).await;
            return Ok(());
        }
        let (sender, stored) = oneshot::channel();
        producer.send(&sent, Sent { stored: Some(sender), ..sizes }).await;
        // Flushes at once: no other record can be added to the batch before this one is acknowledged.
        producer.flush().await;
        match stored.await {
            Ok(Err(error)) => {
                let error = java_send_error(&error);
                Err(format!("java.util.concurrent.ExecutionException: {error}\nCaused by: {error}"))
            }
            _ => Ok(()),
        }
    }

    fn reader_properties(&self) -> Result<BTreeMap<String, String>, String> {
        let mut properties = read_optional(self.reader_config.as_deref())?;
        properties.insert("topic".to_owned(), self.topic.clone().unwrap_or_default());
        properties.extend(key_values(&self.property).chain(key_values(&self.reader_property)));
        Ok(properties)
    }

    /// Merges the producer's properties. Options take precedence over properties, and properties over the defaults of
    /// options.
    fn producer_properties(&self) -> Result<BTreeMap<String, String>, String> {
        let file = self.command_config.as_deref().or(self.producer_config.as_deref());
        let mut properties = read_optional(file)?;
        properties.extend(key_values(&self.producer_property).chain(key_values(&self.command_property)));
        let servers = self.bootstrap_server.clone().unwrap_or_default();
        properties.insert("bootstrap.servers".to_owned(), servers);
        let batch_size = self.max_partition_memory_bytes.or(self.batch_size);
        let options: [(&str, Option<String>, &str); 11] = [
            ("client.id", None, "console-producer"),
            ("compression.type", self.compression_codec.clone(), "none"),
            ("linger.ms", text(self.timeout), "1000"),
            ("acks", self.request_required_acks.clone(), "-1"),
            ("request.timeout.ms", text(self.request_timeout_ms), "1500"),
            ("retries", text(self.message_send_max_retries), "3"),
            ("retry.backoff.ms", text(self.retry_backoff_ms), "100"),
            ("buffer.memory", text(self.max_memory_bytes), "33554432"),
            ("batch.size", text(batch_size), "16384"),
            ("metadata.max.age.ms", text(self.metadata_expiry_ms), "300000"),
            ("max.block.ms", text(self.max_block_ms), "60000"),
        ];
        for (name, given, default) in options {
            match given {
                Some(given) => drop(properties.insert(name.to_owned(), given)),
                None => drop(properties.entry(name.to_owned()).or_insert_with(|| default.to_owned())),
            }
        }
        Ok(properties)
    }
}

/// Encodes what was read from a line.
type Encode = Box<dyn Fn(LineRecord) -> Result<LineRecord, String> + Send>;

/// How the line reader of a class encodes keys and values.
fn encoder(class: &str, properties: &BTreeMap<String, String>) -> Result<Encode, String> {
    #[cfg(feature = "registry")]
    if let Some(reader) = schema_reader::SchemaReader::of_class(class, properties) {
        let reader = reader.map_err(|why| format!("org.apache.kafka.common.config.ConfigException: {why}"))?;
        return Ok(Box::new(move |record| reader.encode(record)));
    }
    #[cfg(not(feature = "registry"))]
    let _ = properties;
    match class {
        LINE_READER => Ok(Box::new(Ok)),
        class => Err(format!("java.lang.ClassNotFoundException: {class}")),
    }
}

/// The line reader of a tool of Confluent's.
#[cfg(feature = "registry")]
fn default_reader(tool: &str) -> Option<String> {
    super::schema_properties::default_class(tool, "MessageReader")
}

#[cfg(not(feature = "registry"))]
fn default_reader(_: &str) -> Option<String> {
    None
}

fn text<T: ToString>(value: Option<T>) -> Option<String> {
    value.map(|value| value.to_string())
}

fn read_optional(path: Option<&Path>) -> Result<BTreeMap<String, String>, String> {
    Properties::read_optional(path).map(Properties::into_entries)
}

/// The data kept for a record until it is acknowledged.
struct Sent {
    /// The size of the key in bytes; `None` for null.
    key: Option<usize>,
    value: Option<usize>,
    /// Receives the result, with `--sync`.
    stored: Option<oneshot::Sender<Result<(), SendError>>>,
}

/// Logs send errors on stderr as Kafka's `ErrorLoggingCallback` does, except for records sent with `--sync`.
struct Log;

impl Observer<Sent> for Log {
    fn delivered(&mut self, _batch: &Delivered, tokens: Vec<Sent>) {
        for stored in tokens.into_iter().filter_map(|sent| sent.stored) {
            // The receiver may have been dropped after a signal.
            let _ = stored.send(Ok(()));
        }
    }

    fn failed(&mut self, topic: &str, error: &SendError, tokens: Vec<Sent>) {
        for sent in tokens {
            let size = |bytes: Option<usize>| bytes.map_or("null".to_owned(), |bytes| format!("{bytes} bytes"));
            match sent.stored {
                Some(stored) => drop(stored.send(Err(error.clone()))),
                None => {
                    let (key, value) = (size(sent.key), size(sent.value));
                    let what = format_args!(
                        "Error when sending message to topic {topic} with key: {key}, value: {value} with error:"
                    );
                    log("ERROR", "org.apache.kafka.clients.producer.internals.ErrorLoggingCallback", what);
                    err_line!("{}", java_send_error(error));
                }
            }
        }
    }

    fn warn(&mut self, message: &str) {
        log("WARN", "org.apache.kafka.clients.NetworkClient", message);
    }
}
