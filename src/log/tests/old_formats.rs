//! Logs written by older brokers: segments of formats 0 and 1, and mixed ones.
//!
//! The files, the dumps of Apache Kafka's own tool, and a description of how they were made are in
//! `tests/data/old-formats`.

use super::*;
use crate::segment::Segment;
use crate::walk::{Source, Step, Walk};
use ottla_wire::record::{Batch, BatchHeader, OldFormat, Record, TimestampType, down_convert};

/// Base offset, bytes, and Kafka's dump of each segment.
const SEGMENTS: [(Offset, &[u8], &str); 3] = [
    (
        0,
        include_bytes!("../../../tests/data/old-formats/00000000000000000000.log"),
        include_str!("../../../tests/data/old-formats/00000000000000000000.dump"),
    ),
    (
        12,
        include_bytes!("../../../tests/data/old-formats/00000000000000000012.log"),
        include_str!("../../../tests/data/old-formats/00000000000000000012.dump"),
    ),
    (
        36,
        include_bytes!("../../../tests/data/old-formats/00000000000000000036.log"),
        include_str!("../../../tests/data/old-formats/00000000000000000036.dump"),
    ),
];
const END: Offset = 91;
/// The base of the timestamps in the files: a record's timestamp is about ten milliseconds per offset later.
const FIRST: TimestampMs = 1_700_000_000_000;

fn put(fixture: &Fixture, name: &str, bytes: &[u8]) {
    fixture.disk.write_atomic(&file(fixture, name), bytes, false).expect("writes");
}

/// Writes the first `count` segments into the fixture's folder, without indexes.
fn put_segments(fixture: &Fixture, count: usize) {
    fixture.disk.create_folder(&fixture.folder).expect("creates");
    for (base, bytes, _) in &SEGMENTS[..count] {
        put(fixture, &format!("{base:020}.log"), bytes);
    }
}

/// Dumps a segment like Kafka's tool: a line for each batch and each record.
fn dump(bytes: &[u8]) -> Vec<String> {
    let bytes = bytes::Bytes::copy_from_slice(bytes);
    let mut position = 0;
    let mut lines = Vec::new();
    for batch in batches(&bytes) {
        let batch = batch.expect("whole");
        lines.push(batch_line(&batch, position));
        position += batch.bytes().len();
        lines.extend(batch.records().map(|record| record_line(batch.header(), &record.expect("readable"))));
    }
    lines
}

fn batch_line(batch: &Batch, position: usize) -> String {
    let header = batch.header();
    let offsets = match header.is_old() {
        true => format!("offset: {}", header.last_offset()),
        false => format!(
            "baseOffset: {} lastOffset: {} count: {} baseSequence: -1 lastSequence: -1 producerId: -1 producerEpoch: -1 \
             partitionLeaderEpoch: -1 isTransactional: false isControl: false deleteHorizonMs: OptionalLong.empty",
            header.base_offset,
            header.last_offset(),
            header.record_count
        ),
    };
    format!(
        "{offsets} position: {position} {}: {} size: {} magic: {} compresscodec: {} crc: {} isvalid: {}",
        type_name(header),
        header.max_timestamp,
        header.size(),
        header.magic,
        header.codec().expect("a codec").name(),
        header.crc,
        batch.check_crc().is_ok()
    )
}

fn record_line(header: &BatchHeader, record: &Record) -> String {
    let size = |field: &Option<bytes::Bytes>| field.as_ref().map_or(-1, |bytes| bytes.len() as i32);
    let text = |name: &str, field: &Option<bytes::Bytes>| {
        field.as_ref().map_or(String::new(), |bytes| format!(" {name}: {}", String::from_utf8_lossy(bytes)))
    };
    format!(
        "| offset: {} {}: {} keySize: {} valueSize: {}{}{}{}",
        record.offset,
        type_name(header),
        record.timestamp,
        size(&record.key),
        size(&record.value),
        if header.is_old() { "" } else { " sequence: -1 headerKeys: []" },
        text("key", &record.key),
        text("payload", &record.value)
    )
}

