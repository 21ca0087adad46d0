//! The state machine over `_schemas`.
//!
//! A command decides on records and the answer; the driver appends the records as one batch, replays them, and then sends the
//! answer. Only [`Registry::replay`] changes durable state, so the state after a restart is the one before it. Commands are
//! repeatable: registering what is registered answers with its id and appends nothing.

mod cache;
pub mod config;
mod delete;
mod index;
mod lookup;
pub mod mode;
pub mod record;
mod register;
mod settings;
pub mod state;
mod tags;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::compatibility::CompatibilityLevel;
use crate::entity::SchemaEntity;
use crate::error::RegistryError;
use crate::schema::nesting::{MAX_REFERENCES, MAX_TOTAL_BYTES};
use crate::schema::{ParsedSchema, ResolvedReference, SchemaType, Validation};
use crate::subject::Subject;
use cache::SharedCache;
use config::Config;
pub use index::SchemaIndex;
use index::{Change, IndexCache, parsed_key};
use mode::Mode;
pub use record::{Record, RecordError, StoredSchema};
pub use register::RegisterRequest;
use state::{Replayed, State};
pub use tags::TagRequest;

/// Maximum size of the schemas that one request makes the registry parse, with those that they refer to.
const MAX_PARSED_BYTES: usize = 128 << 20;
/// What parsing a schema costs beside its text, in bytes of text.
const PARSE_COST: usize = 512;

/// Settings of the registry that clients cannot change.
#[derive(Clone, Debug)]
pub struct RegistrySettings {
    /// The level where none is set (`schema.compatibility.level`).
    pub compatibility_level: CompatibilityLevel,
    /// Whether modes can be changed (`mode.mutability`).
    pub mode_mutability: bool,
    /// Whether new schemas are checked for reserved fields (`schema.validate.fields`).
    pub validate_fields: bool,
    /// Whether the defaults and names of new schemas are checked (`schema.validate.new.schemas`).
    pub validate_new_schemas: bool,
    /// Maximum size of a record (`max.request.size` of the producer that writes them).
    pub max_record_bytes: usize,
    pub kafka_cluster_id: String,
    /// The name of the group of registries (`schema.registry.group.id`).
    pub group_id: String,
    pub version: String,
    pub commit_id: String,
}

impl Default for RegistrySettings {
    fn default() -> RegistrySettings {
        RegistrySettings {
            compatibility_level: CompatibilityLevel::Backward,
            mode_mutability: true,
            validate_fields: false,
            validate_new_schemas: true,
            max_record_bytes: 1 << 20,
            kafka_cluster_id: String::new(),
            group_id: "schema-registry".to_owned(),
            version: String::new(),
            commit_id: String::new(),
        }
    }
}

/// The records of a command and its answer, which holds once they are appended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "records that are not appended are lost"]
pub struct Decided<T> {
    pub records: Vec<Record>,
    pub answer: T,
}

impl<T> Decided<T> {
    fn without_records(answer: T) -> Decided<T> {
        Decided { records: Vec::new(), answer }
    }
}

/// The outcome of a command.
pub type Outcome<T> = Result<Decided<T>, RegistryError>;

/// The registry: its durable state, and parsed schemas.
///
/// A clone is a snapshot: it shares all memory, and does not see later records. The state is copied if records are replayed
/// while there is a snapshot, so snapshots are for what takes long.
#[derive(Clone, Debug)]
pub struct Registry {
    pub(crate) settings: Arc<RegistrySettings>,
    pub(crate) state: Arc<State>,
    cache: SharedCache,
    index: Arc<SchemaIndex>,
    /// The index's parsed schemas for this state's meaning of references.
    indexed: IndexCache,
    /// How many bytes of schemas the current request may still parse, and each request at its begin.
    parse_budget: usize,
    max_parsed_bytes: usize,
}

impl Registry {
    pub fn new(settings: RegistrySettings) -> Registry {
        let index = Arc::<SchemaIndex>::default();
        Registry {
            settings: Arc::new(settings),
            state: Arc::default(),
            cache: SharedCache::default(),
            indexed: index.cache(),
            index,
            parse_budget: MAX_PARSED_BYTES,
            max_parsed_bytes: MAX_PARSED_BYTES,
        }
    }

    /// Applies a record, after it was appended or during recovery. `timestamp` is the record's own. A record that cannot be
    /// read changes nothing; the driver logs the error. Not for snapshots, which share the index with the registry.
    pub fn replay(&mut self, key: &[u8], value: Option<&[u8]>, timestamp: i64) -> Result<(), RecordError> {
        let mut changes = Vec::new();
        let replayed = Arc::make_mut(&mut self.state).apply(key, value, timestamp, &mut changes)?;
        if replayed == Replayed::Removed {
            // A reference can now mean another schema, or none.
            self.cache = SharedCache::default();
            changes.push(Change::References);
        }
        self.index.apply(changes);
        if replayed == Replayed::Removed {
            self.indexed = self.index.cache();
        }
        Ok(())
    }

