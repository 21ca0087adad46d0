//! A simulated file's bytes: in the page cache, on disk, and which pages differ.

use std::collections::BTreeSet;

const PAGE: usize = 4096;

#[derive(Clone, Debug, Default)]
pub(super) struct Contents {
    /// Bytes in the page cache.
    now: Vec<u8>,
    /// Bytes on disk.
    durable: Vec<u8>,
    /// Pages that the next sync writes. A page that differs but is not in this set was dropped by a failed sync.
    dirty: BTreeSet<usize>,
    pub(super) modified_ms: i64,
}

impl Contents {
    /// Creates an empty file, modified at `now_ms`.
    pub(super) fn created(now_ms: i64) -> Contents {
        Contents { modified_ms: now_ms, ..Contents::default() }
    }

    pub(super) fn len(&self) -> u64 {
        self.now.len() as u64
    }

    /// The bytes in the page cache.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.now
    }

    /// Copies bytes from `position` on until the file ends or `into` is full; returns how many.
    pub(super) fn read(&self, position: u64, into: &mut [u8]) -> usize {
        let start = usize::try_from(position).unwrap_or(usize::MAX).min(self.now.len());
        let len = into.len().min(self.now.len() - start);
        into[..len].copy_from_slice(&self.now[start..start + len]);
        len
    }

    pub(super) fn write(&mut self, position: u64, bytes: &[u8], now_ms: i64) {
        let (start, end) = (position as usize, position as usize + bytes.len());
        if bytes.is_empty() {
            return;
        }
        if self.now.len() < end {
            self.now.resize(end, 0);
        }
        self.now[start..end].copy_from_slice(bytes);
        self.dirty.extend(start / PAGE..end.div_ceil(PAGE));
        self.modified_ms = now_ms;
    }

    pub(super) fn set_len(&mut self, len: u64, now_ms: i64) {
        let (before, after) = (self.now.len(), len as usize);
        self.now.resize(after, 0);
        // Truncated pages stay dirty, even if the file grows again before it is synced.
        self.dirty.extend(before.min(after) / PAGE..before.max(after).div_ceil(PAGE));
        self.modified_ms = now_ms;
    }

    pub(super) fn sync(&mut self) {
        let mut durable = std::mem::take(&mut self.durable);
        durable.resize(self.now.len(), 0);
        for page in std::mem::take(&mut self.dirty) {
            self.copy_page(page, &mut durable);
        }
        self.durable = durable;
    }

    /// Fails a sync as ext4 does: pages become clean without having been written.
    pub(super) fn drop_dirty_pages(&mut self) {
        self.dirty.clear();
    }

    /// Fails a sync so that the file reads as it is on disk.
    pub(super) fn revert(&mut self) {
        self.now.clone_from(&self.durable);
        self.dirty.clear();
    }

    pub(super) fn corrupt(&mut self, change: impl FnOnce(&mut Vec<u8>)) {
        change(&mut self.now);
        self.durable.clone_from(&self.now);
        self.dirty.clear();
    }

    /// Returns the file after a power loss: each unsynced page, and the length, is either the old or the new one.
    pub(super) fn after_power_loss(&self, random: &mut dyn FnMut() -> u64) -> Contents {
        let mut bytes = self.durable.clone();
        let mut written = || random().is_multiple_of(2);
        if self.now.len() != self.durable.len() && written() {
            bytes.resize(self.now.len(), 0);
        }
        for &page in &self.dirty {
            if written() {
                self.copy_page(page, &mut bytes);
            }
        }
        Contents { now: bytes.clone(), durable: bytes, dirty: BTreeSet::new(), modified_ms: self.modified_ms }
    }

    fn copy_page(&self, page: usize, to: &mut [u8]) {
        let start = page * PAGE;
        let end = (start + PAGE).min(self.now.len()).min(to.len());
        if start < end {
            to[start..end].copy_from_slice(&self.now[start..end]);
        }
    }
}
