//! Generates record values: random letters, values from a file, or numbers.

use std::path::Path;

use regex::Regex;

/// The source of values.
pub enum Payload {
    /// Random letters, new ones for each record.
    Random { letters: Vec<u8>, random: Random },
    /// A randomly chosen one of these values.
    Chosen { values: Vec<Vec<u8>>, random: Random },
    /// The numbers 0, 1, 2, … as text.
    Monotonic(String),
}

impl Payload {
    pub fn random(size: usize) -> Payload {
        Payload::Random { letters: vec![0; size], random: Random::default() }
    }

    /// Reads the values of a file, separated by matches of `delimiter`; ignores empty ones at the end. The error is one
    /// line.
    pub fn file(path: &Path, delimiter: &str) -> Result<Payload, String> {
        let text = std::fs::read(path).unwrap_or_default();
        if text.is_empty() {
            return Err("File does not exist or empty file provided.".to_owned());
        }
        let delimiter = Regex::new(delimiter).map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&text);
        let mut values: Vec<Vec<u8>> = delimiter.split(&text).map(|value| value.as_bytes().to_vec()).collect();
        while values.last().is_some_and(Vec::is_empty) {
            values.pop();
        }
        Ok(Payload::Chosen { values, random: Random::default() })
    }

    /// Returns the number of values in the file, if there is one.
    pub fn count(&self) -> Option<usize> {
        match self {
            Payload::Chosen { values, .. } => Some(values.len()),
            _ => None,
        }
    }

    /// Returns the value of record `number`.
    pub fn next(&mut self, number: u64) -> &[u8] {
        match self {
            Payload::Random { letters, random } => {
                for part in letters.chunks_mut(8) {
                    for (letter, byte) in part.iter_mut().zip(random.next().to_le_bytes()) {
                        *letter = b'A' + ((u16::from(byte) * 26) >> 8) as u8;
                    }
                }
                letters
            }
            Payload::Chosen { values, random } => {
                let index = (random.next() >> 32) as usize % values.len().max(1);
                values.get(index).map(Vec::as_slice).unwrap_or_default()
            }
            Payload::Monotonic(text) => {
                *text = number.to_string();
                text.as_bytes()
            }
        }
    }
}

/// The SplitMix64 generator, with the same seed in each run.
#[derive(Default)]
pub struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_values_consist_of_all_letters_and_differ() {
        let mut payload = Payload::random(1001);
        let first = payload.next(0).to_vec();
        assert!(first.iter().all(u8::is_ascii_uppercase));
        assert!((b'A'..=b'Z').all(|letter| first.contains(&letter)));
        assert_ne!(payload.next(1), first);
    }

    #[test]
    fn file_is_split_at_the_delimiter() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("values");
        std::fs::write(&path, "aa\n\nbb\n\n").unwrap();
        let mut payload = Payload::file(&path, "\n").unwrap();
        assert_eq!(payload.count(), Some(3));
        assert!((0..100).all(|number| ["aa", "", "bb"].map(str::as_bytes).contains(&payload.next(number))));
        assert!(Payload::file(&dir.path().join("nothing"), "\n").is_err());
    }

    #[test]
    fn monotonic_value_is_the_record_number() {
        assert_eq!(Payload::Monotonic(String::new()).next(41), b"41");
    }
}
