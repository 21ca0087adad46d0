//! The comparison of objects.

use indexmap::IndexMap;
use ottla_wire::java;

use super::diff::{Compared, Comparison};
use super::difference::DifferenceKind as Kind;
use super::model::{Model, NodeId, ObjectRules};

pub(super) fn compare(to: &mut Comparison<'_>, old: &ObjectRules, new: &ObjectRules) -> Compared<()> {
    to.within("required", |to| required(to, old, new))?;
    to.within("properties", |to| properties(to, old, new))?;
    to.within("dependencies", |to| dependencies(to, old, new))?;
    to.within("additionalProperties", |to| additional(to, old, new))?;
    if old.unevaluated.is_some() || new.unevaluated.is_some() {
        to.within("unevaluatedProperties", |to| unevaluated(to, old, new))?;
    }
    let kinds = [
        Kind::MaxPropertiesAdded,
        Kind::MaxPropertiesRemoved,
        Kind::MaxPropertiesIncreased,
        Kind::MaxPropertiesDecreased,
    ];
    to.compare_counts("maxProperties", old.max_properties, new.max_properties, kinds)?;
    let kinds = [
        Kind::MinPropertiesAdded,
        Kind::MinPropertiesRemoved,
        Kind::MinPropertiesIncreased,
        Kind::MinPropertiesDecreased,
    ];
    to.compare_counts("minProperties", old.min_properties, new.min_properties, kinds)
}

/// The names of two objects, in the order of Java's hash sets.
fn names<A, B>(old: &IndexMap<String, A>, new: &IndexMap<String, B>) -> Vec<String> {
    let mut names: Vec<String> =
        old.keys().chain(new.keys().filter(|name| !old.contains_key(*name))).cloned().collect();
    java::sort_as_hash_map(&mut names, (old.len() * 4 / 3 + 1).max(16), |name| java::string_hash(name));
    names
}

fn has_default(model: &Model, id: NodeId) -> bool {
    model.get(id).default.is_some()
}

fn required(to: &mut Comparison<'_>, old: &ObjectRules, new: &ObjectRules) -> Compared<()> {
    for name in names(&old.properties, &IndexMap::<String, ()>::new()) {
        let Some(property) = new.properties.get(&name) else { continue };
        match (old.required.contains(&name), new.required.contains(&name)) {
            (true, false) => to.add_at(&name, Kind::RequiredAttributeRemoved)?,
            (false, true) if has_default(to.update, *property) => {
                to.add_at(&name, Kind::RequiredAttributeWithDefaultAdded)?;
            }
            (false, true) => to.add_at(&name, Kind::RequiredAttributeAdded)?,
            _ => {}
        }
    }
    Ok(())
}

fn properties(to: &mut Comparison<'_>, old: &ObjectRules, new: &ObjectRules) -> Compared<()> {
    for name in names(&old.properties, &new.properties) {
        to.within(&name, |to| match (old.properties.get(&name), new.properties.get(&name)) {
            (Some(property), None) => removed(to, new, &name, *property),
            (None, Some(property)) => added(to, old, new, &name, *property),
            (property, other) => to.compare(property.copied(), other.copied()),
        })?;
    }
    Ok(())
}

fn removed(to: &mut Comparison<'_>, new: &ObjectRules, name: &str, property: NodeId) -> Compared<()> {
    if is_open(to.update, new) {
        return to.add(Kind::PropertyRemovedFromOpenContentModel);
    }
    if let Some(covering) = covering(to, to.update, new, name)? {
        let found = to.apart(|to| to.compare(Some(property), Some(covering)))?;
        let is_covered = to.are_compatible(&found);
        to.extend(found);
        return to.add(match is_covered {
            true => Kind::PropertyRemovedIsCoveredByPartiallyOpenContentModel,
            false => Kind::PropertyRemovedNotCoveredByPartiallyOpenContentModel,
        });
    }
    to.add(match to.original.get(property).kind.is_false() {
        true => Kind::PropertyWithFalseRemovedFromClosedContentModel,
        false => Kind::PropertyRemovedFromClosedContentModel,
    })
}

fn added(to: &mut Comparison<'_>, old: &ObjectRules, new: &ObjectRules, name: &str, property: NodeId) -> Compared<()> {
    let is_required = new.required.contains(name);
    let with_default = has_default(to.update, property);
    if is_open(to.original, old) {
        return to.add(if to.update.get(property).kind.is_empty() {
            Kind::PropertyWithEmptySchemaAddedToOpenContentModel
        } else if !is_required {
            Kind::OptionalPropertyAddedToOpenContentModel
        } else if with_default {
            Kind::RequiredPropertyWithDefaultAddedToOpenContentModel
        } else {
            Kind::RequiredPropertyAddedToOpenContentModel
        });
    }
    if let Some(covering) = covering(to, to.original, old, name)? {
        let found = to.apart(|to| to.compare(Some(covering), Some(property)))?;
        let is_covered = to.are_compatible(&found);
        to.extend(found);
        to.add(match is_covered {
            true => Kind::PropertyAddedIsCoveredByPartiallyOpenContentModel,
            false => Kind::PropertyAddedNotCoveredByPartiallyOpenContentModel,
        })?;
    }
    to.add(if !is_required {
        Kind::OptionalPropertyAddedToUnopenContentModel
    } else if with_default {
        Kind::RequiredPropertyWithDefaultAddedToUnopenContentModel
    } else {
        Kind::RequiredPropertyAddedToUnopenContentModel
    })
}

