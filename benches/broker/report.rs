//! Medians, and tables in markdown.

use std::fmt::Write as _;
use std::time::Duration;

/// Samples of one figure, in the order they were taken.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    pub fn push(&mut self, sample: f64) {
        self.0.push(sample);
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        match (sorted.len(), sorted.len() / 2) {
            (0, _) => f64::NAN,
            (len, half) if len % 2 == 0 => f64::midpoint(sorted[half - 1], sorted[half]),
            (_, half) => sorted[half],
        }
    }

    /// Each sample as a share of the one taken beside it.
    pub fn percent_of(&self, other: &Samples) -> Samples {
        self.0.iter().zip(&other.0).map(|(ours, theirs)| 100.0 * ours / theirs).collect()
    }

    pub fn raw(&self) -> String {
        let words: Vec<String> = self.0.iter().map(|sample| significant(*sample)).collect();
        words.join(" ")
    }
}

impl FromIterator<f64> for Samples {
    fn from_iter<I: IntoIterator<Item = f64>>(samples: I) -> Self {
        Samples(samples.into_iter().collect())
    }
}

/// A table whose rows are figures and whose columns are brokers.
#[derive(Debug)]
pub struct Table {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
    /// Every sample behind it, for those who ask.
    raw: String,
}

impl Table {
    pub fn new(title: &str, columns: impl IntoIterator<Item = impl Into<String>>) -> Table {
        let header = std::iter::once(title.to_owned()).chain(columns.into_iter().map(Into::into)).collect();
        Table { header, rows: Vec::new(), raw: String::new() }
    }

    /// A row of words.
    pub fn row(&mut self, name: &str, cells: impl IntoIterator<Item = impl Into<String>>) {
        self.rows.push(std::iter::once(name.to_owned()).chain(cells.into_iter().map(Into::into)).collect());
    }

    /// A row of medians in `unit`; a column without samples is left empty.
    pub fn medians<'a>(&mut self, name: &str, unit: &str, columns: impl IntoIterator<Item = &'a Samples>) {
        let columns: Vec<&Samples> = columns.into_iter().collect();
        for (who, samples) in self.header[1..].iter().zip(&columns).filter(|(_, samples)| !samples.is_empty()) {
            let _ = writeln!(self.raw, "{name}, {who} ({unit}): {}", samples.raw());
        }
        let cell = |samples: &&Samples| match samples.is_empty() {
            true => String::new(),
            false => format!("{} {unit}", significant(samples.median())),
        };
        self.row(name, columns.iter().map(cell).collect::<Vec<_>>());
    }

    /// The table, and every sample below it if `raw`.
    pub fn print(&self, raw: bool) {
        let line = |cells: &[String]| println!("| {} |", cells.join(" | "));
        println!();
        line(&self.header);
        println!("|---|{}", "---:|".repeat(self.header.len() - 1));
        self.rows.iter().for_each(|row| line(row));
        if raw && !self.raw.is_empty() {
            println!("\n```\n{}```", self.raw);
        }
    }
}

/// Three significant digits, or all those before the point.
pub fn significant(number: f64) -> String {
    let digits = match number.abs() {
        100.0.. => 0,
        10.0.. => 1,
        1.0.. => 2,
        _ => 3,
    };
    format!("{number:.digits$}")
}

pub fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
