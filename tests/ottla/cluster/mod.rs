//! What the broker answers about itself: features, the quorum, administration, and a cluster that is new.

pub mod admin_answers;
mod features;
mod new_cluster;
mod quorum;
