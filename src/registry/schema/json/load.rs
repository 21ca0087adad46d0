//! From JSON to the model.

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use indexmap::IndexMap;
use md5::{Digest, Md5};

use super::JsonSchemaError;
use super::draft::Draft;
use super::hash::Hashes;
use super::model::{ArrayRules, Criterion, Kind, Model, Node, NodeId, NumberRules, ObjectRules, Part, StringRules};
use super::refs::{self, Document, Place, Target};
use crate::json::{Json, Number, Object};
use crate::schema::ResolvedReference;
use crate::schema::nesting::MAX_NODES;

/// Loads a schema with all schemas that it refers to.
pub(super) fn load(root: &Json, references: &[ResolvedReference]) -> Result<Model, JsonSchemaError> {
    if !matches!(root, Json::Object(_) | Json::Bool(_)) {
        return Err(JsonSchemaError::new("Invalid JSON schema: expected an object or boolean at the root"));
    }
    let draft = Draft::of(root);
    let documents = refs::documents(root, references, draft.id_keyword())?;
    let mut loader = Loader {
        documents: &documents,
        draft,
        nodes: Vec::new(),
        targets: HashMap::new(),
        pending: Vec::new(),
        hashes: Hashes::default(),
    };
    let root = loader.node_of(&Place { document: 0, pointer: String::new() })?;
    while let Some(Pending { id, json, at }) = loader.pending.pop() {
        let node = loader.node(json, &at)?;
        loader.nodes[id.0] = node;
    }
    Ok(Model { nodes: loader.nodes, root })
}

/// The base URI at a place: that of the nearest identifier around it.
pub(super) fn base_of(document: &Document, pointer: &str, id_keyword: &str) -> Loaded<String> {
    let mut base = document.base.clone();
    let ends = pointer.match_indices('/').map(|(at, _)| at).filter(|at| *at > 0).chain([pointer.len()]);
    for end in ends {
        let id = document.get(&pointer[..end]).and_then(|json| json.get(id_keyword)).and_then(Json::as_str);
        if let Some(id) = id.filter(|id| !id.starts_with('#')) {
            base = refs::resolve(&base, id)?;
        }
    }
    Ok(base)
}

/// Where a schema is.
struct At {
    document: usize,
    base: Rc<str>,
    parent: Option<Rc<At>>,
    /// The keyword of the parent, with a name or number where it has several schemas. Without a parent, a pointer.
    part: String,
}

impl At {
    fn path(&self) -> String {
        let mut parts = vec![self.part.as_str()];
        let mut at = self;
        while let Some(parent) = &at.parent {
            parts.push(&parent.part);
            at = parent;
        }
        parts.reverse();
        parts.join("/")
    }
}

/// A schema to be loaded. Schemas are loaded one after the other, so that loading does not nest.
struct Pending<'a> {
    id: NodeId,
    json: &'a Json,
    at: Rc<At>,
}

struct Loader<'a> {
    documents: &'a [Document],
    draft: Draft,
    nodes: Vec<Node>,
    /// The nodes of places that are referred to.
    targets: HashMap<Place, NodeId>,
    pending: Vec<Pending<'a>>,
    hashes: Hashes,
}

type Loaded<T> = Result<T, JsonSchemaError>;

impl<'a> Loader<'a> {
    /// Returns the node of a place, to be loaded later if it is new.
    fn node_of(&mut self, place: &Place) -> Loaded<NodeId> {
        if let Some(id) = self.targets.get(place) {
            return Ok(*id);
        }
        let id = self.add(Node::default())?;
        self.targets.insert(place.clone(), id);
        let document = &self.documents[place.document];
        let json = document.get(&place.pointer).ok_or_else(|| JsonSchemaError::new("a reference means nothing"))?;
        let base = base_of(document, &place.pointer, self.draft.id_keyword())?.into();
        let at = At { document: place.document, base, parent: None, part: place.pointer.clone() };
        self.pending.push(Pending { id, json, at: Rc::new(at) });
        Ok(id)
    }

