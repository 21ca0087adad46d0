//! What can be scraped.

use std::fmt;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::Scrape;

/// Writes the values of some metrics into a scrape. Must not take locks that requests need.
pub trait Collector: Send + Sync {
    fn collect(&self, scrape: &mut Scrape);
}

/// The collectors of one broker. A clone is the same registry.
#[derive(Clone, Default)]
pub struct Registry(Arc<RwLock<Vec<Arc<dyn Collector>>>>);

impl Registry {
    /// Adds a collector. Scrapes call collectors in the order in which they were added.
    pub fn register(&self, collector: Arc<dyn Collector>) {
        self.0.write().push(collector);
    }

    /// Writes all metrics into a scrape.
    pub fn collect(&self, scrape: &mut Scrape) {
        // Copied, so that no lock is held meanwhile.
        let collectors = self.0.read().clone();
        collectors.iter().for_each(|collector| collector.collect(scrape));
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Registry({})", self.0.read().len())
    }
}
