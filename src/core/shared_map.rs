//! A hash map whose clones share their content.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash};
use std::sync::Arc;

/// Number of shards of a map: a power of two, so that the low bits of a hash choose one.
const SHARDS: usize = 64;

/// A hasher with a fixed seed: pure modules use no random numbers.
type FixedState = BuildHasherDefault<DefaultHasher>;
type Shard<K, V> = HashMap<K, V, FixedState>;

/// A copy-on-write map that is cheap to clone.
///
/// A clone copies one pointer. The first change after it copies the table of `SHARDS` pointers
/// and the shard that changes; without a clone, a change copies nothing. So creating
/// one topic among 10,000 copies about 150 entries, and replaying a log copies none.
#[derive(Clone, Debug)]
pub struct SharedMap<K, V> {
    shards: Arc<Vec<Arc<Shard<K, V>>>>,
    len: usize,
}

impl<K, V> Default for SharedMap<K, V> {
    fn default() -> Self {
        let empty = Arc::new(Shard::default());
        SharedMap { shards: Arc::new(vec![empty; SHARDS]), len: 0 }
    }
}

impl<K: Eq + Hash + Clone, V: Clone> SharedMap<K, V> {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn get<Q>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.shards[shard_of(key)].get(key)
    }

    /// A mutable reference to the value.
    pub fn get_mut<Q>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let index = shard_of(key);
        // Look it up first, so that a missing key copies no shard.
        self.shards[index].get(key)?;
        self.shard_mut(index).get_mut(key)
    }

    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let previous = self.shard_mut(shard_of(&key)).insert(key, value);
        self.len += usize::from(previous.is_none());
        previous
    }

    pub fn remove<Q>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let index = shard_of(key);
        self.shards[index].get(key)?;
        let removed = self.shard_mut(index).remove(key);
        self.len -= usize::from(removed.is_some());
        removed
    }

    /// All entries, in arbitrary order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.shards.iter().flat_map(|shard| shard.iter())
    }

    /// The entries of all shards that differ from those of `before`, a clone of an earlier state: all entries that were
    /// added or changed since, and some unchanged ones.
    pub fn touched_since<'a>(&'a self, before: &'a Self) -> impl Iterator<Item = (&'a K, &'a V)> {
        let shards = self.shards.iter().zip(before.shards.iter());
        shards.filter(|(now, then)| !Arc::ptr_eq(now, then)).flat_map(|(now, _)| now.iter())
    }

    fn shard_mut(&mut self, index: usize) -> &mut Shard<K, V> {
        Arc::make_mut(&mut Arc::make_mut(&mut self.shards)[index])
    }
}

impl<K: Eq + Hash + Clone, V: Clone + PartialEq> PartialEq for SharedMap<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.shards == other.shards
    }
}

fn shard_of<Q: Hash + ?Sized>(key: &Q) -> usize {
    FixedState::default().hash_one(key) as usize & (SHARDS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clone_does_not_change_with_the_original() {
        let mut map = SharedMap::default();
        map.insert("a".to_string(), 1);
        let before = map.clone();
        map.insert("b".to_string(), 2);
        *map.get_mut("a").unwrap() = 10;
        assert_eq!((before.len(), before.get("a"), before.get("b")), (1, Some(&1), None));
        assert_eq!((map.len(), map.get("a"), map.get("b")), (2, Some(&10), Some(&2)));
    }

    #[test]
    fn touched_since_returns_changed_entries_and_few_others() {
        let mut map: SharedMap<u32, u32> = SharedMap::default();
        for key in 0..10_000 {
            map.insert(key, key);
        }
        let before = map.clone();
        assert_eq!(map.touched_since(&before).count(), 0);
        map.insert(5, 6);
        map.insert(10_000, 1);
        let touched: Vec<_> = map.touched_since(&before).collect();
        assert!(touched.contains(&(&5, &6)) && touched.contains(&(&10_000, &1)));
        assert!(touched.len() < 1000, "{} of 10,001", touched.len());
        map.remove(&5);
        assert!(
            before.touched_since(&map).any(|entry| entry == (&5, &5)),
            "the reverse comparison returns removed entries"
        );
    }

    #[test]
    fn length_counts_each_key_once() {
        let mut map = SharedMap::default();
        for key in 0..1000 {
            assert_eq!(map.insert(key, key), None);
        }
        assert_eq!(map.insert(7, 8), Some(7));
        assert_eq!(map.remove(&1000), None);
        assert_eq!(map.remove(&7), Some(8));
        assert_eq!(map.len(), 999);
        assert_eq!(map.iter().count(), 999);
    }

    #[test]
    fn maps_with_the_same_entries_are_equal() {
        let (mut one, mut other) = (SharedMap::default(), SharedMap::default());
        for key in 0..100 {
            one.insert(key, key);
            other.insert(99 - key, 99 - key);
        }
        assert_eq!(one, other);
        other.insert(5, 0);
        assert_ne!(one, other);
    }
}
