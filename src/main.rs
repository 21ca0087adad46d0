//! The `ottla` program: parse the command line, start logging, hand over.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use ottla::broker::clock::Clock;
use ottla::cli;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

fn main() -> ExitCode {
    // First of all, so that the time to ready is the whole time.
    let clock = Clock::start();
    start_logging();
    cli::main(clock, std::env::args_os().collect())
}

/// Log lines go to stderr, with their time (UTC). `RUST_LOG` decides which, as a level or as `module=level`s; `info` and
/// above by default.
fn start_logging() {
    let asked = std::env::var("RUST_LOG").ok().filter(|asked| !asked.is_empty());
    let filter = asked.and_then(|asked| asked.parse::<Targets>().ok());
    let filter = filter.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
    let ansi = std::io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(ansi).with_target(false);
    tracing_subscriber::registry().with(lines).with(filter).init();
}
