//! What can be scraped.

use std::fmt;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::Scrape;

/// Writes the values of some metrics into a scrape. Must not take locks that requests need.
pub trait Collector: Send + Sync {
    fn collect(&self, scrape: &mut Scrape);

    /// Whether the number of series depends on what clients create. Such collectors are called last, because a limit
    /// leaves out what comes last.
    fn is_unbounded(&self) -> bool {
        false
    }
}

/// The collectors of one broker. A clone is the same registry.
#[derive(Clone, Default)]
pub struct Registry(Arc<RwLock<Vec<Arc<dyn Collector>>>>);

impl Registry {
    /// Adds a collector. Scrapes call the bounded ones first, and otherwise in the order in which they were added.
    pub fn register(&self, collector: Arc<dyn Collector>) {
        self.0.write().push(collector);
    }

    /// Writes all metrics into a scrape.
    pub fn collect(&self, scrape: &mut Scrape) {
        // Copied, so that no lock is held meanwhile.
        let collectors = self.0.read().clone();
        let (unbounded, bounded): (Vec<_>, Vec<_>) = collectors.iter().partition(|collector| collector.is_unbounded());
        bounded.into_iter().chain(unbounded).for_each(|collector| collector.collect(scrape));
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Registry({})", self.0.read().len())
    }
}
