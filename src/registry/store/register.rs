//! Registration of schemas.

use super::config::Config;
use super::lookup::complete_contract;
use super::mode::Mode;
use super::record::{Key, StoredSchema, Value};
use super::state::TENANT;
use super::{Decided, Outcome, Record, Registry};
use crate::contract::{Metadata, RuleSet};
use crate::entity::{Content, Reference, SchemaEntity};
use crate::error::RegistryError;
use crate::fields::{FieldError, Fields};
use crate::json::Json;
use crate::schema::{EntityType, TagChanges, TaggedEntity, Validation};
use crate::subject::Subject;

/// How many ids are tried if the next one is taken.
const MAX_ID_TRIES: i32 = 16;

/// The body of a request with a schema.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegisterRequest {
    pub version: Option<i32>,
    pub id: Option<i32>,
    pub schema_type: Option<String>,
    pub references: Vec<Reference>,
    pub metadata: Option<Metadata>,
    pub rule_set: Option<RuleSet>,
    pub schema: Option<String>,
    pub tags: TagChanges,
    /// Whether tags of the latest version are added.
    pub propagate_tags: bool,
}

impl RegisterRequest {
    pub fn from_json(json: &Json) -> Result<RegisterRequest, FieldError> {
        let fields = Fields::of(json)?;
        let references = fields.array("references")?.unwrap_or_default();
        Ok(RegisterRequest {
            version: fields.integer("version")?,
            id: fields.integer("id")?,
            schema_type: fields.string("schemaType")?,
            references: references.iter().map(Reference::from_json).collect::<Result<_, _>>()?,
            metadata: fields.get("metadata").map(Metadata::from_json).transpose()?,
            rule_set: fields.get("ruleSet").map(RuleSet::from_json).transpose()?,
            schema: fields.string("schema")?,
            tags: TagChanges {
                add: tagged_entities(&fields, "schemaTagsToAdd")?,
                remove: tagged_entities(&fields, "schemaTagsToRemove")?,
            },
            propagate_tags: fields.boolean("propagateSchemaTags")?.unwrap_or(false),
        })
    }

    pub fn to_entity(&self, subject: &Subject) -> SchemaEntity {
        SchemaEntity {
            subject: subject.qualified(),
            version: self.version.unwrap_or(0),
            id: self.id.unwrap_or(-1),
            schema_type: self.schema_type.clone().unwrap_or_else(|| "AVRO".to_owned()),
            content: Content {
                schema: self.schema.clone().unwrap_or_default(),
                references: self.references.clone(),
                metadata: self.metadata.clone(),
                rule_set: self.rule_set.clone(),
            },
            guid: None,
            timestamp: None,
            deleted: None,
        }
    }
}

/// Reads a list of entities with tags.
pub(super) fn tagged_entities(fields: &Fields<'_>, name: &str) -> Result<Vec<(TaggedEntity, Vec<String>)>, FieldError> {
    let mut found = Vec::new();
    for item in fields.array(name)?.unwrap_or_default() {
        let item = Fields::of(item)?;
        let entity = item.get("schemaEntity").ok_or_else(|| FieldError::new("schemaEntity is missing"))?;
        let entity = Fields::of(entity)?;
        let path = entity.string("entityPath")?.ok_or_else(|| FieldError::new("entityPath is missing"))?;
        let type_name = entity.one_of("entityType", &["sr_record", "sr_field"])?.unwrap_or_default();
        let entity_type = EntityType::from_name(&type_name);
        let entity_type = entity_type.ok_or_else(|| FieldError::new("entityType is missing"))?;
        let path = path.strip_prefix('.').unwrap_or(&path).to_owned();
        let tags = item.array("tags")?.unwrap_or_default();
        let tags = tags.iter().map(|tag| Fields::text("tags", tag)).collect::<Result<_, _>>()?;
        found.push((TaggedEntity { path, entity_type }, tags));
    }
    Ok(found)
}

impl Registry {
    /// Registers a schema. A schema that is registered under the subject gets its id again, without a record.
    pub fn register(
        &mut self,
        subject: &Subject,
        request: &RegisterRequest,
        normalize: bool,
        force: bool,
    ) -> Outcome<SchemaEntity> {
        let entity = request.to_entity(subject);
        let config = self.config_in_scope(Some(subject));
        let can_change = !request.tags.is_empty() || request.propagate_tags || config.has_defaults_or_overrides();
        if !can_change && let Some(known) = self.known(subject, &entity, normalize)? {
            return Ok(Decided::without_records(known));
        }
        let entity = self.with_tags(entity, &request.tags)?;
        self.register_entity(subject, entity, normalize, force, request.propagate_tags)
    }

