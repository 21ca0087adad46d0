//! Prints segments and snapshots: batches and, optionally, their records.

use std::path::Path;

use bytes::Bytes;

use super::batches::{BatchFile, FoundBatch, corrupt};
use super::decoders::Decoder;
use super::problems::Problems;
use super::{file_name, start_offset};
use crate::cli::tools::exceptions::Exception;
use crate::cli::tools::output::Output;
use crate::cli::tools::schema_json;
use ottla_core::metadata::records::control::{
    KRaftVersionRecord, LeaderChangeMessage, SnapshotFooterRecord, SnapshotHeaderRecord, VotersRecord,
};
use ottla_wire::codec::{Reader, Schema};
use ottla_wire::record::compress::MAX_EXPANSION;
use ottla_wire::record::control::{ControlType, EndTxnMarker};
use ottla_wire::record::{Batch, BatchHeader, Codec, MAGIC_V2, OldMessage, Record, TimestampType, expand_wrapper};
use ottla_wire::types::{NO_SEQUENCE, NO_TIMESTAMP, Offset, TimestampMs};

const BOOTSTRAP: &str = "bootstrap.checkpoint";

/// What to print of a file of batches.
#[derive(Debug)]
pub struct LogOptions {
    /// Print records too.
    pub records: bool,
    /// Print keys and values too, with this decoder.
    pub contents: Option<Decoder>,
    /// Print only keys and values of records.
    pub skip_metadata: bool,
    /// The number of bytes of the file to read.
    pub max_bytes: i32,
}

/// Prints a `.log` or `.checkpoint` file.
pub fn dump(path: &Path, options: &LogOptions, problems: &mut Problems, output: &mut Output) -> Result<(), Exception> {
    let name = file_name(path);
    if name.ends_with(".log") {
        output.line(format_args!("Log starting offset: {}", start_offset(&name)?));
    } else if name == BOOTSTRAP {
        output.line("KRaft bootstrap snapshot");
    } else {
        let (offset, epoch) = snapshot_id(&name)?;
        output.line(format_args!("Snapshot end offset: {offset}, epoch: {epoch}"));
    }
    let limit = u64::try_from(options.max_bytes).map_err(|_| {
        Exception::illegal_argument(format!("Invalid size: {} in read from {}", options.max_bytes, path.display()))
    })?;
    let file = BatchFile::open(path, limit)?;
    let mut dump = LogDump { path, file: &file, options, output, problems, previous: -1 };
    let mut position = 0;
    while let Some(batch) = file.batch_at(position, file.end())? {
        dump.batch(&batch)?;
        position += batch.size;
    }
    let trailing = file.end() - position;
    if trailing > 0 && options.max_bytes == i32::MAX {
        output.line(format_args!("Found {trailing} invalid bytes at the end of {name}"));
    }
    Ok(())
}

/// Parses the offset and epoch in a snapshot's name, as Kafka's `Snapshots.parse` does.
fn snapshot_id(name: &str) -> Result<(Offset, i32), Exception> {
    let part = |range: std::ops::Range<usize>| name.get(range).unwrap_or(name);
    let not_number =
        |text: &str| Exception::new("java.lang.NumberFormatException", format!("For input string: \"{text}\""));
    let (offset, epoch) = (part(0..20), part(21..31));
    Ok((offset.parse().map_err(|_| not_number(offset))?, epoch.parse().map_err(|_| not_number(epoch))?))
}

struct LogDump<'a> {
    path: &'a Path,
    file: &'a BatchFile,
    options: &'a LogOptions,
    output: &'a mut Output,
    problems: &'a mut Problems,
    /// The offset of the previous record.
    previous: Offset,
}

/// The parts of a record's line, in any message format.
struct Line<'a> {
    offset: Offset,
    timestamp_type: &'static str,
    timestamp: TimestampMs,
    key: Option<&'a Bytes>,
    value: Option<&'a Bytes>,
    /// Text that only the record's format has.
    more: String,
}

