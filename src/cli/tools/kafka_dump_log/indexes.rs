//! Prints and checks the indexes of a segment, and prints producer snapshots.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf, absolute};

use super::batches::{BatchFile, file_error};
use super::log_file::max_timestamp;
use super::problems::Problems;
use super::{file_name, start_offset};
use crate::cli::tools::exceptions::Exception;
use crate::cli::tools::output::Output;
use ottla_wire::types::{NO_TIMESTAMP, Offset, TimestampMs};

/// How to check and print an index.
#[derive(Clone, Copy, Debug)]
pub struct IndexOptions {
    /// Only run the checks that a broker runs at start.
    pub sanity_only: bool,
    /// Only compare the index with the segment; don't print the entries.
    pub verify_only: bool,
    /// The maximum size of the batch at an entry's position.
    pub max_message_size: i32,
}

/// Prints an `.index` file, and compares it with the segment's batches.
pub fn dump_offsets(
    path: &Path,
    options: IndexOptions,
    problems: &mut Problems,
    output: &mut Output,
) -> Result<(), Exception> {
    let base = start_offset(&file_name(path))?;
    let log = BatchFile::open(&with_suffix(path, "log"), u64::MAX)?;
    let index = Entries::<8>::open(path)?.ok_or_else(|| file_error(path, &std::io::ErrorKind::NotFound.into()))?;
    if index.count == 0 {
        output.line(format_args!("{} is empty.", path.display()));
        return Ok(());
    }
    let entry = |at| index.read(at).map(|bytes| offset_entry(base, &bytes));
    if options.sanity_only {
        let last = entry(index.count - 1)?.offset;
        let shown = absolute_path(path);
        if last < base {
            return Err(corrupt_index(format!(
                "Corrupt index found, index file {shown} has non-zero size but the last offset is {last} which is less \
                 than the base offset {base}"
            )));
        }
        index.check_whole(&format!("Index file {shown}"))?;
        output.line(format_args!("{} passed sanity check.", path.display()));
        return Ok(());
    }
    for at in 0..index.count {
        let entry = entry(at)?;
        // Zeros are the preallocated end of the file, or were left by a power failure.
        if entry.offset == base && at > 0 {
            return Ok(());
        }
        let last_offset = last_offset_at(&log, path, entry.position, options.max_message_size)?;
        if last_offset != entry.offset {
            problems.mismatch(path, entry.offset, last_offset);
        }
        if !options.verify_only {
            output.line(format_args!("offset: {} position: {}", entry.offset, entry.position));
        }
    }
    Ok(())
}

/// Returns the last offset of the batch at `position`, which must not be larger than `max_size`.
fn last_offset_at(log: &BatchFile, index: &Path, position: i32, max_size: i32) -> Result<Offset, Exception> {
    let shown = with_suffix(index, "log").display().to_string();
    let records = format!("FileRecords(size={}, file={shown}, start=0, end={})", log.end(), i32::MAX);
    let Ok(position) = u64::try_from(position) else {
        return Err(Exception::illegal_argument(format!("Invalid position: {position} in read from {records}")));
    };
    if position > log.end() {
        let message = format!("Slice from position {position} exceeds end position of {records}");
        return Err(Exception::illegal_argument(message));
    }
    let Ok(max_size) = u64::try_from(max_size) else {
        return Err(Exception::illegal_argument(format!("Invalid size: {max_size} in read from {records}")));
    };
    let found = log.batch_at(position, position.saturating_add(max_size))?;
    let found = found.ok_or_else(|| Exception::new("java.util.NoSuchElementException", "no batch there"))?;
    if found.magic < 2 { Ok(found.offset) } else { Ok(log.header(&found)?.last_offset()) }
}

