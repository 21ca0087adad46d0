//! The registered schemas of all subjects, for readers that do not hold the registry.
//!
//! The registry keeps it up to date in its replay. Readers share it; a lookup holds a lock for one search in a hash table. So
//! a broker can check the schema of every record while requests to the registry are decided.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use indexmap::{Equivalent, IndexMap};

use super::cache::SharedCache;
use super::record::StoredSchema;
use crate::codec::SchemaIdentifier;
use crate::entity::Guid;
use crate::schema::ParsedSchema;
use crate::subject::Subject;

/// A version that became one of a subject's, or is none any more.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Added(Arc<StoredSchema>),
    Removed(Arc<StoredSchema>),
    /// Schemas were deleted, so that references may mean others.
    References,
}

/// The schemas that are registered and not deleted.
#[derive(Debug, Default)]
pub struct SchemaIndex {
    inner: RwLock<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    by_id: IndexMap<(Arc<str>, i32), Entry>,
    ids: IndexMap<(Arc<str>, Guid), i32>,
    parsed: IndexCache,
}

/// Parsed schemas by context and id.
pub(super) type IndexCache = SharedCache<(String, i32)>;

#[derive(Debug)]
struct Entry {
    schema: Arc<StoredSchema>,
    /// How many versions of the subject have this id and are not deleted.
    versions: u32,
}

/// A key to look for, which needs no memory of its own.
#[derive(Hash)]
struct Key<'a, K>(&'a str, K);

impl<K: PartialEq> Equivalent<(Arc<str>, K)> for Key<'_, K> {
    fn equivalent(&self, (subject, key): &(Arc<str>, K)) -> bool {
        self.0 == &**subject && self.1 == *key
    }
}

impl SchemaIndex {
    /// Returns the schema if it is registered under the subject and not deleted. The subject is as clients write it.
    pub fn find(&self, subject: &str, schema: SchemaIdentifier) -> Option<Arc<StoredSchema>> {
        let inner = self.read();
        let id = match schema {
            SchemaIdentifier::Id(id) => id,
            SchemaIdentifier::Guid(guid) => *inner.ids.get(&Key(subject, guid))?,
        };
        inner.by_id.get(&Key(subject, id)).map(|entry| Arc::clone(&entry.schema))
    }

    /// Whether a schema with this id is registered under the subject and not deleted.
    pub fn is_valid_id(&self, subject: &str, id: i32) -> bool {
        self.read().by_id.contains_key(&Key(subject, id))
    }

    /// Returns the parsed schema if it is in memory; otherwise `Registry::parsed_schema` parses it.
    pub fn parsed(&self, schema: &StoredSchema) -> Option<Arc<ParsedSchema>> {
        self.cache().get(&parsed_key(schema))
    }

    /// Returns the parsed schema with an id if it is in memory, whether it is still registered or not.
    pub fn parsed_by_id(&self, context: &str, id: i32) -> Option<Arc<ParsedSchema>> {
        self.cache().get(&(context.to_owned(), id))
    }

    /// The parsed schemas for the current meaning of references.
    pub(super) fn cache(&self) -> IndexCache {
        self.read().parsed.clone()
    }

    /// The number of schemas, each counted once for every subject that has it.
    pub fn len(&self) -> usize {
        self.read().by_id.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn apply(&self, changes: Vec<Change>) {
        if changes.is_empty() {
            return;
        }
        let mut inner = self.write();
        for change in changes {
            match change {
                Change::Added(schema) => inner.add(schema),
                Change::Removed(schema) => inner.remove(&schema),
                Change::References => inner.parsed = IndexCache::default(),
            }
        }
    }

    // The index is whole after every change, also if a thread panicked while it held the lock.
    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn add(&mut self, schema: Arc<StoredSchema>) {
        let subject: Arc<str> = schema.subject.qualified().into();
        let id = schema.id;
        self.ids.insert((Arc::clone(&subject), schema.guid()), id);
        let entry =
            self.by_id.entry((subject, id)).or_insert_with(|| Entry { schema: Arc::clone(&schema), versions: 0 });
        entry.versions += 1;
        entry.schema = schema;
    }

    fn remove(&mut self, schema: &StoredSchema) {
        let subject = schema.subject.qualified();
        let key = Key(&subject, schema.id);
        let Some(entry) = self.by_id.get_mut(&key) else { return };
        entry.versions -= 1;
        if entry.versions == 0 {
            self.by_id.swap_remove(&key);
            let guid = Key(&subject, schema.guid());
            if self.ids.get(&guid) == Some(&schema.id) {
                self.ids.swap_remove(&guid);
            }
        }
    }
}

/// An id means one schema in its context.
pub(super) fn parsed_key(schema: &StoredSchema) -> (String, i32) {
    let Subject { context, .. } = &schema.subject;
    (context.clone(), schema.id)
}
