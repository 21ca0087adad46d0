//! A value against rules.

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashSet};

use super::{ArrayRules, Condition, NumberRules, ObjectRules, Rules, Type, Validator};
use crate::json::{Json, Number, Object};
use crate::schema::json::decimal::Decimal;
use crate::schema::value::ValueError;

/// Maximum number of checks of a part of the value against a schema.
const MAX_CHECKS: usize = 1_000_000;
/// Maximum depth of schemas and parts of the value in each other while it is checked.
const MAX_CHECK_DEPTH: usize = 500;
/// How many bytes of text count as much as one check, for a pattern.
const PATTERN_BYTES: usize = 64;

pub(super) fn check(validator: &Validator, value: &Json) -> Result<(), ValueError> {
    let mut checker = Checker { validator, left: MAX_CHECKS };
    checker.schema(validator.root, value, &mut Seen::default(), 0).map_err(|failure| match failure {
        Failure::Invalid(error) | Failure::TooMuch(error) => error,
    })
}

/// Why a check ended.
enum Failure {
    Invalid(ValueError),
    /// The check takes too long. No other schema is tried.
    TooMuch(ValueError),
}

type Checked = Result<(), Failure>;

/// The properties (by name) and items of a value that a rule looked at.
#[derive(Default)]
struct Seen<'v> {
    properties: BTreeSet<&'v str>,
    items: BTreeSet<usize>,
}

struct Checker<'a> {
    validator: &'a Validator,
    left: usize,
}

