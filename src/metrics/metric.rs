//! Declarations of metrics.

use std::sync::OnceLock;

use crate::jmx::{self, JmxName};

/// What a metric's values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    /// A count, a sum and quantiles.
    Summary,
}

/// A metric, declared where it is measured: a `static`.
#[derive(Debug)]
pub struct Metric {
    source: Source,
    pub kind: Kind,
    /// One or a few sentences for the reference and for Prometheus.
    pub help: &'static str,
    exposed: OnceLock<JmxName>,
}

#[derive(Clone, Copy, Debug)]
enum Source {
    /// An attribute of one of Kafka's MBeans. A value in braces is a label.
    MBean {
        mbean: &'static str,
        attribute: &'static str,
    },
    Named {
        name: &'static str,
        labels: &'static [&'static str],
    },
    /// Names that are known at run time.
    Given,
}

impl Metric {
    /// A counter that is a meter or timer of Kafka: `kafka.server:type=T,name=BytesInPerSec,topic={topic}`.
    pub const fn meter(mbean: &'static str, help: &'static str) -> Metric {
        Metric::new(Source::MBean { mbean, attribute: "Count" }, Kind::Counter, help)
    }

    /// A gauge of Kafka.
    pub const fn gauge(mbean: &'static str, help: &'static str) -> Metric {
        Metric::new(Source::MBean { mbean, attribute: "Value" }, Kind::Gauge, help)
    }

    /// A histogram or timer of Kafka.
    pub const fn histogram(mbean: &'static str, help: &'static str) -> Metric {
        Metric::new(Source::MBean { mbean, attribute: "Count" }, Kind::Summary, help)
    }

    /// Another attribute of an MBean of Kafka.
    pub const fn attribute(mbean: &'static str, attribute: &'static str, help: &'static str) -> Metric {
        Metric::new(Source::MBean { mbean, attribute }, Kind::Gauge, help)
    }

    /// An attribute of an MBean of Kafka that only grows: `connection-creation-total`.
    pub const fn total(mbean: &'static str, attribute: &'static str, help: &'static str) -> Metric {
        Metric::new(Source::MBean { mbean, attribute }, Kind::Counter, help)
    }

    /// A metric that is none of Kafka's. The name of a counter ends in `_total`.
    pub const fn named(name: &'static str, kind: Kind, labels: &'static [&'static str], help: &'static str) -> Metric {
        Metric::new(Source::Named { name, labels }, kind, help)
    }

    /// A metric with a name and labels that are known at run time. As for every metric, the name of a counter has no
    /// ending.
    pub fn given<'a>(name: &str, kind: Kind, labels: impl Iterator<Item = &'a str>, help: &'static str) -> Metric {
        let labels = labels.map(variable).collect();
        let exposed = OnceLock::from(JmxName { name: name.to_owned(), labels });
        Metric { exposed, ..Metric::new(Source::Given, kind, help) }
    }

    const fn new(source: Source, kind: Kind, help: &'static str) -> Metric {
        Metric { source, kind, help, exposed: OnceLock::new() }
    }

    /// Kafka's MBean and its attribute, if there is one.
    pub fn mbean(&self) -> Option<(&'static str, &'static str)> {
        match self.source {
            Source::MBean { mbean, attribute } => Some((mbean, attribute)),
            Source::Named { .. } | Source::Given => None,
        }
    }

    /// The name for Prometheus. Without the ending of counters, `_total`, and of counts of summaries, `_count`.
    pub fn name(&self) -> &str {
        &self.exposed().name
    }

    /// The names of the labels, with those whose values are always the same.
    pub(crate) fn labels(&self) -> &[(String, String)] {
        &self.exposed().labels
    }

    /// The names of the labels whose values are given with each sample.
    pub fn label_names(&self) -> impl Iterator<Item = &str> {
        self.labels().iter().filter(|(_, value)| is_variable(value)).map(|(name, _)| name.as_str())
    }

    fn exposed(&self) -> &JmxName {
        self.exposed.get_or_init(|| {
            let JmxName { name, labels } = match self.source {
                Source::MBean { mbean, attribute } => jmx::exposed(mbean, attribute),
                Source::Named { name, labels } => {
                    JmxName { name: name.to_owned(), labels: labels.iter().copied().map(variable).collect() }
                }
                // Set when it was constructed.
                Source::Given => JmxName { name: String::new(), labels: Vec::new() },
            };
            let ending = match self.kind {
                Kind::Counter => "_total",
                Kind::Summary => "_count",
                Kind::Gauge => "",
            };
            JmxName { name: name.strip_suffix(ending).unwrap_or(&name).to_owned(), labels }
        })
    }
}

/// A label whose value is given with each sample.
fn variable(name: &str) -> (String, String) {
    (name.to_owned(), "{}".to_owned())
}

/// Whether the value of a declared label is given with each sample.
pub(crate) fn is_variable(value: &str) -> bool {
    value.starts_with('{')
}
