//! The strict check of a schema (`validateFields`): whether Google's library for Java can make descriptors of it, with its
//! messages.
//!
//! Other than in Confluent's own resolution of names, a type must be in the file itself, in one that it imports, or in one that
//! such a file imports publicly.

use std::cell::Cell;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use super::ProtobufError;
use super::descriptor::entry_name;
use super::element::{
    Enum, Extend, Field, File, Label, MAX_TAG, Message, OptionElement, Reserved, Service, Type, is_scalar, map_parts,
};

/// Maximum number of bytes of full names that are made and looked up for one schema.
const MAX_NAME_BYTES_IN_ALL: usize = 100_000_000;

type Checked = Result<(), ProtobufError>;

/// Checks a file and those that it imports. `imported` has the files that there are; an import of another one has no effect.
pub(super) fn check<'a>(file: &'a File, imported: impl Fn(&str) -> Option<&'a File>) -> Checked {
    let sources = collect(file, imported);
    let names = Names::of(&sources);
    // As a rule after those that it imports, as Confluent does; the first error depends on the order.
    for at in (0..sources.len()).rev() {
        let visible = visible(&sources, at);
        let mut own = Symbols { names: HashSet::new(), packages: HashMap::new(), budget: &names.budget };
        own.add_packages(&sources, &visible, at);
        own.add_file(sources[at].file)?;
        Linker { names: &names, visible: &visible }.file(sources[at].file)?;
    }
    names.check_duplicates()
}

/// A file with the places of what it imports.
struct Source<'a> {
    file: &'a File,
    path: &'a str,
    imports: Vec<usize>,
    public_imports: Vec<usize>,
}

/// Collects the file, which is the first, and all that it imports.
fn collect<'a>(file: &'a File, imported: impl Fn(&str) -> Option<&'a File>) -> Vec<Source<'a>> {
    let source = |file, path| Source { file, path, imports: Vec::new(), public_imports: Vec::new() };
    let mut sources: Vec<Source<'a>> = vec![source(file, "default")];
    let mut places: HashMap<&'a str, usize> = HashMap::new();
    let mut at = 0;
    while let Some(Source { file, .. }) = sources.get(at) {
        let file: &'a File = file;
        let mut place = |path: &'a str| match places.entry(path) {
            Entry::Occupied(found) => Some(*found.get()),
            Entry::Vacant(new) => {
                sources.push(source(imported(path)?, path));
                Some(*new.insert(sources.len() - 1))
            }
        };
        let imports = file.imports.iter().filter_map(|path| place(path)).collect();
        let public_imports = file.public_imports.iter().filter_map(|path| place(path)).collect();
        (sources[at].imports, sources[at].public_imports) = (imports, public_imports);
        at += 1;
    }
    sources
}

