//! The storage layer: partition logs and the log directory that contains them. The crate is synchronous and uses
//! neither network nor clock; the caller passes the current time.
//!
//! The files have Apache Kafka's formats, byte for byte: each of the two brokers can use a directory that the other
//! closed.
//!
//! # Modules
//! - [`LogDir`] (`log_dir`): the directory with its lock, its identity (`meta_properties`) and its checkpoints
//!   (`checkpoints`, `checkpoint`, `positions`). `directories` chooses the directory from the settings.
//! - [`Log`] (`log`): the log of one partition. `open` lists the folder (`listing`) and recovers the log (`recovery`,
//!   `loss`); `append` and `read`; `retention` deletes segments; `flush` syncs and closes; `reopen` recovers from a
//!   failed write or sync.
//! - `compact`: log compaction. `gap` distinguishes the offset gaps that compaction leaves from lost records.
//! - `producers`: the state of idempotent and transactional producers. `leader_epochs`: the start offset of each epoch.
//! - `segment`: one segment, opened on first use, with `offset_index`, `time_index` (both are `index_file`s) and
//!   `txn_index`. `walk` iterates over its batches.
//! - [`verify`]: checks and repairs a log that no broker has open.
//! - `file`: file access in three implementations, and the crate's only `unsafe`.
//!
//! # Invariants
//! - Appended data is in the page cache when [`Log::append`] returns: killing the process loses nothing. Data covered by
//!   a [`SyncTicket`] survives a power loss. Syncs run without the partition's lock.
//! - Bytes returned by a read stay valid and unchanged for as long as the caller holds them.
//! - Indexes are disposable: an index in doubt is rebuilt, and a wrong one costs time but never changes a result.
//! - After a failed write or sync, a log refuses appends until it is reopened ([`Log::reopen`]).
//! - Recovery never discards whole batches: if the truncated part contains any, it is copied to a plain file first.

mod api;
mod append;
mod checkpoint;
mod checkpoints;
mod compact;
mod config;
mod directories;
mod error;
mod file;
mod flush;
mod gap;
mod index_file;
mod leader_epochs;
mod listing;
mod lock_holder;
mod log;
mod log_dir;
mod log_dir_error;
mod loss;
mod meta_properties;
mod names;
mod offset_index;
mod open;
mod partition_metadata;
mod positions;
mod producers;
mod read;
mod recovery;
mod reopen;
mod retention;
mod segment;
mod sync;
mod time_index;
mod txn_index;
pub mod verify;
mod walk;

#[cfg(test)]
mod tests;

pub use api::{
    AbortedTxn, AppendParams, Appended, CheckpointedEnd, OpenParams, OpenReport, Origin, ProducerDescription, Slice,
    TimestampOffset, TimestampQuery, TxnVerification, Validated, Verification, VerificationGuard,
};
pub use checkpoints::{Checkpoint, CheckpointWriter};
pub use compact::{
    Cleanable, CleanedGroup, CompactError, Compaction, CompactionBuffers, CompactionStats, Replaced, Throttle,
};
pub use config::LogConfig;
pub use directories::{Directories, choose};
pub use error::{AppendError, LogError, ReadError, TxnStateError};
pub use file::faults;
pub use file::{Disk, DiskOp, Fault, OpenLimits, Simulation};
pub use log::Log;
pub use log_dir::{FoundPartition, Identity, LogDir, PartitionState};
pub use log_dir_error::LogDirError;
pub use meta_properties::MetaProperties;
pub use sync::{DeletedFiles, SyncTicket, Synced};
