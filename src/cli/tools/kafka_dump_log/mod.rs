//! kafka-dump-log: prints the content of log files. It needs no broker, and changes no file.
//!
//! Source of behaviour: `org.apache.kafka.tools.DumpLogSegments`.
//!
//! Differences from Kafka's tool: it does not create a missing index; errors about invalid records have other messages;
//! for a time index, it reads the segment only up to the last entry.

pub mod batches;
mod decoders;
mod indexes;
mod log_file;
mod problems;
mod remote;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser};

use super::exceptions::Exception;
use super::options::{ParserStyle, one_number, one_value, required};
use super::output::Output;
use super::{RunTool, Tool};
use decoders::{Class, Decoder};
use indexes::IndexOptions;
use log_file::LogOptions;
use ottla_wire::types::Offset;
use problems::Problems;

pub const TOOL: Tool = Tool::new::<Options>("kafka-dump-log", ParserStyle::JoptSimple);

const MAX_MESSAGE_SIZE: i32 = 5 * 1024 * 1024;

/// This tool helps to parse a log file and dump its contents to the console, useful for debugging a seemingly corrupt log
/// segment.
#[derive(Debug, Parser)]
pub struct Options {
    /// REQUIRED: The comma separated list of data and index log files to be dumped.
    #[arg(long, value_name = "String: file1, file2, ...")]
    files: Vec<String>,
    #[command(flatten)]
    dump: DumpOptions,
}

/// What to print of the files.
#[derive(Debug, Args)]
pub struct DumpOptions {
    /// Print keys and values of records too. Implied by every decoder option.
    #[arg(long)]
    print_data_log: bool,
    /// Print records, not only batches. Implied by --print-data-log.
    #[arg(long)]
    deep_iteration: bool,
    /// Only run the checks of indexes that a broker runs at start. (It rebuilds an index that fails them.)
    #[arg(long)]
    index_sanity_check: bool,
    /// Compare indexes with the data, without printing them.
    #[arg(long)]
    verify_index_only: bool,
    /// Size of largest message (default: 5242880).
    #[arg(long, value_name = "Integer: size")]
    max_message_size: Vec<String>,
    /// Read at most this many bytes of a data file (default: 2147483647).
    #[arg(long, value_name = "Integer: size")]
    max_bytes: Vec<String>,
    /// Print only keys and values of records, and nothing of control records.
    #[arg(long)]
    skip_record_metadata: bool,
    /// The class that decodes keys, in the package org.apache.kafka.tools.api: StringDecoder (the default),
    /// IntegerDecoder, LongDecoder or DefaultDecoder.
    #[arg(long, value_name = "String", num_args = 0..=1)]
    key_decoder_class: Option<Option<String>>,
    /// The class that decodes values: one of those for keys.
    #[arg(long, value_name = "String", num_args = 0..=1)]
    value_decoder_class: Option<Option<String>>,
    /// Decode records of __consumer_offsets.
    #[arg(long)]
    offsets_decoder: bool,
    /// Decode records of __transaction_state.
    #[arg(long)]
    transaction_log_decoder: bool,
    /// Decode records of the metadata log or of its snapshots.
    #[arg(long)]
    cluster_metadata_decoder: bool,
    /// Decode records of __remote_log_metadata.
    #[arg(long)]
    remote_log_metadata_decoder: bool,
    /// Decode records of __share_group_state.
    #[arg(long)]
    share_group_state_decoder: bool,
}

impl RunTool for Options {
    fn run(self, tool: &Tool) -> ExitCode {
        if let Some(missing) = required(&[("files", &self.files)]) {
            return tool.usage_error(&missing);
        }
        let files = match one_value("files", &self.files) {
            Ok(files) => split(files.unwrap_or_default()),
            Err(error) => return report_failure(&error),
        };
        self.dump.dump_with(&files, |error| _ = report_failure(error))
    }
}

