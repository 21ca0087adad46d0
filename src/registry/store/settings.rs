//! Changes of settings and modes.

use super::config::{Config, ConfigUpdate, ConfigValue};
use super::mode::Mode;
use super::record::{Key, Value};
use super::{Decided, Outcome, Record, Registry};
use crate::error::RegistryError;
use crate::subject::Subject;

impl Registry {
    /// Changes settings of a subject, of a context, or of all. Returns the settings that are stored then.
    pub fn update_config(&mut self, subject: Option<&Subject>, update: ConfigUpdate) -> Outcome<Config> {
        if update.has_unknown_level() {
            return Err(RegistryError::invalid_compatibility());
        }
        for rules in update.rule_sets() {
            rules.check().map_err(RegistryError::invalid_rule_set)?;
        }
        self.refuse_if_read_only(subject)?;
        let subject = subject.cloned();
        let old = self.state.configs.get(&subject).cloned().unwrap_or_default();
        let config = update.apply(old);
        let value = ConfigValue { subject: subject.clone(), config: config.clone() };
        let record = Record::new(&Key::Config(subject), Some(&Value::Config(Box::new(value))));
        if record.size() > self.settings.max_record_bytes {
            return Err(RegistryError::new(50001, "Failed to update compatibility level"));
        }
        Ok(Decided { records: vec![record], answer: config })
    }

    /// Removes settings. Returns those that there were.
    pub fn delete_config(&mut self, subject: Option<&Subject>) -> Outcome<Config> {
        let Some(old) = self.config(subject) else {
            let none = Subject::parse("");
            return Err(RegistryError::subject_not_found(subject.unwrap_or(&none)));
        };
        self.refuse_if_read_only(subject)?;
        let record = Record::new(&Key::Config(subject.cloned()), None);
        Ok(Decided { records: vec![record], answer: old })
    }

    /// Sets or, with `None`, removes a mode. IMPORT needs a subject or context without schemas, except with `force`; what was
    /// deleted there is removed.
    pub fn set_mode(&mut self, subject: Option<&Subject>, mode: Option<Mode>, force: bool) -> Outcome<()> {
        self.refuse_if_modes_are_fixed()?;
        let mut records = Vec::new();
        if mode == Some(Mode::Import) && self.mode_in_scope(subject) != Mode::Import && !force {
            records.extend(self.clear_for_import(subject)?);
        }
        let subject = subject.cloned();
        let value = mode.map(|mode| Value::Mode { subject: subject.clone(), mode });
        records.push(Record::new(&Key::Mode(subject), value.as_ref()));
        Ok(Decided { records, answer: () })
    }

    fn clear_for_import(&self, subject: Option<&Subject>) -> Result<Vec<Record>, RegistryError> {
        // The global mode is about all subjects.
        let all = Subject { context: crate::subject::GLOBAL_CONTEXT.to_owned(), name: String::new() };
        let covering = subject.unwrap_or(&all);
        if self.state.has_subjects(covering, false) {
            return Err(RegistryError::not_permitted("Cannot import since found existing subjects"));
        }
        let mut records = Vec::new();
        for (subject, versions) in self.state.covered(covering) {
            for version in versions.keys() {
                if !self.state.referrers(subject, *version).is_empty() {
                    return Err(RegistryError::reference_exists(subject, *version));
                }
                let key = Key::Schema { subject: subject.clone(), version: *version };
                records.push(Record::new(&key, None));
            }
        }
        let cleared = subject.cloned().unwrap_or_else(|| Subject::parse(""));
        records.push(Record::new(&Key::ClearSubject(cleared.clone()), Some(&Value::ClearSubject(cleared))));
        Ok(records)
    }

    /// Removes a mode, and with `recursive` those of all subjects of a context. Returns the mode that there was.
    pub fn delete_mode(&mut self, subject: Option<&Subject>, recursive: bool) -> Outcome<Option<Mode>> {
        let old = self.mode(subject);
        if old.is_none() && !recursive {
            let none = Subject::parse("");
            return Err(RegistryError::subject_not_found(subject.unwrap_or(&none)));
        }
        self.refuse_if_modes_are_fixed()?;
        let mut records = vec![Record::new(&Key::Mode(subject.cloned()), None)];
        let default = Subject::parse("");
        let context = subject.unwrap_or(&default);
        if recursive && context.is_context() {
            let others = self.state.modes.keys().flatten();
            let inside = others.filter(|other| other.context == context.context && !other.is_context());
            records.extend(inside.map(|other| Record::new(&Key::Mode(Some(other.clone())), None)));
        }
        Ok(Decided { records, answer: old })
    }

    fn refuse_if_modes_are_fixed(&self) -> Result<(), RegistryError> {
        match self.settings.mode_mutability {
            true => Ok(()),
            false => Err(RegistryError::not_permitted("Mode changes are not allowed")),
        }
    }
}
