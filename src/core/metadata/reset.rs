//! Starting over without starting again: what was made since the first start goes, what the first start wrote stays.

use std::sync::Arc;

use super::commands::{NewTopic, Reply, ResetDone};
use super::image::{ConfigKind, ConfigResource};
use super::records::MetadataRecord;
use super::{Decision, MetadataMachine, configs};

impl MetadataMachine {
    /// Removes every topic and unsets every dynamic setting, then makes `topics`: one decision, so that a crash
    /// leaves all that was or all that shall be. Producer ids and leader epochs go on from where they were.
    pub(super) fn reset(&self, topics: Vec<NewTopic>) -> Decision {
        let present = self.image.topics_by_name();
        let mut records: Vec<MetadataRecord> = present.iter().flat_map(|topic| self.removal(topic.id)).collect();
        records.extend(self.unset_all());
        let (created, results) = self.after(&records).create_topics_of(&topics);
        records.extend(created);
        Decision::new(records, Reply::Reset(ResetDone { removed: present.len(), created: results }))
    }

    /// The machine as `records` will leave it: names are free, and the floor of leader epochs is above all that was.
    fn after(&self, records: &[MetadataRecord]) -> MetadataMachine {
        let mut after = MetadataMachine::new(self.config.clone());
        after.image = self.image.clone();
        after.broker_in_force = Arc::clone(&self.broker_in_force);
        for record in records {
            after.apply(self.next_offset, record);
        }
        after
    }

    /// The records that unset all dynamic settings but those of topics, which go with them, and bring back those that a
    /// new cluster has.
    fn unset_all(&self) -> Vec<MetadataRecord> {
        let kinds = ConfigKind::ALL.into_iter().filter(|kind| *kind != ConfigKind::Topic);
        let resources = kinds.flat_map(|kind| {
            self.image.configs().names(kind).into_iter().map(move |name| ConfigResource::new(kind, name))
        });
        let unset = |resource: ConfigResource| {
            let settings = self.image.configs().get(resource.kind, &resource.name);
            let gone = settings.keys().filter(|name| !self.is_of_new_cluster(&resource, name));
            gone.map(|name| configs::config_record(&resource, name, None)).collect::<Vec<_>>()
        };
        resources.flat_map(unset).chain(self.reset_min_insync_replicas()).collect()
    }
}
