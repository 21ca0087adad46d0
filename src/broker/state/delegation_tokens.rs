//! Delegation tokens of the broker: the credential of each, and the removal of expired ones.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::Broker;
use ottla_core::metadata::{Image, SweepDelegationTokens};
use ottla_core::security::sasl::{ScramMechanism, TokenCredential};
use ottla_core::security::tokens::TokenKey;

/// The SCRAM credential of a token; `None` for an unknown one.
///
/// It is computed at each login, for unknown tokens too, so that the time does not reveal which exist.
pub(super) fn credential(
    image: &Image,
    key: &TokenKey,
    mechanism: ScramMechanism,
    token_id: &str,
    server_secret: &[u8],
) -> Option<TokenCredential> {
    let credential = Arc::new(key.credential(mechanism, token_id, server_secret));
    let token = image.delegation_token(token_id)?;
    Some(TokenCredential { credential, owner: token.owner.name.clone(), expires: token.expires })
}

/// Starts to remove expired tokens every `delegation.token.expiry.check.interval.ms`.
pub(super) fn start(broker: &Arc<Broker>) {
    let tokens = &broker.config.tokens;
    if tokens.secret_key.is_none() {
        return;
    }
    let interval = Duration::from_millis(tokens.expiry_check_interval_ms);
    let (broker, clock): (Weak<Broker>, _) = (Arc::downgrade(broker), broker.clock);
    tokio::spawn(async move {
        loop {
            clock.sleep(interval).await;
            let Some(broker) = broker.upgrade() else { return };
            broker.sweep_delegation_tokens().await;
        }
    });
}

impl Broker {
    async fn sweep_delegation_tokens(&self) {
        let (cluster, now) = (self.cluster(), self.now().wall);
        if !cluster.image.delegation_tokens().iter().any(|token| token.is_expired(now)) {
            return;
        }
        match self.metadata().submit(SweepDelegationTokens).await {
            Ok(removed) => {
                for token in removed.iter().filter_map(|id| cluster.image.delegation_token(id)) {
                    tracing::info!(token = &*token.id, owner = %token.owner, "removed an expired delegation token");
                }
            }
            Err(error) => tracing::warn!(%error, "failed to remove expired delegation tokens"),
        }
    }
}
