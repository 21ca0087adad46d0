//! Order for small collections, without a sorting routine of its own for each type.
//!
//! Sorting code of the standard library is compiled anew for every type and comparison, four to five kilobytes each time,
//! and collecting into a `BTreeMap` or `BTreeSet` sorts too. That is right where much is sorted. Where it is a handful
//! of names, what is here does as well, and keeps the program small.

use std::cmp::Ordering;

/// [`InOrder::in_order`], for every iterator.
pub trait InOrder: Iterator + Sized {
    /// As `collect` into a `BTreeMap` or `BTreeSet`, by inserting one item after another.
    fn in_order<C: Default + Extend<Self::Item>>(self) -> C {
        let mut all = C::default();
        all.extend(self);
        all
    }
}

impl<I: Iterator> InOrder for I {}

/// As `slice::sort_by`: stable.
pub fn sort_by<T>(items: &mut [T], order: impl Fn(&T, &T) -> Ordering) {
    let mut places: Vec<usize> = (0..items.len()).collect();
    sort_places(&mut places, &|a, b| order(&items[a], &items[b]));
    // `places[at]` is where the item is that belongs at `at`: follow each round of items that change places.
    for start in 0..items.len() {
        let mut at = start;
        while places[at] != start && places[at] != at {
            items.swap(at, places[at]);
            at = std::mem::replace(&mut places[at], at);
        }
        places[at] = at;
    }
}

/// As `slice::sort_by_key`: stable.
pub fn sort_by_key<T, K: Ord>(items: &mut [T], key: impl Fn(&T) -> K) {
    sort_by(items, |a, b| key(a).cmp(&key(b)));
}

/// The one sort there is, of items known by their number.
#[inline(never)]
fn sort_places(places: &mut [usize], order: &dyn Fn(usize, usize) -> Ordering) {
    places.sort_by(|a, b| order(*a, *b));
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn sorts_as_the_standard_library_does(items in proptest::collection::vec((0..20u8, any::<u8>()), 0..60)) {
            let (mut ours, mut theirs) = (items.clone(), items.clone());
            sort_by_key(&mut ours, |(key, _)| *key);
            theirs.sort_by_key(|(key, _)| *key);
            prop_assert_eq!(ours, theirs);
            let (mut ours, mut theirs) = (items.clone(), items.clone());
            sort_by(&mut ours, |a, b| b.cmp(a));
            theirs.sort_by(|a, b| b.cmp(a));
            prop_assert_eq!(ours, theirs);
            let ours: BTreeMap<u8, u8> = items.iter().copied().in_order();
            prop_assert_eq!(ours, items.into_iter().collect::<BTreeMap<_, _>>());
        }
    }
}
