//! Ids of earlier answers, which requests and answers name instead of having their values.

use std::collections::BTreeMap;

use ottla_wire::types::Uuid;

use super::notation::{Fields, Value};
use super::reading::{self, Read};

/// The name of the producer ids of InitProducerId without a transactional id.
const WITHOUT_ID: &str = "idempotent";
/// The prefix of bytes in hexadecimal.
pub const HEXADECIMAL: &str = "$hex:";
/// The name of the last member id.
const MEMBER: &str = "member";

/// A delegation token.
struct Token {
    id: String,
    hmac: Vec<u8>,
}

/// Ids of earlier answers.
#[derive(Default)]
pub struct Known {
    /// Topic ids by name.
    pub topics: BTreeMap<String, Uuid>,
    /// Producer ids by transactional id, in the order in which it got them.
    producers: BTreeMap<String, Vec<i64>>,
    /// The member id that the last JoinGroup got.
    member: String,
    /// Delegation tokens, in the order in which they were created.
    tokens: Vec<Token>,
}

impl Known {
    /// Learns what the answer to a request has.
    pub fn learn(&mut self, request: &Fields, answer: &Read) {
        if let Some(Read::Text(member)) = reading::field(answer, "member_id") {
            self.member = member.clone();
        }
        if let (Some(Read::Text(id)), Some(Read::Bytes(hmac))) =
            (reading::field(answer, "token_id"), reading::field(answer, "hmac"))
            && !id.is_empty()
        {
            self.tokens.push(Token { id: id.clone(), hmac: hmac.clone() });
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

    /// The name of the delegation token with this id.
    pub fn token_id(&self, id: &str) -> Option<String> {
        let index = self.tokens.iter().position(|token| token.id == id)?;
        Some(format!("@token{}.id", index + 1))
    }

    /// The name of the delegation token with this HMAC.
    pub fn hmac(&self, hmac: &[u8]) -> Option<String> {
        let index = self.tokens.iter().position(|token| token.hmac == hmac)?;
        Some(format!("@token{}", index + 1))
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
        if let Some(token) = name.strip_prefix("token") {
            let (number, id) = token.split_once('.').map_or((token, false), |(number, _)| (number, true));
            let token = &self.tokens[number.parse::<usize>().expect("the number of a token") - 1];
            let hexadecimal: String = token.hmac.iter().map(|byte| format!("{byte:02x}")).collect();
            return if id { token.id.clone() } else { format!("{HEXADECIMAL}{hexadecimal}") };
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
