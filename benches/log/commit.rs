//! Durable appends: concurrent producers that share syncs, compared with threads that sync each write.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ottla_broker::state::partition::Partition;
use ottla_log::{LogConfig, Origin};
use ottla_wire::record::{Codec, Verified};
use ottla_wire::types::{TopicId, TopicPartition};
use tokio::runtime::Runtime;

use crate::report::Table;
use crate::{fixture, interleaved, median};

const PRODUCERS: [usize; 3] = [1, 8, 64];
const BATCH: usize = 1000;
const SAMPLE: Duration = Duration::from_millis(700);

pub fn measure(pairs: usize) -> Table {
    let mut table =
        Table::new("durable appends of 1 KB", ["group commit", "write and fdatasync each", "times as many"]);
    let runtime = Runtime::new().expect("a runtime");
    let batch = fixture::batch(BATCH, Codec::None);
    for producers in PRODUCERS {
        let what = format!("{producers} producer{}", if producers == 1 { "" } else { "s" });
        let mut group = || commit_in_groups(&runtime, &batch, producers);
        let mut each = || sync_each_write(&batch, producers);
        let [group, each] = interleaved(&format!("durable appends, {what}"), pairs, [&mut group, &mut each]);
        let times = group.percent_of(&each).median() / 100.0;
        table.row(&what, [median(&group, "/s"), median(&each, "/s"), format!("{times:.2}")]);
    }
    table
}

/// Returns appends per second, where each producer waits until its append is durable.
fn commit_in_groups(runtime: &Runtime, batch: &Verified, producers: usize) -> f64 {
    let dir = fixture::scratch();
    let log = fixture::open(&fixture::disk(dir.path()), &dir.path().join("t-0"), LogConfig::default());
    let topic_id = TopicId::METADATA;
    let partition = Arc::new(Partition::opened(TopicPartition::new("t", 0), topic_id, 0, log, Default::default()));
    let started = Instant::now();
    let tasks: Vec<_> = (0..producers)
        .map(|_| {
            let (partition, batch) = (Arc::clone(&partition), batch.clone());
            runtime.spawn(async move {
                let mut count = 0_u64;
                while started.elapsed() < SAMPLE {
                    let appended = partition.append(&batch, Origin::Client, fixture::now()).expect("appends");
                    partition.sync_to(appended.last_offset + 1).await.expect("syncs");
                    count += 1;
                }
                count
            })
        })
        .collect();
    let count: u64 = tasks.into_iter().map(|task| runtime.block_on(task).expect("a count")).sum();
    count as f64 / started.elapsed().as_secs_f64()
}

/// Returns writes per second to one file, each followed by a sync.
fn sync_each_write(batch: &Verified, producers: usize) -> f64 {
    let dir = fixture::scratch();
    let file = File::create_new(dir.path().join("file")).expect("a file");
    let (next, count) = (AtomicU64::new(0), AtomicU64::new(0));
    let started = Instant::now();
    thread::scope(|scope| {
        for _ in 0..producers {
            scope.spawn(|| {
                while started.elapsed() < SAMPLE {
                    let position = next.fetch_add(batch.bytes().len() as u64, Ordering::Relaxed);
                    file.write_all_at(batch.bytes(), position).expect("writes");
                    file.sync_data().expect("syncs");
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    count.into_inner() as f64 / started.elapsed().as_secs_f64()
}
