//! Files that an interrupted compaction, ours or Apache Kafka's, left in a log's folder: opening the log completes the
//! replacement or removes them (Kafka's `LogLoader`).
//!
//! A segment whose files all end with `.swap` is complete and synced, and replaces the segments that it covers. If one
//! file still ends with `.cleaned`, no old file has been changed, and all new files are removed. Kafka splits segments
//! that very old versions wrote. Then there are several new segments, which are renamed to `.swap` from the last to the
//! first: those after the first `.cleaned` segment are removed together with it.

use std::ops::Range;

use crate::error::IoContext;
use crate::segment::PartitionFolder;
use crate::walk::{Source, Step, Walk};
use crate::{LogError, names};
use ottla_wire::types::Offset;

/// Completes or reverts an interrupted compaction; `found` are the names in the folder. Returns whether it changed
/// anything.
pub(crate) fn finish_interrupted(folder: &PartitionFolder, found: &[String]) -> Result<bool, LogError> {
    let cleaned = suffixed(found, names::CLEANED);
    let (mut reverted, mut swaps): (Vec<_>, Vec<_>) = match cleaned.iter().map(|file| file.base).min() {
        Some(first_cleaned) => suffixed(found, names::SWAP).into_iter().partition(|file| file.base >= first_cleaned),
        None => (Vec::new(), suffixed(found, names::SWAP)),
    };
    let covered = covered(folder, &swaps)?;
    if let Some(Covered { is_intact: false, old_exist: true, .. }) = covered {
        reverted.append(&mut swaps);
    }
    for file in reverted.iter().chain(&cleaned) {
        remove(folder, file.name)?;
    }
    if let Some(Covered { offsets, .. }) = covered.filter(|_| !swaps.is_empty()) {
        for name in found {
            let base = names::parse_file(name).map(|(base, _)| base);
            if base.is_some_and(|base| offsets.contains(&base)) && !name.ends_with(names::SWAP) {
                remove(folder, name)?;
            }
        }
    }
    for file in &swaps {
        let (from, to) = (folder.path.join(file.name), folder.file(file.base, file.kind));
        folder.disk.rename(&from, &to).doing("renaming", &from)?;
    }
    Ok(!cleaned.is_empty() || !reverted.is_empty() || !swaps.is_empty())
}

/// A file of a segment with a suffix after its name.
struct Suffixed<'a> {
    name: &'a str,
    base: Offset,
    kind: &'a str,
}

fn suffixed<'a>(found: &'a [String], suffix: &str) -> Vec<Suffixed<'a>> {
    let parse = |name: &'a String| {
        let (base, kind) = names::parse_file(name)?;
        let kind = kind.strip_suffix(suffix)?.strip_suffix('.')?;
        Some(Suffixed { name, base, kind })
    };
    found.iter().filter_map(parse).collect()
}

/// The range that `.swap` segments replace.
struct Covered {
    offsets: Range<Offset>,
    /// Whether all `.swap` segments can be read to their end.
    is_intact: bool,
    /// Whether all segments that they replace still exist.
    old_exist: bool,
}

/// Returns the range that `.swap` segments replace; `None` if there are none.
fn covered(folder: &PartitionFolder, swaps: &[Suffixed<'_>]) -> Result<Option<Covered>, LogError> {
    let mut covered: Option<Covered> = None;
    for file in swaps.iter().filter(|file| file.kind == names::LOG) {
        let (end, is_intact) = end_of(folder, file)?;
        let old = folder.file(file.base, names::LOG);
        let old_exist = folder.disk.len(&old).doing("reading the size of", &old)?.is_some();
        covered = Some(match covered {
            None => Covered { offsets: file.base..end, is_intact, old_exist },
            Some(others) => Covered {
                offsets: others.offsets.start.min(file.base)..others.offsets.end.max(end),
                is_intact: others.is_intact && is_intact,
                old_exist: others.old_exist && old_exist,
            },
        });
    }
    Ok(covered)
}

/// Returns the end offset of a new segment, and whether it can be read to its end. The end is above the base even if
/// the segment is empty, so that the files of the old segment at this base are removed.
fn end_of(folder: &PartitionFolder, file: &Suffixed<'_>) -> Result<(Offset, bool), LogError> {
    let path = folder.path.join(file.name);
    let raw = folder.disk.open_to_read(&path).doing("opening", &path)?;
    let raw = raw.ok_or_else(|| LogError::io("opening", &path, std::io::ErrorKind::NotFound.into()))?;
    let size = raw.len().doing("reading the size of", &path)?;
    let mut walk = Walk::new(Source::Raw(&raw), 0, size, file.base);
    let is_intact = loop {
        match walk.step().doing("reading", &path)? {
            Step::Batch { .. } => {}
            end => break end == Step::End,
        }
    };
    Ok((walk.next_offset().max(file.base + 1), is_intact))
}

fn remove(folder: &PartitionFolder, name: &str) -> Result<(), LogError> {
    let path = folder.path.join(name);
    folder.disk.remove(&path).doing("removing", &path)
}
