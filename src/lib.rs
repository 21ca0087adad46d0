//! Ottla: a Kafka broker for one machine.
//!
//! **All state is a log, and all decisions are made by pure state machines over logs.** Topics and settings are in
//! `__cluster_metadata-0`, groups and committed offsets in `__consumer_offsets`, in Kafka's record formats. One driver runs
//! all state machines: decide → append → apply → reply. Recovery replays the same records.
//!
//! [`Broker`] is a broker inside a program, such as a Rust test. The `ottla` program is the same broker with a command line
//! (feature `cli`, on by default). To embed a broker, disable it: `ottla = { version = "0.1", default-features = false }`. The
//! feature `registry`, also on by default, is the schema registry.
//!
//! # The crates, top to bottom
//!
//! A crate uses only crates below it. The other crates are internal: their APIs can change in any release.
//!
//! | crate | directory | what it does | uses |
//! |---|---|---|---|
//! | `ottla` | `src` | [`Broker`] for embedding; the command line and the program's log lines on stderr | all |
//! | `ottla-broker` | `src/broker` | state, time and tasks; handlers of Kafka's APIs; listeners; the admin port; start and stop | `core`, `log`, `config`, `wire` |
//! | `ottla-registry` | `src/registry` | the schema registry: parsers and comparison of schemas, its state and REST API; pure | `wire` |
//! | `ottla-core` | `src/core` | pure state machines: metadata (topics, settings, registration, producer ids), groups and their offsets | `config`, `wire` |
//! | `ottla-client` ([`client`]) | `src/client` | a small async Kafka client, for tests, benchmarks and tools | `wire` |
//! | `ottla-console` | `src/console` | the web console and its HTTP API, a Kafka client (feature `console`, on by default) | `client`, `wire` |
//! | `ottla-log` | `src/log` | the storage library: segments, indexes, producer state, recovery, compaction, verification; the only `unsafe` | `wire` |
//! | `ottla-config` | `src/config` | one table of settings, loading of settings, and the typed structs that other crates use | `wire` |
//! | `ottla-wire` ([`wire`]) | `src/wire` | bytes ↔ structs for every API and version; record batches; ids, times, error codes | none |
//!
//! # How a produce request is processed
//!
//! `server` reads a frame → `handlers` decodes it with `protocol` (records stay a slice of the frame) →
//! `handlers::produce` iterates over the partitions → `record::Unverified::verify_set` verifies the batches before any lock →
//! `state::partition` takes the partition's lock → `log::Log::append` checks the producer's sequence, assigns offsets,
//! writes, and updates the indexes → waiting fetches are woken → the outcome becomes a response → responses are sent in the
//! order of the requests.

#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
mod embedded;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod logging;
mod web_console;

pub use embedded::{Broker, BrokerError, BrokerOptions};
/// The client that the project's tools and tests use.
///
/// **Unstable**: it can change in any release.
pub use ottla_client as client;
/// Kafka's protocol and record formats, as the broker uses them.
///
/// **Unstable**: it can change in any release.
pub use ottla_wire as wire;
