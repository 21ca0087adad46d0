//! Incremental fetch sessions (KIP-227): the broker remembers which partitions a consumer fetches,
//! so that a request names only what changed and a response only what is new.
//!
//! Pure: time and new session ids come in as arguments. As Kafka's `FetchSessionCache`, with one
//! shard, because one lock held for a few map operations is no bottleneck on one machine.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use thiserror::Error;

use ottla_wire::types::{LeaderEpoch, Offset, PartitionIndex, TopicId, TopicName};

/// The session id of a request or response that belongs to no session.
pub const NO_SESSION: i32 = 0;
/// The epoch of a request that asks for a new session.
const INITIAL_EPOCH: i32 = 0;
/// The epoch of a request that ends its session and wants no other.
const FINAL_EPOCH: i32 = -1;

/// A partition as a fetch names it: by name up to version 12, by id from 13.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FetchKey {
    pub topic: FetchTopic,
    pub partition: PartitionIndex,
}

/// A topic as a fetch names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FetchTopic {
    Name(TopicName),
    Id(TopicId),
}

/// What a consumer asks of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionAsk {
    pub fetch_offset: Offset,
    /// Bytes at the most, the first batch aside.
    pub max_bytes: i32,
    /// -1 where the client doesn't know it.
    pub current_leader_epoch: LeaderEpoch,
    /// -1 where the client doesn't know it.
    pub last_fetched_epoch: LeaderEpoch,
}

/// What decides whether a partition belongs in an incremental response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    pub has_records: bool,
    /// An error or a diverging epoch, which is always in the response.
    pub must_tell: bool,
    pub high_watermark: Offset,
    pub log_start_offset: Offset,
}

/// Why a request doesn't fit its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SessionError {
    #[error("the fetch session is not known")]
    NotFound,
    #[error("the fetch session is at another epoch")]
    InvalidEpoch,
    #[error("the fetch session names topics the other way (by id or by name)")]
    TopicIdMismatch,
}

/// What a fetch request is about, once its session is found.
#[derive(Debug)]
pub struct FetchContext {
    kind: Kind,
    /// What to read, in the order in which to read it.
    pub partitions: Vec<(FetchKey, PartitionAsk)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Sessionless,
    /// Becomes a session when it is answered, if there is room.
    Full {
        uses_topic_ids: bool,
    },
    /// `epoch` is what the session's epoch must still be when it is answered.
    Incremental {
        session_id: i32,
        epoch: i32,
    },
}

/// A fetch request's session fields.
#[derive(Debug)]
pub struct SessionRequest {
    pub session_id: i32,
    pub epoch: i32,
    pub uses_topic_ids: bool,
    pub partitions: Vec<(FetchKey, PartitionAsk)>,
    pub forgotten: Vec<FetchKey>,
}

/// All sessions of the broker.
#[derive(Debug)]
pub struct FetchSessions {
    max_sessions: usize,
    /// A session unused for this long may be dropped for another; one older than this may be
    /// dropped for a larger one.
    eviction_after: Duration,
    sessions: HashMap<i32, Session>,
}

#[derive(Debug)]
struct Session {
    epoch: i32,
    uses_topic_ids: bool,
    created: Duration,
    last_used: Duration,
    /// Next place in `order`.
    next_place: u64,
    /// The order in which partitions are read: one that gave records goes to the end, so that
    /// none starves under a byte limit.
    order: BTreeMap<u64, FetchKey>,
    partitions: HashMap<FetchKey, Cached>,
}

#[derive(Debug)]
struct Cached {
    place: u64,
    ask: PartitionAsk,
    high_watermark: Offset,
    log_start_offset: Offset,
}

impl FetchSessions {
    /// `max.incremental.fetch.session.cache.slots` sessions at the most.
    pub fn new(max_sessions: usize, eviction_after: Duration) -> FetchSessions {
        FetchSessions { max_sessions, eviction_after, sessions: HashMap::new() }
    }

