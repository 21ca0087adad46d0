//! Ottla: a Kafka broker for one machine.
//!
//! One idea: **everything the broker remembers is a log; everything it decides is a pure machine
//! over one.** Topics and settings are `__cluster_metadata-0`, groups and committed offsets are
//! `__consumer_offsets`, in Kafka's own record formats; one driver runs every machine:
//! decide → append → apply → reply, and recovery replays the same records.
//!
//! [`Broker`] is a broker inside of a program, such as a Rust test. The `ottla` program is the same broker with a
//! command line (feature `cli`, on by default; a broker that is embedded needs none of it:
//! `ottla = { version = "0.1", default-features = false }`).
//!
//! # The crates, top to bottom
//!
//! A crate uses crates below it, never above. All but this one are parts of it: their APIs change without notice.
//!
//! | crate | directory | what it does | uses |
//! |---|---|---|---|
//! | `ottla` | `src` | [`Broker`] for embedding; the command line and the program's log lines on stderr | all |
//! | `ottla-broker` | `src/broker` | state, time and tasks; handlers of Kafka's APIs; listeners; the admin port; start and stop | `core`, `log`, `config`, `wire` |
//! | `ottla-core` | `src/core` | pure state machines: metadata (topics, settings, registration, producer ids), groups and their offsets | `config`, `wire` |
//! | `ottla-client` ([`client`]) | `src/client` | a small async Kafka client, for tests, benchmarks and tools | `wire` |
//! | `ottla-log` | `src/log` | the storage library: segments, indexes, producer state, recovery, compaction, verification; the only `unsafe` | `wire` |
//! | `ottla-config` | `src/config` | one table of settings, how they are read, and the typed structs that the others take them from | `wire` |
//! | `ottla-wire` ([`wire`]) | `src/wire` | bytes ↔ structs for every API and version; record batches; identities, times, error codes | nothing of ours |
//!
//! # A produce request walks down
//!
//! `server` accepts and cuts a frame → `handlers` decodes it with `protocol` (records stay a slice of
//! the frame) and matches → `handlers::produce` loops over partitions → `record::Unverified::verify`
//! checks the batch before any lock → `broker::partition` locks → `log::Log::append` checks the
//! producer's sequence, assigns offsets, stores, indexes → waiting fetches wake → the domain's
//! outcome becomes a response → it leaves in the order of the requests.

#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
mod embedded;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod logging;

pub use embedded::{Broker, BrokerError, BrokerOptions};
/// The client of the project's own tools and tests.
///
/// **Unstable**: it has what they need, and changes with them in any release.
pub use ottla_client as client;
/// Kafka's protocol and records as the broker reads and writes them.
///
/// **Unstable**: it has what the broker needs, and changes with it in any release.
pub use ottla_wire as wire;
