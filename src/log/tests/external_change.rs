//! Files of a log that another process truncates, empties, removes or overwrites while the log is in use: reads return
//! what was written, or an error that names the file; nothing is appended behind a hole; the process survives.

use std::fs::{self, File};
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64};

use super::model::number;
use super::random::Random;
use super::*;

/// Segments of about this size, of batches of a few kilobytes.
const SEGMENT: u32 = 60_000;
const BATCHES: usize = 80;
/// Distance of the offsets that are read from.
const STEP: usize = 5;
const PAGE: u64 = 4096;

/// Number of random changes per test; at least 40 if `LOG_CRASH_SEEDS` is set.
fn seeds() -> u64 {
    number("LOG_CRASH_SEEDS").map_or(12, |seeds| seeds.max(40))
}

fn value(offset: usize) -> String {
    format!("{offset} {}", "v".repeat(offset * 977 % 1500))
}

fn fixture_on(disk: Disk) -> Fixture {
    faults::install().expect("installs");
    let mut fixture = Fixture::real(disk);
    fixture.config.segment_bytes = SEGMENT;
    fixture.config.index_interval_bytes = 3000;
    fixture
}

/// Creates a log of several segments, with three records per batch.
fn filled(fixture: &Fixture) -> Log {
    let mut log = fixture.open();
    for index in 0..BATCHES {
        let values: Vec<String> = (0..3).map(|nth| value(index * 3 + nth)).collect();
        log.append(&batch(&values.iter().map(String::as_str).collect::<Vec<_>>()), CLIENT).expect("appends");
    }
    assert!(log.segment_count() >= 3, "{} segments", log.segment_count());
    log
}

/// Changes a file of `size` bytes at random; returns a description.
fn modify_file(path: &Path, size: u64, random: &mut Random) -> String {
    let left = random.below(size);
    match random.below(4) {
        0 => {
            fs::write(path, b"").expect("empties");
            "emptied".to_owned()
        }
        1 => {
            // As `cp` does with an older, shorter copy of the file.
            let copy = fs::read(path).expect("reads")[..left as usize].to_vec();
            fs::write(path, copy).expect("copies");
            format!("overwritten with {left} bytes")
        }
        _ => {
            File::options().write(true).open(path).and_then(|file| file.set_len(left)).expect("truncates");
            format!("truncated to {left} bytes")
        }
    }
}

