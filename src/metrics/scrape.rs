//! One scrape: the metrics as text, up to a number of series.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::time::Duration;

use crate::histogram::QUANTILES;
use crate::metric::is_variable;
use crate::{Kind, Metric, Summary};

/// The metric that counts what a limit leaves out. It does not count itself.
static OMITTED: Metric = Metric::named(
    "ottla_metrics_omitted_series",
    Kind::Gauge,
    &[],
    "The series that this scrape leaves out, because there would be more than ottla.metrics.max.series.",
);

/// A text format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text format 0.0.4.
    Prometheus,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// The format that a client prefers, by its header Accept.
    pub fn accepted(accept: &str) -> Format {
        let mut best = (0.0, Format::Prometheus);
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let format = match parts.next() {
                Some("application/openmetrics-text") => Format::OpenMetrics,
                Some("text/plain" | "text/*" | "*/*") => Format::Prometheus,
                _ => continue,
            };
            let mut weight = 1.0;
            for parameter in parts {
                match parameter.split_once('=') {
                    Some(("q", text)) => weight = text.parse().unwrap_or(0.0),
                    Some(("version", version)) if format == Format::OpenMetrics && version != "1.0.0" => weight = 0.0,
                    _ => {}
                }
            }
            if weight > best.0 {
                best = (weight, format);
            }
        }
        best.1
    }

    /// The value of the header Content-Type.
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// A sample's value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
}

impl From<u64> for Value {
    fn from(value: u64) -> Value {
        Value::Unsigned(value)
    }
}

impl From<usize> for Value {
    fn from(value: usize) -> Value {
        Value::Unsigned(value as u64)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Value {
        Value::Signed(value)
    }
}

impl From<i32> for Value {
    fn from(value: i32) -> Value {
        Value::Signed(value.into())
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Value {
        Value::Float(value)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Value {
        Value::Unsigned(value.into())
    }
}

impl Value {
    /// Appends the value and the end of the line.
    fn write(self, text: &mut String) {
        text.push(' ');
        match self {
            Value::Unsigned(value) => write_decimal(text, value),
            Value::Signed(value) => {
                if value < 0 {
                    text.push('-');
                }
                write_decimal(text, value.unsigned_abs());
            }
            Value::Float(f64::INFINITY) => text.push_str("+Inf"),
            Value::Float(f64::NEG_INFINITY) => text.push_str("-Inf"),
            Value::Float(value) => {
                let _ = write!(text, "{value}");
            }
        }
        text.push('\n');
    }
}

/// Appends a number; in a fraction of the time that `write!` takes, which is called for each series.
fn write_decimal(text: &mut String, mut value: u64) {
    /// The digits of the largest number.
    const LENGTH: usize = 20;
    let mut digits = [b'0'; LENGTH];
    let mut used = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
        used += 1;
        if value == 0 {
            break;
        }
    }
    let (_, digits) = digits.split_at(LENGTH - used);
    digits.iter().for_each(|digit| text.push(char::from(*digit)));
}

/// A text that collectors write metrics into.
#[derive(Debug)]
pub struct Scrape {
    text: String,
    format: Format,
    now: Duration,
    /// How many series may still be written.
    left: usize,
    omitted: u64,
    /// Families that were written: each may be written once.
    written: HashSet<String>,
}

impl Scrape {
    /// Begins a scrape at the monotonic time `now`.
    pub fn new(format: Format, max_series: usize, now: Duration) -> Scrape {
        Scrape { text: String::new(), format, now, left: max_series, omitted: 0, written: HashSet::new() }
    }

    /// Reserves memory for a text of this length, such as that of the scrape before: a text that grows is copied often.
    pub fn with_capacity(mut self, bytes: usize) -> Scrape {
        self.text.reserve(bytes);
        self
    }

    /// The monotonic time of this scrape.
    pub fn now(&self) -> Duration {
        self.now
    }

    /// How many series may still be written.
    pub fn series_left(&self) -> usize {
        self.left
    }

    /// Counts series that a collector did not write because too few were left.
    pub fn omit(&mut self, series: usize) {
        self.omitted += series as u64;
    }

    /// Begins the samples of a metric. All of them must be written before those of the next one, and only once.
    pub fn family<'a>(&'a mut self, metric: &'a Metric) -> Family<'a> {
        let is_first = self.written.insert(metric.name().to_owned());
        debug_assert!(is_first, "{} is written twice", metric.name());
        Family { scrape: self, metric, has_header: false, is_first }
    }

    /// Writes the only sample of a metric without labels.
    pub fn single(&mut self, metric: &Metric, value: impl Into<Value>) {
        self.family(metric).sample(&[], value);
    }

    /// How many series were left out.
    pub fn omitted(&self) -> u64 {
        self.omitted
    }

    /// Ends the scrape, and returns its text.
    pub fn finish(mut self) -> String {
        self.left = self.left.max(1);
        let omitted = self.omitted;
        self.single(&OMITTED, omitted);
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }

