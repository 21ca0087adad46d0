//! Medians, and tables in markdown.

use std::fmt::Write as _;
use std::time::Duration;

/// Samples of one figure, in the order of measurement.
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

    pub fn mean(&self) -> f64 {
        self.0.iter().sum::<f64>() / self.0.len() as f64
    }

    /// Returns the smallest sample that at least `percent` percent of all samples do not exceed.
    pub fn percentile(&self, percent: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.max(1) - 1).copied().unwrap_or(f64::NAN)
    }

    /// Returns an interval that contains the median of the distribution with a probability of at least 95 %, whatever the
    /// distribution: from the k-th smallest to the k-th largest sample. All samples if there are too few.
    pub fn median_interval(&self) -> (f64, f64) {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let count = sorted.len();
        // The probability that exactly k samples are below the median, and that at most k are.
        let mut exactly = 0.5_f64.powi(count as i32);
        let mut at_most = exactly;
        let mut k = 0;
        while k < count / 2 && at_most <= 0.025 {
            k += 1;
            exactly *= (count - k + 1) as f64 / k as f64;
            at_most += exactly;
        }
        let outer = k.saturating_sub(1);
        match sorted.as_slice() {
            [] => (f64::NAN, f64::NAN),
            sorted => (sorted[outer], sorted[count - 1 - outer]),
        }
    }

    /// Returns each sample as a percentage of the other one of the same round.
    pub fn percent_of(&self, other: &Samples) -> Samples {
        self.0.iter().zip(&other.0).map(|(ours, theirs)| 100.0 * ours / theirs).collect()
    }

    pub fn raw(&self) -> String {
        let texts: Vec<String> = self.0.iter().map(|sample| significant(*sample)).collect();
        texts.join(" ")
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
    /// All samples, for `--raw`.
    raw: String,
}

impl Table {
    pub fn new(title: &str, columns: impl IntoIterator<Item = impl Into<String>>) -> Table {
        let header = std::iter::once(title.to_owned()).chain(columns.into_iter().map(Into::into)).collect();
        Table { header, rows: Vec::new(), raw: String::new() }
    }

    /// Adds a row of texts.
    pub fn row(&mut self, name: &str, cells: impl IntoIterator<Item = impl Into<String>>) {
        self.rows.push(std::iter::once(name.to_owned()).chain(cells.into_iter().map(Into::into)).collect());
    }

    /// Adds a row of medians in `unit`; a column without samples stays empty.
    pub fn medians<'a>(&mut self, name: &str, unit: &str, columns: impl IntoIterator<Item = &'a Samples>) {
        let columns: Vec<&Samples> = columns.into_iter().collect();
        for (column, samples) in self.header[1..].iter().zip(&columns).filter(|(_, samples)| !samples.is_empty()) {
            let _ = writeln!(self.raw, "{name}, {column} ({unit}): {}", samples.raw());
        }
        let cell = |samples: &&Samples| match samples.is_empty() {
            true => String::new(),
            false => format!("{} {unit}", significant(samples.median())).trim_end().to_owned(),
        };
        self.row(name, columns.iter().map(cell).collect::<Vec<_>>());
    }

    /// Prints the table, followed by all samples if `raw`.
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

/// Formats a number with three significant digits, or with all digits before the decimal point.
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