impl LogDump<'_> {
    fn batch(&mut self, found: &FoundBatch) -> Result<(), Exception> {
        if found.magic < MAGIC_V2 { self.old_batch(found) } else { self.batch_v2(found) }
    }

    fn batch_v2(&mut self, found: &FoundBatch) -> Result<(), Exception> {
        let header = self.file.header(found)?;
        let horizon =
            header.delete_horizon().map_or("OptionalLong.empty".to_owned(), |at| format!("OptionalLong[{at}]"));
        self.output.text(&format!(
            "baseOffset: {} lastOffset: {} count: {} baseSequence: {} lastSequence: {} producerId: {} \
             producerEpoch: {} partitionLeaderEpoch: {} isTransactional: {} isControl: {} deleteHorizonMs: {horizon}",
            header.base_offset,
            header.last_offset(),
            header.record_count,
            header.base_sequence,
            sequence(&header, i64::from(header.last_offset_delta)),
            header.producer_id,
            header.producer_epoch,
            header.partition_leader_epoch,
            header.is_transactional(),
            header.is_control(),
        ));
        let codec = codec_name(header.attributes & 0b111)?;
        let is_valid = self.file.crc_matches(found, &header)?;
        let times = (time_name(header.timestamp_type()), header.max_timestamp);
        self.batch_end(found, times, codec, header.crc, is_valid);
        if self.options.records {
            self.records_v2(found, &header)?;
        }
        Ok(())
    }

    /// Prints the end of a batch's line, which is the same for all formats.
    fn batch_end(&mut self, found: &FoundBatch, times: (&str, TimestampMs), codec: &str, crc: u32, is_valid: bool) {
        let FoundBatch { position, size, magic, .. } = found;
        let (time_type, time) = times;
        self.output.line(format_args!(
            " position: {position} {time_type}: {time} size: {size} magic: {magic} compresscodec: {codec} crc: {crc} \
             isvalid: {is_valid}"
        ));
    }

    fn records_v2(&mut self, found: &FoundBatch, header: &BatchHeader) -> Result<(), Exception> {
        let mut bytes = self.file.bytes_of(found)?;
        if found.magic != MAGIC_V2 {
            let mut known = bytes.to_vec();
            known[16] = MAGIC_V2.cast_unsigned();
            bytes = known.into();
        }
        let batch = Batch::parse(&bytes).map_err(|error| corrupt(&error))?;
        for record in batch.records() {
            let record = record.map_err(|error| corrupt(&error))?;
            let mut more = String::new();
            if !self.options.skip_metadata {
                let keys = record.headers.iter().map(|header| String::from_utf8_lossy(&header.key));
                let keys = keys.collect::<Vec<_>>().join(",");
                let sequence = match header.base_sequence {
                    ..0 => NO_SEQUENCE,
                    _ => sequence(header, record.offset - header.base_offset),
                };
                more = format!(" sequence: {sequence} headerKeys: [{keys}]");
                if header.is_control() {
                    more.push_str(&control_text(&record)?);
                }
            }
            let line = Line {
                offset: record.offset,
                timestamp_type: time_name(header.timestamp_type()),
                timestamp: record.timestamp,
                key: record.key.as_ref(),
                value: record.value.as_ref(),
                more,
            };
            self.record(&line, header.is_control())?;
        }
        Ok(())
    }

    /// Prints a message of format 0 or 1. If it is compressed, its inner messages are its records.
    fn old_batch(&mut self, found: &FoundBatch) -> Result<(), Exception> {
        let bytes = self.file.bytes_of(found)?;
        let (message, is_valid) = OldMessage::parse_unchecked(&bytes).map_err(|error| corrupt(&error))?;
        let codec = codec_name(i16::from(message.attributes & 0b111))?;
        let time_type = old_time_name(&message);
        self.output.text(&format!("offset: {}", message.offset));
        self.batch_end(found, (time_type, message.timestamp), codec, crc_of(&bytes), is_valid);
        if !self.options.records {
            return Ok(());
        }
        match message.codec().map_err(|error| corrupt(&error))? {
            Codec::None => self.old_record(&bytes, &message, is_valid),
            codec => self.wrapped(&message, codec),
        }
    }

    fn old_record(&mut self, bytes: &Bytes, message: &OldMessage<'_>, is_valid: bool) -> Result<(), Exception> {
        let own = |field: Option<&[u8]>| field.map(Bytes::copy_from_slice);
        let (key, value) = (own(message.key), own(message.value));
        let line = Line {
            offset: message.offset,
            timestamp_type: old_time_name(message),
            timestamp: message.timestamp,
            key: key.as_ref(),
            value: value.as_ref(),
            more: format!(" isValid: {is_valid} crc: {}", crc_of(bytes)),
        };
        self.record(&line, false)
    }

    fn wrapped(&mut self, wrapper: &OldMessage<'_>, codec: Codec) -> Result<(), Exception> {
        let inner = Bytes::from(expand_wrapper(wrapper, codec, MAX_EXPANSION).map_err(|error| corrupt(&error))?);
        let mut messages = Vec::new();
        let mut rest = inner.clone();
        while let Some(length) = rest.get(8..12).and_then(|length| length.try_into().ok()).map(u32::from_be_bytes) {
            let size = (length as usize).saturating_add(12);
            if size > rest.len() {
                break;
            }
            messages.push(rest.split_to(size));
        }
        let mut last = 0;
        if let Some(bytes) = messages.last() {
            last = OldMessage::parse_unchecked(bytes).map_err(|error| corrupt(&error))?.0.offset;
        }
        for bytes in &messages {
            let (mut message, is_valid) = OldMessage::parse_unchecked(bytes).map_err(|error| corrupt(&error))?;
            if wrapper.magic > 0 {
                // The inner offsets of a wrapper of format 1 are relative; the wrapper has the last absolute offset.
                message.offset = message.offset.wrapping_add(wrapper.offset.wrapping_sub(last));
            }
            if wrapper.timestamp_type() == TimestampType::LogAppendTime {
                message.timestamp = wrapper.timestamp;
                message.attributes = wrapper.attributes;
            }
            self.old_record(bytes, &message, is_valid)?;
        }
        Ok(())
    }

    fn record(&mut self, line: &Line<'_>, is_control: bool) -> Result<(), Exception> {
        if line.offset != self.previous.wrapping_add(1) {
            self.problems.non_consecutive(self.path, self.previous, line.offset);
        }
        self.previous = line.offset;
        let mut prefix = "| ";
        if !self.options.skip_metadata {
            let size = |field: Option<&Bytes>| field.map_or(-1, |bytes| bytes.len() as i64);
            let (key, value) = (size(line.key), size(line.value));
            let (time_type, time, more) = (line.timestamp_type, line.timestamp, &line.more);
            self.output.text(&format!(
                "| offset: {} {time_type}: {time} keySize: {key} valueSize: {value}{more}",
                line.offset
            ));
            prefix = " ";
        }
        if let Some(decoder) = self.options.contents.as_ref().filter(|_| !is_control) {
            let (key, value) = decoder.decode(line.offset, line.key, line.value)?;
            if let Some(key) = key {
                self.output.text(prefix);
                self.output.text("key: ");
                self.output.bytes(&key);
                prefix = " ";
            }
            if let Some(value) = value {
                self.output.text(prefix);
                self.output.text("payload: ");
                self.output.bytes(&value);
            }
        }
        self.output.line("");
        Ok(())
    }
}

