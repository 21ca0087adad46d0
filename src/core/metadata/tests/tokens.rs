//! Delegation tokens.

use std::sync::Arc;

use super::*;
use crate::security::tokens::TokenKey;
use crate::security::{Principal, SecretBytes};
use ottla_config::{BrokerConfig, Password, TokensConfig};
use ottla_wire::types::TimestampMs;

const DAY: i64 = 86_400_000;

fn cluster() -> TestCluster {
    let tokens = TokensConfig {
        secret_key: Some(Password::new("secret")),
        max_lifetime_ms: 7 * DAY,
        expiry_time_ms: DAY,
        expiry_check_interval_ms: 3_600_000,
    };
    let mut broker = BrokerConfig::default();
    broker.tokens = tokens;
    TestCluster::with(MetadataConfig { broker: Arc::new(broker), ..config() }).start()
}

fn user(name: &str) -> Principal {
    Principal::user(name)
}

fn create(
    cluster: &mut TestCluster,
    owner: &str,
    max_lifetime_ms: i64,
) -> Result<Box<CreatedDelegationToken>, MetadataError> {
    let id = cluster.id();
    let request = CreateDelegationToken {
        owner: user(owner),
        requester: user("admin"),
        renewers: vec![user("renewer")],
        max_lifetime_ms,
        id,
    };
    match cluster.run(request.into()) {
        MetadataReply::CreateDelegationToken(result) => result,
        other => panic!("{other:?}"),
    }
}

/// Runs a command at a time after the start.
fn at(cluster: &mut TestCluster, after: i64, command: MetadataCommand) -> MetadataReply {
    let time = Now { wall: now().wall + after, ..now() };
    let mut effects = cluster.machine.handle(time, ReplyTo(1), command);
    cluster.write(&effects.records);
    effects.replies.pop().unwrap().1
}

/// When the token expires after the renewal, in milliseconds after the start.
fn renew(
    cluster: &mut TestCluster,
    after: i64,
    hmac: &SecretBytes,
    caller: &str,
    period_ms: i64,
) -> Result<i64, String> {
    let request = RenewDelegationToken { hmac: hmac.clone(), caller: user(caller), period_ms };
    match at(cluster, after, request.into()) {
        MetadataReply::RenewDelegationToken(result) => since_start(result),
        other => panic!("{other:?}"),
    }
}

fn expire(
    cluster: &mut TestCluster,
    after: i64,
    hmac: &SecretBytes,
    caller: &str,
    period_ms: i64,
) -> Result<i64, String> {
    let request = ExpireDelegationToken { hmac: hmac.clone(), caller: user(caller), period_ms };
    match at(cluster, after, request.into()) {
        MetadataReply::ExpireDelegationToken(result) => since_start(result),
        other => panic!("{other:?}"),
    }
}

fn since_start(result: Result<TimestampMs, MetadataError>) -> Result<i64, String> {
    result.map(|time| time - now().wall).map_err(|error| format!("{error:?}"))
}

#[test]
fn created_token_has_the_lifetimes_of_the_settings_or_shorter_ones() {
    let mut cluster = cluster();
    for (requested, max, expires) in
        [(-1, 7 * DAY, DAY), (0, 7 * DAY, DAY), (8 * DAY, 7 * DAY, DAY), (2 * DAY, 2 * DAY, DAY), (5000, 5000, 5000)]
    {
        let CreatedDelegationToken { token, hmac } = *create(&mut cluster, "alice", requested).unwrap();
        assert_eq!((token.max - now().wall, token.expires - now().wall), (max, expires), "{requested}");
        assert_eq!((token.issued, &token.owner, &token.requester), (now().wall, &user("alice"), &user("admin")));
        let key = TokenKey::new(&Password::new("secret")).unwrap();
        assert_eq!(hmac, key.hmac(&token.id));
        assert_eq!(cluster.image().delegation_token(&token.id).map(|token| &**token), Some(&token));
    }
    assert_eq!(cluster.image().delegation_tokens().len(), 5);
    assert_eq!(cluster.recovered_from_snapshot().image(), cluster.image());
}