    /// The metric that [`Scrape::finish`] adds.
    pub fn omitted_metric() -> &'static Metric {
        &OMITTED
    }
}

/// The samples of one metric.
pub struct Family<'a> {
    scrape: &'a mut Scrape,
    metric: &'a Metric,
    has_header: bool,
    is_first: bool,
}

impl Family<'_> {
    /// Writes a sample. `labels` are the values of the metric's labels in their order; an empty one is left out, and so
    /// are those missing at the end.
    pub fn sample(&mut self, labels: &[&str], value: impl Into<Value>) {
        if !self.begin(1) {
            return;
        }
        self.line(self.ending(), labels, None, value.into());
    }

    /// Writes a sample whose labels are written already, in the order of the metric's. None of the metric's labels may
    /// have a fixed value.
    pub fn labelled(&mut self, labels: &Labels, value: impl Into<Value>) {
        if !self.begin(1) {
            return;
        }
        let (ending, text) = (self.ending(), &mut self.scrape.text);
        text.push_str(self.metric.name());
        text.push_str(ending);
        text.push_str(&labels.0);
        value.into().write(text);
    }

    /// Writes the series of a histogram.
    pub fn summary(&mut self, labels: &[&str], summary: &Summary) {
        if !self.begin(QUANTILES.len() + 2) {
            return;
        }
        for ((_, name), value) in QUANTILES.iter().zip(summary.quantiles) {
            self.line("", labels, Some(name), value.unwrap_or(f64::NAN).into());
        }
        self.line("_sum", labels, None, summary.sum.into());
        self.line("_count", labels, None, summary.count.into());
    }

    fn ending(&self) -> &'static str {
        if self.metric.kind == Kind::Counter { "_total" } else { "" }
    }

    /// Takes a number of series from those that are left, and writes the lines that begin a family.
    fn begin(&mut self, series: usize) -> bool {
        let left = self.scrape.left.checked_sub(series).filter(|_| self.is_first);
        let Some(left) = left else {
            self.scrape.omitted += series as u64;
            return false;
        };
        self.scrape.left = left;
        if !std::mem::replace(&mut self.has_header, true) {
            self.header();
        }
        true
    }

    fn header(&mut self) {
        let (text, format) = (&mut self.scrape.text, self.scrape.format);
        let name = self.metric.name();
        let (ending, kind) = match self.metric.kind {
            Kind::Counter if format == Format::Prometheus => ("_total", "counter"),
            Kind::Counter => ("", "counter"),
            Kind::Gauge => ("", "gauge"),
            Kind::Summary => ("", "summary"),
        };
        let _ = write!(text, "# HELP {name}{ending} ");
        escape(text, self.metric.help);
        let _ = writeln!(text, "\n# TYPE {name}{ending} {kind}");
    }

    fn line(&mut self, ending: &str, labels: &[&str], quantile: Option<&str>, value: Value) {
        let text = &mut self.scrape.text;
        text.push_str(self.metric.name());
        text.push_str(ending);
        let mut given = labels.iter();
        let declared = self.metric.labels().iter().map(|(name, declared)| {
            let value = if is_variable(declared) { given.next().copied().unwrap_or_default() } else { declared };
            (name.as_str(), value)
        });
        write_labels(text, declared.chain(quantile.map(|quantile| ("quantile", quantile))));
        value.write(text);
    }
}

/// The labels of a series as text, for those that have several metrics: writing them once takes less time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels(String);

impl Labels {
    /// Names and values, in the order of the metrics' labels. An empty value is left out.
    pub fn new(labels: &[(&str, &str)]) -> Labels {
        let mut text = String::new();
        write_labels(&mut text, labels.iter().copied());
        Labels(text)
    }
}

/// Appends labels in braces, or nothing if all values are empty.
fn write_labels<'a>(text: &mut String, labels: impl Iterator<Item = (&'a str, &'a str)>) {
    let mut separator = '{';
    for (name, value) in labels.filter(|(_, value)| !value.is_empty()) {
        text.push(separator);
        text.push_str(name);
        text.push_str("=\"");
        escape(text, value);
        text.push('"');
        separator = ',';
    }
    if separator == ',' {
        text.push('}');
    }
}

