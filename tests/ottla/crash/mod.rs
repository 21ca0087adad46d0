//! The crash test: producers, a group member, and the ledger of what they sent and read.

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

/// State that the test, its producers and its group member share.
pub struct Shared {
    pub ledger: Mutex<Ledger>,
    /// Whether producers only finish what they began, and the member reads to the end.
    stopping: AtomicBool,
    /// The address of the broker; `None` while it is down.
    address: watch::Sender<Option<String>>,
}

impl Shared {
    pub fn new(producers: usize) -> Arc<Shared> {
        Arc::new(Shared {
            ledger: Mutex::new(Ledger::new(producers)),
            stopping: AtomicBool::new(false),
            address: watch::Sender::new(None),
        })
    }

    pub fn broker_is_up(&self, address: &str) {
        self.address.send_replace(Some(address.to_owned()));
    }

    /// Holds back new connections until [`Self::broker_is_up`].
    pub fn broker_is_down(&self) {
        self.address.send_replace(None);
    }

    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    pub fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Connects as soon as the broker is up.
    pub async fn connect(&self) -> Client {
        loop {
            let address = self.address.subscribe().wait_for(Option::is_some).await.unwrap().clone().unwrap();
            match Client::connect(&address).await {
                Ok(client) => return client,
                Err(error) => expect_crash(error),
            }
            // The broker may have been killed before `broker_is_down` was called.
            tokio::task::yield_now().await;
        }
    }
}

/// Panics unless the error comes from a kill: a lost or refused connection, or a coordinator that is loading after it.
pub fn expect_crash(error: ClientError) {
    let crash = matches!(error, ClientError::Connect { .. } | ClientError::Disconnected(_));
    let loading = error.code() == Some(ErrorCode::CoordinatorLoadInProgress);
    assert!(crash || loading, "not an error that a kill causes: {error}");
}

/// The log end offset of a partition.
pub async fn end_offset(client: &Client, partition: PartitionIndex) -> Result<Offset, ClientError> {
    const LATEST: i64 = -1;
    Ok(client.list_offset(TOPIC, partition, LATEST).await?.offset)
}
