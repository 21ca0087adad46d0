//! Tags of messages and fields, in Confluent's options `confluent.message_meta` and `confluent.field_meta`.

use indexmap::IndexMap;
use ottla_wire::java;

use super::element::{Entries, Field, File, Message, OptionElement, Type, Value};
use super::normal::{MAX_MERGE_STEPS, as_map};
use super::print::TOO_LARGE;
use super::{ProtobufError, print};
use crate::schema::{EntityType, TagChanges, TaggedEntity};

const MESSAGE_META: &str = "confluent.message_meta";
const FIELD_META: &str = "confluent.field_meta";
const TAGS: &str = "tags";

/// Lists the tagged messages and fields. Paths have no package.
pub(super) fn entities(file: &File) -> Vec<(TaggedEntity, Vec<String>)> {
    let mut found = Vec::new();
    collect(&file.types, "", &mut found);
    found
}

fn collect(types: &[Type], scope: &str, found: &mut Vec<(TaggedEntity, Vec<String>)>) {
    for element in types {
        let Type::Message(message) = element else { continue };
        let path = format!("{scope}{}", message.name);
        add(found, EntityType::Record, path.clone(), MESSAGE_META, &message.options);
        let in_one_ofs = message.one_ofs.iter().flat_map(|one_of| &one_of.fields);
        for field in in_one_ofs.chain(&message.fields) {
            add(found, EntityType::Field, format!("{path}.{}", field.name), FIELD_META, &field.options);
        }
        collect(&message.types, &format!("{path}."), found);
    }
}

fn add(
    found: &mut Vec<(TaggedEntity, Vec<String>)>,
    entity_type: EntityType,
    path: String,
    meta: &str,
    options: &[OptionElement],
) {
    let tags = tags_of(meta, options);
    if !tags.is_empty() {
        found.push((TaggedEntity { path, entity_type }, tags));
    }
}

fn tags_of(meta: &str, options: &[OptionElement]) -> Vec<String> {
    if !options.iter().any(|option| name_of(option) == meta) {
        return Vec::new();
    }
    let option = merged(options).and_then(|mut options| options.swap_remove(meta));
    let Some(Value::Map(entries)) = option.map(|option| option.value) else {
        return Vec::new();
    };
    let mut tags: Vec<String> = Vec::new();
    for tag in entries.get(TAGS).into_iter().flat_map(items).filter_map(Value::word) {
        if !tags.iter().any(|other| other == tag) {
            tags.push(tag.to_owned());
        }
    }
    tags
}

fn items(value: &Value) -> &[Value] {
    match value {
        Value::List(items) => items,
        value => std::slice::from_ref(value),
    }
}

/// Adds and removes tags. Returns the canonical text.
pub(super) fn modify(file: &File, changes: &TagChanges) -> Result<String, ProtobufError> {
    let mut file = file.clone();
    for entity in changes.entities() {
        let tags = |changes: &[(TaggedEntity, Vec<String>)]| -> Vec<String> {
            changes.iter().filter(|(other, _)| other == entity).flat_map(|(_, tags)| tags.clone()).collect()
        };
        let path = entity.path.strip_prefix('.').unwrap_or(&entity.path);
        let (meta, options) = find(&mut file, path, entity.entity_type)?;
        let changed = with_tags(meta, std::mem::take(options), tags(&changes.add), &tags(&changes.remove));
        *options = changed.ok_or_else(|| ProtobufError::new(TOO_LARGE))?;
    }
    print::canonical(&file)
}

/// Returns the options with other tags, in the order of Java's hash maps; `None` if they are too large to be merged.
fn with_tags(
    meta: &str,
    mut options: Vec<OptionElement>,
    add: Vec<String>,
    remove: &[String],
) -> Option<Vec<OptionElement>> {
    if !add.is_empty() {
        let tags = OptionElement::new(TAGS, Value::List(add.into_iter().map(Value::String).collect()));
        options.push(OptionElement { name: meta.to_owned(), value: Value::Option(Box::new(tags)), is_extension: true });
    }
    let mut merged = merged(&options)?;
    if let Some(Value::Map(entries)) = merged.get_mut(meta).map(|option| &mut option.value)
        && let Some(tags) = entries.get_mut(TAGS).filter(|_| !remove.is_empty())
    {
        let is_kept = |tag: &&Value| !matches!(tag, Value::String(tag) if remove.contains(tag));
        let kept: Vec<Value> = items(tags).iter().filter(is_kept).cloned().collect();
        if kept.is_empty() {
            entries.shift_remove(TAGS);
        } else {
            *tags = Value::List(kept);
        }
        if entries.is_empty() {
            merged.shift_remove(meta);
        }
    }
    let mut options: Vec<OptionElement> = merged.into_values().collect();
    java::sort_as_hash_map(&mut options, 16, |option| java::string_hash(&option.name));
    Some(options)
}

