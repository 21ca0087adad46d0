//! Random operations on a log, compared with an oracle: a list of all batches that were appended.
//!
//! - `oracle`: the list, and the expected producers, transactions, epochs and times.
//! - `compaction`: the records that compaction must keep and must remove.
//! - `append`, `checks`, `maintenance`, `restarts`: the operations.
//! - `faulty_disk`: operations on a disk that fails.
//!
//! `LOG_MODEL_RUNS` sets the number of runs, `LOG_MODEL_SEED` the seed of the first:
//! `LOG_MODEL_RUNS=4000 cargo test --release --lib model -- --nocapture` is a million operations.

mod append;
mod checks;
mod compaction;
mod faulty_disk;
mod maintenance;
mod oracle;
mod restarts;

use super::random::Random;
use super::*;
use compaction::Rules;
pub(super) use faulty_disk::UnknownOutcomes;
use oracle::Oracle;

/// Number of operations per run.
const STEPS: u64 = 250;

/// A log under test, its oracle, and the operation in progress.
pub(super) struct Run {
    random: Random,
    /// The disk, if it is simulated.
    simulation: Option<Simulation>,
    pub(super) fixture: Fixture,
    pub(super) log: Log,
    oracle: Oracle,
    rules: Rules,
    /// A running compaction, interleaved with other operations.
    compacting: Option<Compacting>,
    buffers: CompactionBuffers,
    /// Whether the start of each epoch is known: not once the first batch of one may have been compacted away.
    knows_epochs: bool,
    /// Records below this offset survive a power loss.
    synced: Offset,
    /// The position in the positions file, if one was written in this boot.
    validated: Option<Validated>,
    pub(super) now: TimestampMs,
}

/// A running compaction, and a group that has not replaced its sources yet.
struct Compacting {
    work: Compaction,
    group: Option<CleanedGroup>,
    /// Whether the log was emptied or lost segments meanwhile.
    log_changed: bool,
}

pub(crate) fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn random_operations_on_simulated_disk_match_oracle() {
    let (runs, first) = (number("LOG_MODEL_RUNS").unwrap_or(30), number("LOG_MODEL_SEED").unwrap_or(1));
    for seed in first..first + runs {
        println!("seed {seed}");
        let disk = Simulation::default();
        let fixture = Fixture::simulated(&disk);
        run(seed, Some(disk), fixture);
    }
    println!("{} operations match the oracle", runs * STEPS);
}

#[test]
fn random_operations_on_real_files_match_oracle() {
    let runs = number("LOG_MODEL_RUNS").map_or(1, |runs| runs / 20);
    let first = number("LOG_MODEL_SEED").unwrap_or(1);
    for seed in first..first + runs.max(1) {
        println!("seed {seed}");
        for disk in [Disk::mapped(), Disk::plain()] {
            run(seed, None, Fixture::real(disk));
        }
    }
}

fn run(seed: u64, simulation: Option<Simulation>, fixture: Fixture) {
    let mut run = Run::new(seed, simulation, fixture);
    for _ in 0..STEPS {
        run.step();
    }
    run.check_everything();
}

impl Run {
    fn new(seed: u64, simulation: Option<Simulation>, mut fixture: Fixture) -> Run {
        let mut random = Random(seed);
        let config = &mut fixture.config;
        config.segment_bytes = 7000 + random.below(10_000) as u32;
        config.index_interval_bytes = random.below(3000) as u32;
        config.retention_ms = -1;
        config.producer_id_expiration_ms = i64::MAX;
        config.cleanup_compact = random.below(3) > 0;
        config.cleanup_delete = !config.cleanup_compact || random.below(3) == 0;
        config.delete_retention_ms = random.below(3000) as i64;
        config.min_compaction_lag_ms = if random.below(4) == 0 { random.below(2000) as i64 } else { 0 };
        config.min_cleanable_dirty_ratio = 0.0;
        // Sometimes a map for only a few keys: a pass then ends before the dirty range does.
        let map_bytes = if random.below(3) == 0 { 24 * (4 + random.below(30) as usize) } else { 1 << 20 };
        let buffers = CompactionBuffers::new(map_bytes, 0.9, 1 + random.below(5000) as usize, random.next());
        Run { buffers, ..Run::with_settings_of(random.next(), simulation, fixture) }
    }

    /// Starts a run with the fixture's settings, and a large key map.
    pub(super) fn with_settings_of(seed: u64, simulation: Option<Simulation>, fixture: Fixture) -> Run {
        let log = fixture.open();
        Run {
            random: Random(seed),
            simulation,
            log,
            oracle: Oracle::default(),
            rules: Rules { delete_retention_ms: fixture.config.delete_retention_ms, ..Rules::default() },
            fixture,
            compacting: None,
            buffers: CompactionBuffers::new(1 << 20, 0.9, 1000, seed),
            knows_epochs: true,
            synced: 0,
            validated: None,
            now: NOW,
        }
    }

    fn step(&mut self) {
        self.now += self.random.below(50) as i64;
        match self.random.below(100) {
            0..22 => self.append_without_producer(),
            22..46 => self.append_idempotent(),
            46..54 => self.end_transaction(),
            54..64 => self.check_read(),
            64..68 => self.check_committed(),
            68..73 => self.check_times(),
            73..77 => self.sync(),
            77..79 => self.delete_records(),
            79..81 => self.retain(),
            81..89 => self.compact(),
            89..90 => self.validated = self.log.validated(),
            90..92 => self.reopen_clean(),
            92..94 => self.kill(),
            94..96 => self.lose_power(),
            96..98 => self.run_on_faulty_disk(),
            98..99 => self.truncate(),
            _ => self.check_everything(),
        }
    }

    pub(super) fn check_everything(&mut self) {
        self.check_state();
        self.rules.check(&mut self.oracle, &self.log, false);
        self.check_committed();
        self.check_epochs();
    }

    fn check_state(&self) {
        let (oracle, log) = (&self.oracle, &self.log);
        assert_eq!((log.start_offset(), log.end_offset()), (oracle.start, oracle.end().max(oracle.start)));
        assert_eq!(log.last_stable_offset(), oracle.last_stable());
        for producer in log.producers() {
            let (epoch, window) = oracle.batches_of_current_epoch(producer.producer_id);
            let last = window.last().map_or(-1, |batch| batch.next_sequence() - 1);
            assert_eq!((producer.epoch, producer.last_sequence), (epoch, last), "{producer:?}");
            assert_eq!(producer.current_txn_start, oracle.open_transaction(producer.producer_id), "{producer:?}");
        }
    }
}
