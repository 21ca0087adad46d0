//! kafka-verifiable-consumer: says what happens to a consumer, one JSON object a line.
//!
//! Source of behaviour: `org.apache.kafka.tools.VerifiableConsumer`.

use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use clap::Parser;
use serde::Serialize;

use super::connect::Properties;
use super::consuming::{Stop, block_on_beside, config, open, properties, warn};
use super::exceptions::Exception;
use super::log_line::log_exception;
use super::options::Manner;
use super::output::Output;
use super::{RunTool, Tool};
use ottla_broker::clock::wall_clock_ms;
use ottla_client::consumer::{ConsumedRecord, Consumer, Event, PartitionRecords, Topics};
use ottla_wire::types::{ErrorCode, Offset, PartitionIndex, TimestampMs, TopicPartition};

pub const TOOL: Tool = Tool::new::<Options>("kafka-verifiable-consumer", Manner::Argparse);

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
    /// CLASSIC or CONSUMER; this consumer is of the classic protocol either way. (default: classic)
    #[arg(long, value_name = "GROUP-PROTOCOL", default_value = "classic", hide_default_value = true)]
    group_protocol: String,
    /// The assignor of a group of the consumer protocol: no use to a consumer of the classic one.
    #[arg(long, value_name = "GROUP-REMOTE-ASSIGNOR")]
    group_remote_assignor: Option<String>,
    /// The consumer's group.
    #[arg(long, required = true, value_name = "GROUP-ID")]
    group_id: String,
    /// The name of a static member.
    #[arg(long, value_name = "GROUP-INSTANCE-ID")]
    group_instance_id: Option<String>,
    /// How many messages to read; -1 (the default): until it is stopped.
    #[arg(long, value_name = "MAX-MESSAGES", default_value_t = -1, hide_default_value = true)]
    max_messages: i32,
    /// The consumer's session timeout.
    #[arg(long, value_name = "TIMEOUT-MS")]
    session_timeout: Option<i32>,
    /// Tell each record too.
    #[arg(long)]
    verbose: bool,
    /// Commit automatically, in place of after each batch of records.
    #[arg(long)]
    enable_autocommit: bool,
    /// Where to start without a committed offset: 'earliest', 'latest', or 'none' for nowhere. (default: earliest)
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
    /// (DEPRECATED) As --command-config.
    #[arg(long = "consumer.config", value_name = "CONFIG-FILE")]
    consumer_config: Option<String>,
    /// A file of properties of the consumer; what this command line says goes before them.
    #[arg(long, value_name = "CONFIG-FILE")]
    command_config: Option<String>,
}

impl RunTool for Options {
    fn run(self, tool: &Tool) -> ExitCode {
        if self.consumer_config.is_some() && self.command_config.is_some() {
            return tool.wrong("Options --consumer.config and --command-config are mutually exclusive.");
        }
        if self.consumer_config.is_some() {
            out_line!(
                "Option --consumer.config has been deprecated and will be removed in a future version. Use \
                 --command-config instead."
            );
        }
        let properties = match self.properties() {
            Ok(properties) => properties,
            Err(why) => return tool.wrong(&why.message),
        };
        if let Err(why) = config(&properties) {
            err_line!("Exception in thread \"main\" {why}");
            return ExitCode::FAILURE;
        }
        block_on_beside(async move { self.consume(&properties).await })
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
        let mut told = Told { output: Output::stdout(), options: self, consumed: 0 };
        told.tell("startup_complete", Nothing {});
        let mut stop = match Stop::listen() {
            Ok(stop) => stop,
            Err(why) => {
                log_exception(CLASS, "Error during processing, terminating consumer process: ", why);
                return ExitCode::FAILURE;
            }
        };
        let mut consumer = None;
        let signal = tokio::select! {
            ended = self.run_consumer(properties, &mut consumer, &mut told) => {
                if let Err(why) = ended {
                    log_exception(CLASS, "Error during processing, terminating consumer process: ", why);
                }
                None
            }
            signal = stop.next() => Some(signal),
        };
        if signal.is_some() {
            told.tell("shutdown_requested", Nothing {});
        }
        if let Some(consumer) = consumer {
            let revoked = consumer.close().await;
            if !revoked.is_empty() {
                told.tell("partitions_revoked", Partitions::of(&revoked));
            }
        }
        told.tell("shutdown_complete", Nothing {});
        if signal.is_none() {
            // What Kafka's says as the process ends.
            told.tell("shutdown_requested", Nothing {});
        }
        signal.map_or(ExitCode::SUCCESS, ExitCode::from)
    }

    async fn run_consumer(
        &self,
        properties: &Properties,
        opened: &mut Option<Consumer>,
        told: &mut Told<'_>,
    ) -> Result<(), Exception> {
        if told.is_finished() {
            return Ok(());
        }
        let consumer = opened.insert(open(&self.bootstrap_server, properties).await?);
        consumer.subscribe(Topics::named(&self.topic));
        while !told.is_finished() {
            match consumer.poll(Duration::MAX).await? {
                Some(Event::Assigned(partitions)) => told.tell("partitions_assigned", Partitions::of(&partitions)),
                Some(Event::Revoked(partitions)) => told.tell("partitions_revoked", Partitions::of(&partitions)),
                Some(Event::Records(records)) => {
                    let offsets = told.records(&records);
                    if !self.enable_autocommit {
                        commit(consumer, &offsets, told).await?;
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
    told: &mut Told<'_>,
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
    told.tell("offsets_committed", OffsetsCommitted { offsets: offsets.collect(), success: error.is_none(), error });
    Ok(())
}

/// What has been said, and how much has been read.
struct Told<'a> {
    output: Output,
    options: &'a Options,
    consumed: i32,
}

impl Told<'_> {
    fn is_finished(&self) -> bool {
        self.options.max_messages >= 0 && self.consumed >= self.options.max_messages
    }

    fn tell(&mut self, name: &'static str, what: impl Serialize) {
        let event = Happened { timestamp: wall_clock_ms(), name, what };
        match serde_json::to_string(&event) {
            Ok(line) => self.output.line(line),
            Err(why) => self.output.line(format_args!("Bad data can't be written as json: {why}")),
        }
        self.output.flush();
    }

    /// Tells what was read, as much as is wanted; what to commit then.
    fn records(&mut self, given: &[PartitionRecords]) -> Vec<(TopicPartition, Offset)> {
        let mut offsets = Vec::new();
        let mut summaries = Vec::new();
        for PartitionRecords { partition, records } in given {
            let wanted = if self.options.max_messages >= 0 {
                usize::try_from(self.options.max_messages - self.consumed).unwrap_or(0)
            } else {
                usize::MAX
            };
            let records = records.get(..wanted.min(records.len())).unwrap_or_default();
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
        let count = given.iter().map(|given| given.records.len()).sum();
        self.tell("records_consumed", RecordsConsumed { count, partitions: summaries });
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
        self.tell("record_data", data);
    }
}

/// Every event; its own fields follow.
#[derive(Serialize)]
struct Happened<T> {
    timestamp: TimestampMs,
    name: &'static str,
    #[serde(flatten)]
    what: T,
}

#[derive(Serialize)]
struct Nothing {}

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