/// Whether properties without a schema can have any value.
fn is_open(model: &Model, rules: &ObjectRules) -> bool {
    rules.permits_additional
        && rules.additional.is_none()
        && rules.patterns.is_empty()
        && rules.unevaluated.is_none_or(|schema| model.get(schema).kind.is_empty())
}

/// Returns the schema that holds for a property without a schema of its own.
fn covering(to: &mut Comparison<'_>, model: &Model, rules: &ObjectRules, name: &str) -> Compared<Option<NodeId>> {
    for (pattern, schema) in &rules.patterns {
        if to.is_match(pattern, name)? {
            return Ok(Some(*schema));
        }
    }
    if rules.additional.is_some() {
        return Ok(rules.additional);
    }
    let unevaluated = rules.unevaluated.filter(|_| rules.permits_additional);
    Ok(unevaluated.filter(|schema| {
        let kind = &model.get(*schema).kind;
        !kind.is_false() && !kind.is_empty()
    }))
}

fn dependencies(to: &mut Comparison<'_>, old: &ObjectRules, new: &ObjectRules) -> Compared<()> {
    for name in names(&old.property_dependencies, &new.property_dependencies) {
        let kind = match (old.property_dependencies.get(&name), new.property_dependencies.get(&name)) {
            (_, None) => Some(Kind::DependencyArrayRemoved),
            (None, Some(_)) => Some(Kind::DependencyArrayAdded),
            (Some(old), Some(new)) if old == new => None,
            (Some(old), Some(new)) if old.is_subset(new) => Some(Kind::DependencyArrayExtended),
            (Some(old), Some(new)) if new.is_subset(old) => Some(Kind::DependencyArrayNarrowed),
            (Some(_), Some(_)) => Some(Kind::DependencyArrayChanged),
        };
        if let Some(kind) = kind {
            to.add_at(&name, kind)?;
        }
    }
    for name in names(&old.schema_dependencies, &new.schema_dependencies) {
        to.within(&name, |to| match (old.schema_dependencies.get(&name), new.schema_dependencies.get(&name)) {
            (_, None) => to.add(Kind::DependencySchemaRemoved),
            (None, Some(_)) => to.add(Kind::DependencySchemaAdded),
            (old, new) => to.compare(old.copied(), new.copied()),
        })?;
    }
    Ok(())
}

fn additional(to: &mut Comparison<'_>, old: &ObjectRules, new: &ObjectRules) -> Compared<()> {
    match (old.permits_additional, new.permits_additional) {
        (false, true) => return to.add(Kind::AdditionalPropertiesAdded),
        (true, false) => return to.add(Kind::AdditionalPropertiesRemoved),
        _ => {}
    }
    match (old.additional, new.additional) {
        (None, Some(_)) => to.add(Kind::AdditionalPropertiesNarrowed),
        (Some(_), None) => to.add(Kind::AdditionalPropertiesExtended),
        (old, new) => to.compare(old, new),
    }
}

fn unevaluated(to: &mut Comparison<'_>, old: &ObjectRules, new: &ObjectRules) -> Compared<()> {
    let kinds = [
        Kind::UnevaluatedPropertiesAdded,
        Kind::UnevaluatedPropertiesRemoved,
        Kind::UnevaluatedPropertiesExtended,
        Kind::UnevaluatedPropertiesNarrowed,
    ];
    compare_unevaluated(to, old.unevaluated, new.unevaluated, kinds)
}

/// Compares what holds for the rest of an object or an array. The kinds are those for a rest that was forbidden and is allowed,
/// the reverse, and for a schema that allows more, and less.
pub(super) fn compare_unevaluated(
    to: &mut Comparison<'_>,
    old: Option<NodeId>,
    new: Option<NodeId>,
    [added, removed, extended, narrowed]: [Kind; 4],
) -> Compared<()> {
    let is_false = |model: &Model, id: Option<NodeId>| id.is_some_and(|id| model.get(id).kind.is_false());
    let is_empty = |model: &Model, id: Option<NodeId>| id.is_none_or(|id| model.get(id).kind.is_empty());
    let (old_false, new_false) = (is_false(to.original, old), is_false(to.update, new));
    let (old_empty, new_empty) = (is_empty(to.original, old), is_empty(to.update, new));
    match (old_false, new_false) {
        (true, false) => to.add(added),
        (false, true) => to.add(removed),
        // A schema that was added or removed counts, also if it allows everything.
        _ if old.is_none() || (old_empty && !new_empty) => to.add(narrowed),
        _ if new.is_none() || (!old_empty && new_empty) => to.add(extended),
        _ => to.compare(old, new),
    }
}