    /// The registered schemas, for readers that do not hold the registry.
    pub fn index(&self) -> Arc<SchemaIndex> {
        Arc::clone(&self.index)
    }

    /// Whether a schema with this id is registered under the subject and not deleted.
    pub fn valid_id(&self, subject: &str, id: i32) -> bool {
        self.index.is_valid_id(subject, id)
    }

    /// Parses a schema that the index has found, and keeps it there.
    pub fn parsed_schema(&mut self, schema: &StoredSchema) -> Result<Arc<ParsedSchema>, RegistryError> {
        if let Some(parsed) = self.indexed.get(&parsed_key(schema)) {
            return Ok(parsed);
        }
        self.begin_request();
        let parsed = self.parse(&mut schema.to_entity(), Validation::Registered)?;
        self.indexed.put(parsed_key(schema), &parsed);
        Ok(parsed)
    }

    pub fn state(&self) -> &State {
        &self.state
    }

    /// Begins a request, which has a bound on its work of its own.
    pub(crate) fn begin_request(&mut self) {
        self.parse_budget = self.max_parsed_bytes;
    }

    /// The settings that hold for a subject (Confluent's `getConfigInScope`).
    pub(crate) fn config_in_scope(&self, subject: Option<&Subject>) -> Config {
        match subject {
            None => self.config_or_above(None),
            Some(subject) => match self.config(Some(subject)) {
                None => self.config_or_above(Some(subject)),
                Some(own) => {
                    let global = self.config(None).unwrap_or_default();
                    own.merged_with_global(&global)
                }
            },
        }
    }

    /// The settings of exactly this subject or context; of all if `None`, with defaults.
    pub(crate) fn config(&self, subject: Option<&Subject>) -> Option<Config> {
        match self.state.configs.get(&subject.cloned()) {
            Some(config) => Some(self.with_level(config.clone())),
            None if subject.is_none_or(|subject| subject.context == crate::subject::GLOBAL_CONTEXT) => {
                Some(self.with_level(Config::default()))
            }
            None => None,
        }
    }

    /// The settings of the subject, or of its context, or of all.
    fn config_or_above(&self, subject: Option<&Subject>) -> Config {
        let found = scopes(subject).into_iter().find_map(|scope| self.state.configs.get(&scope));
        self.with_level(found.cloned().unwrap_or_default())
    }

    fn with_level(&self, config: Config) -> Config {
        let level = config.compatibility_level.unwrap_or(self.settings.compatibility_level);
        Config { compatibility_level: Some(level), ..config }
    }

    /// The mode of exactly this subject or context; of all if `None`, with the default.
    pub(crate) fn mode(&self, subject: Option<&Subject>) -> Option<Mode> {
        let default = || {
            let global = subject.is_none_or(|subject| subject.context == crate::subject::GLOBAL_CONTEXT);
            global.then_some(Mode::ReadWrite)
        };
        self.state.modes.get(&subject.cloned()).copied().or_else(default)
    }

    pub(crate) fn mode_in_scope(&self, subject: Option<&Subject>) -> Mode {
        let found = scopes(subject).into_iter().find_map(|scope| self.state.modes.get(&scope));
        found.copied().unwrap_or(Mode::ReadWrite)
    }

    fn refuse_if_read_only(&self, subject: Option<&Subject>) -> Result<(), RegistryError> {
        if !self.mode_in_scope(subject).is_read_only() {
            return Ok(());
        }
        let name = subject.map_or_else(|| "null".to_owned(), Subject::qualified);
        let context = subject.map(Subject::context_prefix).unwrap_or_default();
        Err(RegistryError::not_permitted(format!("Subject {name} in context {context} is in read-only mode")))
    }

    /// Parses a schema of a request or of the state. References to the latest version get its number.
    pub(crate) fn parse(
        &mut self,
        entity: &mut SchemaEntity,
        validation: Validation,
    ) -> Result<Arc<ParsedSchema>, RegistryError> {
        let name = entity.schema_type.clone();
        let Some(schema_type) = SchemaType::from_name(&name) else {
            return Err(RegistryError::invalid_schema(format!("Invalid schema type {name}")));
        };
        // Which version is the latest one can change.
        let cacheable = entity.content.references.iter().all(|reference| reference.version != Some(-1));
        let key = cache::Key::new(entity, schema_type, validation);
        if cacheable && let Some(parsed) = self.cache.get(&key) {
            return Ok(parsed);
        }
        self.take_parse_budget(PARSE_COST)?;
        let with_id = validation == Validation::Registered && entity.id >= 0;
        let parsed = self.parse_uncached(entity, schema_type, validation).map_err(|details| {
            // Confluent's provider of Avro schemas quotes the schema; the others do not.
            let described = match schema_type {
                SchemaType::Avro => {
                    let references: Vec<String> = entity.content.references.iter().map(ToString::to_string).collect();
                    format!("{} with refs [{}] of type {name}", entity.quoted(with_id), references.join(", "))
                }
                SchemaType::Json | SchemaType::Protobuf => format!("of type {name}"),
            };
            RegistryError::invalid_schema(format!(
                "Invalid schema of type {name}, details: Invalid schema {described}, details: {details}"
            ))
        })?;
        let parsed = Arc::new(parsed);
        if cacheable {
            self.cache.put(key, &parsed);
        }
        Ok(parsed)
    }

