//! `.txnindex`: the aborted transactions whose marker lies in a segment.
//!
//! An entry is 34 bytes: `i16` version 0, `i64` producer id, first offset, last offset (of the marker), last
//! stable offset. Most segments have none, and no file.

use std::io;
use std::path::Path;

use super::AbortedTxn;
use super::file::Disk;
use super::index_file::field;

const SIZE: usize = 34;
const VERSION: i16 = 0;

/// Reads all entries; none if there is no file. A torn or unknown entry ends the list.
pub(crate) fn read(disk: &Disk, path: &Path) -> io::Result<Vec<AbortedTxn>> {
    let bytes = disk.read(path)?.unwrap_or_default();
    Ok(bytes.chunks_exact(SIZE).map_while(decode).collect())
}

/// Adds an entry behind the `count` there are.
pub(crate) fn append(disk: &Disk, path: &Path, count: usize, txn: &AbortedTxn) -> io::Result<()> {
    disk.open_to_write(path)?.write_all_at((count * SIZE) as u64, &encode(txn))
}

/// Drops all entries but the first `keep`.
pub(crate) fn truncate(disk: &Disk, path: &Path, keep: usize) -> io::Result<()> {
    if keep == 0 {
        return disk.remove(path);
    }
    disk.open_to_write(path)?.set_len((keep * SIZE) as u64)
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
