//! Scrapes of a whole broker.

use std::sync::mpsc;
use std::time::Duration;

use super::Host;
use ottla_metrics::{Format, Scrape};

/// Longer than a scrape takes on any machine.
const LIMIT: Duration = Duration::from_secs(30);

/// The locks of partitions are those of appends and fetches.
#[test]
fn scrape_takes_no_lock_of_a_partition_whose_log_was_open() {
    let mut host = Host::new(7, &[]);
    let ran = host.run(async |running| {
        running.client("admin").create_topic("t", 20, &[]).await.unwrap();
        let registry = running.metrics.clone();
        let scrape = move || {
            let mut scrape = Scrape::new(Format::Prometheus, 100_000, Duration::ZERO);
            registry.collect(&mut scrape);
            scrape.finish()
        };
        // It opens the logs.
        scrape();
        let cluster = running.broker.cluster();
        let locked: Vec<_> = cluster.local_partitions().map(|partition| partition.log().unwrap()).collect();
        assert_eq!(locked.len(), 20);
        let (sender, received) = mpsc::channel();
        std::thread::spawn(move || sender.send(scrape()));
        let text = received.recv_timeout(LIMIT).expect("a scrape while all logs are locked");
        assert!(text.contains("kafka_log_log_logendoffset{topic=\"t\",partition=\"19\"} 0\n"), "{text}");
        drop(locked);
    });
    ran.unwrap();
}
