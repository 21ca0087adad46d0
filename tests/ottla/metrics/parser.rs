//! A strict parser of Prometheus's text format 0.0.4 and of OpenMetrics 1.0, as far as the broker may use them.

use std::collections::{BTreeMap, BTreeSet};

/// The samples of a scrape by family.
#[derive(Debug, Default)]
pub struct Scraped {
    pub families: BTreeMap<String, Family>,
}

#[derive(Debug)]
pub struct Family {
    pub kind: String,
    /// By the name of the sample and its labels, as they were written.
    pub samples: BTreeMap<String, f64>,
}

impl Scraped {
    /// The value of a series, such as `kafka_topic_partitions{topic="t"}`.
    #[track_caller]
    pub fn value(&self, series: &str) -> f64 {
        self.find(series).unwrap_or_else(|| panic!("there is no {series}"))
    }

    pub fn find(&self, series: &str) -> Option<f64> {
        self.families.values().find_map(|family| family.samples.get(series)).copied()
    }

    /// The number of series.
    pub fn len(&self) -> usize {
        self.families.values().map(|family| family.samples.len()).sum()
    }
}

/// Parses a scrape. Panics where it violates the format.
pub fn parse(text: &str, is_open_metrics: bool) -> Scraped {
    let mut scraped = Scraped::default();
    let mut lines = text.split_inclusive('\n').map(|line| line.strip_suffix('\n').expect("each line has an end"));
    let mut current: Option<(String, bool)> = None;
    let mut has_end = false;
    for line in &mut lines {
        assert!(!has_end, "nothing follows # EOF");
        if line == "# EOF" {
            has_end = true;
        } else if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect("a help text");
            assert!(is_name(name) && !help.is_empty(), "{line}");
            current = Some((name.to_owned(), false));
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a type");
            let begun = current.as_mut().filter(|(begun, has_type)| begun == name && !has_type);
            begun.expect("TYPE follows HELP of the same name").1 = true;
            assert!(["counter", "gauge", "summary"].contains(&kind), "{line}");
            assert_eq!(kind == "counter" && !is_open_metrics, name.ends_with("_total"), "{line}");
            let family = Family { kind: kind.to_owned(), samples: BTreeMap::new() };
            assert!(scraped.families.insert(name.to_owned(), family).is_none(), "{name} is written twice");
        } else {
            let (name, has_type) = current.as_ref().expect("a sample follows HELP and TYPE");
            assert!(has_type, "{line}");
            let family = scraped.families.get_mut(name).unwrap();
            add_sample(family, name, line, is_open_metrics);
        }
    }
    assert_eq!(has_end, is_open_metrics, "# EOF ends OpenMetrics");
    scraped
}

fn add_sample(family: &mut Family, name: &str, line: &str, is_open_metrics: bool) {
    let (series, value) = line.rsplit_once(' ').expect("a value");
    let sample = series.split('{').next().unwrap();
    let is_quantile = series.contains("quantile=\"");
    let expected = match family.kind.as_str() {
        "counter" if is_open_metrics => vec![format!("{name}_total")],
        "summary" if is_quantile => vec![name.to_owned()],
        "summary" => vec![format!("{name}_sum"), format!("{name}_count")],
        _ => vec![name.to_owned()],
    };
    assert!(expected.iter().any(|expected| expected == sample), "{line}");
    let value = match value {
        "NaN" => f64::NAN,
        "+Inf" => f64::INFINITY,
        value => value.parse().unwrap_or_else(|_| panic!("not a value: {line}")),
    };
    assert!(family.kind == "gauge" || is_quantile || value >= 0.0, "{line}");
    check_labels(&series[sample.len()..], line);
    assert!(family.samples.insert(series.to_owned(), value).is_none(), "written twice: {line}");
}

fn check_labels(mut text: &str, line: &str) {
    if text.is_empty() {
        return;
    }
    text = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or_else(|| panic!("{line}"));
    let mut names = BTreeSet::new();
    while !text.is_empty() {
        let (name, rest) = text.split_once("=\"").unwrap_or_else(|| panic!("{line}"));
        assert!(is_name(name) && !name.contains(':') && names.insert(name), "{line}");
        let mut escaped = false;
        let end = rest.find(|char| {
            let ends = char == '"' && !escaped;
            assert!(!escaped || matches!(char, '\\' | '"' | 'n'), "{line}");
            escaped = char == '\\' && !escaped;
            ends
        });
        text = &rest[end.unwrap_or_else(|| panic!("{line}")) + 1..];
        text = text.strip_prefix(',').unwrap_or(text);
    }
}

fn is_name(name: &str) -> bool {
    let is_first = |char: char| char.is_ascii_alphabetic() || char == '_' || char == ':';
    name.starts_with(is_first) && name.chars().all(|char| is_first(char) || char.is_ascii_digit())
}
