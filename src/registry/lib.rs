//! The schema registry: Confluent's REST API over the topic `_schemas`, in its record format.
//!
//! Pure: no network, no files, no clock, no runtime, no randomness. A driver does the I/O: `state/registry` of the broker,
//! or a Kafka client for a registry that is a process of its own. Both do the same:
//!
//! 1. Replay all records of `_schemas` with [`store::Registry::replay`]. A record that cannot be read is logged and skipped.
//! 2. For each request, call [`api::handle`] with the registry, and send the response, or append the records as one batch,
//!    replay them with their timestamps, and then send the response. For a request that [may take long](api::Work), it gets
//!    a snapshot (a clone) of the registry, so that others are answered meanwhile.
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
//! | [`validation`] | checks of records by the registered schemas |
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
//! - **Work is bounded for any input**, by the bounds below; beyond them a request gets an error.
//! - **A value is read within bounds too.** Memory is taken for what was read, never for what a payload claims.
//!
//! # Bounds
//!
//! | what | bound | beyond it |
//! |---|---|---|
//! | depth of JSON, in requests, records, schemas and values | [`json::MAX_DEPTH`] | not JSON |
//! | depth of Protobuf: messages in a schema; messages in a value | 64; 100 | the schema or the value is refused |
//! | types of a schema with those that it refers to | [`schema::nesting::MAX_NODES`] | the schema is refused |
//! | schemas that one refers to, and their size | [`schema::nesting::MAX_REFERENCES`], [`schema::nesting::MAX_TOTAL_BYTES`] | the schema is refused |
//! | full names in Protobuf | 1024 bytes | the schema is refused |
//! | pairs of types and depth of a comparison | [`schema::nesting::MAX_COMPARED_PAIRS`], [`schema::nesting::MAX_COMPARED_DEPTH`] | incompatible |
//! | schemas that one request parses, such as all versions of a subject | 128 MiB, and 512 bytes for each | error 50002 |
//! | regular expressions | 512 KiB each, 10,000 steps back in a search, 4 MiB for all that values of a schema are checked against | they match nothing; the value is refused |
//! | parts of a value | 16 for each byte, and 1,000,000 | the value is refused |
//! | memory of a decoded value | 64 MiB | the value is refused |
//! | checks of a JSON value | 1,000,000, and a depth of 500 | the value is refused |
//! | schemas, and messages of each, whose checks a batch of records remembers | [`validation::MAX_REMEMBERED`] | looked up again |
//! | parsed schemas in memory | 1,000 and 16 MiB, for the registry and once more for the index | parsed again |
//! | a record | `max_record_bytes` of the settings | error 42209 |
//!
//! There is no bound on the number of schemas: 10,000 schemas of 650 bytes under as many subjects take 25 MB (measured), and
//! each further small version of a subject about 1.2 KB. Lists of versions and subjects take time that is linear in their
//! number.
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
pub mod validation;
