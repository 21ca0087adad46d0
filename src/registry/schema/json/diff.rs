//! The comparison of two schemas. "Original" is the writer's schema, "update" the reader's.

use std::collections::{HashMap, HashSet};
use std::mem;
use std::sync::Arc;

use super::difference::{Difference, DifferenceKind};
use super::model::{Criterion, Kind, Model, Node, NodeId, Part, StringRules};
use super::pattern::Pattern;
use super::{JsonSchemaError, arrays, numbers, objects};
use crate::schema::nesting::{MAX_COMPARED_DEPTH, MAX_COMPARED_PAIRS};

/// Maximum size of all differences that a comparison makes. Their paths can be long.
const MAX_DIFFERENCE_BYTES: usize = 64 << 20;
/// Maximum number of patterns that a comparison compiles.
const MAX_PATTERNS: usize = 500;
/// Maximum number of passes over recursive schemas.
const MAX_PASSES: usize = 32;

pub(super) type Compared<T> = Result<T, JsonSchemaError>;
/// Two schemas, and whether they are compared the other way round, as under `not`.
type Pair = (NodeId, NodeId, bool);
type Found = Arc<[Difference]>;

/// Compares two schemas. Returns all differences, compatible ones too.
///
/// A pair of schemas that is reached again while it is compared counts as the same. That can hide a difference behind another
/// reference, so the comparison is repeated with the pairs that were found to be incompatible, until there are no more.
pub(super) fn compare(original: &Model, update: &Model, lenient: bool) -> Compared<Vec<Difference>> {
    let mut incompatible: HashMap<Pair, Found> = HashMap::new();
    for _ in 0..MAX_PASSES {
        let mut comparison = Comparison {
            original,
            update,
            lenient,
            is_reversed: false,
            results: HashMap::new(),
            in_progress: HashSet::new(),
            known: incompatible,
            assumed: false,
            depth: 0,
            path: Vec::new(),
            found: Vec::new(),
            free: MAX_DIFFERENCE_BYTES,
            patterns: HashMap::new(),
        };
        comparison.compare(Some(original.root), Some(update.root))?;
        let differs = |found: &Found| found.iter().any(|difference| !difference.kind.is_compatible(lenient));
        let now: HashMap<Pair, Found> = comparison.results.into_iter().filter(|(_, found)| differs(found)).collect();
        let is_stable =
            now.len() == comparison.known.len() && now.keys().all(|pair| comparison.known.contains_key(pair));
        if !comparison.assumed || is_stable {
            return Ok(comparison.found);
        }
        incompatible = now;
    }
    Err(too_large())
}

fn too_large() -> JsonSchemaError {
    JsonSchemaError::new("the schemas are too large or too deep to be compared")
}

pub(super) struct Comparison<'a> {
    pub original: &'a Model,
    pub update: &'a Model,
    lenient: bool,
    is_reversed: bool,
    /// The differences of pairs, with paths from the pair on.
    results: HashMap<Pair, Found>,
    in_progress: HashSet<Pair>,
    /// Pairs that an earlier pass found to be incompatible.
    known: HashMap<Pair, Found>,
    /// Whether a pair was taken for compatible because it is in progress.
    assumed: bool,
    depth: usize,
    path: Vec<String>,
    found: Vec<Difference>,
    /// How many more bytes the differences may have.
    free: usize,
    /// Compiled patterns; `None` for those that cannot be compiled.
    patterns: HashMap<String, Option<Pattern>>,
}