/// Prints a `.timeindex` file, and compares it with the segment's batches.
pub fn dump_times(
    path: &Path,
    options: IndexOptions,
    problems: &mut Problems,
    output: &mut Output,
) -> Result<(), Exception> {
    let base = start_offset(&file_name(path))?;
    let log = BatchFile::open(&with_suffix(path, "log"), u64::MAX)?;
    let offsets = Entries::<8>::open(&with_suffix(path, "index"))?;
    let times = Entries::<12>::open(path)?.ok_or_else(|| file_error(path, &std::io::ErrorKind::NotFound.into()))?;
    if options.sanity_only {
        check_times(&times, path, base)?;
        output.line(format_args!("{} passed sanity check.", path.display()));
        return Ok(());
    }
    let mut previous = NO_TIMESTAMP;
    for at in 0..times.count {
        let entry = time_entry(base, &times.read(at)?);
        // Zeros are the preallocated end of the file, or were left by a power failure.
        if entry.offset == base && at > 0 {
            return Ok(());
        }
        let position = match &offsets {
            Some(offsets) => position_of(offsets, base, entry.offset)?,
            None => 0,
        };
        match max_timestamp_at(&log, position, entry.offset)? {
            Lookup::Found(log_time) => {
                if log_time != entry.timestamp {
                    problems.timestamp(path, entry.timestamp, log_time);
                }
                if previous >= entry.timestamp {
                    problems.out_of_order(path, entry.timestamp, previous);
                }
            }
            Lookup::OtherOffset(found) => problems.not_found(path, entry.offset, found),
        }
        if !options.verify_only {
            output.line(format_args!("timestamp: {} offset: {}", entry.timestamp, entry.offset));
        }
        previous = entry.timestamp;
    }
    Ok(())
}

fn check_times(times: &Entries<12>, path: &Path, base: Offset) -> Result<(), Exception> {
    let shown = absolute_path(path);
    if times.count > 0 {
        let (first, last) = (time_entry(base, &times.read(0)?), time_entry(base, &times.read(times.count - 1)?));
        let corrupt = |what: &str, last: i64, first: i64| {
            corrupt_index(format!(
                "Corrupt time index found, time index file ({shown}) has non-zero size but the last {what} is {last} which \
                 is less than the first {what} {first}"
            ))
        };
        if last.timestamp < first.timestamp {
            return Err(corrupt("timestamp", last.timestamp, first.timestamp));
        }
        if last.offset < base {
            return Err(corrupt("offset", last.offset, base));
        }
    }
    times.check_whole(&format!("Time index file {shown}"))
}

/// The result of looking up the batch that ends with an offset.
enum Lookup {
    /// The maximum timestamp of the batch that ends with the offset.
    Found(TimestampMs),
    /// The last offset of the batch that contains the offset but doesn't end with it; -1 if there is no such batch.
    OtherOffset(Offset),
}

fn max_timestamp_at(log: &BatchFile, mut position: u64, offset: Offset) -> Result<Lookup, Exception> {
    while let Some(found) = log.batch_at(position, u64::MAX)? {
        let last_offset = if found.magic < 2 { found.offset } else { log.header(&found)?.last_offset() };
        if last_offset == offset {
            return Ok(Lookup::Found(max_timestamp(log, &found)?));
        }
        if last_offset > offset {
            return Ok(Lookup::OtherOffset(last_offset));
        }
        position += found.size;
    }
    Ok(Lookup::OtherOffset(-1))
}

