//! `ottla consume`: prints the records of a topic.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, stderr, stdout};
use std::process::ExitCode;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use clap::Args;
use serde::Serialize;
use tokio::time::Instant;

use super::admin::topics;
use super::names::no_topic;
use super::tools::connect::{Bootstrap, Properties, connect};
use super::tools::consuming::{Stop, block_on_multi_thread, config, warn};
use super::tools::log_line::date_and_time;
use super::tools::output::Output;
use ottla_client::Client;
use ottla_client::consumer::{ConsumedRecord, Consumer, Event, IsolationLevel, PartitionRecords, Start, Topics};
use ottla_wire::record::{Header, Record};
use ottla_wire::types::{Offset, TopicPartition};

/// The timestamp in ListOffsets for the log end.
const LATEST: i64 = -1;
/// The interval of checks whether the end is reached.
const END_CHECK: Duration = Duration::from_millis(50);
/// The interval of progress lines.
const PROGRESS: Duration = Duration::from_millis(500);

/// The arguments of `ottla consume`.
#[derive(Debug, Clone, Args)]
pub struct ConsumeArgs {
    /// The topic to read
    topic: String,

    #[command(flatten)]
    bootstrap: Bootstrap,

    /// Start at the first record [default: only new records]
    #[arg(long)]
    from_beginning: bool,

    /// Read as a member of GROUP, from its committed offsets, and commit what was printed
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,

    /// Stop after N records
    #[arg(long, short = 'n', value_name = "N")]
    count: Option<u64>,

    /// Stop at the end that the topic has when this command starts [default: wait for more]
    #[arg(long, conflicts_with = "group")]
    until_end: bool,

    /// Read only committed records, or also those of open and aborted transactions [default: read_uncommitted]
    #[arg(long, value_name = "LEVEL", value_parser = ["read_committed", "read_uncommitted"])]
    isolation_level: Option<String>,

    /// Print each record as one line of JSON; bytes that aren't UTF-8 are {"base64": "..."}
    #[arg(long)]
    json: bool,

    #[cfg(feature = "registry")]
    #[command(flatten)]
    formats: super::schemas::formats::FormatArgs,
}

/// Prints records until the given end, or until a signal.
pub fn run(args: &ConsumeArgs) -> ExitCode {
    block_on_multi_thread(async {
        match args.consume().await {
            Ok(code) => code,
            Err(why) => {
                err_line!("ottla: {why}");
                ExitCode::FAILURE
            }
        }
    })
}

impl ConsumeArgs {
    async fn consume(&self) -> Result<ExitCode, String> {
        let mut stop = Stop::listen().map_err(|error| error.message)?;
        let mut printer = Printer::new(self)?;
        let properties = self.properties()?;
        let config = config(&properties).map_err(|error| error.message)?;
        let client = tokio::select! {
            client = connect(&self.bootstrap.bootstrap_server, &properties) => client?,
            code = stop.next() => return Ok(ExitCode::from(code)),
        };
        let isolation = config.isolation;
        let ends = if self.until_end { Some(ends(&client, &self.topic, isolation).await?) } else { None };
        let mut consumer = Consumer::new(client.clone(), config).await.map_err(|error| error.to_string())?;
        consumer.subscribe(Topics::named(&self.topic));
        let ended = tokio::select! {
            ended = self.print_all(&client, &mut consumer, &mut printer, ends) => ended.map(|()| ExitCode::SUCCESS),
            code = stop.next() => Ok(ExitCode::from(code)),
        };
        printer.finish();
        consumer.close().await;
        ended
    }

    fn properties(&self) -> Result<Properties, String> {
        let mut properties = Properties::read_optional(self.bootstrap.command_config.as_deref())?;
        if let Some(group) = &self.group {
            properties.set("group.id", group);
        }
        if let Some(isolation_level) = &self.isolation_level {
            properties.set("isolation.level", isolation_level);
        }
        properties.set("auto.offset.reset", if self.from_beginning { "earliest" } else { "latest" });
        properties.set("allow.auto.create.topics", "false");
        Ok(properties)
    }

