//! The comparison of two schemas. "Original" is the writer's schema, "update" the reader's.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::mem;

use super::ProtobufError;
use super::difference::{Difference, DifferenceKind};
use super::element::{Field, File, Label, Message, OneOf, Type, is_scalar, map_parts};
use super::names::{Definition, Origin, Scope, TypeInfo, Types};
use super::order;
use crate::schema::nesting::{MAX_COMPARED_DEPTH, MAX_COMPARED_PAIRS, MAX_DIFFERENCES};

/// Maximum size of all differences that a comparison makes. Their paths can be long.
const MAX_DIFFERENCE_BYTES: usize = 64 << 20;

type Compared<T> = Result<T, Stop>;

/// Why a comparison ends early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    TooLarge,
    /// More differences are not reported.
    Enough,
}

/// One of the two schemas.
pub(super) struct Side<'a> {
    pub file: &'a File,
    pub types: Types<'a>,
}

/// Returns the incompatible differences.
pub(super) fn compare(original: &Side<'_>, update: &Side<'_>) -> Result<Vec<Difference>, ProtobufError> {
    let mut comparison = Comparison {
        original: &original.types,
        update: &update.types,
        original_scope: Scope::of(original.file.package.as_deref()),
        update_scope: Scope::of(update.file.package.as_deref()),
        path: Vec::new(),
        in_progress: HashSet::new(),
        clean: HashSet::new(),
        is_assumed: false,
        found: Vec::new(),
        pairs: 0,
        depth: 0,
        free: MAX_DIFFERENCE_BYTES,
    };
    match comparison.compare_files(original.file, update.file) {
        Ok(()) | Err(Stop::Enough) => Ok(comparison.found),
        Err(Stop::TooLarge) => Err(ProtobufError::new("the schemas are too large or too deep to be compared")),
    }
}

struct Comparison<'a> {
    original: &'a Types<'a>,
    update: &'a Types<'a>,
    original_scope: Scope,
    update_scope: Scope,
    path: Vec<String>,
    /// Messages of the original that are being compared, by identity.
    in_progress: HashSet<*const Message>,
    /// Pairs of messages of other files that are compatible.
    clean: HashSet<(*const Message, *const Message)>,
    /// Whether a message was reached again while it was compared, and counted as the same.
    is_assumed: bool,
    found: Vec<Difference>,
    pairs: usize,
    depth: usize,
    free: usize,
}

/// The groups that scalar types are compatible in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ScalarKind {
    GeneralNumber,
    SignedNumber,
    StringOrBytes,
    Fixed32,
    Fixed64,
    Float,
    Double,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Scalar(ScalarKind),
    Map,
    Message,
}

/// The fields of a message with those of its oneofs, by their numbers.
struct Fields<'m> {
    by_tag: BTreeMap<i32, &'m Field>,
    one_of_of_tag: HashMap<i32, &'m str>,
    one_ofs: HashMap<&'m str, &'m OneOf>,
}

impl<'m> Fields<'m> {
    fn of(message: &'m Message) -> Fields<'m> {
        let by_tag = message.fields.iter().map(|field| (field.tag, field)).collect();
        let mut fields = Fields { by_tag, one_of_of_tag: HashMap::new(), one_ofs: HashMap::new() };
        for one_of in &message.one_ofs {
            fields.one_ofs.insert(&one_of.name, one_of);
            for field in &one_of.fields {
                fields.by_tag.insert(field.tag, field);
                fields.one_of_of_tag.insert(field.tag, &one_of.name);
            }
        }
        fields
    }

    fn is_in_one_of(&self, tag: i32) -> bool {
        self.one_of_of_tag.contains_key(&tag)
    }
}

impl Comparison<'_> {
    fn compare_files(&mut self, original: &File, update: &File) -> Compared<()> {
        if original.package != update.package {
            self.add(DifferenceKind::PackageChanged)?;
        }
        self.compare_types(&original.types, &update.types)
    }

