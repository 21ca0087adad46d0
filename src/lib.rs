//! Ottla: a Kafka broker for one machine.

pub mod broker;
pub mod cli;
pub mod client;
pub mod codec;
pub mod config;
pub mod coordinator;
pub mod handlers;
pub mod log;
pub mod machine;
pub mod metadata;
pub mod protocol;
pub mod record;
pub mod server;
pub mod types;
