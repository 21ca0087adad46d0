//! Decisions on delegation tokens (Kafka's `DelegationTokenControlManager`).

use ottla_wire::codec::Str;
use ottla_wire::types::TimestampMs;

use super::commands::{
    CreateDelegationToken, CreatedDelegationToken, ExpireDelegationToken, MetadataReply, RenewDelegationToken,
};
use super::errors::MetadataError;
use super::image::DelegationToken;
use super::records::{MetadataRecord, RemoveDelegationTokenRecord};
use super::{Decision, MetadataMachine};
use crate::security::tokens::TokenKey;
use crate::security::{Principal, SecretBytes};

/// The level of `metadata.version` from which on there are delegation tokens: `3.6-IV2`.
const TOKEN_LEVEL: i16 = 14;

type Decided<T> = Result<(MetadataRecord, T), MetadataError>;

impl MetadataMachine {
    pub(super) fn create_delegation_token(&self, now: TimestampMs, request: CreateDelegationToken) -> Decision {
        decision(self.created(now, request), MetadataReply::CreateDelegationToken)
    }

    pub(super) fn renew_delegation_token(&self, now: TimestampMs, request: &RenewDelegationToken) -> Decision {
        decision(self.renewed(now, request), MetadataReply::RenewDelegationToken)
    }

    pub(super) fn expire_delegation_token(&self, now: TimestampMs, request: &ExpireDelegationToken) -> Decision {
        decision(self.expired(now, request), MetadataReply::ExpireDelegationToken)
    }

    /// Removes all expired tokens.
    pub(super) fn sweep_delegation_tokens(&self, now: TimestampMs) -> Decision {
        let tokens = self.image.delegation_tokens();
        let expired: Vec<_> = tokens.into_iter().filter(|token| token.is_expired(now)).collect();
        let records = expired.iter().map(|token| removal(&token.id)).collect();
        let ids = expired.into_iter().map(|token| token.id.clone()).collect();
        Decision::new(records, MetadataReply::SweepDelegationTokens(ids))
    }

    /// The records that remove all tokens.
    pub(super) fn token_removals(&self) -> impl Iterator<Item = MetadataRecord> {
        self.image.delegation_tokens().into_iter().map(|token| removal(&token.id))
    }

    fn created(&self, now: TimestampMs, request: CreateDelegationToken) -> Decided<Box<CreatedDelegationToken>> {
        let key = self.token_key()?;
        let settings = &self.config.broker.tokens;
        let CreateDelegationToken { owner, requester, renewers, max_lifetime_ms, id } = request;
        let longest = settings.max_lifetime_ms;
        let lifetime = if max_lifetime_ms > 0 { longest.min(max_lifetime_ms) } else { longest };
        let max = now.saturating_add(lifetime);
        let expires = max.min(now.saturating_add(settings.expiry_time_ms));
        let token =
            DelegationToken { id: id.to_string().into(), owner, requester, renewers, issued: now, max, expires };
        let hmac = key.hmac(&token.id);
        Ok((MetadataRecord::new(0, token.record()), Box::new(CreatedDelegationToken { token, hmac })))
    }

    fn renewed(&self, now: TimestampMs, request: &RenewDelegationToken) -> Decided<TimestampMs> {
        let token = self.token_of(&request.hmac)?;
        if token.is_expired(now) {
            return Err(MetadataError::DelegationTokenExpired);
        }
        check_renewer(token, &request.caller)?;
        let longest = self.config.broker.tokens.expiry_time_ms;
        let period = if request.period_ms > 0 { longest.min(request.period_ms) } else { longest };
        Ok(with_expiry(token, token.max.min(now.saturating_add(period))))
    }

    fn expired(&self, now: TimestampMs, request: &ExpireDelegationToken) -> Decided<TimestampMs> {
        let token = self.token_of(&request.hmac)?;
        check_renewer(token, &request.caller)?;
        if request.period_ms < 0 {
            return Ok((removal(&token.id), now));
        }
        if token.is_expired(now) {
            return Err(MetadataError::DelegationTokenExpired);
        }
        Ok(with_expiry(token, token.max.min(now.saturating_add(request.period_ms))))
    }

    /// The key, if delegation tokens are enabled.
    fn token_key(&self) -> Result<&TokenKey, MetadataError> {
        let key = self.token_key.as_ref().ok_or(MetadataError::DelegationTokenAuthDisabled)?;
        match self.image.metadata_version() {
            Some(level) if level < TOKEN_LEVEL => Err(MetadataError::UnsupportedVersion(
                "The current metadata.version does not support delegation tokens".to_owned(),
            )),
            _ => Ok(key),
        }
    }

    fn token_of(&self, hmac: &SecretBytes) -> Result<&DelegationToken, MetadataError> {
        self.token_key()?;
        let id = self.token_ids.get(hmac.expose()).ok_or(MetadataError::DelegationTokenNotFound)?;
        self.image.delegation_token(id).map(|token| &**token).ok_or(MetadataError::DelegationTokenNotFound)
    }
}

fn decision<T>(decided: Decided<T>, reply: impl FnOnce(Result<T, MetadataError>) -> MetadataReply) -> Decision {
    match decided {
        Ok((record, done)) => Decision::new(vec![record], reply(Ok(done))),
        Err(error) => Decision::new(Vec::new(), reply(Err(error))),
    }
}

fn check_renewer(token: &DelegationToken, caller: &Principal) -> Result<(), MetadataError> {
    if token.may_renew(caller) { Ok(()) } else { Err(MetadataError::DelegationTokenOwnerMismatch) }
}

fn with_expiry(token: &DelegationToken, expires: TimestampMs) -> (MetadataRecord, TimestampMs) {
    let changed = DelegationToken { expires, ..token.clone() };
    (MetadataRecord::new(0, changed.record()), expires)
}

fn removal(id: &Str) -> MetadataRecord {
    MetadataRecord::new(0, RemoveDelegationTokenRecord { token_id: id.clone() })
}
