//! The broker's metrics: instruments, a registry of what can be scraped, Kafka's names in Prometheus, and the text formats.
//!
//! Nothing is global: a [`Registry`] is passed to what measures, when it is constructed. A [`Metric`] is declared where it
//! is measured, with the name of Kafka's MBean ([`jmx`] derives the name for Prometheus). What is counted is a [`Counter`]
//! or a [`Histogram`], whose updates are relaxed atomic additions. What can be read when asked needs no instrument: a
//! [`Collector`] writes it into the [`Scrape`].
//!
//! The crate `prometheus-client` is not used. It writes OpenMetrics only, and has no summaries with quantiles, which is what
//! boards for Kafka query; its counters always end in `_total`, where jmx_exporter's counts of histograms end in
//! `_count`; its histograms take a lock; and it has no limit on the number of series. Without these nothing remains but
//! the lines of text.

mod counter;
mod histogram;
pub mod jmx;
mod metric;
mod registry;
mod scrape;

pub use counter::Counter;
pub use histogram::{Histogram, Summary};
pub use metric::{Kind, Metric};
pub use registry::{Collector, Registry};
pub use scrape::{Family, Format, Labels, Scrape, Value};