impl Comparison<'_> {
    /// Adds a difference at the current path.
    pub fn add(&mut self, kind: DifferenceKind) -> Compared<()> {
        let path = format!("#/{}", self.path.join("/"));
        self.push(Difference { kind, path })
    }

    /// Adds a difference of a keyword.
    pub fn add_at(&mut self, keyword: &str, kind: DifferenceKind) -> Compared<()> {
        self.within(keyword, |comparison| comparison.add(kind))
    }

    fn push(&mut self, difference: Difference) -> Compared<()> {
        let bytes = mem::size_of::<Difference>() + difference.path.len();
        self.free = self.free.checked_sub(bytes).ok_or_else(too_large)?;
        self.found.push(difference);
        Ok(())
    }

    pub fn within<T>(&mut self, part: &str, inner: impl FnOnce(&mut Self) -> Compared<T>) -> Compared<T> {
        self.path.push(part.to_owned());
        let result = inner(self);
        self.path.pop();
        result
    }

    /// Runs a comparison apart. Returns its differences.
    pub fn apart(&mut self, inner: impl FnOnce(&mut Self) -> Compared<()>) -> Compared<Vec<Difference>> {
        let found = mem::take(&mut self.found);
        let result = inner(self);
        let apart = mem::replace(&mut self.found, found);
        result?;
        Ok(apart)
    }

    /// Whether a pattern matches a part of a name. One that is too large, or that takes too long, matches nothing.
    pub fn is_match(&mut self, pattern: &str, name: &str) -> Compared<bool> {
        if !self.patterns.contains_key(pattern) {
            if self.patterns.len() == MAX_PATTERNS {
                return Err(too_large());
            }
            self.patterns.insert(pattern.to_owned(), Pattern::compile(pattern));
        }
        Ok(self.patterns.get(pattern).and_then(Option::as_ref).is_some_and(|pattern| pattern.is_match(name)))
    }

    pub fn are_compatible(&self, found: &[Difference]) -> bool {
        found.iter().all(|difference| difference.kind.is_compatible(self.lenient))
    }

    pub fn extend(&mut self, found: Vec<Difference>) {
        self.found.extend(found);
    }

    /// Compares two schemas that may be absent.
    pub fn compare(&mut self, original: Option<NodeId>, update: Option<NodeId>) -> Compared<()> {
        match (original, update) {
            (None, None) => Ok(()),
            (None, Some(_)) => self.add(DifferenceKind::SchemaAdded),
            (Some(_), None) => self.add(DifferenceKind::SchemaRemoved),
            (Some(original), Some(update)) => {
                let pair = (referred(self.original, original), referred(self.update, update), self.is_reversed);
                let found = self.compare_pair(pair)?;
                self.add_rebased(&found)
            }
        }
    }

    fn add_rebased(&mut self, found: &[Difference]) -> Compared<()> {
        let prefix = self.path.join("/");
        for difference in found {
            let rest = &difference.path[2..];
            let separator = if prefix.is_empty() || rest.is_empty() { "" } else { "/" };
            self.push(Difference { kind: difference.kind, path: format!("#/{prefix}{separator}{rest}") })?;
        }
        Ok(())
    }

    fn compare_pair(&mut self, pair: Pair) -> Compared<Found> {
        if let Some(found) = self.results.get(&pair) {
            return Ok(Arc::clone(found));
        }
        if !self.in_progress.insert(pair) {
            if let Some(found) = self.known.get(&pair) {
                return Ok(Arc::clone(found));
            }
            self.assumed = true;
            return Ok(Arc::new([]));
        }
        if self.depth == MAX_COMPARED_DEPTH || self.results.len() == MAX_COMPARED_PAIRS {
            return Err(too_large());
        }
        self.depth += 1;
        let path = mem::take(&mut self.path);
        let found = self.apart(|comparison| comparison.compare_types(pair));
        self.path = path;
        self.depth -= 1;
        self.in_progress.remove(&pair);
        let found: Found = found?.into();
        self.results.insert(pair, Arc::clone(&found));
        Ok(found)
    }

    fn compare_types(&mut self, (original, update, _): Pair) -> Compared<()> {
        let (old, new) = (self.original.get(original), self.update.get(update));
        let is_covered = match (&old.kind, &new.kind) {
            (Kind::Combined { .. }, Kind::Combined { .. }) => false,
            (_, Kind::Combined { criterion, parts }) => self.is_covered_by_part(original, *criterion, parts)?,
            (Kind::Combined { criterion, parts }, _) => self.part_covers(*criterion, parts, update)?,
            _ => false,
        };
        if is_covered {
            return Ok(());
        }
        if !same_class(&old.kind, &new.kind) {
            let are_bytes = |node: &Node| node.connect_type.as_deref() == Some("bytes");
            if old.kind.is_false() || new.kind.is_empty() || (are_bytes(old) && are_bytes(new)) {
                return Ok(());
            }
            return self.add(DifferenceKind::TypeChanged);
        }
        self.compare_annotations(old, new)?;
        match (&old.kind, &new.kind) {
            (Kind::String(old), Kind::String(new)) => self.compare_strings(old, new),
            (Kind::Number(old), Kind::Number(new)) => numbers::compare(self, old, new),
            (Kind::Const(old), Kind::Const(new)) if old != new => {
                self.add_at("const", DifferenceKind::EnumArrayChanged)
            }
            (Kind::Enum(old), Kind::Enum(new)) => self.compare_enums(old, new),
            (Kind::Combined { criterion: a, parts: old }, Kind::Combined { criterion: b, parts: new }) => {
                self.compare_combined((*a, old), (*b, new))
            }
            (Kind::Not(old), Kind::Not(new)) => self.compare_not(*old, *new),
            (Kind::Object(old), Kind::Object(new)) => objects::compare(self, old, new),
            (Kind::Array(old), Kind::Array(new)) => arrays::compare(self, old, new),
            _ => Ok(()),
        }
    }

    /// Whether a schema is compatible with the only part of a combination, or with one of its alternatives.
    fn is_covered_by_part(&mut self, original: NodeId, criterion: Criterion, parts: &[Part]) -> Compared<bool> {
        if parts.len() != 1 && criterion == Criterion::All {
            return Ok(false);
        }
        for part in parts {
            let found = self.apart(|comparison| comparison.compare(Some(original), Some(part.id)))?;
            if self.are_compatible(&found) {
                self.extend(found);
                if parts.len() != 1 {
                    self.add(DifferenceKind::SumTypeExtended)?;
                }
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether the only part of a combination, or one that all values meet, is compatible with a schema.
    fn part_covers(&mut self, criterion: Criterion, parts: &[Part], update: NodeId) -> Compared<bool> {
        if parts.len() != 1 && criterion != Criterion::All {
            return Ok(false);
        }
        for part in parts {
            let found = self.apart(|comparison| comparison.compare(Some(part.id), Some(update)))?;
            if self.are_compatible(&found) {
                self.extend(found);
                if parts.len() != 1 {
                    self.add(DifferenceKind::ProductTypeNarrowed)?;
                }
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn compare_annotations(&mut self, old: &Node, new: &Node) -> Compared<()> {
        for (differs, kind) in [
            (old.id != new.id, DifferenceKind::IdChanged),
            (old.title != new.title, DifferenceKind::TitleChanged),
            (old.description != new.description, DifferenceKind::DescriptionChanged),
            (old.default != new.default, DifferenceKind::DefaultChanged),
        ] {
            if differs {
                self.add(kind)?;
            }
        }
        Ok(())
    }

    fn compare_strings(&mut self, old: &StringRules, new: &StringRules) -> Compared<()> {
        use DifferenceKind::{
            MaxLengthAdded, MaxLengthDecreased, MaxLengthIncreased, MaxLengthRemoved, MinLengthAdded,
            MinLengthDecreased, MinLengthIncreased, MinLengthRemoved, PatternAdded, PatternChanged, PatternRemoved,
        };
        let kinds = [MaxLengthAdded, MaxLengthRemoved, MaxLengthIncreased, MaxLengthDecreased];
        self.compare_counts("maxLength", old.max_length, new.max_length, kinds)?;
        let kinds = [MinLengthAdded, MinLengthRemoved, MinLengthIncreased, MinLengthDecreased];
        self.compare_counts("minLength", old.min_length, new.min_length, kinds)?;
        match (&old.pattern, &new.pattern) {
            (None, Some(_)) => self.add_at("pattern", PatternAdded),
            (Some(_), None) => self.add_at("pattern", PatternRemoved),
            (Some(old), Some(new)) if old != new => self.add_at("pattern", PatternChanged),
            _ => Ok(()),
        }
    }

    /// Compares a limit. The kinds are those for a limit that was added, removed, increased, and decreased.
    pub fn compare_counts(
        &mut self,
        keyword: &str,
        old: Option<i32>,
        new: Option<i32>,
        [added, removed, increased, decreased]: [DifferenceKind; 4],
    ) -> Compared<()> {
        match (old, new) {
            (None, Some(_)) => self.add_at(keyword, added),
            (Some(_), None) => self.add_at(keyword, removed),
            (Some(old), Some(new)) if old < new => self.add_at(keyword, increased),
            (Some(old), Some(new)) if old > new => self.add_at(keyword, decreased),
            _ => Ok(()),
        }
    }

    fn compare_enums(&mut self, old: &[crate::json::Json], new: &[crate::json::Json]) -> Compared<()> {
        // Texts of values, so that large lists are compared fast.
        let texts = |values: &[crate::json::Json]| values.iter().map(|value| value.sorted().to_string()).collect();
        let (old, new): (HashSet<String>, HashSet<String>) = (texts(old), texts(new));
        if old == new {
            return Ok(());
        }
        let kind = if old.is_subset(&new) {
            DifferenceKind::EnumArrayExtended
        } else if new.is_subset(&old) {
            DifferenceKind::EnumArrayNarrowed
        } else {
            DifferenceKind::EnumArrayChanged
        };
        self.add_at("enum", kind)
    }

    /// Exchanges the two sides: what is excluded is compared the other way round.
    fn reverse(&mut self) {
        mem::swap(&mut self.original, &mut self.update);
        self.is_reversed = !self.is_reversed;
    }

    fn compare_not(&mut self, old: NodeId, new: NodeId) -> Compared<()> {
        self.reverse();
        let found = self.apart(|comparison| comparison.compare(Some(new), Some(old)));
        self.reverse();
        let kind = match self.are_compatible(&found?) {
            true => DifferenceKind::NotTypeNarrowed,
            false => DifferenceKind::NotTypeExtended,
        };
        self.add_at("not", kind)
    }

    fn compare_combined(&mut self, old: (Criterion, &[Part]), new: (Criterion, &[Part])) -> Compared<()> {
        let is_single = |parts: &[Part]| parts.len() == 1;
        if old.0 != new.0 {
            let extended = new.0 == Criterion::Any
                || (is_single(old.1) && is_single(new.1))
                || (is_single(old.1) && new.0 == Criterion::One)
                || (is_single(new.1) && old.0 == Criterion::All);
            if !extended {
                return self.add(DifferenceKind::CombinedTypeChanged);
            }
            self.add(DifferenceKind::CombinedTypeExtended)?;
        }
        let (old_parts, new_parts) = (distinct(old.1), distinct(new.1));
        if old_parts.len() < new_parts.len() {
            self.add(match new.0 {
                Criterion::All => DifferenceKind::ProductTypeExtended,
                Criterion::Any | Criterion::One => DifferenceKind::SumTypeExtended,
            })?;
        } else if old_parts.len() > new_parts.len() {
            self.add(match old.0 {
                Criterion::Any | Criterion::One => DifferenceKind::SumTypeNarrowed,
                Criterion::All => DifferenceKind::ProductTypeNarrowed,
            })?;
        }
        let mut edges: Vec<Vec<usize>> = vec![Vec::new(); old_parts.len()];
        for (at, old_part) in old_parts.iter().enumerate() {
            for (to, new_part) in new_parts.iter().enumerate() {
                let found = self.apart(|comparison| comparison.compare(Some(*old_part), Some(*new_part)))?;
                if self.are_compatible(&found) {
                    edges[at].push(to);
                }
            }
        }
        if matching(&edges, new_parts.len()) < old_parts.len().min(new_parts.len()) {
            self.add(DifferenceKind::CombinedTypeSubschemasChanged)?;
        }
        Ok(())
    }
}

/// Follows one reference.
fn referred(model: &Model, id: NodeId) -> NodeId {
    match model.get(id).kind {
        Kind::Reference(target) => target,
        _ => id,
    }
}

fn same_class(old: &Kind, new: &Kind) -> bool {
    mem::discriminant(old) == mem::discriminant(new)
}

/// The parts of a combination, equal ones once.
fn distinct(parts: &[Part]) -> Vec<NodeId> {
    let mut seen = HashSet::new();
    parts.iter().filter(|part| seen.insert(part.hash)).map(|part| part.id).collect()
}

/// Returns the size of the largest matching of a bipartite graph, given the neighbours of the left side.
fn matching(edges: &[Vec<usize>], right: usize) -> usize {
    let mut partners: Vec<Option<usize>> = vec![None; right];
    (0..edges.len()).filter(|left| augment(*left, edges, &mut partners)).count()
}

/// Looks for a free partner, breadth first, along partners that can change.
fn augment(start: usize, edges: &[Vec<usize>], partners: &mut [Option<usize>]) -> bool {
    // The left node from which each right node was reached.
    let mut reached: Vec<Option<usize>> = vec![None; partners.len()];
    let mut queue = std::collections::VecDeque::from([start]);
    while let Some(left) = queue.pop_front() {
        for &right in &edges[left] {
            if reached[right].is_some() {
                continue;
            }
            reached[right] = Some(left);
            let Some(other) = partners[right] else {
                assign(start, right, &reached, partners);
                return true;
            };
            queue.push_back(other);
        }
    }
    false
}

/// Changes the partners along the path that ends at a free right node.
fn assign(start: usize, end: usize, reached: &[Option<usize>], partners: &mut [Option<usize>]) {
    let mut right = end;
    while let Some(left) = reached[right] {
        let before = partners.iter().position(|partner| *partner == Some(left));
        partners[right] = Some(left);
        match before {
            Some(previous) if left != start => right = previous,
            _ => return,
        }
    }
}
