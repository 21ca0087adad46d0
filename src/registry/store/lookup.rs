//! Finding registered schemas.

use std::sync::Arc;

use super::Registry;
use super::config::{CompatibilityPolicy, Config};
use crate::compatibility::{EarlierVersion, check};
use crate::contract::{Metadata, RuleSet};
use crate::entity::{Content, Reference, SchemaEntity};
use crate::error::RegistryError;
use crate::schema::json::JsonSchemaError;
use crate::schema::{ParsedSchema, SchemaError, Validation};
use crate::store::mode::Mode;
use crate::subject::Subject;

impl Registry {
    /// Parses a schema and replaces its text by the canonical one. `None` if it has no text.
    pub(crate) fn canonicalize(
        &mut self,
        entity: &mut SchemaEntity,
        validation: Validation,
        normalize: bool,
    ) -> Result<Option<Arc<ParsedSchema>>, RegistryError> {
        if entity.content.schema.trim().is_empty() {
            return Ok(None);
        }
        let subject = Subject::parse(&entity.subject);
        let mode = self.mode_in_scope(Some(&subject));
        if entity.id >= 0 && mode != Mode::Import {
            entity.id = -1;
        }
        let mut parsed = self.parse(entity, validation)?;
        let is_strict = || {
            let config = self.config_in_scope(Some(&subject));
            config.validate_fields.unwrap_or(self.settings.validate_fields)
        };
        if !mode.is_import_or_forward()
            && let Err(details) = parsed.check(is_strict())
        {
            let quoted = entity.quoted(false);
            let kind = match details {
                SchemaError::Json(JsonSchemaError::Reserved) => "",
                SchemaError::Json(_) => "Invalid JSON: ",
                SchemaError::Avro(_) | SchemaError::Protobuf(_) => "",
            };
            return Err(RegistryError::invalid_schema(format!("Invalid schema {quoted}, details: {kind}{details}")));
        }
        if normalize && !mode.is_import_or_forward() {
            let normalized = self
                .resolve_references(entity, validation)
                .and_then(|references| parsed.normalized(&references, validation).map_err(|error| error.to_string()));
            let normalized = normalized.map_err(|details| {
                let quoted = entity.quoted(false);
                RegistryError::invalid_schema(format!("Invalid schema {quoted}, details: {details}"))
            })?;
            parsed = Arc::new(normalized);
            sort_references(&mut entity.content.references);
        }
        entity.content.schema = parsed.canonical().to_owned();
        Ok(Some(parsed))
    }

