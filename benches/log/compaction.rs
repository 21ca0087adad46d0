//! Compaction, and the latency of appends to the same log during it.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ottla_log::{CompactionBuffers, Disk, Log, LogConfig, Replaced};
use ottla_wire::record::{BatchBuilder, Codec, Verified};
use parking_lot::Mutex;

use crate::report::{Samples, Table};
use crate::{fixture, interleaved, median, system};

const SEGMENT: u32 = 16 << 20;
const RECORDS: u64 = 16;
const VALUE: usize = 1000;
/// Each key is written this many times.
const WRITES_PER_KEY: u64 = 5;
/// Pause between two appends.
const APPEND_INTERVAL: Duration = Duration::from_micros(200);
/// Duration of the measurement of appends without a compaction.
const QUIET_SAMPLE: Duration = Duration::from_millis(500);

pub fn measure(pairs: usize, burst: u64) -> Table {
    let mut waits = [Samples::default(), Samples::default()];
    let [speed] = interleaved(
        "compaction",
        pairs,
        [&mut || {
            let (speed, quiet, busy) = compact(burst);
            waits[0].push(quiet);
            waits[1].push(busy);
            speed
        }],
    );
    let columns = ["read and rewritten", "p99 of an append before", "and during it", "ratio"];
    let mut table = Table::new("compaction that retains a fifth of 1 KB records", columns);
    let [quiet, busy] = &waits;
    let times = busy.percent_of(quiet).median() / 100.0;
    let cells = [median(&speed, "MB/s"), median(quiet, "µs"), median(busy, "µs"), format!("{times:.1}")];
    table.row("one thread", cells);
    table
}

/// Returns MB/s, and the 99th percentile of appends in µs before and during the compaction.
fn compact(bytes: u64) -> (f64, f64, f64) {
    let dir = fixture::scratch();
    let disk = fixture::disk(dir.path());
    let log = Mutex::new(dirty_log(&disk, dir.path(), bytes));
    let size = log.lock().size();
    let batch = keyed(0, 1);
    let quiet = p99(&log, &batch, |started| started.elapsed() < QUIET_SAMPLE);
    let done = AtomicBool::new(false);
    let (took, busy) = thread::scope(|scope| {
        let compaction = scope.spawn(|| {
            let started = Instant::now();
            run(&log);
            done.store(true, Ordering::Relaxed);
            started.elapsed()
        });
        let busy = p99(&log, &batch, |_| !done.load(Ordering::Relaxed));
        (compaction.join().expect("compacts"), busy)
    });
    (size as f64 / 1e6 / took.as_secs_f64(), quiet, busy)
}

/// Makes a synced log, which may be compacted, with [`WRITES_PER_KEY`] records per key.
fn dirty_log(disk: &Disk, dir: &std::path::Path, bytes: u64) -> Log {
    system::warm(2 * bytes as usize);
    let config = LogConfig {
        segment_bytes: SEGMENT,
        cleanup_compact: true,
        cleanup_delete: false,
        min_cleanable_dirty_ratio: 0.0,
        ..LogConfig::default()
    };
    let mut log = fixture::open(disk, &dir.join("t-0"), config);
    let batches = bytes / (RECORDS * VALUE as u64);
    for index in 0..batches {
        let first_key = index % (batches / WRITES_PER_KEY) * RECORDS;
        log.append(&keyed(first_key, RECORDS), fixture::as_client()).expect("appends");
    }
    let synced = log.flush_target().expect("a ticket").sync();
    log.mark_synced(synced);
    log
}

fn keyed(first_key: u64, records: u64) -> Verified {
    let mut builder = BatchBuilder::new(Codec::None);
    for key in first_key..first_key + records {
        builder.append(fixture::now(), Some(key.to_string().as_bytes()), Some(&[b'v'; VALUE]), &[]);
    }
    builder.build().expect("a batch")
}

fn run(log: &Mutex<Log>) {
    // Kafka's defaults for one thread.
    let mut buffers = CompactionBuffers::new(128 << 20, 0.9, 512 << 10, 1);
    let begun = log.lock().begin_compaction(fixture::now()).expect("begins");
    let mut compaction = begun.expect("a dirty log");
    while let Some(group) = compaction.next_group(&mut buffers, &mut |_| ControlFlow::Continue(())).expect("compacts") {
        let replaced = log.lock().replace(group).expect("is replaced");
        match replaced {
            Replaced::InPlace(files) => files.unlink().expect("old segments are removed"),
            Replaced::LogChanged(_) => panic!("the log has not changed"),
        }
    }
    log.lock().finish_compaction(&compaction).expect("ends");
}

/// Appends while `continues` returns true, and returns the 99th percentile of the latency in µs.
fn p99(log: &Mutex<Log>, batch: &Verified, continues: impl Fn(Instant) -> bool) -> f64 {
    let (began, mut times) = (Instant::now(), Vec::new());
    while continues(began) {
        let started = Instant::now();
        log.lock().append(batch, fixture::as_client()).expect("appends");
        times.push(started.elapsed());
        thread::sleep(APPEND_INTERVAL);
    }
    times.sort_unstable();
    let at = times.len() * 99 / 100;
    times.get(at).map_or(f64::NAN, |time| time.as_secs_f64() * 1e6)
}