fn type_name(header: &BatchHeader) -> &'static str {
    match header.timestamp_type() {
        _ if header.magic == 0 => "NoTimestampType",
        TimestampType::CreateTime => "CreateTime",
        TimestampType::LogAppendTime => "LogAppendTime",
    }
}

/// Returns a line of the tool without the checksum of a message in a wrapper, which our dump does not have.
fn without_inner_crc(line: &str) -> String {
    match line.split_once(" isValid: true crc: ") {
        Some((before, after)) => format!("{before}{}", after.trim_start_matches(|digit: char| digit.is_ascii_digit())),
        None => line.to_owned(),
    }
}

#[test]
fn dump_of_old_format_segments_equals_kafkas() {
    for (base, bytes, theirs) in SEGMENTS {
        let theirs: Vec<_> = theirs
            .lines()
            .filter(|line| ["|", "offset", "baseOffset"].iter().any(|kind| line.starts_with(kind)))
            .collect();
        assert_eq!(dump(bytes), theirs.iter().map(|line| without_inner_crc(line)).collect::<Vec<_>>(), "{base}");
    }
}

/// Describes a batch for an old consumer in the format of `DownConvert.java`.
fn converted_line(batch: &Batch) -> String {
    let header = batch.header();
    let size = |field: &Option<bytes::Bytes>| field.as_ref().map_or(-1, |bytes| bytes.len() as i32);
    let codec = header.codec().expect("a codec");
    let mut line = format!(
        "  magic {} {} to {} {} {}",
        header.magic,
        codec.name(),
        header.last_offset(),
        type_name(header),
        header.max_timestamp
    );
    if codec == Codec::None {
        line += &format!(" crc {}", header.crc);
    }
    for record in batch.records().map(|record| record.expect("readable")) {
        let (key, value) = (size(&record.key), size(&record.value));
        line += &format!(" | {} {} {key} {value}", record.offset, record.timestamp);
    }
    line
}

#[test]
fn down_converted_batches_equal_kafkas() {
    let mut ours = String::new();
    for (magic, format) in [(0, OldFormat::V0), (1, OldFormat::V1)] {
        for (index, first) in [(1, 0), (1, 13), (2, 0), (2, 49)] {
            let (base, bytes, _) = SEGMENTS[index];
            ours += &format!("segment {base} to magic {magic} from {first}\n");
            let stored = bytes::Bytes::from_static(bytes);
            let converted = down_convert(&stored, format, first).expect("converts");
            for batch in batches(&converted) {
                let batch = batch.expect("whole");
                batch.check_crc().expect("a valid CRC");
                ours += &format!("{}\n", converted_line(&batch));
            }
        }
    }
    assert_eq!(ours, include_str!("../../../tests/data/old-formats/down-converted.txt"));
}

/// Returns all records of the segments: offset and value.
fn all_records() -> Vec<(Offset, String)> {
    let read = |bytes: &[u8]| -> Vec<Record> {
        let bytes = bytes::Bytes::copy_from_slice(bytes);
        batches(&bytes)
            .flat_map(|batch| batch.expect("whole").records())
            .map(|record| record.expect("readable"))
            .collect()
    };
    let records = SEGMENTS.iter().flat_map(|(_, bytes, _)| read(bytes));
    let value = |record: &Record| String::from_utf8_lossy(record.value.as_deref().unwrap_or_default()).into_owned();
    records.map(|record| (record.offset, value(&record))).collect()
}

#[test]
fn log_with_all_formats_is_opened_and_read() {
    on_every_backing(|fixture| {
        put_segments(&fixture, 3);
        let mut log = fixture.reopen_killed(None);
        let size: usize = SEGMENTS.iter().map(|(_, bytes, _)| bytes.len()).sum();
        assert_eq!((log.start_offset(), log.end_offset(), log.size()), (0, END, size as u64));
        let report = log.take_open_report().expect("a report");
        assert_eq!((report.truncated_bytes, report.set_aside.len()), (0, 0));
        assert_eq!(records_from(&log, 0), all_records());
        let bytes = log.read(12, 10_000, true, Offset::MAX).expect("reads").bytes;
        assert_eq!(bytes, SEGMENTS[1].1, "served unconverted");
        assert_equals_full_scan(&fixture, &log);
        fixture.close(log);
        let log = fixture.open();
        assert_eq!((log.end_offset(), log.size()), (END, size as u64));
        assert_eq!(records_from(&log, 0), all_records());
        assert!(fixture.names().contains(&"leader-epoch-checkpoint".to_owned()), "the file exists without an epoch");
    });
}

