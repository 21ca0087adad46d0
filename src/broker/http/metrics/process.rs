//! The metrics of the process and of its runtime, from the files that Linux has about a process. Elsewhere they are
//! absent.

use std::fs;

use tokio::runtime::Handle;

use super::idle::{self, Idle};
use crate::clock::Clock;
use ottla_metrics::{Collector, Kind, Metric, Scrape};

static CPU: Metric =
    Metric::named("process_cpu_seconds_total", Kind::Counter, &[], "CPU time of the process in seconds.");
static RESIDENT: Metric =
    Metric::named("process_resident_memory_bytes", Kind::Gauge, &[], "Memory of the process in RAM, in bytes.");
static VIRTUAL: Metric =
    Metric::named("process_virtual_memory_bytes", Kind::Gauge, &[], "Address space of the process, in bytes.");
static OPEN_FDS: Metric = Metric::named("process_open_fds", Kind::Gauge, &[], "Open file descriptors.");
static MAX_FDS: Metric = Metric::named("process_max_fds", Kind::Gauge, &[], "The limit on open file descriptors.");
static THREADS: Metric = Metric::named("process_threads", Kind::Gauge, &[], "Threads of the process.");
static START_TIME: Metric = Metric::named(
    "process_start_time_seconds",
    Kind::Gauge,
    &[],
    "When the broker was started, in seconds since the Unix epoch.",
);
static WORKERS: Metric =
    Metric::named("ottla_runtime_worker_threads", Kind::Gauge, &[], "Threads that serve connections and run tasks.");
static TASKS: Metric =
    Metric::named("ottla_runtime_tasks", Kind::Gauge, &[], "Tasks that are alive; each connection is one.");
static QUEUE: Metric = Metric::named(
    "ottla_runtime_global_queue_depth",
    Kind::Gauge,
    &[],
    "Tasks that are ready and wait in the queue that all threads share.",
);

static READ_BYTES: Metric = Metric::gauge(
    "kafka.server:type=KafkaServer,name=linux-disk-read-bytes",
    "Bytes that the process had the disk read; reads from the page cache do not count.",
);
static WRITTEN_BYTES: Metric = Metric::gauge(
    "kafka.server:type=KafkaServer,name=linux-disk-write-bytes",
    "Bytes that the process had the disk write.",
);

/// The metrics that this module has.
pub(super) fn metrics() -> Vec<&'static Metric> {
    idle::METRICS.iter().copied().chain(own_metrics()).collect()
}

fn own_metrics() -> Vec<&'static Metric> {
    vec![
        &READ_BYTES,
        &WRITTEN_BYTES,
        &CPU,
        &RESIDENT,
        &VIRTUAL,
        &OPEN_FDS,
        &MAX_FDS,
        &THREADS,
        &START_TIME,
        &WORKERS,
        &TASKS,
        &QUEUE,
    ]
}

#[derive(Debug)]
pub(super) struct Process {
    idle: Idle,
    /// When the broker was started, in milliseconds since the Unix epoch.
    started: i64,
}

impl Process {
    pub fn new(clock: Clock) -> Process {
        let uptime = i64::try_from(clock.monotonic().as_millis()).unwrap_or(0);
        let idle = Idle::default();
        Process { idle, started: clock.wall().saturating_sub(uptime) }
    }
}

impl Collector for Process {
    fn collect(&self, scrape: &mut Scrape) {
        if let Some(stat) = fs::read_to_string("/proc/self/stat").ok().as_deref().and_then(Stat::parse) {
            scrape.single(&CPU, stat.cpu_ticks as f64 / rustix::param::clock_ticks_per_second() as f64);
            scrape.single(&RESIDENT, stat.resident_pages * rustix::param::page_size() as u64);
            scrape.single(&VIRTUAL, stat.virtual_bytes);
            scrape.single(&THREADS, stat.threads);
        }
        if let Ok(io) = fs::read_to_string("/proc/self/io") {
            let field = |name: &str| io.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
            for (metric, name) in [(&READ_BYTES, "read_bytes:"), (&WRITTEN_BYTES, "write_bytes:")] {
                if let Some(bytes) = field(name) {
                    scrape.single(metric, bytes);
                }
            }
        }
        if let Some(open) = open_files() {
            scrape.single(&OPEN_FDS, open);
        }
        if let Some(limit) = rustix::process::getrlimit(rustix::process::Resource::Nofile).current {
            scrape.single(&MAX_FDS, limit);
        }
        scrape.single(&START_TIME, self.started as f64 / 1e3);
        if let Ok(runtime) = Handle::try_current() {
            let figures = runtime.metrics();
            scrape.single(&WORKERS, figures.num_workers());
            scrape.single(&TASKS, figures.num_alive_tasks());
            scrape.single(&QUEUE, figures.global_queue_depth());
            self.idle.collect(&figures, scrape);
        }
    }
}

/// The number of open file descriptors.
fn open_files() -> Option<u64> {
    const FOLDER: &str = "/proc/self/fd";
    // Since Linux 6.2, this is the size of the folder; a listing takes a system call's time for each file.
    match fs::metadata(FOLDER).map(|folder| folder.len()) {
        Ok(open) if open > 0 => Some(open),
        // Without the one of the folder itself.
        _ => fs::read_dir(FOLDER).ok().map(|open| (open.count() as u64).saturating_sub(1)),
    }
}

/// Fields of /proc/self/stat, see proc(5).
#[derive(Debug, PartialEq)]
struct Stat {
    cpu_ticks: u64,
    threads: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

impl Stat {
    fn parse(text: &str) -> Option<Stat> {
        // The name of the program may have spaces and parentheses.
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        // Fields count from 1 in the manual, and the rest begins with field 3.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Stat {
            cpu_ticks: field(14)? + field(15)?,
            threads: field(20)?,
            virtual_bytes: field(23)?,
            resident_pages: field(24)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_a_process_whose_name_has_spaces_are_found() {
        let text =
            "7 (a b) c) S 1 7 7 0 -1 4194560 100 0 0 0 12 30 0 0 20 0 9 0 5000 1048576 256 18446744073709551615 1";
        let expect = Stat { cpu_ticks: 42, threads: 9, virtual_bytes: 1_048_576, resident_pages: 256 };
        assert_eq!(Stat::parse(text), Some(expect));
        assert_eq!(Stat::parse("7 (a"), None);
    }
}
