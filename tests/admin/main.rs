//! The admin port, asked of the real program: who is let in, and what a reset leaves.

#[path = "../common/mod.rs"]
mod common;

mod door;
mod http;
mod reset;
