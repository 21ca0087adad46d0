//! Files of a log that somebody else cuts, empties, removes or copies over while it is in use, at any place: whoever
//! reads gets what was written, or an error that names the file; nothing is appended behind a hole; nothing ends the
//! process.

use std::fs::{self, File};
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64};

use super::random::Random;
use super::*;

/// Segments of about this size, of batches of a few kilobytes.
const SEGMENT: u32 = 60_000;
const BATCHES: usize = 80;
const SEEDS: u64 = 40;
/// Not every offset is read from: there are three in a batch.
const STEP: usize = 5;
const PAGE: u64 = 4096;

fn value(offset: usize) -> String {
    format!("{offset} {}", "v".repeat(offset * 977 % 1500))
}

fn shelf_on(disk: Disk) -> Shelf {
    faults::install().expect("installs");
    let mut shelf = Shelf::real(disk);
    shelf.config.segment_bytes = SEGMENT;
    shelf.config.index_interval_bytes = 3000;
    shelf
}

/// A log of several segments, of three records a batch.
fn filled(shelf: &Shelf) -> Log {
    let mut log = shelf.open();
    for index in 0..BATCHES {
        let values: Vec<String> = (0..3).map(|nth| value(index * 3 + nth)).collect();
        log.append(&batch(&values.iter().map(String::as_str).collect::<Vec<_>>()), CLIENT).expect("appends");
    }
    assert!(log.segment_count() >= 3, "{} segments", log.segment_count());
    log
}

/// What somebody does to a file of `size` bytes.
fn harm(path: &Path, size: u64, random: &mut Random) -> String {
    let left = random.below(size);
    match random.below(4) {
        0 => {
            fs::write(path, b"").expect("empties");
            "emptied".to_owned()
        }
        1 => {
            // As `cp` does with an older, shorter copy.
            let copy = fs::read(path).expect("reads")[..left as usize].to_vec();
            fs::write(path, copy).expect("copies");
            format!("copied over with {left} bytes")
        }
        _ => {
            File::options().write(true).open(path).and_then(|file| file.set_len(left)).expect("cuts");
            format!("cut to {left} bytes")
        }
    }
}

fn path_of(shelf: &Shelf, base: Offset) -> PathBuf {
    file(shelf, &format!("{base:020}.log"))
}

/// Compares what was read with what was written.
fn check_slice(slice: &Slice, what: &str) {
    for batch in batches(&slice.bytes) {
        let batch = batch.unwrap_or_else(|error| panic!("{what}: {error}"));
        batch.check_crc().unwrap_or_else(|error| panic!("{what}: {error}"));
        for record in batch.records().map(|record| record.expect("a record")) {
            assert_eq!(record.value.as_deref(), Some(value(record.offset as usize).as_bytes()), "{what}");
        }
    }
}

/// Reads from everywhere, in all ways; how many of these failed, each for a loss that names the file.
fn read_everywhere(log: &Log, harmed: &Path, what: &str) -> usize {
    let mut failed = 0;
    let mut check = |outcome: Result<Option<Slice>, LogError>| match outcome {
        Ok(slice) => slice.iter().for_each(|slice| check_slice(slice, what)),
        Err(error) => {
            let text = error.to_string();
            assert!(error.is_data_loss() && text.contains(&*harmed.to_string_lossy()), "{what}: {text}");
            failed += 1;
        }
    };
    let storage = |error| match error {
        ReadError::Storage(error) => error,
        other => panic!("{what}: {other}"),
    };
    for from in (0..log.end_offset()).step_by(STEP) {
        for max in [1, 5000, 100_000] {
            check(log.read(from, max, true, Offset::MAX).map(Some).map_err(storage));
        }
        check(log.read_copied(from, 5000, true, Offset::MAX).map(Some).map_err(storage));
    }
    check(log.offset_for_timestamp(TimestampQuery::At(NOW)).map(|_| None));
    check(log.offset_for_timestamp(TimestampQuery::Max).map(|_| None));
    failed
}

