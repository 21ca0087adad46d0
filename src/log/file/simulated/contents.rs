//! A simulated file's bytes: as they are read, as they are on disk, and which pages differ.

use std::collections::BTreeSet;

const PAGE: usize = 4096;

#[derive(Clone, Debug, Default)]
pub(super) struct Contents {
    /// The page cache's.
    now: Vec<u8>,
    durable: Vec<u8>,
    /// Pages that the next sync writes. A page that differs without being among them was forgotten.
    dirty: BTreeSet<usize>,
    pub(super) modified_ms: i64,
}

impl Contents {
    /// An empty file, made at `now_ms`.
    pub(super) fn created(now_ms: i64) -> Contents {
        Contents { modified_ms: now_ms, ..Contents::default() }
    }

    pub(super) fn len(&self) -> u64 {
        self.now.len() as u64
    }

    /// Copies what there is from `position` on; how much that was.
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
        // What was cut off is gone, also if the file grows again before it is synced.
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

    /// A sync that failed: nothing is dirty any more, and nothing was written.
    pub(super) fn forget(&mut self) {
        self.dirty.clear();
    }

    /// A sync that failed: what is on disk is read again.
    pub(super) fn revert(&mut self) {
        self.now.clone_from(&self.durable);
        self.dirty.clear();
    }

    pub(super) fn tamper(&mut self, change: impl FnOnce(&mut Vec<u8>)) {
        change(&mut self.now);
        self.durable.clone_from(&self.now);
        self.dirty.clear();
    }

    /// What is left of it: each page that was not synced is as it was or as it is, and so is the length.
    pub(super) fn after_power_loss(&self, random: &mut dyn FnMut() -> u64) -> Contents {
        let mut kept = self.durable.clone();
        let mut coin = || random().is_multiple_of(2);
        if self.now.len() != self.durable.len() && coin() {
            kept.resize(self.now.len(), 0);
        }
        for &page in &self.dirty {
            if coin() {
                self.copy_page(page, &mut kept);
            }
        }
        Contents { now: kept.clone(), durable: kept, dirty: BTreeSet::new(), modified_ms: self.modified_ms }
    }

    fn copy_page(&self, page: usize, to: &mut [u8]) {
        let start = page * PAGE;
        let end = (start + PAGE).min(self.now.len()).min(to.len());
        if start < end {
            to[start..end].copy_from_slice(&self.now[start..end]);
        }
    }
}