/// The positions are those at which reads of Apache Kafka 4.3.1 begin.
#[test]
fn read_of_old_formats_at_every_offset_begins_where_kafkas_does() {
    on_every_backing(|fixture| {
        put_segments(&fixture, 3);
        let log = fixture.reopen_killed(None);
        let positions: [(Offset, usize); 23] = [
            (0, 0),
            (1, 81),
            (4, 188),
            (10, 448),
            (12, 593),
            (13, 684),
            (16, 809),
            (20, 942),
            (25, 1353),
            (30, 1608),
            (37, 1998),
            (40, 2107),
            (46, 2372),
            (50, 2690),
            (55, 2864),
            (61, 3185),
            (65, 3381),
            (71, 3650),
            (73, 3787),
            (83, 3787),
            (84, 3922),
            (88, 4013),
            (90, 4098),
        ];
        let files = SEGMENTS.map(|(_, bytes, _)| bytes).concat();
        for from in 0..END {
            let slice = log.read(from, 1, true, Offset::MAX).expect("reads");
            let batch = batches(&slice.bytes).next().expect("one").expect("whole");
            assert!(batch.header().last_offset() >= from);
            let at =
                files.windows(slice.bytes.len()).position(|window| window == slice.bytes).expect("as in the files");
            if let Some((_, expect)) = positions.iter().find(|(offset, _)| *offset == from) {
                assert_eq!(at, *expect, "{from}");
            }
            // Longer reads, which use the indexes, begin at the same position, and the next read continues seamlessly.
            for max in [300, 1000, 10_000] {
                let slice = log.read(from, max, true, Offset::MAX).expect("reads");
                assert_eq!(files[at..at + slice.bytes.len()], slice.bytes, "{from}, {max} bytes");
                let rest = log.read(slice.next_offset, 1, true, Offset::MAX).expect("reads").bytes;
                assert!(files[at + slice.bytes.len()..].starts_with(&rest), "{from}, {max} bytes");
            }
        }
    });
}

/// Checks the offset and timestamp that a query finds.
#[track_caller]
fn check_time(log: &Log, query: TimestampQuery, expect: Option<(Offset, TimestampMs)>) {
    let found = log.offset_for_timestamp(query).expect("looks up");
    assert_eq!(found.map(|found| (found.offset, found.timestamp)), expect, "{query:?}");
    assert!(found.is_none_or(|found| found.leader_epoch == -1), "old messages have no epoch");
}

#[test]
fn offset_for_timestamp_in_old_formats_equals_kafkas() {
    on_every_backing(|fixture| {
        put_segments(&fixture, 3);
        written_long_ago(&fixture);
        let log = fixture.reopen_killed(None);
        for (timestamp, found, at) in [
            (-1, 12, 120),
            (5, 12, 120),
            (129, 13, 129),
            (130, 15, 150),
            (155, 16, 159),
            (160, 18, 180),
            (245, 24, 245),
            (246, 27, 275),
            (360, 48, 480),
            (489, 49, 489),
            (490, 51, 510),
            (600, 60, 600),
            (610, 63, 630),
            (799, 82, 799),
            (840, 85, 840),
            (849, 89, 849),
        ] {
            check_time(&log, TimestampQuery::At(FIRST + timestamp), Some((found, FIRST + at)));
        }
        check_time(&log, TimestampQuery::At(FIRST + 850), None);
        check_time(&log, TimestampQuery::Max, Some((89, FIRST + 849)));
        check_time(&log, TimestampQuery::Earliest, Some((0, -1)));
        check_time(&log, TimestampQuery::Latest, Some((END, -1)));
        assert_eq!([-1, 0, 1].map(|epoch| log.end_offset_for_epoch(epoch)), [None; 3]);
    });
}

