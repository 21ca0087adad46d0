//! kafka-dump-log: files of every kind, valid and corrupt.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use ottla_core::coordinator::records::schemas::{
    GROUP_RECORDS, GroupMetadataKey, GroupMetadataValue, MemberMetadataRow, RecordKind, SHARE_STATE_RECORDS,
    TRANSACTION_RECORDS,
};
use ottla_core::metadata::records::RecordBody;
use ottla_core::metadata::records::control::{KRaftVersionRecord, LeaderChangeMessage, VotersRecord};
use ottla_wire::codec::{Message, Schema};
use ottla_wire::protocol::consumer_protocol::{ConsumerProtocolAssignment, ConsumerProtocolSubscription};
use ottla_wire::record::control::{ControlType, EndTxnMarker};
use ottla_wire::record::{BatchBuilder, Codec, OldFormat, down_convert};
use ottla_wire::types::{Offset, ProducerIdEpoch};
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::{Config, RngSeed, TestRunner};
use regex::Regex;
use tempfile::TempDir;

use super::side_by_side::{self, Ran};
use crate::harness::trials;
use common::Broker;
use common::messages::{generate_record, tape};
use libtest_mimic::Trial;

const CODECS: [Codec; 5] = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];
const NOW: i64 = 1_700_000_000_000;
/// The options that each file of batches is printed with.
const DEPTHS: [&str; 6] = [
    "",
    "--deep-iteration",
    "--print-data-log",
    "--print-data-log --skip-record-metadata",
    "--deep-iteration --skip-record-metadata",
    "--print-data-log --max-bytes 100",
];

/// Compares what both tools print for these files.
fn dump(files: &[&Path], flags: &str) -> Ran {
    let names: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
    side_by_side::check_errors_too(&format!("kafka-dump-log --files {} {flags}", names.join(",")), normalise)
}

/// Removes characters that Java's stdout can't encode in every locale, tags that 4.3 doesn't have (4.4's, and Ottla's
/// own), the reason of an exit, and help.
fn normalise(text: &str) -> String {
    let newer = r#",?"(storedDescriptionTopologyEpoch|failedDescriptionTopologyEpoch|leaderEpochFloor)":-?\d+"#;
    let newer = Regex::new(newer).unwrap();
    let lines = newer.replace_all(text, "").into_owned();
    let lines = lines.lines().filter(|line| !line.starts_with("Exception in thread"));
    let lines = lines.take_while(|line| !line.starts_with("Option ")).map(|line| format!("{line}\n"));
    lines.collect::<String>().replace(|letter: char| !letter.is_ascii(), "?")
}

struct Directory(TempDir);

