//! What a consumer wants to read, and which topics that is at the moment.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use regex::Regex;
use tokio::time::Instant;

use super::{Consumer, ConsumerError, Event, Start};
use ottla_wire::types::is_internal;
use ottla_wire::types::{ErrorCode, InOrder as _, TopicName, TopicPartition};

/// How soon to ask again for a topic that isn't there.
const SOON: Duration = Duration::from_millis(100);

/// Topics by name, or by a pattern that a part of the name has to match (anchor it for the whole).
#[derive(Clone, Debug)]
pub enum Topics {
    Named(BTreeSet<TopicName>),
    Matching(Regex),
}

/// What was asked for and what is known of it.
#[derive(Debug, Default)]
pub(super) struct Subscription {
    topics: Option<Topics>,
    /// The topics there are, and how many partitions each has.
    found: BTreeMap<TopicName, i32>,
    /// When to look again; at once, if never looked.
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

    /// Whether to look which topics there are.
    pub fn is_due(&self) -> bool {
        self.is_some() && self.due.is_none_or(|due| due <= Instant::now())
    }

    pub fn due(&self) -> Option<Instant> {
        self.due.filter(|_| self.is_some())
    }

    /// What is known may be wrong.
    pub fn refresh_soon(&mut self) {
        self.due = self.due.map(|due| due.min(Instant::now() + SOON));
    }

    /// What to tell the group: the names asked for, there or not; the topics that match.
    pub fn names(&self) -> BTreeSet<TopicName> {
        match &self.topics {
            Some(Topics::Named(names)) => names.clone(),
            Some(Topics::Matching(_)) => self.found.keys().cloned().in_order(),
            None => BTreeSet::new(),
        }
    }
}

impl Consumer {
    /// Whether any of the topics subscribed to has been found.
    pub fn has_topics(&self) -> bool {
        !self.subscription.found.is_empty()
    }

    /// Looks which topics there are. With a group a change means to join again, without one it is what to read.
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
                Some(ErrorCode::None) if self.wants(&topics, &name) => {
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
        let soon = if missing { SOON.max(self.config.retry_backoff) } else { self.config.metadata_max_age };
        let looked_before = self.subscription.due.replace(Instant::now() + soon).is_some();
        if found != self.subscription.found || !looked_before {
            self.subscription.found = found;
            self.topics_changed();
        }
        Ok(())
    }

    fn wants(&self, topics: &Topics, name: &str) -> bool {
        match topics {
            Topics::Named(_) => true,
            Topics::Matching(pattern) => {
                let hidden = self.config.exclude_internal_topics && is_internal(name);
                !hidden && pattern.is_match(name)
            }
        }
    }

    fn topics_changed(&mut self) {
        if self.coordination.is_some() {
            self.rejoin();
            return;
        }
        let all = |(topic, count): (&TopicName, &i32)| super::assignors::partitions_of(topic, *count);
        let wanted: BTreeSet<TopicPartition> = self.subscription.found.iter().flat_map(all).in_order();
        let had = self.positions.partitions();
        let gone: Vec<_> = had.difference(&wanted).cloned().collect();
        let new: Vec<_> = wanted.difference(&had).cloned().collect();
        if !gone.is_empty() {
            self.give_up(&gone);
            self.events.push_back(Event::Revoked(gone));
        }
        if !new.is_empty() {
            self.positions.add(&new, Start::Policy);
            self.events.push_back(Event::Assigned(new));
        }
    }
}
