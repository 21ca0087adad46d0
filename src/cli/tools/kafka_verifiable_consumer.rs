//! kafka-verifiable-consumer: prints the events of a consumer as one JSON object per line.
//!
//! Source of behaviour: `org.apache.kafka.tools.VerifiableConsumer`.

use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use clap::Parser;
use serde::Serialize;

use super::connect::Properties;
use super::consuming::{Stop, block_on_multi_thread, config, open, properties, warn};
use super::exceptions::Exception;
use super::log_line::log_exception;
use super::options::ParserStyle;
use super::output::Output;
use super::{RunTool, Tool};
use ottla_broker::clock::wall_clock_ms;
use ottla_client::consumer::{ConsumedRecord, Consumer, Event, PartitionRecords, Topics};
use ottla_wire::types::{ErrorCode, Offset, PartitionIndex, TimestampMs, TopicPartition};

pub const TOOL: Tool = Tool::new::<Options>("kafka-verifiable-consumer", ParserStyle::Argparse);

const CLASS: &str = "org.apache.kafka.tools.VerifiableConsumer";

/// This tool consumes messages from a specific topic and emits consumer events (e.g. group rebalances, received messages,
/// and offsets committed) as JSON objects to STDOUT.
#[derive(Debug, Parser)]
pub struct Options {
    /// The servers to connect to.
    #[arg(long, required = true, value_name = "HOST1:PORT1[,HOST2:PORT2[...]]")]
    bootstrap_server: String,
    /// The topic to read.
    #[arg(long, required = true, value_name = "TOPIC")]
    topic: String,
    /// CLASSIC or CONSUMER; this consumer always uses the classic protocol. (default: classic)
    #[arg(long, value_name = "GROUP-PROTOCOL", default_value = "classic", hide_default_value = true)]
    group_protocol: String,
    /// The server-side assignor of the consumer protocol; not used by this consumer.
    #[arg(long, value_name = "GROUP-REMOTE-ASSIGNOR")]
    group_remote_assignor: Option<String>,
    /// The consumer's group id.
    #[arg(long, required = true, value_name = "GROUP-ID")]
    group_id: String,
    /// The group instance id, which makes the consumer a static member.
    #[arg(long, value_name = "GROUP-INSTANCE-ID")]
    group_instance_id: Option<String>,
    /// The number of messages to read; -1 (the default) means until it is stopped.
    #[arg(long, value_name = "MAX-MESSAGES", default_value_t = -1, hide_default_value = true)]
    max_messages: i32,
    /// The consumer's session timeout in milliseconds.
    #[arg(long, value_name = "TIMEOUT-MS")]
    session_timeout: Option<i32>,
    /// Print each record too.
    #[arg(long)]
    verbose: bool,
    /// Commit automatically instead of after each batch of records.
    #[arg(long)]
    enable_autocommit: bool,
    /// Where to start without a committed offset: 'earliest', 'latest', or 'none' to fail. (default: earliest)
    #[arg(long, value_name = "RESET-POLICY", default_value = "earliest", hide_default_value = true)]
    reset_policy: String,
    /// The assignor's class. (default: org.apache.kafka.clients.consumer.RangeAssignor)
    #[arg(
        long,
        value_name = "ASSIGNMENT-STRATEGY",
        default_value = "org.apache.kafka.clients.consumer.RangeAssignor",
        hide_default_value = true
    )]
    assignment_strategy: String,
    /// (DEPRECATED) Use --command-config instead.
    #[arg(long = "consumer.config", value_name = "CONFIG-FILE")]
    consumer_config: Option<String>,
    /// A file with properties of the consumer; options take precedence.
    #[arg(long, value_name = "CONFIG-FILE")]
    command_config: Option<String>,
}

