//! Ottla: a Kafka broker for one machine.
//!
//! One idea: **everything the broker remembers is a log; everything it decides is a pure machine
//! over one.** Topics and settings are `__cluster_metadata-0`, groups and committed offsets are
//! `__consumer_offsets`, in Kafka's own record formats; one driver runs every machine:
//! decide → append → apply → reply, and recovery replays the same records.
//!
//! # The rooms, top to bottom
//!
//! A room uses rooms below it, never above.
//!
//! | room | what it does |
//! |---|---|
//! | [`cli`] | the command line |
//! | `embedded` | [`Broker`]: a broker inside of a Rust test |
//! | [`logging`] | the program's log lines on stderr |
//! | [`service`] | a broker with its doors: start and stop |
//! | [`client`] | a small async Kafka client, for tests, benchmarks and tools |
//! | [`server`] | the only code that touches sockets: listeners, connections, in-order replies |
//! | [`http`] | the admin port |
//! | [`handlers`] | wire → domain → wire, one file per family of APIs |
//! | [`broker`] | owns state, time and tasks; drives the pure parts |
//! | [`coordinator`] | pure machines: groups and their offsets |
//! | [`metadata`] | pure machine: topics, settings, registration, producer ids |
//! | [`log`] | the storage library: segments, indexes, producer state, recovery |
//! | [`record`] | record batches: verification, building, compression, old formats |
//! | [`protocol`] | bytes ↔ structs for every API and version |
//! | [`codec`] | wire primitives and the schema macro |
//! | [`config`] | one table of settings, and the typed structs every room reads |
//! | [`log_rate_limiter`] | how many log lines a peer can cause |
//! | [`machine`] | the shape of a pure machine |
//! | [`types`] | identities, times, error codes |
//!
//! # A produce request walks down
//!
//! `server` accepts and cuts a frame → `handlers` decodes it with `protocol` (records stay a slice of
//! the frame) and matches → `handlers::produce` loops over partitions → `record::Unverified::verify`
//! checks the batch before any lock → `broker::partition` locks → `log::Log::append` checks the
//! producer's sequence, assigns offsets, stores, indexes → waiting fetches wake → the domain's
//! outcome becomes a response → it leaves in the order of the requests.

pub mod cli;
mod embedded;
pub mod logging;

pub use embedded::{Broker, BrokerError, BrokerOptions};
pub use ottla_client as client;
pub use ottla_wire as wire;