/// Sets the modification time of the first segment to long before the records of the others.
fn written_long_ago(fixture: &Fixture) {
    let path = file(fixture, "00000000000000000000.log");
    // On a simulated disk the file doesn't exist here, and its time is 0 anyway.
    if let Ok(file) = std::fs::File::options().write(true).open(path) {
        file.set_modified(std::time::UNIX_EPOCH).expect("sets the time");
    }
}

#[test]
fn segment_without_timestamps_is_dated_by_file_modification() {
    let temporary = tempfile::tempdir().expect("a temporary folder");
    let mut fixture = Fixture::on(Disk::mapped(), temporary.path().join("t-0"), None);
    put_segments(&fixture, 3);
    // The file was written just now, later than the requested time, so that Kafka looks in it and finds nothing.
    check_time(&fixture.reopen_killed(None), TimestampQuery::At(FIRST), None);
    written_long_ago(&fixture);
    let day = 24 * 60 * 60 * 1000;
    fixture.config.retention_ms = day;
    let mut log = fixture.reopen_killed(None);
    let marks: Vec<_> = log.segment_timestamps().expect("marks");
    assert_eq!(marks, [(0, 0), (12, FIRST + 335), (36, FIRST + 849)]);
    log.housekeep(FIRST + 300).expect("housekeeps").unlink().expect("unlinks");
    assert_eq!(log.start_offset(), 12, "the first segment is too old");
}

#[test]
fn append_after_old_format_messages_continues_their_offsets() {
    on_every_backing(|mut fixture| {
        put_segments(&fixture, 2);
        fixture.config.segment_ms = 1000;
        let mut log = fixture.reopen_killed(None);
        assert_eq!(log.end_offset(), 36);
        // The age of the segment counts from the timestamp of its first message, of an old format.
        assert!(!log.append(&batch_at(FIRST + 120 + 1000, &["a"]), CLIENT).expect("appends").rolled);
        assert!(log.append(&batch_at(FIRST + 120 + 1001, &["b"]), CLIENT).expect("appends").rolled);
        assert_eq!(log.end_offset_for_epoch(0), Some((0, 38)));
        let expect = [&all_records()[..36], &[(36, "a".to_owned()), (37, "b".to_owned())]].concat();
        assert_eq!(records_from(&log, 0), expect);
        assert_equals_full_scan(&fixture, &log);
        fixture.close(log);
        let log = fixture.open();
        assert_eq!(records_from(&log, 0), expect);
        let epochs = fixture.disk.read(&file(&fixture, "leader-epoch-checkpoint")).expect("reads").expect("is there");
        assert_eq!(epochs, b"0\n1\n0 36\n");
    });
}

#[test]
fn segment_without_timestamps_rolls_by_time_since_open() {
    let fixture = &mut Fixture::simulated(&Simulation::default());
    put_segments(fixture, 1);
    fixture.config.segment_ms = 1000;
    let mut log = fixture.reopen_killed(None);
    let at = |now| AppendParams { now, ..CLIENT };
    assert!(!log.append(&batch_at(NOW, &["a"]), at(NOW + 1000)).expect("appends").rolled);
    assert!(log.append(&batch_at(NOW, &["b"]), at(NOW + 1001)).expect("appends").rolled);
}

/// Returns the end positions of the batches of a segment.
fn ends(bytes: &[u8]) -> Vec<usize> {
    let starts = ottla_wire::record::headers(bytes).map(|found| found.expect("whole"));
    starts.map(|(at, header)| at + header.size()).collect()
}

#[test]
fn torn_tail_of_old_format_messages_is_truncated() {
    let (_, bytes, _) = SEGMENTS[2];
    for cut in 1..bytes.len() {
        let fixture = Fixture::simulated(&Simulation::default());
        fixture.disk.create_folder(&fixture.folder).expect("creates");
        put(&fixture, "00000000000000000036.log", &bytes[..cut]);
        let mut log = fixture.reopen_killed(None);
        let whole = ends(bytes).into_iter().take_while(|end| *end <= cut).last().unwrap_or(0);
        assert_eq!(log.size(), whole as u64, "cut at {cut}");
        let report = log.take_open_report().map_or(0, |report| report.truncated_bytes);
        // Zeros are taken for preallocated space, which is not reported.
        let zeros = bytes[whole..cut].iter().all(|byte| *byte == 0);
        assert_eq!(report, if zeros { 0 } else { (cut - whole) as u64 });
        log.append(&batch(&["more"]), CLIENT).expect("appends");
    }
}

