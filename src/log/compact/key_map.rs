//! Where each key was written last: Kafka's `SkimpyOffsetMap`, 24 bytes a key in memory taken once.
//!
//! Keys are known by a 128-bit hash alone, which no file ever holds. Two keys of the same hash would count as one, as in
//! Kafka; with so many bits that doesn't happen by chance, and whoever could bring it about can overwrite keys anyway.

use twox_hash::XxHash3_128;

use ottla_wire::types::Offset;

/// High and low half of a key's hash, and its offset plus one; zeros where there is no key.
type Slot = [u64; 3];

/// Bytes a key takes.
const SLOT: usize = size_of::<Slot>();

/// Keys and the offset of each one's newest record.
#[derive(Debug)]
pub(super) struct KeyMap {
    slots: Vec<Slot>,
    /// How many keys it takes.
    most: usize,
    len: usize,
    seed: u64,
}

/// The key is new and the map takes no more.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

impl KeyMap {
    /// A map of at most `bytes`, filled to `load_factor` at most, and no larger than `wanted` keys need. `None` if
    /// not even one key fits.
    pub(super) fn new(bytes: usize, load_factor: f64, seed: u64, wanted: u64) -> Option<KeyMap> {
        let load_factor = load_factor.clamp(0.01, 1.0);
        let limit = bytes / SLOT;
        // A search ends at a free slot: there is always one.
        let most = ((limit as f64 * load_factor) as usize).min(limit.saturating_sub(1));
        let most = usize::try_from(wanted.max(1)).unwrap_or(usize::MAX).min(most);
        let needed = ((most as f64 / load_factor).ceil() as usize).max(most + 1);
        // Zeroed by the system: pages that no key is put into cost nothing.
        (most > 0).then(|| KeyMap { slots: vec![[0; 3]; needed.min(limit)], most, len: 0, seed })
    }

    /// Notes that `key` was written at `offset`, the largest so far.
    pub(super) fn put(&mut self, key: &[u8], offset: Offset) -> Result<(), Full> {
        let (hash, at) = self.find(key);
        let Some(slot) = self.slots.get_mut(at) else { return Err(Full) };
        if slot[2] == 0 {
            if self.len >= self.most {
                return Err(Full);
            }
            self.len += 1;
        }
        *slot = [hash[0], hash[1], offset as u64 + 1];
        Ok(())
    }

    /// The last offset of `key`.
    pub(super) fn get(&self, key: &[u8]) -> Option<Offset> {
        let (_, at) = self.find(key);
        let offset = self.slots.get(at)?[2].checked_sub(1)?;
        Some(offset as Offset)
    }

    /// Which part of the slots has a key, 0 to 1.
    pub(super) fn utilization(&self) -> f64 {
        self.len as f64 / self.slots.len() as f64
    }

    /// The key's hash, and its slot or the free one that it would get.
    fn find(&self, key: &[u8]) -> ([u64; 2], usize) {
        let hash = XxHash3_128::oneshot_with_seed(self.seed, key);
        let hash = [(hash >> 64) as u64, hash as u64];
        let slots = self.slots.len();
        // Multiplied instead of divided: the high bits choose the slot.
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
    fn the_last_offset_counts() {
        let mut map = KeyMap::new(1 << 20, 0.9, 7, u64::MAX).expect("has room");
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
    fn check_room(bytes: usize, load_factor: f64, wanted: u64, expect: Option<usize>) {
        let mut map = KeyMap::new(bytes, load_factor, 0, wanted);
        let fits = map.as_mut().map(|map| {
            assert!(map.slots.len() * SLOT <= bytes);
            let fits = (0..).take_while(|number| map.put(&key(*number), 0).is_ok()).count();
            assert_eq!(map.put(&key(fits as u64), 0), Err(Full));
            assert_eq!(map.put(&key(0), 9), Ok(()), "a key that is there is no new one");
            assert_eq!((map.get(&key(0)), map.get(&key(fits as u64))), (Some(9), None));
            fits
        });
        assert_eq!(fits, expect);
    }

    #[test]
    fn memory_is_bounded() {
        check_room(24 * 100, 0.9, u64::MAX, Some(90));
        check_room(24 * 100, 1.0, u64::MAX, Some(99));
        check_room(24 * 100, 0.9, 10, Some(10));
        check_room(24 * 100 + 23, 0.5, u64::MAX, Some(50));
        check_room(24 * 2, 0.9, u64::MAX, Some(1));
        check_room(24, 0.9, u64::MAX, None);
        check_room(0, 0.9, u64::MAX, None);
    }
}
