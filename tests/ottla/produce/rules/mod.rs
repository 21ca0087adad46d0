//! Answers to valid and slightly invalid batches, and the batches that are stored, compared with Apache Kafka's.
//!
//! Kafka's answers are in `tests/data/produce-answers.tsv`: those of 4.3, and of 3.9 for Produce 0 to 2, which 4.x removed.
//! If `PRODUCE_ANSWERS_OF_4_3` and `PRODUCE_ANSWERS_OF_3_9` have the addresses of such brokers, the test records the table
//! again. Intended differences, with reasons, are in `produce-departures.tsv`.

mod cases;
mod handmade;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use ottla::client::{Client, ClientOptions};
use ottla_wire::protocol::messages::produce::{
    PartitionProduceData, PartitionProduceResponse, ProduceRequest, TopicProduceData,
};
use ottla_wire::record::{Batch, TimestampType, batches};

use crate::fixture::{code, text};
use cases::Case;
use common::Broker;

const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/produce-answers.tsv");
/// Intended differences, with reasons.
const DEPARTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/produce-departures.tsv");
const HEADING: &str = "case\tanswer\trecord errors\tmessage\tstored\n";
// The columns after the case's name.
const ANSWER: usize = 0;
const RECORD_ERRORS: usize = 1;
const MESSAGE: usize = 2;
const STORED: usize = 3;
const COLUMNS: usize = 4;
/// Versions of Produce that Kafka 4.x removed.
const REMOVED: std::ops::RangeInclusive<i16> = 0..=2;
/// Times beyond this limit result from overflows.
const OVERFLOW: u64 = 9_000_000_000_000_000_000;
/// ListOffsets' special timestamp for the log start.
const EARLIEST: i64 = -2;
const MINUTE_MS: i64 = 60_000;

#[tokio::test]
async fn produce_answers_match_kafka() {
    let t = an_hour_ago();
    let of_4_3 = std::env::var("PRODUCE_ANSWERS_OF_4_3");
    let of_3_9 = std::env::var("PRODUCE_ANSWERS_OF_3_9");
    if let (Ok(of_4_3), Ok(of_3_9)) = (of_4_3, of_3_9) {
        let mut table = HEADING.to_owned();
        for case in cases::all(t) {
            let address = if REMOVED.contains(&case.version) { &of_3_9 } else { &of_4_3 };
            let _ = writeln!(table, "{}\t{}", case.name, send_case(address, &case, t).await);
        }
        std::fs::write(TABLE, table).unwrap();
    }
    let (kafkas, departures) = (std::fs::read_to_string(TABLE).unwrap(), std::fs::read_to_string(DEPARTURES).unwrap());
    let (kafkas, mut departures) = (by_case(&kafkas), by_case(&departures));
    let broker = Broker::start();
    let mut differ = String::new();
    for case in cases::all(t) {
        let ours = send_case(broker.bootstrap_servers(), &case, t).await;
        let theirs = kafkas.get(&*case.name).copied().unwrap_or("no line in the table");
        let departure = departures.remove(&*case.name);
        let expected = departure.unwrap_or(theirs);
        if !is_same(&ours, expected) {
            let _ = writeln!(differ, "{}\n  expected {expected}\n  here     {ours}", case.name);
        }
        if departure.is_some_and(|departure| is_same(departure, theirs)) {
            let _ = writeln!(differ, "{}\n  is not a departure", case.name);
        }
    }
    differ.extend(departures.keys().map(|name| format!("{name}\n  is not a case\n")));
    assert!(differ.is_empty(), "\n{differ}");
}

fn by_case(table: &str) -> BTreeMap<&str, &str> {
    table.lines().skip(1).filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('\t')).collect()
}

/// Whether an answer is the expected one. Where no message is expected any message is allowed, because Kafka sends few.
fn is_same(ours: &str, theirs: &str) -> bool {
    let (ours, theirs): (Vec<_>, Vec<_>) = (ours.split('\t').collect(), theirs.split('\t').collect());
    let same = |at: usize| ours.get(at) == theirs.get(at);
    ours.len() == COLUMNS
        && theirs.len() == COLUMNS
        && same(ANSWER)
        && same(RECORD_ERRORS)
        && same(STORED)
        && (theirs[MESSAGE] == "-" || same(MESSAGE))
}

fn an_hour_ago() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
    now - 60 * MINUTE_MS
}