impl Directory {
    fn new() -> Directory {
        Directory(TempDir::with_prefix("ottla-test-").unwrap())
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    /// The segment that begins at 0.
    fn log(&self, bytes: &[u8]) -> PathBuf {
        self.write("00000000000000000000.log", bytes)
    }
}

fn plain(codec: Codec) -> BatchBuilder {
    let mut batch = BatchBuilder::new(codec);
    batch.append(NOW, Some(b"key"), Some(b"value"), &[(b"h", Some(b"1")), (b"i", None)]);
    batch.append(NOW + 9, None, Some("välue".as_bytes()), &[]);
    batch.append(NOW + 5, Some(b""), None, &[]);
    batch
}

fn encoded(batch: BatchBuilder, at: Offset) -> Vec<u8> {
    let batch = batch.placed_at(at, 7).build().unwrap();
    [&batch.log_prefix(at, 7)[..], &batch.bytes()[batch.log_prefix(at, 7).len()..]].concat()
}

fn control(kind: ControlType, value: &[u8], at: Offset) -> Vec<u8> {
    let mut batch = BatchBuilder::new(Codec::None).control();
    batch.append(NOW, Some(&kind.to_key()), Some(value), &[]);
    encoded(batch, at)
}

/// Returns batches of every kind in sequence.
fn batches_of_all_kinds() -> Vec<u8> {
    let producer = ProducerIdEpoch { producer_id: 11, epoch: 2 };
    let mut log: Vec<u8> = CODECS.iter().zip(0..).flat_map(|(codec, at)| encoded(plain(*codec), at * 3)).collect();
    log.extend(encoded(plain(Codec::None).log_append_time(NOW + 100), 15));
    log.extend(encoded(plain(Codec::Zstd).producer(producer, i32::MAX - 1).transactional(), 18));
    let marker = EndTxnMarker { coordinator_epoch: 5 }.to_value();
    log.extend(control(ControlType::Commit, &marker, 21));
    log.extend(control(ControlType::Abort, &marker, 22));
    let mut horizon = encoded(plain(Codec::None), 30);
    horizon[22] |= 1 << 6;
    let crc = crc32c::crc32c(&horizon[21..]);
    horizon[17..21].copy_from_slice(&crc.to_be_bytes());
    log.extend(horizon);
    log
}

fn segments_print_the_same() {
    let directory = Directory::new();
    let log = directory.log(&batches_of_all_kinds());
    for flags in DEPTHS {
        let ran = dump(&[&log], flags);
        assert_eq!(ran.code, 0, "{}", ran.err);
    }
    // Records of another segment, with gaps before it and inside it.
    let other = directory
        .write("00000000000000000005.log", &[encoded(plain(Codec::Gzip), 5), encoded(plain(Codec::None), 9)].concat());
    let ran = dump(&[&log, &other], "--deep-iteration");
    assert!(ran.err.contains("  7 is followed by 9\n"), "{}", ran.err);
    let deep = "--key-decoder-class org.apache.kafka.tools.api.StringDecoder --value-decoder-class";
    dump(&[&other], deep);
    dump(&[&other], "--value-decoder-class org.apache.kafka.tools.api.IntegerDecoder");
    dump(&[&other], "--value-decoder-class org.example.Absent");
}

fn old_formats_print_the_same() {
    let directory = Directory::new();
    for format in [OldFormat::V0, OldFormat::V1] {
        let batches = |codec| {
            let stamped = encoded(plain(codec).log_append_time(NOW + 50), 3);
            down_convert(&Bytes::from([encoded(plain(codec), 0), stamped].concat()), format, 0).unwrap()
        };
        for codec in [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4] {
            let bytes = batches(codec);
            let log = directory.log(&bytes);
            for flags in DEPTHS {
                dump(&[&log], flags);
            }
            let mut flipped = bytes.to_vec();
            flipped[13] ^= 1;
            dump(&[&directory.log(&flipped)], "--print-data-log");
        }
    }
}

fn corrupt_segments_print_the_same() {
    let whole = batches_of_all_kinds();
    let directory = Directory::new();
    let check = |bytes: &[u8]| {
        for flags in ["", "--print-data-log", "--deep-iteration --max-bytes 70", "--max-bytes 2000000"] {
            dump(&[&directory.log(bytes)], flags);
        }
    };
    check(&[]);
    check(b"short");
    for torn in [1, 20, 61, 90] {
        check(&whole[..whole.len() - torn]);
    }
    check(&[&whole[..], &[0; 500]].concat());
    check(&[&whole[..], &[0; 13]].concat());
    check(&[&whole[..], &[0xff; 40]].concat());
    // A CRC, a magic, the attributes, offsets, a timestamp, a producer: each is printed as it is in the file.
    for at in [3, 15, 18, 26, 30, 40, 46, 52, 56] {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x40;
        dump(&[&directory.log(&flipped)], "");
    }
    let mut unknown = whole.clone();
    unknown[22] |= 7;
    check(&unknown);
    let mut newer = whole;
    newer[16] = 3;
    check(&newer);
}

fn indexes_print_the_same() {
    let directory = Directory::new();
    let (first, second) = (encoded(plain(Codec::None), 100), encoded(plain(Codec::Gzip), 103));
    let at = |position: usize| u32::try_from(position).unwrap();
    let log = directory.write("00000000000000000100.log", &[&first[..], &second].concat());
    let offsets = |entries: &[(u32, u32)]| {
        let bytes: Vec<u8> = entries.iter().flat_map(|(a, b)| [a.to_be_bytes(), b.to_be_bytes()].concat()).collect();
        directory.write("00000000000000000100.index", &bytes)
    };
    let times = |entries: &[(i64, u32)]| {
        let entry = |(time, offset): &(i64, u32)| [&time.to_be_bytes()[..], &offset.to_be_bytes()].concat();
        directory.write("00000000000000000100.timeindex", &entries.iter().flat_map(entry).collect::<Vec<u8>>())
    };
    let flag_sets = ["", "--verify-index-only", "--index-sanity-check", "--max-message-size 100"];
    let whole = at(first.len());
    for entries in
        [&[][..], &[(5, whole)], &[(2, 0), (5, whole)], &[(1, 0), (4, whole), (0, 0), (9, 9)], &[(5, whole), (2, 0)]]
    {
        let file = offsets(entries);
        flag_sets.iter().for_each(|flags| drop(dump(&[&file], flags)));
    }
    for entries in [&[(5, 3)][..], &[(5, 1_000_000)], &[(5, u32::MAX)], &[(u32::MAX, 0)]] {
        let file = offsets(entries);
        flag_sets.iter().for_each(|flags| drop(dump(&[&file], flags)));
    }
    let torn = directory.write("00000000000000000100.index", &[0; 11]);
    dump(&[&torn], "--index-sanity-check");
    let good = offsets(&[(5, whole)]);
    for entries in [
        &[][..],
        &[(NOW + 9, 2)],
        &[(NOW + 9, 2), (NOW + 9, 5)],
        &[(NOW, 2), (NOW + 10, 5)],
        &[(NOW + 9, 1), (NOW + 10, 77)],
        &[(NOW + 9, 5), (0, 0), (1, 1)],
        &[(NOW + 9, 5), (NOW, 2)],
        &[(NOW, u32::MAX)],
    ] {
        let file = times(entries);
        flag_sets.iter().for_each(|flags| drop(dump(&[&file], flags)));
        dump(&[&log, &good, &file], "--deep-iteration");
    }
}

fn transaction_indexes_and_snapshots_print_the_same() {
    let directory = Directory::new();
    let entry = |version: i16, numbers: [i64; 4]| {
        [version.to_be_bytes().to_vec(), numbers.iter().flat_map(|number| number.to_be_bytes()).collect()].concat()
    };
    let aborted = [entry(0, [7, 0, 9, 3]), entry(0, [8, 4, 12, 10])].concat();
    dump(&[&directory.write("00000000000000000000.txnindex", &aborted)], "");
    dump(&[&directory.write("00000000000000000000.txnindex", &aborted[..40])], "");
    dump(&[&directory.write("00000000000000000000.txnindex", &[])], "");
    let producer = |sequence: i32, last: i64, first_of_txn: i64| {
        let fields: [&[u8]; 8] = [
            &7i64.to_be_bytes(),
            &1i16.to_be_bytes(),
            &sequence.to_be_bytes(),
            &last.to_be_bytes(),
            &5i32.to_be_bytes(),
            &NOW.to_be_bytes(),
            &3i32.to_be_bytes(),
            &first_of_txn.to_be_bytes(),
        ];
        fields.concat()
    };
    let producers = [producer(2, 40, -1), producer(-1, -1, 12), producer(9, 3, 0)].concat();
    let body = [&3i32.to_be_bytes()[..], &producers].concat();
    let file = [&1i16.to_be_bytes()[..], &crc32c::crc32c(&body).to_be_bytes(), &body].concat();
    let name = "00000000000000000041.snapshot";
    dump(&[&directory.write(name, &file)], "");
    dump(&[&directory.write(name, &file[..file.len() - 1])], "");
    dump(&[&directory.write(name, &[])], "");
    for at in [0, 3, 9, 30] {
        let mut flipped = file.clone();
        flipped[at] ^= 1;
        dump(&[&directory.write(name, &flipped)], "");
    }
}

fn wrong_command_lines_give_the_same_errors() {
    let directory = Directory::new();
    let log = directory.log(&encoded(plain(Codec::None), 0));
    let name = log.display();
    let check = |line: &str| side_by_side::check(&format!("kafka-dump-log {line}"), "", normalise);
    check("");
    check("--files");
    check("--bogus");
    check("--deep-iteration");
    check(&format!("--files {name} --files {name}"));
    check(&format!("--files {name} --max-bytes x"));
    check(&format!("--files {name},,"));
    let other = directory.write("readme", b"");
    check(&format!("--files {},{name},nothing.here", other.display()));
    check(&format!("--files {}", directory.0.path().join("00000000000000000009.log").display()));
    check(&format!("--files {}", directory.0.path().join("00000000000000000009.index").display()));
    check(&format!("--files {}", directory.write("x.log", b"").display()));
}

/// A record's key and value.
type KeyAndValue = (Option<Vec<u8>>, Option<Vec<u8>>);

/// Compares how both tools print records generated from their schemas.
fn records_of(values: &[KeyAndValue], decoder: &str) -> Ran {
    let directory = Directory::new();
    let mut log = Vec::new();
    for ((key, value), offset) in values.iter().zip(0..) {
        let mut batch = BatchBuilder::new(Codec::None);
        batch.append(NOW, key.as_deref(), value.as_deref(), &[]);
        log.extend(encoded(batch, offset));
    }
    dump(&[&directory.log(&log)], &format!("{decoder} --skip-record-metadata"))
}

fn random_inputs(count: usize) -> Vec<Vec<u8>> {
    let config = Config { rng_seed: RngSeed::Fixed(5), ..Config::default() };
    let mut runner = TestRunner::new(config);
    (0..count).map(|_| tape().new_tree(&mut runner).unwrap().current()).collect()
}

fn coordinator_records(kinds: &[RecordKind]) -> Vec<KeyAndValue> {
    let mut records = Vec::new();
    for kind in kinds {
        for version in kind.value.versions.clone() {
            for input in random_inputs(12) {
                let key = [&kind.id.to_be_bytes()[..], &generate_record(&kind.key, 0, &input)].concat();
                let value = [&version.to_be_bytes()[..], &generate_record(&kind.value, version, &input)].concat();
                records.push((Some(key), Some(value)));
            }
        }
        let key = [&kind.id.to_be_bytes()[..], &generate_record(&kind.key, 0, &[])].concat();
        records.push((Some(key), None));
    }
    records
}

fn coordinator_records_print_the_same() {
    let ran = records_of(&coordinator_records(GROUP_RECORDS), "--offsets-decoder");
    assert!(!ran.out.contains("skipping"), "{}", ran.out);
    records_of(&coordinator_records(TRANSACTION_RECORDS), "--transaction-log-decoder");
    records_of(&coordinator_records(SHARE_STATE_RECORDS), "--share-group-state-decoder");
    let odd = |key: &[u8], value: &[u8]| vec![(Some(key.to_vec()), Some(value.to_vec()))];
    for decoder in ["--offsets-decoder", "--transaction-log-decoder", "--share-group-state-decoder"] {
        records_of(&odd(&[0, 99], &[]), decoder);
        records_of(&odd(&[0], &[]), decoder);
    }
    records_of(&odd(&[0, 2, 0, 1, b'g'], &[0]), "--offsets-decoder");
    records_of(&odd(&[0, 2, 0, 1, b'g'], &[0, 77]), "--offsets-decoder");
    records_of(&[(None, Some(vec![0]))], "--offsets-decoder");
}

fn member_metadata_prints_the_same() {
    let prefixed = |version: i16, bytes: Vec<u8>| Bytes::from([&version.to_be_bytes()[..], &bytes].concat());
    let mut members = Vec::new();
    for (version, input) in (0..=3).zip(random_inputs(8)).chain((0..=3).zip(random_inputs(4))) {
        let bytes = generate_record(&Schema::of::<ConsumerProtocolSubscription>(), version, &input);
        let assigned = generate_record(&Schema::of::<ConsumerProtocolAssignment>(), version, &input);
        members.push(MemberMetadataRow {
            subscription: prefixed(version, bytes),
            assignment: prefixed(version, assigned),
            ..Default::default()
        });
    }
    members.push(MemberMetadataRow { subscription: Bytes::from_static(b"\0\0?"), ..Default::default() });
    let mut records = Vec::new();
    for protocol_type in ["consumer", "connect"] {
        let group =
            GroupMetadataValue { protocol_type: protocol_type.into(), members: members.clone(), ..Default::default() };
        let key = GroupMetadataKey { group: "g".into() };
        records.push((Some(prefixed(2, bytes_of(&key, 0)).to_vec()), Some(prefixed(3, bytes_of(&group, 3)).to_vec())));
    }
    let ran = records_of(&records, "--offsets-decoder");
    assert!(ran.out.contains("\"subscription\":{\"topics\":["), "{}", ran.out);
}

fn bytes_of(message: &impl Message, version: i16) -> Vec<u8> {
    let mut writer = ottla_wire::codec::Writer::new();
    message.write(&mut writer, version).unwrap();
    writer.into_bytes().to_vec()
}

fn metadata_records_print_the_same() {
    let mut records = Vec::new();
    // Kafka 4.3 has the record types before 29.
    for kind in 0..29 {
        let Some(schema) = RecordBody::schema(kind) else { continue };
        for version in schema.versions.clone() {
            let frame = [1, u8::try_from(kind).unwrap(), u8::try_from(version).unwrap()];
            let values = random_inputs(12).into_iter().map(|input| generate_record(&schema, version, &input));
            records.extend(values.map(|value| (None, Some([&frame[..], &value].concat()))));
        }
    }
    records.extend([&[0, 1][..], &[9, 1], &[1, 99, 0], &[1, 20, 0, 0, 7]].map(|value| (None, Some(value.to_vec()))));
    records_of(&records, "--cluster-metadata-decoder");
}

fn quorum_control_records_print_the_same() {
    let directory = Directory::new();
    let mut log = Vec::new();
    let mut add = |kind: ControlType, schema: Schema| {
        for input in random_inputs(4) {
            let value = generate_record(&schema, 0, &input);
            log.extend(control(kind, &value, 0));
        }
    };
    add(ControlType::LeaderChange, Schema::of::<LeaderChangeMessage>());
    add(ControlType::KRaftVersion, Schema::of::<KRaftVersionRecord>());
    add(ControlType::KRaftVoters, Schema::of::<VotersRecord>());
    dump(&[&directory.log(&log)], "--cluster-metadata-decoder");
}

/// Compares each file in a broker's data directory, with each decoder for its kind.
fn files_of_a_broker_print_the_same() {
    let mut broker = Broker::with().set("num.partitions", "2").set("offsets.topic.num.partitions", "1").start();
    let side = side_by_side::SideBySide::new(broker);
    for index in 0..3 {
        let server = side.broker.bootstrap_servers();
        let line = "kafka-console-producer --topic t --reader-property parse.key=true --bootstrap-server";
        let line = format!("{line} {server}");
        let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        assert_eq!(side_by_side::ours(&words, &format!("a\t{index}\nb\t{index}\n")).code, 0);
    }
    side.ours("kafka-console-consumer --topic t --from-beginning --max-messages 6 --group g");
    broker = side.broker;
    broker.stop();
    let data = broker.data_dir().to_path_buf();
    let mut dumped = 0;
    for directory in fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
        let name = directory.file_name().unwrap().to_string_lossy().into_owned();
        let decoder = match name.as_str() {
            "__cluster_metadata-0" => "--cluster-metadata-decoder",
            "__consumer_offsets-0" => "--offsets-decoder",
            _ => "--print-data-log",
        };
        let mut files: Vec<_> = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        for file in files {
            dump(&[&file], decoder);
            dumped += 1;
        }
    }
    assert!(dumped > 8, "{dumped} files");
}

pub fn tests() -> Vec<Trial> {
    trials![
        plain:
            segments_print_the_same,
            old_formats_print_the_same,
            corrupt_segments_print_the_same,
            indexes_print_the_same,
            transaction_indexes_and_snapshots_print_the_same,
            wrong_command_lines_give_the_same_errors,
            coordinator_records_print_the_same,
            member_metadata_prints_the_same,
            metadata_records_print_the_same,
            quorum_control_records_print_the_same,
            files_of_a_broker_print_the_same
    ]
}
