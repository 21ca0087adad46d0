//! Tags (`confluent:tags`) of objects and properties.
//!
//! An entity is named by the way to it in the model of Everit's library: `object.a.array.object.b`, and `anyof.0` for the
//! first of several schemas in the order in which Confluent sorts them.

use std::cmp::Ordering;
use std::collections::VecDeque;

use super::JsonSchemaError;
use super::draft::Draft;
use crate::json::{Json, Object};
use crate::schema::tags::tags_of;
use crate::schema::{EntityType, TagChanges, TaggedEntity};
use crate::utf16;

/// Maximum length of the path of an entity. Tags of those below are not listed.
const MAX_PATH_BYTES: usize = 4 << 10;

/// Lists the tagged objects and properties.
pub(super) fn entities(root: &Json) -> Vec<(TaggedEntity, Vec<String>)> {
    let mut lister = Lister { draft: Draft::of(root), found: Vec::new() };
    lister.schema(root, &mut String::new(), false);
    lister.found
}

struct Lister {
    draft: Draft,
    found: Vec<(TaggedEntity, Vec<String>)>,
}

impl Lister {
    /// Lists a schema. `scope` is the way to it, with a dot at its end.
    fn schema(&mut self, schema: &Json, scope: &mut String, is_property: bool) {
        let Some(object) = schema.as_object() else { return };
        if scope.len() > MAX_PATH_BYTES {
            return;
        }
        let mut kinds = kinds(object, self.draft);
        match kinds.as_slice() {
            [] => {}
            [kind] => self.kind(*kind, object, scope, is_property, true),
            _ => {
                kinds.sort_by(|a, b| compare_kinds((*a, object), (*b, object), self.draft));
                for (at, kind) in kinds.into_iter().enumerate() {
                    self.below(scope, &format!("allof.{at}."), |lister, scope| {
                        lister.kind(kind, object, scope, false, false);
                    });
                }
            }
        }
    }

    /// Lists one kind of a schema. Its tags count only if it has no other kind.
    fn kind(&mut self, kind: Kind, schema: &Object, scope: &mut String, is_property: bool, is_alone: bool) {
        match kind {
            Kind::Combined(keyword) => {
                let mut parts: Vec<&Json> = parts(schema, keyword).collect();
                parts.sort_by(|a, b| compare(a, b, self.draft));
                for (at, part) in parts.into_iter().enumerate() {
                    let step = format!("{}.{at}.", keyword.to_ascii_lowercase());
                    self.below(scope, &step, |lister, scope| lister.schema(part, scope, false));
                }
            }
            Kind::Types => {
                let mut kinds = kinds_of_types(schema);
                kinds.sort();
                for (at, kind) in kinds.into_iter().enumerate() {
                    self.below(scope, &format!("anyof.{at}."), |lister, scope| {
                        lister.kind(kind, schema, scope, false, false);
                    });
                }
            }
            Kind::Array => {
                if let Some(items) = schema.get("items") {
                    self.below(scope, "array.", |lister, scope| lister.schema(items, scope, false));
                }
            }
            Kind::Object => self.object(schema, scope, is_property, is_alone),
            Kind::Conditional => {
                for keyword in ["if", "then", "else"] {
                    if let Some(part) = schema.get(keyword) {
                        let step = format!("conditional.{keyword}.");
                        self.below(scope, &step, |lister, scope| lister.schema(part, scope, false));
                    }
                }
            }
            Kind::Not => {
                if let Some(part) = schema.get("not") {
                    self.below(scope, "not.", |lister, scope| lister.schema(part, scope, false));
                }
            }
            _ => {}
        }
    }

    fn object(&mut self, schema: &Object, scope: &mut String, is_property: bool, is_alone: bool) {
        if !is_property && is_alone {
            self.add(EntityType::Record, format!("{scope}object"), schema);
        }
        for (name, property) in schema.get("properties").and_then(Json::as_object).into_iter().flatten() {
            if let Some(property) = property.as_object() {
                self.add(EntityType::Field, format!("{scope}object.{name}"), property);
            }
            self.below(scope, &format!("object.{name}."), |lister, scope| lister.schema(property, scope, true));
        }
        for keyword in ["definitions", "$defs"] {
            if !is_alone || (keyword == "$defs" && !self.draft.is_modern()) {
                continue;
            }
            for (name, definition) in schema.get(keyword).and_then(Json::as_object).into_iter().flatten() {
                let step = format!("object.{keyword}.{name}.");
                self.below(scope, &step, |lister, scope| lister.schema(definition, scope, false));
            }
        }
    }

