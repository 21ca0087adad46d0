//! The difference between two images.

use super::Image;
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
}
