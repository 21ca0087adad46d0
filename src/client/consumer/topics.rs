//! A consumer's subscription, and the topics that currently match it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use regex::Regex;
use tokio::time::Instant;

use super::{Consumer, ConsumerError, Event, Start};
use ottla_wire::types::is_internal;
use ottla_wire::types::{ErrorCode, InOrder as _, TopicName, TopicPartition};

/// How long to wait before the metadata of a missing topic is requested again.
const MISSING_TOPIC_BACKOFF: Duration = Duration::from_millis(100);

/// Topics by name, or by a pattern that matches anywhere in the name (anchor it to match the whole name).
#[derive(Clone, Debug)]
pub enum Topics {
    Named(BTreeSet<TopicName>),
    Matching(Regex),
}

/// The subscription, and the topics found for it.
#[derive(Debug, Default)]
pub(super) struct Subscription {
    topics: Option<Topics>,
    /// The existing topics, with their number of partitions.
    found: BTreeMap<TopicName, i32>,
    /// When to refresh the metadata; `None` before the first time.
    due: Option<Instant>,
}

impl Topics {
    pub fn named(name: &str) -> Topics {
        Topics::Named(BTreeSet::from([TopicName::from(name)]))
    }
}

impl Subscription {
    pub fn new(topics: Topics) -> Subscription {
        Subscription { topics: Some(topics), ..Subscription::default() }
    }

    pub fn is_some(&self) -> bool {
        self.topics.is_some()
    }

    /// Whether the metadata has to be refreshed now.
    pub fn is_due(&self) -> bool {
        self.is_some() && self.due.is_none_or(|due| due <= Instant::now())
    }

    pub fn due(&self) -> Option<Instant> {
        self.due.filter(|_| self.is_some())
    }

    /// Makes a refresh due soon, because the metadata may be outdated.
    pub fn refresh_soon(&mut self) {
        self.due = self.due.map(|due| due.min(Instant::now() + MISSING_TOPIC_BACKOFF));
    }

    /// The topics for the group's subscription: the given names, whether they exist or not, or the topics that match.
    pub fn names(&self) -> BTreeSet<TopicName> {
        match &self.topics {
            Some(Topics::Named(names)) => names.clone(),
            Some(Topics::Matching(_)) => self.found.keys().cloned().in_order(),
            None => BTreeSet::new(),
        }
    }
}

impl Consumer {
    /// Whether the broker has answered that no topic of the subscription exists.
    pub fn lacks_topics(&self) -> bool {
        self.subscription.due.is_some() && self.subscription.found.is_empty()
    }

    /// Refreshes the metadata. A change makes a group member rejoin, and changes the assignment of a consumer without group.
    pub(super) async fn refresh_topics(&mut self) -> Result<(), ConsumerError> {
        let client = self.connected().await?;
        let Some(topics) = self.subscription.topics.clone() else { return Ok(()) };
        let cluster = match &topics {
            Topics::Named(names) => {
                let names: Vec<&str> = names.iter().map(|name| &**name).collect();
                client.metadata_with(Some(&names), self.config.auto_create_topics).await?
            }
            Topics::Matching(_) => client.metadata(None).await?,
        };
        let mut found = BTreeMap::new();
        let mut invalid = Vec::new();
        let mut missing = false;
        for topic in cluster.topics {
            let Some(name) = topic.name else { continue };
            match ErrorCode::from_code(topic.error_code) {
                Some(ErrorCode::None) if self.matches(&topics, &name) => {
                    found.insert(TopicName::from(name), i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX));
                }
                Some(ErrorCode::None) => {}
                Some(ErrorCode::InvalidTopicException) => invalid.push(name),
                _ => missing = true,
            }
        }
        if !invalid.is_empty() {
            return Err(ConsumerError::InvalidTopics(invalid));
        }
        self.failures = 0;
        let wait =
            if missing { MISSING_TOPIC_BACKOFF.max(self.config.retry_backoff) } else { self.config.metadata_max_age };
        let is_first = self.subscription.due.replace(Instant::now() + wait).is_none();
        if found != self.subscription.found || is_first {
            self.subscription.found = found;
            self.on_topics_changed();
        }
        Ok(())
    }

    fn matches(&self, topics: &Topics, name: &str) -> bool {
        match topics {
            Topics::Named(_) => true,
            Topics::Matching(pattern) => {
                let hidden = self.config.exclude_internal_topics && is_internal(name);
                !hidden && pattern.is_match(name)
            }
        }
    }

    fn on_topics_changed(&mut self) {
        if self.coordinator.is_some() {
            self.rejoin();
            return;
        }
        let all = |(topic, count): (&TopicName, &i32)| super::assignment::partitions_of(topic, *count);
        let wanted: BTreeSet<TopicPartition> = self.subscription.found.iter().flat_map(all).in_order();
        let current = self.positions.partitions();
        let revoked: Vec<_> = current.difference(&wanted).cloned().collect();
        let assigned: Vec<_> = wanted.difference(&current).cloned().collect();
        if !revoked.is_empty() {
            self.remove_partitions(&revoked);
            self.events.push_back(Event::Revoked(revoked));
        }
        if !assigned.is_empty() {
            self.positions.add(&assigned, Start::Policy);
            self.events.push_back(Event::Assigned(assigned));
        }
    }
}
