//! From the JSON of a schema to rules.

use std::collections::HashMap;
use std::rc::Rc;

use super::{ArrayRules, CompiledPattern, Condition, NumberRules, ObjectRules, Rules, Type, Validator};
use crate::json::{Json, Number, Object};
use crate::schema::ResolvedReference;
use crate::schema::json::JsonSchemaError;
use crate::schema::json::draft::Draft;
use crate::schema::json::load::base_of;
use crate::schema::json::pattern::{MAX_VALIDATOR_PATTERN_BYTES, Pattern};
use crate::schema::json::refs::{self, Document, Place, Target};
use crate::schema::nesting::MAX_NODES;

type Compiled<T> = Result<T, JsonSchemaError>;

pub(super) fn compile(root: &Json, references: &[ResolvedReference]) -> Compiled<Validator> {
    let draft = Draft::of(root);
    let documents = refs::documents(root, references, draft.id_keyword())?;
    let mut compiler = Compiler {
        documents: &documents,
        draft,
        nodes: Vec::new(),
        targets: HashMap::new(),
        pending: Vec::new(),
        has_unevaluated: false,
        pattern_bytes: MAX_VALIDATOR_PATTERN_BYTES,
    };
    let root = compiler.node_of(&Place { document: 0, pointer: String::new() })?;
    while let Some(Pending { id, json, at }) = compiler.pending.pop() {
        let rules = compiler.rules(json, &at)?;
        compiler.nodes[id] = rules;
    }
    Ok(Validator {
        nodes: compiler.nodes,
        root,
        has_unevaluated: compiler.has_unevaluated,
        is_fraction_integer: draft > Draft::Four,
    })
}

/// Where a schema is, for references in it.
#[derive(Clone)]
struct At {
    document: usize,
    base: Rc<str>,
}

/// A schema to be compiled. Schemas are compiled one after the other, so that compiling does not nest.
struct Pending<'a> {
    id: usize,
    json: &'a Json,
    at: At,
}

struct Compiler<'a> {
    documents: &'a [Document],
    draft: Draft,
    nodes: Vec<Rules>,
    targets: HashMap<Place, usize>,
    pending: Vec<Pending<'a>>,
    has_unevaluated: bool,
    /// How much memory further patterns may take.
    pattern_bytes: usize,
}

impl<'a> Compiler<'a> {
    fn node_of(&mut self, place: &Place) -> Compiled<usize> {
        if let Some(id) = self.targets.get(place) {
            return Ok(*id);
        }
        let document = &self.documents[place.document];
        let json = document.get(&place.pointer).ok_or_else(|| JsonSchemaError::new("a reference means nothing"))?;
        let base = base_of(document, &place.pointer, self.draft.id_keyword())?.into();
        let id = self.add(json, At { document: place.document, base })?;
        self.targets.insert(place.clone(), id);
        Ok(id)
    }

    fn add(&mut self, json: &'a Json, at: At) -> Compiled<usize> {
        let id = self.nodes.len();
        if id >= MAX_NODES {
            let problem = format!("the schema and its references have more than {MAX_NODES} parts");
            return Err(JsonSchemaError::new(problem));
        }
        self.nodes.push(Rules::default());
        self.pending.push(Pending { id, json, at });
        Ok(id)
    }

    fn child(&mut self, json: &'a Json, at: &At) -> Compiled<usize> {
        let own_id = json.get(self.draft.id_keyword()).and_then(Json::as_str).filter(|id| !id.starts_with('#'));
        let base = match own_id {
            Some(own_id) => refs::resolve(&at.base, own_id)?.into(),
            None => Rc::clone(&at.base),
        };
        self.add(json, At { document: at.document, base })
    }

    fn optional(&mut self, object: &'a Object, at: &At, keyword: &str) -> Compiled<Option<usize>> {
        object.get(keyword).filter(|json| is_schema(json)).map(|json| self.child(json, at)).transpose()
    }

    fn list(&mut self, object: &'a Object, at: &At, keyword: &str) -> Compiled<Option<Vec<usize>>> {
        let Some(items) = object.get(keyword).and_then(Json::as_array) else { return Ok(None) };
        items.iter().map(|item| self.child(item, at)).collect::<Compiled<_>>().map(Some)
    }

