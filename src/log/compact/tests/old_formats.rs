//! Logs with batches of formats 0 and 1.

use super::*;
use ottla_wire::record::{BatchHeader, Record, with_records};

/// Builds batches of an old format from text, the first record at `offset`.
fn old_batches(magic: i8, codec: Codec, mut offset: Offset, text: &str) -> Vec<u8> {
    let header = BatchHeader { magic, attributes: i16::from(codec.id()), ..BatchHeader::default() };
    let mut bytes = Vec::new();
    for batch in text.split_whitespace() {
        let mut records = Vec::new();
        for record in batch.split(',') {
            let (key, value) = record.split_at(1);
            let field = |text: &str, none: &str| (text != none).then(|| bytes::Bytes::copy_from_slice(text.as_bytes()));
            let (key, value) = (field(key, "_"), field(value, "-"));
            records.push(Record { offset, timestamp: NOW, key, value, headers: Vec::new() });
            offset += 1;
        }
        bytes.extend(with_records(&header, &records).expect("builds"));
    }
    bytes
}

#[test]
fn batches_of_old_formats_are_compacted_in_their_format() {
    for (magic, codec) in [0, 1].into_iter().flat_map(|magic| Codec::ALL.map(|codec| (magic, codec))) {
        if codec == Codec::Zstd {
            continue;
        }
        let disk = Simulation::default();
        let mut fixture = compacted(Fixture::simulated(&disk));
        fixture.config.segment_bytes = 160;
        disk.set_time(NOW);
        fixture.disk.create_folder(&fixture.folder).expect("creates");
        let old = old_batches(magic, codec, 0, "a1,b1,c1 d-,_1 a2 e1,e2,f1");
        fixture.disk.write_atomic(&file(&fixture, "00000000000000000000.log"), &old, false).expect("writes");
        let (mut log, mut writer) = (fixture.open(), Writer::new(Codec::None));
        disk.set_time(NOW + 2 * DAY);
        writer.write(&mut log, "b2 |");
        assert!(compact(&mut log, NOW));
        assert_eq!(text_of(&log), "2c1 3d- 5a2 7e2 8f1 9b2", "format {magic}, {codec:?}");
        let is_old = |batch: &&Batch| batch.header().magic == magic && batch.header().codec() == Ok(codec);
        let batches = all_batches(&log);
        assert_eq!(batches.iter().filter(is_old).count(), batches.len() - 1);
        assert_eq!(log.end_offset(), 10);
        // The newest clean segment is younger than the tombstone's segment by more than a day.
        writer.write(&mut log, "z1 |");
        assert!(compact(&mut log, NOW));
        assert_eq!(text_of(&log), "2c1 5a2 7e2 8f1 9b2 10z1", "format {magic}, {codec:?}");
    }
}

#[test]
fn last_old_format_message_below_uncleanable_offset_is_kept() {
    let mut fixture = simulated();
    fixture.config.segment_bytes = 100;
    fixture.disk.create_folder(&fixture.folder).expect("creates");
    for (name, text, offset) in [("00000000000000000000.log", "a1 a2,_1", 0), ("00000000000000000003.log", "b1", 3)] {
        let bytes = old_batches(1, Codec::Gzip, offset, text);
        fixture.disk.write_atomic(&file(&fixture, name), &bytes, false).expect("writes");
    }
    let mut log = fixture.open();
    assert!(compact(&mut log, NOW));
    assert_eq!(text_of(&log), "1a2 2_1 3b1", "a batch of an old format can't be empty");
}