    fn add(&mut self, kind: DifferenceKind) -> Compared<()> {
        let path = format!("#/{}", self.path.join("/"));
        self.free = self.free.checked_sub(path.len() + size_of::<Difference>()).ok_or(Stop::TooLarge)?;
        self.found.push(Difference { kind, path });
        if self.found.len() == MAX_DIFFERENCES { Err(Stop::Enough) } else { Ok(()) }
    }

    fn add_at(&mut self, parts: &[&str], kind: DifferenceKind) -> Compared<()> {
        self.at(parts, |comparison| comparison.add(kind))
    }

    /// Does something with a longer path.
    fn at(&mut self, parts: &[&str], action: impl FnOnce(&mut Self) -> Compared<()>) -> Compared<()> {
        let depth = self.path.len();
        self.path.extend(parts.iter().map(|part| (*part).to_owned()));
        action(self)?;
        self.path.truncate(depth);
        Ok(())
    }

    fn count(&mut self) -> Compared<()> {
        self.pairs += 1;
        if self.pairs > MAX_COMPARED_PAIRS || self.depth > MAX_COMPARED_DEPTH { Err(Stop::TooLarge) } else { Ok(()) }
    }

    fn compare_types(&mut self, original: &[Type], update: &[Type]) -> Compared<()> {
        let (originals, updates) = (messages(original), messages(update));
        let names = |types: &[Type]| -> Vec<String> {
            let mut known = HashSet::new();
            let names = types.iter().filter(|found| matches!(found, Type::Message(_))).map(Type::name);
            names.filter(|name| known.insert(*name)).map(str::to_owned).collect()
        };
        let (original_names, update_names) = (names(original), names(update));
        let original_names: Vec<&str> = original_names.iter().map(String::as_str).collect();
        let update_names: Vec<&str> = update_names.iter().map(String::as_str).collect();
        for name in order::of_sets(&original_names, &update_names) {
            self.count()?;
            let Some(original) = originals.get(name) else { continue };
            self.enter_name(name);
            match updates.get(name) {
                Some(update) => self.compare_messages(original, update)?,
                None => {
                    let info = self.original.find(name, &self.original_scope);
                    if info.is_some_and(|info| !info.is_map()) {
                        self.add(DifferenceKind::MessageRemoved)?;
                    }
                }
            }
            self.leave_name();
        }
        Ok(())
    }

    fn enter_name(&mut self, name: &str) {
        self.path.push(name.to_owned());
        self.original_scope.names.push(name.to_owned());
        self.update_scope.names.push(name.to_owned());
    }

    fn leave_name(&mut self) {
        self.path.pop();
        self.original_scope.names.pop();
        self.update_scope.names.pop();
    }

    fn compare_messages(&mut self, original: &Message, update: &Message) -> Compared<()> {
        self.depth += 1;
        self.count()?;
        let identity = std::ptr::from_ref(original);
        let is_first = self.in_progress.insert(identity);
        self.is_assumed |= !is_first;
        if is_first {
            let (originals, updates) = (Fields::of(original), Fields::of(update));
            self.compare_one_ofs(&originals, update)?;
            self.compare_fields(&originals, &updates)?;
        }
        self.compare_types(&original.types, &update.types)?;
        if is_first {
            self.in_progress.remove(&identity);
        }
        self.depth -= 1;
        Ok(())
    }

    /// Finds oneofs that exclude fields from each other which could both be set before.
    fn compare_one_ofs(&mut self, originals: &Fields<'_>, update: &Message) -> Compared<()> {
        for one_of in &update.one_ofs {
            let mut groups = BTreeSet::new();
            let mut moved = 0;
            for field in &one_of.fields {
                if let Some(name) = originals.one_of_of_tag.get(&field.tag) {
                    groups.insert((Some(*name), 0));
                } else if originals.by_tag.contains_key(&field.tag) {
                    groups.insert((None, field.tag));
                    moved += 1;
                }
            }
            match (groups.len(), moved) {
                (0 | 1, _) => {}
                (_, 2..) => self.add_at(&[&one_of.name], DifferenceKind::MultipleFieldsMovedToOneOf)?,
                _ => self.add_at(&[&one_of.name], DifferenceKind::FieldMovedToExistingOneOf)?,
            }
        }
        Ok(())
    }