    /// Schemas by names, such as those of properties.
    fn named(&mut self, object: &'a Object, at: &At, keyword: &str) -> Compiled<Vec<(&'a String, usize)>> {
        let found = object.get(keyword).and_then(Json::as_object).into_iter().flatten();
        found.filter(|(_, json)| is_schema(json)).map(|(name, json)| Ok((name, self.child(json, at)?))).collect()
    }

    fn rules(&mut self, json: &'a Json, at: &At) -> Compiled<Rules> {
        let object = match json {
            Json::Object(object) => object,
            json => return Ok(Rules { is_false: *json == Json::Bool(false), ..Rules::default() }),
        };
        let mut all_of = Vec::new();
        for keyword in ["$ref", "$recursiveRef", "$dynamicRef"] {
            let Some(reference) = object.get(keyword).and_then(Json::as_str) else { continue };
            if keyword != "$ref" && !self.draft.is_modern() {
                continue;
            }
            match refs::find(self.documents, at.document, &at.base, reference) {
                Ok(Target::At(place)) => all_of.push(self.node_of(&place)?),
                Ok(Target::MetaSchema) => {}
                // An anchor that is only a dynamic one.
                Err(_) if keyword == "$dynamicRef" => {}
                Err(error) => return Err(error),
            }
            // In older drafts, nothing beside a reference counts.
            if !self.draft.is_modern() {
                return Ok(Rules { all_of, ..Rules::default() });
            }
        }
        all_of.extend(self.list(object, at, "allOf")?.unwrap_or_default());
        let mut values: Vec<Vec<Json>> =
            object.get("enum").and_then(Json::as_array).map(<[_]>::to_vec).into_iter().collect();
        if let Some(value) = object.get("const").filter(|_| self.draft > Draft::Four) {
            values.push(vec![value.clone()]);
        }
        let pattern = object.get("pattern").and_then(Json::as_str);
        let pattern = pattern.map(|pattern| self.pattern(pattern)).transpose()?;
        Ok(Rules {
            is_false: false,
            all_of,
            any_of: self.list(object, at, "anyOf")?,
            one_of: self.list(object, at, "oneOf")?,
            not: self.optional(object, at, "not")?,
            condition: self.condition(object, at)?,
            types: object.get("type").map(types),
            values,
            number: self.number(object),
            min_length: count(object, "minLength"),
            max_length: count(object, "maxLength"),
            pattern,
            array: self.array(object, at)?.map(Box::new),
            object: self.object(object, at)?.map(Box::new),
        })
    }

    fn pattern(&mut self, text: &str) -> Compiled<CompiledPattern> {
        let compiled = Pattern::compile_within(text, &mut self.pattern_bytes);
        let compiled = compiled.ok_or_else(|| {
            let limit = MAX_VALIDATOR_PATTERN_BYTES;
            JsonSchemaError::new(format!("the patterns of the schema take more than {limit} bytes in memory"))
        })?;
        Ok(CompiledPattern { text: text.to_owned(), compiled })
    }

    fn condition(&mut self, object: &'a Object, at: &At) -> Compiled<Option<Condition>> {
        if self.draft < Draft::Seven {
            return Ok(None);
        }
        let Some(when) = self.optional(object, at, "if")? else { return Ok(None) };
        let (then, otherwise) = (self.optional(object, at, "then")?, self.optional(object, at, "else")?);
        Ok(Some(Condition { when, then, otherwise }))
    }

    fn number(&self, object: &Object) -> NumberRules {
        let number = |keyword: &str| match object.get(keyword) {
            Some(Json::Number(number)) => Some(number.clone()),
            _ => None,
        };
        // In draft 4, a limit is exclusive if a boolean says so.
        let is_exclusive = |keyword: &str| self.draft == Draft::Four && object.get(keyword) == Some(&Json::Bool(true));
        let limit = |keyword: &str, exclusive: &str| match is_exclusive(exclusive) {
            true => (None, number(keyword)),
            false => (number(keyword), number(exclusive)),
        };
        let (minimum, exclusive_minimum) = limit("minimum", "exclusiveMinimum");
        let (maximum, exclusive_maximum) = limit("maximum", "exclusiveMaximum");
        NumberRules { minimum, maximum, exclusive_minimum, exclusive_maximum, multiple_of: number("multipleOf") }
    }

