//! What a compaction that was interrupted has left in a log's folder, ours or Apache Kafka's, and what becomes of it
//! when the log is opened (Kafka's `LogLoader`).
//!
//! A segment whose files are all `.swap` is whole and synced, and takes the place of those it covers. As long as one
//! file is `.cleaned`, none of the old ones has been touched, and everything new goes. Splitting a segment, as Kafka does
//! with ones that very old versions wrote, leaves several `.swap` segments, from the last to the first: those behind the
//! first `.cleaned` go with it.

use std::ops::Range;

use crate::error::IoContext;
use crate::segment::Place;
use crate::walk::{Source, Step, Walk};
use crate::{LogError, names};
use ottla_wire::types::Offset;

/// Finishes or takes back what was interrupted; `found` are the names in the folder. Whether anything was changed.
pub(crate) fn finish_interrupted(place: &Place, found: &[String]) -> Result<bool, LogError> {
    let cleaned = suffixed(found, names::CLEANED);
    let (mut given_up, mut swaps): (Vec<_>, Vec<_>) = match cleaned.iter().map(|file| file.base).min() {
        Some(first_cleaned) => suffixed(found, names::SWAP).into_iter().partition(|file| file.base >= first_cleaned),
        None => (Vec::new(), suffixed(found, names::SWAP)),
    };
    let covered = covered(place, &swaps)?;
    if let Some(Covered { is_whole: false, old_is_whole: true, .. }) = covered {
        given_up.append(&mut swaps);
    }
    for file in given_up.iter().chain(&cleaned) {
        remove(place, file.name)?;
    }
    if let Some(Covered { offsets, .. }) = covered.filter(|_| !swaps.is_empty()) {
        for name in found {
            let base = names::parse_file(name).map(|(base, _)| base);
            if base.is_some_and(|base| offsets.contains(&base)) && !name.ends_with(names::SWAP) {
                remove(place, name)?;
            }
        }
    }
    for file in &swaps {
        let (from, to) = (place.folder.join(file.name), place.file(file.base, file.kind));
        place.disk.rename(&from, &to).doing("renaming", &from)?;
    }
    Ok(!cleaned.is_empty() || !given_up.is_empty() || !swaps.is_empty())
}

/// A file of a segment with a suffix behind its name.
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

/// What `.swap` segments stand for.
struct Covered {
    offsets: Range<Offset>,
    /// Whether all of them can be read to their end, as they could when they were written.
    is_whole: bool,
    /// Whether none of the segments they replace has been touched.
    old_is_whole: bool,
}

/// What the new segments stand for; `None` if none of them has to be put in its place any more.
fn covered(place: &Place, swaps: &[Suffixed<'_>]) -> Result<Option<Covered>, LogError> {
    let mut covered: Option<Covered> = None;
    for file in swaps.iter().filter(|file| file.kind == names::LOG) {
        let (end, is_whole) = end_of(place, file)?;
        let old = place.file(file.base, names::LOG);
        let old_is_whole = place.disk.len(&old).doing("looking at", &old)?.is_some();
        covered = Some(match covered {
            None => Covered { offsets: file.base..end, is_whole, old_is_whole },
            Some(others) => Covered {
                offsets: others.offsets.start.min(file.base)..others.offsets.end.max(end),
                is_whole: others.is_whole && is_whole,
                old_is_whole: others.old_is_whole && old_is_whole,
            },
        });
    }
    Ok(covered)
}

/// Where a new segment's offsets end, behind its base at least, so that what the old one had beside its records goes;
/// and whether it has batches only.
fn end_of(place: &Place, file: &Suffixed<'_>) -> Result<(Offset, bool), LogError> {
    let path = place.folder.join(file.name);
    let raw = place.disk.open_to_read(&path).doing("opening", &path)?;
    let raw = raw.ok_or_else(|| LogError::io("opening", &path, std::io::ErrorKind::NotFound.into()))?;
    let size = raw.len().doing("looking at", &path)?;
    let mut walk = Walk::new(Source::Raw(&raw), 0, size, file.base);
    let is_whole = loop {
        match walk.step().doing("reading", &path)? {
            Step::Batch { .. } => {}
            end => break end == Step::End,
        }
    };
    Ok((walk.next_offset().max(file.base + 1), is_whole))
}

fn remove(place: &Place, name: &str) -> Result<(), LogError> {
    let path = place.folder.join(name);
    place.disk.remove(&path).doing("removing", &path)
}