impl RunTool for Options {
    fn run(self, tool: &Tool) -> ExitCode {
        if self.consumer_config.is_some() && self.command_config.is_some() {
            return tool.usage_error("Options --consumer.config and --command-config are mutually exclusive.");
        }
        if self.consumer_config.is_some() {
            out_line!(
                "Option --consumer.config has been deprecated and will be removed in a future version. Use \
                 --command-config instead."
            );
        }
        let properties = match self.properties() {
            Ok(properties) => properties,
            Err(why) => return tool.usage_error(&why.message),
        };
        if let Err(why) = config(&properties) {
            err_line!("Exception in thread \"main\" {why}");
            return ExitCode::FAILURE;
        }
        block_on_multi_thread(async move { self.consume(&properties).await })
    }
}

impl Options {
    fn properties(&self) -> Result<Properties, Exception> {
        let file = self.consumer_config.as_deref().or(self.command_config.as_deref());
        let mut properties = properties(file, &[])?;
        properties.set("partition.assignment.strategy", &self.assignment_strategy);
        properties.set("group.id", &self.group_id);
        properties.set("enable.auto.commit", if self.enable_autocommit { "true" } else { "false" });
        properties.set("auto.offset.reset", &self.reset_policy);
        if let Some(timeout) = self.session_timeout {
            properties.set("session.timeout.ms", &timeout.to_string());
        }
        if let Some(instance_id) = &self.group_instance_id {
            properties.set("group.instance.id", instance_id);
        }
        Ok(properties)
    }

    async fn consume(&self, properties: &Properties) -> ExitCode {
        let mut events = EventLog { output: Output::stdout(), options: self, consumed: 0 };
        events.print("startup_complete", NoFields {});
        let mut stop = match Stop::listen() {
            Ok(stop) => stop,
            Err(why) => {
                log_exception(CLASS, "Error during processing, terminating consumer process: ", why);
                return ExitCode::FAILURE;
            }
        };
        let mut consumer = None;
        let signal = tokio::select! {
            ended = self.run_consumer(properties, &mut consumer, &mut events) => {
                if let Err(why) = ended {
                    log_exception(CLASS, "Error during processing, terminating consumer process: ", why);
                }
                None
            }
            signal = stop.next() => Some(signal),
        };
        if signal.is_some() {
            events.print("shutdown_requested", NoFields {});
        }
        if let Some(consumer) = consumer {
            let revoked = consumer.close().await;
            if !revoked.is_empty() {
                events.print("partitions_revoked", Partitions::of(&revoked));
            }
        }
        events.print("shutdown_complete", NoFields {});
        if signal.is_none() {
            // Kafka's tool prints this in a shutdown hook, so last.
            events.print("shutdown_requested", NoFields {});
        }
        signal.map_or(ExitCode::SUCCESS, ExitCode::from)
    }

    async fn run_consumer(
        &self,
        properties: &Properties,
        opened: &mut Option<Consumer>,
        events: &mut EventLog<'_>,
    ) -> Result<(), Exception> {
        if events.is_finished() {
            return Ok(());
        }
        let consumer = opened.insert(open(&self.bootstrap_server, properties).await?);
        consumer.subscribe(Topics::named(&self.topic));
        while !events.is_finished() {
            match consumer.poll(Duration::MAX).await? {
                Some(Event::Assigned(partitions)) => events.print("partitions_assigned", Partitions::of(&partitions)),
                Some(Event::Revoked(partitions)) => events.print("partitions_revoked", Partitions::of(&partitions)),
                Some(Event::Records(records)) => {
                    let offsets = events.records(&records);
                    if !self.enable_autocommit {
                        commit(consumer, &offsets, events).await?;
                    }
                }
                Some(Event::Warning(text)) => warn(&text),
                None => {}
            }
        }
        Ok(())
    }
}

async fn commit(
    consumer: &mut Consumer,
    offsets: &[(TopicPartition, Offset)],
    events: &mut EventLog<'_>,
) -> Result<(), Exception> {
    let error = match consumer.commit(Some(offsets)).await {
        Ok(()) => None,
        Err(error) if error.code() == Some(ErrorCode::FencedInstanceId) => return Err(error.into()),
        Err(error) => Some(Exception::from(error).message),
    };
    let offsets = offsets.iter().map(|(partition, offset)| Committed {
        topic: &partition.topic,
        partition: partition.partition,
        offset: *offset,
    });
    events.print("offsets_committed", OffsetsCommitted { offsets: offsets.collect(), success: error.is_none(), error });
    Ok(())
}

