//! A new version with other tags, metadata or rules.

use super::register::tagged_entities;
use super::{Outcome, Registry};
use crate::contract::{Metadata, RuleSet};
use crate::entity::SchemaEntity;
use crate::error::RegistryError;
use crate::fields::{FieldError, Fields};
use crate::json::Json;
use crate::schema::{TagChanges, Validation};
use crate::subject::Subject;

/// The body of a request for other tags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TagRequest {
    pub new_version: Option<i32>,
    pub tags: TagChanges,
    pub metadata: Option<Metadata>,
    pub rule_set: Option<RuleSet>,
    pub rules_to_merge: Option<RuleSet>,
    pub rules_to_remove: Option<Vec<String>>,
}

impl TagRequest {
    pub fn from_json(json: &Json) -> Result<TagRequest, FieldError> {
        let fields = Fields::of(json)?;
        let names = fields.array("rulesToRemove")?;
        Ok(TagRequest {
            new_version: fields.integer("newVersion")?,
            tags: TagChanges {
                add: tagged_entities(&fields, "tagsToAdd")?,
                remove: tagged_entities(&fields, "tagsToRemove")?,
            },
            metadata: fields.get("metadata").map(Metadata::from_json).transpose()?,
            rule_set: fields.get("ruleSet").map(RuleSet::from_json).transpose()?,
            rules_to_merge: fields.get("rulesToMerge").map(RuleSet::from_json).transpose()?,
            rules_to_remove: names
                .map(|names| names.iter().map(|name| Fields::text("rulesToRemove", name)).collect())
                .transpose()?,
        })
    }

    /// Checks the rules in the request.
    fn check(&self) -> Result<(), RegistryError> {
        let changes_rules = self.rules_to_merge.is_some() || self.rules_to_remove.is_some();
        if changes_rules && self.rule_set.is_some() {
            return Err(RegistryError::invalid_rule_set(
                "ruleSet should be omitted if specifying rulesToMerge or rulesToRemove",
            ));
        }
        for rules in [&self.rules_to_merge, &self.rule_set].into_iter().flatten() {
            rules.check().map_err(RegistryError::invalid_rule_set)?;
        }
        Ok(())
    }
}

impl Registry {
    /// Registers a version like `entity` with other tags, metadata or rules.
    pub fn modify_tags(
        &mut self,
        subject: &Subject,
        entity: SchemaEntity,
        request: &TagRequest,
    ) -> Outcome<SchemaEntity> {
        request.check()?;
        let mut entity = entity;
        let parsed = self.parse(&mut entity, Validation::Registered)?;
        let new_version = request.new_version.unwrap_or(0);
        let metadata = request.metadata.clone().or_else(|| entity.content.metadata.clone());
        entity.content.rule_set = self.changed_rules(subject, request);
        entity.content.metadata = Some(metadata.unwrap_or_default().with_version(new_version));
        let text = parsed.text_with_tags(&request.tags);
        entity.content.schema = text.map_err(|error| RegistryError::invalid_schema(error.to_string()))?;
        let entity = SchemaEntity {
            subject: subject.qualified(),
            version: new_version,
            id: -1,
            guid: None,
            timestamp: None,
            deleted: None,
            ..entity
        };
        self.register_entity(subject, entity, false, false, false)
    }

    fn changed_rules(&self, subject: &Subject, request: &TagRequest) -> Option<RuleSet> {
        if request.rules_to_merge.is_none() && request.rules_to_remove.is_none() {
            return request.rule_set.clone();
        }
        let old = match request.new_version {
            Some(version) => self.state.version(subject, version - 1).filter(|old| !old.deleted),
            None => self.state.latest(subject),
        };
        let rules = old.and_then(|old| old.content.rule_set.clone());
        let rules = RuleSet::merge(rules, request.rules_to_merge.clone());
        rules.map(|rules| rules.without(request.rules_to_remove.as_deref().unwrap_or_default()))
    }
}
