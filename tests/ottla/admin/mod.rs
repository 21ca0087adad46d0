//! The admin port of the real program: access rules, limits and resets.

mod access;
pub mod http;
mod reset;
mod reset_of_transactions;
mod topics;
mod trace;
