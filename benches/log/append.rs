//! Appending batches, beside bare writes of the same bytes to as many files.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Instant;

use ottla_log::LogConfig;
use ottla_wire::record::{Codec, Verified};

use crate::report::{Table, significant};
use crate::{in_turns, median, share, shelf, system};

const SIZES: [(&str, usize); 3] = [("100 B", 100), ("1 KB", 1000), ("64 KiB", 64 << 10)];
const PARTITIONS: [usize; 2] = [1, 100];
/// Small batches are many: so many show enough.
const MOST_BATCHES: u64 = 200_000;

pub fn measure(pairs: usize, burst: u64) -> Table {
    let mut table = Table::new("append", ["a batch", "", "a bare pwrite", "bare pwrite's share of the time"]);
    for (name, size) in SIZES {
        let batch = shelf::batch(size, Codec::None);
        let bytes = batch.bytes().len() as u64;
        let count = (burst / bytes).min(MOST_BATCHES);
        for partitions in PARTITIONS {
            let what = format!("{name}, {partitions} partition{}", if partitions == 1 { "" } else { "s" });
            let mut ours = || by_log(&batch, count, partitions);
            let mut bare = || by_write(&batch, count, partitions);
            let [ours, bare] = in_turns(&what, pairs, [&mut ours, &mut bare]);
            let speed = format!("{} GB/s", significant(bytes as f64 / ours.median()));
            table.row(&what, [median(&ours, "ns"), speed, median(&bare, "ns"), share(&bare, &ours)]);
        }
    }
    table
}

/// Nanoseconds of one append.
fn by_log(batch: &Verified, count: u64, partitions: usize) -> f64 {
    let dir = shelf::scratch();
    let disk = shelf::disk(dir.path());
    let open = |index| shelf::open(&disk, &dir.path().join(format!("t-{index}")), LogConfig::default());
    let mut logs: Vec<_> = (0..partitions).map(open).collect();
    // The first append to a log creates its files.
    logs.iter_mut().for_each(|log| drop(log.append(batch, shelf::by_client())));
    system::warm((count * batch.bytes().len() as u64) as usize);
    let how = shelf::by_client();
    let started = Instant::now();
    for index in 0..count as usize {
        logs[index % partitions].append(batch, how).expect("appends");
    }
    started.elapsed().as_nanos() as f64 / count as f64
}

/// Nanoseconds of one write.
fn by_write(batch: &Verified, count: u64, partitions: usize) -> f64 {
    let dir = shelf::scratch();
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
