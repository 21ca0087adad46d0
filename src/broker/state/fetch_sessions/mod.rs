//! Incremental fetch sessions (KIP-227): the broker remembers the partitions that a consumer fetches, so that a request
//! has only what changed and a response only what is new.
//!
//! Pure: time and new session ids are arguments. Like Kafka's `FetchSessionCache` with one shard: one lock that is held
//! for a few map operations is not a bottleneck on one machine.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use super::figures::SessionFigures;
use ottla_wire::types::{LeaderEpoch, Offset, PartitionIndex, TopicId, TopicName};

/// The session id of a request or response without a session.
pub const NO_SESSION: i32 = 0;
/// The epoch of a request for a new session.
const INITIAL_EPOCH: i32 = 0;
/// The epoch of a request that closes its session and opens no new one.
const FINAL_EPOCH: i32 = -1;

/// A partition of a fetch, with the topic's name up to version 12 and its id from version 13.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FetchKey {
    pub topic: FetchTopic,
    pub partition: PartitionIndex,
}

/// A topic of a fetch.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FetchTopic {
    Name(TopicName),
    Id(TopicId),
}

/// What a consumer requests of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionRequest {
    pub fetch_offset: Offset,
    /// The largest number of bytes. A first batch may be larger.
    pub max_bytes: i32,
    /// -1 if the client does not know it.
    pub current_leader_epoch: LeaderEpoch,
    /// -1 if the client does not know it.
    pub last_fetched_epoch: LeaderEpoch,
}

/// The facts that decide whether a partition is included in an incremental response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    pub has_records: bool,
    /// Whether the partition has an error or a diverging epoch, which is always included.
    pub must_include: bool,
    pub high_watermark: Offset,
    pub log_start_offset: Offset,
}

/// Why a request does not match its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SessionError {
    #[error("the fetch session is not known")]
    NotFound,
    #[error("the fetch session is at another epoch")]
    InvalidEpoch,
    #[error("the request has topic ids and the fetch session has names, or the other way around")]
    TopicIdMismatch,
}

/// A fetch request whose session was found.
#[derive(Debug)]
pub struct FetchContext {
    kind: Kind,
    /// The partitions to read, in this order.
    pub partitions: Vec<(FetchKey, PartitionRequest)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Sessionless,
    /// A session is created with the response, if the cache has room.
    Full {
        uses_topic_ids: bool,
    },
    /// `epoch` is the epoch that the session must still have when the request is answered.
    Incremental {
        session_id: i32,
        epoch: i32,
    },
}

/// The session fields of a fetch request.
#[derive(Debug)]
pub struct SessionRequest {
    pub session_id: i32,
    pub epoch: i32,
    pub uses_topic_ids: bool,
    pub partitions: Vec<(FetchKey, PartitionRequest)>,
    pub forgotten: Vec<FetchKey>,
}

/// All sessions of the broker.
#[derive(Debug)]
pub struct FetchSessions {
    max_sessions: usize,
    /// A session that was not used for this time may be evicted for any other; one that was created longer ago may be
    /// evicted for a larger one.
    eviction_after: Duration,
    sessions: HashMap<i32, Session>,
    /// The partitions of all sessions.
    cached: usize,
    figures: Arc<SessionFigures>,
}

#[derive(Debug)]
struct Session {
    epoch: i32,
    uses_topic_ids: bool,
    created: Duration,
    last_used: Duration,
    /// The next key in `order`.
    next_position: u64,
    /// The order in which partitions are read. A partition that returned records moves to the end, so that each gets a
    /// part of the byte limit.
    order: BTreeMap<u64, FetchKey>,
    partitions: HashMap<FetchKey, Cached>,
}

#[derive(Debug)]
struct Cached {
    position: u64,
    request: PartitionRequest,
    high_watermark: Offset,
    log_start_offset: Offset,
}

impl FetchSessions {
    /// Creates a cache for at most `max_sessions` (`max.incremental.fetch.session.cache.slots`).
    pub fn new(max_sessions: usize, eviction_after: Duration) -> FetchSessions {
        FetchSessions { max_sessions, eviction_after, sessions: HashMap::new(), cached: 0, figures: Arc::default() }
    }

    /// Publishes the figures of the cache.
    pub fn with_figures(self, figures: Arc<SessionFigures>) -> FetchSessions {
        FetchSessions { figures, ..self }
    }