fn name_of(option: &OptionElement) -> &str {
    option.name.strip_prefix('.').unwrap_or(&option.name)
}

/// Merges options of the same name: the parts of a map that both have become one list. Returns `None` if that takes too long.
fn merged(options: &[OptionElement]) -> Option<IndexMap<String, OptionElement>> {
    let mut merged: IndexMap<String, OptionElement> = IndexMap::new();
    let mut steps = MAX_MERGE_STEPS;
    for option in options {
        let option = OptionElement { value: as_map(option.value.clone()), ..option.clone() };
        match merged.get_mut(name_of(&option)) {
            None => {
                merged.insert(name_of(&option).to_owned(), option);
            }
            Some(existing) => match (&mut existing.value, option.value) {
                (Value::Map(existing), Value::Map(further)) => merge_entries(existing, further, &mut steps)?,
                (existing, further) => *existing = further,
            },
        }
    }
    Some(merged)
}

fn merge_entries(existing: &mut Entries, further: Entries, steps: &mut usize) -> Option<()> {
    for (name, value) in further {
        let Some(before) = existing.get_mut(&name) else {
            existing.insert(name, value);
            continue;
        };
        let mut list = match std::mem::replace(before, Value::List(Vec::new())) {
            Value::List(list) => list,
            value => vec![value],
        };
        for item in items(&value) {
            *steps = steps.checked_sub(list.len())?;
            if !list.contains(item) {
                list.push(item.clone());
            }
        }
        *before = Value::List(list);
    }
    Some(())
}

/// Finds the options of a message or of a field.
fn find<'f>(
    file: &'f mut File,
    path: &str,
    entity_type: EntityType,
) -> Result<(&'static str, &'f mut Vec<OptionElement>), ProtobufError> {
    let no_message =
        |name: &str| ProtobufError::new(format!("No matching Message with name '{name}' found in the schema"));
    let no_field = |name: &str| ProtobufError::new(format!("No matching Field with name '{name}' found in the schema"));
    let names: Vec<&str> = path.split('.').collect();
    let (messages, field) = match (entity_type, names.as_slice()) {
        (EntityType::Field, [messages @ .., field]) => (messages, Some(*field)),
        (_, messages) => (messages, None),
    };
    let [first, inner @ ..] = messages else { return Err(no_field(field.unwrap_or_default())) };
    let mut message = message_named(&mut file.types, first).ok_or_else(|| no_message(first))?;
    let mut one_of = None;
    for (at, name) in inner.iter().enumerate() {
        // The last name before a field may be that of a oneof.
        let is_message = message.types.iter().any(|found| matches!(found, Type::Message(found) if found.name == *name));
        if !is_message && field.is_some() && at + 1 == inner.len() {
            one_of = Some(*name);
            break;
        }
        message = message_named(&mut message.types, name).ok_or_else(|| no_message(name))?;
    }
    let Some(field) = field else { return Ok((MESSAGE_META, &mut message.options)) };
    let found = field_named(message, one_of, field).ok_or_else(|| no_field(field))?;
    Ok((FIELD_META, &mut found.options))
}

fn message_named<'t>(types: &'t mut [Type], name: &str) -> Option<&'t mut Message> {
    types.iter_mut().find_map(|found| match found {
        Type::Message(message) if message.name == name => Some(message),
        _ => None,
    })
}

fn field_named<'m>(message: &'m mut Message, one_of: Option<&str>, name: &str) -> Option<&'m mut Field> {
    let one_ofs = message.one_ofs.iter_mut().filter(|found| one_of.is_none_or(|name| found.name == name));
    let in_one_ofs = one_ofs.flat_map(|one_of| &mut one_of.fields);
    let own = message.fields.iter_mut().filter(|_| one_of.is_none());
    own.chain(in_one_ofs).find(|field| field.name == name)
}
