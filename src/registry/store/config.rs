//! Settings of subjects and contexts.

use crate::compatibility::CompatibilityLevel;
use crate::contract::{Metadata, RuleSet};
use crate::fields::{FieldError, Fields};
use crate::json::{Json, Object};
use crate::store::record::{Key, RecordError};
use crate::subject::Subject;

/// How strictly Protobuf and JSON schemas are compared (Confluent's `compatibilityPolicy`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CompatibilityPolicy {
    Logical,
    Strict,
    Lenient,
}

impl CompatibilityPolicy {
    const ALL: [CompatibilityPolicy; 3] =
        [CompatibilityPolicy::Logical, CompatibilityPolicy::Strict, CompatibilityPolicy::Lenient];

    pub fn name(self) -> &'static str {
        match self {
            CompatibilityPolicy::Logical => "LOGICAL",
            CompatibilityPolicy::Strict => "STRICT",
            CompatibilityPolicy::Lenient => "LENIENT",
        }
    }

    pub fn from_name(name: &str) -> Option<CompatibilityPolicy> {
        CompatibilityPolicy::ALL.into_iter().find(|policy| policy.name().eq_ignore_ascii_case(name))
    }
}

/// Settings. What is `None` follows the level above.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Another subject that is meant by this one.
    pub alias: Option<String>,
    pub alias_for_deks: Option<String>,
    pub normalize: Option<bool>,
    pub validate_fields: Option<bool>,
    pub validate_new_schemas: Option<bool>,
    pub validate_rules: Option<bool>,
    pub compatibility_level: Option<CompatibilityLevel>,
    pub compatibility_policy: Option<CompatibilityPolicy>,
    /// The property of the metadata that schemas must share to be compared.
    pub compatibility_group: Option<String>,
    pub default_metadata: Option<Metadata>,
    pub override_metadata: Option<Metadata>,
    pub default_rule_set: Option<RuleSet>,
    pub override_rule_set: Option<RuleSet>,
}

impl Config {
    /// Writes the settings. The level of compatibility has another name in requests than in records and responses.
    pub fn put(&self, out: &mut Object, level_name: &str) {
        let mut text = |name: &str, value: Option<&str>| {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                out.insert(name.to_owned(), value.into());
            }
        };
        text("alias", self.alias.as_deref());
        text("aliasForDeks", self.alias_for_deks.as_deref());
        let booleans = [
            ("normalize", self.normalize),
            ("validateFields", self.validate_fields),
            ("validateNewSchemas", self.validate_new_schemas),
            ("validateRules", self.validate_rules),
        ];
        for (name, value) in booleans {
            if let Some(value) = value {
                out.insert(name.to_owned(), value.into());
            }
        }
        let mut text = |name: &str, value: Option<&str>| {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                out.insert(name.to_owned(), value.into());
            }
        };
        text(level_name, self.compatibility_level.map(CompatibilityLevel::name));
        text("compatibilityPolicy", self.compatibility_policy.map(CompatibilityPolicy::name));
        text("compatibilityGroup", self.compatibility_group.as_deref());
        let metadata = [("defaultMetadata", &self.default_metadata), ("overrideMetadata", &self.override_metadata)];
        for (name, metadata) in metadata {
            if let Some(metadata) = metadata {
                out.insert(name.to_owned(), metadata.to_json());
            }
        }
        let rule_sets = [("defaultRuleSet", &self.default_rule_set), ("overrideRuleSet", &self.override_rule_set)];
        for (name, rule_set) in rule_sets {
            if let Some(rule_set) = rule_set {
                out.insert(name.to_owned(), rule_set.to_json());
            }
        }
    }

    /// Whether registering can change the metadata or the rules of a schema.
    pub fn has_defaults_or_overrides(&self) -> bool {
        self.default_metadata.is_some()
            || self.override_metadata.is_some()
            || self.default_rule_set.is_some()
            || self.override_rule_set.is_some()
    }

    /// Completes the settings of a subject with the global ones.
    #[must_use]
    pub fn merged_with_global(self, global: &Config) -> Config {
        Config {
            normalize: self.normalize.or(global.normalize),
            validate_fields: self.validate_fields.or(global.validate_fields),
            validate_new_schemas: self.validate_new_schemas.or(global.validate_new_schemas),
            validate_rules: self.validate_rules.or(global.validate_rules),
            compatibility_policy: self.compatibility_policy.or(global.compatibility_policy),
            compatibility_group: self.compatibility_group.or_else(|| global.compatibility_group.clone()),
            ..self
        }
    }
}

/// Settings as they are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigValue {
    pub subject: Option<Subject>,
    pub config: Config,
}

