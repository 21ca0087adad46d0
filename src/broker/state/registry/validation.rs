//! The schemas by which produced records are validated.
//!
//! They are those up to the end of the topic: what a client has registered is there when it produces, also if it has
//! registered it at another registry that writes to the same topic. A produce request does not wait for requests to the
//! registry, nor for their comparisons. If others have written to the topic, it replays their records first.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use thiserror::Error;

use super::replica::{Published, Replica, Source};
use super::{SchemaRegistry, StoreError};
use crate::blocking;
use crate::log_rate_limiter::log_limited;
use ottla_registry::store::{Registry, RegistrySettings, SchemaIndex};
use ottla_registry::validation::Schemas;

/// Why records cannot be validated now. The client can try again.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum NotCurrent {
    /// The topic is being read, for example after the start. A produce request does not wait for it, because it holds a place
    /// of its connection and memory meanwhile.
    #[error("the topic of the schema registry is being read; try again")]
    Loading,
    #[error("the topic of the schema registry cannot be read; try again, and see the broker's log")]
    Unreadable,
}

/// The schemas up to the end of the topic.
pub struct CurrentSchemas {
    replica: Arc<Replica>,
    published: Published,
    is_lost: Cell<bool>,
}

impl CurrentSchemas {
    /// Whether the registry was lost meanwhile, so that what was found is not valid.
    pub fn is_lost(&self) -> bool {
        self.is_lost.get()
    }
}

impl Schemas for CurrentSchemas {
    fn index(&self) -> &SchemaIndex {
        &self.published.index
    }

    fn snapshot(&self) -> Registry {
        self.replica.snapshot().unwrap_or_else(|| {
            self.is_lost.set(true);
            Registry::new(RegistrySettings::default())
        })
    }
}

impl SchemaRegistry {
    /// Returns the schemas up to the end of the topic. Blocks while records of others are replayed, if there are some.
    pub fn current_schemas(&self) -> Result<CurrentSchemas, NotCurrent> {
        let broker = self.broker.upgrade().ok_or(NotCurrent::Loading)?;
        let source = self.source(&broker);
        let partition = source.partition().map_err(|error| unreadable(&source, &error))?;
        let found =
            |published| CurrentSchemas { replica: Arc::clone(&self.replica), published, is_lost: Cell::new(false) };
        let of_partition = |published: &Published| published.is_of(partition.as_ref());
        let Some(published) = self.replica.published().filter(of_partition) else {
            self.begin_to_load(source);
            return Err(NotCurrent::Loading);
        };
        if published.is_current() {
            return Ok(found(published));
        }
        let replayed = blocking::in_place(|| self.replica.catch_up(&source));
        replayed.map_err(|error| unreadable(&source, &error))?;
        self.replica.published().filter(of_partition).map(found).ok_or(NotCurrent::Loading)
    }

    /// Reads the topic in the background, unless that has begun already.
    fn begin_to_load(&self, source: Source) {
        if self.is_loading.swap(true, Ordering::AcqRel) {
            return;
        }
        let (replica, ended) = (Arc::clone(&self.replica), Loading(Arc::clone(&self.is_loading)));
        blocking::spawn(move || {
            let _ended = ended;
            if let Err(error) = replica.catch_up(&source) {
                unreadable(&source, &error);
            }
        });
    }
}

/// A reading of the topic. Ends when it is dropped.
struct Loading(Arc<AtomicBool>);

impl Drop for Loading {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

fn unreadable(source: &Source, error: &StoreError) -> NotCurrent {
    log_limited!(
        ERROR, source.broker.log_rate_limiter(), None, "failures of the schema registry's topic",
        topic = %source.topic, %error, "failed to read or write the schema registry's topic"
    );
    NotCurrent::Unreadable
}
