//! CreateDelegationToken (key 38, versions 0 to 3), RenewDelegationToken (39, versions 0 to 2), ExpireDelegationToken (40,
//! versions 0 to 2) and DescribeDelegationToken (41, versions 0 to 3).
//!
//! Only callers that have authenticated otherwise than by a token may send them.

use super::authorizer::{Operation, Resource};
use super::context::{Answer, Context};
use super::errors::ToErrorCode;
use ottla_config::SecurityProtocol;
use ottla_core::metadata::{
    CreateDelegationToken, CreatedDelegationToken, DelegationToken, ExpireDelegationToken, RenewDelegationToken,
};
use ottla_core::security::SecretBytes;
use ottla_core::security::principal::{Principal, USER_TYPE};
use ottla_core::security::tokens::TokenKey;
use ottla_wire::codec::Str;
use ottla_wire::protocol::messages::create_delegation_token::{
    CreateDelegationTokenRequest, CreateDelegationTokenResponse,
};
use ottla_wire::protocol::messages::describe_delegation_token::{
    DescribeDelegationTokenRequest, DescribeDelegationTokenResponse, DescribedDelegationToken,
    DescribedDelegationTokenRenewer,
};
use ottla_wire::protocol::messages::expire_delegation_token::{
    ExpireDelegationTokenRequest, ExpireDelegationTokenResponse,
};
use ottla_wire::protocol::messages::renew_delegation_token::{
    RenewDelegationTokenRequest, RenewDelegationTokenResponse,
};
use ottla_wire::types::{ErrorCode, TimestampMs};

/// The time in a response with an error that the controller did not decide (Kafka's `ErrorTimestamp`).
const ERROR_TIMESTAMP: TimestampMs = -1;

/// Whether a caller may send requests about tokens.
fn is_allowed(context: &Context) -> bool {
    let listener = context.broker.config().listeners.iter().find(|listener| *listener.name == *context.caller.listener);
    match listener.map(|listener| listener.protocol) {
        None | Some(SecurityProtocol::Plaintext) => false,
        Some(SecurityProtocol::Ssl) if context.caller.principal == Principal::anonymous() => false,
        Some(_) => !context.caller.by_token,
    }
}

pub(super) fn create(context: &Context, request: CreateDelegationTokenRequest) -> Answer {
    let requester = context.caller.principal.clone();
    let owner = match request.owner_principal_name {
        Some(name) if !name.is_empty() => {
            Principal { principal_type: request.owner_principal_type.unwrap_or_default(), name }
        }
        _ => requester.clone(),
    };
    let refused = |error, time| refused_creation(&owner, &requester, error, time);
    if !is_allowed(context) {
        return refused(ErrorCode::DelegationTokenRequestNotAllowed, ERROR_TIMESTAMP).into();
    }
    // Everybody may create tokens for oneself.
    if owner != requester && context.authorize(Operation::CreateTokens, Resource::User(&owner.to_string())).is_err() {
        return refused(ErrorCode::DelegationTokenAuthorizationFailed, ERROR_TIMESTAMP).into();
    }
    if request.renewers.iter().any(|renewer| renewer.principal_type != USER_TYPE) {
        return refused(ErrorCode::InvalidPrincipalType, ERROR_TIMESTAMP).into();
    }
    let renewers = request.renewers.into_iter();
    let submitted = context.broker.metadata().submit(CreateDelegationToken {
        owner: owner.clone(),
        requester: requester.clone(),
        renewers: renewers.map(|it| Principal { principal_type: it.principal_type, name: it.principal_name }).collect(),
        max_lifetime_ms: request.max_lifetime_ms,
        id: context.broker.new_uuid(),
    });
    Answer::parked(async move {
        match submitted.await {
            Ok(Ok(created)) => {
                let CreatedDelegationToken { token, hmac } = *created;
                CreateDelegationTokenResponse {
                    issue_timestamp_ms: token.issued,
                    expiry_timestamp_ms: token.expires,
                    max_timestamp_ms: token.max,
                    token_id: token.id,
                    hmac: hmac.expose().to_vec().into(),
                    ..refused_creation(&owner, &requester, ErrorCode::None, 0)
                }
            }
            Ok(Err(error)) => refused_creation(&owner, &requester, error.error_code(), 0),
            Err(error) => refused_creation(&owner, &requester, error.error_code(), ERROR_TIMESTAMP),
        }
    })
}

