//! The `ottla` program: start logging, hand over.

use std::process::ExitCode;

use ottla::cli;
use ottla::logging::Logging;
use ottla_broker::clock::Clock;

fn main() -> ExitCode {
    // First of all, so that the time to ready is the whole time.
    let clock = Clock::start();
    // Dropped at the end, which writes what was logged.
    let logging = Logging::start(std::env::var("RUST_LOG").ok().as_deref());
    cli::main(clock, &logging, std::env::args_os().collect())
}