    /// Finds out what a request wants read, and brings its session up to date.
    pub fn begin(&mut self, now: Duration, request: SessionRequest) -> Result<FetchContext, SessionError> {
        if request.epoch == INITIAL_EPOCH || request.epoch == FINAL_EPOCH {
            // A full request ends whatever session it names.
            self.sessions.remove(&request.session_id);
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
        session.update(request.partitions, &request.forgotten);
        if session.partitions.is_empty() {
            self.sessions.remove(&request.session_id);
            return Ok(FetchContext { kind: Kind::Sessionless, partitions: Vec::new() });
        }
        let kind = Kind::Incremental { session_id: request.session_id, epoch: session.epoch };
        Ok(FetchContext { kind, partitions: session.asks() })
    }

    /// Closes a request: gives the session id to answer with and, for each of `answered`, whether
    /// it belongs in the response. `new_id` draws a random number.
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
                // The session may have moved on while this request waited: a duplicate request.
                let session = self.sessions.get_mut(&session_id).ok_or(SessionError::NotFound)?;
                if session.epoch != epoch {
                    return Err(SessionError::InvalidEpoch);
                }
                Ok((session_id, answered.iter().map(|(key, answer)| session.answer(key, answer)).collect()))
            }
        }
    }

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
            next_place: 0,
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
        self.sessions.insert(id, session);
        id
    }

    /// Whether a session of `size` partitions may come, dropping a stale one, or a smaller one that
    /// is not new, where the cache is full.
    fn make_room(&mut self, now: Duration, size: usize) -> bool {
        if self.sessions.len() < self.max_sessions {
            return true;
        }
        let age = |since: Duration| now.saturating_sub(since);
        let stale = self.sessions.iter().min_by_key(|(_, session)| session.last_used);
        if let Some((&id, session)) = stale
            && age(session.last_used) > self.eviction_after
        {
            self.sessions.remove(&id);
            return true;
        }
        let settled = self.sessions.iter().filter(|(_, session)| age(session.created) > self.eviction_after);
        if let Some((&id, session)) = settled.min_by_key(|(_, session)| session.partitions.len())
            && session.partitions.len() <= size
        {
            self.sessions.remove(&id);
            return true;
        }
        false
    }

    /// Ends all sessions. Their clients get FETCH_SESSION_ID_NOT_FOUND and open new ones.
    pub fn clear(&mut self) {
        self.sessions.clear();
    }

    /// How many sessions are open.
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether no session is open.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }
}

impl Session {
    fn update(&mut self, asks: Vec<(FetchKey, PartitionAsk)>, forgotten: &[FetchKey]) {
        for (key, ask) in asks {
            if let Some(cached) = self.partitions.get_mut(&key) {
                cached.ask = ask;
            } else {
                let place = self.next_place;
                self.next_place += 1;
                self.order.insert(place, key.clone());
                // -1: nothing was sent yet, so the first answer is always in the response.
                self.partitions.insert(key, Cached { place, ask, high_watermark: -1, log_start_offset: -1 });
            }
        }
        for key in forgotten {
            if let Some(cached) = self.partitions.remove(key) {
                self.order.remove(&cached.place);
            }
        }
    }

    fn asks(&self) -> Vec<(FetchKey, PartitionAsk)> {
        let ask = |key: &FetchKey| self.partitions.get(key).map(|cached| (key.clone(), cached.ask));
        self.order.values().filter_map(ask).collect()
    }

    /// Whether the answer belongs in the response; remembers it as sent.
    fn answer(&mut self, key: &FetchKey, answer: &Answered) -> bool {
        let Some(cached) = self.partitions.get_mut(key) else { return true };
        let moved =
            cached.high_watermark != answer.high_watermark || cached.log_start_offset != answer.log_start_offset;
        // An error is sent again until it is over, and then the watermark is sent.
        cached.high_watermark = if answer.must_tell { -1 } else { answer.high_watermark };
        cached.log_start_offset = answer.log_start_offset;
        if answer.has_records {
            self.order.remove(&cached.place);
            cached.place = self.next_place;
            self.next_place += 1;
            self.order.insert(cached.place, key.clone());
        }
        answer.has_records || answer.must_tell || moved
    }
}

/// Epochs run from 1 and skip the two that have a meaning.
fn next_epoch(epoch: i32) -> i32 {
    if epoch == i32::MAX { 1 } else { epoch + 1 }
}