    fn compare_fields(&mut self, originals: &Fields<'_>, updates: &Fields<'_>) -> Compared<()> {
        let tags: BTreeSet<i32> = originals.by_tag.keys().chain(updates.by_tag.keys()).copied().collect();
        for tag in tags {
            self.count()?;
            let tag_text = tag.to_string();
            match (originals.by_tag.get(&tag), updates.by_tag.get(&tag)) {
                (Some(original), Some(update)) => match updates.one_of_of_tag.get(&tag) {
                    Some(one_of) => {
                        self.at(&[one_of, &tag_text], |compared| compared.compare_field(original, update))?
                    }
                    None => self.at(&[&tag_text], |compared| compared.compare_field(original, update))?,
                },
                (Some(original), None) => match originals.one_of_of_tag.get(&tag) {
                    Some(one_of) if is_deleted(one_of, originals, updates) => {}
                    Some(one_of) => self.add_at(&[one_of, &tag_text], DifferenceKind::OneOfFieldRemoved)?,
                    None if original.label == Some(Label::Required) => {
                        self.add_at(&[&tag_text], DifferenceKind::RequiredFieldRemoved)?;
                    }
                    None => {}
                },
                (None, Some(update)) if !updates.is_in_one_of(tag) && update.label == Some(Label::Required) => {
                    self.add_at(&[&tag_text], DifferenceKind::RequiredFieldAdded)?;
                }
                (None, _) => {}
            }
        }
        Ok(())
    }

    fn compare_field(&mut self, original: &Field, update: &Field) -> Compared<()> {
        self.compare_labels_and_types((original.label, update.label), &original.type_name, &update.type_name)
    }

    fn compare_labels_and_types(
        &mut self,
        labels: (Option<Label>, Option<Label>),
        original: &str,
        update: &str,
    ) -> Compared<()> {
        let original_info = self.original.find(original, &self.original_scope);
        let update_info = self.update.find(update, &self.update_scope);
        let original_map = original_info.and_then(|info| info.map_type());
        let update_map = update_info.and_then(|info| info.map_type());
        let original = original_map.as_deref().unwrap_or(original);
        let update = update_map.as_deref().unwrap_or(update);
        match (kind(original, original_info), kind(update, update_info)) {
            (Kind::Scalar(original), Kind::Scalar(update)) if original != update => {
                self.add(DifferenceKind::FieldScalarKindChanged)
            }
            (Kind::Scalar(scalar), Kind::Scalar(_)) => match labels {
                (Some(original), Some(update)) if original != update && scalar != ScalarKind::StringOrBytes => {
                    self.add(DifferenceKind::FieldNumericLabelChanged)
                }
                _ => Ok(()),
            },
            (Kind::Message, Kind::Message) => self.compare_message_types(original, update),
            (Kind::Map, Kind::Map) => {
                let (Some(original), Some(update)) = (map_parts(original), map_parts(update)) else { return Ok(()) };
                self.compare_labels_and_types((None, None), original.0, update.0)?;
                self.compare_labels_and_types((None, None), original.1, update.1)
            }
            _ => self.add(DifferenceKind::FieldKindChanged),
        }
    }

