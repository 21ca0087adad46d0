//! Tests of the cache of fetch sessions.

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

fn key(partition: i32) -> FetchKey {
    FetchKey { topic: FetchTopic::Name("t".into()), partition }
}

fn partition_request(fetch_offset: Offset) -> PartitionRequest {
    PartitionRequest { fetch_offset, max_bytes: 1, current_leader_epoch: -1, last_fetched_epoch: -1 }
}

fn request(session_id: i32, epoch: i32, partitions: &[i32]) -> SessionRequest {
    SessionRequest {
        session_id,
        epoch,
        uses_topic_ids: false,
        partitions: partitions.iter().map(|&p| (key(p), partition_request(0))).collect(),
        forgotten: Vec::new(),
    }
}

fn answer(high_watermark: Offset, has_records: bool) -> Answered {
    Answered { has_records, must_include: false, high_watermark, log_start_offset: 0 }
}

/// Opens a session with partitions 0 and 1, whose first responses were empty.
fn open(sessions: &mut FetchSessions, now: Duration, id: i32) {
    let context = sessions.begin(now, request(0, 0, &[0, 1])).unwrap();
    let answered = [(key(0), answer(0, false)), (key(1), answer(0, false))];
    assert_eq!(sessions.finish(now, &context, &answered, || id), Ok((id, vec![true, true])));
}

fn read_order(context: &FetchContext) -> Vec<i32> {
    context.partitions.iter().map(|(key, _)| key.partition).collect()
}

#[test]
fn incremental_response_includes_only_changes_and_partitions_with_records_move_to_the_end() {
    let mut sessions = FetchSessions::new(10, MINUTE);
    open(&mut sessions, Duration::ZERO, 7);
    let context = sessions.begin(Duration::ZERO, request(7, 1, &[])).unwrap();
    assert_eq!(read_order(&context), [0, 1]);
    let answered = [(key(0), answer(5, true)), (key(1), answer(0, false))];
    assert_eq!(sessions.finish(Duration::ZERO, &context, &answered, || 0), Ok((7, vec![true, false])));
    let context = sessions.begin(Duration::ZERO, request(7, 2, &[])).unwrap();
    assert_eq!(read_order(&context), [1, 0]);
}

#[test]
fn preview_changes_nothing_and_is_what_finish_returns() {
    let now = Duration::ZERO;
    let mut sessions = FetchSessions::new(10, MINUTE);
    open(&mut sessions, now, 7);
    let context = sessions.begin(now, request(7, 1, &[])).unwrap();
    let answered = [(key(0), answer(5, true)), (key(1), answer(0, false))];
    let previewed = sessions.preview(&context, &answered);
    assert_eq!(previewed, sessions.preview(&context, &answered));
    assert_eq!(previewed, sessions.finish(now, &context, &answered, || 8));
    let full = sessions.begin(now, request(0, 0, &[0])).unwrap();
    assert_eq!(sessions.preview(&full, &[(key(0), answer(5, true))]), Ok((NO_SESSION, vec![true])));
    sessions.begin(now, request(7, 2, &[])).unwrap();
    assert_eq!(sessions.preview(&context, &answered), Err(SessionError::InvalidEpoch));
}

#[test]
fn error_is_included_until_it_is_over_and_then_the_high_watermark() {
    let mut sessions = FetchSessions::new(10, MINUTE);
    open(&mut sessions, Duration::ZERO, 7);
    let error = Answered { must_include: true, ..answer(0, false) };
    for (epoch, answered, expect) in [(1, error, true), (2, error, true), (3, answer(0, false), true)] {
        let context = sessions.begin(Duration::ZERO, request(7, epoch, &[])).unwrap();
        let included = sessions.finish(Duration::ZERO, &context, &[(key(0), answered)], || 0);
        assert_eq!(included, Ok((7, vec![expect])), "epoch {epoch}");
    }
}

#[test]
fn request_that_does_not_match_its_session_is_an_error() {
    let mut sessions = FetchSessions::new(10, MINUTE);
    open(&mut sessions, Duration::ZERO, 7);
    let fails = |sessions: &mut FetchSessions, request| sessions.begin(Duration::ZERO, request).unwrap_err();
    assert_eq!(fails(&mut sessions, request(8, 1, &[])), SessionError::NotFound);
    assert_eq!(fails(&mut sessions, request(7, 2, &[])), SessionError::InvalidEpoch);
    let by_id = SessionRequest { uses_topic_ids: true, ..request(7, 1, &[]) };
    assert_eq!(fails(&mut sessions, by_id), SessionError::TopicIdMismatch);
}

#[test]
fn response_after_a_newer_request_of_the_session_is_an_error() {
    let mut sessions = FetchSessions::new(10, MINUTE);
    open(&mut sessions, Duration::ZERO, 7);
    let waiting = sessions.begin(Duration::ZERO, request(7, 1, &[])).unwrap();
    sessions.begin(Duration::ZERO, request(7, 2, &[])).unwrap();
    assert_eq!(sessions.finish(Duration::ZERO, &waiting, &[], || 0), Err(SessionError::InvalidEpoch));
}

#[test]
fn session_without_partitions_is_closed() {
    let mut sessions = FetchSessions::new(10, MINUTE);
    open(&mut sessions, Duration::ZERO, 7);
    let forget = SessionRequest { forgotten: vec![key(0), key(1)], ..request(7, 1, &[]) };
    assert!(sessions.begin(Duration::ZERO, forget).unwrap().partitions.is_empty());
    assert!(sessions.is_empty());
}

#[test]
fn full_cache_evicts_a_stale_session_or_a_smaller_old_one() {
    let mut sessions = FetchSessions::new(1, MINUTE);
    open(&mut sessions, Duration::ZERO, 7);
    let context = sessions.begin(Duration::ZERO, request(0, 0, &[0])).unwrap();
    let answered = [(key(0), answer(0, false))];
    // The session is new and stays. The other request gets no session.
    assert_eq!(sessions.finish(Duration::ZERO, &context, &answered, || 8).unwrap().0, NO_SESSION);
    // The session is in use and old: only a larger one replaces it.
    let later = MINUTE * 2;
    sessions.begin(later, request(7, 1, &[])).unwrap();
    assert_eq!(sessions.finish(later, &context, &answered, || 8).unwrap().0, NO_SESSION);
    open(&mut sessions, later, 9);
    // The session is stale: any other replaces it.
    assert_eq!(sessions.finish(later * 2, &context, &answered, || 8).unwrap().0, 8);
    assert_eq!(sessions.len(), 1);
}
