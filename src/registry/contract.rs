//! Data contracts: metadata and rules of schemas, with their JSON, their order and their share in the schema's hash.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use md5::{Digest, Md5};

use crate::fields::{FieldError, Fields};
use crate::json::{Json, Object};
use crate::utf16::JavaString;

/// The property that has the version of a schema in its own metadata.
pub const VERSION_PROPERTY: &str = "confluent:version";
/// The property with the names of fields that must not be used.
pub const RESERVED_PROPERTY: &str = "confluent:reserved";
/// Maximum length of a rule's name.
const MAX_RULE_NAME: usize = 256;

/// Tags and properties of a schema.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Paths with their tags.
    pub tags: BTreeMap<JavaString, BTreeSet<JavaString>>,
    pub properties: BTreeMap<JavaString, String>,
    /// Names of properties that are secret.
    pub sensitive: BTreeSet<JavaString>,
}

impl Metadata {
    pub fn from_json(json: &Json) -> Result<Metadata, FieldError> {
        let fields = Fields::of(json)?;
        let mut tags = BTreeMap::new();
        for (path, values) in fields.object("tags")?.into_iter().flatten() {
            tags.insert(path.as_str().into(), strings(values)?);
        }
        let mut properties = BTreeMap::new();
        for (name, value) in fields.object("properties")?.into_iter().flatten() {
            properties.insert(name.as_str().into(), Fields::text(name, value)?);
        }
        let sensitive = fields.get("sensitive").map(strings).transpose()?.unwrap_or_default();
        Ok(Metadata { tags, properties, sensitive })
    }

    pub fn to_json(&self) -> Json {
        let mut out = Object::new();
        if !self.tags.is_empty() {
            let tags = self.tags.iter().map(|(path, tags)| (path.to_string(), texts(tags)));
            out.insert("tags".to_owned(), Json::Object(tags.collect()));
        }
        if !self.properties.is_empty() {
            out.insert("properties".to_owned(), text_object(&self.properties));
        }
        if !self.sensitive.is_empty() {
            out.insert("sensitive".to_owned(), texts(&self.sensitive));
        }
        Json::Object(out)
    }

    pub(crate) fn update_hash(&self, hash: &mut Md5) {
        for (path, tags) in &self.tags {
            hash.update(path.as_str());
            tags.iter().for_each(|tag| hash.update(tag.as_str()));
        }
        for (name, value) in &self.properties {
            hash.update(name.as_str());
            hash.update(value);
        }
        self.sensitive.iter().for_each(|name| hash.update(name.as_str()));
    }

    pub fn property(&self, name: &str) -> Option<&str> {
        self.properties.get(&JavaString::from(name)).map(String::as_str)
    }

    /// The version that the metadata has, if it is a number.
    pub fn version(&self) -> Option<i32> {
        self.property(VERSION_PROPERTY)?.parse().ok()
    }

    #[must_use]
    pub fn with_version(mut self, version: i32) -> Metadata {
        self.properties.insert(VERSION_PROPERTY.into(), version.to_string());
        self
    }

    #[must_use]
    pub fn without_version(mut self) -> Metadata {
        self.properties.remove(&JavaString::from(VERSION_PROPERTY));
        self
    }

    /// Names of fields that must not be used.
    pub fn reserved_fields(&self) -> BTreeSet<String> {
        let names = self.property(RESERVED_PROPERTY).unwrap_or_default().split(',').map(str::trim);
        names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
    }

    /// Combines two: entries of the newer one replace those of the older one.
    pub fn merge(old: Option<Metadata>, new: Option<Metadata>) -> Option<Metadata> {
        let (mut old, new) = match (old, new) {
            (Some(old), Some(new)) => (old, new),
            (old, new) => return old.or(new),
        };
        old.tags.extend(new.tags);
        old.properties.extend(new.properties);
        old.sensitive.extend(new.sensitive);
        Some(old)
    }
}

/// Rules of a schema.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleSet {
    pub migration_rules: Vec<Rule>,
    pub domain_rules: Vec<Rule>,
    pub encoding_rules: Vec<Rule>,
    /// Where the rules are executed.
    pub enable_at: Option<String>,
}