impl<'a> Checker<'a> {
    fn schema<'v>(&mut self, id: usize, value: &'v Json, seen: &mut Seen<'v>, depth: usize) -> Checked {
        self.take(1)?;
        if depth > MAX_CHECK_DEPTH {
            let problem = format!("the value and its schemas are nested deeper than {MAX_CHECK_DEPTH} levels");
            return Err(Failure::TooMuch(ValueError::new(problem)));
        }
        let rules = &self.validator.nodes[id];
        if rules.is_false {
            return invalid("no value is allowed here");
        }
        if let Some(types) = &rules.types
            && !types.iter().any(|wanted| self.has_type(value, *wanted))
        {
            let names: Vec<String> = types.iter().map(|wanted| format!("{wanted:?}").to_lowercase()).collect();
            return Err(Failure::Invalid(ValueError::expected(&format!("type {}", names.join(" or ")), value)));
        }
        for values in &rules.values {
            self.take(values.len())?;
            if !values.iter().any(|other| same(other, value)) {
                return invalid("the value is none of those that the schema lists");
            }
        }
        match value {
            Json::Number(number) => self.number(&rules.number, number)?,
            Json::String(text) => self.text(rules, text)?,
            Json::Array(items) => {
                if let Some(rules) = &rules.array {
                    self.array(rules, items, seen, depth)?;
                }
            }
            Json::Object(object) => {
                if let Some(rules) = &rules.object {
                    self.object(rules, value, object, seen, depth)?;
                }
            }
            Json::Null | Json::Bool(_) => {}
        }
        self.combinations(rules, value, seen, depth)?;
        self.unevaluated(rules, value, seen, depth)
    }

    fn combinations<'v>(&mut self, rules: &'a Rules, value: &'v Json, seen: &mut Seen<'v>, depth: usize) -> Checked {
        for id in &rules.all_of {
            self.schema(*id, value, seen, depth + 1)?;
        }
        if let Some(ids) = &rules.any_of {
            let mut matches = 0;
            for id in ids {
                matches += usize::from(self.try_schema(*id, value, seen, depth)?);
                // The others matter only for what they look at.
                if matches > 0 && !self.validator.has_unevaluated {
                    break;
                }
            }
            if matches == 0 {
                return invalid("the value matches none of the schemas of anyOf");
            }
        }
        if let Some(ids) = &rules.one_of {
            let mut matches = 0;
            for id in ids {
                matches += usize::from(self.try_schema(*id, value, seen, depth)?);
            }
            if matches != 1 {
                return Err(Failure::Invalid(ValueError::new(format!(
                    "the value matches {matches} of the schemas of oneOf, not 1"
                ))));
            }
        }
        if let Some(id) = rules.not
            && self.try_schema(id, value, &mut Seen::default(), depth)?
        {
            return invalid("the value matches the schema of not");
        }
        if let Some(Condition { when, then, otherwise }) = &rules.condition {
            let next = if self.try_schema(*when, value, seen, depth)? { then } else { otherwise };
            if let Some(id) = next {
                self.schema(*id, value, seen, depth + 1)?;
            }
        }
        Ok(())
    }

    /// Whether a value matches a schema. Only then it counts what the schema looked at.
    fn try_schema<'v>(
        &mut self,
        id: usize,
        value: &'v Json,
        seen: &mut Seen<'v>,
        depth: usize,
    ) -> Result<bool, Failure> {
        let mut own = Seen::default();
        match self.schema(id, value, &mut own, depth + 1) {
            Ok(()) => {
                seen.properties.extend(own.properties);
                seen.items.extend(own.items);
                Ok(true)
            }
            Err(Failure::Invalid(_)) => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    fn part(&mut self, id: usize, value: &Json, depth: usize) -> Checked {
        self.schema(id, value, &mut Seen::default(), depth + 1)
    }

    fn number(&mut self, rules: &NumberRules, number: &Number) -> Checked {
        let fails = |limit: &Option<Number>, bad: &[Ordering]| {
            limit.as_ref().is_some_and(|limit| bad.contains(&compare(number, limit)))
        };
        let checks = [
            (&rules.minimum, &[Ordering::Less][..], "less than the minimum"),
            (&rules.maximum, &[Ordering::Greater], "greater than the maximum"),
            (&rules.exclusive_minimum, &[Ordering::Less, Ordering::Equal], "not greater than the exclusive minimum"),
            (&rules.exclusive_maximum, &[Ordering::Greater, Ordering::Equal], "not less than the exclusive maximum"),
        ];
        for (limit, bad, problem) in checks {
            if fails(limit, bad) {
                return invalid(&format!("the number is {problem}"));
            }
        }
        match &rules.multiple_of {
            Some(of) if !is_multiple(number, of) => invalid(&format!("the number is not a multiple of {of}")),
            _ => Ok(()),
        }
    }

    fn text(&mut self, rules: &Rules, text: &str) -> Checked {
        if rules.min_length.is_some() || rules.max_length.is_some() {
            let length = text.chars().count();
            if rules.min_length.is_some_and(|min| length < min) || rules.max_length.is_some_and(|max| length > max) {
                return invalid(&format!("the text has a length of {length}, which the schema does not allow"));
            }
        }
        if let Some(pattern) = &rules.pattern {
            self.take(text.len() / PATTERN_BYTES)?;
            if !pattern.is_match(text) {
                return invalid(&format!("the text does not match the pattern {}", pattern.text));
            }
        }
        Ok(())
    }

    fn array<'v>(&mut self, rules: &ArrayRules, items: &'v [Json], seen: &mut Seen<'v>, depth: usize) -> Checked {
        let count = items.len();
        if rules.min_items.is_some_and(|min| count < min) || rules.max_items.is_some_and(|max| count > max) {
            return invalid(&format!("the array has {count} items, which the schema does not allow"));
        }
        for (at, item) in items.iter().enumerate() {
            let Some(id) = rules.prefix.get(at).copied().or(rules.rest) else { break };
            self.part(id, item, depth).map_err(|failure| failure.under_item(at))?;
            self.see_item(seen, at);
        }
        if let Some(id) = rules.contains {
            let mut matches = 0;
            for (at, item) in items.iter().enumerate() {
                if self.try_schema(id, item, &mut Seen::default(), depth)? {
                    matches += 1;
                    self.see_item(seen, at);
                }
            }
            if matches < rules.min_contains || rules.max_contains.is_some_and(|max| matches > max) {
                return invalid(&format!("{matches} items match the schema of contains"));
            }
        }
        if rules.is_unique {
            let mut texts = HashSet::with_capacity(count);
            for (at, item) in items.iter().enumerate() {
                self.take(1)?;
                if !texts.insert(unique_text(item)) {
                    return Err(Failure::Invalid(ValueError::new("the item is there twice").under_item(at)));
                }
            }
        }
        Ok(())
    }

    fn object<'v>(
        &mut self,
        rules: &ObjectRules,
        value: &'v Json,
        object: &'v Object,
        seen: &mut Seen<'v>,
        depth: usize,
    ) -> Checked {
        let count = object.len();
        if rules.min_properties.is_some_and(|min| count < min) || rules.max_properties.is_some_and(|max| count > max) {
            return invalid(&format!("the object has {count} properties, which the schema does not allow"));
        }
        self.take(rules.required.len())?;
        if let Some(missing) = rules.required.iter().find(|name| !object.contains_key(*name)) {
            return invalid(&format!("the required property {missing} is missing"));
        }
        for (name, part) in object {
            let mut is_seen = false;
            if let Some(id) = rules.properties.get(name) {
                self.part(*id, part, depth).map_err(|failure| failure.under(name))?;
                is_seen = true;
            }
            for (pattern, id) in &rules.patterns {
                self.take(1 + name.len() / PATTERN_BYTES)?;
                if pattern.is_match(name) {
                    self.part(*id, part, depth).map_err(|failure| failure.under(name))?;
                    is_seen = true;
                }
            }
            if let Some(id) = rules.additional.filter(|_| !is_seen) {
                self.part(id, part, depth).map_err(|failure| failure.under(name))?;
                is_seen = true;
            }
            if let Some(id) = rules.names {
                let json = Json::String(name.clone());
                self.part(id, &json, depth).map_err(|failure| failure.under(name))?;
            }
            if is_seen && self.validator.has_unevaluated {
                seen.properties.insert(name);
            }
        }
        self.dependencies(rules, value, object, seen, depth)
    }

    fn dependencies<'v>(
        &mut self,
        rules: &ObjectRules,
        value: &'v Json,
        object: &'v Object,
        seen: &mut Seen<'v>,
        depth: usize,
    ) -> Checked {
        for (name, required) in rules.dependent_required.iter().filter(|(name, _)| object.contains_key(name)) {
            self.take(required.len())?;
            if let Some(missing) = required.iter().find(|other| !object.contains_key(*other)) {
                return invalid(&format!("the property {missing}, which {name} requires, is missing"));
            }
        }
        for (_, id) in rules.dependent_schemas.iter().filter(|(name, _)| object.contains_key(name)) {
            self.schema(*id, value, seen, depth + 1)?;
        }
        Ok(())
    }

    /// Checks the parts of a value that no other rule looked at.
    fn unevaluated<'v>(&mut self, rules: &Rules, value: &'v Json, seen: &mut Seen<'v>, depth: usize) -> Checked {
        match value {
            Json::Array(items) => {
                let Some(id) = rules.array.as_ref().and_then(|rules| rules.unevaluated) else { return Ok(()) };
                for (at, item) in items.iter().enumerate() {
                    if seen.items.insert(at) {
                        self.part(id, item, depth).map_err(|failure| failure.under_item(at))?;
                    }
                }
            }
            Json::Object(object) => {
                let Some(id) = rules.object.as_ref().and_then(|rules| rules.unevaluated) else { return Ok(()) };
                for (name, part) in object {
                    if seen.properties.insert(name) {
                        self.part(id, part, depth).map_err(|failure| failure.under(name))?;
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn see_item(&self, seen: &mut Seen<'_>, at: usize) {
        if self.validator.has_unevaluated {
            seen.items.insert(at);
        }
    }

    fn has_type(&self, value: &Json, wanted: Type) -> bool {
        match (wanted, value) {
            (Type::Null, Json::Null)
            | (Type::Boolean, Json::Bool(_))
            | (Type::Number, Json::Number(_))
            | (Type::String, Json::String(_))
            | (Type::Array, Json::Array(_))
            | (Type::Object, Json::Object(_)) => true,
            (Type::Integer, Json::Number(number)) => {
                number.is_integer() || (self.validator.is_fraction_integer && number.to_double().fract() == 0.0)
            }
            _ => false,
        }
    }

    fn take(&mut self, checks: usize) -> Checked {
        match self.left.checked_sub(checks) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(Failure::TooMuch(ValueError::new("the check of the value takes too long"))),
        }
    }
}

impl Failure {
    fn under(self, name: &str) -> Failure {
        match self {
            Failure::Invalid(error) => Failure::Invalid(error.under(name)),
            failure => failure,
        }
    }

    fn under_item(self, at: usize) -> Failure {
        match self {
            Failure::Invalid(error) => Failure::Invalid(error.under_item(at)),
            failure => failure,
        }
    }
}

fn invalid(problem: &str) -> Checked {
    Err(Failure::Invalid(ValueError::new(problem)))
}

fn decimal(number: &Number) -> Option<Decimal> {
    Decimal::parse(&number.to_string())
}

/// Compares exactly, unless the numbers are very long.
fn compare(a: &Number, b: &Number) -> Ordering {
    if let (Number::Long(a), Number::Long(b)) = (a, b) {
        return a.cmp(b);
    }
    let exact = decimal(a).zip(decimal(b)).and_then(|(a, b)| a.compare(b));
    exact.unwrap_or_else(|| a.to_double().total_cmp(&b.to_double()))
}

fn is_multiple(number: &Number, of: &Number) -> bool {
    match decimal(number).zip(decimal(of)) {
        Some((number, of)) => number.is_multiple_of(of),
        None => (number.to_double() / of.to_double()).fract() == 0.0,
    }
}

/// Whether two values are the same; 1 and 1.0 are.
fn same(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Number(a), Json::Number(b)) => compare(a, b) == Ordering::Equal,
        (Json::Array(a), Json::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Json::Object(a), Json::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| same(a, b)))
        }
        (a, b) => a == b,
    }
}

/// A text that two values share if they are the same.
fn unique_text(value: &Json) -> String {
    fn normal(value: &Json) -> Json {
        match value {
            Json::Number(Number::Long(_) | Number::Big(_)) => value.clone(),
            Json::Number(number) => {
                let double = number.to_double();
                // As an integer, if it is one that a double holds exactly.
                let is_whole = double.fract() == 0.0 && double.abs() < 9_007_199_254_740_992.0;
                #[expect(clippy::cast_possible_truncation, reason = "an integer below 2^53")]
                let normal = if is_whole { Number::Long(double as i64) } else { Number::Double(double) };
                Json::Number(normal)
            }
            Json::Array(items) => Json::Array(items.iter().map(normal).collect()),
            Json::Object(object) => {
                Json::Object(object.iter().map(|(name, part)| (name.clone(), normal(part))).collect())
            }
            value => value.clone(),
        }
    }
    normal(value).sorted().to_string()
}
