//! What doesn't fit together, told when all files are printed.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf, absolute};

use crate::cli::tools::java_order::sort_by_name;
use crate::cli::tools::output::Output;
use ottla_wire::types::{Offset, TimestampMs};

/// Things of a file, under its absolute path.
#[derive(Debug)]
struct ByFile<T>(Vec<(String, T)>);

/// What was found, in the order in which Kafka's tool tells it.
#[derive(Debug, Default)]
pub struct Problems {
    /// By the offset in the index, the greatest first: that of the batch there.
    mismatches: ByFile<BTreeMap<Reverse<Offset>, Offset>>,
    timestamps: ByFile<Vec<(TimestampMs, TimestampMs)>>,
    out_of_order: ByFile<Vec<(TimestampMs, TimestampMs)>>,
    not_found: ByFile<Vec<(Offset, Offset)>>,
    /// By the offset before.
    non_consecutive: ByFile<BTreeMap<Offset, Offset>>,
}

impl Problems {
    /// An offset index says that the batch with `batch` at its end ended with `index`.
    pub fn mismatch(&mut self, path: &Path, index: Offset, batch: Offset) {
        self.mismatches.of(path).insert(Reverse(index), batch);
    }

    /// A time index says `index` of a batch whose newest record is of `log`.
    pub fn timestamp(&mut self, path: &Path, index: TimestampMs, log: TimestampMs) {
        self.timestamps.of(path).push((index, log));
    }

    /// A time index has `index` behind `previous`, which isn't older.
    pub fn out_of_order(&mut self, path: &Path, index: TimestampMs, previous: TimestampMs) {
        self.out_of_order.of(path).push((index, previous));
    }

    /// No batch ends with the `indexed` offset of a time index; the one that has it ends with `found`, -1 if none has.
    pub fn not_found(&mut self, path: &Path, indexed: Offset, found: Offset) {
        self.not_found.of(path).push((indexed, found));
    }

    /// A record's offset isn't the one after `previous`.
    pub fn non_consecutive(&mut self, path: &Path, previous: Offset, offset: Offset) {
        self.non_consecutive.of(path).insert(previous, offset);
    }

    /// Tells all of it, on stderr.
    pub fn tell(self, output: &mut Output) {
        for (file, mismatches) in self.mismatches.in_javas_order() {
            output.complain(format_args!("Mismatches in :{file}"));
            for (Reverse(index), log) in mismatches {
                output.complain(format_args!("  Index offset: {index}, log offset: {log}"));
            }
        }
        for (file, timestamps) in self.timestamps.in_javas_order() {
            output.complain(format_args!("Found timestamp mismatch in :{file}"));
            for (index, log) in timestamps {
                output.complain(format_args!("  Index timestamp: {index}, log timestamp: {log}"));
            }
        }
        for (file, timestamps) in self.out_of_order.in_javas_order() {
            output.complain(format_args!("Found out of order timestamp in :{file}"));
            for (index, previous) in timestamps {
                output.complain(format_args!("  Index timestamp: {index}, Previously indexed timestamp: {previous}"));
            }
        }
        for (file, offsets) in self.not_found.in_javas_order() {
            output.complain(format_args!("The following indexed offsets are not found in :{file}"));
            for (indexed, found) in offsets {
                output.complain(format_args!("Indexed offset: {indexed}, found log offset: {found}"));
            }
        }
        for (file, pairs) in self.non_consecutive.in_javas_order() {
            output.complain(format_args!("Non-consecutive offsets in {file}"));
            for (previous, offset) in pairs {
                output.complain(format_args!("  {previous} is followed by {offset}"));
            }
        }
    }
}

impl<T: Default> ByFile<T> {
    fn of(&mut self, path: &Path) -> &mut T {
        let path = absolute(path).unwrap_or_else(|_| PathBuf::from(path)).display().to_string();
        let at = self.0.iter().position(|(known, _)| *known == path).unwrap_or_else(|| {
            // `HashMap.computeIfAbsent` puts the newer first where two fall together.
            self.0.insert(0, (path, T::default()));
            0
        });
        &mut self.0[at].1
    }

    fn in_javas_order(mut self) -> Vec<(String, T)> {
        sort_by_name(&mut self.0, |(name, _)| name);
        self.0
    }
}

impl<T> Default for ByFile<T> {
    fn default() -> ByFile<T> {
        ByFile(Vec::new())
    }
}
