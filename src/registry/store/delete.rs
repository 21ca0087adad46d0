//! Deletion of versions, subjects and contexts.

use super::record::{Key, Value};
use super::state::TENANT;
use super::{Decided, Outcome, Record, Registry};
use crate::error::RegistryError;
use crate::subject::Subject;

impl Registry {
    /// Deletes a version (-1 for the latest one): marks it first, and removes it with `permanent`.
    pub fn delete_version(&mut self, subject: &Subject, version: i32, permanent: bool) -> Outcome<i32> {
        let found = match version {
            -1 => self.state.latest(subject),
            version => self.state.version(subject, version),
        };
        let Some(schema) = found.cloned() else {
            return Err(match self.state.has_subjects(subject, true) {
                true => RegistryError::version_not_found(version),
                false => RegistryError::subject_not_found(subject),
            });
        };
        if schema.deleted && !permanent {
            return Err(RegistryError::version_soft_deleted(subject, version));
        }
        self.refuse_if_read_only(Some(subject))?;
        let version = schema.version;
        if self.is_referenced(subject, version, permanent) {
            return Err(RegistryError::reference_exists(subject, version));
        }
        let key = Key::Schema { subject: subject.clone(), version };
        if !permanent {
            let mut stored = (*schema).clone();
            stored.deleted = true;
            stored.md5 = None;
            let record = Record::new(&key, Some(&Value::Schema(Box::new(stored))));
            return Ok(Decided { records: vec![record], answer: version });
        }
        if !schema.deleted {
            return Err(RegistryError::version_not_soft_deleted(subject, version));
        }
        let mut records = vec![Record::new(&key, None)];
        if self.state.versions(subject).count() == 1 {
            records.extend(self.settings_tombstones(subject));
        }
        Ok(Decided { records, answer: version })
    }

    /// Deletes all versions of a subject. Returns their numbers.
    pub fn delete_subject(&mut self, subject: &Subject, permanent: bool) -> Outcome<Vec<i32>> {
        if !self.state.has_subjects(subject, true) {
            return Err(RegistryError::subject_not_found(subject));
        }
        if !permanent && !self.state.has_subjects(subject, false) {
            return Err(RegistryError::subject_soft_deleted(subject));
        }
        self.refuse_if_read_only(Some(subject))?;
        let mut versions = Vec::new();
        for schema in self.state.versions(subject).filter(|schema| permanent || !schema.deleted) {
            if self.referring_subjects(subject, schema.version, permanent).any(|other| other != *subject) {
                return Err(RegistryError::reference_exists(subject, schema.version));
            }
            if permanent && !schema.deleted {
                return Err(RegistryError::subject_not_soft_deleted(subject));
            }
            versions.push(schema.version);
        }
        let mut records = Vec::new();
        if permanent {
            // Versions that refer to earlier ones of the subject go first.
            let keys = versions.iter().rev().map(|version| Key::Schema { subject: subject.clone(), version: *version });
            records.extend(keys.map(|key| Record::new(&key, None)));
            records.extend(self.settings_tombstones(subject));
        } else {
            let version = versions.last().copied().unwrap_or(0);
            let value = Value::DeleteSubject { subject: subject.clone(), version };
            records.push(Record::new(&Key::DeleteSubject(subject.clone()), Some(&value)));
        }
        Ok(Decided { records, answer: versions })
    }

    /// Deletes a context without subjects.
    pub fn delete_context(&mut self, context: &Subject) -> Outcome<()> {
        if self.state.has_subjects(context, true) {
            return Err(RegistryError::context_not_empty(&context.qualified()));
        }
        let key = Key::Context { tenant: TENANT.to_owned(), context: context.context.clone() };
        Ok(Decided { records: vec![Record::new(&key, None)], answer: () })
    }

    /// Removes the settings and the mode of a subject that no longer exists.
    fn settings_tombstones(&self, subject: &Subject) -> Vec<Record> {
        let mut records = Vec::new();
        let of = Some(subject.clone());
        if self.state.modes.contains_key(&of) {
            records.push(Record::new(&Key::Mode(of.clone()), None));
        }
        if self.state.configs.contains_key(&of) {
            records.push(Record::new(&Key::Config(of), None));
        }
        records
    }

    /// Whether schemas refer to a version; deleted ones count with `with_deleted`.
    pub(crate) fn is_referenced(&self, subject: &Subject, version: i32, with_deleted: bool) -> bool {
        self.referring_subjects(subject, version, with_deleted).next().is_some()
    }

    /// The subjects with schemas that refer to a version.
    fn referring_subjects(&self, subject: &Subject, version: i32, with_deleted: bool) -> impl Iterator<Item = Subject> {
        let referrers = self.state.referrers(subject, version);
        referrers.into_iter().flat_map(move |(context, id)| {
            let versions = self.state.subjects_of_id(&context, id).into_iter();
            let live = versions.filter(move |(subject, version)| {
                let schema = self.state.version(subject, *version);
                schema.is_some_and(|schema| with_deleted || !schema.deleted)
            });
            live.map(|(subject, _)| subject)
        })
    }
}
