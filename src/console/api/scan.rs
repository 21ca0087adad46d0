//! Reads a topic's records, selects some of them, and writes them as lines of JSON.
//!
//! A scan is bounded: in the records that it finds, in those that it reads, in time, and in what waits for a slow client.
//! Its last line says why it ended and from where to continue.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;

use super::candidate::Candidate;
use crate::error::{ApiError, Result};
use crate::filter::Filter;
use crate::schemas::Decode;
use ottla_client::Client;
use ottla_client::consumer::Chunk;
use ottla_wire::codec::Str;
use ottla_wire::protocol::ApiKey;
use ottla_wire::protocol::messages::fetch::{FetchPartition, FetchRequest, FetchResponse, FetchTopic, PartitionData};
use ottla_wire::types::{ErrorCode, Offset, PartitionIndex, TopicPartition};

/// The newest version of Fetch that names topics by name.
const FETCH_BY_NAME: i16 = 12;
/// The bytes of a fetch, and those of each of its partitions.
const FETCH_BYTES: i32 = 1 << 20;
const PARTITION_BYTES: i32 = 256 << 10;
/// The number of partitions of a fetch.
const MAX_PARTITIONS: usize = 100;
/// The number of records that a scan reads.
const MAX_SCANNED: u64 = 1_000_000;
/// How long a scan reads what exists, and how long it waits for new records (shorter than the response may take).
const MAX_SCAN_TIME: Duration = Duration::from_secs(10);
const MAX_FOLLOW_TIME: Duration = Duration::from_secs(50);
/// How long a fetch waits for new records.
const FOLLOW_WAIT_MS: i32 = 500;
/// How often a scan reports its progress.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);
/// The records between two looks at the clock.
const RECORDS_PER_CHECK: usize = 256;

/// Which records are shown, and how much of each.
pub struct Criteria {
    /// Bytes that the key contains.
    pub key: Option<Vec<u8>>,
    /// Bytes that the key, the value or a header's value contains.
    pub text: Option<Vec<u8>>,
    pub filter: Option<Filter>,
    /// The number of records.
    pub limit: usize,
    /// The bytes of each key, value and header.
    pub shown: usize,
}

/// A scan before it begins.
pub struct Scan {
    pub client: Client,
    pub topic: String,
    /// Where each partition is read from.
    pub positions: BTreeMap<PartitionIndex, Offset>,
    /// Where each partition ended when the request arrived.
    pub ends: BTreeMap<PartitionIndex, Offset>,
    /// Whether the scan waits for new records at the end.
    pub follow: bool,
    /// 1 for `read_committed`.
    pub isolation: i8,
    pub criteria: Arc<Criteria>,
    /// Has a permit for each thread that may look through records.
    pub searches: Arc<Semaphore>,
    pub decode: Option<Arc<dyn Decode>>,
}

/// What a scan has done so far.
#[derive(Default)]
struct Totals {
    found: usize,
    scanned: u64,
    /// Records for which the filter has no result.
    failed: u64,
}

/// The result of looking through the records of one partition in a fetch.
struct Searched {
    lines: String,
    totals: Totals,
    next: Offset,
    error: Option<String>,
}

impl Scan {
    /// Runs the scan until it ends or the client disconnects.
    pub async fn run(mut self, lines: mpsc::Sender<Bytes>) {
        let mut totals = Totals::default();
        let last = match self.scan(&lines, &mut totals).await {
            Ok(Some(reason)) => json!({"end": self.report(reason, &totals)}),
            Ok(None) => return,
            Err(error) => error.to_json(),
        };
        // Fails if the client has disconnected.
        let _ = lines.send(Bytes::from(format!("{last}\n"))).await;
    }

