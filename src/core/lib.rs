//! The state machines of the broker. Each decides over one log and keeps its state in it.
//!
//! Pure: no files, no network, no clock, no runtime, no randomness. The broker drives them: decide, append, apply,
//! reply.
//!
//! | module | content |
//! |---|---|
//! | [`machine`] | the trait of every state machine |
//! | [`metadata`] | topics, settings, registration, producer ids |
//! | [`client_metrics`] | which metrics clients push, and when |
//! | [`coordinator`] | groups and their offsets, transactions |
//! | [`security`] | access control lists |
//! | [`shared_map`] | a map whose clones share their content |
//! | [`log_windows`] | counts for rate limits of log lines |

pub mod client_metrics;
pub mod coordinator;
pub mod log_windows;
pub mod machine;
pub mod metadata;
pub mod security;
pub mod shared_map;
