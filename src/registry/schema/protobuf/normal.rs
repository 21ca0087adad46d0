//! Options in the normalized text: full names, in the order of the names, and parts of one option merged.

use std::collections::BTreeMap;

use super::element::{Entries, Field, Label, Message, OptionElement, Value};
use super::print::Printer;
use crate::utf16::{JavaString, Utf16};

/// Maximum number of comparisons of values for all options that are merged.
pub(super) const MAX_MERGE_STEPS: usize = 20_000_000;

impl Printer<'_> {
    pub(super) fn normal_options(&self, options: Vec<OptionElement>) -> Vec<OptionElement> {
        let mut options: Vec<OptionElement> = options.into_iter().map(|option| self.with_full_name(option)).collect();
        options.sort_by(|a, b| Utf16::of(&a.name).cmp(&Utf16::of(&b.name)));
        let mut merged: Vec<OptionElement> = Vec::with_capacity(options.len());
        for option in options {
            let field =
                self.types.extend_by_full_name(&option.name).filter(|field| field.label != Some(Label::Repeated));
            match (merged.last_mut(), field) {
                (Some(last), Some(field)) if last.name == option.name => self.merge(field, last, option),
                _ => merged.push(option),
            }
        }
        merged
    }

    fn with_full_name(&self, option: OptionElement) -> OptionElement {
        if !option.is_extension {
            return option;
        }
        match self.types.resolve_extend(&option.name, &self.scope) {
            Some(name) => OptionElement { name, value: as_map(option.value), is_extension: true },
            None => option,
        }
    }

    /// Merges a further part of an option. A value without parts replaces the one before it.
    fn merge(&self, field: &Field, existing: &mut OptionElement, further: OptionElement) {
        existing.is_extension = further.is_extension;
        match (&mut existing.value, as_map(further.value)) {
            (Value::Map(existing), Value::Map(further)) => self.merge_entries(field, existing, further),
            (existing, further) => *existing = further,
        }
    }

    fn merge_entries(&self, field: &Field, existing: &mut Entries, further: Entries) {
        let message = self.message_of(field);
        let fields = message.map_or(0, |message| message.fields.len() + message.one_ofs.len());
        self.add_steps(fields * further.len());
        for (name, value) in further {
            let Some(previous) = existing.get_mut(&name) else {
                existing.insert(name, value);
                continue;
            };
            let field = message.and_then(|message| field_of(message, &name));
            self.merge_values(field, previous, value);
        }
    }

    fn merge_values(&self, field: Option<&Field>, existing: &mut Value, further: Value) {
        let Some(field) = field.filter(|field| field.label != Some(Label::Repeated)) else {
            self.append(existing, further);
            return;
        };
        match (existing, further) {
            (Value::Map(existing), Value::Map(further)) if self.message_of(field).is_some() => {
                self.merge_entries(field, existing, further);
            }
            (existing, further) => *existing = further,
        }
    }

    /// Makes a list of both values, each different one once.
    fn append(&self, existing: &mut Value, further: Value) {
        let first = match std::mem::replace(existing, Value::List(Vec::new())) {
            Value::List(values) => values,
            value => vec![value],
        };
        let second = match further {
            Value::List(values) => values,
            value => vec![value],
        };
        let count = first.len() + second.len();
        if !self.add_steps(count * count) {
            return;
        }
        let mut values: Vec<Value> = Vec::with_capacity(count);
        for value in first.into_iter().chain(second) {
            if !values.contains(&value) {
                values.push(value);
            }
        }
        *existing = Value::List(values);
    }

    /// Counts steps of merging. Returns whether there are some left; without, there is no text.
    fn add_steps(&self, steps: usize) -> bool {
        self.steps.set(self.steps.get().saturating_add(steps));
        self.steps.get() <= MAX_MERGE_STEPS
    }

    fn message_of(&self, field: &Field) -> Option<&Message> {
        self.types.find(&field.type_name, &self.scope)?.message()
    }

    /// The entries of a value in the order of their names, without empty lists and with full names of extensions.
    pub(super) fn normal_entries<'v>(&self, entries: &'v Entries) -> Vec<(String, &'v Value)> {
        let mut sorted: BTreeMap<JavaString, &Value> = BTreeMap::new();
        for (name, value) in entries {
            if matches!(value, Value::List(values) if values.is_empty()) {
                continue;
            }
            let inner = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
            let full = inner.and_then(|name| self.types.resolve_extend(name, &self.scope));
            let name = full.map_or_else(|| name.clone(), |full| format!("[{full}]"));
            sorted.entry(name.into()).or_insert(value);
        }
        sorted.into_iter().map(|(name, value)| (name.as_str().to_owned(), value)).collect()
    }
}

fn field_of<'m>(message: &'m Message, name: &str) -> Option<&'m Field> {
    let mut in_one_ofs = message.one_ofs.iter().flat_map(|one_of| &one_of.fields);
    message.field(name).or_else(|| in_one_ofs.find(|field| field.name == name))
}

/// `name.part = value` as a map.
pub(super) fn as_map(value: Value) -> Value {
    match value {
        Value::Option(nested) => Value::Map(Entries::from_iter([(nested.name, as_map(nested.value))])),
        value => value,
    }
}