    /// Begins a request: updates its session, and returns the partitions to read.
    pub fn begin(&mut self, now: Duration, request: SessionRequest) -> Result<FetchContext, SessionError> {
        if request.epoch == INITIAL_EPOCH || request.epoch == FINAL_EPOCH {
            // A full request closes the session that it names.
            self.remove(request.session_id);
            self.publish();
            let kind = if request.epoch == FINAL_EPOCH {
                Kind::Sessionless
            } else {
                Kind::Full { uses_topic_ids: request.uses_topic_ids }
            };
            return Ok(FetchContext { kind, partitions: last_of_each(request.partitions) });
        }
        let session = self.sessions.get_mut(&request.session_id).ok_or(SessionError::NotFound)?;
        if session.epoch != request.epoch {
            return Err(SessionError::InvalidEpoch);
        }
        if session.uses_topic_ids != request.uses_topic_ids {
            return Err(SessionError::TopicIdMismatch);
        }
        session.epoch = next_epoch(session.epoch);
        session.last_used = now;
        let before = session.partitions.len();
        session.update(request.partitions, &request.forgotten);
        let (after, epoch, partitions) = (session.partitions.len(), session.epoch, session.requests());
        self.cached = self.cached + after - before;
        if partitions.is_empty() {
            self.remove(request.session_id);
        }
        if before != after {
            self.publish();
        }
        let kind = match partitions.is_empty() {
            true => Kind::Sessionless,
            false => Kind::Incremental { session_id: request.session_id, epoch },
        };
        Ok(FetchContext { kind, partitions })
    }

    /// Finishes a request. Returns the session id of the response and, for each of `answered`, whether the response
    /// includes it. `new_id` returns a random number.
    pub fn finish(
        &mut self,
        now: Duration,
        context: &FetchContext,
        answered: &[(FetchKey, Answered)],
        new_id: impl FnMut() -> i32,
    ) -> Result<(i32, Vec<bool>), SessionError> {
        match context.kind {
            Kind::Sessionless => Ok((NO_SESSION, vec![true; answered.len()])),
            Kind::Full { uses_topic_ids } => {
                let id = self.create(now, context, answered, uses_topic_ids, new_id);
                Ok((id, vec![true; answered.len()]))
            }
            Kind::Incremental { session_id, epoch } => {
                // A duplicate request may have used the session while this one waited.
                let session = self.sessions.get_mut(&session_id).ok_or(SessionError::NotFound)?;
                if session.epoch != epoch {
                    return Err(SessionError::InvalidEpoch);
                }
                Ok((session_id, answered.iter().map(|(key, answer)| session.answer(key, answer)).collect()))
            }
        }
    }

    /// What [`FetchSessions::finish`] would return now, with the session id of a response without partitions. Changes
    /// nothing.
    pub fn preview(
        &self,
        context: &FetchContext,
        answered: &[(FetchKey, Answered)],
    ) -> Result<(i32, Vec<bool>), SessionError> {
        let Kind::Incremental { session_id, epoch } = context.kind else {
            return Ok((NO_SESSION, vec![true; answered.len()]));
        };
        let session = self.sessions.get(&session_id).ok_or(SessionError::NotFound)?;
        if session.epoch != epoch {
            return Err(SessionError::InvalidEpoch);
        }
        Ok((session_id, answered.iter().map(|(key, answer)| session.includes(key, answer)).collect()))
    }

    /// Creates a session, if the cache has room. Returns its id.
    fn create(
        &mut self,
        now: Duration,
        context: &FetchContext,
        answered: &[(FetchKey, Answered)],
        uses_topic_ids: bool,
        mut new_id: impl FnMut() -> i32,
    ) -> i32 {
        if !self.make_room(now, answered.len()) {
            return NO_SESSION;
        }
        let mut session = Session {
            epoch: next_epoch(INITIAL_EPOCH),
            uses_topic_ids,
            created: now,
            last_used: now,
            next_position: 0,
            order: BTreeMap::new(),
            partitions: HashMap::new(),
        };
        session.update(context.partitions.clone(), &[]);
        for (key, answer) in answered {
            session.answer(key, answer);
        }
        let id = loop {
            let id = new_id() & i32::MAX;
            if id != NO_SESSION && !self.sessions.contains_key(&id) {
                break id;
            }
        };
        self.cached += session.partitions.len();
        self.sessions.insert(id, session);
        self.publish();
        id
    }