impl RuleSet {
    pub fn from_json(json: &Json) -> Result<RuleSet, FieldError> {
        let fields = Fields::of(json)?;
        let rules = |name: &str| -> Result<Vec<Rule>, FieldError> {
            fields.array(name)?.unwrap_or_default().iter().map(Rule::from_json).collect()
        };
        Ok(RuleSet {
            migration_rules: rules("migrationRules")?,
            domain_rules: rules("domainRules")?,
            encoding_rules: rules("encodingRules")?,
            enable_at: fields.one_of("enableAt", &["CLIENT", "GATEWAY", "SERVER", "NONE"])?,
        })
    }

    pub fn to_json(&self) -> Json {
        let mut out = Object::new();
        let lists = [
            ("migrationRules", &self.migration_rules),
            ("domainRules", &self.domain_rules),
            ("encodingRules", &self.encoding_rules),
        ];
        for (name, rules) in lists {
            if !rules.is_empty() {
                out.insert(name.to_owned(), Json::Array(rules.iter().map(Rule::to_json).collect()));
            }
        }
        if let Some(enable_at) = &self.enable_at {
            out.insert("enableAt".to_owned(), enable_at.as_str().into());
        }
        Json::Object(out)
    }

    pub(crate) fn update_hash(&self, hash: &mut Md5) {
        self.rules().for_each(|rule| rule.update_hash(hash));
        if let Some(enable_at) = &self.enable_at {
            hash.update(enable_at);
        }
    }

    fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.migration_rules.iter().chain(&self.domain_rules).chain(&self.encoding_rules)
    }

    pub fn has_type(&self, rule_type: &str) -> bool {
        self.rules().any(|rule| rule.rule_type.as_deref() == Some(rule_type))
    }

    /// Checks names, modes and actions.
    pub fn check(&self) -> Result<(), String> {
        let mut names = HashSet::new();
        let lists = [
            (&self.migration_rules, &MIGRATION_MODES, "Migration rules can only be UPGRADE, DOWNGRADE, UPDOWN"),
            (&self.domain_rules, &DOMAIN_MODES, "Domain rules can only be WRITE, READ, WRITEREAD"),
            (&self.encoding_rules, &DOMAIN_MODES, "Encoding rules can only be WRITE, READ, WRITEREAD"),
        ];
        for (rules, modes, problem) in lists {
            for rule in rules {
                if !names.insert(&rule.name) {
                    let name = rule.name.as_deref().unwrap_or("null");
                    return Err(format!("Found rule with duplicate name '{name}'"));
                }
                rule.check()?;
                if !modes.contains(&rule.mode.as_str()) {
                    return Err(problem.to_owned());
                }
            }
        }
        Ok(())
    }

    /// Combines two: rules of the newer one replace those with the same names.
    pub fn merge(old: Option<RuleSet>, new: Option<RuleSet>) -> Option<RuleSet> {
        let (old, new) = match (old, new) {
            (Some(old), Some(new)) => (old, new),
            (old, new) => return old.or(new),
        };
        Some(RuleSet {
            migration_rules: merge_rules(old.migration_rules, new.migration_rules),
            domain_rules: merge_rules(old.domain_rules, new.domain_rules),
            encoding_rules: merge_rules(old.encoding_rules, new.encoding_rules),
            enable_at: new.enable_at.or(old.enable_at),
        })
    }

    /// Removes the rules with these names.
    #[must_use]
    pub fn without(mut self, names: &[String]) -> RuleSet {
        for rules in [&mut self.migration_rules, &mut self.domain_rules, &mut self.encoding_rules] {
            rules.retain(|rule| !rule.name.as_ref().is_some_and(|name| names.contains(name)));
        }
        self
    }
}

const MIGRATION_MODES: [&str; 3] = ["UPGRADE", "DOWNGRADE", "UPDOWN"];
const DOMAIN_MODES: [&str; 3] = ["WRITE", "READ", "WRITEREAD"];

/// One rule. Kind and mode have one of the names that Confluent knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    pub name: Option<String>,
    pub doc: Option<String>,
    pub kind: String,
    pub mode: String,
    pub rule_type: Option<String>,
    pub tags: BTreeSet<JavaString>,
    pub params: BTreeMap<JavaString, String>,
    pub expr: Option<String>,
    pub on_success: Option<String>,
    pub on_failure: Option<String>,
    pub disabled: bool,
}