/// Sends a case to a broker; returns the columns of the table: its answer and the batches that it stored.
async fn send_case(address: &str, case: &Case, t: i64) -> String {
    let options = ClientOptions { timeout: Duration::from_secs(10), ..Default::default() };
    let client = Client::connect_with(address, options).await.unwrap();
    let topic = format!("t-{:08x}", crc32c::crc32c(format!("{}{t}", case.name).as_bytes()));
    client.create_topic(&topic, 1, &case.settings).await.unwrap();
    // Apache Kafka's brokers learn of a new topic a little later.
    for _ in 0..1000 {
        match client.list_offset(&topic, 0, EARLIEST).await {
            Ok(_) => break,
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
    let data = PartitionProduceData { index: 0, records: case.records.clone() };
    let data = TopicProduceData { name: text(&topic), partition_data: vec![data], ..Default::default() };
    let request = ProduceRequest { acks: -1, timeout_ms: 5000, topic_data: vec![data], ..Default::default() };
    let normalizer = Normalizer { t, topic: &topic };
    match client.call_at(request, case.version).await {
        Ok(answer) => {
            let partition = &answer.responses[0].partition_responses[0];
            let stored = client
                .new_connection()
                .await
                .unwrap()
                .fetch(&topic, 0, 0, 1 << 20, Duration::ZERO)
                .await
                .unwrap()
                .records;
            format!("{}\t{}", normalizer.answer(partition), normalizer.stored(&stored))
        }
        Err(_) => "no answer\t\t\t".to_owned(),
    }
}

/// Writes answers without values that differ from run to run.
struct Normalizer<'a> {
    t: i64,
    topic: &'a str,
}

impl Normalizer<'_> {
    fn answer(&self, partition: &PartitionProduceResponse) -> String {
        let errors = partition.record_errors.iter().map(|error| {
            format!("{}: {}", error.batch_index, self.message(error.batch_index_error_message.as_deref()))
        });
        format!(
            "{} at {}, start {}, time {}\t{}\t{}",
            code(partition.error_code),
            partition.base_offset,
            partition.log_start_offset,
            self.time(partition.log_append_time_ms),
            errors.collect::<Vec<_>>().join(" | "),
            self.message(partition.error_message.as_deref()),
        )
    }

    /// A message without the name of the topic, with times as [`Normalizer::time`] writes them.
    fn message(&self, message: Option<&str>) -> String {
        let Some(message) = message else { return "-".to_owned() };
        let mut normalized = String::new();
        let mut digits = String::new();
        for letter in message.replace(self.topic, "TOPIC").chars().chain(['\0']) {
            if letter.is_ascii_digit() {
                digits.push(letter);
                continue;
            }
            match digits.parse::<i64>() {
                Ok(number) if digits.len() > 9 => normalized.push_str(&self.time(number)),
                _ => normalized.push_str(&digits),
            }
            digits.clear();
            normalized.push(if letter == '\n' { ' ' } else { letter });
        }
        normalized.trim_end_matches('\0').to_owned()
    }

    /// A time relative to `t`: in milliseconds if it is one of the case, otherwise in hours.
    fn time(&self, time: i64) -> String {
        match time - self.t {
            delta @ -1000..=1000 => format!("t{delta:+}"),
            delta if delta.abs() < 600 * MINUTE_MS => {
                let minutes = (delta + MINUTE_MS / 2).div_euclid(MINUTE_MS);
                format!("t{:+}h", (minutes + 10).div_euclid(60))
            }
            _ if time.unsigned_abs() > OVERFLOW => "ages".to_owned(),
            _ => time.to_string(),
        }
    }

    fn stored(&self, records: &Bytes) -> String {
        let stored = batches(records).map(|batch| self.batch(&batch.unwrap()));
        stored.collect::<Vec<_>>().join(" then ")
    }

    fn batch(&self, batch: &Batch) -> String {
        let header = batch.header();
        let codec = header.codec().unwrap();
        let timestamp_type = match header.timestamp_type() {
            TimestampType::CreateTime => "created",
            TimestampType::LogAppendTime => "appended",
        };
        let records: Vec<String> = batch
            .records()
            .map(|record| {
                record.map_or("unreadable".to_owned(), |r| format!("{}@{}", r.offset, self.time(r.timestamp)))
            })
            .collect();
        let frame: String =
            batch.bytes().iter().skip(61).take(frame_header(codec)).map(|byte| format!("{byte:02x}")).collect();
        format!(
            "{} {frame} attributes {:#x}, {timestamp_type} {} to {}, offsets {}..={}, {} records {}, producer {} {} {}",
            codec.name(),
            header.attributes,
            self.time(header.base_timestamp),
            self.time(header.max_timestamp),
            header.base_offset,
            header.last_offset(),
            header.record_count,
            records.join(" "),
            header.producer_id,
            header.producer_epoch,
            header.base_sequence,
        )
    }
}

/// The size of the frame header of a codec's stream.
fn frame_header(codec: ottla_wire::record::Codec) -> usize {
    use ottla_wire::record::Codec;
    match codec {
        Codec::None => 0,
        Codec::Gzip => 3,
        Codec::Snappy => 16,
        Codec::Lz4 => 7,
        Codec::Zstd => 4,
    }
}
