//! kafka-dump-log: prints what is in the files of a log. Works on files alone, and changes none.
//!
//! Source of behaviour: `org.apache.kafka.tools.DumpLogSegments`.
//!
//! Departures: an index that isn't there is not created. Where records can't be read, why is told in our words. Of a
//! time index, the segment is read no further than its entries reach.

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
use super::options::{Manner, one_number, one_value, required};
use super::output::Output;
use super::{RunTool, Tool};
use decoders::{Class, Decoder};
use indexes::Asked;
use log_file::Depth;
use ottla_wire::types::Offset;
use problems::Problems;

pub const TOOL: Tool = Tool::new::<Options>("kafka-dump-log", Manner::JoptSimple);

const MAX_MESSAGE_SIZE: i32 = 5 * 1024 * 1024;

/// This tool helps to parse a log file and dump its contents to the console, useful for debugging a seemingly corrupt log
/// segment.
#[derive(Debug, Parser)]
pub struct Options {
    /// REQUIRED: The comma separated list of data and index log files to be dumped.
    #[arg(long, value_name = "String: file1, file2, ...")]
    files: Vec<String>,
    #[command(flatten)]
    what: What,
}

/// What is printed of the files.
#[derive(Debug, Args)]
pub struct What {
    /// Print keys and values of records too. Set by every decoder.
    #[arg(long)]
    print_data_log: bool,
    /// Print records, not only batches. Set by --print-data-log.
    #[arg(long)]
    deep_iteration: bool,
    /// Only check indexes as the start of a broker does, which rebuilds those that fail.
    #[arg(long)]
    index_sanity_check: bool,
    /// Compare indexes with the data without printing them.
    #[arg(long)]
    verify_index_only: bool,
    /// Size of largest message (default: 5242880).
    #[arg(long, value_name = "Integer: size")]
    max_message_size: Vec<String>,
    /// Read no more of a data file than this many bytes (default: 2147483647).
    #[arg(long, value_name = "Integer: size")]
    max_bytes: Vec<String>,
    /// Print keys and values alone; of control records nothing.
    #[arg(long)]
    skip_record_metadata: bool,
    /// The decoder of keys, by its class in org.apache.kafka.tools.api: StringDecoder (the default), IntegerDecoder,
    /// LongDecoder or DefaultDecoder.
    #[arg(long, value_name = "String", num_args = 0..=1)]
    key_decoder_class: Option<Option<String>>,
    /// The decoder of values, likewise.
    #[arg(long, value_name = "String", num_args = 0..=1)]
    value_decoder_class: Option<Option<String>>,
    /// The data is of __consumer_offsets.
    #[arg(long)]
    offsets_decoder: bool,
    /// The data is of __transaction_state.
    #[arg(long)]
    transaction_log_decoder: bool,
    /// The data is of the metadata log, or a snapshot of it.
    #[arg(long)]
    cluster_metadata_decoder: bool,
    /// The data is of __remote_log_metadata.
    #[arg(long)]
    remote_log_metadata_decoder: bool,
    /// The data is of __share_group_state.
    #[arg(long)]
    share_group_state_decoder: bool,
}

impl RunTool for Options {
    fn run(self, tool: &Tool) -> ExitCode {
        if let Some(missing) = required(&[("files", &self.files)]) {
            return tool.wrong(&missing);
        }
        let files = match one_value("files", &self.files) {
            Ok(files) => split(files.unwrap_or_default()),
            Err(error) => return failed(&error),
        };
        self.what.dump_with(&files, |error| _ = failed(error))
    }
}

/// At commas, as Java splits: what is empty at the end doesn't count.
fn split(files: &str) -> Vec<PathBuf> {
    let mut names: Vec<&str> = files.split(',').collect();
    while names.len() > 1 && names.last().is_some_and(|name| name.is_empty()) {
        names.pop();
    }
    names.into_iter().map(PathBuf::from).collect()
}

fn failed(error: &Exception) -> ExitCode {
    err_line!("Exception in thread \"main\" {error}");
    ExitCode::FAILURE
}

impl What {
    /// How names of files end that can be printed.
    pub const ENDINGS: &[&str] = &["log", "checkpoint", "index", "timeindex", "snapshot", "txnindex"];

    /// Prints the files one after another; the first that can't be read is the last.
    /// What went wrong with it is told by `tell`.
    pub fn dump_with(&self, files: &[PathBuf], tell: impl FnOnce(&Exception)) -> ExitCode {
        let mut output = Output::stdout();
        let mut problems = Problems::default();
        for file in files {
            output.line(format_args!("Dumping {}", file.display()));
            if let Err(error) = self.dump_file(file, &mut problems, &mut output) {
                output.flush();
                tell(&error);
                return ExitCode::FAILURE;
            }
        }
        problems.tell(&mut output);
        ExitCode::SUCCESS
    }

    fn dump_file(&self, path: &Path, problems: &mut Problems, output: &mut Output) -> Result<(), Exception> {
        let name = file_name(path);
        match name.rsplit_once('.').map(|(_, suffix)| suffix) {
            Some("log" | "checkpoint") => log_file::dump(path, &self.depth()?, problems, output),
            Some("index") => indexes::dump_offsets(path, self.asked()?, problems, output),
            Some("timeindex") => indexes::dump_times(path, self.asked()?, problems, output),
            Some("snapshot") => indexes::dump_producers(path, output),
            Some("txnindex") => indexes::dump_transactions(path, output),
            _ => {
                output.complain(format_args!("Ignoring unknown file {}", path.display()));
                Ok(())
            }
        }
    }

    fn depth(&self) -> Result<Depth, Exception> {
        let decoder = self.decoder()?;
        let decodes = self.offsets_decoder
            || self.transaction_log_decoder
            || self.cluster_metadata_decoder
            || self.remote_log_metadata_decoder
            || self.share_group_state_decoder
            || self.key_decoder_class.is_some()
            || self.value_decoder_class.is_some();
        let contents = self.print_data_log || decodes;
        Ok(Depth {
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

    fn asked(&self) -> Result<Asked, Exception> {
        Ok(Asked {
            sanity_only: self.index_sanity_check,
            verify_only: self.verify_index_only,
            max_message_size: one_number("max-message-size", &self.max_message_size)?.unwrap_or(MAX_MESSAGE_SIZE),
        })
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The offset that a segment's file is named after.
fn start_offset(name: &str) -> Result<Offset, Exception> {
    let digits = name.split('.').next().unwrap_or_default();
    digits
        .parse()
        .map_err(|_| Exception::new("java.lang.NumberFormatException", format!("For input string: \"{digits}\"")))
}
