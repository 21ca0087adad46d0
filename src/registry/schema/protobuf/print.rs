//! The canonical and the normalized text of a file.

use std::borrow::Cow;
use std::cell::Cell;

use super::ProtobufError;
use super::element::{
    Constant, Enum, Extend, Extensions, Field, File, Group, Label, MAX_TAG, Message, OneOf, OptionElement, Reserved,
    Rpc, Service, Syntax, Type, Value, bad_map_key, is_scalar, map_parts,
};
use super::names::{Scope, Types};
use super::normal::MAX_MERGE_STEPS;
use super::writer::Writer;
use crate::utf16::Utf16;

pub(super) type Printed<T> = Result<T, ProtobufError>;

pub(super) const TOO_LARGE: &str = "the options of the schema are too large to be merged";

/// What is printed of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Canonical,
    Normalized,
    /// The canonical text without extensions and options that are extensions, except Confluent's.
    WithoutExtensions,
}

pub(super) struct Printer<'a> {
    form: Form,
    pub types: &'a Types<'a>,
    pub scope: Scope,
    pub out: Writer,
    /// Steps that were needed to merge options.
    pub steps: Cell<usize>,
}

/// The text that decides on the id of a schema.
pub(super) fn canonical(file: &File) -> Printed<String> {
    print(file, Form::Canonical, &Types::default())
}

/// The text without order and spelling that mean nothing, with full names of all types.
pub(super) fn normalized(file: &File, types: &Types<'_>) -> Printed<String> {
    print(file, Form::Normalized, types)
}

pub(super) fn without_extensions(file: &File) -> Printed<String> {
    print(file, Form::WithoutExtensions, &Types::default())
}

fn print(file: &File, form: Form, types: &Types<'_>) -> Printed<String> {
    let scope = Scope::of(file.package.as_deref());
    let mut printer = Printer { form, types, scope, out: Writer::default(), steps: Cell::new(0) };
    printer.file(file)?;
    if printer.steps.get() > MAX_MERGE_STEPS {
        return Err(ProtobufError::new(TOO_LARGE));
    }
    printer.out.finish()
}

