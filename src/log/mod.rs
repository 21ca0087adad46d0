#![allow(dead_code, unused_imports)] // while the room is being built
//! The storage library: one partition's log and the directory that logs live in. Synchronous; it knows no
//! network and no clock (times come in as arguments).
//!
//! Files are Apache Kafka's, byte for byte: segments (`.log`) of record batches with an offset index
//! (`.index`), a time index (`.timeindex`), aborted transactions (`.txnindex`) and snapshots of producer
//! state (`.snapshot`).

mod config;
mod error;
mod file;
mod log_dir;
mod partition_log;
mod sync;
mod terms;

pub use config::LogConfig;
pub use error::{AppendError, LogError, ReadError};
pub use file::{Disk, Simulation};
pub use log_dir::{Checkpoint, FoundPartition, Identity, LogDir, LogDirError, MetaProperties, PartitionState};
pub use partition_log::Log;
pub use sync::{DeletedFiles, SyncTicket, Synced};
pub use terms::{
    AbortedTxn, AppendAs, Appended, OpenAt, OpenReport, Origin, ProducerDescription, Slice, TimestampOffset,
    TimestampQuery, Validated,
};
