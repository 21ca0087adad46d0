//! Reading whole segments in order, copied out as a socket would, beside bare reads and mappings of the same files.

use std::fs::File;
use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use memmap2::Mmap;
use ottla_log::{Disk, Log, LogConfig};
use ottla_wire::types::Offset;

use crate::report::Table;
use crate::{in_turns, median, share, shelf};

const BATCHES: [(&str, usize); 2] = [("64 KiB batches", 64 << 10), ("1 KB batches", 1000)];
const SEGMENT: u32 = 32 << 20;
/// What a consumer asks for at a time, by default.
const AT_ONCE: usize = 1 << 20;

pub fn measure(pairs: usize, burst: u64) -> Table {
    let columns = ["mapped", "plain", "bare mapping", "bare pread", "mapped, share of a bare mapping"];
    let mut table = Table::new("read, 1 MiB at a time", columns);
    for (name, batch) in BATCHES {
        let dir = shelf::scratch();
        let folder = dir.path().join("t-0");
        let log = shelf::filled(&shelf::disk(dir.path()), &folder, burst, batch, SEGMENT);
        let bytes = log.size();
        drop(log);
        let mut mapped = || bytes as f64 / by_log(Disk::mapped(), &folder, bytes);
        let mut plain = || bytes as f64 / by_log(Disk::plain(), &folder, bytes);
        let mut mapping = || bytes as f64 / by_mapping(&folder);
        let mut pread = || bytes as f64 / by_pread(&folder);
        let samples = in_turns(name, pairs, [&mut mapped, &mut plain, &mut mapping, &mut pread]);
        let cells = samples.iter().map(|samples| median(samples, "GB/s"));
        table.row(name, cells.chain([share(&samples[0], &samples[2])]).collect::<Vec<_>>());
    }
    table
}

/// Nanoseconds for all of it.
fn by_log(disk: Disk, folder: &Path, bytes: u64) -> f64 {
    let log = shelf::open(&disk, folder, LogConfig::default());
    let mut buffer = vec![0; AT_ONCE];
    let started = Instant::now();
    let read = read_all(&log, &mut buffer);
    let took = started.elapsed().as_nanos() as f64;
    assert_eq!(read, bytes, "all of it");
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

fn by_mapping(folder: &Path) -> f64 {
    let mut buffer = vec![0; AT_ONCE];
    let started = Instant::now();
    for path in segments(folder) {
        let file = File::open(path).expect("a segment");
        // SAFETY: nobody else knows of this run's files, and nobody writes to them now.
        #[allow(unsafe_code)]
        let map = unsafe { Mmap::map(&file) }.expect("a mapping");
        for chunk in map.chunks(AT_ONCE) {
            buffer[..chunk.len()].copy_from_slice(chunk);
            black_box(&buffer);
        }
    }
    started.elapsed().as_nanos() as f64
}

fn by_pread(folder: &Path) -> f64 {
    let mut buffer = vec![0; AT_ONCE];
    let started = Instant::now();
    for path in segments(folder) {
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

/// The `.log` files, in order.
pub fn segments(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut paths: Vec<_> = entries.filter(|path| path.extension().is_some_and(|kind| kind == "log")).collect();
    paths.sort();
    paths
}