/// The files whose types a file can use.
fn visible(sources: &[Source<'_>], at: usize) -> HashSet<usize> {
    let mut found = HashSet::from([at]);
    let mut waiting: Vec<usize> = sources[at].imports.iter().chain(&sources[at].public_imports).copied().collect();
    while let Some(next) = waiting.pop() {
        if found.insert(next) {
            waiting.extend(&sources[next].public_imports);
        }
    }
    found
}

#[derive(Clone, Copy)]
enum Kind<'a> {
    Package,
    Service,
    Message(&'a Message),
    Enum(&'a Enum),
}

impl Kind<'_> {
    fn is_type(self) -> bool {
        matches!(self, Kind::Message(_) | Kind::Enum(_))
    }
}

/// What full names stand for, in each of the files.
struct Names<'a> {
    kinds: HashMap<String, Vec<(usize, Kind<'a>)>>,
    budget: Budget,
}

/// The bytes of names so far.
#[derive(Default)]
struct Budget(Cell<usize>);

impl Budget {
    fn spend(&self, bytes: usize) {
        self.0.set(self.0.get().saturating_add(bytes));
    }

    fn is_spent(&self) -> bool {
        self.0.get() > MAX_NAME_BYTES_IN_ALL
    }

    fn check(&self) -> Checked {
        match self.is_spent() {
            true => Err(ProtobufError::new("the schema has too many long names to check its fields")),
            false => Ok(()),
        }
    }
}

impl<'a> Names<'a> {
    fn of(sources: &[Source<'a>]) -> Names<'a> {
        let mut names = Names { kinds: HashMap::new(), budget: Budget::default() };
        for (at, source) in sources.iter().enumerate() {
            let package = source.file.package.as_deref().unwrap_or_default();
            prefixes(package).for_each(|name| names.add(name.to_owned(), at, Kind::Package));
            let services = source.file.services.iter();
            services.for_each(|service| names.add(join(package, &service.name), at, Kind::Service));
            names.add_types(&source.file.types, package, at);
        }
        names
    }

    fn add(&mut self, name: String, at: usize, kind: Kind<'a>) {
        self.budget.spend(name.len());
        if !self.budget.is_spent() {
            self.kinds.entry(name).or_default().push((at, kind));
        }
    }

    fn add_types(&mut self, types: &'a [Type], scope: &str, at: usize) {
        for found in types {
            let name = join(scope, found.name());
            match found {
                Type::Message(message) => {
                    self.add_types(&message.types, &name, at);
                    self.add(name, at, Kind::Message(message));
                }
                Type::Enum(element) => self.add(name, at, Kind::Enum(element)),
            }
        }
    }

    fn find(&self, name: &str, visible: &HashSet<usize>, is_wanted: impl Fn(Kind<'a>) -> bool) -> Option<Kind<'a>> {
        let kinds = self.kinds.get(name).map_or(&[][..], Vec::as_slice);
        self.budget.spend(name.len() + 1 + kinds.len());
        kinds.iter().find(|(at, kind)| is_wanted(*kind) && visible.contains(at)).map(|(_, kind)| *kind)
    }

    /// Finds a type, with its full name, by a name inside a part with the full name `user`. The first part of the name decides
    /// where the rest must be.
    fn find_type(&self, name: &str, user: &str, visible: &HashSet<usize>) -> Option<(String, Kind<'a>)> {
        let find = |name: String| self.find(&name, visible, Kind::is_type).map(|kind| (name, kind));
        if let Some(full) = name.strip_prefix('.') {
            return find(full.to_owned());
        }
        let first = name.split('.').next().unwrap_or_default();
        let mut scope = user;
        while let Some((around, _)) = scope.rsplit_once('.') {
            if self.budget.is_spent() {
                return None;
            }
            if self.find(&join(around, first), visible, |_| true).is_some() {
                return find(join(around, name));
            }
            scope = around;
        }
        find(name.to_owned())
    }

    /// No two files may define one name.
    fn check_duplicates(&self) -> Checked {
        let duplicate = self.kinds.iter().filter(|(_, kinds)| {
            let count = |is_counted: fn(&Kind<'_>) -> bool| kinds.iter().filter(|(_, kind)| is_counted(kind)).count();
            count(|kind| matches!(kind, Kind::Message(_))) > 1 || count(|kind| matches!(kind, Kind::Enum(_))) > 1
        });
        match duplicate.map(|(name, _)| name).min() {
            Some(name) => Err(ProtobufError::new(format!("duplicate name: {name}"))),
            None => Ok(()),
        }
    }
}

/// The full names in one file, each of which may be there once.
struct Symbols<'n, 'a> {
    names: HashSet<String>,
    /// The packages of the files that can be used, with their paths.
    packages: HashMap<&'a str, &'a str>,
    budget: &'n Budget,
}

impl<'a> Symbols<'_, 'a> {
    fn add_packages(&mut self, sources: &[Source<'a>], visible: &HashSet<usize>, own: usize) {
        let mut others: Vec<usize> = visible.iter().copied().filter(|at| *at != own).collect();
        others.sort_unstable();
        for at in others {
            let file = sources[at].file;
            for name in prefixes(file.package.as_deref().unwrap_or_default()) {
                self.packages.entry(name).or_insert(sources[at].path);
            }
        }
    }

    fn add(&mut self, scope: &str, name: &str) -> Checked {
        let full = join(scope, name);
        self.budget.spend(full.len());
        self.budget.check()?;
        if let Some(path) = self.packages.get(full.as_str()) {
            return Err(invalid(&full, format!("\"{name}\" is already defined in file \"{path}\".")));
        }
        if self.names.contains(&full) {
            let place = if scope.is_empty() { String::new() } else { format!(" in \"{scope}\"") };
            return Err(invalid(&full, format!("\"{name}\" is already defined{place}.")));
        }
        self.names.insert(full);
        Ok(())
    }

    fn add_file(&mut self, file: &File) -> Checked {
        let package = file.package.as_deref().unwrap_or_default();
        self.add_types(&file.types, package)?;
        for Service { name, rpcs, .. } in &file.services {
            self.add(package, name)?;
            let full = join(package, name);
            rpcs.iter().try_for_each(|rpc| self.add(&full, &rpc.name))?;
        }
        self.add_extends(&file.extends, package)
    }

    fn add_types(&mut self, types: &[Type], scope: &str) -> Checked {
        for found in types {
            let full = join(scope, found.name());
            self.add(scope, found.name())?;
            match found {
                Type::Enum(element) if element.constants.is_empty() => {
                    return Err(invalid(&full, "Enums must contain at least one value."));
                }
                Type::Enum(element) => {
                    element.constants.iter().try_for_each(|constant| self.add(&full, &constant.name))?;
                }
                Type::Message(message) => {
                    self.add_types(&message.types, &full)?;
                    fields(message).iter().try_for_each(|(field, _)| self.add_field(&full, field))?;
                    self.add_extends(&message.extends, &full)?;
                    check_numbers(message, &full)?;
                }
            }
        }
        Ok(())
    }

    fn add_extends(&mut self, extends: &[Extend], scope: &str) -> Checked {
        extends.iter().flat_map(|extend| &extend.fields).try_for_each(|field| self.add_field(scope, field))
    }

    fn add_field(&mut self, scope: &str, field: &Field) -> Checked {
        if field.tag <= 0 {
            return Err(invalid(&join(scope, &field.name), "Field numbers must be positive integers."));
        }
        self.add(scope, &field.name)
    }
}

/// The fields of a message with whether they are in a oneof, in the order of the descriptor.
fn fields(message: &Message) -> Vec<(&Field, bool)> {
    let in_one_ofs = message.one_ofs.iter().flat_map(|one_of| &one_of.fields);
    in_one_ofs.map(|field| (field, true)).chain(message.fields.iter().map(|field| (field, false))).collect()
}

fn check_numbers(message: &Message, full: &str) -> Checked {
    let mut used: HashMap<i32, &str> = HashMap::new();
    for (field, _) in fields(message) {
        if let Some(other) = used.insert(field.tag, &field.name) {
            let details =
                format!("Field number {} has already been used in \"{full}\" by field \"{other}\".", field.tag);
            return Err(invalid(&join(full, &field.name), details));
        }
    }
    Ok(())
}

/// Checks what the parts of one file refer to.
struct Linker<'n, 'a> {
    names: &'n Names<'a>,
    visible: &'n HashSet<usize>,
}

impl<'a> Linker<'_, 'a> {
    fn file(&self, file: &File) -> Checked {
        let package = file.package.as_deref().unwrap_or_default();
        self.types(&file.types, package)?;
        for service in &file.services {
            for rpc in &service.rpcs {
                let full = join(&join(package, &service.name), &rpc.name);
                self.message(&rpc.request, &full)?;
                self.message(&rpc.response, &full)?;
            }
        }
        self.extends(&file.extends, package)?;
        check_word(&file.options, "optimize_for", &["SPEED", "CODE_SIZE", "LITE_RUNTIME"], "FileOptions.OptimizeMode")
    }

    fn types(&self, types: &[Type], scope: &str) -> Checked {
        for found in types {
            let Type::Message(message) = found else { continue };
            let full = join(scope, &message.name);
            self.types(&message.types, &full)?;
            for (field, is_in_one_of) in fields(message) {
                match map_parts(&field.type_name).filter(|_| !is_in_one_of) {
                    Some((_, value)) => {
                        let user = join(&join(&full, &entry_name(&field.name)), "value");
                        self.find_unless_scalar(value, &user)?;
                        check_options(field, &join(&full, &field.name), false)?;
                    }
                    None => self.field(field, &full)?,
                }
            }
            self.extends(&message.extends, &full)?;
        }
        Ok(())
    }

    fn extends(&self, extends: &[Extend], scope: &str) -> Checked {
        for extend in extends {
            for field in &extend.fields {
                let full = join(scope, &field.name);
                let (extended, message) = self.message(&extend.name, &full)?;
                let mut numbers = message.extensions.iter().flat_map(|extensions| &extensions.values);
                if !numbers.any(|numbers| has_number(numbers, field.tag)) {
                    let details = format!("\"{extended}\" does not declare {} as an extension number.", field.tag);
                    return Err(invalid(&full, details));
                }
                self.field(field, scope)?;
            }
        }
        Ok(())
    }

    fn field(&self, field: &Field, scope: &str) -> Checked {
        let full = join(scope, &field.name);
        let kind = self.find_unless_scalar(&field.type_name, &full)?;
        let is_packable = match kind {
            None => !matches!(field.type_name.as_str(), "string" | "bytes"),
            Some(kind) => matches!(kind, Kind::Enum(_)),
        };
        check_options(field, &full, is_packable && field.label == Some(Label::Repeated))?;
        let Some(default) = &field.default else { return Ok(()) };
        match kind {
            _ if field.label == Some(Label::Repeated) => {
                Err(invalid(&full, "Repeated fields cannot have default values."))
            }
            Some(Kind::Enum(element)) if element.constants.iter().any(|constant| constant.name == *default) => Ok(()),
            Some(Kind::Enum(_)) => Err(invalid(&full, format!("Unknown enum default value: \"{default}\""))),
            Some(_) => Err(invalid(&full, "Messages can't have default values.")),
            None if is_default(&field.type_name, default) => Ok(()),
            None => Err(invalid(&full, format!("Could not parse default value: \"{default}\""))),
        }
    }

    fn find_unless_scalar(&self, name: &str, user: &str) -> Result<Option<Kind<'a>>, ProtobufError> {
        if is_scalar(name) { Ok(None) } else { self.find(name, user).map(|(_, kind)| Some(kind)) }
    }

    fn find(&self, name: &str, user: &str) -> Result<(String, Kind<'a>), ProtobufError> {
        let found = self.names.find_type(name, user, self.visible);
        self.names.budget.check()?;
        found.ok_or_else(|| invalid(user, format!("\"{name}\" is not defined.")))
    }

    fn message(&self, name: &str, user: &str) -> Result<(String, &'a Message), ProtobufError> {
        match self.find(name, user)? {
            (full, Kind::Message(message)) => Ok((full, message)),
            _ => Err(invalid(user, format!("\"{name}\" is not a message type."))),
        }
    }
}

fn has_number(numbers: &Reserved, number: i32) -> bool {
    match numbers {
        Reserved::Tag(tag) => *tag == number,
        Reserved::Range(first, last) => (*first..=(*last).min(MAX_TAG)).contains(&number),
        Reserved::Name(_) => false,
    }
}

fn check_options(field: &Field, full: &str, can_be_packed: bool) -> Checked {
    let is_packed = word(&field.options, "packed").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    if is_packed && !can_be_packed {
        return Err(invalid(full, "[packed = true] can only be specified for repeated primitive fields."));
    }
    check_word(&field.options, "jstype", &["JS_NORMAL", "JS_STRING", "JS_NUMBER"], "FieldOptions.JSType")?;
    check_word(&field.options, "ctype", &["STRING", "CORD", "STRING_PIECE"], "FieldOptions.CType")
}

fn word<'o>(options: &'o [OptionElement], name: &str) -> Option<&'o str> {
    options.iter().rev().find(|option| option.name == name)?.value.word()
}

/// Checks the value of an option that has one of a few names.
fn check_word(options: &[OptionElement], name: &str, allowed: &[&str], class: &str) -> Checked {
    let Some(option) = options.iter().rev().find(|option| option.name == name) else { return Ok(()) };
    match option.value.word() {
        Some(word) if allowed.contains(&word) => Ok(()),
        other => {
            let value = other.unwrap_or("(a value with parts)");
            let class = format!("com.google.protobuf.DescriptorProtos.{class}");
            Err(ProtobufError::new(format!("No enum constant {class}.{value}")))
        }
    }
}

/// Whether a text is a value of a type that is no message or enum.
fn is_default(type_name: &str, text: &str) -> bool {
    let (min, max) = match type_name {
        "int32" | "sint32" | "sfixed32" => (i128::from(i32::MIN), i128::from(i32::MAX)),
        "int64" | "sint64" | "sfixed64" => (i128::from(i64::MIN), i128::from(i64::MAX)),
        "uint32" | "fixed32" => (0, i128::from(u32::MAX)),
        "uint64" | "fixed64" => (0, i128::from(u64::MAX)),
        "float" | "double" => return matches!(text, "inf" | "-inf" | "nan") || text.trim().parse::<f64>().is_ok(),
        _ => return true,
    };
    integer(text).is_some_and(|value| (min..=max).contains(&value))
}

/// Reads a number in decimal, octal or hexadecimal digits.
fn integer(text: &str) -> Option<i128> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let (radix, digits) = match digits.strip_prefix("0x") {
        Some(digits) => (16, digits),
        None if digits.len() > 1 && digits.starts_with('0') => (8, &digits[1..]),
        None => (10, digits),
    };
    Some(sign * i128::from(u64::from_str_radix(digits, radix).ok()?))
}

/// A package and those around it.
fn prefixes(package: &str) -> impl Iterator<Item = &str> {
    let ends = package.match_indices('.').map(|(at, _)| at).chain((!package.is_empty()).then_some(package.len()));
    ends.map(|end| &package[..end])
}

fn join(scope: &str, name: &str) -> String {
    if scope.is_empty() { name.to_owned() } else { format!("{scope}.{name}") }
}

fn invalid(full: &str, details: impl std::fmt::Display) -> ProtobufError {
    ProtobufError::new(format!("Invalid protobuf schema definition: {full}: {details}"))
}
