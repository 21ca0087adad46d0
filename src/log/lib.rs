//! The storage library: one partition's log and the directory that logs live in. Synchronous; it knows no
//! network and no clock (times come in as arguments).
//!
//! Files are Apache Kafka's, byte for byte: either broker can carry on with a directory that the other closed.
//!
//! # The way down
//! - [`LogDir`] (`log_dir`): the directory, its lock, its identity (`meta_properties`), its checkpoints
//!   (`checkpoints`, `checkpoint`), and how far each log was whole in this boot (`positions`); `directories` chooses it among those
//!   that settings name.
//! - [`Log`] (`log`): one partition. `open` finds out what the files are worth, with `listing` and
//!   `recovery`; `append` and `read` do what their names say; `maintain` has retention, syncing and closing.
//! - `compact`: of records with the same key the newest stays; `gap` tells what that leaves out from what was lost.
//! - `producers`: idempotence and transactions; `leader_epochs`: where each epoch begins.
//! - `segment`: a stretch of the log, opened when it is first needed, with `offset_index`, `time_index` (both
//!   `index_file`s) and `txn_index`; `walk` steps through its batches.
//! - [`verify`]: all of this read while no broker has it open, and mended.
//! - `file`: the three backings of all this, and the crate's only `unsafe`.
//!
//! # Invariants
//! - What was appended is in the page cache when [`Log::append`] returns: a killed process loses nothing. What a
//!   [`SyncTicket`] covered survives a power loss. Syncs happen outside of the partition's lock.
//! - Bytes that were read stay valid and unchanged for as long as they are held.
//! - Indexes are disposable: they are written anew on doubt, and a wrong one costs time, not a wrong answer.
//! - After a write or a sync has failed, a log takes no appends until it is opened again ([`Log::reopen`]).
//! - Recovery never throws whole batches away: what is cut although it has some is set aside in a plain file.

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
    AbortedTxn, AppendAs, Appended, NotedEnd, OpenAt, OpenReport, Origin, ProducerDescription, Slice, TimestampOffset,
    TimestampQuery, Validated,
};
pub use checkpoints::{Checkpoint, CheckpointWriter};
pub use compact::{
    Cleanable, CleanedGroup, CompactError, Compaction, CompactionBuffers, CompactionStats, Replaced, Throttle,
};
pub use config::LogConfig;
pub use directories::{Directories, choose};
pub use error::{AppendError, LogError, ReadError};
pub use file::faults;
pub use file::{Disk, DiskOp, Fault, OpenLimits, Simulation};
pub use log::Log;
pub use log_dir::{FoundPartition, Identity, LogDir, PartitionState};
pub use log_dir_error::LogDirError;
pub use meta_properties::MetaProperties;
pub use sync::{DeletedFiles, SyncTicket, Synced};
