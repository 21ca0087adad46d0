//! The part of polling that has to do with records: finding positions, fetching, giving out.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::chunk::Chunk;
use super::config::OffsetReset;
use super::fetching::{Arrived, InFlight};
use super::positions::Start;
use super::{Consumer, ConsumerError, Event, PartitionRecords};
use ottla_wire::types::{ErrorCode, Offset, PartitionIndex, TimestampMs, TopicPartition};

/// ListOffsets' timestamps for a log's ends.
const LATEST: TimestampMs = -1;
const EARLIEST: TimestampMs = -2;
/// How long a partition that cannot be read is left alone.
const PAUSE: Duration = Duration::from_millis(100);

impl Consumer {
    /// Asks for positions that aren't known. Whether there was anything to ask.
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
        let asked: Vec<(&str, PartitionIndex, TimestampMs)> = unknown
            .iter()
            .map(|(partition, start)| (&*partition.topic, partition.partition, timestamp(start)))
            .collect();
        let client = self.connected().await?;
        let listed = client.list_offsets_at(&asked, self.config.isolation.id()).await?;
        self.failures = 0;
        for ((partition, _), listed) in unknown.iter().zip(listed) {
            match listed {
                Ok(listed) if listed.offset >= 0 => self.positions.seek(partition, Start::At(listed.offset)),
                // No record is as late.
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

    /// What `auto.offset.reset` is for ListOffsets.
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

    /// Gives out what is there; otherwise waits for a fetch, a heartbeat that fails, or what else is due first.
    pub(super) async fn read(&mut self) -> Result<(), ConsumerError> {
        if self.give_out() {
            return Ok(());
        }
        self.fetch_ahead().await?;
        let wake = self.next_due();
        let heart = async {
            match &mut self.coordination {
                Some(coordination) => coordination.heart_news().await,
                None => std::future::pending().await,
            }
        };
        let answer = async {
            match &mut self.in_flight {
                Some(in_flight) => in_flight.answer().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            news = heart => news.map_or(Ok(()), |end| self.heart_ended(end)),
            answer = answer => {
                let Some(in_flight) = self.in_flight.take() else { return Ok(()) };
                let arrived = in_flight.arrived(&self.config, answer?)?;
                self.failures = 0;
                self.take_in(arrived);
                // On its way before this is read: the broker works while the reader does.
                self.fetch_ahead().await
            }
            () = sleep_until(wake) => Ok(()),
        }
    }

    async fn fetch_ahead(&mut self) -> Result<(), ConsumerError> {
        if self.in_flight.is_some() {
            return Ok(());
        }
        let asked = self.positions.fetchable(self.started.elapsed());
        if !asked.is_empty() {
            let client = self.connected().await?;
            self.in_flight = Some(InFlight::send(&client, &self.config, asked).await?);
        }
        Ok(())
    }

    /// When something is due beside fetching.
    fn next_due(&self) -> Instant {
        let commit = self.config.auto_commit.map(|_| self.next_commit);
        let resume = self.positions.next_resume(self.started.elapsed()).map(|after| self.started + after);
        let due = [self.subscription.due(), commit, resume].into_iter().flatten().min();
        due.unwrap_or_else(|| Instant::now() + super::NEVER)
    }

    fn take_in(&mut self, arrived: Vec<Arrived>) {
        for Arrived { partition, from, records } in arrived {
            if !self.positions.wants(&partition, from) {
                continue;
            }
            match records {
                Ok(Some((chunk, end))) => {
                    self.positions.fetched(&partition, end);
                    self.chunks.push_back(chunk);
                }
                Ok(None) => {}
                Err(code) => self.refused(&partition, from, code),
            }
        }
    }

    fn refused(&mut self, partition: &TopicPartition, from: Offset, code: ErrorCode) {
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

    /// Makes an event of the records that are there, up to `max.poll.records`; `false` if there are none.
    fn give_out(&mut self) -> bool {
        let mut left = self.config.max_poll_records;
        let mut given: Vec<PartitionRecords> = Vec::new();
        while left > 0
            && self.failed.is_none()
            && let Some(mut chunk) = self.chunks.pop_front()
        {
            let mut records = Vec::with_capacity(left.min(512));
            let taken = chunk.take(left, &mut records);
            left = left.saturating_sub(records.len());
            let epoch = records.last().map(|last| last.leader_epoch);
            self.give(&chunk.partition, chunk.next_offset(), epoch);
            let partition = chunk.partition.clone();
            if let Err(error) = taken {
                self.unreadable(&chunk, error);
            } else if !chunk.is_done() {
                self.chunks.push_front(chunk);
            }
            if !records.is_empty() {
                given.push(PartitionRecords { partition, records });
            }
        }
        if given.is_empty() {
            return self.failed.is_some();
        }
        self.events.push_back(Event::Records(joined(given)));
        true
    }

    /// Told after what could be read; the partition stays where it was.
    fn unreadable(&mut self, chunk: &Chunk, error: ottla_wire::record::RecordError) {
        let (partition, offset) = (chunk.partition.clone(), chunk.next_offset());
        self.seek(&partition, Start::At(offset));
        self.failed = Some(ConsumerError::Unreadable { partition, offset, error });
    }
}

/// Each partition once, in the order in which they came.
fn joined(given: Vec<PartitionRecords>) -> Vec<PartitionRecords> {
    if given.len() < 2 {
        return given;
    }
    let mut places: HashMap<TopicPartition, usize> = HashMap::new();
    let mut joined: Vec<PartitionRecords> = Vec::with_capacity(given.len());
    for PartitionRecords { partition, records } in given {
        let place = *places.entry(partition.clone()).or_insert(joined.len());
        match joined.get_mut(place) {
            Some(earlier) => earlier.records.extend(records),
            None => joined.push(PartitionRecords { partition, records }),
        }
    }
    joined
}