    fn array(&mut self, object: &'a Object, at: &At) -> Compiled<Option<ArrayRules>> {
        if !self.draft.has_array_keyword(object) {
            return Ok(None);
        }
        let is_modern = self.draft.is_modern();
        let (prefix, rest) = match (object.get("prefixItems"), object.get("items")) {
            (Some(_), _) if is_modern => {
                (self.list(object, at, "prefixItems")?.unwrap_or_default(), self.optional(object, at, "items")?)
            }
            (_, Some(Json::Array(_))) => {
                (self.list(object, at, "items")?.unwrap_or_default(), self.optional(object, at, "additionalItems")?)
            }
            _ => (Vec::new(), self.optional(object, at, "items")?),
        };
        let contains = if self.draft > Draft::Four { self.optional(object, at, "contains")? } else { None };
        let unevaluated = if is_modern { self.optional(object, at, "unevaluatedItems")? } else { None };
        self.has_unevaluated |= unevaluated.is_some();
        Ok(Some(ArrayRules {
            prefix,
            rest,
            contains,
            min_contains: count(object, "minContains").filter(|_| is_modern).unwrap_or(1),
            max_contains: count(object, "maxContains").filter(|_| is_modern),
            min_items: count(object, "minItems"),
            max_items: count(object, "maxItems"),
            is_unique: object.get("uniqueItems") == Some(&Json::Bool(true)),
            unevaluated,
        }))
    }

    fn object(&mut self, object: &'a Object, at: &At) -> Compiled<Option<ObjectRules>> {
        if !self.draft.has_object_keyword(object) {
            return Ok(None);
        }
        let is_modern = self.draft.is_modern();
        let properties = self.named(object, at, "properties")?;
        let patterns = self.named(object, at, "patternProperties")?.into_iter();
        let patterns = patterns.map(|(pattern, id)| Ok((self.pattern(pattern)?, id))).collect::<Compiled<Vec<_>>>()?;
        let mut dependent_required = Vec::new();
        let mut dependent_schemas = Vec::new();
        for keyword in ["dependencies", "dependentRequired", "dependentSchemas"] {
            if keyword != "dependencies" && !is_modern {
                continue;
            }
            for (name, json) in object.get(keyword).and_then(Json::as_object).into_iter().flatten() {
                match json {
                    Json::Array(names) => dependent_required.push((name.clone(), texts(names))),
                    json => dependent_schemas.push((name.clone(), self.child(json, at)?)),
                }
            }
        }
        let unevaluated = if is_modern { self.optional(object, at, "unevaluatedProperties")? } else { None };
        self.has_unevaluated |= unevaluated.is_some();
        Ok(Some(ObjectRules {
            properties: properties.into_iter().map(|(name, id)| (name.clone(), id)).collect(),
            patterns,
            additional: self.optional(object, at, "additionalProperties")?,
            names: if self.draft > Draft::Four { self.optional(object, at, "propertyNames")? } else { None },
            required: object.get("required").and_then(Json::as_array).map(texts).unwrap_or_default(),
            min_properties: count(object, "minProperties"),
            max_properties: count(object, "maxProperties"),
            dependent_required,
            dependent_schemas,
            unevaluated,
        }))
    }
}

fn is_schema(json: &Json) -> bool {
    matches!(json, Json::Object(_) | Json::Bool(_))
}

fn types(json: &Json) -> Vec<Type> {
    let names = match json {
        Json::Array(names) => names.as_slice(),
        name => std::slice::from_ref(name),
    };
    let type_of = |name: &Json| match name.as_str()? {
        "null" => Some(Type::Null),
        "boolean" => Some(Type::Boolean),
        "integer" => Some(Type::Integer),
        "number" => Some(Type::Number),
        "string" => Some(Type::String),
        "array" => Some(Type::Array),
        "object" => Some(Type::Object),
        _ => None,
    };
    names.iter().filter_map(type_of).collect()
}

fn texts(items: &[Json]) -> Vec<String> {
    items.iter().filter_map(Json::as_str).map(str::to_owned).collect()
}

fn count(object: &Object, keyword: &str) -> Option<usize> {
    match object.get(keyword)? {
        Json::Number(Number::Long(count)) => usize::try_from(*count).ok(),
        // 5.0 is as good as 5.
        Json::Number(number) => {
            let number = number.to_double();
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number in range")]
            let count = (number.fract() == 0.0 && (0.0..1e9).contains(&number)).then_some(number as usize);
            count
        }
        _ => None,
    }
}