/// Splits at commas like Java's `split`, which drops empty parts at the end.
fn split(files: &str) -> Vec<PathBuf> {
    let mut names: Vec<&str> = files.split(',').collect();
    while names.len() > 1 && names.last().is_some_and(|name| name.is_empty()) {
        names.pop();
    }
    names.into_iter().map(PathBuf::from).collect()
}

fn report_failure(error: &Exception) -> ExitCode {
    err_line!("Exception in thread \"main\" {error}");
    ExitCode::FAILURE
}

impl DumpOptions {
    /// The suffixes of files that can be printed.
    pub const ENDINGS: &[&str] = &["log", "checkpoint", "index", "timeindex", "snapshot", "txnindex"];

    /// Prints the files one after another. Stops at the first error, and passes it to `report`.
    pub fn dump_with(&self, files: &[PathBuf], report: impl FnOnce(&Exception)) -> ExitCode {
        let mut output = Output::stdout();
        let mut problems = Problems::default();
        for file in files {
            output.line(format_args!("Dumping {}", file.display()));
            if let Err(error) = self.dump_file(file, &mut problems, &mut output) {
                output.flush();
                report(&error);
                return ExitCode::FAILURE;
            }
        }
        problems.print(&mut output);
        ExitCode::SUCCESS
    }

    fn dump_file(&self, path: &Path, problems: &mut Problems, output: &mut Output) -> Result<(), Exception> {
        let name = file_name(path);
        match name.rsplit_once('.').map(|(_, suffix)| suffix) {
            Some("log" | "checkpoint") => log_file::dump(path, &self.log_options()?, problems, output),
            Some("index") => indexes::dump_offsets(path, self.index_options()?, problems, output),
            Some("timeindex") => indexes::dump_times(path, self.index_options()?, problems, output),
            Some("snapshot") => indexes::dump_producers(path, output),
            Some("txnindex") => indexes::dump_transactions(path, output),
            _ => {
                output.error_line(format_args!("Ignoring unknown file {}", path.display()));
                Ok(())
            }
        }
    }

    fn log_options(&self) -> Result<LogOptions, Exception> {
        let decoder = self.decoder()?;
        let decodes = self.offsets_decoder
            || self.transaction_log_decoder
            || self.cluster_metadata_decoder
            || self.remote_log_metadata_decoder
            || self.share_group_state_decoder
            || self.key_decoder_class.is_some()
            || self.value_decoder_class.is_some();
        let contents = self.print_data_log || decodes;
        Ok(LogOptions {
            records: self.deep_iteration || contents,
            contents: contents.then_some(decoder),
            skip_metadata: self.skip_record_metadata,
            max_bytes: one_number("max-bytes", &self.max_bytes)?.unwrap_or(i32::MAX),
        })
    }

    fn decoder(&self) -> Result<Decoder, Exception> {
        let class = |option: &Option<Option<String>>| Class::find(option.as_ref().and_then(|name| name.as_deref()));
        Ok(if self.offsets_decoder {
            Decoder::OFFSETS
        } else if self.transaction_log_decoder {
            Decoder::TRANSACTIONS
        } else if self.cluster_metadata_decoder {
            Decoder::Metadata
        } else if self.remote_log_metadata_decoder {
            Decoder::Remote
        } else if self.share_group_state_decoder {
            Decoder::SHARE_STATE
        } else {
            Decoder::Plain { key: class(&self.key_decoder_class)?, value: class(&self.value_decoder_class)? }
        })
    }

    fn index_options(&self) -> Result<IndexOptions, Exception> {
        Ok(IndexOptions {
            sanity_only: self.index_sanity_check,
            verify_only: self.verify_index_only,
            max_message_size: one_number("max-message-size", &self.max_message_size)?.unwrap_or(MAX_MESSAGE_SIZE),
        })
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Parses the base offset in the name of a segment's file.
fn start_offset(name: &str) -> Result<Offset, Exception> {
    let digits = name.split('.').next().unwrap_or_default();
    digits
        .parse()
        .map_err(|_| Exception::new("java.lang.NumberFormatException", format!("For input string: \"{digits}\"")))
}