    fn take_parse_budget(&mut self, bytes: usize) -> Result<(), RegistryError> {
        let left = self.parse_budget.checked_sub(bytes);
        self.parse_budget = left.ok_or_else(|| RegistryError::too_many_versions(self.max_parsed_bytes))?;
        Ok(())
    }

    fn parse_uncached(
        &mut self,
        entity: &mut SchemaEntity,
        schema_type: SchemaType,
        validation: Validation,
    ) -> Result<ParsedSchema, String> {
        let references = self.resolve_references(entity, validation)?;
        let bytes =
            references.iter().map(|reference| reference.text.len()).sum::<usize>() + entity.content.schema.len();
        // The next schema is refused if this one was too much.
        self.parse_budget = self.parse_budget.saturating_sub(bytes);
        ParsedSchema::parse(schema_type, &entity.content.schema, &references, validation)
            .map_err(|error| error.to_string())
    }

    /// Lists all schemas that a schema refers to, each after those that it needs.
    pub(crate) fn resolve_references(
        &self,
        entity: &mut SchemaEntity,
        validation: Validation,
    ) -> Result<Vec<ResolvedReference>, String> {
        let mut resolver = Resolver {
            state: &self.state,
            with_deleted: validation == Validation::Registered,
            found: Vec::new(),
            seen: std::collections::HashSet::new(),
            bytes: entity.content.schema.len(),
        };
        let subject = Subject::parse(&entity.subject);
        let versions = resolver.resolve(&subject, &entity.content.references, 0)?;
        for (reference, version) in entity.content.references.iter_mut().zip(versions) {
            reference.version = Some(version);
        }
        Ok(resolver.found)
    }
}

/// The places where the settings of a subject are looked for, the nearest one first.
fn scopes(subject: Option<&Subject>) -> Vec<Option<Subject>> {
    let context = |name: &str| Subject { context: name.to_owned(), name: String::new() };
    let mut scopes = vec![subject.cloned()];
    match subject {
        Some(subject) if !subject.is_in_default_context() => scopes.push(Some(context(&subject.context))),
        _ => scopes.push(None),
    }
    scopes.push(Some(context(crate::subject::GLOBAL_CONTEXT)));
    scopes
}

struct Resolver<'a> {
    state: &'a State,
    with_deleted: bool,
    found: Vec<ResolvedReference>,
    /// Names that were resolved. A name that occurs again, also in a cycle, is not resolved again.
    seen: std::collections::HashSet<String>,
    bytes: usize,
}

impl Resolver<'_> {
    /// Resolves references and those of the schemas that they mean. Returns the versions of the references.
    fn resolve(
        &mut self,
        parent: &Subject,
        references: &[crate::entity::Reference],
        depth: usize,
    ) -> Result<Vec<i32>, String> {
        if depth > MAX_REFERENCES / 4 {
            return Err("references are nested too deeply".to_owned());
        }
        let mut versions = Vec::with_capacity(references.len());
        for reference in references {
            let (Some(name), Some(subject), Some(version)) = (&reference.name, &reference.subject, reference.version)
            else {
                return Err(format!("Invalid reference: {reference}"));
            };
            let subject = Subject::with_parent(subject, parent);
            let found = match version {
                -1 => self.state.latest(&subject),
                version => self.state.version(&subject, version),
            };
            let found = found.filter(|schema| self.with_deleted || !schema.deleted).cloned();
            let found = found.ok_or_else(|| {
                format!("No schema reference found for subject \"{}\" and version {version}", subject.qualified())
            })?;
            versions.push(found.version);
            if !self.seen.insert(name.clone()) {
                continue;
            }
            self.bytes += found.content.schema.len();
            if self.seen.len() > MAX_REFERENCES || self.bytes > MAX_TOTAL_BYTES {
                return Err(format!(
                    "the schema refers to more than {MAX_REFERENCES} schemas, or to more than {MAX_TOTAL_BYTES} bytes"
                ));
            }
            self.resolve(&found.subject, &found.content.references, depth + 1)?;
            let text = found.content.schema.clone();
            self.found.push(ResolvedReference { name: name.clone(), text });
        }
        Ok(versions)
    }
}
