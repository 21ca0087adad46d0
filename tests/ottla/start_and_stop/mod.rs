//! Starts, stops, restarts, and embedded brokers.

mod embedded;
mod ephemeral;
mod many_brokers;
mod restart;
mod start;
