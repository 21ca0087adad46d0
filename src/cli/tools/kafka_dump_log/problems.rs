//! Collects the mismatches between segments and indexes, which are printed after all files.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf, absolute};

use crate::cli::tools::output::Output;
use ottla_wire::java::sort_by_name;
use ottla_wire::types::{Offset, TimestampMs};

/// Values by the absolute path of a file.
#[derive(Debug)]
struct ByFile<T>(Vec<(String, T)>);

/// The problems found, in the order in which Kafka's tool prints them.
#[derive(Debug, Default)]
pub struct Problems {
    /// The last offset of the batch, by the offset in the index, in descending order.
    mismatches: ByFile<BTreeMap<Reverse<Offset>, Offset>>,
    timestamps: ByFile<Vec<(TimestampMs, TimestampMs)>>,
    out_of_order: ByFile<Vec<(TimestampMs, TimestampMs)>>,
    not_found: ByFile<Vec<(Offset, Offset)>>,
    /// The record's offset, by the previous offset.
    non_consecutive: ByFile<BTreeMap<Offset, Offset>>,
}

impl Problems {
    /// Adds an entry of an offset index with offset `index`, although the batch ends with offset `batch`.
    pub fn mismatch(&mut self, path: &Path, index: Offset, batch: Offset) {
        self.mismatches.of(path).insert(Reverse(index), batch);
    }

    /// Adds an entry of a time index with timestamp `index`, although the batch's maximum timestamp is `log`.
    pub fn timestamp(&mut self, path: &Path, index: TimestampMs, log: TimestampMs) {
        self.timestamps.of(path).push((index, log));
    }

    /// Adds an entry of a time index whose timestamp `index` is not greater than the `previous` one.
    pub fn out_of_order(&mut self, path: &Path, index: TimestampMs, previous: TimestampMs) {
        self.out_of_order.of(path).push((index, previous));
    }

    /// Adds an entry of a time index with an `indexed` offset with which no batch ends. The batch that contains the
    /// offset ends with `found`; -1 if there is none.
    pub fn not_found(&mut self, path: &Path, indexed: Offset, found: Offset) {
        self.not_found.of(path).push((indexed, found));
    }

    /// Adds a record whose offset is not `previous` + 1.
    pub fn non_consecutive(&mut self, path: &Path, previous: Offset, offset: Offset) {
        self.non_consecutive.of(path).insert(previous, offset);
    }

    /// Prints all problems on stderr.
    pub fn print(self, output: &mut Output) {
        for (file, mismatches) in self.mismatches.in_hash_map_order() {
            output.error_line(format_args!("Mismatches in :{file}"));
            for (Reverse(index), log) in mismatches {
                output.error_line(format_args!("  Index offset: {index}, log offset: {log}"));
            }
        }
        for (file, timestamps) in self.timestamps.in_hash_map_order() {
            output.error_line(format_args!("Found timestamp mismatch in :{file}"));
            for (index, log) in timestamps {
                output.error_line(format_args!("  Index timestamp: {index}, log timestamp: {log}"));
            }
        }
        for (file, timestamps) in self.out_of_order.in_hash_map_order() {
            output.error_line(format_args!("Found out of order timestamp in :{file}"));
            for (index, previous) in timestamps {
                output.error_line(format_args!("  Index timestamp: {index}, Previously indexed timestamp: {previous}"));
            }
        }
        for (file, offsets) in self.not_found.in_hash_map_order() {
            output.error_line(format_args!("The following indexed offsets are not found in :{file}"));
            for (indexed, found) in offsets {
                output.error_line(format_args!("Indexed offset: {indexed}, found log offset: {found}"));
            }
        }
        for (file, pairs) in self.non_consecutive.in_hash_map_order() {
            output.error_line(format_args!("Non-consecutive offsets in {file}"));
            for (previous, offset) in pairs {
                output.error_line(format_args!("  {previous} is followed by {offset}"));
            }
        }
    }
}

impl<T: Default> ByFile<T> {
    fn of(&mut self, path: &Path) -> &mut T {
        let path = absolute(path).unwrap_or_else(|_| PathBuf::from(path)).display().to_string();
        let at = self.0.iter().position(|(known, _)| *known == path).unwrap_or_else(|| {
            // `HashMap.computeIfAbsent` puts a new entry first in its bucket.
            self.0.insert(0, (path, T::default()));
            0
        });
        &mut self.0[at].1
    }

    fn in_hash_map_order(mut self) -> Vec<(String, T)> {
        sort_by_name(&mut self.0, |(name, _)| name);
        self.0
    }
}

impl<T> Default for ByFile<T> {
    fn default() -> ByFile<T> {
        ByFile(Vec::new())
    }
}