/// Prints events, and counts the consumed records.
struct EventLog<'a> {
    output: Output,
    options: &'a Options,
    consumed: i32,
}

impl EventLog<'_> {
    fn is_finished(&self) -> bool {
        self.options.max_messages >= 0 && self.consumed >= self.options.max_messages
    }

    fn print(&mut self, name: &'static str, fields: impl Serialize) {
        let event = EventJson { timestamp: wall_clock_ms(), name, fields };
        match serde_json::to_string(&event) {
            Ok(line) => self.output.line(line),
            Err(why) => self.output.line(format_args!("Bad data can't be written as json: {why}")),
        }
        self.output.flush();
    }

    /// Prints the events of consumed records, up to the maximum. Returns the offsets to commit.
    fn records(&mut self, fetched: &[PartitionRecords]) -> Vec<(TopicPartition, Offset)> {
        let mut offsets = Vec::new();
        let mut summaries = Vec::new();
        for PartitionRecords { partition, records } in fetched {
            let limit = if self.options.max_messages >= 0 {
                usize::try_from(self.options.max_messages - self.consumed).unwrap_or(0)
            } else {
                usize::MAX
            };
            let records = records.get(..limit.min(records.len())).unwrap_or_default();
            let (Some(first), Some(last)) = (records.first(), records.last()) else { continue };
            offsets.push((partition.clone(), last.record.offset + 1));
            summaries.push(Summary {
                topic: &partition.topic,
                partition: partition.partition,
                count: records.len(),
                min_offset: first.record.offset,
                max_offset: last.record.offset,
            });
            if self.options.verbose {
                records.iter().for_each(|record| self.record(partition, record));
            }
            self.consumed = self.consumed.saturating_add(i32::try_from(records.len()).unwrap_or(i32::MAX));
            if self.is_finished() {
                break;
            }
        }
        let count = fetched.iter().map(|fetched| fetched.records.len()).sum();
        self.print("records_consumed", RecordsConsumed { count, partitions: summaries });
        offsets
    }

    fn record(&mut self, partition: &TopicPartition, consumed: &ConsumedRecord) {
        let text = |bytes: &Option<Bytes>| bytes.as_ref().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let data = RecordData {
            key: text(&consumed.record.key),
            value: text(&consumed.record.value),
            topic: &partition.topic,
            partition: partition.partition,
            offset: consumed.record.offset,
        };
        self.print("record_data", data);
    }
}

/// The fields that all events have, followed by the event's own fields.
#[derive(Serialize)]
struct EventJson<T> {
    timestamp: TimestampMs,
    name: &'static str,
    #[serde(flatten)]
    fields: T,
}

#[derive(Serialize)]
struct NoFields {}

#[derive(Serialize)]
struct Partitions<'a> {
    partitions: Vec<Partition<'a>>,
}

#[derive(Serialize)]
struct Partition<'a> {
    topic: &'a str,
    partition: PartitionIndex,
}

#[derive(Serialize)]
struct RecordsConsumed<'a> {
    count: usize,
    partitions: Vec<Summary<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary<'a> {
    topic: &'a str,
    partition: PartitionIndex,
    count: usize,
    min_offset: Offset,
    max_offset: Offset,
}

#[derive(Serialize)]
struct RecordData<'a> {
    key: Option<String>,
    value: Option<String>,
    topic: &'a str,
    partition: PartitionIndex,
    offset: Offset,
}

#[derive(Serialize)]
struct OffsetsCommitted<'a> {
    offsets: Vec<Committed<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    success: bool,
}

#[derive(Serialize)]
struct Committed<'a> {
    topic: &'a str,
    partition: PartitionIndex,
    offset: Offset,
}

impl Partitions<'_> {
    fn of(partitions: &[TopicPartition]) -> Partitions<'_> {
        Partitions {
            partitions: partitions.iter().map(|it| Partition { topic: &it.topic, partition: it.partition }).collect(),
        }
    }
}