impl Rule {
    fn from_json(json: &Json) -> Result<Rule, FieldError> {
        let fields = Fields::of(json)?;
        let mut params = BTreeMap::new();
        for (name, value) in fields.object("params")?.into_iter().flatten() {
            params.insert(name.as_str().into(), Fields::text(name, value)?);
        }
        let modes = [MIGRATION_MODES, DOMAIN_MODES].concat();
        Ok(Rule {
            name: fields.string("name")?,
            doc: fields.string("doc")?,
            kind: fields.one_of("kind", &["TRANSFORM", "CONDITION"])?.unwrap_or_else(|| "TRANSFORM".to_owned()),
            mode: fields.one_of("mode", &modes)?.unwrap_or_else(|| "WRITEREAD".to_owned()),
            rule_type: fields.string("type")?,
            tags: fields.get("tags").map(strings).transpose()?.unwrap_or_default(),
            params,
            expr: fields.string("expr")?,
            on_success: fields.string("onSuccess")?,
            on_failure: fields.string("onFailure")?,
            disabled: fields.boolean("disabled")?.unwrap_or(false),
        })
    }

    fn to_json(&self) -> Json {
        let mut out = Object::new();
        let mut put = |name: &str, value: Option<&str>| {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                out.insert(name.to_owned(), value.into());
            }
        };
        put("name", self.name.as_deref());
        put("doc", self.doc.as_deref());
        put("kind", Some(&self.kind));
        put("mode", Some(&self.mode));
        put("type", self.rule_type.as_deref());
        if !self.tags.is_empty() {
            out.insert("tags".to_owned(), texts(&self.tags));
        }
        if !self.params.is_empty() {
            out.insert("params".to_owned(), text_object(&self.params));
        }
        let mut put = |name: &str, value: Option<&str>| {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                out.insert(name.to_owned(), value.into());
            }
        };
        put("expr", self.expr.as_deref());
        put("onSuccess", self.on_success.as_deref());
        put("onFailure", self.on_failure.as_deref());
        out.insert("disabled".to_owned(), self.disabled.into());
        Json::Object(out)
    }

    fn update_hash(&self, hash: &mut Md5) {
        let mut put = |text: Option<&str>| hash.update(text.unwrap_or_default());
        put(self.name.as_deref());
        put(self.doc.as_deref());
        put(Some(&self.kind));
        put(Some(&self.mode));
        put(self.rule_type.as_deref());
        self.tags.iter().for_each(|tag| put(Some(tag.as_str())));
        for (name, value) in &self.params {
            put(Some(name.as_str()));
            put(Some(value));
        }
        put(self.expr.as_deref());
        put(self.on_success.as_deref());
        put(self.on_failure.as_deref());
        if self.disabled {
            hash.update([1]);
        }
    }

    fn check(&self) -> Result<(), String> {
        let name = self.name.as_deref().ok_or("Missing rule name")?;
        let mut chars = name.chars();
        let first = chars.next().ok_or("Empty rule name")?;
        if name.encode_utf16().count() > MAX_RULE_NAME {
            return Err("Rule name too long".to_owned());
        }
        if !(first.is_alphabetic() || first == '_') {
            return Err(format!("Illegal initial character in rule name: {name}"));
        }
        if !chars.all(|char| char.is_alphanumeric() || char == '_' || char == '-') {
            return Err(format!("Illegal character in rule name: {name}"));
        }
        if self.rule_type.is_none() {
            return Err("Missing rule type".to_owned());
        }
        let actions = [&self.on_success, &self.on_failure];
        let several = actions.into_iter().flatten().any(|action| action.contains(','));
        if several && self.mode != "WRITEREAD" && self.mode != "UPDOWN" {
            return Err("Multiple actions only valid with WRITEREAD and UPDOWN".to_owned());
        }
        Ok(())
    }
}

fn merge_rules(mut old: Vec<Rule>, new: Vec<Rule>) -> Vec<Rule> {
    let names: HashSet<&Option<String>> = new.iter().map(|rule| &rule.name).collect();
    old.retain(|rule| !names.contains(&rule.name));
    old.extend(new);
    old
}

fn strings(json: &Json) -> Result<BTreeSet<JavaString>, FieldError> {
    let items = json.as_array().ok_or_else(|| FieldError::new("expected an array of strings"))?;
    items.iter().map(|item| Fields::text("item", item).map(JavaString::from)).collect()
}

fn texts(texts: &BTreeSet<JavaString>) -> Json {
    Json::Array(texts.iter().map(|text| text.as_str().into()).collect())
}

fn text_object(values: &BTreeMap<JavaString, String>) -> Json {
    Json::Object(values.iter().map(|(name, value)| (name.to_string(), value.as_str().into())).collect())
}