    /// Makes room for a session of `size` partitions. If the cache is full, it evicts a stale session, or a smaller one
    /// that is not new. Returns whether there is room.
    fn make_room(&mut self, now: Duration, size: usize) -> bool {
        if self.sessions.len() < self.max_sessions {
            return true;
        }
        let age = |since: Duration| now.saturating_sub(since);
        let stale = self.sessions.iter().min_by_key(|(_, session)| session.last_used);
        if let Some((&id, session)) = stale
            && age(session.last_used) > self.eviction_after
        {
            self.remove(id);
            self.figures.evictions.increment();
            return true;
        }
        let old = self.sessions.iter().filter(|(_, session)| age(session.created) > self.eviction_after);
        if let Some((&id, session)) = old.min_by_key(|(_, session)| session.partitions.len())
            && session.partitions.len() <= size
        {
            self.remove(id);
            self.figures.evictions.increment();
            return true;
        }
        false
    }

    /// Closes all sessions. Their clients get FETCH_SESSION_ID_NOT_FOUND and open new ones.
    pub fn clear(&mut self) {
        self.sessions.clear();
        self.cached = 0;
        self.publish();
    }

    /// Closes a session, if there is one of this id.
    fn remove(&mut self, id: i32) {
        if let Some(session) = self.sessions.remove(&id) {
            self.cached -= session.partitions.len();
        }
    }

    fn publish(&self) {
        self.figures.publish(self.sessions.len(), self.cached);
    }

    /// The number of open sessions.
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether no session is open.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }
}

impl Session {
    /// Adds, changes and removes partitions.
    fn update(&mut self, requests: Vec<(FetchKey, PartitionRequest)>, forgotten: &[FetchKey]) {
        for (key, request) in requests {
            if let Some(cached) = self.partitions.get_mut(&key) {
                cached.request = request;
            } else {
                let position = self.next_position;
                self.next_position += 1;
                self.order.insert(position, key.clone());
                // -1: nothing was sent yet, so the first response includes the partition.
                self.partitions.insert(key, Cached { position, request, high_watermark: -1, log_start_offset: -1 });
            }
        }
        for key in forgotten {
            if let Some(cached) = self.partitions.remove(key) {
                self.order.remove(&cached.position);
            }
        }
    }

    /// The partitions, in the order in which to read them.
    fn requests(&self) -> Vec<(FetchKey, PartitionRequest)> {
        let request = |key: &FetchKey| self.partitions.get(key).map(|cached| (key.clone(), cached.request));
        self.order.values().filter_map(request).collect()
    }

    /// Whether the response includes the partition.
    fn includes(&self, key: &FetchKey, answer: &Answered) -> bool {
        self.partitions.get(key).is_none_or(|cached| {
            let has_moved =
                cached.high_watermark != answer.high_watermark || cached.log_start_offset != answer.log_start_offset;
            answer.has_records || answer.must_include || has_moved
        })
    }

    /// Returns whether the response includes the partition, and remembers what was sent.
    fn answer(&mut self, key: &FetchKey, answer: &Answered) -> bool {
        let included = self.includes(key, answer);
        let Some(cached) = self.partitions.get_mut(key) else { return included };
        // After an error, the next response includes the partition, with an error or with the high watermark.
        cached.high_watermark = if answer.must_include { -1 } else { answer.high_watermark };
        cached.log_start_offset = answer.log_start_offset;
        if answer.has_records {
            self.order.remove(&cached.position);
            cached.position = self.next_position;
            self.next_position += 1;
            self.order.insert(cached.position, key.clone());
        }
        included
    }
}

/// The epoch after `epoch`. Epochs begin with 1, because 0 and -1 have special meanings.
fn next_epoch(epoch: i32) -> i32 {
    if epoch == i32::MAX { 1 } else { epoch + 1 }
}

/// Removes duplicate partitions: the last request of each counts.
fn last_of_each(requests: Vec<(FetchKey, PartitionRequest)>) -> Vec<(FetchKey, PartitionRequest)> {
    let mut indexes: HashMap<FetchKey, usize> = HashMap::with_capacity(requests.len());
    let mut unique: Vec<(FetchKey, PartitionRequest)> = Vec::with_capacity(requests.len());
    for (key, request) in requests {
        match indexes.get(&key) {
            Some(&index) => unique[index].1 = request,
            None => {
                indexes.insert(key.clone(), unique.len());
                unique.push((key, request));
            }
        }
    }
    unique
}