#[test]
fn corrupt_old_format_message_ends_log_and_later_ones_are_saved() {
    let (_, bytes, _) = SEGMENTS[1];
    let mut start = 0;
    for end in ends(bytes) {
        // Any byte but those of the offset, which the CRC doesn't cover.
        for at in [start + 8, start + 12, start + 16, start + 17, start + 18, end - 1] {
            let fixture = Fixture::simulated(&Simulation::default());
            fixture.disk.create_folder(&fixture.folder).expect("creates");
            let mut corrupt = bytes.to_vec();
            corrupt[at] ^= 0x10;
            put(&fixture, "00000000000000000012.log", &corrupt);
            let mut log = fixture.reopen_killed(None);
            assert_eq!(log.size(), start as u64, "a flipped bit at {at}");
            let report = log.take_open_report().expect("a report");
            assert_eq!(report.set_aside.len(), usize::from(end < bytes.len()), "a flipped bit at {at}");
        }
        start = end;
    }
}

#[test]
fn zeros_after_old_format_messages_are_truncated_without_report() {
    let fixture = Fixture::simulated(&Simulation::default());
    put_segments(&fixture, 1);
    put(&fixture, "00000000000000000000.log", &[SEGMENTS[0].1, &[0; 5000]].concat());
    let mut log = fixture.reopen_killed(None);
    let report = log.take_open_report().expect("a report");
    assert_eq!((log.end_offset(), report.truncated_bytes, report.set_aside.len()), (12, 0, 0));
}

#[test]
fn index_with_first_offsets_of_wrappers_is_used() {
    let fixture = Fixture::simulated(&Simulation::default());
    put_segments(&fixture, 1);
    // The entry of the last wrapper, offsets 9 to 11, has its first offset, as brokers before 0.10.1 wrote it.
    let entry = [9u32.to_be_bytes(), 448u32.to_be_bytes()].concat();
    put(&fixture, "00000000000000000000.index", &entry);
    put(&fixture, "00000000000000000000.timeindex", &[]);
    let log = fixture.open();
    let segment: &Segment = &log.segments[0];
    let files = segment.files(&log.folder).expect("opens");
    for (from, position) in [(9, 448), (11, 448), (8, 303), (0, 0)] {
        let located = files.locate(&log.folder, 0, from).expect("reads").expect("is there");
        assert_eq!(located.position, position, "{from}");
    }
}

#[test]
fn walk_over_corrupt_mixed_formats_terminates() {
    let disk = Disk::simulated(&Simulation::default());
    disk.create_folder(Path::new("/data")).expect("creates");
    let path = PathBuf::from("/data/any");
    let good = SEGMENTS.map(|(_, bytes, _)| bytes).concat();
    let mut random = super::random::Random(7);
    for _ in 0..300 {
        let mut bytes = good.clone();
        for _ in 0..random.below(20) {
            let at = random.below(bytes.len() as u64) as usize;
            bytes[at] = [0, 1, 2, 3, 0x7f, 0x80, 0xff][random.below(7) as usize];
        }
        bytes.truncate(random.below(bytes.len() as u64) as usize);
        disk.write_atomic(&path, &bytes, false).expect("writes");
        let raw = disk.open_to_read(&path).expect("opens").expect("is there");
        let mut walk = Walk::new(Source::Raw(&raw), 0, bytes.len() as u64, 0);
        let (mut next_offset, mut next_position) = (0, 0);
        while let Step::Batch { position, header } = walk.step().expect("reads") {
            assert_eq!(position, next_position);
            assert!(header.last_offset() >= next_offset);
            (next_offset, next_position) = (header.next_offset(), walk.position());
            assert!(next_position > position && next_position <= bytes.len() as u64);
            let _ = walk.crc_matches(position, &header).expect("reads");
            let whole = walk.batch_bytes(position, &header).expect("reads");
            let _ = Batch::parse(&whole).map(|batch| batch.records().count());
        }
    }
}
