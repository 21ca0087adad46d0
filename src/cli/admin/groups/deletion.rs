//! Deletes groups and committed offsets.

use std::rc::Rc;

use super::{Groups, GroupsError, TopicSelection};
use ottla_client::ClientError;
use ottla_wire::types::{TopicPartition, sort_by};

/// The result of deleting a group's offsets.
#[derive(Debug)]
pub struct OffsetsDeleted {
    /// Sorted. An error of the whole request is the error of each partition.
    pub partitions: Vec<(TopicPartition, Result<(), Rc<ClientError>>)>,
    /// Topics whose partitions could not be listed.
    pub unknown_topics: Vec<(String, ClientError)>,
    /// The first error of a partition.
    pub error: Option<Rc<ClientError>>,
}

impl Groups {
    /// Deletes a group without members.
    pub async fn delete(&self, group: &str) -> Result<(), ClientError> {
        self.retry_coordinator(Some(group), async || self.client.delete_group(group).await).await
    }

    /// Deletes a group's committed offsets of these partitions.
    pub async fn delete_offsets(
        &self,
        group: &str,
        selections: &[TopicSelection],
    ) -> Result<OffsetsDeleted, GroupsError> {
        let mut unknown_topics = Vec::new();
        let mut partitions = Vec::new();
        for selection in selections {
            match self.partitions(selection).await {
                Ok(found) => partitions.extend(found),
                Err(error) if error.code().is_some() => unknown_topics.push((selection.topic.clone(), error)),
                Err(error) => return Err(error.into()),
            }
        }
        sort_by(&mut partitions, Ord::cmp);
        partitions.dedup();
        let request = async || self.client.delete_committed_offsets(group, &partitions).await;
        let partitions: Vec<_> = match self.retry_coordinator(Some(group), request).await {
            Ok(results) => {
                results.into_iter().map(|(partition, result)| (partition, result.map_err(Rc::new))).collect()
            }
            Err(error) if error.code().is_some() && !partitions.is_empty() => {
                let error = Rc::new(error);
                partitions.into_iter().map(|partition| (partition, Err(error.clone()))).collect()
            }
            Err(error) => return Err(error.into()),
        };
        let error = partitions.iter().find_map(|(_, result)| result.as_ref().err().cloned());
        Ok(OffsetsDeleted { partitions, unknown_topics, error })
    }
}
