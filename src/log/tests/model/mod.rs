//! Random operations on a log and on a plain list of all that was appended, which must never disagree.
//!
//! - `plain`: the list, and what it says of producers, transactions, epochs and times.
//! - `compaction`: what compaction must leave and must not.
//! - `append`, `asking`, `keeping`, `stopping`: the operations.
//! - `trouble`: disks that fail in the middle of them.
//!
//! `LOG_MODEL_RUNS` and `LOG_MODEL_SEED` make it longer or repeat one run:
//! `LOG_MODEL_RUNS=4000 cargo test --release --lib model -- --nocapture` is a million operations.

mod append;
mod asking;
mod compaction;
mod keeping;
mod plain;
mod stopping;
mod trouble;

use super::random::Random;
use super::*;
use compaction::Rules;
use plain::Plain;
pub(super) use trouble::Unsure;

/// How many operations a run has.
const STEPS: u64 = 250;

/// One log, what it should be, and what is under way.
pub(super) struct Run {
    random: Random,
    /// The disk, if it is one that can be switched off.
    simulation: Option<Simulation>,
    pub(super) shelf: Shelf,
    pub(super) log: Log,
    plain: Plain,
    rules: Rules,
    /// A compaction that other operations come between.
    compacting: Option<Compacting>,
    buffers: CompactionBuffers,
    /// Whether all is known of where epochs begin: not once the batch that one began with may have been compacted away.
    knows_epochs: bool,
    /// Everything below survives a power loss.
    synced: Offset,
    /// What a positions file would say, if one was written in this boot.
    validated: Option<Validated>,
    pub(super) now: TimestampMs,
}

/// A compaction under way, and a group that is not in its place yet.
struct Compacting {
    work: Compaction,
    group: Option<CleanedGroup>,
    /// Whether the log was emptied or lost segments meanwhile.
    log_changed: bool,
}

pub(super) fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn random_operations_agree_with_a_plain_list() {
    let (runs, first) = (number("LOG_MODEL_RUNS").unwrap_or(60), number("LOG_MODEL_SEED").unwrap_or(1));
    for seed in first..first + runs {
        println!("seed {seed}");
        let disk = Simulation::default();
        let shelf = Shelf::simulated(&disk);
        go(seed, Some(disk), shelf);
    }
    println!("{} operations without a divergence", runs * STEPS);
}

#[test]
fn random_operations_agree_with_a_plain_list_on_real_files() {
    let runs = number("LOG_MODEL_RUNS").map_or(1, |runs| runs / 20);
    let first = number("LOG_MODEL_SEED").unwrap_or(1);
    for seed in first..first + runs.max(1) {
        println!("seed {seed}");
        for disk in [Disk::mapped(), Disk::plain()] {
            go(seed, None, Shelf::real(disk));
        }
    }
}

fn go(seed: u64, simulation: Option<Simulation>, shelf: Shelf) {
    let mut run = Run::new(seed, simulation, shelf);
    for _ in 0..STEPS {
        run.step();
    }
    run.check_everything();
}

impl Run {
    fn new(seed: u64, simulation: Option<Simulation>, mut shelf: Shelf) -> Run {
        let mut random = Random(seed);
        let config = &mut shelf.config;
        config.segment_bytes = 7000 + random.below(10_000) as u32;
        config.index_interval_bytes = random.below(3000) as u32;
        config.retention_ms = -1;
        config.producer_id_expiration_ms = i64::MAX;
        config.cleanup_compact = random.below(3) > 0;
        config.cleanup_delete = !config.cleanup_compact || random.below(3) == 0;
        config.delete_retention_ms = random.below(3000) as i64;
        config.min_compaction_lag_ms = if random.below(4) == 0 { random.below(2000) as i64 } else { 0 };
        config.min_cleanable_dirty_ratio = 0.0;
        // Sometimes a map with room for a few keys only: a pass then ends before the dirty range does.
        let map_bytes = if random.below(3) == 0 { 24 * (4 + random.below(30) as usize) } else { 1 << 20 };
        let buffers = CompactionBuffers::new(map_bytes, 0.9, 1 + random.below(5000) as usize, random.next());
        Run { buffers, ..Run::begun(random.next(), simulation, shelf) }
    }

    /// With the shelf's settings, and room in memory.
    pub(super) fn begun(seed: u64, simulation: Option<Simulation>, shelf: Shelf) -> Run {
        let log = shelf.open();
        Run {
            random: Random(seed),
            simulation,
            log,
            plain: Plain::default(),
            rules: Rules { delete_retention_ms: shelf.config.delete_retention_ms, ..Rules::default() },
            shelf,
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
            0..22 => self.append_plain(),
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
            96..98 => self.trouble(),
            98..99 => self.truncate(),
            _ => self.check_everything(),
        }
    }

    pub(super) fn check_everything(&mut self) {
        self.check_state();
        self.rules.check(&mut self.plain, &self.log, false);
        self.check_committed();
        self.check_epochs();
    }

    fn check_state(&self) {
        let (plain, log) = (&self.plain, &self.log);
        assert_eq!((log.start_offset(), log.end_offset()), (plain.start, plain.end().max(plain.start)));
        assert_eq!(log.last_stable_offset(), plain.last_stable());
        for producer in log.producers() {
            let (epoch, window) = plain.window(producer.producer_id);
            let last = window.last().map_or(-1, |batch| batch.next_sequence() - 1);
            assert_eq!((producer.epoch, producer.last_sequence), (epoch, last), "{producer:?}");
            assert_eq!(producer.current_txn_start, plain.open_transaction(producer.producer_id), "{producer:?}");
        }
    }
}
