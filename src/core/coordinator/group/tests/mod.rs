//! Tests of groups in simulated time.

mod client;
mod disconnecting;
mod harness;
mod joining;
mod leaving;
mod offsets;
mod property;
mod queries;
mod rebalancing;
mod recovery;
mod revoking;
mod starting_together;
mod static_members;
mod syncing;
mod transactions;
