//! Appending batches, compared with plain writes of the same bytes to the same number of files.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Instant;

use ottla_log::LogConfig;
use ottla_wire::record::{Codec, Verified};

use crate::report::{Table, significant};
use crate::{fixture, interleaved, median, share, system};

const SIZES: [(&str, usize); 3] = [("100 B", 100), ("1 KB", 1000), ("64 KiB", 64 << 10)];
const PARTITIONS: [usize; 2] = [1, 100];
/// Limit of the number of small batches.
const MAX_BATCHES: u64 = 200_000;

pub fn measure(pairs: usize, burst: u64) -> Table {
    let mut table = Table::new("append", ["a batch", "", "a bare pwrite", "bare pwrite's share of the time"]);
    for (name, size) in SIZES {
        let batch = fixture::batch(size, Codec::None);
        let bytes = batch.bytes().len() as u64;
        let count = (burst / bytes).min(MAX_BATCHES);
        for partitions in PARTITIONS {
            let what = format!("{name}, {partitions} partition{}", if partitions == 1 { "" } else { "s" });
            let mut ours = || append_to_log(&batch, count, partitions);
            let mut bare = || write_to_file(&batch, count, partitions);
            let [ours, bare] = interleaved(&what, pairs, [&mut ours, &mut bare]);
            let speed = format!("{} GB/s", significant(bytes as f64 / ours.median()));
            table.row(&what, [median(&ours, "ns"), speed, median(&bare, "ns"), share(&bare, &ours)]);
        }
    }
    table
}

/// Returns the nanoseconds of one append.
fn append_to_log(batch: &Verified, count: u64, partitions: usize) -> f64 {
    let dir = fixture::scratch();
    let disk = fixture::disk(dir.path());
    let open = |index| fixture::open(&disk, &dir.path().join(format!("t-{index}")), LogConfig::default());
    let mut logs: Vec<_> = (0..partitions).map(open).collect();
    // The first append to a log creates its files.
    logs.iter_mut().for_each(|log| drop(log.append(batch, fixture::as_client())));
    system::warm((count * batch.bytes().len() as u64) as usize);
    let append_as = fixture::as_client();
    let started = Instant::now();
    for index in 0..count as usize {
        logs[index % partitions].append(batch, append_as).expect("appends");
    }
    started.elapsed().as_nanos() as f64 / count as f64
}

/// Returns the nanoseconds of one write.
fn write_to_file(batch: &Verified, count: u64, partitions: usize) -> f64 {
    let dir = fixture::scratch();
    let create = |index| File::create_new(dir.path().join(format!("{index}"))).expect("a file");
    let files: Vec<File> = (0..partitions).map(create).collect();
    let bytes = batch.bytes();
    system::warm((count * bytes.len() as u64) as usize);
    let started = Instant::now();
    for index in 0..count as usize {
        let position = (index / partitions * bytes.len()) as u64;
        files[index % partitions].write_all_at(bytes, position).expect("writes");
    }
    started.elapsed().as_nanos() as f64 / count as f64
}