#[test]
fn readers_of_a_log_that_is_cut_anywhere_get_records_or_an_error() {
    for disk in [Disk::mapped(), Disk::plain(), Disk::mapped().with_limits(OpenLimits { descriptors: 1, mappings: 1 })]
    {
        for seed in 0..SEEDS / 2 {
            let mut random = Random(seed);
            let shelf = shelf_on(disk.clone());
            let mut log = filled(&shelf);
            assert_eq!(read_everywhere(&log, Path::new(""), "whole"), 0);
            let held: Vec<Slice> =
                (0..log.end_offset()).map(|from| log.read(from, 9000, true, Offset::MAX).expect("reads")).collect();
            let segment = &log.segments[random.below(log.segment_count() as u64) as usize];
            let (path, is_active) = (path_of(&shelf, segment.base()), segment.is_active());
            let whole = fs::read(&path).expect("reads");
            let what = format!("seed {seed}, {path:?} {}", harm(&path, segment.size(), &mut random));
            assert!(read_everywhere(&log, &path, &what) > 0, "{what}");
            // Bytes that were read before may be gone: whoever looks at them goes on.
            held.iter().for_each(|slice| drop(slice.bytes.to_vec()));
            assert!(read_everywhere(&log, &path, &what) > 0, "{what}: after faults");
            let error = log.read(log.segments[0].base(), 1, true, Offset::MAX).err();
            if is_active {
                let later = AppendAs { now: NOW + 1, ..CLIENT };
                let refused = log.append(&batch(&["more"]), later).expect_err(&what);
                assert!(matches!(&refused, AppendError::Storage(error) if error.is_data_loss()), "{what}: {refused}");
            } else {
                let error = log.read(segment_base_of(&log, &shelf, &path), 1, true, Offset::MAX).expect_err(&what);
                let ReadError::Storage(error) = error else { panic!("{what}: {error}") };
                log.close_on_data_loss(&error);
            }
            assert!(log.failure().is_some_and(LogError::is_data_loss), "{what}: {error:?}");
            assert!(matches!(log.read(0, 1, true, Offset::MAX), Err(ReadError::Storage(LogError::Latched(_)))));
            let failure = log.failure().expect("has failed").to_string();
            assert_eq!(log.reopen(NOW).expect_err(&what).to_string(), failure, "{what}: said with the same words");
            fs::write(&path, whole).expect("puts it back");
            let log = log.reopen(NOW).unwrap_or_else(|error| panic!("{what}, put back: {error}"));
            assert_eq!(read_everywhere(&log, &path, &what), 0, "{what}: put back");
            assert_eq!(log.end_offset() as usize, 3 * BATCHES);
        }
    }
}

fn segment_base_of(log: &Log, shelf: &Shelf, path: &Path) -> Offset {
    let segment = log.segments.iter().find(|segment| path_of(shelf, segment.base()) == path);
    segment.expect("is there").base()
}

#[test]
fn nothing_is_appended_to_a_file_that_was_removed() {
    for disk in [Disk::mapped(), Disk::plain()] {
        let shelf = shelf_on(disk);
        let mut log = filled(&shelf);
        log.check_active().expect("is there");
        let path = path_of(&shelf, log.segments.last().expect("one").base());
        fs::rename(&path, path.with_extension("gone")).expect("renames");
        fs::remove_file(path.with_extension("gone")).expect("removes");
        log.check_active().expect("nothing was appended since");
        log.append(&batch(&["lost"]), CLIENT).expect("nobody knows yet");
        let error = log.check_active().expect_err("is gone");
        assert!(error.is_data_loss() && error.to_string().contains("removed"), "{error}");
        assert!(log.append(&batch(&["more"]), CLIENT).is_err());
        assert!(log.close().is_err(), "it was not closed cleanly");
    }
}

#[test]
fn an_index_that_is_cut_or_removed_costs_a_walk() {
    for disk in [Disk::mapped(), Disk::plain()] {
        for kind in ["index", "timeindex"] {
            for cut in [Some(0), Some(5), None] {
                let shelf = shelf_on(disk.clone());
                let log = filled(&shelf);
                assert_eq!(read_everywhere(&log, Path::new(""), kind), 0);
                log.segments.iter().filter_map(|segment| segment.opened()).for_each(|files| {
                    files.offsets.release();
                    files.times.release();
                });
                let path = file(&shelf, &format!("{:020}.{kind}", 0));
                match cut {
                    Some(left) => File::options().write(true).open(&path).and_then(|file| file.set_len(left)),
                    None => fs::remove_file(&path),
                }
                .expect("harms");
                for from in 0..log.end_offset() {
                    let slice =
                        log.read(from, 9000, true, Offset::MAX).unwrap_or_else(|error| panic!("{kind}: {error}"));
                    check_slice(&slice, kind);
                }
            }
        }
    }
}

