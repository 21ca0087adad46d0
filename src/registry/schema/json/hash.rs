//! Hashes of schemas, by which equal ones are found.

use std::collections::HashMap;
use std::ptr;

use md5::{Digest, Md5};

use crate::json::Json;

pub(super) type Hash = [u8; 16];

/// Hashes of values that live as long as this does. Each value is visited once, however often it is asked for.
#[derive(Debug, Default)]
pub(super) struct Hashes {
    /// By the addresses of the values.
    known: HashMap<usize, Hash>,
}

impl Hashes {
    /// Returns the hash of a value. Objects that differ only in the order of their properties have the same one.
    pub fn of(&mut self, json: &Json) -> Hash {
        let address = ptr::from_ref(json).addr();
        if let Some(hash) = self.known.get(&address) {
            return *hash;
        }
        let mut digest = Md5::new();
        match json {
            Json::Object(object) => {
                let mut entries: Vec<_> = object.iter().collect();
                entries.sort_unstable_by_key(|(name, _)| *name);
                digest.update("{");
                for (name, value) in entries {
                    digest.update(name.len().to_le_bytes());
                    digest.update(name);
                    match value {
                        // The order of these means nothing.
                        Json::Array(items) if name == "enum" || name == "required" => {
                            let mut hashes: Vec<Hash> = items.iter().map(|item| self.of(item)).collect();
                            hashes.sort_unstable();
                            hashes.dedup();
                            hashes.iter().for_each(|hash| digest.update(hash));
                        }
                        value => digest.update(self.of(value)),
                    }
                }
            }
            Json::Array(items) => {
                digest.update("[");
                for item in items {
                    digest.update(self.of(item));
                }
            }
            scalar => return Md5::digest(scalar.to_string()).into(),
        }
        let hash = digest.finalize().into();
        self.known.insert(address, hash);
        hash
    }
}
