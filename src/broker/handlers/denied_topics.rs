//! One operation on all topics of a request. Each topic is decided and logged once, with the number of times that the
//! request names it, as Kafka's `filterByAuthorized` does.

use std::collections::{HashMap, HashSet};

use super::authorizer::{Denied, Operation, Resource};
use super::context::Context;

/// The topics on which the caller may not do the operation.
pub(super) struct DeniedTopics(HashSet<Box<str>>);

impl DeniedTopics {
    /// Decides on the topics of a request, and logs the decisions. A name counts as often as it occurs.
    pub fn find<'a>(context: &Context, operation: Operation, names: impl Iterator<Item = &'a str>) -> DeniedTopics {
        if context.authorizer.allows_everything() {
            return DeniedTopics(HashSet::new());
        }
        let mut counts: Vec<(&str, usize)> = Vec::new();
        let mut positions = HashMap::new();
        for name in names {
            let position = *positions.entry(name).or_insert(counts.len());
            match counts.get_mut(position) {
                Some((_, count)) => *count += 1,
                None => counts.push((name, 1)),
            }
        }
        let is_denied = |(name, count): &(&str, usize)| {
            context.authorize_references(operation, Resource::Topic(name), *count).is_err()
        };
        DeniedTopics(counts.into_iter().filter(is_denied).map(|(name, _)| name.into()).collect())
    }

    pub fn contains(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    pub fn check(&self, name: &str) -> Result<(), Denied> {
        if self.contains(name) { Err(Denied::Topic) } else { Ok(()) }
    }
}
