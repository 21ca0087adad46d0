//! Random transactional producers of both protocols, compared with a plain model: which records are committed, which are
//! aborted, and the last stable offset.
//!
//! A batch is sent in steps that others may come between: its verification begins, the coordinator confirms it, it arrives,
//! perhaps twice, perhaps after its transaction has ended. Coordinators write markers again, and the log is restarted. At the
//! end no transaction is open: no late batch has begun one that nothing ends.
//!
//! `LOG_MODEL_RUNS` sets the number of runs, `LOG_MODEL_SEED` the seed of the first.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::model::number;
use super::random::Random;
use super::*;

const STEPS: u64 = 600;
/// The first half uses transaction.version 1, the others version 2.
const PRODUCERS: u64 = 6;
const MOST_IN_FLIGHT: usize = 12;
const V2: AppendParams = AppendParams { origin: Origin::CoordinatorV2, ..COORDINATOR };

/// The number of a transaction, unique in a run.
type Txn = u64;

/// A producer and its coordinator.
#[derive(Clone, Debug, Default)]
struct Producer {
    epoch: i16,
    /// The first sequence number of its next batch.
    sequence: i32,
    /// The transaction that the coordinator has open.
    ongoing: Option<Txn>,
    /// The last marker, which the coordinator may write again until the next transaction begins.
    last_marker: Option<(i16, ControlType)>,
}

/// What the log has of a producer.
#[derive(Clone, Debug, Default)]
struct InLog {
    epoch: i16,
    next_sequence: i32,
    /// The transaction of its records since the last marker, and its first offset.
    open: Option<(Txn, Offset)>,
}

/// A batch on its way.
#[derive(Clone, Debug)]
struct Flight {
    producer: usize,
    txn: Txn,
    epoch: i16,
    sequence: i32,
    count: usize,
    how: AppendParams,
    confirmed: bool,
    /// Counts the restarts of the log: pending verifications end with them.
    restarts: u64,
}

struct Run {
    random: Random,
    fixture: Fixture,
    log: Log,
    producers: Vec<Producer>,
    in_log: Vec<InLog>,
    flights: Vec<Flight>,
    /// The transaction of each record; `None` outside of transactions.
    records: BTreeMap<Offset, Option<Txn>>,
    /// How transactions ended that had records in the log.
    ended: HashMap<Txn, ControlType>,
    aborted: Vec<(Offset, Offset)>,
    /// Where each batch was appended: by producer, epoch and sequence.
    places: HashMap<(usize, i16, i32), Offset>,
    next_txn: Txn,
    restarts: u64,
    late_refused: u64,
}

#[test]
fn random_transactional_producers_match_the_model() {
    let (runs, first) = (number("LOG_MODEL_RUNS").unwrap_or(60), number("LOG_MODEL_SEED").unwrap_or(1));
    let mut late_refused = 0;
    for seed in first..first + runs {
        println!("seed {seed}");
        let mut run = Run::new(seed);
        (0..STEPS).for_each(|_| run.step());
        run.end_all();
        late_refused += run.late_refused;
    }
    println!("{} operations match the model; {late_refused} late batches were refused", runs * STEPS);
    assert!(late_refused > 0 || runs < 10, "the case that verification is made for");
}

impl Run {
    fn new(seed: u64) -> Run {
        let mut random = Random(seed);
        let mut fixture = Fixture::simulated(&Simulation::default());
        fixture.config.segment_bytes = 400 + random.below(3000) as u32;
        fixture.config.producer_id_expiration_ms = i64::MAX;
        let log = fixture.open();
        Run {
            random,
            fixture,
            log,
            producers: vec![Producer::default(); PRODUCERS as usize],
            in_log: vec![InLog::default(); PRODUCERS as usize],
            flights: Vec::new(),
            records: BTreeMap::new(),
            ended: HashMap::new(),
            aborted: Vec::new(),
            places: HashMap::new(),
            next_txn: 0,
            restarts: 0,
            late_refused: 0,
        }
    }

    fn step(&mut self) {
        match self.random.below(100) {
            0..30 => self.send(),
            30..50 => self.confirm(),
            50..75 => self.arrive(),
            75..87 => self.end(),
            87..91 => self.repeat_marker(),
            91..94 => self.append_plain(),
            94..97 => self.check_committed(),
            _ => self.restart(),
        }
        self.check_stable();
    }

    fn some_producer(&mut self) -> usize {
        self.random.below(PRODUCERS) as usize
    }

    /// The index of a batch on its way, any of them.
    fn some_flight(&mut self, confirmed: bool) -> Option<usize> {
        let found: Vec<_> = (0..self.flights.len()).filter(|at| self.flights[*at].confirmed == confirmed).collect();
        (!found.is_empty()).then(|| found[self.random.below(found.len() as u64) as usize])
    }

