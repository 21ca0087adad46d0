//! Reset of the cluster to its state after the first start.

use std::sync::Arc;

use super::commands::{MetadataReply, MutationQuota, NewTopic, ResetResult, StartUser};
use super::image::{ConfigKind, ConfigResource};
use super::records::MetadataRecord;
use super::{Decision, MetadataMachine, configs};

impl MetadataMachine {
    /// Removes every topic, dynamic setting, quota, ACL and delegation token, leaves only the given users, and creates
    /// `topics`. This is one decision, so a crash leaves either the old or the new state. Producer ids and leader epochs
    /// continue from their current values.
    pub(super) fn reset(&self, topics: &[NewTopic], users: &[StartUser]) -> Decision {
        let present = self.image.topics_by_name();
        let mut records: Vec<MetadataRecord> =
            present.iter().flat_map(|topic| self.removal_records(topic.id)).collect();
        records.extend(self.unset_records());
        records.extend(self.quota_removals());
        records.extend(self.acl_removals());
        records.extend(self.token_removals());
        records.extend(self.start_user_records(users));
        let (created, results) = self.after_applying(&records).create_topics_of(topics, &MutationQuota::default());
        records.extend(created);
        Decision::new(records, MetadataReply::Reset(ResetResult { removed: present.len(), created: results }))
    }

    /// A copy of the machine with `records` applied: the topic names are free, and new leader epochs are above all
    /// earlier ones.
    fn after_applying(&self, records: &[MetadataRecord]) -> MetadataMachine {
        let mut after = MetadataMachine::new(self.config.clone());
        after.image = self.image.clone();
        after.effective_broker_config = Arc::clone(&self.effective_broker_config);
        for record in records {
            after.apply(self.next_offset, record);
        }
        after
    }

    /// The records that unset all dynamic settings except those of topics (they are removed with the topics), and
    /// restore the dynamic settings of a new cluster.
    fn unset_records(&self) -> Vec<MetadataRecord> {
        let kinds = ConfigKind::ALL.into_iter().filter(|kind| *kind != ConfigKind::Topic);
        let resources = kinds.flat_map(|kind| {
            self.image.configs().names(kind).into_iter().map(move |name| ConfigResource::new(kind, name))
        });
        let unset = |resource: ConfigResource| {
            let settings = self.image.configs().get(resource.kind, &resource.name);
            let names = settings.keys().filter(|name| !self.is_new_cluster_default(&resource, name));
            names.map(|name| configs::config_record(&resource, name, None)).collect::<Vec<_>>()
        };
        resources.flat_map(unset).chain(self.reset_min_insync_replicas()).collect()
    }
}