    fn add(&mut self, node: Node) -> Loaded<NodeId> {
        if self.nodes.len() >= MAX_NODES {
            return Err(JsonSchemaError::new(format!(
                "the schema and its references have more than {MAX_NODES} parts"
            )));
        }
        self.nodes.push(node);
        Ok(NodeId(self.nodes.len() - 1))
    }

    /// Returns the node of a part, to be loaded later.
    fn add_child(&mut self, json: &'a Json, at: &Rc<At>, part: &str) -> Loaded<NodeId> {
        let own_id = json.get(self.draft.id_keyword()).and_then(Json::as_str).filter(|id| !id.starts_with('#'));
        let base = match own_id {
            Some(own_id) => refs::resolve(&at.base, own_id)?.into(),
            None => Rc::clone(&at.base),
        };
        let id = self.add(Node::default())?;
        let at = At { document: at.document, base, parent: Some(Rc::clone(at)), part: part.to_owned() };
        self.pending.push(Pending { id, json, at: Rc::new(at) });
        Ok(id)
    }

    fn node(&mut self, json: &'a Json, at: &Rc<At>) -> Loaded<Node> {
        match json {
            Json::Bool(true) => Ok(Node { kind: Kind::True, ..Node::default() }),
            Json::Bool(false) => Ok(Node { kind: Kind::False, ..Node::default() }),
            Json::Object(object) => self.object_node(object, at),
            other => Err(expected(at, "", "JsonObject or Boolean", other)),
        }
    }

    fn object_node(&mut self, object: &'a Object, at: &Rc<At>) -> Loaded<Node> {
        let mut kinds = match object.get("$ref") {
            Some(reference) => vec![self.reference(reference, at)?],
            None => Vec::new(),
        };
        // In older drafts, nothing beside a reference counts.
        if kinds.is_empty() || self.draft.is_modern() {
            self.keyword_kinds(object, at, &mut kinds)?;
        }
        let kind = match kinds.len() {
            0 => Kind::Empty,
            1 => kinds.pop().unwrap_or_default(),
            _ => {
                let mut parts = Vec::with_capacity(kinds.len());
                for (number, kind) in kinds.into_iter().enumerate() {
                    let id = self.add(Node { kind, ..Node::default() })?;
                    parts.push(Part { id, hash: Md5::digest(number.to_string()).into() });
                }
                Kind::Combined { criterion: Criterion::All, parts }
            }
        };
        let text = |name: &str| match object.get(name) {
            None => Ok(None),
            Some(Json::String(text)) => Ok(Some(text.clone())),
            Some(other) => Err(expected(at, name, "String", other)),
        };
        Ok(Node {
            kind,
            id: text(self.draft.id_keyword())?,
            title: text("title")?,
            description: text("description")?,
            default: object.get("default").cloned(),
            connect_type: object.get("connect.type").and_then(Json::as_str).map(str::to_owned),
        })
    }

    fn reference(&mut self, reference: &Json, at: &Rc<At>) -> Loaded<Kind> {
        let text = reference.as_str().ok_or_else(|| expected(at, "$ref", "String", reference))?;
        match refs::find(self.documents, at.document, &at.base, text)? {
            Target::At(place) => Ok(Kind::Reference(self.node_of(&place)?)),
            Target::MetaSchema => Ok(Kind::Reference(self.add(Node::default())?)),
        }
    }