    fn below(&mut self, scope: &mut String, step: &str, list: impl FnOnce(&mut Lister, &mut String)) {
        let length = scope.len();
        scope.push_str(step);
        list(self, scope);
        scope.truncate(length);
    }

    fn add(&mut self, entity_type: EntityType, path: String, schema: &Object) {
        let tags = tags_of(schema);
        if !tags.is_empty() && path.len() <= MAX_PATH_BYTES {
            self.found.push((TaggedEntity { path, entity_type }, tags));
        }
    }
}

/// Adds and removes tags.
pub(super) fn modify(root: &Json, changes: &TagChanges) -> Result<String, JsonSchemaError> {
    let draft = Draft::of(root);
    let mut json = root.clone();
    for entity in changes.entities() {
        let mut path: VecDeque<&str> = entity.path.split('.').collect();
        let Some(Json::Object(object)) = find(&mut json, entity.entity_type, &mut path, draft) else {
            let problem = format!("No matching path '{}' found in the schema", entity.path);
            return Err(JsonSchemaError::new(problem));
        };
        changes.apply(entity, object);
    }
    Ok(json.to_string())
}

/// Finds an entity by its path.
fn find<'j>(
    node: &'j mut Json,
    entity_type: EntityType,
    path: &mut VecDeque<&str>,
    draft: Draft,
) -> Option<&'j mut Json> {
    let step = path.pop_front()?;
    match step {
        "object" => {
            if entity_type == EntityType::Record && path.is_empty() {
                return Some(node);
            }
            let keyword = match *path.front()? {
                keyword @ ("definitions" | "$defs") => {
                    path.pop_front();
                    keyword
                }
                _ => "properties",
            };
            let found = named(member(node, keyword)?, path)?;
            if path.is_empty() { Some(found) } else { find(found, entity_type, path, draft) }
        }
        "array" => find(member(node, "items")?, entity_type, path, draft),
        "not" => find(member(node, "not")?, entity_type, path, draft),
        "anyof" | "allof" | "oneof" => {
            let keyword = match step {
                "anyof" => "anyOf",
                "allof" => "allOf",
                _ => "oneOf",
            };
            let index = path.pop_front()?;
            if node.get(keyword).is_some() {
                return find(sorted_part(node, keyword, index, draft)?, entity_type, path, draft);
            }
            // Several types of one schema, or several kinds of keywords.
            if step == "allof" && path.front() == Some(&"conditional") {
                path.pop_front();
                let keyword = path.pop_front()?;
                return find(member(node, keyword)?, entity_type, path, draft);
            }
            if step == "oneof" { None } else { find(node, entity_type, path, draft) }
        }
        _ => None,
    }
}

fn member<'j>(node: &'j mut Json, name: &str) -> Option<&'j mut Json> {
    match node {
        Json::Object(object) => object.get_mut(name),
        _ => None,
    }
}

/// Finds a member whose name may have dots: the shortest one that exists.
fn named<'j>(node: &'j mut Json, path: &mut VecDeque<&str>) -> Option<&'j mut Json> {
    let Json::Object(object) = node else { return None };
    let mut name = path.pop_front()?.to_owned();
    while !object.contains_key(&name) {
        name = format!("{name}.{}", path.pop_front()?);
    }
    object.get_mut(&name)
}

fn sorted_part<'j>(node: &'j mut Json, keyword: &str, index: &str, draft: Draft) -> Option<&'j mut Json> {
    let Json::Array(parts) = member(node, keyword)? else { return None };
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by(|a, b| compare(&parts[*a], &parts[*b], draft));
    let at = *order.get(index.parse::<usize>().ok()?)?;
    parts.get_mut(at)
}

/// Kinds of schemas of Everit's library, in the order in which Confluent sorts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Array,
    Boolean,
    Combined(&'static str),
    /// A list of types, which is a combination too.
    Types,
    Conditional,
    Const,
    Empty,
    Enum,
    False,
    Not,
    Null,
    Number,
    Object,
    Reference,
    String,
    True,
}