/// Appends a label's value or a help text.
fn escape(text: &mut String, value: &str) {
    if !value.bytes().any(|byte| matches!(byte, b'\\' | b'"' | b'\n')) {
        return text.push_str(value);
    }
    for char in value.chars() {
        match char {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            char => text.push(char),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Histogram;

    static BYTES: Metric = Metric::meter("kafka.server:type=T,name=BytesInPerSec,topic={topic}", "Bytes.");
    static SIZE: Metric =
        Metric::gauge("kafka.log:type=Log,name=Size,topic={topic},partition={partition}", "The size.");
    static TIME: Metric = Metric::histogram("kafka.network:type=R,name=TimeMs,request={request}", "The time.");
    static FETCH: Metric = Metric::gauge("kafka.server:type=D,name=Size,delayedOperation=Fetch", "Waiting.");

    fn scraped(format: Format, max_series: usize) -> String {
        let mut scrape = Scrape::new(format, max_series, Duration::ZERO);
        let mut bytes = scrape.family(&BYTES);
        bytes.sample(&[], 7u64);
        bytes.sample(&["a\\b\"c\nd"], 5u64);
        scrape.family(&SIZE).sample(&["t", "0"], -1);
        let histogram = Histogram::default();
        histogram.record(3);
        scrape.family(&TIME).summary(&["Fetch"], &histogram.summary(Duration::ZERO, 0.5));
        scrape.single(&FETCH, true);
        scrape.finish()
    }

    #[test]
    fn text_of_prometheus_has_counters_with_their_endings_in_the_type_lines() {
        let expect = "\
# HELP kafka_server_t_bytesin_total Bytes.
# TYPE kafka_server_t_bytesin_total counter
kafka_server_t_bytesin_total 7
kafka_server_t_bytesin_total{topic=\"a\\\\b\\\"c\\nd\"} 5
# HELP kafka_log_log_size The size.
# TYPE kafka_log_log_size gauge
kafka_log_log_size{topic=\"t\",partition=\"0\"} -1
# HELP kafka_network_r_timems The time.
# TYPE kafka_network_r_timems summary
kafka_network_r_timems{request=\"Fetch\",quantile=\"0.50\"} 1.5
kafka_network_r_timems{request=\"Fetch\",quantile=\"0.75\"} 1.5
kafka_network_r_timems{request=\"Fetch\",quantile=\"0.95\"} 1.5
kafka_network_r_timems{request=\"Fetch\",quantile=\"0.98\"} 1.5
kafka_network_r_timems{request=\"Fetch\",quantile=\"0.99\"} 1.5
kafka_network_r_timems{request=\"Fetch\",quantile=\"0.999\"} 1.5
kafka_network_r_timems_sum{request=\"Fetch\"} 1.5
kafka_network_r_timems_count{request=\"Fetch\"} 1
# HELP kafka_server_d_size Waiting.
# TYPE kafka_server_d_size gauge
kafka_server_d_size{delayedOperation=\"Fetch\"} 1
# HELP ottla_metrics_omitted_series The series that this scrape leaves out, because there would be more than ottla.metrics.max.series.
# TYPE ottla_metrics_omitted_series gauge
ottla_metrics_omitted_series 0
";
        assert_eq!(scraped(Format::Prometheus, 100), expect);
    }

    #[test]
    fn text_of_open_metrics_has_families_without_endings_and_an_end() {
        let text = scraped(Format::OpenMetrics, 100);
        assert!(text.contains("# TYPE kafka_server_t_bytesin counter\nkafka_server_t_bytesin_total 7\n"), "{text}");
        assert!(text.ends_with("ottla_metrics_omitted_series 0\n# EOF\n"), "{text}");
    }

    #[test]
    fn labels_written_once_give_the_same_line_as_labels_of_a_sample() {
        let line = |write: fn(&mut Family)| {
            let mut scrape = Scrape::new(Format::Prometheus, 10, Duration::ZERO).with_capacity(1_000);
            write(&mut scrape.family(&SIZE));
            scrape.finish()
        };
        let written = line(|family| family.labelled(&Labels::new(&[("topic", "a\"b"), ("partition", "7")]), i64::MIN));
        assert_eq!(written, line(|family| family.sample(&["a\"b", "7"], i64::MIN)));
        assert!(written.contains("{topic=\"a\\\"b\",partition=\"7\"} -9223372036854775808\n"), "{written}");
    }

    #[test]
    fn whole_numbers_are_written_as_rust_writes_them() {
        for value in [0, 1, 9, 10, 99, 100, 12_345, u64::MAX - 1, u64::MAX] {
            let mut text = String::new();
            write_decimal(&mut text, value);
            assert_eq!(text, value.to_string());
        }
    }

    #[test]
    fn series_above_the_limit_are_left_out_and_counted() {
        let text = scraped(Format::Prometheus, 3);
        assert!(text.contains("kafka_log_log_size{"), "{text}");
        assert!(!text.contains("timems"), "{text}");
        assert!(text.contains("ottla_metrics_omitted_series 9\n"), "{text}");
    }

    #[test]
    fn format_is_the_one_with_the_highest_weight_in_accept() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;\
                          q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        assert_eq!(Format::accepted(prometheus), Format::OpenMetrics);
        for text in ["", "*/*", "text/html", "text/plain", "application/openmetrics-text;version=0.0.1"] {
            assert_eq!(Format::accepted(text), Format::Prometheus, "{text}");
        }
        assert_eq!(Format::accepted("text/plain;q=0.9, application/openmetrics-text;q=0.8"), Format::Prometheus);
    }
}
