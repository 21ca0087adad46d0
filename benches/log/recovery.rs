//! Opening a log again: after a power loss (the whole log is read and checked) and after a kill (only the tail is),
//! compared with reading the same files and computing their CRC.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use ottla_log::{Disk, Log, LogConfig, OpenParams, Validated};

use crate::read::segments;
use crate::report::Table;
use crate::{fixture, interleaved, median, share};

const BATCHES: [(&str, usize); 3] = [("64 KiB batches", 64 << 10), ("1 KB batches", 1000), ("100 B batches", 100)];

pub fn measure(pairs: usize, burst: u64) -> Table {
    let columns = ["after a power loss", "bare read and CRC", "its share", "after a kill"];
    let mut table = Table::new("open, 1 segment", columns);
    for (name, batch) in BATCHES {
        let dir = fixture::scratch();
        let (disk, folder) = (fixture::disk(dir.path()), dir.path().join("t-0"));
        let log = fixture::fill(&disk, &folder, burst, batch, LogConfig::default().segment_bytes);
        let (bytes, validated) = (log.size(), log.validated());
        drop(log);
        let per_gb = |seconds: f64| seconds * 1e9 / bytes as f64;
        let mut lost = || per_gb(open(&disk, &folder, None));
        let mut bare = || per_gb(read_and_check_crc(&folder));
        let mut killed = || 1000.0 * open(&disk, &folder, validated);
        let [lost, bare, killed] = interleaved(name, pairs, [&mut lost, &mut bare, &mut killed]);
        table.row(name, [median(&lost, "s/GB"), median(&bare, "s/GB"), share(&bare, &lost), median(&killed, "ms")]);
    }
    table
}

fn open(disk: &Disk, folder: &Path, validated: Option<Validated>) -> f64 {
    let at = OpenParams { clean_shutdown: false, validated, ..OpenParams::fresh(fixture::now()) };
    let started = Instant::now();
    black_box(Log::open(disk, folder, Arc::new(LogConfig::default()), at).expect("opens"));
    started.elapsed().as_secs_f64()
}

fn read_and_check_crc(folder: &Path) -> f64 {
    let started = Instant::now();
    for path in segments(folder) {
        let file = std::fs::File::open(path).expect("a segment");
        let (mut buffer, mut at) = (vec![0; 1 << 20], 0);
        loop {
            match std::os::unix::fs::FileExt::read_at(&file, &mut buffer, at).expect("reads") {
                0 => break,
                read => {
                    black_box(crc32c::crc32c(&buffer[..read]));
                    at += read as u64;
                }
            }
        }
    }
    started.elapsed().as_secs_f64()
}
