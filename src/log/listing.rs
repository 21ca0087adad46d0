//! Listing a partition's folder, and removal of files from interrupted operations.

use std::collections::HashSet;

use super::error::IoContext;
use super::segment::{FoundSegment, Place};
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
    pub(super) fn read(place: &Place) -> Result<Listing, LogError> {
        let Some(mut names) = place.disk.list(&place.folder).doing("listing", &place.folder)? else {
            place.disk.create_folder(&place.folder).doing("creating", &place.folder)?;
            return Ok(Listing::default());
        };
        let mut listing = Listing::default();
        if compact::finish_interrupted(place, &names)? {
            listing.names_changed = true;
            names = place.disk.list(&place.folder).doing("listing", &place.folder)?.unwrap_or_default();
        }
        let mut derived = Vec::new();
        for name in &names {
            match names::parse_file(name) {
                Some((base, names::LOG)) => listing.add_segment(place, base)?,
                Some((offset, names::SNAPSHOT)) => listing.snapshots.push(offset),
                Some((base, kind @ (names::OFFSET_INDEX | names::TIME_INDEX | names::TXN_INDEX))) => {
                    derived.push((base, kind));
                }
                _ if is_left_over(name) => remove(place, name)?,
                _ => listing.has_epochs |= name == leader_epochs::FILE_NAME,
            }
        }
        listing.segments.sort_unstable_by_key(|segment| segment.base);
        listing.snapshots.sort_unstable();
        for (base, kind) in derived {
            listing.add_derived(place, base, kind)?;
        }
        Ok(listing)
    }

    fn add_segment(&mut self, place: &Place, base: Offset) -> Result<(), LogError> {
        let path = place.file(base, names::LOG);
        if let Some(size) = place.disk.len(&path).doing("looking at", &path)? {
            self.segments.push(FoundSegment { base, size, synced: false });
        }
        Ok(())
    }

    /// Adds an index, or removes its file if there is no segment for it.
    fn add_derived(&mut self, place: &Place, base: Offset, kind: &str) -> Result<(), LogError> {
        if self.segments.binary_search_by_key(&base, |segment| segment.base).is_err() {
            let path = place.file(base, kind);
            return place.disk.remove(&path).doing("removing", &path);
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

fn remove(place: &Place, name: &str) -> Result<(), LogError> {
    let path = place.folder.join(name);
    place.disk.remove(&path).doing("removing", &path)
}
