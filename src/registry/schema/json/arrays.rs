//! The comparison of arrays.

use super::diff::{Compared, Comparison};
use super::difference::DifferenceKind as Kind;
use super::model::{ArrayRules, Model, NodeId};
use super::objects::compare_unevaluated;

pub(super) fn compare(to: &mut Comparison<'_>, old: &ArrayRules, new: &ArrayRules) -> Compared<()> {
    to.within("items", |to| to.compare(old.all_items, new.all_items))?;
    let longest = old.items.len().max(new.items.len());
    for at in 0..longest {
        to.within(&format!("items/{at}"), |to| match (old.items.get(at), new.items.get(at)) {
            (Some(item), None) => removed(to, new, *item),
            (None, Some(item)) => added(to, old, *item),
            (item, other) => to.compare(item.copied(), other.copied()),
        })?;
    }
    to.within("additionalItems", |to| additional(to, old, new))?;
    if old.unevaluated.is_some() || new.unevaluated.is_some() {
        let kinds = [
            Kind::UnevaluatedItemsAdded,
            Kind::UnevaluatedItemsRemoved,
            Kind::UnevaluatedItemsExtended,
            Kind::UnevaluatedItemsNarrowed,
        ];
        to.within("unevaluatedItems", |to| compare_unevaluated(to, old.unevaluated, new.unevaluated, kinds))?;
    }
    limits(to, old, new)
}

fn limits(to: &mut Comparison<'_>, old: &ArrayRules, new: &ArrayRules) -> Compared<()> {
    let kinds = [Kind::MaxItemsAdded, Kind::MaxItemsRemoved, Kind::MaxItemsIncreased, Kind::MaxItemsDecreased];
    to.compare_counts("maxItems", old.max_items, new.max_items, kinds)?;
    let kinds = [Kind::MinItemsAdded, Kind::MinItemsRemoved, Kind::MinItemsIncreased, Kind::MinItemsDecreased];
    to.compare_counts("minItems", old.min_items, new.min_items, kinds)?;
    match (old.unique_items, new.unique_items) {
        (true, false) => to.add_at("uniqueItems", Kind::UniqueItemsRemoved)?,
        (false, true) => to.add_at("uniqueItems", Kind::UniqueItemsAdded)?,
        _ => {}
    }
    let kinds =
        [Kind::MaxContainsAdded, Kind::MaxContainsRemoved, Kind::MaxContainsIncreased, Kind::MaxContainsDecreased];
    to.compare_counts("maxContains", old.max_contains, new.max_contains, kinds)?;
    let kinds =
        [Kind::MinContainsAdded, Kind::MinContainsRemoved, Kind::MinContainsIncreased, Kind::MinContainsDecreased];
    to.compare_counts("minContains", old.min_contains, new.min_contains, kinds)
}

fn removed(to: &mut Comparison<'_>, new: &ArrayRules, item: NodeId) -> Compared<()> {
    if is_open(to.update, new) {
        return to.add(Kind::ItemRemovedFromOpenContentModel);
    }
    if let Some(covering) = covering(to.update, new) {
        let found = to.apart(|to| to.compare(Some(item), Some(covering)))?;
        let is_covered = to.are_compatible(&found);
        to.extend(found);
        return to.add(match is_covered {
            true => Kind::ItemRemovedIsCoveredByPartiallyOpenContentModel,
            false => Kind::ItemRemovedNotCoveredByPartiallyOpenContentModel,
        });
    }
    to.add(match to.original.get(item).kind.is_false() {
        true => Kind::ItemWithFalseRemovedFromClosedContentModel,
        false => Kind::ItemRemovedFromClosedContentModel,
    })
}

fn added(to: &mut Comparison<'_>, old: &ArrayRules, item: NodeId) -> Compared<()> {
    if is_open(to.original, old) {
        return to.add(match to.update.get(item).kind.is_empty() {
            true => Kind::ItemWithEmptySchemaAddedToOpenContentModel,
            false => Kind::ItemAddedToOpenContentModel,
        });
    }
    let Some(covering) = covering(to.original, old) else { return to.add(Kind::ItemAddedToClosedContentModel) };
    let found = to.apart(|to| to.compare(Some(covering), Some(item)))?;
    let is_covered = to.are_compatible(&found);
    to.extend(found);
    to.add(match is_covered {
        true => Kind::ItemAddedIsCoveredByPartiallyOpenContentModel,
        false => Kind::ItemAddedNotCoveredByPartiallyOpenContentModel,
    })
}

fn additional(to: &mut Comparison<'_>, old: &ArrayRules, new: &ArrayRules) -> Compared<()> {
    match (old.permits_additional, new.permits_additional) {
        (true, false) => return to.add(Kind::AdditionalItemsRemoved),
        (false, true) => return to.add(Kind::AdditionalItemsAdded),
        _ => {}
    }
    match (old.additional, new.additional) {
        (None, Some(_)) => to.add(Kind::AdditionalItemsNarrowed),
        (Some(_), None) => to.add(Kind::AdditionalItemsExtended),
        (old, new) => to.compare(old, new),
    }
}

/// Whether items after the listed ones can have any value.
fn is_open(model: &Model, rules: &ArrayRules) -> bool {
    rules.permits_additional
        && rules.additional.is_none()
        && rules.unevaluated.is_none_or(|schema| model.get(schema).kind.is_empty())
}

/// Returns the schema that holds for items after the listed ones.
fn covering(model: &Model, rules: &ArrayRules) -> Option<NodeId> {
    if rules.additional.is_some() {
        return rules.additional;
    }
    let unevaluated = rules.unevaluated.filter(|_| rules.permits_additional)?;
    let kind = &model.get(unevaluated).kind;
    (!kind.is_false() && !kind.is_empty()).then_some(unevaluated)
}
