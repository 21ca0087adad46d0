//! Listing a partition's folder, and removal of files from interrupted operations.

use std::collections::HashSet;

use super::error::IoContext;
use super::segment::{FoundSegment, PartitionFolder};
use super::{LogError, compact, leader_epochs, names};
use ottla_wire::types::Offset;

/// The files of a log.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Ascending by base offset.
    pub(super) segments: Vec<FoundSegment>,
    /// Ascending.
    pub(super) snapshots: Vec<Offset>,
    pub(super) has_epochs: bool,
    /// Whether an interrupted compaction was completed or rolled back.
    pub(super) names_changed: bool,
    offset_indexes: HashSet<Offset>,
    time_indexes: HashSet<Offset>,
    txn_indexes: HashSet<Offset>,
}

impl Listing {
    /// Lists the folder, and creates it if it doesn't exist.
    pub(super) fn read(folder: &PartitionFolder) -> Result<Listing, LogError> {
        let Some(mut names) = folder.disk.list(&folder.path).doing("listing", &folder.path)? else {
            folder.disk.create_folder(&folder.path).doing("creating", &folder.path)?;
            return Ok(Listing::default());
        };
        let mut listing = Listing::default();
        if compact::finish_interrupted(folder, &names)? {
            listing.names_changed = true;
            names = folder.disk.list(&folder.path).doing("listing", &folder.path)?.unwrap_or_default();
        }
        let mut derived = Vec::new();
        for name in &names {
            match names::parse_file(name) {
                Some((base, names::LOG)) => listing.add_segment(folder, base)?,
                Some((offset, names::SNAPSHOT)) => listing.snapshots.push(offset),
                Some((base, kind @ (names::OFFSET_INDEX | names::TIME_INDEX | names::TXN_INDEX))) => {
                    derived.push((base, kind));
                }
                _ if is_left_over(name) => remove(folder, name)?,
                _ => listing.has_epochs |= name == leader_epochs::FILE_NAME,
            }
        }
        listing.segments.sort_unstable_by_key(|segment| segment.base);
        listing.snapshots.sort_unstable();
        for (base, kind) in derived {
            listing.add_derived(folder, base, kind)?;
        }
        Ok(listing)
    }

    fn add_segment(&mut self, folder: &PartitionFolder, base: Offset) -> Result<(), LogError> {
        let path = folder.file(base, names::LOG);
        if let Some(size) = folder.disk.len(&path).doing("reading the size of", &path)? {
            self.segments.push(FoundSegment { base, size, synced: false });
        }
        Ok(())
    }

    /// Adds an index, or removes its file if there is no segment for it.
    fn add_derived(&mut self, folder: &PartitionFolder, base: Offset, kind: &str) -> Result<(), LogError> {
        if self.segments.binary_search_by_key(&base, |segment| segment.base).is_err() {
            let path = folder.file(base, kind);
            return folder.disk.remove(&path).doing("removing", &path);
        }
        match kind {
            names::OFFSET_INDEX => self.offset_indexes.insert(base),
            names::TIME_INDEX => self.time_indexes.insert(base),
            _ => self.txn_indexes.insert(base),
        };
        Ok(())
    }

    /// Whether a segment has a transaction index.
    pub(super) fn has_txn_index(&self, base: Offset) -> bool {
        self.txn_indexes.contains(&base)
    }

    /// Whether a segment has both an offset index and a time index.
    pub(super) fn has_indexes(&self, base: Offset) -> bool {
        self.offset_indexes.contains(&base) && self.time_indexes.contains(&base)
    }
}

/// Whether a file is a temporary file or marked as deleted.
fn is_left_over(name: &str) -> bool {
    [".tmp", ".deleted"].iter().any(|suffix| name.ends_with(suffix))
}

fn remove(folder: &PartitionFolder, name: &str) -> Result<(), LogError> {
    let path = folder.path.join(name);
    folder.disk.remove(&path).doing("removing", &path)
}
