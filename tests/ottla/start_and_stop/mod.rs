//! Starts, stops, restarts, and brokers inside of a process.

mod embedded;
mod many_brokers;
mod restart;
mod start;