/// Adds `delta` to a batch's base sequence, as Java does: it wraps to 0 after the maximum. Invalid base sequences are
/// not checked.
fn sequence(header: &BatchHeader, delta: i64) -> i32 {
    let base = header.base_sequence;
    let delta = i32::try_from(delta).unwrap_or(0);
    match base {
        NO_SEQUENCE => NO_SEQUENCE,
        _ if base > i32::MAX.wrapping_sub(delta) => delta.wrapping_sub(i32::MAX - base).wrapping_sub(1),
        _ => base.wrapping_add(delta),
    }
}

fn control_text(record: &Record) -> Result<String, Exception> {
    let key = record.key.as_deref().unwrap_or_default();
    let value = record.value.clone().unwrap_or_default();
    let (name, schema) = match ControlType::from_key(key).map_err(|error| corrupt(&error))? {
        Some(kind @ (ControlType::Abort | ControlType::Commit)) => {
            let marker = EndTxnMarker::from_value(&value).map_err(|error| corrupt(&error))?;
            let kind = if kind == ControlType::Commit { "COMMIT" } else { "ABORT" };
            return Ok(format!(" endTxnMarker: {kind} coordinatorEpoch: {}", marker.coordinator_epoch));
        }
        Some(ControlType::LeaderChange) => (" LeaderChange: ", Schema::of::<LeaderChangeMessage>()),
        Some(ControlType::SnapshotHeader) => (" SnapshotHeader ", Schema::of::<SnapshotHeaderRecord>()),
        Some(ControlType::SnapshotFooter) => (" SnapshotFooter ", Schema::of::<SnapshotFooterRecord>()),
        Some(ControlType::KRaftVersion) => (" KRaftVersion ", Schema::of::<KRaftVersionRecord>()),
        Some(ControlType::KRaftVoters) => (" KRaftVoters ", Schema::of::<VotersRecord>()),
        None => {
            let number = key.get(2..4).map_or(-1, |bytes| i16::from_be_bytes([bytes[0], bytes[1]]));
            return Ok(format!(" controlType: UNKNOWN({number})"));
        }
    };
    let mut text = name.to_owned();
    schema_json::write(&schema, &mut Reader::new(value), 0, &mut text)
        .map_err(|error| Exception::new("java.lang.RuntimeException", error.to_string()))?;
    Ok(text)
}

