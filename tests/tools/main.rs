//! Our command-line tools beside Apache Kafka's own, on the same broker: same output, same exit code.
//!
//! A case is a command line. Where Java is absent, ours alone is run, and has to succeed.

#[path = "../common/mod.rs"]
mod common;
#[path = "../java/mod.rs"]
mod java;
#[path = "../protocol/mod.rs"]
mod protocol;

mod acls;
mod cluster;
mod configs;
mod console_consumer;
mod consuming;
mod dump_log;
mod get_offsets;
mod groups;
mod groups_with_java;
mod normalise;
mod partitions;
mod producing;
mod run_class;
mod side_by_side;
mod storage;
mod topics;
mod transactions;
