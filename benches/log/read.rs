//! Reading whole segments in order with a copy of the bytes, compared with plain reads and mappings of the same files.

use std::fs::File;
use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use memmap2::Mmap;
use ottla_log::{Disk, Log, LogConfig};
use ottla_wire::types::Offset;

use crate::report::Table;
use crate::{fixture, interleaved, median, share};

const BATCHES: [(&str, usize); 2] = [("64 KiB batches", 64 << 10), ("1 KB batches", 1000)];
const SEGMENT: u32 = 32 << 20;
/// Bytes per read: `max.partition.fetch.bytes` of a consumer by default.
const READ_BYTES: usize = 1 << 20;

pub fn measure(pairs: usize, burst: u64) -> Table {
    let columns = ["mapped", "plain", "bare mapping", "bare pread", "mapped, share of a bare mapping"];
    let mut table = Table::new("read, 1 MiB at a time", columns);
    for (name, batch) in BATCHES {
        let temp_dir = fixture::scratch();
        let dir = temp_dir.path().join("t-0");
        let log = fixture::fill(&fixture::disk(temp_dir.path()), &dir, burst, batch, SEGMENT);
        let bytes = log.size();
        drop(log);
        let mut mapped = || bytes as f64 / read_log(Disk::mapped(), &dir, bytes);
        let mut plain = || bytes as f64 / read_log(Disk::plain(), &dir, bytes);
        let mut mapping = || bytes as f64 / read_mapping(&dir);
        let mut pread = || bytes as f64 / read_files(&dir);
        let samples = interleaved(name, pairs, [&mut mapped, &mut plain, &mut mapping, &mut pread]);
        let cells = samples.iter().map(|samples| median(samples, "GB/s"));
        table.row(name, cells.chain([share(&samples[0], &samples[2])]).collect::<Vec<_>>());
    }
    table
}

/// Returns the nanoseconds of reading the whole log.
fn read_log(disk: Disk, dir: &Path, bytes: u64) -> f64 {
    let log = fixture::open(&disk, dir, LogConfig::default());
    let mut buffer = vec![0; READ_BYTES];
    let started = Instant::now();
    let read = read_all(&log, &mut buffer);
    let took = started.elapsed().as_nanos() as f64;
    assert_eq!(read, bytes, "the whole log is read");
    took
}

fn read_all(log: &Log, buffer: &mut [u8]) -> u64 {
    let (mut from, mut read) = (0, 0);
    while from < log.end_offset() {
        let slice = log.read(from, buffer.len(), true, Offset::MAX).expect("reads");
        buffer[..slice.bytes.len()].copy_from_slice(&slice.bytes);
        black_box(&buffer);
        read += slice.bytes.len() as u64;
        from = slice.next_offset;
    }
    read
}

fn read_mapping(dir: &Path) -> f64 {
    let mut buffer = vec![0; READ_BYTES];
    let started = Instant::now();
    for path in segments(dir) {
        let file = File::open(path).expect("a segment");
        // SAFETY: only this process uses the files of this run, and it does not write to them now.
        #[allow(unsafe_code)]
        let map = unsafe { Mmap::map(&file) }.expect("a mapping");
        for chunk in map.chunks(READ_BYTES) {
            buffer[..chunk.len()].copy_from_slice(chunk);
            black_box(&buffer);
        }
    }
    started.elapsed().as_nanos() as f64
}

fn read_files(dir: &Path) -> f64 {
    let mut buffer = vec![0; READ_BYTES];
    let started = Instant::now();
    for path in segments(dir) {
        let file = File::open(path).expect("a segment");
        let mut at = 0;
        loop {
            match file.read_at(&mut buffer, at).expect("reads") {
                0 => break,
                read => at += read as u64,
            }
            black_box(&buffer);
        }
    }
    started.elapsed().as_nanos() as f64
}

/// Returns the `.log` files, sorted.
pub fn segments(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry").path());
    let mut paths: Vec<_> = entries.filter(|path| path.extension().is_some_and(|kind| kind == "log")).collect();
    paths.sort();
    paths
}