fn path_of(fixture: &Fixture, base: Offset) -> PathBuf {
    file(fixture, &format!("{base:020}.log"))
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

/// Reads from all offsets, in all ways. Returns the number of failed reads; each error must name the file.
fn read_everywhere(log: &Log, modified: &Path, what: &str) -> usize {
    let mut failed = 0;
    let mut check = |outcome: Result<Option<Slice>, LogError>| match outcome {
        Ok(slice) => slice.iter().for_each(|slice| check_slice(slice, what)),
        Err(error) => {
            let text = error.to_string();
            assert!(error.is_data_loss() && text.contains(&*modified.to_string_lossy()), "{what}: {text}");
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
fn reads_of_truncated_segment_return_valid_records_or_error() {
    for disk in [Disk::mapped(), Disk::plain(), Disk::mapped().with_limits(OpenLimits { descriptors: 1, mappings: 1 })]
    {
        for seed in 0..seeds() / 2 {
            let mut random = Random(seed);
            let fixture = fixture_on(disk.clone());
            let mut log = filled(&fixture);
            assert_eq!(read_everywhere(&log, Path::new(""), "intact"), 0);
            let held: Vec<Slice> =
                (0..log.end_offset()).map(|from| log.read(from, 9000, true, Offset::MAX).expect("reads")).collect();
            let segment = &log.segments[random.below(log.segment_count() as u64) as usize];
            let (path, is_active) = (path_of(&fixture, segment.base()), segment.is_active());
            let intact = fs::read(&path).expect("reads");
            let what = format!("seed {seed}, {path:?} {}", modify_file(&path, segment.size(), &mut random));
            assert!(read_everywhere(&log, &path, &what) > 0, "{what}");
            // Mapped bytes that were read before may no longer exist: touching them does not end the process.
            held.iter().for_each(|slice| drop(slice.bytes.to_vec()));
            assert!(read_everywhere(&log, &path, &what) > 0, "{what}: after faults");
            let error = log.read(log.segments[0].base(), 1, true, Offset::MAX).err();
            if is_active {
                let later = AppendParams { now: NOW + 1, ..CLIENT };
                let refused = log.append(&batch(&["more"]), later).expect_err(&what);
                assert!(matches!(&refused, AppendError::Storage(error) if error.is_data_loss()), "{what}: {refused}");
            } else {
                let error = log.read(segment_base_of(&log, &fixture, &path), 1, true, Offset::MAX).expect_err(&what);
                let ReadError::Storage(error) = error else { panic!("{what}: {error}") };
                log.close_on_data_loss(&error);
            }
            assert!(log.failure().is_some_and(LogError::is_data_loss), "{what}: {error:?}");
            assert!(matches!(log.read(0, 1, true, Offset::MAX), Err(ReadError::Storage(LogError::Latched(_)))));
            let failure = log.failure().expect("has failed").to_string();
            assert_eq!(log.reopen(NOW).expect_err(&what).to_string(), failure, "{what}: the same error again");
            fs::write(&path, intact).expect("restores");
            let log = log.reopen(NOW).unwrap_or_else(|error| panic!("{what}, restored: {error}"));
            assert_eq!(read_everywhere(&log, &path, &what), 0, "{what}: restored");
            assert_eq!(log.end_offset() as usize, 3 * BATCHES);
        }
    }
}

fn segment_base_of(log: &Log, fixture: &Fixture, path: &Path) -> Offset {
    let segment = log.segments.iter().find(|segment| path_of(fixture, segment.base()) == path);
    segment.expect("is there").base()
}

#[test]
fn append_after_active_file_was_removed_fails() {
    for disk in [Disk::mapped(), Disk::plain()] {
        let fixture = fixture_on(disk);
        let mut log = filled(&fixture);
        log.check_active().expect("exists");
        let path = path_of(&fixture, log.segments.last().expect("one").base());
        fs::rename(&path, path.with_extension("removed")).expect("renames");
        fs::remove_file(path.with_extension("removed")).expect("removes");
        log.check_active().expect("nothing was appended since");
        log.append(&batch(&["lost"]), CLIENT).expect("the removal is not detected yet");
        let error = log.check_active().expect_err("was removed");
        assert!(error.is_data_loss() && error.to_string().contains("removed"), "{error}");
        assert!(log.append(&batch(&["more"]), CLIENT).is_err());
        assert!(log.close().is_err(), "not a clean close");
    }
}

#[test]
fn read_with_truncated_or_removed_index_scans_segment() {
    for disk in [Disk::mapped(), Disk::plain()] {
        for kind in ["index", "timeindex"] {
            for cut in [Some(0), Some(5), None] {
                let fixture = fixture_on(disk.clone());
                let log = filled(&fixture);
                assert_eq!(read_everywhere(&log, Path::new(""), kind), 0);
                log.segments.iter().filter_map(|segment| segment.opened()).for_each(|files| {
                    files.offsets.release();
                    files.times.release();
                });
                let path = file(&fixture, &format!("{:020}.{kind}", 0));
                match cut {
                    Some(left) => File::options().write(true).open(&path).and_then(|file| file.set_len(left)),
                    None => fs::remove_file(&path),
                }
                .expect("changes the file");
                for from in 0..log.end_offset() {
                    let slice =
                        log.read(from, 9000, true, Offset::MAX).unwrap_or_else(|error| panic!("{kind}: {error}"));
                    check_slice(&slice, kind);
                }
            }
        }
    }
}

/// Sends slices as a server does, to a file, while a segment is truncated: completely sent slices must be valid.
fn send_during_truncation(seed: u64, disk: &Disk) {
    let mut random = Random(seed);
    let fixture = fixture_on(disk.clone());
    let log = Mutex::new(filled(&fixture));
    let (base, size) = {
        let log = log.lock().expect("a lock");
        let segment = &log.segments[random.below(log.segment_count() as u64) as usize];
        (segment.base(), segment.size())
    };
    // Whole pages only: the rest of a page truncated in the middle reads as zeros without an error.
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
                // The slice was sent up to the page that can't be read.
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
        let path = path_of(&fixture, base);
        File::options().write(true).open(path).and_then(|file| file.set_len(left)).expect("truncates");
        std::thread::sleep(std::time::Duration::from_millis(3));
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    let log = log.into_inner().expect("a log");
    let error = log.read(base, 1, true, Offset::MAX).expect_err("is truncated");
    assert!(matches!(&error, ReadError::Storage(error) if error.is_data_loss()), "{error}");
}

#[test]
fn completely_sent_slices_during_truncation_are_valid() {
    for seed in 0..10 {
        send_during_truncation(seed, &Disk::mapped());
        send_during_truncation(seed, &Disk::plain());
    }
}

#[test]
fn compaction_of_truncated_segment_fails_with_file_name() {
    let mut ended = 0;
    for seed in 0..seeds() {
        let mut random = Random(seed);
        let mut fixture = fixture_on(Disk::mapped());
        fixture.config = LogConfig { cleanup_compact: true, cleanup_delete: false, ..fixture.config.clone() };
        let mut log = fixture.open();
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
        let (path, size) = (path_of(&fixture, segment.base()), segment.size());
        let mut left = random.below(30);
        let mut buffers = CompactionBuffers::new(1 << 20, 0.9, 8 << 10, 7);
        let mut throttle = |_| {
            if left == 0 {
                modify_file(&path, size, &mut random);
            }
            left = left.wrapping_sub(1);
            ControlFlow::Continue(())
        };
        let outcome = loop {
            match compaction.next_group(&mut buffers, &mut throttle) {
                Ok(Some(_)) => {}
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        match outcome {
            // The segment had been read already.
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
    assert!(ended > seeds() / 2, "{ended} ended");
}

#[test]
fn open_during_truncation_fails_or_serves_valid_records() {
    for seed in 0..seeds() {
        let mut random = Random(seed);
        let fixture = fixture_on(Disk::mapped());
        let log = filled(&fixture);
        let active = log.segments.last().expect("one");
        let (path, size) = (path_of(&fixture, active.base()), active.size());
        drop(log);
        let opened = std::thread::scope(|scope| {
            let modifier = scope.spawn(|| {
                std::thread::sleep(std::time::Duration::from_micros(random.below(1500)));
                modify_file(&path, size, &mut random);
            });
            let opened = fixture.try_reopen_killed(None);
            modifier.join().expect("modifies");
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
