//! Parsed schemas, so that a lookup does not parse again.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::entity::{Guid, SchemaEntity};
use crate::schema::{ParsedSchema, SchemaType, Validation};
use crate::subject::Subject;

/// Maximum number of parsed schemas in memory (`schema.cache.size` of Confluent's registry).
const MAX_ENTRIES: usize = 1_000;
/// Maximum size of the parsed schemas in memory, as they estimate it.
const MAX_BYTES: usize = 16 << 20;

/// What a parsed schema depends on, beside the schemas that it refers to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    guid: Guid,
    /// References without a context are those of this one.
    context: String,
    schema_type: SchemaType,
    is_new: bool,
}

impl Key {
    pub fn new(entity: &SchemaEntity, schema_type: SchemaType, validation: Validation) -> Key {
        Key {
            guid: entity.content.guid(),
            context: Subject::parse(&entity.subject).context,
            schema_type,
            is_new: validation == Validation::New,
        }
    }
}

#[derive(Debug)]
struct ParsedCache<K> {
    entries: HashMap<K, Arc<ParsedSchema>>,
    /// Keys in the order in which they were added.
    order: VecDeque<(K, usize)>,
    bytes: usize,
}

/// A cache that snapshots of the registry share. Its holder replaces it when references may mean other schemas; so what an
/// older snapshot parses then goes to the old one.
#[derive(Clone, Debug)]
pub(super) struct SharedCache<K = Key>(Arc<Mutex<ParsedCache<K>>>);

impl<K> Default for SharedCache<K> {
    fn default() -> SharedCache<K> {
        SharedCache(Arc::new(Mutex::new(ParsedCache::default())))
    }
}

impl<K: Clone + Eq + Hash> SharedCache<K> {
    pub fn get(&self, key: &K) -> Option<Arc<ParsedSchema>> {
        self.locked().get(key)
    }

    pub fn put(&self, key: K, parsed: &Arc<ParsedSchema>) {
        self.locked().put(key, parsed);
    }

    // A panic while it was held, such as for want of memory, leaves at worst a size that is too large.
    fn locked(&self) -> MutexGuard<'_, ParsedCache<K>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K> Default for ParsedCache<K> {
    fn default() -> ParsedCache<K> {
        ParsedCache { entries: HashMap::new(), order: VecDeque::new(), bytes: 0 }
    }
}

impl<K: Clone + Eq + Hash> ParsedCache<K> {
    pub fn get(&self, key: &K) -> Option<Arc<ParsedSchema>> {
        self.entries.get(key).cloned()
    }

    pub fn put(&mut self, key: K, parsed: &Arc<ParsedSchema>) {
        if self.entries.contains_key(&key) {
            return;
        }
        let size = parsed.estimated_bytes();
        self.bytes += size;
        self.entries.insert(key.clone(), Arc::clone(parsed));
        self.order.push_back((key, size));
        while self.order.len() > MAX_ENTRIES || self.bytes > MAX_BYTES {
            let Some((oldest, size)) = self.order.pop_front() else { break };
            self.entries.remove(&oldest);
            self.bytes -= size;
        }
    }
}
