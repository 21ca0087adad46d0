//! Sorting of small collections with one shared sort function, to keep the program small.
//!
//! The standard library's sort is compiled again for every type and comparison; each copy has four to five kilobytes.
//! `collect` into a `BTreeMap` or `BTreeSet` contains such a copy too. Use the standard library for large collections,
//! and these functions for small ones. Measured: with `sort` and `collect` instead of these functions, the release
//! program has 15.73 MB instead of 15.07 MB (4.4 %).

use std::cmp::Ordering;

/// Adds [`InOrder::in_order`] to every iterator.
pub trait InOrder: Iterator + Sized {
    /// Collects into a `BTreeMap` or `BTreeSet`, by inserting one item after another instead of sorting.
    fn in_order<C: Default + Extend<Self::Item>>(self) -> C {
        let mut all = C::default();
        all.extend(self);
        all
    }
}

impl<I: Iterator> InOrder for I {}

/// Like `slice::sort_by`; stable.
pub fn sort_by<T>(items: &mut [T], order: impl Fn(&T, &T) -> Ordering) {
    let mut indexes: Vec<usize> = (0..items.len()).collect();
    sort_indexes(&mut indexes, &|a, b| order(&items[a], &items[b]));
    // `indexes[at]` is the index of the item that belongs at `at`: follow each cycle of swaps.
    for start in 0..items.len() {
        let mut at = start;
        while indexes[at] != start && indexes[at] != at {
            items.swap(at, indexes[at]);
            at = std::mem::replace(&mut indexes[at], at);
        }
        indexes[at] = at;
    }
}

/// Like `slice::sort_by_key`; stable.
pub fn sort_by_key<T, K: Ord>(items: &mut [T], key: impl Fn(&T) -> K) {
    sort_by(items, |a, b| key(a).cmp(&key(b)));
}

/// The shared sort, of indexes.
#[inline(never)]
fn sort_indexes(indexes: &mut [usize], order: &dyn Fn(usize, usize) -> Ordering) {
    indexes.sort_by(|a, b| order(*a, *b));
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn result_equals_that_of_the_standard_library(items in proptest::collection::vec((0..20u8, any::<u8>()), 0..60)) {
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