    fn compare_message_types(&mut self, original: &str, update: &str) -> Compared<()> {
        let original_name = self.original.resolve(original, &self.original_scope);
        let update_name = self.update.resolve(update, &self.update_scope);
        let (Some(original_name), Some(update_name)) = (original_name, update_name) else {
            return if original == update { Ok(()) } else { self.add(DifferenceKind::FieldNamedTypeChanged) };
        };
        // The full names are resolved once more, as if they were relative.
        let original_info = self.original.find(&original_name, &self.original_scope);
        let update_info = self.update.find(&update_name, &self.update_scope);
        let (Some(original_info), Some(update_info)) = (original_info, update_info) else { return Ok(()) };
        let original_local = local_name(&original_name, &original_info);
        if original_local != local_name(&update_name, &update_info) {
            return self.add(DifferenceKind::FieldNamedTypeChanged);
        }
        if original_info.origin == Origin::Local && update_info.origin == Origin::Local {
            // Compared with the other messages of the schemas.
            return Ok(());
        }
        let (Some(original), Some(update)) = (original_info.message(), update_info.message()) else {
            return Ok(());
        };
        if self.compare_elsewhere(original_local, (&original_info, original), (&update_info, update))? {
            return Ok(());
        }
        self.add(DifferenceKind::FieldNamedTypeChanged)
    }

    /// Compares messages with the paths and the packages of their own files. Returns whether they are compatible.
    fn compare_elsewhere(
        &mut self,
        local_name: &str,
        (original_info, original): (&TypeInfo<'_>, &Message),
        (update_info, update): (&TypeInfo<'_>, &Message),
    ) -> Compared<bool> {
        let pair = (std::ptr::from_ref(original), std::ptr::from_ref(update));
        if self.clean.contains(&pair) {
            return Ok(true);
        }
        let was_assumed = mem::take(&mut self.is_assumed);
        let names: Vec<String> = local_name.split('.').map(str::to_owned).collect();
        let scope = |package: &str| Scope { package: package.to_owned(), names: names.clone() };
        let original_scope = mem::replace(&mut self.original_scope, scope(original_info.package));
        let update_scope = mem::replace(&mut self.update_scope, scope(update_info.package));
        let path = mem::replace(&mut self.path, names.clone());
        let before = self.found.len();
        self.compare_messages(original, update)?;
        self.original_scope = original_scope;
        self.update_scope = update_scope;
        self.path = path;
        let is_compatible = self.found.len() == before;
        if is_compatible && !self.is_assumed {
            self.clean.insert(pair);
        }
        self.is_assumed |= was_assumed;
        Ok(is_compatible)
    }
}

fn messages(types: &[Type]) -> HashMap<&str, &Message> {
    let messages = types.iter().filter_map(|found| match found {
        Type::Message(message) => Some((message.name.as_str(), message)),
        Type::Enum(_) => None,
    });
    messages.collect()
}

/// Whether a oneof has no place in the update, with all its fields.
fn is_deleted(one_of: &str, originals: &Fields<'_>, updates: &Fields<'_>) -> bool {
    let Some(original) = originals.one_ofs.get(one_of) else { return false };
    !updates.one_ofs.contains_key(one_of)
        && !original.fields.iter().any(|field| updates.by_tag.contains_key(&field.tag))
}

fn local_name<'n>(full: &'n str, info: &TypeInfo<'_>) -> &'n str {
    full.strip_prefix(info.package).and_then(|rest| rest.strip_prefix('.')).unwrap_or(full)
}

fn kind(type_name: &str, info: Option<TypeInfo<'_>>) -> Kind {
    let is_enum = info.is_some_and(|info| matches!(info.definition, Definition::Enum(_)));
    if is_scalar(type_name) || (is_enum && map_parts(type_name).is_none()) {
        return Kind::Scalar(if is_enum { ScalarKind::GeneralNumber } else { scalar_kind(type_name) });
    }
    if map_parts(type_name).is_some() { Kind::Map } else { Kind::Message }
}

fn scalar_kind(type_name: &str) -> ScalarKind {
    match type_name {
        "sint32" | "sint64" => ScalarKind::SignedNumber,
        "string" | "bytes" => ScalarKind::StringOrBytes,
        "fixed32" | "sfixed32" => ScalarKind::Fixed32,
        "fixed64" | "sfixed64" => ScalarKind::Fixed64,
        "float" => ScalarKind::Float,
        "double" => ScalarKind::Double,
        _ => ScalarKind::GeneralNumber,
    }
}
