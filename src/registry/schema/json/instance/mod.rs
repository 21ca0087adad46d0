//! Whether a JSON value is valid against a schema, for drafts 4 to 2020-12.
//!
//! The validator is our own, over the same resolution of references and the same bounded patterns as the comparison. The crate
//! `jsonschema` would bring about 45 more crates, reads `serde_json`'s values, which do not keep long numbers, and has no
//! bound on the work for one value: schemas that combine references to themselves take exponential time.
//!
//! `format` and the keywords about content are annotations only, and dynamic references are static ones.

mod check;
mod compile;

use indexmap::IndexMap;

use super::pattern::Pattern;
use super::{JsonSchema, JsonSchemaError};
use crate::json::{Json, Number};
use crate::schema::value::ValueError;

/// A schema whose references are resolved.
#[derive(Debug)]
pub(super) struct Validator {
    nodes: Vec<Rules>,
    root: usize,
    /// Whether a schema has rules for the parts that no other rule looked at.
    has_unevaluated: bool,
    /// Whether a number such as 1.0 is an integer.
    is_fraction_integer: bool,
}

/// The rules of one schema; schemas in it by their numbers.
#[derive(Debug, Default)]
struct Rules {
    is_false: bool,
    all_of: Vec<usize>,
    any_of: Option<Vec<usize>>,
    one_of: Option<Vec<usize>>,
    not: Option<usize>,
    condition: Option<Condition>,
    types: Option<Vec<Type>>,
    /// `enum`, or `const`.
    values: Vec<Vec<Json>>,
    number: NumberRules,
    min_length: Option<usize>,
    max_length: Option<usize>,
    pattern: Option<CompiledPattern>,
    array: Option<Box<ArrayRules>>,
    object: Option<Box<ObjectRules>>,
}

#[derive(Debug)]
struct Condition {
    when: usize,
    then: Option<usize>,
    otherwise: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Null,
    Boolean,
    Integer,
    Number,
    String,
    Array,
    Object,
}

#[derive(Debug, Default)]
struct NumberRules {
    minimum: Option<Number>,
    maximum: Option<Number>,
    exclusive_minimum: Option<Number>,
    exclusive_maximum: Option<Number>,
    multiple_of: Option<Number>,
}

#[derive(Debug, Default)]
struct ArrayRules {
    prefix: Vec<usize>,
    /// The schema of the items after the prefix.
    rest: Option<usize>,
    contains: Option<usize>,
    min_contains: usize,
    max_contains: Option<usize>,
    min_items: Option<usize>,
    max_items: Option<usize>,
    is_unique: bool,
    unevaluated: Option<usize>,
}

#[derive(Debug, Default)]
struct ObjectRules {
    properties: IndexMap<String, usize>,
    patterns: Vec<(CompiledPattern, usize)>,
    additional: Option<usize>,
    names: Option<usize>,
    required: Vec<String>,
    min_properties: Option<usize>,
    max_properties: Option<usize>,
    dependent_required: Vec<(String, Vec<String>)>,
    dependent_schemas: Vec<(String, usize)>,
    unevaluated: Option<usize>,
}

/// A pattern with its text. One that cannot be compiled matches nothing.
struct CompiledPattern {
    text: String,
    compiled: Option<Pattern>,
}

impl CompiledPattern {
    fn is_match(&self, text: &str) -> bool {
        self.compiled.as_ref().is_some_and(|compiled| compiled.is_match(text))
    }
}

impl std::fmt::Debug for CompiledPattern {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl JsonSchema {
    /// Checks a value against the schema.
    pub fn validate(&self, value: &Json) -> Result<(), ValueError> {
        let compiled = self.validator.get_or_init(|| compile::compile(&self.json, &self.references));
        let validator = compiled.as_ref().map_err(|error: &JsonSchemaError| ValueError::new(error.to_string()))?;
        check::check(validator, value)
    }
}
