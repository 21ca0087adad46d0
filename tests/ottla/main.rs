//! Tests from outside, by subject: most ask the real program, which each starts on a free port with a directory of its own.
//!
//! One program, because each links everything. A test that needs a process of its own has a file beside this folder, and
//! one that needs Java, Python clients or Docker is in `tests/external`.

mod admin;
mod client;
mod cluster;
mod commands;
mod crash;
mod fetch;
mod groups;
mod log_output;
mod network;
mod produce;
mod protocol;
mod repository;
mod security;
mod settings;
mod start_and_stop;
mod storage;
mod topics;
mod transactions;
mod wire;
mod world;