impl Printer<'_> {
    pub fn is_normalized(&self) -> bool {
        self.form == Form::Normalized
    }

    fn has_extensions(&self) -> bool {
        self.form != Form::WithoutExtensions
    }

    /// The full name of a type with a leading dot.
    fn resolved(&self, name: &str) -> Printed<String> {
        match self.types.resolve(name, &self.scope) {
            Some(full) => Ok(format!(".{full}")),
            None => Err(ProtobufError::new(format!("Could not resolve type: {name}"))),
        }
    }

    fn type_name<'n>(&self, name: &'n str) -> Printed<Cow<'n, str>> {
        if self.is_normalized() { self.resolved(name).map(Cow::Owned) } else { Ok(Cow::Borrowed(name)) }
    }

    fn file(&mut self, file: &File) -> Printed<()> {
        if let Some(syntax) = file.syntax.filter(|syntax| !self.is_normalized() || *syntax == Syntax::Proto3) {
            self.out.add(&["syntax = \"", syntax.name(), "\";\n"]);
        }
        if let Some(package) = &file.package {
            self.out.add(&["package ", package, ";\n"]);
        }
        if !file.imports.is_empty() || !file.public_imports.is_empty() {
            self.out.add(&["\n"]);
            self.imports(&file.imports, "import \"");
            self.imports(&file.public_imports, "import public \"");
        }
        self.option_lines(&file.options, true)?;
        self.types(&file.types)?;
        self.extends(&file.extends)?;
        if !file.services.is_empty() {
            self.out.add(&["\n"]);
            file.services.iter().try_for_each(|service| self.service(service))?;
        }
        Ok(())
    }

    fn imports(&mut self, paths: &[String], start: &str) {
        let mut paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        if self.is_normalized() {
            paths.sort_by_key(|path| Utf16::of(path));
            paths.dedup();
        }
        for path in paths {
            self.out.add(&[start, path, "\";\n"]);
        }
    }

    /// Prints options of which each is a statement, after an empty line if `is_apart` holds.
    fn option_lines(&mut self, options: &[OptionElement], is_apart: bool) -> Printed<()> {
        let options = self.filtered(options.to_vec());
        if is_apart && !options.is_empty() {
            self.out.add(&["\n"]);
        }
        for option in &options {
            self.out.add(&["option "]);
            self.option(option);
            self.out.add(&[";\n"]);
        }
        Ok(())
    }

    /// The options that are printed, in their order.
    pub fn filtered(&self, mut options: Vec<OptionElement>) -> Vec<OptionElement> {
        if !self.has_extensions() {
            options.retain(|option| !option.is_extension || option.name.starts_with("confluent."));
        }
        if self.is_normalized() { self.normal_options(options) } else { options }
    }

    fn types(&mut self, types: &[Type]) -> Printed<()> {
        let is_printed = |found: &&Type| match found {
            // Entries of maps are part of the fields.
            Type::Message(message) if self.is_normalized() => {
                !self.types.find(&message.name, &self.scope).is_some_and(|info| info.is_map())
            }
            _ => true,
        };
        let types: Vec<&Type> = types.iter().filter(is_printed).collect();
        if types.is_empty() {
            return Ok(());
        }
        self.out.add(&["\n"]);
        for found in &types {
            if let Type::Message(message) = found {
                self.scope.names.push(message.name.clone());
                self.message(message)?;
                self.scope.names.pop();
            }
        }
        for found in &types {
            if let Type::Enum(element) = found {
                self.scope.names.push(element.name.clone());
                self.enumeration(element)?;
                self.scope.names.pop();
            }
        }
        Ok(())
    }

    fn message(&mut self, message: &Message) -> Printed<()> {
        self.out.open(&["message ", &message.name, " {"]);
        if !message.reserved.is_empty() {
            self.out.add(&["\n"]);
            self.reserved(&message.reserved);
        }
        self.option_lines(&message.options, true)?;
        self.fields(&message.fields)?;
        self.one_ofs(&message.one_ofs)?;
        self.groups(&message.groups)?;
        if self.has_extensions() && !message.extensions.is_empty() {
            self.out.add(&["\n"]);
            self.extensions(&message.extensions);
        }
        self.extends(&message.extends)?;
        self.types(&message.types)?;
        self.out.close("}\n");
        Ok(())
    }

    fn reserved(&mut self, reserved: &[Vec<Reserved>]) {
        if !self.is_normalized() {
            reserved.iter().for_each(|values| self.values("reserved ", values, &[]));
            return;
        }
        let mut values: Vec<&Reserved> = reserved.iter().flatten().collect();
        values.sort_by_cached_key(|value| (first(value), value_text(value)));
        values.into_iter().for_each(|value| self.values("reserved ", std::slice::from_ref(value), &[]));
    }

    fn extensions(&mut self, extensions: &[Extensions]) {
        if !self.is_normalized() {
            extensions.iter().for_each(|found| self.values("extensions ", &found.values, &found.options));
            return;
        }
        let mut values: Vec<(&Reserved, &Extensions)> =
            extensions.iter().flat_map(|found| found.values.iter().map(move |value| (value, found))).collect();
        values.sort_by_key(|(value, _)| first(value));
        for (value, found) in values {
            self.values("extensions ", std::slice::from_ref(value), &found.options);
        }
    }

    fn values(&mut self, start: &str, values: &[Reserved], options: &[OptionElement]) {
        self.out.add(&[start]);
        for (index, value) in values.iter().enumerate() {
            if index > 0 {
                self.out.add(&[", "]);
            }
            match value {
                Reserved::Name(name) => self.out.add(&["\"", name, "\""]),
                Reserved::Tag(tag) => self.out.add(&[&tag.to_string()]),
                Reserved::Range(first, last) if self.is_normalized() && first == last => {
                    self.out.add(&[&first.to_string()]);
                }
                Reserved::Range(first, last) => {
                    let last = if *last < MAX_TAG { last.to_string() } else { "max".to_owned() };
                    self.out.add(&[&first.to_string(), " to ", &last]);
                }
            }
        }
        self.bracketed(options.to_vec());
        self.out.add(&[";\n"]);
    }

    fn fields(&mut self, fields: &[Field]) -> Printed<()> {
        if !fields.is_empty() {
            self.out.add(&["\n"]);
        }
        self.sorted(fields, |field| field.tag).into_iter().try_for_each(|field| self.field(field))
    }

    /// Returns the parts by their numbers if the text is normalized, in their order otherwise.
    fn sorted<'p, T>(&self, parts: &'p [T], tag: impl Fn(&T) -> i32) -> Vec<&'p T> {
        let mut parts: Vec<&T> = parts.iter().collect();
        if self.is_normalized() {
            parts.sort_by_key(|part| tag(part));
        }
        parts
    }

    fn field(&mut self, field: &Field) -> Printed<()> {
        if let Some(key) = bad_map_key(&field.type_name) {
            let message = format!("map key must be non-byte, non-floating point scalar: {key}");
            return Err(ProtobufError::new(message));
        }
        let (mut label, mut type_name) = (field.label, Cow::Borrowed(field.type_name.as_str()));
        if self.is_normalized() {
            let (normal_label, normal_type) = self.normal_type(field)?;
            (label, type_name) = (normal_label, Cow::Owned(normal_type));
        }
        if let Some(label) = label {
            self.out.add(&[label.name(), " "]);
        }
        self.out.add(&[&type_name, " ", &field.name, " = ", &field.tag.to_string()]);
        let mut options = field.options.clone();
        if let Some(default) = &field.default {
            options.push(OptionElement::new("default", default_value(&type_name, default.clone())));
        }
        if let Some(json_name) = &field.json_name {
            options.push(OptionElement::new("json_name", Value::String(json_name.clone())));
        }
        self.bracketed(options);
        self.out.add(&[";\n"]);
        Ok(())
    }

    /// The type with full names, and the label. A repeated field of entries is a map.
    fn normal_type(&self, field: &Field) -> Printed<(Option<Label>, String)> {
        let mut type_name = field.type_name.clone();
        if !is_scalar(&type_name) && map_parts(&type_name).is_none() {
            type_name = self.resolved(&type_name)?;
            if let Some(map) = self.types.by_full_name(&type_name).and_then(|info| info.map_type()) {
                type_name = map;
            }
        }
        let Some((key, value)) = map_parts(&type_name) else { return Ok((field.label, type_name)) };
        if let Some(full) = self.types.resolve(value, &self.scope) {
            type_name = format!("map<{key}, .{full}>");
        }
        Ok((None, type_name))
    }

    fn one_ofs(&mut self, one_ofs: &[OneOf]) -> Printed<()> {
        if one_ofs.is_empty() {
            return Ok(());
        }
        self.out.add(&["\n"]);
        let mut one_ofs: Vec<&OneOf> = one_ofs.iter().collect();
        if self.is_normalized() {
            one_ofs.retain(|one_of| !one_of.fields.is_empty());
            one_ofs.sort_by_key(|one_of| one_of.fields.iter().map(|field| field.tag).min());
        }
        for one_of in one_ofs {
            self.out.open(&["oneof ", &one_of.name, " {"]);
            self.option_lines(&one_of.options, true)?;
            self.fields(&one_of.fields)?;
            self.groups(&one_of.groups)?;
            self.out.close("}\n");
        }
        Ok(())
    }

    fn groups(&mut self, groups: &[Group]) -> Printed<()> {
        if !groups.is_empty() {
            self.out.add(&["\n"]);
        }
        for group in self.sorted(groups, |group| group.tag) {
            let label = group.label.map(Label::name).unwrap_or_default();
            let space = if label.is_empty() { "" } else { " " };
            self.out.open(&[label, space, "group ", &group.name, " = ", &group.tag.to_string(), " {"]);
            self.fields(&group.fields)?;
            self.out.close("}\n");
        }
        Ok(())
    }

    fn extends(&mut self, extends: &[Extend]) -> Printed<()> {
        if !self.has_extensions() || extends.is_empty() {
            return Ok(());
        }
        self.out.add(&["\n"]);
        if !self.is_normalized() {
            return extends.iter().try_for_each(|extend| self.extend(&extend.name, extend.fields.iter().collect()));
        }
        let mut by_name: indexmap::IndexMap<String, Vec<&Field>> = indexmap::IndexMap::new();
        for extend in extends.iter().filter(|extend| !extend.fields.is_empty()) {
            by_name.entry(self.resolved(&extend.name)?).or_default().extend(&extend.fields);
        }
        for (name, mut fields) in by_name {
            fields.sort_by_key(|field| field.tag);
            self.extend(&name, fields)?;
        }
        Ok(())
    }

    fn extend(&mut self, name: &str, fields: Vec<&Field>) -> Printed<()> {
        self.out.open(&["extend ", name, " {"]);
        if !fields.is_empty() {
            self.out.add(&["\n"]);
        }
        fields.into_iter().try_for_each(|field| self.field(field))?;
        self.out.close("}\n");
        Ok(())
    }

    fn enumeration(&mut self, element: &Enum) -> Printed<()> {
        self.out.open(&["enum ", &element.name, " {"]);
        let has_lines = !element.reserved.is_empty() || !element.options.is_empty() || !element.constants.is_empty();
        if has_lines {
            self.out.add(&["\n"]);
        }
        self.reserved(&element.reserved);
        self.option_lines(&element.options, false)?;
        let mut constants: Vec<&Constant> = element.constants.iter().collect();
        if self.is_normalized() {
            constants.sort_by_key(|constant| (constant.tag, Utf16::of(&constant.name)));
        }
        for constant in constants {
            self.out.add(&[&constant.name, " = ", &constant.tag.to_string()]);
            self.bracketed(constant.options.clone());
            self.out.add(&[";\n"]);
        }
        self.out.close("}\n");
        Ok(())
    }

    fn service(&mut self, service: &Service) -> Printed<()> {
        self.out.open(&["service ", &service.name, " {"]);
        self.option_lines(&service.options, true)?;
        if !service.rpcs.is_empty() {
            self.out.add(&["\n"]);
        }
        service.rpcs.iter().try_for_each(|rpc| self.rpc(rpc))?;
        self.out.close("}\n");
        Ok(())
    }

    fn rpc(&mut self, rpc: &Rpc) -> Printed<()> {
        let stream = |is_stream| if is_stream { "stream " } else { "" };
        let (request, response) = (self.type_name(&rpc.request)?, self.type_name(&rpc.response)?);
        self.out.add(&["rpc ", &rpc.name, " (", stream(rpc.is_request_stream), &request, ") returns ("]);
        self.out.add(&[stream(rpc.is_response_stream), &response, ")"]);
        if !self.filtered(rpc.options.clone()).is_empty() {
            self.out.open(&[" {\n"]);
            self.option_lines(&rpc.options, false)?;
            self.out.close("}");
        }
        self.out.add(&[";\n"]);
        Ok(())
    }
}

/// The number by which reserved numbers are sorted; names come last.
fn first(value: &Reserved) -> i32 {
    match value {
        Reserved::Tag(first) | Reserved::Range(first, _) => *first,
        Reserved::Name(_) => i32::MAX,
    }
}

fn value_text(value: &Reserved) -> crate::utf16::JavaString {
    match value {
        Reserved::Name(name) => name.clone().into(),
        Reserved::Tag(tag) => tag.to_string().into(),
        Reserved::Range(first, last) => format!("{first}..{last}").into(),
    }
}

/// A default as the value of an option.
fn default_value(type_name: &str, text: String) -> Value {
    let simple = type_name.rsplit('.').next().unwrap_or(type_name);
    match simple {
        "bool" => Value::Boolean(text),
        "string" => Value::String(text),
        _ if is_scalar(simple) => Value::Number(text),
        _ => Value::Enum(text),
    }
}
