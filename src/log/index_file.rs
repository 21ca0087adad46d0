//! The common part of the offset index and the time index: a sorted, append-only file of fixed-size entries.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::file::{Disk, PooledFile, RawFile};
use ottla_wire::types::Offset;

/// The number of entries collected in memory before they are written with one system call. After a crash, unwritten
/// entries are rebuilt from the batches.
const FLUSH_ENTRIES: usize = 512;
/// A search reads the last this many candidates at once.
const BLOCK_ENTRIES: usize = 512;

/// An index entry in Kafka's format.
pub(crate) trait Entry: Copy {
    const SIZE: usize;

    /// Appends the entry's bytes; offsets are written relative to `base`.
    fn encode(&self, base: Offset, out: &mut Vec<u8>);

    /// Reads an entry from exactly [`Entry::SIZE`] bytes.
    fn decode(base: Offset, bytes: &[u8]) -> Self;
}

/// An index file: written entries on disk, the newest in memory.
#[derive(Debug)]
pub(crate) struct IndexFile<E> {
    path: PathBuf,
    base: Offset,
    written: usize,
    unwritten: Vec<E>,
    last: Option<E>,
    /// Whether the file may be longer than `written`. The next flush truncates it after writing: if a file is truncated
    /// to zero and then written, ext4 flushes it to disk on close.
    oversized: bool,
    /// Opened by the first search that reads the file.
    reader: OnceLock<PooledFile>,
}

impl<E: Entry> IndexFile<E> {
    /// An index without entries; creates no file.
    pub(crate) fn empty(path: PathBuf, base: Offset) -> IndexFile<E> {
        IndexFile {
            path,
            base,
            written: 0,
            unwritten: Vec::new(),
            last: None,
            oversized: false,
            reader: OnceLock::new(),
        }
    }

    /// Opens the index at `path`; `None` if the file doesn't exist. A torn last entry is ignored.
    pub(crate) fn open(disk: &Disk, path: PathBuf, base: Offset) -> io::Result<Option<IndexFile<E>>> {
        let Some(raw) = disk.open_to_read(&path)? else { return Ok(None) };
        let mut index = IndexFile::empty(path, base);
        index.written = (raw.len()? / E::SIZE as u64) as usize;
        if index.written > 0 {
            index.last = read_entries(&raw, base, index.written - 1, 1)?.pop();
        }
        Ok(Some(index))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn base(&self) -> Offset {
        self.base
    }

    /// The number of entries.
    pub(crate) fn count(&self) -> usize {
        self.written + self.unwritten.len()
    }

    pub(crate) fn last(&self) -> Option<E> {
        self.last
    }

    /// Appends an entry; it may stay in memory until [`IndexFile::flush`].
    pub(crate) fn push(&mut self, entry: E) {
        self.unwritten.push(entry);
        self.last = Some(entry);
    }

    /// Whether enough entries are in memory for a write.
    pub(crate) fn should_flush(&self) -> bool {
        self.unwritten.len() >= FLUSH_ENTRIES
    }

    /// An index without entries that overwrites the existing file.
    pub(crate) fn overwriting(path: PathBuf, base: Offset) -> IndexFile<E> {
        IndexFile { oversized: true, ..IndexFile::empty(path, base) }
    }

    /// Writes the entries that are only in memory. Creates the file even without entries.
    pub(crate) fn flush(&mut self, disk: &Disk) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(self.unwritten.len() * E::SIZE);
        for entry in &self.unwritten {
            entry.encode(self.base, &mut bytes);
        }
        let raw = disk.open_to_write(&self.path)?;
        if !bytes.is_empty() {
            raw.write_all_at((self.written * E::SIZE) as u64, &bytes)?;
        }
        self.written += self.unwritten.len();
        self.unwritten.clear();
        let len = (self.written * E::SIZE) as u64;
        if std::mem::take(&mut self.oversized) && raw.len()? > len {
            raw.set_len(len)?;
        }
        Ok(())
    }

    /// Drops all entries except the first `keep`. The next flush truncates the file.
    pub(crate) fn truncate(&mut self, disk: &Disk, keep: usize) -> io::Result<()> {
        self.unwritten.truncate(keep.saturating_sub(self.written));
        self.written = self.written.min(keep);
        self.oversized = true;
        self.last = match self.unwritten.last() {
            Some(entry) => Some(*entry),
            None if self.written == 0 => None,
            None => self.reader(disk).with(|raw| read_entries(raw, self.base, self.written - 1, 1))?.pop(),
        };
        Ok(())
    }

    /// Returns the last entry for which `holds` is true, with its index. `holds` must be true for a prefix of the entries.
    pub(crate) fn floor(&self, disk: &Disk, holds: impl Fn(&E) -> bool) -> io::Result<Option<(usize, E)>> {
        match self.last {
            None => return Ok(None),
            // The common case: a reader at the log end.
            Some(last) if holds(&last) => return Ok(Some((self.count() - 1, last))),
            Some(_) => {}
        }
        let held = self.unwritten.partition_point(&holds);
        if held > 0 {
            return Ok(Some((self.written + held - 1, self.unwritten[held - 1])));
        }
        self.floor_on_disk(disk, holds)
    }

    fn floor_on_disk(&self, disk: &Disk, holds: impl Fn(&E) -> bool) -> io::Result<Option<(usize, E)>> {
        if self.written == 0 {
            return Ok(None);
        }
        self.reader(disk).with(|raw| self.search(raw, holds))
    }

    fn search(&self, raw: &RawFile, holds: impl Fn(&E) -> bool) -> io::Result<Option<(usize, E)>> {
        // `holds` is true below `low` and false from `high` on.
        let (mut low, mut high) = (0, self.written);
        let mut floor = None;
        while high - low > BLOCK_ENTRIES {
            let middle = low + (high - low) / 2;
            match read_entries(raw, self.base, middle, 1)?.pop() {
                Some(entry) if holds(&entry) => {
                    floor = Some((middle, entry));
                    low = middle + 1;
                }
                _ => high = middle,
            }
        }
        let block: Vec<E> = read_entries(raw, self.base, low, high - low)?;
        let held = block.partition_point(&holds);
        Ok(if held > 0 { Some((low + held - 1, block[held - 1])) } else { floor })
    }

    /// Closes the file descriptor until the next search.
    pub(crate) fn release(&self) {
        if let Some(reader) = self.reader.get() {
            reader.close();
        }
    }

    fn reader(&self, disk: &Disk) -> &PooledFile {
        self.reader.get_or_init(|| PooledFile::to_read(disk, &self.path))
    }
}

fn read_entries<E: Entry>(raw: &RawFile, base: Offset, first: usize, count: usize) -> io::Result<Vec<E>> {
    let mut bytes = vec![0; count * E::SIZE];
    raw.read_exact_at((first * E::SIZE) as u64, &mut bytes)?;
    Ok(bytes.chunks_exact(E::SIZE).map(|entry| E::decode(base, entry)).collect())
}

/// Reads a field of an entry at position `at`; zeros if `bytes` is too short.
pub(super) fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut field = [0; N];
    if let Some(found) = bytes.get(at..at + N) {
        field.copy_from_slice(found);
    }
    field
}
