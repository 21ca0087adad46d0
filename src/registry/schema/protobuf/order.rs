//! The order in which Java's sets of strings are read, which is the order of Confluent's messages.

/// Sorts names as a `HashSet` of them all would return them that was made from the names of a map, to which those of a
/// second map were added.
pub(super) fn of_sets<'a>(first: &[&'a str], second: &[&'a str]) -> Vec<&'a str> {
    let first = of_map(first);
    let mut names = first.clone();
    let known: std::collections::HashSet<&str> = first.iter().copied().collect();
    names.extend(of_map(second).into_iter().filter(|name| !known.contains(name)));
    // The set is made for the names of the first map, and grows.
    let needed = (first.len() * 4 / 3 + 1).max(16).next_power_of_two();
    sorted(names, needed)
}

/// Sorts different names as a `HashMap` returns them.
fn of_map<'a>(names: &[&'a str]) -> Vec<&'a str> {
    sorted(names.to_vec(), 16)
}

fn sorted(mut names: Vec<&str>, mut capacity: usize) -> Vec<&str> {
    while names.len() * 4 > capacity * 3 {
        capacity *= 2;
    }
    names.sort_by_cached_key(|name| bucket(name, capacity));
    names
}

fn bucket(name: &str, capacity: usize) -> usize {
    let hash = name.encode_utf16().fold(0u32, |hash, unit| hash.wrapping_mul(31).wrapping_add(u32::from(unit)));
    (hash ^ (hash >> 16)) as usize & (capacity - 1)
}
