//! The `ottla` program: starts logging and runs the command line.

use std::process::ExitCode;

use ottla::cli;
use ottla::logging::Logging;
use ottla_broker::clock::Clock;

fn main() -> ExitCode {
    // First, so that the time to ready includes everything.
    let clock = Clock::start();
    // Its drop at the end writes the remaining log lines.
    let logging = Logging::start(std::env::var("RUST_LOG").ok().as_deref());
    cli::main(clock, &logging, std::env::args_os().collect())
}
