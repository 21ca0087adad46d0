//! Drafts of JSON Schema, and their keywords.

use crate::json::{Json, Object};

const OBJECT: [&str; 7] = [
    "properties",
    "required",
    "minProperties",
    "maxProperties",
    "dependencies",
    "patternProperties",
    "additionalProperties",
];
const ARRAY: [&str; 5] = ["items", "additionalItems", "minItems", "maxItems", "uniqueItems"];
const NUMBER: [&str; 5] = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"];
const STRING: [&str; 4] = ["minLength", "maxLength", "pattern", "format"];
const MODERN_OBJECT: [&str; 3] = ["dependentRequired", "dependentSchemas", "unevaluatedProperties"];
const MODERN_ARRAY: [&str; 4] = ["prefixItems", "unevaluatedItems", "minContains", "maxContains"];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Draft {
    Four,
    Six,
    Seven,
    /// 2019-09 or 2020-12.
    Modern,
}

impl Draft {
    /// The draft that a schema names; 7 if it names none, or an unknown one.
    pub fn of(root: &Json) -> Draft {
        let uri = root.get("$schema").and_then(Json::as_str).unwrap_or_default();
        if uri.contains("json-schema.org/draft/2019-09/") || uri.contains("json-schema.org/draft/2020-12/") {
            return Draft::Modern;
        }
        let uri = uri.strip_prefix("http://").or_else(|| uri.strip_prefix("https://")).unwrap_or_default();
        match uri.strip_suffix('#').unwrap_or(uri) {
            "json-schema.org/draft-04/schema" => Draft::Four,
            "json-schema.org/draft-06/schema" => Draft::Six,
            _ => Draft::Seven,
        }
    }

    pub fn is_modern(self) -> bool {
        self == Draft::Modern
    }

    pub fn id_keyword(self) -> &'static str {
        if self == Draft::Four { "id" } else { "$id" }
    }

    pub fn has_object_keyword(self, object: &Object) -> bool {
        has_any(object, &OBJECT)
            || (self > Draft::Four && object.contains_key("propertyNames"))
            || (self.is_modern() && has_any(object, &MODERN_OBJECT))
    }

    pub fn has_array_keyword(self, object: &Object) -> bool {
        has_any(object, &ARRAY)
            || (self > Draft::Four && object.contains_key("contains"))
            || (self.is_modern() && has_any(object, &MODERN_ARRAY))
    }

    pub fn has_number_keyword(self, object: &Object) -> bool {
        has_any(object, &NUMBER)
    }

    pub fn has_string_keyword(self, object: &Object) -> bool {
        has_any(object, &STRING)
    }

    pub fn conditional_keywords(self) -> &'static [&'static str] {
        if self < Draft::Seven { &[] } else { &["if", "then", "else"] }
    }
}

fn has_any(object: &Object, keywords: &[&str]) -> bool {
    keywords.iter().any(|keyword| object.contains_key(*keyword))
}
