//! Whether the storage of the broker works, for health checks.

use super::Broker;

/// Which logs cannot be used now. They are opened again when the disk works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StorageHealth {
    pub metadata_failed: bool,
    pub offline: usize,
    pub partitions: usize,
}

impl Broker {
    /// Takes no lock of a partition.
    pub fn storage_health(&self) -> StorageHealth {
        let cluster = self.cluster();
        let (mut partitions, mut offline) = (0, 0);
        for partition in cluster.local_partitions() {
            partitions += 1;
            offline += usize::from(partition.is_failed());
        }
        StorageHealth { metadata_failed: self.metadata.is_failed(), offline, partitions }
    }
}

impl StorageHealth {
    /// Whether clients cannot use the broker: no topic can be changed, or no partition can be used.
    pub fn has_failed(&self) -> bool {
        self.metadata_failed || (self.offline > 0 && self.offline == self.partitions)
    }

    /// What has failed, one plain text each.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.metadata_failed {
            faults.push("the storage has failed: the metadata log is offline".to_owned());
        }
        if self.offline > 0 {
            let (offline, all) = (self.offline, self.partitions);
            faults.push(format!("the storage has failed: {offline} of {all} partitions are offline"));
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn storage_has_failed_if_the_metadata_or_all_partitions_are_offline() {
        let health = |metadata_failed, offline| StorageHealth { metadata_failed, offline, partitions: 3 };
        assert!(!health(false, 0).has_failed() && health(false, 0).faults().is_empty());
        assert!(!health(false, 2).has_failed());
        assert_eq!(health(false, 2).faults(), ["the storage has failed: 2 of 3 partitions are offline"]);
        assert!(health(false, 3).has_failed());
        assert!(health(true, 0).has_failed());
        assert_eq!(health(true, 3).faults().len(), 2);
        assert!(!StorageHealth::default().has_failed());
    }
}
