//! The record part of polling: finding positions, fetching, delivering records.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::chunk::Chunk;
use super::config::OffsetReset;
use super::fetching::{FetchedPartition, InFlight};
use super::positions::Start;
use super::{Consumer, ConsumerError, Event, PartitionRecords};
use ottla_wire::types::{ErrorCode, Offset, PartitionIndex, TimestampMs, TopicPartition};

/// ListOffsets' special timestamps for the end and the start of a log.
const LATEST: TimestampMs = -1;
const EARLIEST: TimestampMs = -2;
/// How long to wait before fetching again from a partition with an error.
const PAUSE: Duration = Duration::from_millis(100);

impl Consumer {
    /// Looks up positions that aren't known; `false` if all are known.
    pub(super) async fn find_positions(&mut self) -> Result<bool, ConsumerError> {
        let unknown = self.positions.unknown();
        let now = self.started.elapsed();
        let unknown: Vec<_> =
            unknown.into_iter().filter(|(partition, _)| !self.positions.is_paused(partition, now)).collect();
        if unknown.is_empty() {
            return Ok(false);
        }
        let committed = unknown.iter().filter(|(_, start)| *start == Start::Committed);
        let committed: Vec<TopicPartition> = committed.map(|(partition, _)| partition.clone()).collect();
        if !committed.is_empty() {
            self.find_committed(&committed).await?;
            return Ok(true);
        }
        self.find_by_time(&unknown).await?;
        Ok(true)
    }

