//! The client's producer while the broker restarts: every record is stored once and in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::Broker;
use ottla::client::Client;
use ottla::client::producer::{Delivered, NewRecord, Observer, Producer, ProducerOptions, SendError};
use ottla_wire::record::batches;

const TOPIC: &str = "numbers";
const RECORDS: u32 = 20_000;

/// Counts delivered records; panics when a record fails.
struct CountDelivered(Arc<AtomicUsize>);

impl Observer<()> for CountDelivered {
    fn delivered(&mut self, _batch: &Delivered, tokens: Vec<()>) {
        self.0.fetch_add(tokens.len(), Ordering::Relaxed);
    }

    fn failed(&mut self, _topic: &str, error: &SendError, _tokens: Vec<()>) {
        panic!("a record failed: {error}");
    }

    fn warn(&mut self, _message: &str) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn producer_delivers_every_record_once_across_broker_restarts() {
    let mut broker = Broker::start();
    let delivered = Arc::new(AtomicUsize::new(0));
    let options = ProducerOptions { batch_size: 1024, ..ProducerOptions::default() };
    let producer =
        Producer::new(vec![broker.bootstrap_servers().to_owned()], options, CountDelivered(delivered.clone()));
    for number in 0..RECORDS {
        if number == RECORDS / 3 || number == RECORDS / 3 * 2 {
            // While batches are in flight.
            broker.restart();
        }
        let value = number.to_string();
        producer.send(&NewRecord { topic: TOPIC, value: Some(value.as_bytes()), ..NewRecord::default() }, ()).await;
    }
    producer.flush().await;
    assert_eq!(delivered.load(Ordering::Relaxed), RECORDS as usize);
    let found = values(&Client::connect(broker.bootstrap_servers()).await.unwrap()).await;
    let expect: Vec<String> = (0..RECORDS).map(|number| number.to_string()).collect();
    assert!(found == expect, "{} records, not {RECORDS} in order", found.len());
}

async fn values(client: &Client) -> Vec<String> {
    let mut values = Vec::new();
    loop {
        let at = values.len() as i64;
        let fetched = client.fetch(TOPIC, 0, at, 1 << 20, Duration::ZERO).await.unwrap();
        let read = batches(&fetched.records).filter_map(Result::ok).flat_map(|batch| batch.records());
        let read = read.map(Result::unwrap).filter(|record| record.offset >= at);
        values.extend(read.map(|record| String::from_utf8_lossy(&record.value.unwrap()).into_owned()));
        if values.len() as i64 >= fetched.high_watermark || values.len() as i64 == at {
            return values;
        }
    }
}
