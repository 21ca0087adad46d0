//! Formats times by a pattern, as Java's `SimpleDateFormat` does; in UTC.

use jiff::civil::DateTime;

use super::log_line::civil;
use ottla_wire::types::TimestampMs;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// A parsed pattern.
#[derive(Clone, Debug)]
pub struct DateFormat(Vec<Part>);

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    /// A pattern letter, and how often it is repeated.
    Field(char, usize),
}

impl DateFormat {
    /// Parses a pattern. The error is Java's message.
    pub fn new(pattern: &str) -> Result<DateFormat, String> {
        let mut parts = Vec::new();
        let mut letters = pattern.chars().peekable();
        while let Some(letter) = letters.next() {
            if letter == '\'' {
                parts.push(Part::Text(quoted(&mut letters)?));
            } else if letter.is_ascii_alphabetic() {
                if !"GyYMLdDEuaHkKhmsSzZX".contains(letter) {
                    return Err(format!("Illegal pattern character '{letter}'"));
                }
                let mut count = 1;
                while letters.next_if_eq(&letter).is_some() {
                    count += 1;
                }
                parts.push(Part::Field(letter, count));
            } else {
                parts.push(Part::Text(letter.to_string()));
            }
        }
        Ok(DateFormat(parts))
    }

    /// Formats a time; outside of the years -9999 to 9999 it is a number of milliseconds.
    pub fn format(&self, time: TimestampMs) -> String {
        let Some(time) = civil(time) else { return time.to_string() };
        let one = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Field(letter, count) => field(*letter, *count, time),
        };
        self.0.iter().map(one).collect()
    }
}

/// Reads the text up to the closing quote; two quotes in a row mean one.
fn quoted(letters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<String, String> {
    let mut text = String::new();
    if letters.next_if_eq(&'\'').is_some() {
        return Ok("'".to_owned());
    }
    loop {
        match letters.next() {
            Some('\'') if letters.next_if_eq(&'\'').is_some() => text.push('\''),
            Some('\'') => return Ok(text),
            Some(letter) => text.push(letter),
            None => return Err("Unterminated quote".to_owned()),
        }
    }
}

fn field(letter: char, count: usize, time: DateTime) -> String {
    let number = |value: i16| format!("{value:0count$}");
    let small = |value: i8| number(i16::from(value));
    let hour = time.hour();
    match letter {
        'y' | 'Y' if count == 2 => format!("{:02}", time.year().rem_euclid(100)),
        'y' | 'Y' => number(time.year()),
        'M' | 'L' if count >= 3 => name(&MONTHS, time.month() - 1, count),
        'M' | 'L' => small(time.month()),
        'd' => small(time.day()),
        'D' => number(time.day_of_year()),
        'E' => name(&WEEKDAYS, time.weekday().to_monday_zero_offset(), count),
        'u' => small(time.weekday().to_monday_one_offset()),
        'a' => if hour < 12 { "AM" } else { "PM" }.to_owned(),
        'H' => small(hour),
        'k' => small(if hour == 0 { 24 } else { hour }),
        'K' => small(hour % 12),
        'h' => small(if hour % 12 == 0 { 12 } else { hour % 12 }),
        'm' => small(time.minute()),
        's' => small(time.second()),
        'S' => number(time.millisecond()),
        'G' => "AD".to_owned(),
        'Z' => "+0000".to_owned(),
        'X' => "Z".to_owned(),
        _ if count >= 4 => "Coordinated Universal Time".to_owned(),
        _ => "UTC".to_owned(),
    }
}

/// Returns the name if the letter is repeated at least four times, otherwise its first three letters.
fn name(names: &[&str], index: i8, count: usize) -> String {
    let name = usize::try_from(index).ok().and_then(|index| names.get(index)).copied().unwrap_or_default();
    if count >= 4 { name.to_owned() } else { name.chars().take(3).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_formatted_by_the_pattern() {
        let check = |pattern, expect: &str| {
            let formatted = DateFormat::new(pattern).map(|format| format.format(1_769_864_645_007));
            assert_eq!(formatted.unwrap_or_else(|why| why), expect, "{pattern}");
        };
        check("yyyy-MM-dd HH:mm:ss:SSS", "2026-01-31 13:04:05:007");
        check("yy/M/d h:mm a", "26/1/31 1:04 PM");
        check("EEE, d MMM yyyy", "Sat, 31 Jan 2026");
        check("EEEE MMMM D u", "Saturday January 31 6");
        check("K k H", "1 13 13");
        check("'at' HH 'o''clock' ''", "at 13 o'clock '");
        check("HHZ X z", "13+0000 Z UTC");
        check("q", "Illegal pattern character 'q'");
        check("'", "Unterminated quote");
    }
}
