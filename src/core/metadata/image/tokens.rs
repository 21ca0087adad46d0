//! Delegation tokens.

use std::sync::Arc;

use super::{Image, SharedMap};
use crate::metadata::records::DelegationTokenRecord;
use crate::security::Principal;
use ottla_wire::codec::Str;
use ottla_wire::types::{TimestampMs, sort_by};

/// A delegation token (KIP-48). Its HMAC is computed from the id and the broker's secret key, and not stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DelegationToken {
    pub id: Str,
    /// The user that a client authenticates as.
    pub owner: Principal,
    /// Who created it.
    pub requester: Principal,
    /// Who may renew and expire it, besides the owner.
    pub renewers: Vec<Principal>,
    pub issued: TimestampMs,
    /// The time that no renewal exceeds.
    pub max: TimestampMs,
    pub expires: TimestampMs,
}

/// Tokens by id.
pub(super) type DelegationTokens = SharedMap<Str, Arc<DelegationToken>>;

impl DelegationToken {
    pub(in crate::metadata) fn of_record(record: &DelegationTokenRecord) -> DelegationToken {
        // Texts of their own: those of a record share the buffer of a whole batch.
        let principal = |text: &Str| Principal::parse(text);
        DelegationToken {
            id: Str::from(&*record.token_id),
            owner: principal(&record.owner),
            requester: principal(&record.requester),
            renewers: record.renewers.iter().map(principal).collect(),
            issued: record.issue_timestamp,
            max: record.max_timestamp,
            expires: record.expiration_timestamp,
        }
    }

    pub(in crate::metadata) fn record(&self) -> DelegationTokenRecord {
        let text = |principal: &Principal| Str::from(principal.to_string());
        DelegationTokenRecord {
            owner: text(&self.owner),
            requester: text(&self.requester),
            renewers: self.renewers.iter().map(text).collect(),
            issue_timestamp: self.issued,
            max_timestamp: self.max,
            expiration_timestamp: self.expires,
            token_id: self.id.clone(),
        }
    }

    pub fn is_expired(&self, now: TimestampMs) -> bool {
        self.max < now || self.expires < now
    }

    /// Whether the principal may renew and expire the token.
    pub fn may_renew(&self, principal: &Principal) -> bool {
        self.owner == *principal || self.renewers.contains(principal)
    }

    /// Whether the principal may describe the token without a right on it (Kafka's `ownerOrRenewer`).
    pub fn concerns(&self, principal: &Principal) -> bool {
        self.may_renew(principal) || self.requester == *principal
    }
}

impl Image {
    pub fn delegation_token(&self, id: &str) -> Option<&Arc<DelegationToken>> {
        self.tokens.get(id)
    }

    /// All delegation tokens, sorted by id. Expired ones are among them until they are removed.
    pub fn delegation_tokens(&self) -> Vec<&Arc<DelegationToken>> {
        let mut all: Vec<_> = self.tokens.iter().map(|(_, token)| token).collect();
        sort_by(&mut all, |a, b| a.id.cmp(&b.id));
        all
    }

    pub(super) fn apply_delegation_token(&mut self, record: &DelegationTokenRecord) {
        let token = DelegationToken::of_record(record);
        self.tokens.insert(token.id.clone(), Arc::new(token));
    }

    pub(super) fn remove_delegation_token(&mut self, id: &str) {
        self.tokens.remove(id);
    }
}
