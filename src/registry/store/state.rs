//! The durable state: what the records of `_schemas` say. It changes only in [`State::replay`].

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use indexmap::IndexMap;
use ottla_wire::java;

use super::config::Config;
use super::index::Change;
use super::mode::Mode;
use super::record::{Key, RecordError, StoredSchema, Value};
use crate::entity::Guid;
use crate::subject::Subject;
use crate::utf16::JavaString;

/// The versions of a subject, deleted ones too.
pub type Versions = BTreeMap<i32, Arc<StoredSchema>>;

/// The only tenant. Other tenants' contexts are not of this registry.
pub const TENANT: &str = "default";

#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    pub(super) subjects: BTreeMap<Subject, Versions>,
    ids: HashMap<String, ContextIds>,
    /// Contexts other than the default one.
    contexts: BTreeSet<JavaString>,
    pub(crate) configs: BTreeMap<Option<Subject>, Config>,
    pub(super) modes: BTreeMap<Option<Subject>, Mode>,
    /// For each version that others refer to: contexts and ids of those.
    referrers: HashMap<(Subject, i32), BTreeSet<(String, i32)>>,
}

/// The ids of a context.
#[derive(Clone, Debug, Default, PartialEq)]
struct ContextIds {
    /// The highest id so far; also of schemas that were deleted since.
    max: i32,
    /// The subjects of each id, with the version that was registered last.
    subjects: HashMap<i32, IndexMap<Subject, i32>>,
    by_hash: HashMap<Guid, i32>,
}

/// What a record changed, for caches and logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replayed {
    Applied,
    /// Schemas were removed or deleted, so that references may mean others or none.
    Removed,
    /// A record without a meaning for this registry.
    Ignored,
}

impl State {
    /// Applies a record of the log.
    ///
    /// A record that cannot be read is an error and changes nothing. The same holds for a schema whose id another schema of
    /// its context has: as in Confluent's registry, the first one keeps it.
    pub fn replay(&mut self, key: &[u8], value: Option<&[u8]>, timestamp: i64) -> Result<Replayed, RecordError> {
        self.apply(key, value, timestamp, &mut Vec::new())
    }

    /// Applies a record, and lists which versions it added and removed.
    pub(super) fn apply(
        &mut self,
        key: &[u8],
        value: Option<&[u8]>,
        timestamp: i64,
        changes: &mut Vec<Change>,
    ) -> Result<Replayed, RecordError> {
        let key = Key::parse(key)?;
        let Some(bytes) = value else { return Ok(self.tombstone(&key, changes)) };
        match Value::parse(&key, bytes)? {
            None => Ok(Replayed::Ignored),
            Some(Value::Schema(mut schema)) => {
                schema.timestamp = Some(timestamp);
                self.put_schema(Arc::new(*schema), changes)
            }
            Some(Value::Config(value)) => {
                self.configs.insert(value.subject, value.config);
                Ok(Replayed::Applied)
            }
            Some(Value::Mode { subject, mode }) => {
                self.modes.insert(subject, mode);
                Ok(Replayed::Applied)
            }
            Some(Value::Context { tenant, context }) if tenant == TENANT => {
                self.contexts.insert(context.into());
                Ok(Replayed::Applied)
            }
            Some(Value::Context { .. }) => Ok(Replayed::Ignored),
            Some(Value::DeleteSubject { subject, version }) => {
                self.delete_subject(&subject, version, changes);
                Ok(Replayed::Removed)
            }
            Some(Value::ClearSubject(subject)) => {
                self.clear(&subject, changes);
                Ok(Replayed::Removed)
            }
        }
    }

    fn tombstone(&mut self, key: &Key, changes: &mut Vec<Change>) -> Replayed {
        match key {
            Key::Schema { subject, version } => self.remove_schema(subject, *version, changes),
            Key::Config(subject) => {
                self.configs.remove(subject);
            }
            Key::Mode(subject) => {
                self.modes.remove(subject);
            }
            Key::Context { tenant, context } if tenant == TENANT => {
                self.contexts.remove(&JavaString::from(context.as_str()));
            }
            Key::Context { .. } | Key::DeleteSubject(_) | Key::ClearSubject(_) | Key::Noop | Key::Other(_) => {
                return Replayed::Ignored;
            }
        }
        Replayed::Removed
    }

