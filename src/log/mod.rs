//! The storage library: one partition's log and the directory that logs live in. Synchronous; it knows no
//! network and no clock (times come in as arguments).
//!
//! Files are Apache Kafka's, byte for byte: segments (`.log`) of record batches with an offset index
//! (`.index`), a time index (`.timeindex`), aborted transactions (`.txnindex`) and snapshots of producer
//! state (`.snapshot`).

mod append;
mod checkpoint;
mod config;
mod error;
mod file;
mod index_file;
mod leader_epochs;
mod listing;
mod log_dir;
mod maintain;
mod meta_properties;
mod names;
mod offset_index;
mod open;
mod partition_log;
mod partition_metadata;
mod positions;
mod producers;
mod read;
mod recovery;
mod segment;
mod sync;
mod terms;
mod time_index;
mod txn_index;
mod walk;

#[cfg(test)]
mod tests;

pub use config::LogConfig;
pub use error::{AppendError, LogError, ReadError};
pub use file::{Disk, Simulation};
pub use log_dir::{Checkpoint, FoundPartition, Identity, LogDir, LogDirError, PartitionState};
pub use meta_properties::MetaProperties;
pub use partition_log::Log;
pub use sync::{DeletedFiles, SyncTicket, Synced};
pub use terms::{
    AbortedTxn, AppendAs, Appended, OpenAt, OpenReport, Origin, ProducerDescription, Slice, TimestampOffset,
    TimestampQuery, Validated,
};
