//! A start and an idle broker: time to the first answer and memory, and both with 1,000 partitions after kill -9.

use std::thread::sleep;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ottla_wire::record::{BatchBuilder, Codec};

use crate::admin::Admin;
use crate::contender::{Contender, Running, free_port, scratch};
use crate::report::{Samples, Table, milliseconds};
use crate::system::{self, Memory};

const PARTITIONS: i32 = 1000;
const TOPIC: &str = "thousand";
/// Batches per partition, and records per batch.
const BATCHES: i64 = 3;
const RECORDS: i64 = 3;
/// Pause after the last request before a broker counts as idle.
const SETTLE: Duration = Duration::from_secs(2);
const IDLE_WINDOW: Duration = Duration::from_secs(10);

/// The figures of one broker.
#[derive(Debug, Default)]
struct Figures {
    ready_ms: Samples,
    answered_ms: Samples,
    own_mb: Samples,
    file_mb: Samples,
}

impl Figures {
    fn record_start(&mut self, running: &Running) {
        self.answered_ms.push(milliseconds(running.first_answer));
        running.ready_ms.into_iter().for_each(|ms| self.ready_ms.push(ms));
    }

    fn record_idle_memory(&mut self, running: &Running) {
        let Memory { own, file } = system::memory(running.pid());
        self.own_mb.push(own);
        self.file_mb.push(file);
    }
}

/// Measures starts with default settings and an empty directory.
pub fn measure_fresh(contenders: &[Contender], runs: usize) -> Table {
    let mut figures: Vec<Figures> = contenders.iter().map(|_| Figures::default()).collect();
    for run in 0..runs {
        for (contender, figures) in contenders.iter().zip(&mut figures) {
            let (_dir, running) = contender.start_fresh();
            figures.record_start(&running);
            if run == 0 {
                sleep(SETTLE);
                figures.record_idle_memory(&running);
            }
        }
    }
    let mut table = Table::new("a fresh start", contenders.iter().map(Contender::name));
    table.medians("ready, as the broker reports it", "ms", figures.iter().map(|f| &f.ready_ms));
    table.medians("process start to first answer", "ms", figures.iter().map(|f| &f.answered_ms));
    table.medians("idle memory (RssAnon + RssShmem)", "MB", figures.iter().map(|f| &f.own_mb));
    table.medians("and mapped files (RssFile)", "MB", figures.iter().map(|f| &f.file_mb));
    let sizes: Vec<Samples> = contenders.iter().map(|c| c.binary_mb().into_iter().collect()).collect();
    table.medians("binary", "MB", &sizes);
    table
}

/// Measures starts with [`PARTITIONS`] partitions of a few records each, after kill -9.
pub fn measure_thousand(contenders: &[Contender], runs: usize) -> Table {
    let columns: Vec<&Contender> = contenders.iter().filter(|contender| contender.keeps_data()).collect();
    let mut table = Table::new("1,000 partitions", columns.iter().map(|contender| contender.name()));
    let mut figures: Vec<Figures> = Vec::new();
    let (mut all_answered, mut cpu) = (Vec::new(), Vec::new());
    for contender in columns {
        // Apache Kafka's recovery takes most of a minute, so it is measured once.
        let runs = if let Contender::Ottla { .. } = contender { runs } else { 1 };
        let (mut figures_of_broker, mut all_answer, mut idle) =
            (Figures::default(), Samples::default(), Samples::default());
        let (dir, port) = (scratch(), free_port());
        contender.prepare(dir.path(), port);
        fill(&contender.start(dir.path(), port));
        for run in 1..=runs {
            let started = Instant::now();
            let running = contender.start(dir.path(), port);
            figures_of_broker.record_start(&running);
            let admin = Admin::connect(&running);
            admin.wait_for_ends(TOPIC, PARTITIONS, (BATCHES + run as i64 - 1) * RECORDS);
            all_answer.push(milliseconds(started.elapsed()));
            admin.produce_to_each(TOPIC, PARTITIONS, &batch());
            if run == runs {
                drop(admin);
                sleep(SETTLE);
                idle.push(100.0 * system::cpu_share(running.pid(), IDLE_WINDOW));
                figures_of_broker.record_idle_memory(&running);
            }
            running.kill();
        }
        figures.push(figures_of_broker);
        all_answered.push(all_answer);
        cpu.push(idle);
    }
    table.medians("ready after kill -9, as the broker reports it", "ms", figures.iter().map(|f| &f.ready_ms));
    table.medians("process start to first answer", "ms", figures.iter().map(|f| &f.answered_ms));
    table.medians("until every partition has answered", "ms", &all_answered);
    table.medians("idle memory (RssAnon + RssShmem)", "MB", figures.iter().map(|f| &f.own_mb));
    table.medians("and mapped files (RssFile)", "MB", figures.iter().map(|f| &f.file_mb));
    table.medians("idle CPU, of one core", "%", &cpu);
    table
}

fn fill(running: &Running) {
    let admin = Admin::connect(running);
    admin.create_topic(TOPIC, PARTITIONS);
    for _ in 0..BATCHES {
        admin.produce_to_each(TOPIC, PARTITIONS, &batch());
    }
}

pub fn batch() -> Bytes {
    let mut builder = BatchBuilder::new(Codec::None);
    for _ in 0..RECORDS {
        builder.append(1_700_000_000_000, None, Some(&[7; 100]), &[]);
    }
    builder.build().expect("a batch").bytes().clone()
}