/// Returns the position of the last entry at or before `offset`; 0 if there is none.
fn position_of(index: &Entries<8>, base: Offset, offset: Offset) -> Result<u64, Exception> {
    let (mut low, mut high) = (0, index.count);
    let mut position = 0;
    while low < high {
        let middle = low + (high - low) / 2;
        let entry = offset_entry(base, &index.read(middle)?);
        if entry.offset <= offset {
            position = u64::try_from(entry.position).unwrap_or(0);
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(position)
}

struct OffsetEntry {
    offset: Offset,
    position: i32,
}

struct TimeEntry {
    timestamp: TimestampMs,
    offset: Offset,
}

fn offset_entry(base: Offset, bytes: &[u8; 8]) -> OffsetEntry {
    let [a, b, c, d, position @ ..] = *bytes;
    let offset = base.saturating_add(i64::from(i32::from_be_bytes([a, b, c, d])));
    OffsetEntry { offset, position: i32::from_be_bytes(position) }
}

fn time_entry(base: Offset, bytes: &[u8; 12]) -> TimeEntry {
    let [a, b, c, d, e, f, g, h, offset @ ..] = *bytes;
    let timestamp = i64::from_be_bytes([a, b, c, d, e, f, g, h]);
    TimeEntry { timestamp, offset: base.saturating_add(i64::from(i32::from_be_bytes(offset))) }
}

/// An index file with entries of `N` bytes.
struct Entries<const N: usize> {
    file: File,
    path: PathBuf,
    len: u64,
    count: u64,
}

impl<const N: usize> Entries<N> {
    /// Opens a file; `None` if it doesn't exist.
    fn open(path: &Path) -> Result<Option<Entries<N>>, Exception> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(file_error(path, &error)),
        };
        let len = file.metadata().map_err(|error| file_error(path, &error))?.len();
        Ok(Some(Entries { file, path: path.to_path_buf(), len, count: len / N as u64 }))
    }

    fn read(&self, at: u64) -> Result<[u8; N], Exception> {
        let mut bytes = [0; N];
        self.file.read_exact_at(&mut bytes, at * N as u64).map_err(|error| file_error(&self.path, &error))?;
        Ok(bytes)
    }

    /// Fails if the last entry is incomplete.
    fn check_whole(&self, file: &str) -> Result<(), Exception> {
        if self.len.is_multiple_of(N as u64) {
            return Ok(());
        }
        let len = self.len;
        Err(corrupt_index(format!(
            "{file} is corrupt, found {len} bytes which is neither positive nor a multiple of {N}"
        )))
    }
}

/// Prints a `.txnindex` file.
pub fn dump_transactions(path: &Path, output: &mut Output) -> Result<(), Exception> {
    start_offset(&file_name(path))?;
    let Some(entries) = Entries::<34>::open(path)? else { return Ok(()) };
    for at in 0..entries.count {
        let bytes = entries.read(at)?;
        let number =
            |at: usize| bytes.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map_or(0, i64::from_be_bytes);
        let version = i16::from_be_bytes([bytes[0], bytes[1]]);
        if version > 0 {
            let message = format!(
                "Unexpected aborted transaction version {version} in transaction index {}, current version is 0",
                absolute_path(path)
            );
            return Err(Exception::new("org.apache.kafka.common.KafkaException", message));
        }
        let [producer, first, last, stable] = [number(2), number(10), number(18), number(26)];
        output.line(format_args!(
            "version: {version} producerId: {producer} firstOffset: {first} lastOffset: {last} lastStableOffset: {stable}"
        ));
    }
    Ok(())
}

/// Prints a `.snapshot` file.
pub fn dump_producers(path: &Path, output: &mut Output) -> Result<(), Exception> {
    let bytes = fs::read(path).map_err(|error| file_error(path, &error))?;
    match producers(&bytes) {
        Ok(lines) => lines.iter().for_each(|line| output.line(line)),
        Err(why) => output.error_line(why),
    }
    Ok(())
}

/// Formats a line for each producer. The error is the message of Kafka's `ProducerStateManager`.
fn producers(bytes: &[u8]) -> Result<Vec<String>, String> {
    const ENTRIES_AT: usize = 6;
    const ENTRY: usize = 46;
    let invalid = |why: &str| format!("Snapshot failed schema validation: {why}");
    let (version, rest) = bytes.split_first_chunk().ok_or_else(|| invalid("null"))?;
    let version = i16::from_be_bytes(*version);
    if version != 1 {
        return Err(invalid(&format!("Snapshot contained an unknown file version {version}")));
    }
    let (stored, rest) = rest.split_first_chunk().ok_or_else(|| invalid("null"))?;
    let (count, entries) = rest.split_first_chunk().ok_or_else(|| invalid("null"))?;
    let (stored, count) = (u32::from_be_bytes(*stored), i32::from_be_bytes(*count));
    let count =
        usize::try_from(count).map_err(|_| invalid("non-nullable field producerEntries was serialized as null"))?;
    let remaining = entries.len();
    if count > remaining {
        return Err(invalid(&format!(
            "Tried to allocate a collection of size {count}, but there are only {remaining} bytes remaining."
        )));
    }
    let entries = entries.get(..count * ENTRY).ok_or_else(|| invalid("null"))?;
    let computed = crc32c::crc32c(bytes.get(ENTRIES_AT..).unwrap_or_default());
    if stored != computed {
        return Err(format!(
            "Snapshot is corrupt (CRC is no longer valid). Stored crc: {stored}. Computed crc: {computed}"
        ));
    }
    Ok(entries.chunks_exact(ENTRY).map(producer).collect())
}

