//! What is sent: random letters, lines of a file, or numbers.

use std::path::Path;

use regex::Regex;

/// Where values come from.
pub enum Payload {
    /// Random letters, made anew for each record.
    Random { letters: Vec<u8>, chance: Chance },
    /// One of these, by chance.
    Chosen { values: Vec<Vec<u8>>, chance: Chance },
    /// 0, 1, 2, …
    Monotonic(String),
}

impl Payload {
    pub fn random(size: usize) -> Payload {
        Payload::Random { letters: vec![0; size], chance: Chance::default() }
    }

    /// Values of a file, between matches of `delimiter`; empty ones at the end don't count. The error is one line.
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
        Ok(Payload::Chosen { values, chance: Chance::default() })
    }

    /// How many values a file had.
    pub fn count(&self) -> Option<usize> {
        match self {
            Payload::Chosen { values, .. } => Some(values.len()),
            _ => None,
        }
    }

    /// The value of record `number`.
    pub fn next(&mut self, number: u64) -> &[u8] {
        match self {
            Payload::Random { letters, chance } => {
                for part in letters.chunks_mut(8) {
                    for (letter, random) in part.iter_mut().zip(chance.draw().to_le_bytes()) {
                        *letter = b'A' + ((u16::from(random) * 26) >> 8) as u8;
                    }
                }
                letters
            }
            Payload::Chosen { values, chance } => {
                let index = (chance.draw() >> 32) as usize % values.len().max(1);
                values.get(index).map(Vec::as_slice).unwrap_or_default()
            }
            Payload::Monotonic(text) => {
                *text = number.to_string();
                text.as_bytes()
            }
        }
    }
}

/// SplitMix64, the same in each run.
#[derive(Default)]
pub struct Chance(u64);

impl Chance {
    fn draw(&mut self) -> u64 {
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
    fn letters() {
        let mut payload = Payload::random(1001);
        let first = payload.next(0).to_vec();
        assert!(first.iter().all(u8::is_ascii_uppercase));
        assert!((b'A'..=b'Z').all(|letter| first.contains(&letter)));
        assert_ne!(payload.next(1), first);
    }

    #[test]
    fn files() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("values");
        std::fs::write(&path, "aa\n\nbb\n\n").unwrap();
        let mut payload = Payload::file(&path, "\n").unwrap();
        assert_eq!(payload.count(), Some(3));
        assert!((0..100).all(|number| ["aa", "", "bb"].map(str::as_bytes).contains(&payload.next(number))));
        assert!(Payload::file(&dir.path().join("nothing"), "\n").is_err());
    }

    #[test]
    fn numbers() {
        assert_eq!(Payload::Monotonic(String::new()).next(41), b"41");
    }
}