/// The kinds of keywords of a schema.
fn kinds(object: &Object, draft: Draft) -> Vec<Kind> {
    let mut found = Vec::new();
    if object.contains_key("$ref") {
        found.push(Kind::Reference);
        if !draft.is_modern() {
            return found;
        }
    }
    if object.contains_key("enum") {
        found.push(Kind::Enum);
    }
    let combined = ["allOf", "anyOf", "oneOf"].into_iter().filter(|keyword| object.contains_key(*keyword));
    found.extend(combined.map(Kind::Combined));
    if object.contains_key("not") {
        found.push(Kind::Not);
    }
    if object.contains_key("const") && draft > Draft::Four {
        found.push(Kind::Const);
    }
    match object.get("type") {
        Some(Json::String(name)) => found.extend(kind_of_type(name)),
        Some(Json::Array(_)) => found.push(Kind::Types),
        _ => {}
    }
    let typed = if found.contains(&Kind::Types) { kinds_of_types(object) } else { found.clone() };
    let untyped = [
        (Kind::Array, draft.has_array_keyword(object)),
        (Kind::Object, draft.has_object_keyword(object)),
        (Kind::Number, draft.has_number_keyword(object)),
        (Kind::String, draft.has_string_keyword(object)),
    ];
    found.extend(untyped.into_iter().filter(|(kind, has)| *has && !typed.contains(kind)).map(|(kind, _)| kind));
    if draft.conditional_keywords().iter().any(|keyword| object.contains_key(*keyword)) {
        found.push(Kind::Conditional);
    }
    found
}

fn kinds_of_types(object: &Object) -> Vec<Kind> {
    let names = object.get("type").and_then(Json::as_array).unwrap_or_default();
    names.iter().filter_map(Json::as_str).filter_map(kind_of_type).collect()
}

fn kind_of_type(name: &str) -> Option<Kind> {
    Some(match name {
        "array" => Kind::Array,
        "boolean" => Kind::Boolean,
        "null" => Kind::Null,
        "integer" | "number" => Kind::Number,
        "object" => Kind::Object,
        "string" => Kind::String,
        _ => return None,
    })
}

fn parts<'o>(object: &'o Object, keyword: &str) -> impl Iterator<Item = &'o Json> {
    object.get(keyword).and_then(Json::as_array).unwrap_or_default().iter()
}

/// The kind of a whole schema.
fn kind_of(schema: &Json, draft: Draft) -> Kind {
    match schema {
        Json::Bool(true) => Kind::True,
        Json::Bool(false) => Kind::False,
        Json::Object(object) => match kinds(object, draft).as_slice() {
            [] => Kind::Empty,
            [kind] => *kind,
            _ => Kind::Combined("allOf"),
        },
        _ => Kind::Empty,
    }
}

/// The order of schemas in a combination.
fn compare(a: &Json, b: &Json, draft: Draft) -> Ordering {
    let (kind_a, kind_b) = (kind_of(a, draft), kind_of(b, draft));
    let rank = |kind: Kind| if kind == Kind::Types { Kind::Combined("anyOf") } else { kind };
    let texts = ["title", "description", "default"].into_iter().map(|name| compare_texts(a.get(name), b.get(name)));
    let order = rank(kind_a).cmp(&rank(kind_b)).then_with(|| texts.fold(Ordering::Equal, Ordering::then));
    let (Some(a), Some(b)) = (a.as_object(), b.as_object()) else { return order };
    order.then_with(|| compare_kinds((kind_a, a), (kind_b, b), draft))
}

/// The order of two kinds of schemas, without their titles.
fn compare_kinds((kind_a, a): (Kind, &Object), (kind_b, b): (Kind, &Object), draft: Draft) -> Ordering {
    let names = |object: &Object, keyword: &str| -> Vec<String> {
        let mut names: Vec<String> = match object.get(keyword) {
            Some(Json::Object(members)) => members.keys().cloned().collect(),
            Some(Json::Array(items)) => {
                items.iter().map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned)).collect()
            }
            _ => Vec::new(),
        };
        names.sort_by(|a, b| utf16::compare(a, b));
        names
    };
    let lists = |keyword: &str| {
        let (a, b) = (names(a, keyword), names(b, keyword));
        let in_order = a.iter().zip(&b).map(|(a, b)| utf16::compare(a, b)).fold(Ordering::Equal, Ordering::then);
        a.len().cmp(&b.len()).then(in_order)
    };
    kind_a.cmp(&kind_b).then_with(|| match kind_a {
        Kind::Object => lists("properties").then_with(|| lists("required")),
        Kind::Enum => lists("enum"),
        Kind::Const => compare_texts(a.get("const"), b.get("const")),
        Kind::Array => match (a.get("items"), b.get("items")) {
            (Some(a), Some(b)) => compare(a, b, draft),
            (a, b) => a.is_some().cmp(&b.is_some()),
        },
        Kind::Combined(keyword) => parts(a, keyword).count().cmp(&parts(b, keyword).count()),
        _ => Ordering::Equal,
    })
}

fn compare_texts(a: Option<&Json>, b: Option<&Json>) -> Ordering {
    let text = |json: &Json| json.as_str().map_or_else(|| json.to_string(), str::to_owned);
    match (a, b) {
        (Some(a), Some(b)) => utf16::compare(&text(a), &text(b)),
        (a, b) => a.is_some().cmp(&b.is_some()),
    }
}
