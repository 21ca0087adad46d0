//! Types and extension fields by their full names, and resolution of names as Confluent's registry resolves them.

use std::collections::HashMap;

use super::element::{Enum, Extend, Field, File, Message, Syntax, Type};
use super::{MAX_NAME_BYTES, ProtobufError, known};

/// Where a type is defined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// In the schema itself.
    Local,
    /// In a schema that it refers to, or in a file that every schema can use.
    Imported,
}

#[derive(Clone, Copy)]
pub(super) enum Definition<'a> {
    Message(&'a Message),
    Enum(&'a Enum),
}

#[derive(Clone, Copy)]
pub(super) struct TypeInfo<'a> {
    pub package: &'a str,
    pub syntax: Syntax,
    pub origin: Origin,
    pub definition: Definition<'a>,
}

impl<'a> TypeInfo<'a> {
    pub fn message(&self) -> Option<&'a Message> {
        match self.definition {
            Definition::Message(message) => Some(message),
            Definition::Enum(_) => None,
        }
    }

    pub fn is_map(&self) -> bool {
        self.message().is_some_and(Message::is_map_entry)
    }

    /// The type of a map whose entries this type stands for.
    pub fn map_type(&self) -> Option<String> {
        let message = self.message().filter(|message| message.is_map_entry())?;
        Some(format!("map<{}, {}>", message.field("key")?.type_name, message.field("value")?.type_name))
    }
}

/// What the types of a file have in common.
#[derive(Clone, Copy)]
struct Place<'a> {
    package: &'a str,
    syntax: Syntax,
    origin: Origin,
}

/// The definitions that a schema can use.
#[derive(Default)]
pub(super) struct Types<'a> {
    types: HashMap<String, TypeInfo<'a>>,
    extends: HashMap<String, &'a Field>,
}

impl<'a> Types<'a> {
    /// Collects the definitions of a schema and of all that it refers to. Those of the schema itself come first.
    pub fn of(file: &'a File, dependencies: impl Iterator<Item = &'a File>) -> Types<'a> {
        let mut types = Types::default();
        for dependency in dependencies {
            types.collect(dependency, Origin::Imported);
        }
        types.collect(file, Origin::Local);
        types
    }

    /// The definitions that are part of every schema.
    pub fn known(files: impl Iterator<Item = &'a File>) -> Types<'a> {
        let mut types = Types::default();
        for file in files {
            types.collect(file, Origin::Imported);
        }
        types
    }

    fn collect(&mut self, file: &'a File, origin: Origin) {
        let package = file.package.as_deref().unwrap_or_default();
        self.collect_extends(&file.extends, package);
        let place = Place { package, syntax: file.syntax.unwrap_or(Syntax::Proto2), origin };
        self.collect_types(&file.types, place, package);
    }

    fn collect_types(&mut self, types: &'a [Type], place: Place<'a>, scope: &str) {
        for found in types {
            let name = join(scope, found.name());
            let definition = match found {
                Type::Message(message) => Definition::Message(message),
                Type::Enum(element) => Definition::Enum(element),
            };
            if let Type::Message(message) = found {
                self.collect_extends(&message.extends, &name);
                self.collect_types(&message.types, place, &name);
            }
            let Place { package, syntax, origin } = place;
            self.types.insert(name, TypeInfo { package, syntax, origin, definition });
        }
    }

    fn collect_extends(&mut self, extends: &'a [Extend], scope: &str) {
        for field in extends.iter().flat_map(|extend| &extend.fields) {
            self.extends.insert(join(scope, &field.name), field);
        }
    }

    /// Looks up a full name, with or without a leading dot.
    pub fn by_full_name(&self, name: &str) -> Option<TypeInfo<'a>> {
        let name = name.strip_prefix('.').unwrap_or(name);
        self.types.get(name).copied().or_else(|| known::types().types.get(name).copied())
    }

    /// The full names of the types of the schema and of those that it refers to.
    pub fn own_names(&self) -> impl Iterator<Item = &str> {
        self.types.keys().map(String::as_str)
    }

    pub fn extend_by_full_name(&self, name: &str) -> Option<&'a Field> {
        let name = name.strip_prefix('.').unwrap_or(name);
        self.extends.get(name).copied().or_else(|| known::types().extends.get(name).copied())
    }

    /// Returns the full name of the type that `name` means inside `scope`.
    pub fn resolve(&self, name: &str, scope: &Scope) -> Option<String> {
        resolve(name, scope, |name| self.by_full_name(name).is_some())
    }

    pub fn resolve_extend(&self, name: &str, scope: &Scope) -> Option<String> {
        resolve(name, scope, |name| self.extend_by_full_name(name).is_some())
    }

    pub fn find(&self, name: &str, scope: &Scope) -> Option<TypeInfo<'a>> {
        self.by_full_name(&self.resolve(name, scope)?)
    }
}

/// The package and the messages that a name is used in.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope {
    pub package: String,
    pub names: Vec<String>,
}

impl Scope {
    pub fn of(package: Option<&str>) -> Scope {
        Scope { package: package.unwrap_or_default().to_owned(), names: Vec::new() }
    }
}

fn resolve(name: &str, scope: &Scope, is_known: impl Fn(&str) -> bool) -> Option<String> {
    if let Some(name) = name.strip_prefix('.') {
        return is_known(name).then(|| name.to_owned());
    }
    let mut prefix = scope.names.iter().fold(scope.package.clone(), |prefix, name| join(&prefix, name));
    while !prefix.is_empty() {
        let full = join(&prefix, name);
        if is_known(&full) {
            return Some(full);
        }
        prefix.truncate(prefix.rfind('.').unwrap_or(0));
    }
    is_known(name).then(|| name.to_owned())
}

fn join(scope: &str, name: &str) -> String {
    if scope.is_empty() { name.to_owned() } else { format!("{scope}.{name}") }
}

/// Checks the lengths of full names and of names of types.
pub(super) fn check_lengths(file: &File) -> Result<(), ProtobufError> {
    let package = file.package.as_ref().map_or(0, String::len);
    let rpcs = file.services.iter().flat_map(|service| &service.rpcs);
    rpcs.flat_map(|rpc| [&rpc.request, &rpc.response]).try_for_each(|name| check_length(name.len()))?;
    check_extends(&file.extends, package)?;
    check_types(&file.types, package)
}

fn check_length(length: usize) -> Result<(), ProtobufError> {
    if length > MAX_NAME_BYTES { Err(ProtobufError::new("a name in the schema is too long")) } else { Ok(()) }
}

fn check_types(types: &[Type], scope: usize) -> Result<(), ProtobufError> {
    check_length(scope)?;
    for found in types {
        let full = scope + 1 + found.name().len();
        check_length(full)?;
        if let Type::Message(message) = found {
            let in_one_ofs = message.one_ofs.iter().flat_map(|one_of| &one_of.fields);
            message.fields.iter().chain(in_one_ofs).try_for_each(|field| check_length(field.type_name.len()))?;
            check_extends(&message.extends, full)?;
            check_types(&message.types, full)?;
        }
    }
    Ok(())
}

fn check_extends(extends: &[Extend], scope: usize) -> Result<(), ProtobufError> {
    for extend in extends {
        check_length(extend.name.len())?;
        for field in &extend.fields {
            check_length(scope + 1 + field.name.len())?;
            check_length(field.type_name.len())?;
        }
    }
    Ok(())
}
