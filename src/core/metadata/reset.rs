//! Starting over without starting again: what was made since the first start goes, what the first start wrote stays.

use std::sync::Arc;

use super::commands::{NewTopic, Reply, ResetResult};
use super::image::{ConfigKind, ConfigResource};
use super::records::MetadataRecord;
use super::{Decision, MetadataMachine, configs};

impl MetadataMachine {
    /// Removes every topic and unsets every dynamic setting, then makes `topics`: one decision, so that a crash
    /// leaves all that was or all that shall be. Producer ids and leader epochs go on from where they were.
    pub(super) fn reset(&self, topics: Vec<NewTopic>) -> Decision {
        let present = self.image.topics_by_name();
        let mut records: Vec<MetadataRecord> =
            present.iter().flat_map(|topic| self.removal_records(topic.id)).collect();
        records.extend(self.unset_records());
        let (created, results) = self.after_applying(&records).create_topics_of(&topics);
        records.extend(created);
        Decision::new(records, Reply::Reset(ResetResult { removed: present.len(), created: results }))
    }

    /// The machine as `records` will leave it: names are free, and the floor of leader epochs is above all that was.
    fn after_applying(&self, records: &[MetadataRecord]) -> MetadataMachine {
        let mut after = MetadataMachine::new(self.config.clone());
        after.image = self.image.clone();
        after.effective_broker_config = Arc::clone(&self.effective_broker_config);
        for record in records {
            after.apply(self.next_offset, record);
        }
        after
    }

    /// The records that unset all dynamic settings but those of topics, which go with them, and bring back those that a
    /// new cluster has.
    fn unset_records(&self) -> Vec<MetadataRecord> {
        let kinds = ConfigKind::ALL.into_iter().filter(|kind| *kind != ConfigKind::Topic);
        let resources = kinds.flat_map(|kind| {
            self.image.configs().names(kind).into_iter().map(move |name| ConfigResource::new(kind, name))
        });
        let unset = |resource: ConfigResource| {
            let settings = self.image.configs().get(resource.kind, &resource.name);
            let gone = settings.keys().filter(|name| !self.is_new_cluster_default(&resource, name));
            gone.map(|name| configs::config_record(&resource, name, None)).collect::<Vec<_>>()
        };
        resources.flat_map(unset).chain(self.reset_min_insync_replicas()).collect()
    }
}
