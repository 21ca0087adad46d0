//! What the log library costs, in tables: `cargo bench --bench log`, a few minutes on an idle machine.
//!
//! - Appending, beside bare writes of the same bytes ([`append`]), and checking what is to be appended ([`verify`]).
//! - Group commit, beside a sync for each append ([`commit`]).
//! - Reading whole segments, beside bare reads and mappings of the same files ([`read`]).
//! - Compaction, and what it does to appends meanwhile ([`compaction`]).
//! - Opening after a kill and after a power loss ([`recovery`]), and memory by partition ([`memory`]).
//!
//! What is compared is measured in turns, in one run, so that what disturbs the machine disturbs both; figures are
//! medians, ratios medians of pairs. Files lie below target/tmp and stay within what the kernel keeps unwritten.

mod append;
mod commit;
mod compaction;
mod memory;
mod read;
mod recovery;
#[path = "../broker/report.rs"]
#[allow(dead_code, reason = "each benchmark uses a part of this")]
mod report;
mod shelf;
#[path = "../broker/system.rs"]
#[allow(dead_code, reason = "each benchmark uses a part of this")]
mod system;
mod verify;

use clap::{Parser, ValueEnum};
use report::{Samples, Table, significant};

/// Measures the log library and prints tables in markdown.
#[derive(Debug, Parser)]
struct Options {
    /// Take these figures only; may be given many times
    #[arg(long, value_enum)]
    only: Vec<Section>,

    /// Pairs that a figure is the median of
    #[arg(long, value_name = "N", default_value_t = 7)]
    pairs: usize,

    /// MB of one burst; several of them have to stay below what the kernel starts to write back
    #[arg(long, value_name = "MB", default_value_t = 128)]
    burst: u64,

    /// What cargo passes to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

/// A table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Section {
    /// First: what other figures leave behind in the allocator would be used again.
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
    assert!(burst < limit / 2, "a burst of {burst} bytes would be written back: the kernel begins at {limit}");
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

/// Takes `count` samples of each, in turns and in an order that turns too; the first of each is not counted. What is
/// being measured stands on the terminal meanwhile.
fn in_turns<const N: usize>(what: &str, count: usize, measures: [&mut dyn FnMut() -> f64; N]) -> [Samples; N] {
    let mut samples = [const { Vec::new() }; N];
    for round in 0..=count {
        eprint!("\r\x1b[K{what}: {round} of {count}");
        for turn in 0..N {
            let which = (turn + round) % N;
            let sample = measures[which]();
            if round > 0 {
                samples[which].push(sample);
            }
        }
    }
    eprint!("\r\x1b[K");
    samples.map(Samples::from_iter)
}

/// The median with its unit.
fn median(samples: &Samples, unit: &str) -> String {
    format!("{} {unit}", significant(samples.median()))
}

/// The median share that `of` has of `whole`, pair by pair.
fn share(of: &Samples, whole: &Samples) -> String {
    median(&of.percent_of(whole), "%")
}
