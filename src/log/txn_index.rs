//! `.txnindex`: the aborted transactions whose abort marker is in the segment.
//!
//! An entry is 34 bytes: `i16` version 0, and as `i64` the producer id, first offset, last offset (of the marker) and last
//! stable offset. Segments without entries, which are the most, have no file.

use std::io;
use std::path::Path;

use super::AbortedTxn;
use super::file::Disk;
use super::index_file::field;

/// Bytes of an entry.
pub(crate) const SIZE: usize = 34;
const VERSION: i16 = 0;

/// Reads all entries; none if there is no file. Stops at the first invalid entry: torn, with an unknown version, out of
/// order, or zeros from a power loss.
pub(crate) fn read(disk: &Disk, path: &Path) -> io::Result<Vec<AbortedTxn>> {
    let bytes = disk.read(path)?.unwrap_or_default();
    let mut entries: Vec<AbortedTxn> = Vec::new();
    for entry in bytes.chunks_exact(SIZE).map_while(decode) {
        let in_order = entries.last().is_none_or(|last| last.last_offset < entry.last_offset);
        if !in_order || entry.first_offset < 0 || entry.first_offset >= entry.last_offset {
            break;
        }
        entries.push(entry);
    }
    Ok(entries)
}

/// Writes an entry after the first `count` ones.
pub(crate) fn append(disk: &Disk, path: &Path, count: usize, txn: &AbortedTxn) -> io::Result<()> {
    disk.open_to_write(path)?.write_all_at((count * SIZE) as u64, &encode(txn))
}

/// Drops all entries after the first `keep`.
pub(crate) fn truncate(disk: &Disk, path: &Path, keep: usize) -> io::Result<()> {
    if keep == 0 {
        return disk.remove(path);
    }
    let file = disk.open_to_write(path)?;
    let len = (keep * SIZE) as u64;
    if file.len()? > len { file.set_len(len) } else { Ok(()) }
}

fn encode(txn: &AbortedTxn) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(SIZE);
    bytes.extend_from_slice(&VERSION.to_be_bytes());
    for field in [txn.producer_id, txn.first_offset, txn.last_offset, txn.last_stable_offset] {
        bytes.extend_from_slice(&field.to_be_bytes());
    }
    bytes
}

fn decode(bytes: &[u8]) -> Option<AbortedTxn> {
    let number = |at| i64::from_be_bytes(field(bytes, at));
    (i16::from_be_bytes(field(bytes, 0)) == VERSION).then(|| AbortedTxn {
        producer_id: number(2),
        first_offset: number(10),
        last_offset: number(18),
        last_stable_offset: number(26),
    })
}
