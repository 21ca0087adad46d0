//! The checks of topics and partitions that OffsetCommit and TxnOffsetCommit have in common.

use std::sync::Arc;

use super::authorizer::Operation;
use super::context::Context;
use super::denied_topics::DeniedTopics;
use super::errors::ToErrorCode;
use crate::state::cluster::{Cluster, Topic};
use ottla_core::coordinator::group::{PartitionCommit, TopicCommits};
use ottla_wire::codec::Str;
use ottla_wire::types::{ErrorCode, PartitionIndex, TopicId};

/// A topic of a request.
pub(super) struct RequestedTopic {
    pub name: Str,
    /// Zero in versions that name topics.
    pub topic_id: TopicId,
    pub partitions: Vec<PartitionCommit>,
}

impl RequestedTopic {
    fn topic<'a>(&self, cluster: &'a Cluster, by_id: bool) -> Option<&'a Arc<Topic>> {
        if by_id { cluster.topic_by_id(self.topic_id) } else { cluster.topic(&self.name) }
    }

    /// The name to check: the absence of a topic with a given id is visible to every caller.
    fn name<'a>(&'a self, cluster: &'a Cluster, by_id: bool) -> Option<&'a str> {
        if by_id { self.topic(cluster, true).map(|topic| &**topic.name()) } else { Some(&self.name) }
    }
}

/// A topic of a response.
pub(super) struct PlannedTopic {
    pub name: Str,
    pub topic_id: TopicId,
    /// The partitions with their error codes.
    pub partitions: Vec<(PartitionIndex, i16)>,
}

/// The offsets to commit, and a response to be completed with the outcomes.
#[derive(Default)]
pub(super) struct CommitPlan {
    pub topics: Vec<TopicCommits>,
    response: Vec<PlannedTopic>,
    /// The topic and partition indexes in `response` of each partition of `topics`, in order.
    positions: Vec<(usize, usize)>,
}

impl CommitPlan {
    /// Refuses all partitions of a topic.
    pub fn refuse(&mut self, requested: RequestedTopic, error: ErrorCode) {
        let RequestedTopic { name, topic_id, partitions } = requested;
        let partitions = partitions.iter().map(|commit| (commit.partition, error.code())).collect();
        self.response.push(PlannedTopic { name, topic_id, partitions });
    }

    /// Plans the commit of the partitions of all topics that exist and that the caller may read. `by_id`: the request
    /// names topics by their ids.
    pub fn add_all(&mut self, context: &Context, cluster: &Cluster, requested: Vec<RequestedTopic>, by_id: bool) {
        let names = requested.iter().filter_map(|topic| topic.name(cluster, by_id));
        let denied = context.denied_topics(Operation::Read, names);
        for topic in requested {
            self.add(cluster, topic, by_id, &denied);
        }
    }

    fn add(&mut self, cluster: &Cluster, requested: RequestedTopic, by_id: bool, denied: &DeniedTopics) {
        if let Some(Err(denied)) = requested.name(cluster, by_id).map(|name| denied.check(name)) {
            return self.refuse(requested, denied.error_code());
        }
        let Some(topic) = requested.topic(cluster, by_id) else {
            let unknown = if by_id { ErrorCode::UnknownTopicId } else { ErrorCode::UnknownTopicOrPartition };
            return self.refuse(requested, unknown);
        };
        let topic_index = self.response.len();
        let mut commits = Vec::with_capacity(requested.partitions.len());
        let mut partitions = Vec::with_capacity(requested.partitions.len());
        for commit in requested.partitions {
            let index = commit.partition;
            let error = match topic.image.partition(index) {
                None => ErrorCode::UnknownTopicOrPartition,
                Some(_) => {
                    self.positions.push((topic_index, partitions.len()));
                    commits.push(commit);
                    ErrorCode::None
                }
            };
            partitions.push((index, error.code()));
        }
        if !commits.is_empty() {
            let (topic, topic_id) = (Arc::clone(topic.name()), topic.id());
            self.topics.push(TopicCommits { topic, topic_id, partitions: commits });
        }
        self.response.push(PlannedTopic { name: requested.name, topic_id: requested.topic_id, partitions });
    }

    /// Completes the response with an error code for each committed partition, or one for all.
    pub fn complete(mut self, outcome: &Result<Vec<i16>, ErrorCode>) -> Vec<PlannedTopic> {
        for (index, &(topic, partition)) in self.positions.iter().enumerate() {
            let code = match outcome {
                Ok(codes) => codes.get(index).copied().unwrap_or(ErrorCode::UnknownServerError.code()),
                Err(error) => error.code(),
            };
            let slot = self.response.get_mut(topic).and_then(|topic| topic.partitions.get_mut(partition));
            if let Some((_, slot)) = slot {
                *slot = code;
            }
        }
        self.response
    }
}