    /// Loads one kind for each group of keywords.
    fn keyword_kinds(&mut self, object: &'a Object, at: &Rc<At>, kinds: &mut Vec<Kind>) -> Loaded<()> {
        if let Some(values) = object.get("enum") {
            let values = values.as_array().ok_or_else(|| expected(at, "enum", "JsonArray", values))?;
            kinds.push(Kind::Enum(values.to_vec()));
        }
        let combinations = [("allOf", Criterion::All), ("anyOf", Criterion::Any), ("oneOf", Criterion::One)];
        for (keyword, criterion) in combinations {
            if let Some(parts) = object.get(keyword) {
                kinds.push(Kind::Combined { criterion, parts: self.parts(parts, at, keyword)? });
            }
        }
        if let Some(not) = object.get("not") {
            kinds.push(Kind::Not(self.add_child(not, at, "not")?));
        }
        if let Some(value) = object.get("const").filter(|_| self.draft > Draft::Four) {
            kinds.push(Kind::Const(value.clone()));
        }
        let mut typed: Vec<&str> = Vec::new();
        match object.get("type") {
            None => {}
            Some(Json::String(name)) => {
                kinds.push(self.typed(name, object, at)?);
                typed.push(name);
            }
            Some(Json::Array(names)) => {
                let mut parts = Vec::with_capacity(names.len());
                for name in names {
                    let name = name.as_str().ok_or_else(|| expected(at, "type", "String", name))?;
                    let kind = self.typed(name, object, at)?;
                    let id = self.add(Node { kind, ..Node::default() })?;
                    parts.push(Part { id, hash: Md5::digest(name).into() });
                    typed.push(name);
                }
                kinds.push(Kind::Combined { criterion: Criterion::Any, parts });
            }
            Some(other) => return Err(expected(at, "type", "JsonArray or String", other)),
        }
        self.untyped_kinds(object, at, &typed, kinds)
    }

    /// Loads the keywords of types that `type` does not name. They hold only for values of those types.
    fn untyped_kinds(&mut self, object: &'a Object, at: &Rc<At>, typed: &[&str], kinds: &mut Vec<Kind>) -> Loaded<()> {
        let draft = self.draft;
        if !typed.contains(&"array") && draft.has_array_keyword(object) {
            kinds.push(self.typed("array", object, at)?);
        }
        if !typed.contains(&"object") && draft.has_object_keyword(object) {
            kinds.push(self.typed("object", object, at)?);
        }
        if !typed.contains(&"number") && !typed.contains(&"integer") && draft.has_number_keyword(object) {
            kinds.push(self.typed("number", object, at)?);
        }
        if !typed.contains(&"string") && draft.has_string_keyword(object) {
            kinds.push(self.typed("string", object, at)?);
        }
        let mut is_conditional = false;
        for keyword in draft.conditional_keywords() {
            is_conditional |= self.optional_child(object, at, keyword)?.is_some();
        }
        if is_conditional {
            kinds.push(Kind::Conditional);
        }
        Ok(())
    }

    fn parts(&mut self, json: &'a Json, at: &Rc<At>, keyword: &str) -> Loaded<Vec<Part>> {
        let items = json.as_array().ok_or_else(|| expected(at, keyword, "JsonArray", json))?;
        let mut parts = Vec::with_capacity(items.len());
        for (number, item) in items.iter().enumerate() {
            let id = self.add_child(item, at, &format!("{keyword}/{number}"))?;
            parts.push(Part { id, hash: self.hashes.of(item) });
        }
        Ok(parts)
    }

    fn typed(&mut self, name: &str, object: &'a Object, at: &Rc<At>) -> Loaded<Kind> {
        Ok(match name {
            "string" => Kind::String(StringRules {
                min_length: integer(object, at, "minLength")?,
                max_length: integer(object, at, "maxLength")?,
                pattern: string(object, at, "pattern")?,
            }),
            "integer" => Kind::Number(NumberRules { is_integer: true, ..self.number_rules(object, at)? }),
            "number" => Kind::Number(self.number_rules(object, at)?),
            "boolean" => Kind::Boolean,
            "null" => Kind::Null,
            "array" => Kind::Array(Box::new(self.array_rules(object, at)?)),
            "object" => Kind::Object(Box::new(self.object_rules(object, at)?)),
            _ => return Err(JsonSchemaError::new(format!("#{}: unknown type: [{name}]", at.path()))),
        })
    }

    /// Reads a keyword that is a boolean or a schema. A boolean gives whether anything is allowed, and no schema.
    fn allowed(&mut self, object: &'a Object, at: &Rc<At>, keyword: &str) -> Loaded<(bool, Option<NodeId>)> {
        match object.get(keyword) {
            None => Ok((true, None)),
            Some(Json::Bool(allowed)) => Ok((*allowed, None)),
            Some(schema @ Json::Object(_)) => Ok((true, Some(self.add_child(schema, at, keyword)?))),
            Some(other) => Err(expected(at, keyword, "Boolean or JsonObject", other)),
        }
    }

