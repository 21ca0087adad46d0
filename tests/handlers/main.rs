//! What the broker answers, API by API: error codes and contents as Apache Kafka 4.3 gives them (3.9 for the
//! versions that 4.x dropped), asked of the real program by the client room.

#[path = "../common/mod.rs"]
mod common;

mod admin_answers;
mod broker_loggers;
mod configs;
mod deleted_records;
mod dynamic_settings;
mod features;
mod fetch;
mod groups;
mod metadata;
mod new_cluster;
mod offsets;
mod produce;
mod produce_rules;
mod quorum;
mod reassignments;
mod recreation;
mod security;
mod topic_settings;
mod topics;
mod transactions;
mod versions;
mod wire;
mod world;
