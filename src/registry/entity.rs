//! A schema with its place in the registry, as requests and responses have it.

use md5::{Digest, Md5};

use crate::contract::{Metadata, RuleSet};
use crate::fields::{FieldError, Fields};
use crate::json::{Json, Object};

/// The hash that identifies a schema with its references, metadata and rules in all contexts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Guid(pub [u8; 16]);

impl Guid {
    /// Reads a GUID with or without dashes.
    pub fn parse(text: &str) -> Option<Guid> {
        let digits: String = text.chars().filter(|char| *char != '-').collect();
        if digits.len() != 32 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let number = u128::from_str_radix(&digits, 16).ok()?;
        Some(Guid(number.to_be_bytes()))
    }
}

impl std::fmt::Display for Guid {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits = format!("{:032x}", u128::from_be_bytes(self.0));
        let parts = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
        formatter.write_str(&parts.join("-"))
    }
}

/// A reference of a schema to another one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reference {
    pub name: Option<String>,
    pub subject: Option<String>,
    pub version: Option<i32>,
}

impl Reference {
    pub fn from_json(json: &Json) -> Result<Reference, FieldError> {
        let fields = Fields::of(json)?;
        let (name, subject) = (fields.string("name")?, fields.string("subject")?);
        Ok(Reference { name, subject, version: fields.integer("version")? })
    }

    pub fn to_json(&self) -> Json {
        let mut out = Object::new();
        for (name, value) in [("name", &self.name), ("subject", &self.subject)] {
            if let Some(value) = value.as_ref().filter(|value| !value.is_empty()) {
                out.insert(name.to_owned(), value.as_str().into());
            }
        }
        if let Some(version) = self.version {
            out.insert("version".to_owned(), version.into());
        }
        Json::Object(out)
    }

    fn update_hash(&self, hash: &mut Md5) {
        hash.update(self.name.as_deref().unwrap_or_default());
        hash.update(self.subject.as_deref().unwrap_or_default());
        if let Some(version) = self.version {
            hash.update(version.to_be_bytes());
        }
    }
}

impl std::fmt::Display for Reference {
    /// Writes the reference as Java's `toString` does, for messages.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "null".to_owned());
        let version = self.version.map_or_else(|| "null".to_owned(), |version| version.to_string());
        write!(formatter, "{{name='{}', subject='{}', version={version}}}", text(&self.name), text(&self.subject))
    }
}

/// What makes up a schema: everything that its GUID depends on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    pub schema: String,
    pub references: Vec<Reference>,
    pub metadata: Option<Metadata>,
    pub rule_set: Option<RuleSet>,
}

impl Content {
    pub fn guid(&self) -> Guid {
        let mut hash = Md5::new();
        hash.update(&self.schema);
        self.references.iter().for_each(|reference| reference.update_hash(&mut hash));
        if let Some(metadata) = &self.metadata {
            hash.update([1]);
            metadata.update_hash(&mut hash);
        }
        if let Some(rule_set) = &self.rule_set {
            hash.update([1]);
            rule_set.update_hash(&mut hash);
        }
        Guid(hash.finalize().into())
    }
}

/// A schema in a request or a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaEntity {
    pub subject: String,
    /// In requests: 0 if none is asked for, -1 for the latest one.
    pub version: i32,
    /// In requests: -1 if none is asked for.
    pub id: i32,
    /// The name of the type. It may be one that is not known.
    pub schema_type: String,
    pub content: Content,
    /// The GUID, if it does not follow from the content.
    pub guid: Option<Guid>,
    /// The time of the record.
    pub timestamp: Option<i64>,
    pub deleted: Option<bool>,
}

impl SchemaEntity {
    pub fn guid(&self) -> Guid {
        self.guid.unwrap_or_else(|| self.content.guid())
    }

