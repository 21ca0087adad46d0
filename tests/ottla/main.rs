//! Tests from outside, by subject. Most start the real program on a free port with a directory of its own.
//!
//! They are one test program, because every test program links everything. A test that needs a process of its own is a
//! file beside this folder; a test that needs Java, Python clients or Docker is in `tests/external`.

mod admin;
mod authorization;
mod client;
mod cluster;
mod commands;
mod console;
mod crash;
mod fetch;
mod fixture;
mod groups;
mod log_output;
mod metrics;
mod network;
mod produce;
mod protocol;
mod quotas;
mod redpanda;
mod repository;
mod sasl;
mod sasl_changes;
mod sasl_exchange;
mod schema_registry;
mod security;
mod settings;
mod start_and_stop;
mod storage;
mod tls;
mod topics;
mod transaction_answers;
mod transactions;
mod unauthenticated;
mod wire;