/// Sends slices as a server does, to a file: what arrives whole is right.
fn send_while_it_is_cut(seed: u64, disk: &Disk) {
    let mut random = Random(seed);
    let shelf = shelf_on(disk.clone());
    let log = Mutex::new(filled(&shelf));
    let (base, size) = {
        let log = log.lock().expect("a lock");
        let segment = &log.segments[random.below(log.segment_count() as u64) as usize];
        (segment.base(), segment.size())
    };
    // The rest of a page that is cut in the middle is zeros at once, which no system call tells.
    let left = random.below(size / PAGE + 1) * PAGE;
    let (stop, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    let read_and_send = |mut random: Random| {
        let sink = tempfile::tempfile().expect("a file");
        while !stop.load(std::sync::atomic::Ordering::Relaxed) {
            let from = random.below(3 * BATCHES as u64) as Offset;
            let slice = log.lock().expect("a lock").read(from, 20_000, true, Offset::MAX);
            let Ok(slice) = slice else { continue };
            match sink.write_at(&slice.bytes, 0) {
                Ok(written) if written == slice.bytes.len() => {
                    let mut arrived = vec![0; written];
                    sink.read_exact_at(&mut arrived, 0).expect("reads");
                    check_slice(&Slice { bytes: arrived.into(), ..slice }, &format!("seed {seed}"));
                    sent.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                }
                // A part was sent before the page that is gone.
                Ok(_) => {}
                Err(_) => drop(faults::note_unreadable(&slice.bytes)),
            }
        }
    };
    std::thread::scope(|scope| {
        for nth in 0..2 {
            let read_and_send = &read_and_send;
            scope.spawn(move || read_and_send(Random(seed * 100 + nth)));
        }
        std::thread::sleep(std::time::Duration::from_millis(random.below(8)));
        let path = path_of(&shelf, base);
        File::options().write(true).open(path).and_then(|file| file.set_len(left)).expect("cuts");
        std::thread::sleep(std::time::Duration::from_millis(3));
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    let log = log.into_inner().expect("a log");
    let error = log.read(base, 1, true, Offset::MAX).expect_err("is cut");
    assert!(matches!(&error, ReadError::Storage(error) if error.is_data_loss()), "{error}");
}

#[test]
fn what_arrives_whole_is_right_while_a_file_is_cut() {
    for seed in 0..10 {
        send_while_it_is_cut(seed, &Disk::mapped());
        send_while_it_is_cut(seed, &Disk::plain());
    }
}

#[test]
fn a_compaction_whose_segment_is_cut_ends_with_its_name() {
    let mut ended = 0;
    for seed in 0..SEEDS {
        let mut random = Random(seed);
        let mut shelf = shelf_on(Disk::mapped());
        shelf.config = LogConfig { cleanup_compact: true, cleanup_delete: false, ..shelf.config.clone() };
        let mut log = shelf.open();
        for index in 0..BATCHES {
            let mut builder = BatchBuilder::new(Codec::None);
            let key = format!("k{}", index % 10);
            builder.append(NOW, Some(key.as_bytes()), Some(&[b'v'; 3000]), &[]);
            log.append(&builder.build().expect("builds"), CLIENT).expect("appends");
        }
        let ticket = log.flush_target().expect("a ticket");
        log.mark_synced(ticket.sync());
        let mut compaction = log.begin_compaction(NOW).expect("begins").expect("has something to do");
        let sealed = log.segment_count() as u64 - 1;
        let segment = &log.segments[random.below(sealed) as usize];
        let (path, size) = (path_of(&shelf, segment.base()), segment.size());
        let mut left = random.below(30);
        let mut buffers = CompactionBuffers::new(1 << 20, 0.9, 8 << 10, 7);
        let mut pace = |_| {
            if left == 0 {
                harm(&path, size, &mut random);
            }
            left = left.wrapping_sub(1);
            ControlFlow::Continue(())
        };
        let outcome = loop {
            match compaction.next_group(&mut buffers, &mut pace) {
                Ok(Some(_)) => {}
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        match outcome {
            // It had read that segment already.
            Ok(()) => {}
            Err(CompactError::Storage(error)) => {
                assert!(error.is_data_loss() && error.to_string().contains(".log"), "seed {seed}: {error}");
                log.close_on_data_loss(&error);
                assert!(log.failure().is_some(), "seed {seed}");
                ended += 1;
            }
            Err(other) => panic!("seed {seed}: {other}"),
        }
    }
    assert!(ended > 20, "{ended} ended");
}

#[test]
fn a_log_that_is_cut_while_it_is_opened_is_refused_or_served_right() {
    for seed in 0..SEEDS {
        let mut random = Random(seed);
        let shelf = shelf_on(Disk::mapped());
        let log = filled(&shelf);
        let active = log.segments.last().expect("one");
        let (path, size) = (path_of(&shelf, active.base()), active.size());
        drop(log);
        let opened = std::thread::scope(|scope| {
            let harming = scope.spawn(|| {
                std::thread::sleep(std::time::Duration::from_micros(random.below(1500)));
                harm(&path, size, &mut random);
            });
            let opened = shelf.try_reopen_killed(None);
            harming.join().expect("harms");
            opened
        });
        let Ok(log) = opened else { continue };
        let what = format!("seed {seed}");
        read_everywhere(&log, &path, &what);
        for from in 0..log.end_offset() {
            if let Ok(slice) = log.read(from, 5000, true, Offset::MAX) {
                check_slice(&slice, &what);
            }
        }
    }
}