    async fn print_all(
        &self,
        client: &Client,
        consumer: &mut Consumer,
        printer: &mut Printer,
        ends: Option<BTreeMap<TopicPartition, Offset>>,
    ) -> Result<(), String> {
        let mut reported_missing = false;
        while self.count.is_none_or(|count| printer.count < count) {
            if ends.as_ref().is_some_and(|ends| reached(consumer, ends)) {
                return Ok(());
            }
            let timeout = if ends.is_some() { END_CHECK } else { PROGRESS };
            match consumer.poll(timeout).await.map_err(|error| error.to_string())? {
                Some(Event::Records(records)) => self.print(consumer, printer, &records)?,
                Some(Event::Warning(text)) => warn(&text),
                Some(Event::Assigned(_) | Event::Revoked(_)) => {}
                None if consumer.lacks_topics() && !reported_missing => {
                    reported_missing = true;
                    warn(&format!("waiting for the topic: {}", missing(client, &self.topic).await));
                }
                None => {}
            }
            printer.progress();
        }
        Ok(())
    }

    /// Prints records up to `--count`. Records that aren't printed stay unread.
    fn print(
        &self,
        consumer: &mut Consumer,
        printer: &mut Printer,
        records: &[PartitionRecords],
    ) -> Result<(), String> {
        for PartitionRecords { partition, records } in records {
            for consumed in records {
                if self.count.is_some_and(|count| printer.count >= count) {
                    consumer.seek(partition, Start::At(consumed.record.offset));
                    break;
                }
                printer.print(partition, consumed)?;
            }
        }
        printer.output.flush();
        Ok(())
    }
}

/// The error for a missing topic, with the nearest existing one.
async fn missing(client: &Client, topic: &str) -> String {
    let known = topics::list(client).await.unwrap_or_default();
    no_topic(topic, known.iter().map(|known| known.name.as_str()))
}

/// The end of each partition of a topic that a consumer with this isolation level reaches.
async fn ends(
    client: &Client,
    topic: &str,
    isolation: IsolationLevel,
) -> Result<BTreeMap<TopicPartition, Offset>, String> {
    let cluster = client.metadata(Some(&[topic])).await.map_err(|error| error.to_string())?;
    let found = cluster.topics.first().filter(|found| found.error_code == 0);
    let Some(partitions) = found.map(|found| found.partitions.clone()) else {
        return Err(missing(client, topic).await);
    };
    let asked: Vec<_> = partitions.iter().map(|partition| (topic, *partition, LATEST)).collect();
    let listed = client.list_offsets_at(&asked, isolation.id()).await.map_err(|error| error.to_string())?;
    let mut ends = BTreeMap::new();
    for (partition, listed) in partitions.into_iter().zip(listed) {
        let listed = listed.map_err(|error| error.to_string())?;
        ends.insert(TopicPartition::new(topic, partition), listed.offset);
    }
    Ok(ends)
}

fn reached(consumer: &Consumer, ends: &BTreeMap<TopicPartition, Offset>) -> bool {
    ends.iter().all(|(partition, end)| consumer.position(partition).is_some_and(|position| position >= *end))
}

struct Printer {
    output: Output,
    json: bool,
    count: u64,
    bytes: u64,
    #[cfg(feature = "registry")]
    decoder: Option<super::schemas::formats::RecordDecoder>,
    /// When progress was last shown; `None` if it isn't shown.
    shown: Option<Instant>,
}

impl Printer {
    fn new(args: &ConsumeArgs) -> Result<Printer, String> {
        // Progress is useful if records are redirected to a file.
        let shown = (!stdout().is_terminal() && stderr().is_terminal()).then(Instant::now);
        Ok(Printer {
            output: Output::stdout(),
            json: args.json,
            count: 0,
            bytes: 0,
            #[cfg(feature = "registry")]
            decoder: args.formats.decoder()?,
            shown,
        })
    }

    /// The error, one line, is about a key or a value that cannot be decoded.
    fn print(&mut self, partition: &TopicPartition, consumed: &ConsumedRecord) -> Result<(), String> {
        let record = &consumed.record;
        #[cfg(feature = "registry")]
        let decoded = self.decoded(record)?;
        #[cfg(feature = "registry")]
        let record = decoded.as_ref().unwrap_or(record);
        self.count += 1;
        self.bytes += record.value.as_ref().map_or(0, bytes::Bytes::len) as u64;
        if self.json {
            self.output.line(json(partition, record));
        } else {
            self.output.line(line(partition, record));
        }
        Ok(())
    }