    fn optional_child(&mut self, object: &'a Object, at: &Rc<At>, keyword: &str) -> Loaded<Option<NodeId>> {
        object.get(keyword).map(|json| self.add_child(json, at, keyword)).transpose()
    }

    fn object_rules(&mut self, object: &'a Object, at: &Rc<At>) -> Loaded<ObjectRules> {
        let mut properties = IndexMap::new();
        for (name, json) in objects(object, at, "properties")? {
            if name != self.draft.id_keyword() || json.as_object().is_some() {
                properties.insert(name.clone(), self.add_child(json, at, &format!("properties/{name}"))?);
            }
        }
        let mut patterns = Vec::new();
        for (pattern, json) in objects(object, at, "patternProperties")? {
            patterns.push((pattern.clone(), self.add_child(json, at, &format!("patternProperties/{pattern}"))?));
        }
        let mut property_dependencies = IndexMap::new();
        let mut schema_dependencies = IndexMap::new();
        let mut keywords = vec!["dependencies"];
        keywords.extend(["dependentRequired", "dependentSchemas"].iter().filter(|_| self.draft.is_modern()));
        for keyword in keywords {
            for (name, json) in objects(object, at, keyword)? {
                match json {
                    Json::Array(names) => {
                        property_dependencies.insert(name.clone(), strings(names, at, keyword)?);
                    }
                    json => {
                        let id = self.add_child(json, at, &format!("{keyword}/{name}"))?;
                        schema_dependencies.insert(name.clone(), id);
                    }
                }
            }
        }
        if self.draft > Draft::Four {
            self.optional_child(object, at, "propertyNames")?;
        }
        let (permits_additional, additional) = self.allowed(object, at, "additionalProperties")?;
        let required = match object.get("required") {
            None => BTreeSet::new(),
            Some(Json::Array(names)) => strings(names, at, "required")?,
            Some(other) => return Err(expected(at, "required", "JsonArray", other)),
        };
        let unevaluated = match self.draft.is_modern() {
            true => self.optional_child(object, at, "unevaluatedProperties")?,
            false => None,
        };
        Ok(ObjectRules {
            properties,
            required,
            min_properties: integer(object, at, "minProperties")?,
            max_properties: integer(object, at, "maxProperties")?,
            permits_additional,
            additional,
            patterns,
            property_dependencies,
            schema_dependencies,
            unevaluated,
        })
    }

    fn number_rules(&self, object: &'a Object, at: &Rc<At>) -> Loaded<NumberRules> {
        let multiple_of = number(object, at, "multipleOf")?;
        if multiple_of.as_ref().is_some_and(|number| number.to_double() == 0.0) {
            return Err(JsonSchemaError::new(format!("#{}: multipleOf should not be 0", at.path())));
        }
        let exclusive = |keyword: &str| match object.get(keyword) {
            // A boolean is about the other limit, and Confluent does not compare it.
            Some(Json::Bool(_)) | None if self.draft == Draft::Four => Ok(None),
            Some(other) if self.draft == Draft::Four => Err(expected(at, keyword, "Boolean", other)),
            _ => number(object, at, keyword),
        };
        Ok(NumberRules {
            minimum: number(object, at, "minimum")?,
            maximum: number(object, at, "maximum")?,
            exclusive_minimum: exclusive("exclusiveMinimum")?,
            exclusive_maximum: exclusive("exclusiveMaximum")?,
            multiple_of,
            is_integer: false,
        })
    }