impl ConfigValue {
    pub(super) fn from_fields(fields: &Fields<'_>, key: &Key) -> Result<ConfigValue, RecordError> {
        let subject = match key {
            Key::Config(subject) => subject.clone(),
            _ => None,
        };
        let level = fields.string("compatibilityLevel")?;
        let policy = fields.string("compatibilityPolicy")?;
        let unknown = |what: &str, name: &str| RecordError::new(format!("the {what} {name} is not known"));
        let config = Config {
            alias: fields.string("alias")?,
            alias_for_deks: fields.string("aliasForDeks")?,
            normalize: fields.boolean("normalize")?,
            validate_fields: fields.boolean("validateFields")?,
            validate_new_schemas: fields.boolean("validateNewSchemas")?,
            validate_rules: fields.boolean("validateRules")?,
            compatibility_level: level
                .map(|name| {
                    CompatibilityLevel::from_name(&name).ok_or_else(|| unknown("level of compatibility", &name))
                })
                .transpose()?,
            compatibility_policy: policy
                .map(|name| {
                    CompatibilityPolicy::from_name(&name).ok_or_else(|| unknown("policy of compatibility", &name))
                })
                .transpose()?,
            compatibility_group: fields.string("compatibilityGroup")?,
            default_metadata: fields.get("defaultMetadata").map(Metadata::from_json).transpose()?,
            override_metadata: fields.get("overrideMetadata").map(Metadata::from_json).transpose()?,
            default_rule_set: fields.get("defaultRuleSet").map(RuleSet::from_json).transpose()?,
            override_rule_set: fields.get("overrideRuleSet").map(RuleSet::from_json).transpose()?,
        };
        Ok(ConfigValue { subject, config })
    }

    pub fn to_json(&self) -> Json {
        let mut out = Object::new();
        if let Some(subject) = self.subject.as_ref().map(Subject::qualified).filter(|subject| !subject.is_empty()) {
            out.insert("subject".to_owned(), subject.into());
        }
        self.config.put(&mut out, "compatibilityLevel");
        Json::Object(out)
    }
}

/// A change of settings. Each field is `None` if it is not part of the change, and `Some(None)` if it is removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigUpdate {
    alias: Option<Option<String>>,
    alias_for_deks: Option<Option<String>>,
    normalize: Option<Option<bool>>,
    validate_fields: Option<Option<bool>>,
    validate_new_schemas: Option<Option<bool>>,
    validate_rules: Option<Option<bool>>,
    /// The name, which may be none that is known.
    compatibility: Option<Option<String>>,
    compatibility_policy: Option<Option<String>>,
    compatibility_group: Option<Option<String>>,
    default_metadata: Option<Option<Metadata>>,
    override_metadata: Option<Option<Metadata>>,
    default_rule_set: Option<Option<RuleSet>>,
    override_rule_set: Option<Option<RuleSet>>,
}

impl ConfigUpdate {
    pub fn from_json(json: &Json) -> Result<ConfigUpdate, FieldError> {
        let fields = Fields::of(json)?;
        let text = |name: &str| fields.has(name).then(|| fields.string(name)).transpose();
        let boolean = |name: &str| fields.has(name).then(|| fields.boolean(name)).transpose();
        let metadata =
            |name: &str| fields.has(name).then(|| fields.get(name).map(Metadata::from_json).transpose()).transpose();
        let rule_set =
            |name: &str| fields.has(name).then(|| fields.get(name).map(RuleSet::from_json).transpose()).transpose();
        Ok(ConfigUpdate {
            alias: text("alias")?,
            alias_for_deks: text("aliasForDeks")?,
            normalize: boolean("normalize")?,
            validate_fields: boolean("validateFields")?,
            validate_new_schemas: boolean("validateNewSchemas")?,
            validate_rules: boolean("validateRules")?,
            compatibility: text("compatibility")?,
            compatibility_policy: text("compatibilityPolicy")?,
            compatibility_group: text("compatibilityGroup")?,
            default_metadata: metadata("defaultMetadata")?,
            override_metadata: metadata("overrideMetadata")?,
            default_rule_set: rule_set("defaultRuleSet")?,
            override_rule_set: rule_set("overrideRuleSet")?,
        })
    }

    /// The rules in the change.
    pub fn rule_sets(&self) -> impl Iterator<Item = &RuleSet> {
        [&self.default_rule_set, &self.override_rule_set].into_iter().flatten().flatten()
    }

    /// Whether the change has a level of compatibility that does not exist.
    pub fn has_unknown_level(&self) -> bool {
        let name = self.compatibility.as_ref().and_then(Option::as_ref);
        name.is_some_and(|name| CompatibilityLevel::from_name(name).is_none())
    }

    /// Applies the change to the settings so far.
    pub fn apply(self, old: Config) -> Config {
        Config {
            alias: self.alias.unwrap_or(old.alias),
            alias_for_deks: self.alias_for_deks.unwrap_or(old.alias_for_deks),
            normalize: self.normalize.unwrap_or(old.normalize),
            validate_fields: self.validate_fields.unwrap_or(old.validate_fields),
            validate_new_schemas: self.validate_new_schemas.unwrap_or(old.validate_new_schemas),
            validate_rules: self.validate_rules.unwrap_or(old.validate_rules),
            compatibility_level: match self.compatibility {
                Some(name) => name.and_then(|name| CompatibilityLevel::from_name(&name)),
                None => old.compatibility_level,
            },
            compatibility_policy: match self.compatibility_policy {
                Some(name) => name.and_then(|name| CompatibilityPolicy::from_name(&name)),
                None => old.compatibility_policy,
            },
            compatibility_group: self.compatibility_group.unwrap_or(old.compatibility_group),
            default_metadata: self.default_metadata.unwrap_or(old.default_metadata),
            override_metadata: self.override_metadata.unwrap_or(old.override_metadata),
            default_rule_set: self.default_rule_set.unwrap_or(old.default_rule_set),
            override_rule_set: self.override_rule_set.unwrap_or(old.override_rule_set),
        }
    }
}