    fn put_schema(&mut self, schema: Arc<StoredSchema>, changes: &mut Vec<Change>) -> Result<Replayed, RecordError> {
        let context = schema.subject.context.clone();
        let other = self.by_id(&context, schema.id);
        if other.is_some_and(|other| other.content.schema != schema.content.schema) {
            return Err(RecordError::new(format!(
                "the id {} of the schema {} version {} is that of another schema",
                schema.id,
                schema.subject.qualified(),
                schema.version
            )));
        }
        if self.version(&schema.subject, schema.version).is_some_and(|old| old.id != schema.id) {
            self.remove_schema(&schema.subject, schema.version, changes);
        }
        let ids = self.ids.entry(context.clone()).or_default();
        ids.max = ids.max.max(schema.id).max(1);
        ids.subjects.entry(schema.id).or_default().insert(schema.subject.clone(), schema.version);
        ids.by_hash.insert(schema.guid(), schema.id);
        // A deleted schema still refers to others, because it can be registered again.
        for target in targets(&schema) {
            self.referrers.entry(target).or_default().insert((context.clone(), schema.id));
        }
        let replayed = if schema.deleted { Replayed::Removed } else { Replayed::Applied };
        let versions = self.subjects.entry(schema.subject.clone()).or_default();
        if let Some(old) = versions.insert(schema.version, Arc::clone(&schema)).filter(|old| !old.deleted) {
            changes.push(Change::Removed(old));
        }
        if !schema.deleted {
            changes.push(Change::Added(schema));
        }
        Ok(replayed)
    }

    fn remove_schema(&mut self, subject: &Subject, version: i32, changes: &mut Vec<Change>) {
        let Some(versions) = self.subjects.get_mut(subject) else { return };
        let Some(schema) = versions.remove(&version) else { return };
        if !schema.deleted {
            changes.push(Change::Removed(Arc::clone(&schema)));
        }
        if versions.is_empty() {
            self.subjects.remove(subject);
        }
        if let Some(ids) = self.ids.get_mut(&subject.context)
            && let Some(subjects) = ids.subjects.get_mut(&schema.id)
        {
            if subjects.get(subject) == Some(&version) {
                subjects.shift_remove(subject);
            }
            if subjects.is_empty() {
                ids.subjects.remove(&schema.id);
                if ids.by_hash.get(&schema.guid()) == Some(&schema.id) {
                    ids.by_hash.remove(&schema.guid());
                }
            }
        }
        for target in targets(&schema) {
            if let Some(referrers) = self.referrers.get_mut(&target) {
                referrers.remove(&(subject.context.clone(), schema.id));
                if referrers.is_empty() {
                    self.referrers.remove(&target);
                }
            }
        }
    }

    fn delete_subject(&mut self, subject: &Subject, until: i32, changes: &mut Vec<Change>) {
        for (_, schema) in
            self.subjects.get_mut(subject).into_iter().flatten().filter(|(version, _)| **version <= until)
        {
            if !schema.deleted {
                changes.push(Change::Removed(Arc::clone(schema)));
                Arc::make_mut(schema).deleted = true;
            }
        }
    }

    /// Removes the deleted versions of a subject, or of all subjects of a context.
    fn clear(&mut self, cleared: &Subject, changes: &mut Vec<Change>) {
        let deleted: Vec<(Subject, i32)> = self
            .subjects
            .iter()
            .filter(|(subject, _)| cleared.covers(subject))
            .flat_map(|(subject, versions)| versions.iter().map(move |(version, schema)| (subject, version, schema)))
            .filter(|(_, _, schema)| schema.deleted)
            .map(|(subject, version, _)| (subject.clone(), *version))
            .collect();
        for (subject, version) in deleted {
            self.remove_schema(&subject, version, changes);
        }
    }

