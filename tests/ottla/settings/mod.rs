//! Settings of brokers and topics: how they are read, described and changed, and their effects.

mod broker_loggers;
mod configs;
pub mod dynamic;
mod facts;
mod images;
mod protection;
mod topic;
mod transactions;