    /// Writes the schema as a message about it quotes it: without version, and with an id only if it had one.
    pub fn quoted(&self, with_id: bool) -> String {
        let null = || "null".to_owned();
        let references: Vec<String> = self.content.references.iter().map(Reference::to_string).collect();
        let metadata = self.content.metadata.as_ref().map_or_else(null, |metadata| metadata.to_json().to_string());
        let rule_set = self.content.rule_set.as_ref().map_or_else(null, |rules| rules.to_json().to_string());
        format!(
            "{{subject={},version=null,id={},guid={},schemaType={},references=[{}],metadata={metadata},\
             ruleSet={rule_set},schema={},schemaTags=null,ts=null,deleted=null}}",
            self.subject,
            if with_id { "0" } else { "null" },
            self.content.guid(),
            self.schema_type,
            references.join(", "),
            self.content.schema,
        )
    }
}

/// Adds what every form of a schema in JSON has of its content.
pub(crate) fn put_references(out: &mut Object, references: &[Reference]) {
    if !references.is_empty() {
        out.insert("references".to_owned(), Json::Array(references.iter().map(Reference::to_json).collect()));
    }
}

pub(crate) fn put_metadata(out: &mut Object, metadata: Option<&Metadata>) {
    if let Some(metadata) = metadata {
        out.insert("metadata".to_owned(), metadata.to_json());
    }
}

pub(crate) fn put_rule_set(out: &mut Object, rule_set: Option<&RuleSet>) {
    if let Some(rule_set) = rule_set {
        out.insert("ruleSet".to_owned(), rule_set.to_json());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse;

    fn content(schema: &str, references: &str, metadata: &str, rules: &str) -> Content {
        let references = parse(references).unwrap();
        Content {
            schema: schema.to_owned(),
            references: references.as_array().unwrap().iter().map(|json| Reference::from_json(json).unwrap()).collect(),
            metadata: Some(parse(metadata).unwrap())
                .filter(|json| !json.is_null())
                .map(|json| Metadata::from_json(&json).unwrap()),
            rule_set: Some(parse(rules).unwrap())
                .filter(|json| !json.is_null())
                .map(|json| RuleSet::from_json(&json).unwrap()),
        }
    }

    /// The expected values were computed with Confluent's classes.
    #[test]
    fn guids_are_those_of_confluent() {
        let metadata = r#"{"tags":{"b":["z","a"],"a":["x"]},"properties":{"k":"v","é":"w"},"sensitive":["k"]}"#;
        let rules = r#"{"domainRules":[{"name":"r","doc":"d","kind":"CONDITION","mode":"WRITE","type":"CEL","tags":["q","b"],
            "params":{"x":"1"},"expr":"e","onSuccess":"N","onFailure":"ERROR","disabled":true}],
            "migrationRules":[{"name":"m","mode":"UPGRADE","type":"JSONATA"}],"enableAt":"SERVER"}"#;
        let references = r#"[{"name":"n","subject":"s","version":258}]"#;
        for (content, guid) in [
            (content("x", "[]", "null", "null"), "9dd4e461-268c-8034-f5c8-564e155c67a6"),
            (content("\"string\"", references, "null", "null"), "6cdd4929-0e9a-7887-40fc-46e5525c089e"),
            (content("\"string\"", "[]", metadata, "null"), "348bf904-2a4a-7ba1-713f-5ba119e193ff"),
            (content("\"string\"", references, metadata, rules), "633ba3fc-efa1-7a94-ca71-940e693de927"),
            (content("\"string\"", "[]", "{}", "{}"), "798abfa1-2094-1666-9863-657f1f45761c"),
        ] {
            assert_eq!(content.guid().to_string(), guid);
            assert_eq!(Guid::parse(guid), Some(content.guid()));
        }
    }

    #[test]
    fn guids_are_read_with_and_without_dashes() {
        let guid = Guid::parse("9dd4e461-268c-8034-f5c8-564e155c67a6");
        assert!(guid.is_some());
        assert_eq!(Guid::parse("9dd4e461268c8034f5c8564e155c67a6"), guid);
        assert_eq!(Guid::parse("9dd4"), None);
        assert_eq!(Guid::parse("+dd4e461268c8034f5c8564e155c67a6"), None);
    }
}
