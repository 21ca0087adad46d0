//! Settings of brokers and topics: how they are read, described, changed, and what effect they have.

mod broker_loggers;
mod configs;
pub mod dynamic;
mod facts;
mod protection;
mod topic;
