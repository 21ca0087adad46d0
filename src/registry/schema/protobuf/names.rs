//! Types and extension fields by their full names, and resolution of names as Confluent's registry resolves them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

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
    tree: Tree,
    /// The scope in which a name was resolved last. Names of one scope are usually resolved one after the other.
    last_scope: Mutex<Option<ScopeNames>>,
}

/// A scope with what is known about names in it.
struct ScopeNames {
    scope: Scope,
    /// The full name of the scope.
    name: String,
    /// Where the names of the scopes around it end in that.
    ends: Vec<usize>,
    /// Their nodes, in the tree of the schema and in that of the files that every schema can use.
    nodes: [Vec<u32>; 2],
    found: HashMap<(u8, String), Option<String>>,
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
        let node = if package.is_empty() { ROOT } else { self.tree.add(ROOT, package, 0) };
        self.collect_extends(&file.extends, package, node);
        let place = Place { package, syntax: file.syntax.unwrap_or(Syntax::Proto2), origin };
        self.collect_types(&file.types, place, package, node);
    }

    fn collect_types(&mut self, types: &'a [Type], place: Place<'a>, scope: &str, parent: u32) {
        for found in types {
            let name = join(scope, found.name());
            let node = self.tree.add(parent, found.name(), IS_TYPE);
            let definition = match found {
                Type::Message(message) => Definition::Message(message),
                Type::Enum(element) => Definition::Enum(element),
            };
            if let Type::Message(message) = found {
                self.collect_extends(&message.extends, &name, node);
                self.collect_types(&message.types, place, &name, node);
            }
            let Place { package, syntax, origin } = place;
            self.types.insert(name, TypeInfo { package, syntax, origin, definition });
        }
    }

    fn collect_extends(&mut self, extends: &'a [Extend], scope: &str, parent: u32) {
        for field in extends.iter().flat_map(|extend| &extend.fields) {
            let name = join(scope, &field.name);
            self.tree.add(parent, &field.name, IS_EXTEND);
            self.extends.insert(name, field);
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
        self.resolve_as(IS_TYPE, name, scope)
    }

    pub fn resolve_extend(&self, name: &str, scope: &Scope) -> Option<String> {
        self.resolve_as(IS_EXTEND, name, scope)
    }

    /// Looks a name up in the scope, then in the one around it, and so on.
    fn resolve_as(&self, kind: u8, name: &str, scope: &Scope) -> Option<String> {
        let mut last = self.last_scope.lock().unwrap_or_else(PoisonError::into_inner);
        let before = last.take();
        let names = match before {
            Some(names) if names.scope == *scope => last.insert(names),
            before => last.insert(self.names_of(scope, before)),
        };
        let key = (kind, name.to_owned());
        if let Some(found) = names.found.get(&key) {
            return found.clone();
        }
        let found = self.resolve_uncached(kind, name, names);
        names.found.insert(key, found.clone());
        found
    }

    fn trees(&self) -> [&Tree; 2] {
        [&self.tree, &known::types().tree]
    }

    /// Collects the names around a scope. What it shares with the scope before is not looked up again.
    fn names_of(&self, scope: &Scope, before: Option<ScopeNames>) -> ScopeNames {
        let (mut out, shared) = match before.filter(|before| before.scope.package == scope.package) {
            Some(before) => {
                let pairs = before.scope.names.iter().zip(&scope.names);
                let shared = pairs.take_while(|(old, new)| old == new).count();
                (before, shared)
            }
            None => {
                let name = scope.package.clone();
                let ends = match name.is_empty() {
                    true => Vec::new(),
                    false => name.match_indices('.').map(|(at, _)| at).chain([name.len()]).collect(),
                };
                let nodes = self.trees().map(|tree| tree.nodes_of(&name));
                let scope = Scope::of(Some(&scope.package));
                (ScopeNames { scope, name, ends, nodes, found: HashMap::new() }, 0)
            }
        };
        // Names of messages have no dots, so each has one end.
        let kept = out.ends.len() - (out.scope.names.len() - shared);
        out.ends.truncate(kept);
        out.name.truncate(out.ends.last().copied().unwrap_or(0));
        out.nodes.iter_mut().for_each(|nodes| nodes.truncate(kept));
        for name in &scope.names[shared..] {
            out.name = join(&out.name, name);
            for (tree, nodes) in self.trees().iter().zip(&mut out.nodes) {
                // Where a name around it is unknown, this one is as well.
                let parent = if out.ends.is_empty() { Some(&ROOT) } else { nodes.get(out.ends.len() - 1) };
                nodes.extend(parent.and_then(|parent| tree.child(*parent, name)));
            }
            out.ends.push(out.name.len());
        }
        out.scope = scope.clone();
        out.found.clear();
        out
    }

    fn resolve_uncached(&self, kind: u8, name: &str, scope: &ScopeNames) -> Option<String> {
        let is_known = |name: &str| self.trees().iter().any(|tree| tree.has(name, kind));
        if let Some(name) = name.strip_prefix('.') {
            return is_known(name).then(|| name.to_owned());
        }
        let symbols = self.trees().map(|tree| tree.symbols_of(name));
        for (depth, end) in scope.ends.iter().enumerate().rev().filter(|(_, end)| **end > 0) {
            let is_here = self.trees().iter().zip(&scope.nodes).zip(&symbols).any(|((tree, nodes), symbols)| {
                let found = nodes.get(depth).zip(symbols.as_ref());
                found.is_some_and(|(node, symbols)| tree.is_defined(*node, symbols, kind))
            });
            if is_here {
                return Some(join(&scope.name[..*end], name));
            }
        }
        is_known(name).then(|| name.to_owned())
    }

    pub fn find(&self, name: &str, scope: &Scope) -> Option<TypeInfo<'a>> {
        self.by_full_name(&self.resolve(name, scope)?)
    }
}