    /// Returns a version, also if it is deleted.
    pub fn version(&self, subject: &Subject, version: i32) -> Option<&Arc<StoredSchema>> {
        self.subjects.get(subject)?.get(&version)
    }

    pub fn versions(&self, subject: &Subject) -> impl DoubleEndedIterator<Item = &Arc<StoredSchema>> {
        self.subjects.get(subject).into_iter().flat_map(BTreeMap::values)
    }

    /// The latest version that is not deleted.
    pub fn latest(&self, subject: &Subject) -> Option<&Arc<StoredSchema>> {
        self.versions(subject).rev().find(|schema| !schema.deleted)
    }

    /// Whether the subject, or the context, has versions.
    pub fn has_subjects(&self, subject: &Subject, with_deleted: bool) -> bool {
        self.covered(subject).any(|(_, versions)| versions.values().any(|schema| with_deleted || !schema.deleted))
    }

    /// The subjects that a subject or a context stands for.
    pub fn covered<'s>(&'s self, subject: &'s Subject) -> impl Iterator<Item = (&'s Subject, &'s Versions)> {
        self.subjects.iter().filter(move |(other, _)| subject.covers(other))
    }

    pub fn subjects(&self) -> &BTreeMap<Subject, Versions> {
        &self.subjects
    }

    /// Contexts other than the default one, sorted.
    pub fn contexts(&self) -> impl Iterator<Item = &str> {
        self.contexts.iter().map(JavaString::as_str)
    }

    pub fn has_context(&self, context: &str) -> bool {
        self.contexts.contains(&JavaString::from(context))
    }

    /// The highest id of a context; 0 if it has none.
    pub fn max_id(&self, context: &str) -> i32 {
        self.ids.get(context).map_or(0, |ids| ids.max)
    }

    pub fn is_id_used(&self, context: &str, id: i32) -> bool {
        self.ids.get(context).is_some_and(|ids| ids.subjects.contains_key(&id))
    }

    /// The id of a schema, if it is registered under any subject of the context, also a deleted one.
    pub fn id_of(&self, context: &str, guid: &Guid) -> Option<i32> {
        let ids = self.ids.get(context)?;
        let id = *ids.by_hash.get(guid)?;
        ids.subjects.contains_key(&id).then_some(id)
    }

    /// The version under which a subject has an id.
    pub fn version_of_id(&self, subject: &Subject, id: i32) -> Option<i32> {
        self.ids.get(&subject.context)?.subjects.get(&id)?.get(subject).copied()
    }

    /// The subjects with an id, in the order of Java's hash maps.
    pub fn subjects_of_id(&self, context: &str, id: i32) -> Vec<(Subject, i32)> {
        let subjects = self.ids.get(context).and_then(|ids| ids.subjects.get(&id));
        let mut found: Vec<(Subject, i32)> =
            subjects.into_iter().flatten().map(|(subject, version)| (subject.clone(), *version)).collect();
        java::sort_as_hash_map(&mut found, 16, |(subject, _)| java::string_hash(&subject.qualified()));
        found
    }

    /// One version with this id: of several, the first in Java's order.
    pub fn by_id(&self, context: &str, id: i32) -> Option<&Arc<StoredSchema>> {
        let subjects = self.ids.get(context)?.subjects.get(&id)?;
        if let (1, Some((subject, version))) = (subjects.len(), subjects.first()) {
            return self.version(subject, *version);
        }
        let (subject, version) = self.subjects_of_id(context, id).into_iter().next()?;
        self.version(&subject, version)
    }

    /// Contexts and ids of the schemas that refer to a version, deleted ones too.
    pub fn referrers(&self, subject: &Subject, version: i32) -> BTreeSet<(String, i32)> {
        self.referrers.get(&(subject.clone(), version)).cloned().unwrap_or_default()
    }
}

/// The versions that a schema refers to.
fn targets(schema: &StoredSchema) -> impl Iterator<Item = (Subject, i32)> {
    schema.content.references.iter().filter_map(|reference| {
        let subject = Subject::with_parent(reference.subject.as_deref()?, &schema.subject);
        Some((subject, reference.version?))
    })
}
