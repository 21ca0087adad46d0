//! Features, the quorum, administration, and the state of a new cluster.

pub mod admin_answers;
mod features;
mod new_cluster;
mod quorum;