    async fn find_by_time(&mut self, unknown: &[(TopicPartition, Start)]) -> Result<(), ConsumerError> {
        let policy = self.policy_timestamp();
        let no_policy = unknown.iter().filter(|(_, start)| *start == Start::Policy && policy.is_none());
        let no_policy: Vec<_> = no_policy.map(|(partition, _)| partition.clone()).collect();
        if !no_policy.is_empty() {
            return Err(ConsumerError::NoOffset(no_policy));
        }
        let timestamp = |start: &Start| match start {
            Start::Timestamp(timestamp) => *timestamp,
            _ => policy.unwrap_or(LATEST),
        };
        let requested: Vec<(&str, PartitionIndex, TimestampMs)> = unknown
            .iter()
            .map(|(partition, start)| (&*partition.topic, partition.partition, timestamp(start)))
            .collect();
        let client = self.connected().await?;
        let listed = client.list_offsets_at(&requested, self.config.isolation.id()).await?;
        self.failures = 0;
        for ((partition, _), listed) in unknown.iter().zip(listed) {
            match listed {
                Ok(listed) if listed.offset >= 0 => self.positions.seek(partition, Start::At(listed.offset)),
                // No record is as late as the timestamp.
                Ok(_) => self.positions.seek(partition, Start::Timestamp(LATEST)),
                Err(error) if error.code().is_some_and(ErrorCode::is_retriable) => {
                    self.subscription.refresh_soon();
                    self.positions.pause(partition, self.started.elapsed() + PAUSE);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// The timestamp for ListOffsets that `auto.offset.reset` stands for.
    fn policy_timestamp(&self) -> Option<TimestampMs> {
        match self.config.reset {
            OffsetReset::Latest => Some(LATEST),
            OffsetReset::Earliest => Some(EARLIEST),
            OffsetReset::None => None,
            OffsetReset::ByDuration(age) => {
                let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
                Some(TimestampMs::try_from(now.saturating_sub(age).as_millis()).unwrap_or(0))
            }
        }
    }

    /// Delivers records that are already fetched; otherwise waits for a fetch, a heartbeat event, or the next timer.
    pub(super) async fn read(&mut self) -> Result<(), ConsumerError> {
        if self.deliver_fetched() {
            return Ok(());
        }
        self.fetch_ahead().await?;
        let wake = self.next_due();
        let heartbeats = async {
            match &mut self.coordinator {
                Some(coordinator) => coordinator.heartbeat_event().await,
                None => std::future::pending().await,
            }
        };
        let response = async {
            match &mut self.in_flight {
                Some(in_flight) => in_flight.response().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            event = heartbeats => event.map_or(Ok(()), |error| self.on_heartbeats_ended(error)),
            response = response => {
                let Some(in_flight) = self.in_flight.take() else { return Ok(()) };
                let fetched = in_flight.partitions(&self.config, response?)?;
                self.failures = 0;
                self.buffer_fetched(fetched);
                // Sent before the application reads these records, so that the broker works at the same time.
                self.fetch_ahead().await
            }
            () = sleep_until(wake) => Ok(()),
        }
    }

    async fn fetch_ahead(&mut self) -> Result<(), ConsumerError> {
        if self.in_flight.is_some() {
            return Ok(());
        }
        let requested = self.positions.fetchable(self.started.elapsed());
        if !requested.is_empty() {
            let client = self.connected().await?;
            self.in_flight = Some(InFlight::send(&client, &self.config, requested).await?);
        }
        Ok(())
    }

    /// When the next timer is due: metadata refresh, auto-commit, or the end of a pause.
    fn next_due(&self) -> Instant {
        let commit = self.config.auto_commit.map(|_| self.next_commit);
        let resume = self.positions.next_resume(self.started.elapsed()).map(|after| self.started + after);
        let due = [self.subscription.due(), commit, resume].into_iter().flatten().min();
        due.unwrap_or_else(|| Instant::now() + super::NEVER)
    }

    fn buffer_fetched(&mut self, fetched: Vec<FetchedPartition>) {
        for FetchedPartition { partition, from, records } in fetched {
            if !self.positions.expects(&partition, from) {
                continue;
            }
            match records {
                Ok(Some((chunk, end))) => {
                    self.positions.fetched(&partition, end);
                    self.chunks.push_back(chunk);
                }
                Ok(None) => {}
                Err(code) => self.on_fetch_error(&partition, from, code),
            }
        }
    }

    fn on_fetch_error(&mut self, partition: &TopicPartition, from: Offset, code: ErrorCode) {
        match code {
            ErrorCode::OffsetOutOfRange if self.config.reset == OffsetReset::None => {
                self.failed = Some(ConsumerError::OutOfRange { partition: partition.clone(), offset: from });
                self.positions.pause(partition, self.started.elapsed() + PAUSE);
            }
            ErrorCode::OffsetOutOfRange => self.positions.seek(partition, Start::Policy),
            code => {
                if !code.is_retriable() {
                    self.failed = Some(ConsumerError::Refused(code));
                }
                self.subscription.refresh_soon();
                self.positions.pause(partition, self.started.elapsed() + PAUSE);
            }
        }
    }

    /// Queues an event with the fetched records, up to `max.poll.records`; `false` if there are none.
    fn deliver_fetched(&mut self) -> bool {
        let mut left = self.config.max_poll_records;
        let mut delivered: Vec<PartitionRecords> = Vec::new();
        while left > 0
            && self.failed.is_none()
            && let Some(mut chunk) = self.chunks.pop_front()
        {
            let mut records = Vec::with_capacity(left.min(512));
            let result = chunk.take(left, &mut records);
            left = left.saturating_sub(records.len());
            let epoch = records.last().map(|last| last.leader_epoch);
            self.advance_position(&chunk.partition, chunk.next_offset(), epoch);
            let partition = chunk.partition.clone();
            if let Err(error) = result {
                self.on_corrupt_record(&chunk, error);
            } else if !chunk.is_done() {
                self.chunks.push_front(chunk);
            }
            if !records.is_empty() {
                delivered.push(PartitionRecords { partition, records });
            }
        }
        if delivered.is_empty() {
            return self.failed.is_some();
        }
        self.events.push_back(Event::Records(merge_partitions(delivered)));
        true
    }

    /// Makes the error follow the records before it. The position stays at the corrupt record.
    fn on_corrupt_record(&mut self, chunk: &Chunk, error: ottla_wire::record::RecordError) {
        let (partition, offset) = (chunk.partition.clone(), chunk.next_offset());
        self.seek(&partition, Start::At(offset));
        self.failed = Some(ConsumerError::Unreadable { partition, offset, error });
    }
}

/// Merges entries of the same partition; partitions are in the order of their first entry.
fn merge_partitions(entries: Vec<PartitionRecords>) -> Vec<PartitionRecords> {
    if entries.len() < 2 {
        return entries;
    }
    let mut indexes: HashMap<TopicPartition, usize> = HashMap::new();
    let mut merged: Vec<PartitionRecords> = Vec::with_capacity(entries.len());
    for PartitionRecords { partition, records } in entries {
        let index = *indexes.entry(partition.clone()).or_insert(merged.len());
        match merged.get_mut(index) {
            Some(earlier) => earlier.records.extend(records),
            None => merged.push(PartitionRecords { partition, records }),
        }
    }
    merged
}