    /// Finds a schema under a subject: by its hash, or a version that is the same in spite of another text.
    pub(super) fn find_under_subject(
        &mut self,
        subject: &Subject,
        entity: &SchemaEntity,
        normalize: bool,
        with_deleted: bool,
        latest_only: bool,
    ) -> Result<Option<SchemaEntity>, RegistryError> {
        let mut entity = entity.clone();
        let Some(parsed) = self.canonicalize(&mut entity, Validation::Registered, normalize)? else { return Ok(None) };
        if latest_only {
            let latest = self.state.latest(subject).cloned();
            let mut found = latest.map(|latest| latest.to_entity()).into_iter();
            return found.find_map(|latest| self.same_as(&parsed, &entity.content, latest).transpose()).transpose();
        }
        if let Some(id) = self.state.id_of(&subject.context, &entity.content.guid())
            && let Some(version) = self.state.version_of_id(subject, id)
            && self.state.version(subject, version).is_some_and(|schema| with_deleted || !schema.deleted)
        {
            let subject = subject.qualified();
            return Ok(Some(SchemaEntity { subject, version, id, ..entity }));
        }
        let versions: Vec<_> = self.state.versions(subject).rev().cloned().collect();
        for version in versions.into_iter().filter(|version| with_deleted || !version.deleted) {
            if let Some(found) = self.same_as(&parsed, &entity.content, version.to_entity())? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Returns the earlier version if the schema means the same one.
    fn same_as(
        &mut self,
        parsed: &ParsedSchema,
        content: &Content,
        earlier: SchemaEntity,
    ) -> Result<Option<SchemaEntity>, RegistryError> {
        let same = self.is_same(parsed, content, &earlier)?;
        Ok(same.then_some(earlier))
    }

    /// Whether a schema can be used to look up an earlier version: it is the same one, but for `confluent:version`, and it has
    /// the same references or includes what the earlier one refers to.
    pub(super) fn is_same(
        &mut self,
        parsed: &ParsedSchema,
        content: &Content,
        earlier: &SchemaEntity,
    ) -> Result<bool, RegistryError> {
        let without_references = content.references.is_empty() && !earlier.content.references.is_empty();
        if !without_references && content.references != earlier.content.references {
            return Ok(false);
        }
        if !same_contract(content, earlier) {
            return Ok(false);
        }
        let mut earlier = earlier.clone();
        let earlier = self.parse(&mut earlier, Validation::Registered)?;
        Ok(parsed.schema_type() == earlier.schema_type() && parsed.is_equivalent(&earlier))
    }

    /// Looks up a schema under a subject, also with the metadata that registering it would add.
    pub(crate) fn look_up(
        &mut self,
        subject: &Subject,
        entity: &SchemaEntity,
        normalize: bool,
        with_deleted: bool,
    ) -> Result<Option<SchemaEntity>, RegistryError> {
        if let Some(found) = self.find_under_subject(subject, entity, normalize, with_deleted, false)? {
            return Ok(Some(found));
        }
        let Some(latest) = self.state.latest(subject).map(|latest| latest.content.clone()) else { return Ok(None) };
        let config = self.config_in_scope(Some(subject));
        let mut next = entity.clone();
        complete_contract(&config, &mut next, Some(&latest), None);
        if next == *entity {
            return Ok(None);
        }
        self.find_under_subject(subject, &next, normalize, with_deleted, false)
    }

    /// Looks up a schema under a subject and, if the subject names no context, in all contexts.
    pub(crate) fn look_up_in_contexts(
        &mut self,
        subject: &Subject,
        entity: &SchemaEntity,
        normalize: bool,
        with_deleted: bool,
    ) -> Result<Option<SchemaEntity>, RegistryError> {
        let found = self.look_up(subject, entity, normalize, with_deleted)?;
        if found.is_some() || !subject.is_in_default_context() {
            return Ok(found);
        }
        let contexts: Vec<String> = self.state.contexts().map(str::to_owned).collect();
        for context in contexts {
            let subject = Subject { context, name: subject.name.clone() };
            let entity = SchemaEntity { subject: subject.qualified(), ..entity.clone() };
            // The schema may refer to what another context does not have.
            if let Ok(Some(found)) = self.look_up(&subject, &entity, normalize, with_deleted) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Returns a version of a subject (-1 for the latest one); if the subject names no context, of any context.
    pub(crate) fn get_in_contexts(&self, subject: &Subject, version: i32, with_deleted: bool) -> Option<SchemaEntity> {
        let get = |subject: &Subject| {
            let found = match version {
                -1 => self.state.latest(subject),
                version => self.state.version(subject, version),
            };
            found.filter(|schema| with_deleted || !schema.deleted).map(|schema| schema.to_entity())
        };
        let found = get(subject);
        if found.is_some() || !subject.is_in_default_context() {
            return found;
        }
        let mut contexts = self.state.contexts();
        contexts.find_map(|context| get(&Subject { context: context.to_owned(), name: subject.name.clone() }))
    }

    /// Checks a schema against versions of a subject, the latest first. Returns what makes it incompatible.
    pub(crate) fn compatibility(
        &mut self,
        config: &Config,
        parsed: &ParsedSchema,
        metadata: Option<&Metadata>,
        earlier: &[SchemaEntity],
    ) -> Result<Vec<String>, RegistryError> {
        let validate_fields = config.validate_fields.unwrap_or(self.settings.validate_fields);
        let mut messages = Vec::new();
        if validate_fields {
            messages.extend(reserved_fields(parsed, metadata, earlier.first()));
        }
        let level = config.compatibility_level.unwrap_or(self.settings.compatibility_level);
        let lenient = config.compatibility_policy == Some(CompatibilityPolicy::Lenient);
        let group = |metadata: Option<&Metadata>| {
            let name = config.compatibility_group.as_deref()?;
            metadata?.property(name).map(str::to_owned)
        };
        let own = group(metadata);
        let comparable = earlier.iter().filter(|version| group(version.content.metadata.as_ref()) == own);
        let versions = comparable.map(|version| {
            let mut entity = version.clone();
            let schema = self.parse(&mut entity, Validation::Registered)?;
            Ok::<_, RegistryError>(EarlierVersion { version: version.version, schema })
        });
        messages.extend(check(level, lenient, parsed, versions)?);
        if !messages.is_empty() {
            messages.push(format!("{{validateFields: '{validate_fields}', compatibility: '{}'}}", level.name()));
        }
        Ok(messages)
    }
}

/// The order that normalization gives to references: by subject and version, each once.
fn sort_references(references: &mut Vec<Reference>) {
    references.sort_by(|a, b| {
        let text = |reference: &Reference| reference.subject.clone().unwrap_or_default();
        crate::utf16::compare(&text(a), &text(b)).then(a.version.cmp(&b.version))
    });
    let mut seen: Vec<Reference> = Vec::with_capacity(references.len());
    references.retain(|reference| {
        let new = !seen.contains(reference);
        if new {
            seen.push(reference.clone());
        }
        new
    });
}

/// Whether metadata and rules are the same, where one of the schemas may lack `confluent:version`.
fn same_contract(content: &Content, earlier: &SchemaEntity) -> bool {
    if content.rule_set != earlier.content.rule_set {
        return false;
    }
    let version = |metadata: &Option<Metadata>| metadata.as_ref().and_then(Metadata::version);
    let without = |metadata: &Option<Metadata>| metadata.clone().unwrap_or_default().without_version();
    let (own, other) = (&content.metadata, &earlier.content.metadata);
    match (version(own), version(other)) {
        (None, Some(_)) => own.clone().unwrap_or_default() == without(other),
        // The version that is asked for must be the one that the earlier schema has.
        (Some(asked), None) => asked == earlier.version && without(own) == other.clone().unwrap_or_default(),
        _ => own == other,
    }
}

/// Completes metadata and rules with those of the version before, the defaults and the overrides. Returns whether there are
/// any.
pub(super) fn complete_contract(
    config: &Config,
    entity: &mut SchemaEntity,
    before: Option<&Content>,
    new_version: Option<i32>,
) -> bool {
    let content = &entity.content;
    let own = content.metadata.clone().or_else(|| before.and_then(|before| before.metadata.clone()));
    let metadata = Metadata::merge(config.default_metadata.clone(), own);
    let mut metadata = Metadata::merge(metadata, config.override_metadata.clone());
    let own = content.rule_set.clone().or_else(|| before.and_then(|before| before.rule_set.clone()));
    let rules = RuleSet::merge(config.default_rule_set.clone(), own);
    let rules = RuleSet::merge(rules, config.override_rule_set.clone());
    if let Some(version) = new_version {
        let has_version =
            metadata.as_ref().is_some_and(|metadata| metadata.property(crate::contract::VERSION_PROPERTY).is_some());
        if entity.version != 0 || has_version {
            metadata = Some(metadata.unwrap_or_default().with_version(version));
        }
    }
    let any = metadata.is_some() || rules.is_some();
    if any {
        entity.content.metadata = metadata;
        entity.content.rule_set = rules;
    }
    any
}

/// Checks that reserved fields stay reserved and are not used.
fn reserved_fields(parsed: &ParsedSchema, metadata: Option<&Metadata>, before: Option<&SchemaEntity>) -> Vec<String> {
    let reserved = metadata.map(Metadata::reserved_fields).unwrap_or_default();
    let before = before.and_then(|before| before.content.metadata.as_ref()).map(Metadata::reserved_fields);
    let removed = before.iter().flatten().filter(|field| !reserved.contains(*field)).map(|field| {
        format!(
            "The new schema has reserved field {field} removed from its metadata which is present in the old schema's \
             metadata."
        )
    });
    let used = reserved
        .iter()
        .filter(|field| parsed.has_top_level_field(field))
        .map(|field| format!("The new schema has field that conflicts with the reserved field {field}."));
    removed.chain(used).collect()
}
