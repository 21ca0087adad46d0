//! `ottla dump-log`: what kafka-dump-log does, with the files as words of their own.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::tools::kafka_dump_log::What;

/// Which files to print, and how.
#[derive(Debug, Args)]
#[command(after_help = "Example: ottla dump-log ottla-data/orders-0/*.log --print-data-log")]
pub struct DumpLogArgs {
    /// Segments (.log), their indexes (.index, .timeindex, .txnindex), snapshots of producers (.snapshot) and of metadata
    /// (.checkpoint)
    #[arg(required_unless_present = "listed", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The same, separated by commas
    #[arg(id = "listed", long = "files", value_name = "FILE,FILE", value_delimiter = ',')]
    listed: Vec<PathBuf>,
    #[command(flatten)]
    what: What,
}

/// Prints them. Code 0: all were read; 1: one could not be.
pub fn run(args: &DumpLogArgs) -> ExitCode {
    args.what.dump(&[&*args.files, &*args.listed].concat())
}