    /// Sends a batch, in a new transaction if none is ongoing: begins its verification.
    fn send(&mut self) {
        let index = self.some_producer();
        if self.flights.len() >= MOST_IN_FLIGHT {
            return;
        }
        let txn = *self.producers[index].ongoing.get_or_insert_with(|| {
            self.next_txn += 1;
            self.next_txn
        });
        let count = 1 + self.random.below(3) as usize;
        let producer = &mut self.producers[index];
        let (epoch, sequence) = (producer.epoch, producer.sequence);
        producer.sequence += count as i32;
        let id = ProducerIdEpoch { producer_id: index as i64, epoch };
        let verification = self.log.begin_verification(id, sequence, uses_v2(index), NOW).expect("begins");
        let is_open = self.in_log[index].open.is_some();
        assert_eq!(verification == Verification::NotNeeded, is_open, "producer {index}");
        let how = AppendParams { verification: verification.confirmed(), ..CLIENT };
        let restarts = self.restarts;
        self.flights.push(Flight { producer: index, txn, epoch, sequence, count, how, confirmed: is_open, restarts });
    }

    /// The coordinator confirms a batch whose transaction is ongoing; the client gives up another one.
    fn confirm(&mut self) {
        let Some(at) = self.some_flight(false) else { return };
        let flight = &mut self.flights[at];
        let producer = &self.producers[flight.producer];
        if producer.ongoing.is_some() && producer.epoch == flight.epoch {
            flight.confirmed = true;
        } else {
            self.flights.swap_remove(at);
        }
    }

    /// A batch arrives; sometimes it will arrive again.
    fn arrive(&mut self) {
        let Some(at) = self.some_flight(true) else { return };
        let flight = if self.random.below(4) == 0 { self.flights[at].clone() } else { self.flights.swap_remove(at) };
        let Flight { producer: index, epoch, sequence, count, .. } = flight;
        let end = self.log.end_offset();
        match self.log.append(&in_txn(index as i64, epoch, sequence, count), flight.how) {
            Ok(appended) if appended.duplicate => {
                assert_eq!(self.places.get(&(index, epoch, sequence)), Some(&appended.base_offset), "{flight:?}");
                assert_eq!(self.log.end_offset(), end);
            }
            Ok(appended) => self.appended(&flight, appended),
            Err(error) => {
                assert!(!self.must_append(&flight), "{error}: {flight:?}");
                assert_eq!(self.log.end_offset(), end);
                self.check_refused(&flight, &error);
            }
        }
    }

    fn appended(&mut self, flight: &Flight, appended: Appended) {
        let Flight { producer: index, epoch, sequence, count, .. } = *flight;
        let ongoing = self.producers[index].ongoing;
        let Some(txn) = ongoing else { panic!("begins a transaction that nothing ends: {flight:?}") };
        if uses_v2(index) {
            assert_eq!(txn, flight.txn, "appended to another transaction: {flight:?}");
        }
        self.places.insert((index, epoch, sequence), appended.base_offset);
        self.records.extend((appended.base_offset..=appended.last_offset).map(|offset| (offset, Some(txn))));
        let in_log = &mut self.in_log[index];
        (in_log.epoch, in_log.next_sequence) = (epoch, sequence + count as i32);
        in_log.open.get_or_insert((txn, appended.base_offset));
    }

    /// Whether nothing allows the log to refuse a batch: it is the next one, of the ongoing transaction, and verified.
    fn must_append(&self, flight: &Flight) -> bool {
        let (producer, in_log) = (&self.producers[flight.producer], &self.in_log[flight.producer]);
        let is_verified = flight.restarts == self.restarts || in_log.open.is_some();
        let is_next = (flight.epoch, flight.sequence) == (in_log.epoch, in_log.next_sequence);
        producer.ongoing == Some(flight.txn) && is_verified && is_next
    }

    fn check_refused(&mut self, flight: &Flight, error: &AppendError) {
        match error {
            AppendError::InvalidTxnState { why: TxnStateError::NotVerified, .. } => {
                assert!(self.in_log[flight.producer].open.is_none(), "{flight:?}");
                let is_late = self.producers[flight.producer].ongoing != Some(flight.txn);
                self.late_refused += u64::from(is_late);
            }
            AppendError::InvalidProducerEpoch { .. } => assert!(flight.epoch < self.in_log[flight.producer].epoch),
            AppendError::OutOfOrderSequence { .. } => {}
            other => panic!("{other}: {flight:?}"),
        }
    }

    /// The coordinator ends a transaction; with version 1 it sometimes fences the producer.
    fn end(&mut self) {
        let index = self.some_producer();
        if self.producers[index].ongoing.is_some() {
            let fences = self.random.below(4) == 0;
            self.end_of(index, fences);
        }
    }