/// A partition named twice counts once, with what was said last.
fn last_of_each(asks: Vec<(FetchKey, PartitionAsk)>) -> Vec<(FetchKey, PartitionAsk)> {
    let mut place: HashMap<FetchKey, usize> = HashMap::with_capacity(asks.len());
    let mut kept: Vec<(FetchKey, PartitionAsk)> = Vec::with_capacity(asks.len());
    for (key, ask) in asks {
        match place.get(&key) {
            Some(&at) => kept[at].1 = ask,
            None => {
                place.insert(key.clone(), kept.len());
                kept.push((key, ask));
            }
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn key(partition: i32) -> FetchKey {
        FetchKey { topic: FetchTopic::Name("t".into()), partition }
    }

    fn ask(fetch_offset: Offset) -> PartitionAsk {
        PartitionAsk { fetch_offset, max_bytes: 1, current_leader_epoch: -1, last_fetched_epoch: -1 }
    }

    fn request(session_id: i32, epoch: i32, partitions: &[i32]) -> SessionRequest {
        SessionRequest {
            session_id,
            epoch,
            uses_topic_ids: false,
            partitions: partitions.iter().map(|&p| (key(p), ask(0))).collect(),
            forgotten: Vec::new(),
        }
    }

    fn answer(high_watermark: Offset, has_records: bool) -> Answered {
        Answered { has_records, must_tell: false, high_watermark, log_start_offset: 0 }
    }

    /// Opens a session over partitions 0 and 1, both told empty.
    fn open(sessions: &mut FetchSessions, now: Duration, id: i32) {
        let context = sessions.begin(now, request(0, 0, &[0, 1])).unwrap();
        let told = [(key(0), answer(0, false)), (key(1), answer(0, false))];
        assert_eq!(sessions.finish(now, &context, &told, || id), Ok((id, vec![true, true])));
    }

    fn read_order(context: &FetchContext) -> Vec<i32> {
        context.partitions.iter().map(|(key, _)| key.partition).collect()
    }

    #[test]
    fn an_incremental_response_tells_only_what_moved_and_rotates_what_gave_records() {
        let mut sessions = FetchSessions::new(10, MINUTE);
        open(&mut sessions, Duration::ZERO, 7);
        let context = sessions.begin(Duration::ZERO, request(7, 1, &[])).unwrap();
        assert_eq!(read_order(&context), [0, 1]);
        let told = [(key(0), answer(5, true)), (key(1), answer(0, false))];
        assert_eq!(sessions.finish(Duration::ZERO, &context, &told, || 0), Ok((7, vec![true, false])));
        let context = sessions.begin(Duration::ZERO, request(7, 2, &[])).unwrap();
        assert_eq!(read_order(&context), [1, 0]);
    }

    #[test]
    fn an_error_is_told_until_it_is_over_and_then_the_watermark_is() {
        let mut sessions = FetchSessions::new(10, MINUTE);
        open(&mut sessions, Duration::ZERO, 7);
        let error = Answered { must_tell: true, ..answer(0, false) };
        for (epoch, told, expect) in [(1, error, true), (2, error, true), (3, answer(0, false), true)] {
            let context = sessions.begin(Duration::ZERO, request(7, epoch, &[])).unwrap();
            let said = sessions.finish(Duration::ZERO, &context, &[(key(0), told)], || 0);
            assert_eq!(said, Ok((7, vec![expect])), "epoch {epoch}");
        }
    }

    #[test]
    fn a_request_must_fit_its_session() {
        let mut sessions = FetchSessions::new(10, MINUTE);
        open(&mut sessions, Duration::ZERO, 7);
        let fails = |sessions: &mut FetchSessions, request| sessions.begin(Duration::ZERO, request).unwrap_err();
        assert_eq!(fails(&mut sessions, request(8, 1, &[])), SessionError::NotFound);
        assert_eq!(fails(&mut sessions, request(7, 2, &[])), SessionError::InvalidEpoch);
        let by_id = SessionRequest { uses_topic_ids: true, ..request(7, 1, &[]) };
        assert_eq!(fails(&mut sessions, by_id), SessionError::TopicIdMismatch);
    }

    #[test]
    fn a_duplicate_that_overtook_an_answer_is_found_out() {
        let mut sessions = FetchSessions::new(10, MINUTE);
        open(&mut sessions, Duration::ZERO, 7);
        let waiting = sessions.begin(Duration::ZERO, request(7, 1, &[])).unwrap();
        sessions.begin(Duration::ZERO, request(7, 2, &[])).unwrap();
        assert_eq!(sessions.finish(Duration::ZERO, &waiting, &[], || 0), Err(SessionError::InvalidEpoch));
    }

    #[test]
    fn forgetting_all_partitions_ends_the_session() {
        let mut sessions = FetchSessions::new(10, MINUTE);
        open(&mut sessions, Duration::ZERO, 7);
        let forget = SessionRequest { forgotten: vec![key(0), key(1)], ..request(7, 1, &[]) };
        assert!(sessions.begin(Duration::ZERO, forget).unwrap().partitions.is_empty());
        assert!(sessions.is_empty());
    }

    #[test]
    fn a_full_cache_drops_a_stale_session_or_a_smaller_settled_one() {
        let mut sessions = FetchSessions::new(1, MINUTE);
        open(&mut sessions, Duration::ZERO, 7);
        let context = sessions.begin(Duration::ZERO, request(0, 0, &[0])).unwrap();
        let told = [(key(0), answer(0, false))];
        // Fresh, so it stays: the newcomer does without a session.
        assert_eq!(sessions.finish(Duration::ZERO, &context, &told, || 8).unwrap().0, NO_SESSION);
        // In use but settled: only a larger one replaces it.
        let later = MINUTE * 2;
        sessions.begin(later, request(7, 1, &[])).unwrap();
        assert_eq!(sessions.finish(later, &context, &told, || 8).unwrap().0, NO_SESSION);
        open(&mut sessions, later, 9);
        // Stale: anyone may.
        assert_eq!(sessions.finish(later * 2, &context, &told, || 8).unwrap().0, 8);
        assert_eq!(sessions.len(), 1);
    }
}
