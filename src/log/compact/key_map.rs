//! The last offset of each key: Kafka's `SkimpyOffsetMap`, 24 bytes per key, allocated once.
//!
//! Only a 128-bit hash of each key is stored, and never in a file. Two keys with the same hash would be treated as one
//! key, as in Kafka. With 128 bits that doesn't happen by chance. A producer could cause it on purpose, but such a
//! producer can overwrite the records of both keys anyway.

use twox_hash::XxHash3_128;

use ottla_wire::types::Offset;

/// High and low half of a key's hash, and its offset plus one; zeros in a free slot.
type Slot = [u64; 3];

/// Bytes per key.
const SLOT: usize = size_of::<Slot>();

/// A map from keys to the offset of their newest record.
#[derive(Debug)]
pub(super) struct KeyMap {
    slots: Vec<Slot>,
    /// The maximum number of keys.
    capacity: usize,
    len: usize,
    seed: u64,
}

/// The error for a new key when the map is full.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

impl KeyMap {
    /// Creates a map of at most `bytes`, in which at most the part `load_factor` of the slots is used. It is no larger
    /// than `wanted` keys need. `None` if not even one key fits.
    pub(super) fn new(bytes: usize, load_factor: f64, seed: u64, wanted: u64) -> Option<KeyMap> {
        let load_factor = load_factor.clamp(0.01, 1.0);
        let limit = bytes / SLOT;
        // A search ends at a free slot, so one slot is always left free.
        let capacity = ((limit as f64 * load_factor) as usize).min(limit.saturating_sub(1));
        let capacity = usize::try_from(wanted.max(1)).unwrap_or(usize::MAX).min(capacity);
        let needed = ((capacity as f64 / load_factor).ceil() as usize).max(capacity + 1);
        // Zeroed by the system: pages without keys are never allocated.
        (capacity > 0).then(|| KeyMap { slots: vec![[0; 3]; needed.min(limit)], capacity, len: 0, seed })
    }

    /// Sets the last offset of `key`; `offset` must be larger than all earlier ones.
    pub(super) fn put(&mut self, key: &[u8], offset: Offset) -> Result<(), Full> {
        let (hash, at) = self.find(key);
        let Some(slot) = self.slots.get_mut(at) else { return Err(Full) };
        if slot[2] == 0 {
            if self.len >= self.capacity {
                return Err(Full);
            }
            self.len += 1;
        }
        *slot = [hash[0], hash[1], offset as u64 + 1];
        Ok(())
    }

    /// Returns the last offset of `key`.
    pub(super) fn get(&self, key: &[u8]) -> Option<Offset> {
        let (_, at) = self.find(key);
        let offset = self.slots.get(at)?[2].checked_sub(1)?;
        Some(offset as Offset)
    }

    /// Returns the used part of the slots, 0 to 1.
    pub(super) fn utilization(&self) -> f64 {
        self.len as f64 / self.slots.len() as f64
    }

    /// Returns the key's hash, and the index of its slot or of the free slot that it would get.
    fn find(&self, key: &[u8]) -> ([u64; 2], usize) {
        let hash = XxHash3_128::oneshot_with_seed(self.seed, key);
        let hash = [(hash >> 64) as u64, hash as u64];
        let slots = self.slots.len();
        // A multiplication instead of a division: the high bits choose the slot.
        let mut at = ((u128::from(hash[0]) * slots as u128) >> 64) as usize;
        while let Some(slot) = self.slots.get(at) {
            if slot[2] == 0 || slot[..2] == hash {
                break;
            }
            at = if at + 1 == slots { 0 } else { at + 1 };
        }
        (hash, at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u64) -> [u8; 8] {
        number.to_le_bytes()
    }

    #[test]
    fn get_after_several_puts_returns_last_offset() {
        let mut map = KeyMap::new(1 << 20, 0.9, 7, u64::MAX).expect("fits a key");
        for offset in 0..20_000 {
            map.put(&key(offset % 7_000), offset as i64).expect("fits");
        }
        for number in 0..7_000 {
            let last = (number..20_000).step_by(7_000).last().map(|offset| offset as i64);
            assert_eq!(map.get(&key(number)), last, "{number}");
        }
        assert_eq!(map.get(&key(7_000)), None);
        assert_eq!(map.get(b""), None);
        map.put(b"", 0).expect("fits");
        assert_eq!(map.get(b""), Some(0));
    }

    #[track_caller]
    fn check_capacity(bytes: usize, load_factor: f64, wanted: u64, expect: Option<usize>) {
        let mut map = KeyMap::new(bytes, load_factor, 0, wanted);
        let fits = map.as_mut().map(|map| {
            assert!(map.slots.len() * SLOT <= bytes);
            let fits = (0..).take_while(|number| map.put(&key(*number), 0).is_ok()).count();
            assert_eq!(map.put(&key(fits as u64), 0), Err(Full));
            assert_eq!(map.put(&key(0), 9), Ok(()), "a known key fits into a full map");
            assert_eq!((map.get(&key(0)), map.get(&key(fits as u64))), (Some(9), None));
            fits
        });
        assert_eq!(fits, expect);
    }

    #[test]
    fn capacity_depends_on_bytes_load_factor_and_wanted_keys() {
        check_capacity(24 * 100, 0.9, u64::MAX, Some(90));
        check_capacity(24 * 100, 1.0, u64::MAX, Some(99));
        check_capacity(24 * 100, 0.9, 10, Some(10));
        check_capacity(24 * 100 + 23, 0.5, u64::MAX, Some(50));
        check_capacity(24 * 2, 0.9, u64::MAX, Some(1));
        check_capacity(24, 0.9, u64::MAX, None);
        check_capacity(0, 0.9, u64::MAX, None);
    }
}
