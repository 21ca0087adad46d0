//! The location of a partition's log, for a broker with one log directory.

use super::{BrokerId, PartitionImage};
use ottla_wire::types::Uuid;

/// `DirectoryId.MIGRATING`: the record has no directory for the replica, as before `metadata.version` 3.7-IV2.
pub const MIGRATING_DIRECTORY: Uuid = Uuid::ZERO;
/// `DirectoryId.UNASSIGNED`: the replica has no log directory yet.
pub const UNASSIGNED_DIRECTORY: Uuid = Uuid([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
/// `DirectoryId.LOST`: the log directory of the replica is unknown.
pub const LOST_DIRECTORY: Uuid = Uuid([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);

/// Whether a broker has a partition's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hosting {
    /// The log is in the broker's log directory, or will be created there.
    Here,
    /// The broker is not one of the partition's replicas.
    OtherNode,
    /// The broker's replica is in another log directory, or in [`LOST_DIRECTORY`].
    AbsentDirectory(Uuid),
}

impl PartitionImage {
    /// Whether the broker `node` with the log directory `directory` has this partition's log.
    pub fn hosting(&self, node: BrokerId, directory: Uuid) -> Hosting {
        let Some(at) = self.replicas.iter().position(|replica| *replica == node) else { return Hosting::OtherNode };
        match self.directories.get(at).copied().unwrap_or(MIGRATING_DIRECTORY) {
            MIGRATING_DIRECTORY | UNASSIGNED_DIRECTORY => Hosting::Here,
            assigned if assigned == directory => Hosting::Here,
            assigned => Hosting::AbsentDirectory(assigned),
        }
    }

    /// The directories of all replicas, with `directory` for the one of `node`.
    pub(in crate::metadata) fn directories_with(&self, node: BrokerId, directory: Uuid) -> Vec<Uuid> {
        let known = self.directories.iter().copied().chain(std::iter::repeat(MIGRATING_DIRECTORY));
        let of = |(replica, known): (&BrokerId, Uuid)| if *replica == node { directory } else { known };
        self.replicas.iter().zip(known).map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::records::PartitionRecord;

    const OURS: Uuid = Uuid([7; 16]);
    const OTHER: Uuid = Uuid([8; 16]);

    fn hosting(replicas: &[BrokerId], directories: &[Uuid]) -> Hosting {
        let record =
            PartitionRecord { replicas: replicas.to_vec(), directories: directories.to_vec(), ..Default::default() };
        super::super::apply::partition_image(&record, None).hosting(1, OURS)
    }

    #[test]
    fn hosting_depends_on_replicas_and_their_directories() {
        for (replicas, directories, expected) in [
            (&[1][..], &[OURS][..], Hosting::Here),
            (&[1], &[UNASSIGNED_DIRECTORY], Hosting::Here),
            (&[1], &[MIGRATING_DIRECTORY], Hosting::Here),
            // Before metadata.version 3.7-IV2.
            (&[1], &[], Hosting::Here),
            (&[1], &[OTHER], Hosting::AbsentDirectory(OTHER)),
            (&[1], &[LOST_DIRECTORY], Hosting::AbsentDirectory(LOST_DIRECTORY)),
            (&[2, 1], &[OURS, OTHER], Hosting::AbsentDirectory(OTHER)),
            (&[2, 1], &[OTHER, OURS], Hosting::Here),
            (&[2, 3], &[OTHER, OURS], Hosting::OtherNode),
            (&[], &[], Hosting::OtherNode),
        ] {
            assert_eq!(hosting(replicas, directories), expected, "{replicas:?} in {directories:?}");
        }
    }
}