fn codec_name(id: i16) -> Result<&'static str, Exception> {
    let codec = u8::try_from(id).ok().and_then(|id| Codec::from_id(id).ok());
    codec.map(Codec::name).ok_or_else(|| Exception::illegal_argument(format!("Unknown compression type id: {id}")))
}

fn time_name(timestamp_type: TimestampType) -> &'static str {
    match timestamp_type {
        TimestampType::CreateTime => "CreateTime",
        TimestampType::LogAppendTime => "LogAppendTime",
    }
}

fn old_time_name(message: &OldMessage<'_>) -> &'static str {
    match message.magic {
        0 => "NoTimestampType",
        _ => time_name(message.timestamp_type()),
    }
}

/// Returns the stored CRC of a message of format 0 or 1.
fn crc_of(bytes: &[u8]) -> u32 {
    bytes.get(12..16).and_then(|crc| crc.try_into().ok()).map_or(0, u32::from_be_bytes)
}

/// Returns the maximum timestamp of a batch's records; -1 if it has no records.
pub fn max_timestamp(file: &BatchFile, found: &FoundBatch) -> Result<TimestampMs, Exception> {
    let bytes = file.bytes_of(found)?;
    if found.magic < MAGIC_V2 {
        let (message, _) = OldMessage::parse_unchecked(&bytes).map_err(|error| corrupt(&error))?;
        return Ok(message.timestamp);
    }
    let batch = Batch::parse(&bytes).map_err(|error| corrupt(&error))?;
    let mut max = NO_TIMESTAMP;
    for record in batch.records() {
        max = max.max(record.map_err(|error| corrupt(&error))?.timestamp);
    }
    Ok(max)
}
