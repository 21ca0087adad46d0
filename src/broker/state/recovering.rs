//! Opens all logs after a crash, several at a time. After a clean stop, each log is opened when it is first used.
//!
//! If only the process was killed, recovery reads the ends of the logs, and clients are served meanwhile: a request
//! that needs a closed log opens it. After a power loss, recovery may read much more. Then listeners accept connections
//! only after recovery, as in Kafka.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::Broker;
use super::partition::Partition;
use crate::blocking;
use crate::stage::{Phase, Stage};

/// Starts to open all logs if the last broker on this directory crashed. Waits for it if there may have been a power
/// loss.
pub async fn recover(broker: &Arc<Broker>) {
    if broker.log_dir.clean_shutdown() {
        return;
    }
    let wait = broker.log_dir.may_have_lost_power();
    let opening = Arc::clone(broker);
    match wait {
        true => {
            broker.stage.set(Phase::Recovering);
            drop(blocking::run(move || open_all(&opening)).await);
        }
        false => blocking::spawn(move || open_all(&opening)),
    }
}

fn open_all(broker: &Broker) {
    let started = broker.clock.monotonic();
    let partitions: Vec<_> = broker.cluster().local_partitions().cloned().collect();
    if partitions.is_empty() {
        return;
    }
    broker.stage.begin_recovery(partitions.len());
    open_in_parallel(&partitions, broker.config.storage.num_recovery_threads_per_data_dir, &broker.stage);
    let took = broker.clock.monotonic().saturating_sub(started);
    tracing::info!("opened {} logs after an unclean stop, in {took:?}", partitions.len());
}

fn open_in_parallel(partitions: &[Arc<Partition>], threads: usize, stage: &Stage) {
    let next = AtomicUsize::new(0);
    let open_some = || {
        while let Some(partition) = partitions.get(next.fetch_add(1, Ordering::Relaxed)) {
            // A failure is logged by the partition.
            let _ = partition.offsets();
            stage.recovered_one();
        }
    };
    if threads <= 1 {
        return open_some();
    }
    thread::scope(|scope| {
        for _ in 0..threads.min(partitions.len()) {
            scope.spawn(open_some);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_log::{Disk, Log, LogConfig, OpenParams, Simulation};
    use ottla_wire::types::{TopicId, TopicPartition};

    #[test]
    fn logs_are_opened_once_each_by_several_threads() {
        let opened = Arc::new(AtomicUsize::new(0));
        let disk = Disk::simulated(&Simulation::default());
        let partition = |index| {
            let (disk, opened) = (disk.clone(), Arc::clone(&opened));
            let open = Box::new(move || {
                opened.fetch_add(1, Ordering::Relaxed);
                let folder = format!("/data/t-{index}");
                Log::open(&disk, folder.as_ref(), Arc::new(LogConfig::default()), OpenParams::fresh(0))
            });
            let id = TopicPartition::new("t", index);
            Arc::new(Partition::new(id, TopicId::METADATA, 0, i64::MAX, open, Default::default()))
        };
        let partitions: Vec<_> = (0..100).map(partition).collect();
        let stage = Stage::default();
        stage.begin_recovery(100);
        open_in_parallel(&partitions, 3, &stage);
        assert_eq!(stage.recovery(), None);
        assert_eq!(opened.load(Ordering::Relaxed), 100);
        assert!(partitions.iter().all(|partition| partition.if_open(|_| ()).is_some()));
    }
}