/// The package and the messages that a name is used in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Scope {
    pub package: String,
    pub names: Vec<String>,
}

impl Scope {
    pub fn of(package: Option<&str>) -> Scope {
        Scope { package: package.unwrap_or_default().to_owned(), names: Vec::new() }
    }
}

/// The names of definitions as a tree of their parts. To look a name up in a scope takes time that depends on the number of
/// parts, not on the lengths of the names around it: each part is a number.
#[derive(Default)]
struct Tree {
    symbols: HashMap<String, u32>,
    /// Nodes by their parent and the last part of their name. Node 0 is the root.
    nodes: HashMap<(u32, u32), u32>,
    /// What each node but the root stands for.
    kinds: Vec<u8>,
}

const ROOT: u32 = 0;
const IS_TYPE: u8 = 1;
const IS_EXTEND: u8 = 2;

impl Tree {
    /// Adds a name below a node. Returns its own node.
    fn add(&mut self, parent: u32, name: &str, kind: u8) -> u32 {
        let mut node = parent;
        for part in name.split('.') {
            let next = u32::try_from(self.symbols.len()).unwrap_or(u32::MAX);
            let symbol = match self.symbols.get(part) {
                Some(symbol) => *symbol,
                None => *self.symbols.entry(part.to_owned()).or_insert(next),
            };
            let kinds = &mut self.kinds;
            node = *self.nodes.entry((node, symbol)).or_insert_with(|| {
                kinds.push(0);
                u32::try_from(kinds.len()).unwrap_or(u32::MAX)
            });
        }
        if let Some(kinds) = self.kinds.get_mut((node as usize).wrapping_sub(1)) {
            *kinds |= kind;
        }
        node
    }

    /// The nodes of a name and of what is around it, the outermost first; as far as there are some.
    fn nodes_of(&self, name: &str) -> Vec<u32> {
        let mut node = ROOT;
        let parts = name.split('.').map_while(|part| {
            node = self.child(node, part)?;
            Some(node)
        });
        parts.collect()
    }

    fn child(&self, parent: u32, part: &str) -> Option<u32> {
        self.nodes.get(&(parent, *self.symbols.get(part)?)).copied()
    }

    /// The parts of a name; `None` if no definition has one of them.
    fn symbols_of(&self, name: &str) -> Option<Vec<u32>> {
        name.split('.').map(|part| self.symbols.get(part).copied()).collect()
    }

    fn is_defined(&self, parent: u32, name: &[u32], kind: u8) -> bool {
        let node = name.iter().try_fold(parent, |node, symbol| self.nodes.get(&(node, *symbol)).copied());
        node.and_then(|node| self.kinds.get((node as usize).wrapping_sub(1))).is_some_and(|found| found & kind != 0)
    }

    fn has(&self, name: &str, kind: u8) -> bool {
        self.symbols_of(name).is_some_and(|symbols| self.is_defined(ROOT, &symbols, kind))
    }
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
