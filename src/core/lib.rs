//! The state machines of the broker: what it decides, over the logs that it remembers.
//!
//! Pure: no files, no network, no clock, no runtime, no randomness. The broker drives them: decide, append, apply, reply.
//!
//! | module | what it holds |
//! |---|---|
//! | [`machine`] | the trait of every state machine |
//! | [`metadata`] | topics, settings, registration, producer ids |
//! | [`coordinator`] | groups and their offsets |
//! | [`log_windows`] | how many log lines of one kind are allowed in a time |

pub mod coordinator;
pub mod log_windows;
pub mod machine;
pub mod metadata;