    /// The record with its key and value as text; `None` if they are text already.
    #[cfg(feature = "registry")]
    fn decoded(&self, record: &Record) -> Result<Option<Record>, String> {
        let Some(decoder) = &self.decoder else { return Ok(None) };
        let mut decoded = record.clone();
        decoder.decode(&mut decoded)?;
        Ok(Some(decoded))
    }

    fn progress(&mut self) {
        if self.shown.is_some_and(|shown| shown.elapsed() >= PROGRESS) {
            self.shown = Some(Instant::now());
            err_text!("\r{} records, {:.1} MB", self.count, self.bytes as f64 / 1e6);
        }
    }

    fn finish(&mut self) {
        self.output.flush();
        if self.shown.is_some() {
            err_line!("\r{} records, {:.1} MB", self.count, self.bytes as f64 / 1e6);
        }
    }
}

/// Formats a record as text: time, partition and offset, key, value.
fn line(partition: &TopicPartition, record: &Record) -> String {
    let text = |bytes: &Option<bytes::Bytes>| match bytes {
        Some(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        None => "-".to_owned(),
    };
    let time = date_and_time(record.timestamp).replace(',', ".");
    format!("{time}  {}:{}  {}  {}", partition.partition, record.offset, text(&record.key), text(&record.value))
}

#[derive(Serialize)]
struct JsonRecord<'a> {
    topic: &'a str,
    partition: i32,
    offset: Offset,
    timestamp: i64,
    headers: Vec<JsonHeader<'a>>,
    key: Option<JsonBytes<'a>>,
    value: Option<JsonBytes<'a>>,
}

#[derive(Serialize)]
struct JsonHeader<'a> {
    key: JsonBytes<'a>,
    value: Option<JsonBytes<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum JsonBytes<'a> {
    Text(&'a str),
    Other { base64: String },
}

impl<'a> From<&'a bytes::Bytes> for JsonBytes<'a> {
    fn from(bytes: &'a bytes::Bytes) -> JsonBytes<'a> {
        match std::str::from_utf8(bytes) {
            Ok(text) => JsonBytes::Text(text),
            Err(_) => JsonBytes::Other { base64: BASE64.encode(bytes) },
        }
    }
}

fn json(partition: &TopicPartition, record: &Record) -> String {
    let written = JsonRecord {
        topic: &partition.topic,
        partition: partition.partition,
        offset: record.offset,
        timestamp: record.timestamp,
        headers: record.headers.iter().map(json_header).collect(),
        key: record.key.as_ref().map(JsonBytes::from),
        value: record.value.as_ref().map(JsonBytes::from),
    };
    // Text and integers can always be serialized.
    serde_json::to_string(&written).unwrap_or_default()
}

fn json_header(header: &Header) -> JsonHeader<'_> {
    JsonHeader { key: JsonBytes::from(&header.key), value: header.value.as_ref().map(JsonBytes::from) }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn record(key: Option<&'static [u8]>, value: &'static [u8]) -> Record {
        let headers = vec![Header { key: Bytes::from("h"), value: None }];
        let (key, value) = (key.map(Bytes::from_static), Some(Bytes::from_static(value)));
        Record { offset: 7, timestamp: 1_000, key, value, headers }
    }

    #[test]
    fn record_is_printed_as_text_and_as_json() {
        let partition = TopicPartition::new("t", 2);
        let check = |record: Record, expect: &str, as_json: &str| {
            assert_eq!(line(&partition, &record), expect);
            assert_eq!(json(&partition, &record), as_json);
        };
        let start = r#"{"topic":"t","partition":2,"offset":7,"timestamp":1000,"headers":[{"key":"h","value":null}],"#;
        check(
            record(None, b"a\"b"),
            "1970-01-01 00:00:01.000  2:7  -  a\"b",
            &format!(r#"{start}"key":null,"value":"a\"b"}}"#),
        );
        check(
            record(Some(b"k"), b"\xff"),
            "1970-01-01 00:00:01.000  2:7  k  \u{fffd}",
            &format!(r#"{start}"key":"k","value":{{"base64":"/w=="}}}}"#),
        );
    }
}
