//! Delegation tokens.

use bytes::Bytes;

use super::{Result, accepted};
use ottla_client::Client;
use ottla_core::security::Principal;
use ottla_wire::codec::Str;
use ottla_wire::protocol::messages::create_delegation_token::{CreatableRenewers, CreateDelegationTokenRequest};
use ottla_wire::protocol::messages::describe_delegation_token::{
    DescribeDelegationTokenOwner, DescribeDelegationTokenRequest,
};
use ottla_wire::protocol::messages::expire_delegation_token::ExpireDelegationTokenRequest;
use ottla_wire::protocol::messages::renew_delegation_token::RenewDelegationTokenRequest;
use ottla_wire::types::TimestampMs;

/// A delegation token with its secret.
#[derive(Clone)]
pub struct Token {
    pub id: Str,
    pub hmac: Bytes,
    pub owner: Principal,
    pub requester: Principal,
    pub renewers: Vec<Principal>,
    pub issued: TimestampMs,
    pub expires: TimestampMs,
    pub max: TimestampMs,
}

/// Creates a token; `owner` is the caller if it is `None`.
pub async fn create(
    client: &Client,
    owner: Option<&Principal>,
    renewers: &[Principal],
    max_lifetime_ms: i64,
) -> Result<Token> {
    let renewer = |it: &Principal| CreatableRenewers {
        principal_type: it.principal_type.clone(),
        principal_name: it.name.clone(),
    };
    let request = CreateDelegationTokenRequest {
        owner_principal_type: owner.map(|owner| owner.principal_type.clone()),
        owner_principal_name: owner.map(|owner| owner.name.clone()),
        renewers: renewers.iter().map(renewer).collect(),
        max_lifetime_ms,
    };
    let answer = client.call(request).await?;
    accepted(answer.error_code, None)?;
    let requester = Principal {
        principal_type: answer.token_requester_principal_type,
        name: answer.token_requester_principal_name,
    };
    Ok(Token {
        id: answer.token_id,
        hmac: answer.hmac,
        owner: Principal { principal_type: answer.principal_type, name: answer.principal_name },
        requester,
        renewers: renewers.to_vec(),
        issued: answer.issue_timestamp_ms,
        expires: answer.expiry_timestamp_ms,
        max: answer.max_timestamp_ms,
    })
}

/// Renews a token; returns when it expires.
pub async fn renew(client: &Client, hmac: Bytes, renew_period_ms: i64) -> Result<TimestampMs> {
    let answer = client.call(RenewDelegationTokenRequest { hmac, renew_period_ms }).await?;
    accepted(answer.error_code, None)?;
    Ok(answer.expiry_timestamp_ms)
}

/// Changes when a token expires; returns that time.
pub async fn expire(client: &Client, hmac: Bytes, expiry_time_period_ms: i64) -> Result<TimestampMs> {
    let answer = client.call(ExpireDelegationTokenRequest { hmac, expiry_time_period_ms }).await?;
    accepted(answer.error_code, None)?;
    Ok(answer.expiry_timestamp_ms)
}

/// The tokens that these principals own or may renew.
pub async fn describe(client: &Client, owners: &[Principal]) -> Result<Vec<Token>> {
    let owner = |it: &Principal| DescribeDelegationTokenOwner {
        principal_type: it.principal_type.clone(),
        principal_name: it.name.clone(),
    };
    let request = DescribeDelegationTokenRequest { owners: Some(owners.iter().map(owner).collect()) };
    let answer = client.call(request).await?;
    accepted(answer.error_code, None)?;
    let tokens = answer.tokens.into_iter().map(|it| Token {
        id: it.token_id,
        hmac: it.hmac,
        owner: Principal { principal_type: it.principal_type, name: it.principal_name },
        requester: Principal {
            principal_type: it.token_requester_principal_type,
            name: it.token_requester_principal_name,
        },
        renewers: it
            .renewers
            .into_iter()
            .map(|it| Principal { principal_type: it.principal_type, name: it.principal_name })
            .collect(),
        issued: it.issue_timestamp,
        expires: it.expiry_timestamp,
        max: it.max_timestamp,
    });
    Ok(tokens.collect())
}