    /// Returns why the scan ended; `None` if the client has disconnected.
    async fn scan(&mut self, lines: &mpsc::Sender<Bytes>, totals: &mut Totals) -> Result<Option<&'static str>> {
        let max_time = if self.follow { MAX_FOLLOW_TIME } else { MAX_SCAN_TIME };
        let (deadline, mut reported) = (Instant::now() + max_time, Instant::now());
        let mut first = 0;
        loop {
            if totals.found >= self.criteria.limit {
                return Ok(Some("limit"));
            }
            if totals.scanned >= MAX_SCANNED || Instant::now() >= deadline {
                return Ok(Some("bound"));
            }
            let reading = self.next_partitions(&mut first);
            if reading.is_empty() {
                return Ok(Some("end"));
            }
            for partition in self.fetch(&reading).await? {
                let remaining = self.criteria.limit.saturating_sub(totals.found);
                let searched = self.search(partition, remaining, deadline).await?;
                let Some(searched) = searched else { continue };
                totals.found += searched.totals.found;
                totals.scanned += searched.totals.scanned;
                totals.failed += searched.totals.failed;
                let mut text = searched.lines;
                if let Some(error) = searched.error {
                    text += &format!("{}\n", json!({"warning": error}));
                }
                if !text.is_empty() && lines.send(Bytes::from(text)).await.is_err() {
                    return Ok(None);
                }
            }
            if reported.elapsed() >= PROGRESS_INTERVAL {
                reported = Instant::now();
                let line = json!({"progress": self.report("", totals)});
                if lines.send(Bytes::from(format!("{line}\n"))).await.is_err() {
                    return Ok(None);
                }
            }
        }
    }

    fn report(&self, reason: &str, totals: &Totals) -> Value {
        let mut report = json!({
            "found": totals.found,
            "scanned": totals.scanned,
            "failed": totals.failed,
            "cursor": self.cursor(),
        });
        if !reason.is_empty() {
            report["reason"] = Value::from(reason);
        }
        report
    }

    /// Where to continue; `None` if everything was read.
    fn cursor(&self) -> Option<String> {
        let unread = self
            .positions
            .iter()
            .filter(|(partition, position)| self.follow || self.is_unread(**partition, **position));
        let entries: Vec<String> = unread.map(|(partition, position)| format!("{partition}:{position}")).collect();
        (!entries.is_empty()).then(|| entries.join(","))
    }

    fn is_unread(&self, partition: PartitionIndex, position: Offset) -> bool {
        self.ends.get(&partition).is_some_and(|end| position < *end)
    }

    /// The partitions of the next fetch. It begins with another one each time, because the first ones may fill the response.
    fn next_partitions(&self, first: &mut usize) -> Vec<(PartitionIndex, Offset)> {
        let all = || self.positions.iter().map(|(partition, position)| (*partition, *position));
        let unread: Vec<_> = all().filter(|(partition, position)| self.is_unread(*partition, *position)).collect();
        let mut reading = if unread.is_empty() && self.follow { all().collect() } else { unread };
        if !reading.is_empty() {
            let count = reading.len();
            reading.rotate_left(*first % count);
            *first = first.wrapping_add(1);
        }
        reading.truncate(MAX_PARTITIONS);
        reading
    }

    async fn fetch(&self, reading: &[(PartitionIndex, Offset)]) -> Result<Vec<PartitionData>> {
        let version = self.client.version_up_to(ApiKey::Fetch, FETCH_BY_NAME)?;
        let is_at_end = reading.iter().all(|(partition, position)| !self.is_unread(*partition, *position));
        let partitions = reading.iter().map(|(partition, position)| FetchPartition {
            partition: *partition,
            fetch_offset: *position,
            partition_max_bytes: PARTITION_BYTES,
            ..Default::default()
        });
        let topic = FetchTopic {
            topic: Str::from(self.topic.as_str()),
            partitions: partitions.collect(),
            ..Default::default()
        };
        let request = FetchRequest {
            max_wait_ms: if is_at_end { FOLLOW_WAIT_MS } else { 0 },
            min_bytes: 1,
            max_bytes: FETCH_BYTES,
            isolation_level: self.isolation,
            topics: vec![topic],
            ..Default::default()
        };
        let response: FetchResponse = self.client.call_at(request, version).await?;
        ApiError::check(response.error_code, None, &format!("topic {}", self.topic))?;
        Ok(response.responses.into_iter().flat_map(|topic| topic.partitions).collect())
    }

    /// Looks through the records of a partition, and moves its position; `None` if there are none.
    async fn search(
        &mut self,
        mut fetched: PartitionData,
        remaining: usize,
        deadline: Instant,
    ) -> Result<Option<Searched>> {
        let partition = fetched.partition_index;
        let Some(position) = self.positions.get(&partition).copied() else { return Ok(None) };
        match ErrorCode::from_code(fetched.error_code) {
            // Records were deleted meanwhile.
            Some(ErrorCode::OffsetOutOfRange) if position < fetched.log_start_offset => {
                self.positions.insert(partition, fetched.log_start_offset);
                return Ok(None);
            }
            Some(code) if code.is_none() => {}
            _ => ApiError::check(fetched.error_code, None, &format!("partition {}-{partition}", self.topic))?,
        }
        let end = if self.isolation == 1 { fetched.last_stable_offset } else { fetched.high_watermark };
        let records = fetched.records.take().unwrap_or_default();
        if records.is_empty() {
            // Nothing is readable below the end of the request, such as after a transaction that is still open.
            if position >= end || !self.follow {
                self.ends.entry(partition).and_modify(|known| *known = (*known).min(position));
            }
            return Ok(None);
        }
        if remaining == 0 {
            return Ok(None);
        }
        let aborted = if self.isolation == 1 { fetched.aborted_transactions.unwrap_or_default() } else { Vec::new() };
        let chunk = Chunk::new(TopicPartition::new(self.topic.as_str(), partition), position, records, aborted, true);
        let search = Search { criteria: Arc::clone(&self.criteria), decode: self.decode.clone(), deadline };
        let permit = Arc::clone(&self.searches).acquire_owned().await;
        let permit = permit.map_err(|error| ApiError::internal(error.to_string()))?;
        let run = move || {
            let searched = search.run(chunk, remaining);
            drop(permit);
            searched
        };
        let searched = tokio::task::spawn_blocking(run).await;
        let searched = searched.map_err(|error| ApiError::internal(error.to_string()))?;
        match searched.error {
            None => self.positions.insert(partition, searched.next.max(position)),
            // The place of the next readable batch is unknown.
            Some(_) => self.positions.remove(&partition),
        };
        Ok(Some(searched))
    }
}

