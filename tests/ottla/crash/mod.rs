//! What takes part in the crash test: producers, a group member, and the ledger they are held to.

mod kill_nine;
pub mod ledger;
pub mod member;
pub mod producer;
pub mod random;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ottla::client::{Client, ClientError};
use ottla_wire::types::{ErrorCode, Offset, PartitionIndex};
use parking_lot::Mutex;
use tokio::sync::watch;

use ledger::Ledger;

pub const TOPIC: &str = "orders";
pub const PARTITIONS: PartitionIndex = 4;

/// What everybody shares.
pub struct World {
    pub ledger: Mutex<Ledger>,
    /// From when on producers only finish what they began, and the member reads to the end.
    stopping: AtomicBool,
    /// Where the broker answers; nowhere while it is down.
    address: watch::Sender<Option<String>>,
}

impl World {
    pub fn new(producers: usize) -> Arc<World> {
        Arc::new(World {
            ledger: Mutex::new(Ledger::new(producers)),
            stopping: AtomicBool::new(false),
            address: watch::Sender::new(None),
        })
    }

    pub fn broker_is_up(&self, address: &str) {
        self.address.send_replace(Some(address.to_owned()));
    }

    /// Nobody connects until it is up again.
    pub fn broker_is_down(&self) {
        self.address.send_replace(None);
    }

    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    pub fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// A connection, as soon as there is a broker.
    pub async fn connect(&self) -> Client {
        loop {
            let address = self.address.subscribe().wait_for(Option::is_some).await.unwrap().clone().unwrap();
            match Client::connect(&address).await {
                Ok(client) => return client,
                Err(error) => expect_crash(error),
            }
            // It may have been killed at this moment, and the word not be here yet.
            tokio::task::yield_now().await;
        }
    }
}

/// Checks that an error comes from a crash: a lost connection, or a coordinator that is loading after it.
pub fn expect_crash(error: ClientError) {
    let crash = matches!(error, ClientError::Connect { .. } | ClientError::Disconnected(_));
    let loading = error.code() == Some(ErrorCode::CoordinatorLoadInProgress);
    assert!(crash || loading, "a broker that comes and goes answered: {error}");
}

/// Where the partition ends.
pub async fn end_offset(client: &Client, partition: PartitionIndex) -> Result<Offset, ClientError> {
    const LATEST: i64 = -1;
    Ok(client.list_offset(TOPIC, partition, LATEST).await?.offset)
}