    /// Finds a schema that need not be registered.
    fn known(
        &mut self,
        subject: &Subject,
        entity: &SchemaEntity,
        normalize: bool,
    ) -> Result<Option<SchemaEntity>, RegistryError> {
        let latest = entity.version == -1;
        let Some(known) = self.find_under_subject(subject, entity, normalize, false, latest)? else { return Ok(None) };
        if entity.version == 0 || latest {
            return Ok((entity.id < 0 || entity.id == known.id).then_some(known));
        }
        if known.id != entity.id {
            return Ok(None);
        }
        if known.version == entity.version {
            return Ok(Some(known));
        }
        // The same schema may have been imported as several versions.
        let other = self.state.version(subject, entity.version).filter(|other| !other.deleted);
        let other = other.filter(|other| other.id == known.id && other.guid() == known.guid());
        Ok(other.map(|other| other.to_entity()))
    }

    /// Adds and removes tags of a schema that is to be registered.
    fn with_tags(&mut self, mut entity: SchemaEntity, tags: &TagChanges) -> Result<SchemaEntity, RegistryError> {
        if tags.is_empty() {
            return Ok(entity);
        }
        let parsed = self.parse(&mut entity, Validation::Registered)?;
        let text = parsed.text_with_tags(tags);
        entity.content.schema = text.map_err(|error| RegistryError::invalid_schema(error.to_string()))?;
        // So that the metadata gets the version.
        if entity.version == 0 {
            entity.version = -1;
        }
        Ok(entity)
    }

    pub(super) fn register_entity(
        &mut self,
        subject: &Subject,
        mut entity: SchemaEntity,
        normalize: bool,
        force: bool,
        propagate_tags: bool,
    ) -> Outcome<SchemaEntity> {
        self.check_register_mode(subject, &entity)?;
        let versions: Vec<_> = self.state.versions(subject).rev().cloned().collect();
        let new_version = versions.first().map_or(1, |latest| latest.version.saturating_add(1));
        let earlier: Vec<SchemaEntity> =
            versions.iter().filter(|version| !version.deleted).map(|version| version.to_entity()).collect();
        let config = self.config_in_scope(Some(subject));
        let mode = self.mode_in_scope(Some(subject));
        if !mode.is_import_or_forward() {
            self.complete(&config, &mut entity, earlier.first(), new_version, propagate_tags)?;
        }
        let mut id = entity.id;
        let is_checked = id < 0 && config.validate_new_schemas.unwrap_or(self.settings.validate_new_schemas);
        let validation = if is_checked { Validation::New } else { Validation::Registered };
        let Some(parsed) = self.canonicalize(&mut entity, validation, normalize)? else {
            return Err(RegistryError::invalid_schema("Empty schema"));
        };
        if let Some(known) =
            self.state.id_of(&subject.context, &entity.content.guid()).filter(|known| id < 0 || id == *known)
        {
            let version = self.state.version_of_id(subject, known);
            let live =
                version.filter(|version| self.state.version(subject, *version).is_some_and(|known| !known.deleted));
            if let (0, Some(version)) = (entity.version, live) {
                return Ok(Decided::without_records(SchemaEntity { version, id: known, ..entity }));
            }
            id = known;
        }
        if entity.version == 0 {
            for version in earlier.iter().filter(|version| id < 0 || id == version.id) {
                if self.is_same(&parsed, &entity.content, version)? {
                    let (version, id) = (version.version, version.id);
                    return Ok(Decided::without_records(SchemaEntity { version, id, ..entity }));
                }
            }
        }
        if !mode.is_import_or_forward() && !force {
            let messages = self.compatibility(&config, &parsed, entity.content.metadata.as_ref(), &earlier)?;
            if !messages.is_empty() {
                return Err(RegistryError::incompatible(subject, &messages));
            }
        }
        self.append_schema(subject, entity, id, new_version, mode)
    }

    fn check_register_mode(&self, subject: &Subject, entity: &SchemaEntity) -> Result<(), RegistryError> {
        self.refuse_if_read_only(Some(subject))?;
        let mode = self.mode_in_scope(Some(subject));
        let (name, context) = (subject.qualified(), subject.context_prefix());
        if entity.id >= 0 && !mode.is_import_or_forward() {
            return Err(RegistryError::not_permitted(format!(
                "Subject {name} in context {context} is not in import mode"
            )));
        }
        if entity.id < 0 && mode != Mode::ReadWrite {
            return Err(RegistryError::not_permitted(format!(
                "Subject {name} in context {context} is not in read-write mode"
            )));
        }
        Ok(())
    }

