//! Ids of earlier answers, which requests and answers name instead of having their values.

use std::collections::BTreeMap;

use ottla_wire::types::Uuid;

use super::notation::{Fields, Value};
use super::reading::{self, Read};

/// The name of the producer ids of InitProducerId without a transactional id.
const WITHOUT_ID: &str = "idempotent";
/// The name of the last member id.
const MEMBER: &str = "member";

/// Ids of earlier answers.
#[derive(Default)]
pub struct Known {
    /// Topic ids by name.
    pub topics: BTreeMap<String, Uuid>,
    /// Producer ids by transactional id, in the order in which it got them.
    producers: BTreeMap<String, Vec<i64>>,
    /// The member id that the last JoinGroup got.
    member: String,
}

impl Known {
    /// Learns what the answer to a request has.
    pub fn learn(&mut self, request: &Fields, answer: &Read) {
        if let Some(Read::Text(member)) = reading::field(answer, "member_id") {
            self.member = member.clone();
        }
        let Some(Read::Number(producer_id @ 0..)) = reading::field(answer, "producer_id") else { return };
        let transactional_id = request.iter().find(|(name, _)| name == "transactional_id");
        let name = match transactional_id {
            Some((_, Value::Text(id))) => id.clone(),
            _ => WITHOUT_ID.to_owned(),
        };
        let all = self.producers.entry(name).or_default();
        if !all.contains(producer_id) {
            all.push(*producer_id);
        }
    }

    /// The text for a producer id: who got it first, and as which one.
    pub fn producer(&self, producer_id: i64) -> String {
        let found = self.producers.iter().find_map(|(name, all)| {
            let index = all.iter().position(|known| *known == producer_id)?;
            Some(format!("@{name}.{}", index + 1))
        });
        found.unwrap_or_else(|| producer_id.to_string())
    }

    /// A request with the values of its names.
    pub fn fill_in(&self, request: &str) -> String {
        let mut parts = request.split('@');
        let mut filled = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let end = part.find(|letter: char| !letter.is_alphanumeric() && !"-._".contains(letter));
            let (name, rest) = part.split_at(end.unwrap_or(part.len()));
            filled.push_str(&self.value(name));
            filled.push_str(rest);
        }
        filled
    }

    fn value(&self, name: &str) -> String {
        if name == MEMBER {
            return self.member.clone();
        }
        let (id, index) = match name.split_once('.') {
            Some((id, index)) => (id, Some(index.parse::<usize>().expect("a number after the dot"))),
            None => (name, None),
        };
        let all = self.producers.get(id).map_or(&[][..], Vec::as_slice);
        let found = index.map_or(all.last(), |index| all.get(index - 1));
        found.unwrap_or_else(|| panic!("no earlier answer has @{name}")).to_string()
    }
}
