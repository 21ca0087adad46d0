//! The admin port, asked of the real program: who is let in, and what a reset leaves.

mod access;
mod http;
mod reset;
