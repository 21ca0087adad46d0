//! The `ottla` program: parse the command line, start logging, hand over.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use ottla::broker::clock::Clock;
use ottla::cli;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    // First of all, so that the time to ready is the whole time.
    let clock = Clock::start();
    start_logging();
    cli::main(clock, std::env::args_os().collect())
}

/// Log lines go to stderr, with their time (UTC). `RUST_LOG` decides which; `info` and above by default.
fn start_logging() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let ansi = std::io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(ansi)
        .with_target(false)
        .init();
}