/// Looks through fetched records, on a thread that may block.
struct Search {
    criteria: Arc<Criteria>,
    decode: Option<Arc<dyn Decode>>,
    deadline: Instant,
}

impl Search {
    fn run(&self, mut chunk: Chunk, remaining: usize) -> Searched {
        let mut searched = Searched { lines: String::new(), totals: Totals::default(), next: 0, error: None };
        let mut taken = Vec::with_capacity(1);
        let mut until_check = RECORDS_PER_CHECK;
        while searched.totals.found < remaining && !chunk.is_done() {
            if let Err(error) = chunk.take(1, &mut taken) {
                let partition = &chunk.partition;
                let offset = chunk.next_offset();
                searched.error = Some(format!("{partition} cannot be read from offset {offset} on: {error}"));
                return searched;
            }
            let Some(consumed) = taken.pop() else { continue };
            searched.totals.scanned += 1;
            let candidate = Candidate::new(&chunk.partition, &consumed, self.decode.as_deref());
            match candidate.is_selected(&self.criteria) {
                Ok(false) => {}
                Ok(true) => {
                    searched.totals.found += 1;
                    searched.lines += &format!("{}\n", json!({"record": candidate.shown(self.criteria.shown)}));
                }
                Err(()) => searched.totals.failed += 1,
            }
            until_check -= 1;
            if until_check == 0 {
                until_check = RECORDS_PER_CHECK;
                if Instant::now() >= self.deadline {
                    break;
                }
            }
        }
        searched.next = chunk.next_offset();
        searched
    }
}
