//! The comparison of numbers.

use super::decimal::Decimal;
use super::diff::{Compared, Comparison};
use super::difference::DifferenceKind as Kind;
use super::model::NumberRules;
use crate::json::Number;

pub(super) fn compare(to: &mut Comparison<'_>, old: &NumberRules, new: &NumberRules) -> Compared<()> {
    let kinds = [Kind::MaximumAdded, Kind::MaximumRemoved, Kind::MaximumIncreased, Kind::MaximumDecreased];
    limit(to, "maximum", old.maximum.as_ref(), new.maximum.as_ref(), kinds)?;
    let kinds = [Kind::MinimumAdded, Kind::MinimumRemoved, Kind::MinimumIncreased, Kind::MinimumDecreased];
    limit(to, "minimum", old.minimum.as_ref(), new.minimum.as_ref(), kinds)?;
    let kinds = [
        Kind::ExclusiveMaximumAdded,
        Kind::ExclusiveMaximumRemoved,
        Kind::ExclusiveMaximumIncreased,
        Kind::ExclusiveMaximumDecreased,
    ];
    limit(to, "exclusiveMaximum", old.exclusive_maximum.as_ref(), new.exclusive_maximum.as_ref(), kinds)?;
    let kinds = [
        Kind::ExclusiveMinimumAdded,
        Kind::ExclusiveMinimumRemoved,
        Kind::ExclusiveMinimumIncreased,
        Kind::ExclusiveMinimumDecreased,
    ];
    limit(to, "exclusiveMinimum", old.exclusive_minimum.as_ref(), new.exclusive_minimum.as_ref(), kinds)?;
    if let Some(kind) = multiple_of(old.multiple_of.as_ref(), new.multiple_of.as_ref()) {
        to.add_at("multipleOf", kind)?;
    }
    match (old.is_integer, new.is_integer) {
        (true, false) => to.add(Kind::TypeExtended),
        (false, true) => to.add(Kind::TypeNarrowed),
        _ => Ok(()),
    }
}

/// Compares a limit. The kinds are those for a limit that was added, removed, increased, and decreased.
fn limit(
    to: &mut Comparison<'_>,
    keyword: &str,
    old: Option<&Number>,
    new: Option<&Number>,
    [added, removed, increased, decreased]: [Kind; 4],
) -> Compared<()> {
    match (old.map(Number::to_double), new.map(Number::to_double)) {
        (None, Some(_)) => to.add_at(keyword, added),
        (Some(_), None) => to.add_at(keyword, removed),
        (Some(old), Some(new)) if old < new => to.add_at(keyword, increased),
        (Some(old), Some(new)) if old > new => to.add_at(keyword, decreased),
        _ => Ok(()),
    }
}

fn multiple_of(old: Option<&Number>, new: Option<&Number>) -> Option<Kind> {
    let (old, new) = match (old, new) {
        (None, None) => return None,
        (None, Some(_)) => return Some(Kind::MultipleOfAdded),
        (Some(_), None) => return Some(Kind::MultipleOfRemoved),
        (Some(old), Some(new)) => (old.to_string(), new.to_string()),
    };
    let (Some(old), Some(new)) = (Decimal::parse(&old), Decimal::parse(&new)) else {
        return (old != new).then_some(Kind::MultipleOfChanged);
    };
    if old.is_equal(new) {
        None
    } else if new.is_multiple_of(old) {
        Some(Kind::MultipleOfExpanded)
    } else if old.is_multiple_of(new) {
        Some(Kind::MultipleOfReduced)
    } else {
        Some(Kind::MultipleOfChanged)
    }
}
