//! `ottla dump-log`: like kafka-dump-log, with the files as arguments.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::tools::kafka_dump_log::DumpOptions;

/// The arguments of `ottla dump-log`.
#[derive(Debug, Args)]
#[command(after_help = "Example: ottla dump-log ottla-data/orders-0/*.log --print-data-log")]
pub struct DumpLogArgs {
    /// Segments (.log), indexes (.index, .timeindex, .txnindex), producer snapshots (.snapshot) and metadata snapshots
    /// (.checkpoint)
    #[arg(required_unless_present = "listed", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The files, separated by commas
    #[arg(id = "listed", long = "files", value_name = "FILE,FILE", value_delimiter = ',')]
    listed: Vec<PathBuf>,
    #[command(flatten)]
    what: DumpOptions,
}

/// Prints the files. Exit code 0: all were read; 1: one could not be read.
pub fn run(args: &DumpLogArgs) -> ExitCode {
    let files = [&*args.files, &*args.listed].concat();
    for file in &files {
        if let Err(why) = check(file) {
            err_line!("ottla: {why}");
            return ExitCode::FAILURE;
        }
    }
    args.what.dump_with(&files, |error| err_line!("ottla: {}", error.message))
}

/// Checks that the file is readable and of a known kind.
fn check(file: &Path) -> Result<(), String> {
    let shown = file.display();
    let found = fs::metadata(file).map_err(|error| match error.kind() {
        ErrorKind::NotFound => format!("{shown} does not exist"),
        _ => format!("cannot read {shown}: {error}"),
    })?;
    if found.is_dir() {
        return Err(format!("{shown} is a directory: name files in it, such as {shown}/*.log"));
    }
    let ending = file.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    if !DumpOptions::ENDINGS.contains(&ending) {
        return Err(format!(
            "{shown} is not a file of a log: their names end in .{}",
            DumpOptions::ENDINGS.join(", .")
        ));
    }
    fs::File::open(file).map(|_| ()).map_err(|error| format!("cannot read {shown}: {error}"))
}
