//! The schema registry: Confluent's REST API over the topic `_schemas`, in its record format.
//!
//! Pure: no network, no files, no clock, no runtime, no randomness. A driver does the I/O: `state/registry` of the broker,
//! or a Kafka client for a registry that is a process of its own. Both do the same:
//!
//! 1. Replay all records of `_schemas` with [`store::Registry::replay`]. A record that cannot be read is logged and skipped.
//! 2. For each request, hold the registry, call [`api::handle`], and send the response, or append the records as one batch,
//!    replay them with their timestamps, and then send the response.
//! 3. Records that others append are replayed before the next request is decided. There is one writer at a time; the driver
//!    ensures it.
//!
//! The driver limits the size of a body. It does not call [`api::handle`] on a thread that others wait for: a comparison of
//! two large schemas can take seconds.
//!
//! # Layers
//!
//! A module uses only modules above it in this table.
//!
//! | module | content |
//! |---|---|
//! | [`utf16`] | the order of Java's strings |
//! | [`json`] | JSON as Jackson reads and writes it |
//! | `fields` | reading of JSON objects with known fields |
//! | [`subject`] | subjects and contexts |
//! | [`schema`] | parsing, canonical texts and comparison of schemas; one module for each format |
//! | [`contract`] | metadata and rules of schemas |
//! | [`entity`] | a schema with its place in the registry, references, GUIDs |
//! | [`codec`], [`subject_name`] | how records name their schemas, and the subjects of their schemas |
//! | [`compatibility`] | levels, over the versions of a subject |
//! | [`error`] | Confluent's error codes |
//! | [`store`] | the state machine over `_schemas` |
//! | [`api`] | routes, bodies and responses |
//!
//! # Invariants
//!
//! - **State changes only in `replay`.** A command whose records are not appended leaves no trace, and its id is given to the
//!   next schema. The state after a restart is the one before it; a compacted log gives the same subjects and settings.
//! - **An answer with an id is durable.** The driver sends it after the append.
//! - **Commands are repeatable.** Registering what is registered answers with the same id and appends nothing.
//! - **An id has one text in its context.** Of two records that disagree, the first counts, as in Confluent's registry.
//! - **Canonical texts are those of Confluent's registry**, and so are the hashes over them: the same requests give the same
//!   ids and the same records. the folders `tests` under [`schema`] compare them with tables from its own classes.
//! - **Work is bounded for any input.** Depth of JSON and of types, the number of types, references and pairs of types in a
//!   comparison, and the sizes of messages, records and caches have limits; beyond them a request gets an error.
//!
//! # Absent on purpose
//!
//! Associations, exporters and encryption keys (`/associations`, `/exporters`, `/dek-registry`) answer 404; records of
//! associations are ignored and stay in the topic. Rules are stored, checked and returned in every mode, which Confluent's
//! community edition does not do. Nothing is fetched from other hosts for a schema.

pub mod api;
pub mod codec;
pub mod compatibility;
pub mod contract;
pub mod entity;
pub mod error;
mod fields;
pub mod json;
pub mod schema;
pub mod store;
pub mod subject;
pub mod subject_name;
pub mod utf16;