fn refused_creation(
    owner: &Principal,
    requester: &Principal,
    error: ErrorCode,
    time: TimestampMs,
) -> CreateDelegationTokenResponse {
    CreateDelegationTokenResponse {
        error_code: error.code(),
        principal_type: owner.principal_type.clone(),
        principal_name: owner.name.clone(),
        token_requester_principal_type: requester.principal_type.clone(),
        token_requester_principal_name: requester.name.clone(),
        issue_timestamp_ms: time,
        expiry_timestamp_ms: time,
        max_timestamp_ms: time,
        ..Default::default()
    }
}

pub(super) fn renew(context: &Context, request: RenewDelegationTokenRequest) -> Answer {
    let answer = |error: ErrorCode, expiry_timestamp_ms| RenewDelegationTokenResponse {
        error_code: error.code(),
        expiry_timestamp_ms,
        ..Default::default()
    };
    if !is_allowed(context) {
        return answer(ErrorCode::DelegationTokenRequestNotAllowed, ERROR_TIMESTAMP).into();
    }
    let submitted = context.broker.metadata().submit(RenewDelegationToken {
        hmac: SecretBytes::new(request.hmac),
        caller: context.caller.principal.clone(),
        period_ms: request.renew_period_ms,
    });
    Answer::parked(async move {
        match submitted.await {
            Ok(Ok(expires)) => answer(ErrorCode::None, expires),
            Ok(Err(error)) => answer(error.error_code(), 0),
            Err(error) => answer(error.error_code(), ERROR_TIMESTAMP),
        }
    })
}

pub(super) fn expire(context: &Context, request: ExpireDelegationTokenRequest) -> Answer {
    let answer = |error: ErrorCode, expiry_timestamp_ms| ExpireDelegationTokenResponse {
        error_code: error.code(),
        expiry_timestamp_ms,
        ..Default::default()
    };
    if !is_allowed(context) {
        return answer(ErrorCode::DelegationTokenRequestNotAllowed, ERROR_TIMESTAMP).into();
    }
    let submitted = context.broker.metadata().submit(ExpireDelegationToken {
        hmac: SecretBytes::new(request.hmac),
        caller: context.caller.principal.clone(),
        period_ms: request.expiry_time_period_ms,
    });
    Answer::parked(async move {
        match submitted.await {
            Ok(Ok(expires)) => answer(ErrorCode::None, expires),
            Ok(Err(error)) => answer(error.error_code(), 0),
            Err(error) => answer(error.error_code(), ERROR_TIMESTAMP),
        }
    })
}

pub(super) fn describe(context: &Context, request: DescribeDelegationTokenRequest) -> Answer {
    let refused = |error: ErrorCode| DescribeDelegationTokenResponse { error_code: error.code(), ..Default::default() };
    if !is_allowed(context) {
        return refused(ErrorCode::DelegationTokenRequestNotAllowed).into();
    }
    let key = context.broker.config().tokens.secret_key.as_ref().and_then(TokenKey::new);
    let Some(key) = key else { return refused(ErrorCode::DelegationTokenAuthDisabled).into() };
    // No list selects all owners, and an empty one none.
    let owners: Option<Vec<Principal>> = request.owners.map(|owners| {
        owners.into_iter().map(|it| Principal { principal_type: it.principal_type, name: it.principal_name }).collect()
    });
    let cluster = context.broker.cluster();
    let tokens = cluster.image.delegation_tokens().into_iter();
    let tokens = tokens
        .filter(|token| owners.as_ref().is_none_or(|owners| owners.iter().any(|owner| token.concerns(owner))))
        .filter(|token| may_describe(context, token))
        .map(|token| described(token, &key))
        .collect();
    DescribeDelegationTokenResponse { tokens, ..Default::default() }.into()
}

fn may_describe(context: &Context, token: &DelegationToken) -> bool {
    token.concerns(&context.caller.principal)
        || context.authorize(Operation::Describe, Resource::DelegationToken(&token.id)).is_ok()
        || context.authorize(Operation::DescribeTokens, Resource::User(&token.owner.to_string())).is_ok()
}

fn described(token: &DelegationToken, key: &TokenKey) -> DescribedDelegationToken {
    let renewer = |it: &Principal| DescribedDelegationTokenRenewer {
        principal_type: it.principal_type.clone(),
        principal_name: it.name.clone(),
    };
    DescribedDelegationToken {
        principal_type: token.owner.principal_type.clone(),
        principal_name: token.owner.name.clone(),
        token_requester_principal_type: token.requester.principal_type.clone(),
        token_requester_principal_name: token.requester.name.clone(),
        issue_timestamp: token.issued,
        expiry_timestamp: token.expires,
        max_timestamp: token.max,
        token_id: Str::clone(&token.id),
        hmac: key.hmac(&token.id).expose().to_vec().into(),
        renewers: token.renewers.iter().map(renewer).collect(),
    }
}