    fn array_rules(&mut self, object: &'a Object, at: &Rc<At>) -> Loaded<ArrayRules> {
        let (mut permits_additional, mut additional) = self.allowed(object, at, "additionalItems")?;
        let mut all_items = None;
        let mut items = Vec::new();
        let tuple = match (object.get("prefixItems"), object.get("items")) {
            (Some(Json::Array(prefix)), rest) if self.draft.is_modern() => {
                // In 2020-12, `items` is about those after the first ones.
                if rest.is_some() {
                    (permits_additional, additional) = self.allowed(object, at, "items")?;
                }
                prefix.as_slice()
            }
            (_, Some(items @ Json::Array(_))) if self.draft.is_modern() => {
                return Err(expected(at, "items", "JsonObject or Boolean", items));
            }
            (_, Some(Json::Array(items))) => items,
            (_, Some(Json::Bool(allowed))) if self.draft.is_modern() => {
                permits_additional = *allowed;
                &[]
            }
            (_, Some(items @ Json::Bool(_))) if self.draft == Draft::Four => {
                return Err(expected(at, "items", "JsonArray or JsonObject", items));
            }
            (_, Some(schema)) => {
                all_items = Some(self.add_child(schema, at, "items")?);
                &[]
            }
            _ => &[],
        };
        for (number, json) in tuple.iter().enumerate() {
            items.push(self.add_child(json, at, &format!("items/{number}"))?);
        }
        // Where one schema is about all items, there are no additional ones.
        permits_additional |= all_items.is_some();
        let has_contains = self.draft > Draft::Four && self.optional_child(object, at, "contains")?.is_some();
        // From 2019-09 on, these say how many items are to match `contains`. Before, they mean nothing, but are compared.
        let is_modern = self.draft.is_modern();
        let count = |keyword: &str| object.get(keyword).and_then(Json::as_int).filter(|_| has_contains || !is_modern);
        let min_contains = count("minContains").or_else(|| (has_contains && is_modern).then_some(1));
        let max_contains = count("maxContains");
        let unique_items = match object.get("uniqueItems") {
            None => false,
            Some(Json::Bool(unique)) => *unique,
            Some(other) => return Err(expected(at, "uniqueItems", "Boolean", other)),
        };
        let unevaluated = match self.draft.is_modern() {
            true => self.optional_child(object, at, "unevaluatedItems")?,
            false => None,
        };
        Ok(ArrayRules {
            min_items: integer(object, at, "minItems")?,
            max_items: integer(object, at, "maxItems")?,
            min_contains,
            max_contains,
            unique_items,
            all_items,
            items,
            permits_additional,
            additional,
            unevaluated,
        })
    }
}

fn integer(object: &Object, at: &At, keyword: &str) -> Loaded<Option<i32>> {
    let Some(value) = object.get(keyword) else { return Ok(None) };
    value.as_int().map(Some).ok_or_else(|| expected(at, keyword, "Integer", value))
}

fn number(object: &Object, at: &At, keyword: &str) -> Loaded<Option<Number>> {
    match object.get(keyword) {
        None => Ok(None),
        Some(Json::Number(number)) => Ok(Some(number.clone())),
        Some(other) => Err(expected(at, keyword, "Number", other)),
    }
}

fn string(object: &Object, at: &At, keyword: &str) -> Loaded<Option<String>> {
    match object.get(keyword) {
        None => Ok(None),
        Some(Json::String(text)) => Ok(Some(text.clone())),
        Some(other) => Err(expected(at, keyword, "String", other)),
    }
}

fn objects<'o>(object: &'o Object, at: &At, keyword: &str) -> Loaded<impl Iterator<Item = (&'o String, &'o Json)>> {
    let found = match object.get(keyword) {
        None => None,
        Some(Json::Object(found)) => Some(found),
        Some(other) => return Err(expected(at, keyword, "JsonObject", other)),
    };
    Ok(found.into_iter().flatten())
}

fn strings(items: &[Json], at: &At, keyword: &str) -> Loaded<BTreeSet<String>> {
    let text = |item: &Json| item.as_str().map(str::to_owned).ok_or_else(|| expected(at, keyword, "String", item));
    items.iter().map(text).collect()
}

fn expected(at: &At, keyword: &str, wanted: &str, found: &Json) -> JsonSchemaError {
    let found = match found {
        Json::Null => "null",
        Json::Bool(_) => "Boolean",
        Json::Number(_) => "Number",
        Json::String(_) => "String",
        Json::Array(_) => "JsonArray",
        Json::Object(_) => "JsonObject",
    };
    let slash = if keyword.is_empty() { "" } else { "/" };
    JsonSchemaError::new(format!("#{}{slash}{keyword}: expected type: {wanted}, found: {found}", at.path()))
}