fn producer(mut entry: &[u8]) -> String {
    use bytes::Buf as _;
    let id = entry.get_i64();
    let epoch = entry.get_i16();
    let last_sequence = entry.get_i32();
    let last_offset = entry.get_i64();
    let offset_delta = entry.get_i32();
    let timestamp = entry.get_i64();
    let coordinator_epoch = entry.get_i32();
    let first_offset = entry.get_i64();
    let txn = if first_offset >= 0 { format!("OptionalLong[{first_offset}]") } else { "OptionalLong.empty".to_owned() };
    let mut line = format!(
        "producerId: {id} producerEpoch: {epoch} coordinatorEpoch: {coordinator_epoch} currentTxnFirstOffset: {txn} \
         lastTimestamp: {timestamp}"
    );
    if last_offset >= 0 {
        let first_sequence = (i64::from(last_sequence) - i64::from(offset_delta)).rem_euclid(1 << 31);
        line.push_str(&format!(
            " firstSequence: {first_sequence} lastSequence: {last_sequence} lastOffset: {last_offset} \
             offsetDelta: {offset_delta} timestamp: {timestamp}"
        ));
    }
    line
}

/// Returns the path of the file with the same base name and another suffix.
fn with_suffix(path: &Path, kind: &str) -> PathBuf {
    let name = file_name(path);
    let stem = name.split('.').next().unwrap_or_default();
    absolute(path).unwrap_or_else(|_| path.to_path_buf()).with_file_name(format!("{stem}.{kind}"))
}

fn absolute_path(path: &Path) -> String {
    absolute(path).unwrap_or_else(|_| path.to_path_buf()).display().to_string()
}

fn corrupt_index(message: String) -> Exception {
    Exception::new("org.apache.kafka.storage.internals.log.CorruptIndexException", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], expect: Result<&[&str], &str>) {
        let read = producers(bytes);
        let lines = read.as_ref().map(|lines| lines.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(lines.as_deref().map_err(|why| why.as_str()), expect);
    }

    #[test]
    fn producer_snapshots_are_printed_or_refused_with_kafkas_message() {
        let entry = |last_offset: i64| {
            let fields: [&[u8]; 8] = [
                &7i64.to_be_bytes(),
                &1i16.to_be_bytes(),
                &2i32.to_be_bytes(),
                &last_offset.to_be_bytes(),
                &5i32.to_be_bytes(),
                &9i64.to_be_bytes(),
                &(-1i32).to_be_bytes(),
                &(-1i64).to_be_bytes(),
            ];
            fields.concat()
        };
        let file = |entries: &[u8], count: i32| {
            let body = [&count.to_be_bytes()[..], entries].concat();
            [&1i16.to_be_bytes()[..], &crc32c::crc32c(&body).to_be_bytes(), &body].concat()
        };
        let line = "producerId: 7 producerEpoch: 1 coordinatorEpoch: -1 currentTxnFirstOffset: OptionalLong.empty lastTimestamp: 9";
        check(&file(&entry(-1), 1), Ok(&[line]));
        let batch = " firstSequence: 2147483645 lastSequence: 2 lastOffset: 30 offsetDelta: 5 timestamp: 9";
        check(&file(&entry(30), 1), Ok(&[&format!("{line}{batch}")]));
        check(&[], Err("Snapshot failed schema validation: null"));
        check(&[0, 9], Err("Snapshot failed schema validation: Snapshot contained an unknown file version 9"));
        check(&file(&entry(-1)[..20], 1), Err("Snapshot failed schema validation: null"));
        let mut flipped = file(&[], 0);
        flipped[3] ^= 1;
        assert!(
            producers(&flipped).unwrap_err().starts_with("Snapshot is corrupt (CRC is no longer valid). Stored crc: ")
        );
    }
}