    fn end_of(&mut self, index: usize, fences: bool) {
        let has_flights = self.flights.iter().any(|flight| flight.producer == index);
        let aborts = fences || has_flights || self.random.below(2) == 0;
        let control = if aborts { ControlType::Abort } else { ControlType::Commit };
        let bump = i16::from(uses_v2(index) || fences);
        let producer = &mut self.producers[index];
        let epoch = producer.epoch + bump;
        (producer.ongoing, producer.last_marker) = (None, Some((epoch, control)));
        let marker_offset = self.append_marker(index);
        let in_log = &mut self.in_log[index];
        if let Some((txn, first)) = in_log.open.take() {
            self.ended.insert(txn, control);
            if aborts {
                self.aborted.push((first, marker_offset));
            }
        }
        if in_log.epoch < epoch {
            (in_log.epoch, in_log.next_sequence) = (epoch, 0);
        }
        // The producer continues behind what has arrived.
        let sequence = in_log.next_sequence;
        let producer = &mut self.producers[index];
        (producer.epoch, producer.sequence) = (epoch, sequence);
    }

    fn append_marker(&mut self, index: usize) -> Offset {
        let Some((epoch, control)) = self.producers[index].last_marker else { panic!("no marker") };
        let how = if uses_v2(index) { V2 } else { COORDINATOR };
        self.log.append(&marker(index as i64, epoch, control, 0), how).expect("appends").base_offset
    }

    /// A coordinator that has crashed writes its last marker again.
    fn repeat_marker(&mut self) {
        let index = self.some_producer();
        let producer = &self.producers[index];
        if producer.ongoing.is_none() && producer.last_marker.is_some() {
            self.append_marker(index);
        }
    }

    fn append_plain(&mut self) {
        let appended = self.log.append(&batch(&["plain"]), CLIENT).expect("appends");
        self.records.insert(appended.base_offset, None);
    }

    fn restart(&mut self) {
        self.restarts += 1;
        if self.random.below(3) == 0 {
            let synced = self.log.close().expect("closes").sync();
            self.log.mark_synced(synced);
            self.log = self.fixture.open();
        } else {
            let validated = self.log.validated().filter(|_| self.random.below(2) == 0);
            self.log = self.fixture.reopen_killed(validated);
        }
    }

    fn check_stable(&self) {
        let first_open = self.in_log.iter().filter_map(|in_log| Some(in_log.open?.1)).min();
        assert_eq!(self.log.last_stable_offset(), first_open.unwrap_or(self.log.end_offset()));
    }

    /// Compares what a read_committed consumer sees, and the aborted transactions.
    fn check_committed(&self) {
        let stable = self.log.last_stable_offset();
        let is_committed = |txn: &Option<Txn>| txn.is_none_or(|txn| self.ended.get(&txn) == Some(&ControlType::Commit));
        let committed = self.records.range(..stable).filter(|(_, txn)| is_committed(txn));
        assert_eq!(read_committed(&self.log), committed.map(|(offset, _)| *offset).collect::<Vec<_>>());
        let found = self.log.aborted_transactions(0, self.log.end_offset()).expect("looks up");
        let found: BTreeSet<_> = found.iter().map(|txn| (txn.first_offset, txn.last_offset)).collect();
        assert_eq!(found, self.aborted.iter().copied().collect());
    }

    /// Ends all transactions, then lets the last batches arrive.
    fn end_all(&mut self) {
        for index in 0..PRODUCERS as usize {
            if self.producers[index].ongoing.is_some() {
                self.end_of(index, false);
            }
        }
        for _ in 0..100 {
            self.arrive();
        }
        assert_eq!(self.log.last_stable_offset(), self.log.end_offset(), "no transaction is open");
        self.check_committed();
    }
}

fn uses_v2(producer: usize) -> bool {
    producer as u64 >= PRODUCERS / 2
}

/// Reads as a consumer with `isolation.level=read_committed`: the offsets of the records that it sees.
fn read_committed(log: &Log) -> Vec<Offset> {
    let (mut next, stable) = (log.start_offset(), log.last_stable_offset());
    let mut seen = Vec::new();
    while next < stable {
        let slice = log.read(next, 700, true, stable).expect("reads");
        assert!(slice.next_offset > next && slice.next_offset <= stable, "stuck at {next}");
        let aborted = log.aborted_transactions(next, slice.next_offset).expect("looks up");
        for batch in batches(&slice.bytes).map(|batch| batch.expect("a batch")) {
            let header = *batch.header();
            let is_aborted = aborted.iter().any(|txn| {
                (txn.first_offset..txn.last_offset).contains(&header.base_offset)
                    && txn.producer_id == header.producer_id
                    && header.is_transactional()
            });
            if !header.is_control() && !is_aborted {
                seen.extend(header.base_offset..=header.last_offset());
            }
        }
        next = slice.next_offset;
    }
    seen
}
