//! Benchmarks of the broker, printed as tables: `cargo bench --bench broker`, two or three minutes on an idle machine.
//!
//! - A fresh start, and an idle broker; the same with 1,000 partitions, after kill -9 ([`start`]).
//! - Latencies of Python clients: the first record after a start, the first message after a subscribe ([`clients`]).
//! - Cycles of start, use and stop, and resets, as in test suites ([`fixture`]).
//! - Throughput and CPU per GB for prepared batches ([`throughput`], [`load`]), compared with a minimal program that
//!   does the same socket and memory work and nothing else ([`floor`]).
//! - Produce, fetch and handshakes over TLS ([`tls`]).
//! - The schema registry: registrations, lookups, starts and memory; produce with validation of records ([`registry`]).
//! - Transactions a second, their latencies and the CPU for them ([`transactions`]); reading committed and uncommitted
//!   records ([`isolation`]).
//! - A scrape of `/metrics` with 1,000 partitions and 100 groups ([`metrics`]).
//!
//! `--with-kafka` and `--with-kfake` measure those brokers too, in the same run; `--other` and `--other-set` another build or
//! other settings of Ottla. The benchmark starts all brokers itself, in separate directories below target/tmp, and removes the
//! directories at the end. Figures are medians; `--raw` prints the samples. `--quick` takes a fraction of the time, for a first
//! impression.

mod admin;
mod clients;
mod contender;
mod fixture;
mod floor;
mod isolation;
mod load;
mod metrics;
mod registry;
mod report;
mod start;
mod system;
mod throughput;
mod tls;
mod transactions;
mod txn_producer;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use contender::{Contender, OTHER};
use report::Table;

/// Measures Ottla and prints tables in markdown.
#[derive(Debug, Parser)]
struct Options {
    /// Measure Apache Kafka too, from the jars in DIR or DIR/libs (needs Java)
    #[arg(long, value_name = "DIR")]
    with_kafka: Option<PathBuf>,

    /// Measure kfake too (needs Go)
    #[arg(long)]
    with_kfake: bool,

    /// Measure this program instead of the one just built
    #[arg(long, value_name = "FILE", default_value = env!("CARGO_BIN_EXE_ottla"))]
    ottla: PathBuf,

    /// Measure this program too, such as an earlier build
    #[arg(long, value_name = "FILE")]
    other: Option<PathBuf>,

    /// A setting of the other program; without --other, it is the same program with these settings
    #[arg(long, value_name = "NAME=VALUE")]
    other_set: Vec<String>,

    /// Measure only this section; may be given several times
    #[arg(long, value_enum)]
    only: Vec<Section>,

    /// Rounds of throughput bursts and of transactions
    #[arg(long, value_name = "N", default_value_t = 7)]
    rounds: usize,

    /// MB of one burst; several bursts must stay below the limit at which the kernel starts to write back
    #[arg(long, value_name = "MB", default_value_t = 256)]
    burst: u64,

    /// Fresh starts
    #[arg(long, value_name = "N", default_value_t = 11)]
    starts: usize,

    /// Cycles of start, use and stop, and resets
    #[arg(long, value_name = "N", default_value_t = 100)]
    cycles: usize,

    /// Restarts with 1,000 partitions after kill -9, and first records of Python clients
    #[arg(long, value_name = "N", default_value_t = 5)]
    restarts: usize,

    /// Time in ms for which each load of transactions runs in each round
    #[arg(long, value_name = "MS", default_value_t = 400)]
    slice: u64,

    /// Pairs of reads, committed and uncommitted
    #[arg(long, value_name = "N", default_value_t = 24)]
    pairs: usize,

    /// Scrapes of /metrics
    #[arg(long, value_name = "N", default_value_t = 60)]
    scrapes: usize,

    /// Measure much less of everything
    #[arg(long)]
    quick: bool,

    /// Registrations and lookups of schemas, for each number of connections
    #[arg(long, value_name = "N", default_value_t = 5_000)]
    schemas: usize,

    /// Print every sample below its table
    #[arg(long)]
    raw: bool,

    /// Run as the floor, with files in DIR (this program starts itself with it)
    #[arg(long, value_name = "DIR", hide = true)]
    floor: Option<PathBuf>,

    #[arg(long, hide = true, default_value_t = 0)]
    floor_slice: usize,

    /// Passed by cargo to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

/// One or several related tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Section {
    Start,
    Partitions,
    Clients,
    Fixture,
    Throughput,
    Tls,
    Registry,
    Transactions,
    Metrics,
}

impl Options {
    /// Reduces the options to those of a quick run, if one is asked for.
    fn reduced(self) -> Options {
        match self.quick {
            false => self,
            true => Options {
                rounds: self.rounds.min(3),
                burst: self.burst.min(64),
                starts: self.starts.min(3),
                cycles: self.cycles.min(10),
                restarts: self.restarts.min(1),
                slice: self.slice.min(200),
                pairs: self.pairs.min(7),
                scrapes: self.scrapes.min(10),
                schemas: self.schemas.min(500),
                ..self
            },
        }
    }
}

fn main() -> ExitCode {
    let options = Options::parse().reduced();
    let done = match &options.floor {
        Some(dir) => floor::run(dir.clone(), options.floor_slice).map_err(|e| e.to_string()),
        None => run(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), String> {
    let mut contenders = vec![Contender::Ottla { binary: options.ottla.clone(), name: "Ottla", settings: Vec::new() }];
    if options.other.is_some() || !options.other_set.is_empty() {
        contenders.push(Contender::Ottla {
            binary: options.other.as_ref().unwrap_or(&options.ottla).clone(),
            name: OTHER,
            settings: options.other_set.clone(),
        });
    }
    if let Some(dir) = &options.with_kafka {
        contenders.push(Contender::kafka(dir)?);
    }
    if options.with_kfake {
        contenders.push(Contender::kfake()?);
    }
    println!("{}; Ottla {}", system::machine(), env!("CARGO_PKG_VERSION"));
    let wanted = |section| options.only.is_empty() || options.only.contains(&section);
    let print = |table: &Table| table.print(options.raw);
    if wanted(Section::Start) {
        print(&start::measure_fresh(&contenders, options.starts));
    }
    if wanted(Section::Partitions) {
        print(&start::measure_thousand(&contenders, options.restarts));
    }
    if wanted(Section::Clients) {
        print(&clients::measure(&contenders, options.restarts));
    }
    if wanted(Section::Fixture) {
        fixture::measure(&contenders, options.cycles).iter().for_each(print);
    }
    if wanted(Section::Throughput) {
        throughput::measure(&contenders, options.rounds, options.burst * 1_000_000).iter().for_each(print);
    }
    if wanted(Section::Tls) {
        tls::measure(&contenders, options.rounds, options.burst * 1_000_000).iter().for_each(print);
    }
    if wanted(Section::Registry) {
        let burst = options.burst * 1_000_000;
        registry::measure(&contenders, options.rounds, burst, options.schemas).iter().for_each(print);
    }
    if wanted(Section::Transactions) {
        let slice = Duration::from_millis(options.slice);
        transactions::measure(&contenders, options.rounds, slice).iter().for_each(print);
        print(&isolation::measure(&contenders, options.pairs, options.burst * 1_000_000));
    }
    if wanted(Section::Metrics) {
        print(&metrics::measure(&contenders, options.scrapes));
    }
    Ok(())
}