#[test]
fn owner_and_renewers_renew_a_token_up_to_its_maximum() {
    let mut cluster = cluster();
    let hmac = create(&mut cluster, "alice", -1).unwrap().hmac;
    assert_eq!(renew(&mut cluster, 1000, &hmac, "alice", -1), Ok(DAY + 1000));
    assert_eq!(renew(&mut cluster, 1000, &hmac, "renewer", 5000), Ok(6000));
    assert_eq!(renew(&mut cluster, 1000, &hmac, "alice", 2 * DAY), Ok(DAY + 1000));
    for (caller, expected) in [("admin", "DelegationTokenOwnerMismatch"), ("eve", "DelegationTokenOwnerMismatch")] {
        assert_eq!(renew(&mut cluster, 1000, &hmac, caller, -1), Err(expected.to_owned()));
    }
    let mut restarted = cluster.restarted();
    for day in 1..7 {
        renew(&mut restarted, day * DAY, &hmac, "alice", -1).unwrap();
    }
    assert_eq!(renew(&mut restarted, 7 * DAY - 5, &hmac, "alice", -1), Ok(7 * DAY));
    assert_eq!(renew(&mut restarted, 7 * DAY + 1, &hmac, "alice", -1), Err("DelegationTokenExpired".to_owned()));
    let unknown = SecretBytes::new(&b"unknown"[..]);
    assert_eq!(renew(&mut cluster, 0, &unknown, "alice", -1), Err("DelegationTokenNotFound".to_owned()));
}

#[test]
fn expired_token_is_removed_by_a_negative_period_or_the_sweep() {
    let mut cluster = cluster();
    let first = create(&mut cluster, "alice", 5000).unwrap();
    let second = create(&mut cluster, "alice", -1).unwrap();
    assert_eq!(expire(&mut cluster, 0, &first.hmac, "eve", -1), Err("DelegationTokenOwnerMismatch".to_owned()));
    assert_eq!(expire(&mut cluster, 1000, &first.hmac, "renewer", 10_000), Ok(5000));
    assert_eq!(expire(&mut cluster, 1000, &first.hmac, "renewer", 100), Ok(1100));
    assert_eq!(expire(&mut cluster, 1101, &first.hmac, "alice", 100), Err("DelegationTokenExpired".to_owned()));
    let sweep = |cluster: &mut TestCluster, after| match at(cluster, after, SweepDelegationTokens.into()) {
        MetadataReply::SweepDelegationTokens(ids) => ids,
        other => panic!("{other:?}"),
    };
    assert_eq!(sweep(&mut cluster, 1100), [] as [&str; 0]);
    assert_eq!(sweep(&mut cluster, 1101), [first.token.id]);
    assert_eq!(expire(&mut cluster, 1101, &first.hmac, "alice", -1), Err("DelegationTokenNotFound".to_owned()));
    assert_eq!(expire(&mut cluster, 2000, &second.hmac, "alice", -1), Ok(2000));
    assert_eq!(cluster.image().delegation_tokens().len(), 0);
    assert_eq!(cluster.restarted().image(), cluster.image());
}

#[test]
fn tokens_are_disabled_without_a_secret_key() {
    let mut cluster = TestCluster::started();
    assert_eq!(create(&mut cluster, "alice", -1), Err(MetadataError::DelegationTokenAuthDisabled));
    let hmac = SecretBytes::new(&b"x"[..]);
    let disabled = || Err("DelegationTokenAuthDisabled".to_owned());
    assert_eq!(renew(&mut cluster, 0, &hmac, "alice", -1), disabled());
    assert_eq!(expire(&mut cluster, 0, &hmac, "alice", -1), disabled());
}

#[test]
fn reset_removes_tokens() {
    let mut cluster = cluster();
    let hmac = create(&mut cluster, "alice", -1).unwrap().hmac;
    cluster.run(Reset::default().into());
    assert!(cluster.image().delegation_tokens().is_empty());
    assert!(renew(&mut cluster, 0, &hmac, "alice", -1).is_err());
}