    /// Completes a schema with what the version before has, and with defaults and overrides.
    fn complete(
        &mut self,
        config: &Config,
        entity: &mut SchemaEntity,
        before: Option<&SchemaEntity>,
        new_version: i32,
        propagate_tags: bool,
    ) -> Result<(), RegistryError> {
        if entity.content.schema.trim().is_empty() {
            let before = before.ok_or_else(|| RegistryError::invalid_schema("Empty schema"))?;
            entity.content.schema.clone_from(&before.content.schema);
            entity.content.references.clone_from(&before.content.references);
            entity.schema_type.clone_from(&before.schema_type);
        }
        if propagate_tags && let Some(before) = before {
            let mut before = before.clone();
            let add = self.parse(&mut before, Validation::Registered)?.tagged_entities();
            if !add.is_empty() {
                let parsed = self.parse(entity, Validation::Registered)?;
                let text = parsed.text_with_tags(&TagChanges { add, remove: Vec::new() });
                entity.content.schema = text.map_err(|error| RegistryError::invalid_schema(error.to_string()))?;
            }
        }
        complete_contract(config, entity, before.map(|before| &before.content), Some(new_version));
        Ok(())
    }

    /// Decides on version and id, and writes the records.
    fn append_schema(
        &self,
        subject: &Subject,
        mut entity: SchemaEntity,
        id: i32,
        new_version: i32,
        mode: Mode,
    ) -> Outcome<SchemaEntity> {
        if entity.version <= 0 {
            entity.version = new_version;
        } else if entity.version != new_version && !mode.is_import_or_forward() {
            return Err(RegistryError::invalid_schema("Version is not one more than previous version"));
        }
        entity.id = if id >= 0 { self.given_id(subject, &entity, id)? } else { self.next_id(subject)? };
        let mut records = Vec::new();
        if !subject.is_in_default_context() && !self.state.has_context(&subject.context) {
            let (tenant, context) = (TENANT.to_owned(), subject.context.clone());
            let key = Key::Context { tenant: tenant.clone(), context: context.clone() };
            records.push(Record::new(&key, Some(&Value::Context { tenant, context })));
        }
        // Deleted versions with this id are replaced by the new one, except where others refer to them.
        let replaced = self.state.versions(subject).filter(|old| {
            old.deleted
                && old.id == entity.id
                && old.version < entity.version
                && self.state.referrers(subject, old.version).is_empty()
        });
        for old in replaced {
            records.push(Record::new(&Key::Schema { subject: subject.clone(), version: old.version }, None));
        }
        let stored = StoredSchema {
            subject: subject.clone(),
            version: entity.version,
            id: entity.id,
            md5: None,
            schema_type: entity.schema_type.clone(),
            content: entity.content.clone(),
            deleted: false,
            timestamp: None,
        };
        let key = Key::Schema { subject: subject.clone(), version: entity.version };
        let record = Record::new(&key, Some(&Value::Schema(Box::new(stored))));
        if record.size() > self.settings.max_record_bytes {
            return Err(RegistryError::schema_too_large());
        }
        records.push(record);
        Ok(Decided { records, answer: entity })
    }

    /// Checks that an id is not that of another schema.
    fn given_id(&self, subject: &Subject, entity: &SchemaEntity, id: i32) -> Result<i32, RegistryError> {
        let other = self.state.by_id(&subject.context, id);
        if other.is_some_and(|other| other.content != entity.content || other.schema_type != entity.schema_type) {
            let context = subject.context_prefix();
            return Err(RegistryError::not_permitted(format!(
                "Overwrite new schema with id {id} in context {context} is not permitted."
            )));
        }
        Ok(id)
    }

    fn next_id(&self, subject: &Subject) -> Result<i32, RegistryError> {
        let max = self.state.max_id(&subject.context);
        let tries = (1..=MAX_ID_TRIES).filter_map(|step| max.checked_add(step));
        let mut free = tries.filter(|id| !self.state.is_id_used(&subject.context, *id));
        free.next().ok_or_else(|| {
            RegistryError::new(
                50001,
                "Error while registering the schema due to generating an ID that is already in use.",
            )
        })
    }
}
