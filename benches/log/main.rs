//! Benchmarks of the log crate, printed as tables: `cargo bench --bench log`, a few minutes on an idle machine.
//!
//! - Appending, compared with plain writes of the same bytes ([`append`]), and verification of batches ([`verify`]).
//! - Group commit, compared with a sync for each append ([`commit`]).
//! - Reading whole segments, compared with plain reads and mappings of the same files ([`read`]).
//! - Compaction, and the latency of appends during it ([`compaction`]).
//! - Opening after a kill and after a power loss ([`recovery`]), and memory per partition ([`memory`]).
//!
//! Compared measurements are interleaved in one run, so that a load on the machine affects both. Figures are medians,
//! and ratios are medians of pairs. Files are below target/tmp and small enough that the kernel does not write them
//! back.

mod append;
mod commit;
mod compaction;
mod fixture;
mod memory;
mod read;
mod recovery;
#[path = "../broker/report.rs"]
#[allow(dead_code, reason = "each benchmark uses a part of this")]
mod report;
#[path = "../broker/system.rs"]
#[allow(dead_code, reason = "each benchmark uses a part of this")]
mod system;
mod verify;

use clap::{Parser, ValueEnum};
use report::{Samples, Table, significant};

/// Measures the log library and prints tables in markdown.
#[derive(Debug, Parser)]
struct Options {
    /// Measure only this section; may be given several times
    #[arg(long, value_enum)]
    only: Vec<Section>,

    /// Number of pairs of samples
    #[arg(long, value_name = "N", default_value_t = 7)]
    pairs: usize,

    /// MB of one burst; several bursts must stay below the limit at index the kernel starts to write back
    #[arg(long, value_name = "MB", default_value_t = 128)]
    burst: u64,

    /// Passed by cargo to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

/// A table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Section {
    /// Measured first, because memory that other sections free would be reused.
    Memory,
    Append,
    Verify,
    Commit,
    Read,
    Compaction,
    Recovery,
}

fn main() {
    ottla_log::faults::install().expect("files can be mapped");
    let options = Options::parse();
    let burst = options.burst * 1_000_000;
    let limit = system::dirty_limit();
    assert!(burst < limit / 2, "a burst of {burst} bytes is too large: the kernel starts to write back at {limit}");
    println!("{}; Ottla {}", system::machine(), env!("CARGO_PKG_VERSION"));
    let measure = |section| -> Table {
        match section {
            Section::Append => append::measure(options.pairs, burst),
            Section::Verify => verify::measure(options.pairs),
            Section::Commit => commit::measure(options.pairs),
            Section::Read => read::measure(options.pairs, burst),
            Section::Compaction => compaction::measure(options.pairs.div_ceil(2), burst),
            Section::Recovery => recovery::measure(options.pairs, burst),
            Section::Memory => memory::measure(),
        }
    };
    for section in Section::value_variants() {
        if options.only.is_empty() || options.only.contains(section) {
            measure(*section).print(false);
        }
    }
}

/// Takes `count` samples of each measurement, interleaved and in a rotating order; a first round is not counted. Prints
/// the progress to the terminal.
fn interleaved<const N: usize>(what: &str, count: usize, measures: [&mut dyn FnMut() -> f64; N]) -> [Samples; N] {
    let mut samples = [const { Vec::new() }; N];
    for round in 0..=count {
        eprint!("\r\x1b[K{what}: {round} of {count}");
        for step in 0..N {
            let index = (step + round) % N;
            let sample = measures[index]();
            if round > 0 {
                samples[index].push(sample);
            }
        }
    }
    eprint!("\r\x1b[K");
    samples.map(Samples::from_iter)
}

/// Formats the median with its unit.
fn median(samples: &Samples, unit: &str) -> String {
    format!("{} {unit}", significant(samples.median()))
}

/// Formats the median of the percentages that `of` is of `whole`, pair by pair.
fn share(of: &Samples, whole: &Samples) -> String {
    median(&of.percent_of(whole), "%")
}
