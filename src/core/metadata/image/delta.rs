//! The difference between two images.

use super::{Image, TopicImage};
use ottla_wire::types::TopicName;

/// A change from one image to a later one. For a state machine that has just recovered there is no earlier image.
#[derive(Clone, Copy, Debug)]
pub struct ImageDelta<'a> {
    before: Option<&'a Image>,
    after: &'a Image,
}

impl<'a> ImageDelta<'a> {
    /// The change from `before` to `after`.
    pub fn between(before: &'a Image, after: &'a Image) -> ImageDelta<'a> {
        ImageDelta { before: Some(before), after }
    }

    /// The first image that a recovered machine sees.
    pub fn first(after: &'a Image) -> ImageDelta<'a> {
        ImageDelta { before: None, after }
    }

    /// The earlier image; `None` for the first one.
    pub fn before(&self) -> Option<&'a Image> {
        self.before
    }

    /// The current image.
    pub fn after(&self) -> &'a Image {
        self.after
    }

    /// The names of deleted topics. Another topic may have one of these names now. Empty for the first image.
    pub fn deleted_topics(&self) -> Vec<TopicName> {
        let deleted = self.before.into_iter().flat_map(|before| self.after.topics_deleted_since(before));
        deleted.map(|topic| topic.name.clone()).collect()
    }

    /// The created topics; for the first image every topic.
    pub fn created_topics(&self) -> Vec<&'a TopicImage> {
        let touched = self.touched();
        touched.into_iter().filter(|topic| self.earlier(topic).is_none()).collect()
    }

    /// The topics that have more partitions than before, with the earlier count.
    pub fn grown_topics(&self) -> Vec<(&'a TopicImage, i32)> {
        let touched = self.touched();
        let counts = touched.into_iter().filter_map(|topic| Some((topic, self.earlier(topic)?.partition_count())));
        counts.filter(|(topic, count)| topic.partition_count() > *count).collect()
    }

    /// Whether settings of brokers or groups, or feature levels, differ.
    pub fn settings_changed(&self) -> bool {
        self.before
            .is_none_or(|before| before.features() != self.after.features() || before.configs() != self.after.configs())
    }

    fn earlier(&self, topic: &TopicImage) -> Option<&'a TopicImage> {
        self.before?.topic_by_id(topic.id).map(|topic| &**topic)
    }

    fn touched(&self) -> Vec<&'a TopicImage> {
        match self.before {
            Some(before) => self.after.topics_touched_since(before).into_iter().map(|topic| &**topic).collect(),
            None => self.after.topics().map(|topic| &**topic).collect(),
        }
    }
}
