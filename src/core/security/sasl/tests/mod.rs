//! Exchanges from the outside: a client's messages, and the server's answers.

mod oauthbearer;
mod plain;
mod scram;

use std::collections::HashMap;
use std::sync::Arc;

use super::*;

/// The credentials of the tests.
#[derive(Default)]
struct Users {
    plain: HashMap<&'static str, &'static str>,
    scram: HashMap<(ScramMechanism, &'static str), Arc<ScramCredential>>,
    tokens: HashMap<&'static str, TokenCredential>,
    bearer: HashMap<&'static str, Result<BearerToken, BearerRejection>>,
}

impl Credentials for Users {
    fn plain_password(&self, user: &str) -> Option<Password> {
        self.plain.get(user).map(|password| Password::new(*password))
    }

    fn scram(&self, mechanism: ScramMechanism, user: &str) -> Option<Arc<ScramCredential>> {
        self.scram.iter().find(|((of, name), _)| *of == mechanism && *name == user).map(|(_, found)| Arc::clone(found))
    }

    fn delegation_token(&self, _mechanism: ScramMechanism, token_id: &str) -> Option<TokenCredential> {
        self.tokens.get(token_id).cloned()
    }

    fn bearer_token(&self, token: &str, _now: TimestampMs) -> Result<BearerToken, BearerRejection> {
        self.bearer.get(token).cloned().unwrap_or_else(|| Err(BearerRejection::invalid_token("no such token")))
    }

    fn server_secret(&self) -> &[u8] {
        b"a secret of the broker"
    }
}

fn exchange(mechanism: Mechanism) -> Exchange {
    Exchange::new(mechanism, Attempt::First, [7; NONCE_BYTES])
}

/// The message to the client of a failed step.
#[track_caller]
fn failed(step: Step) -> String {
    match step {
        Step::Failed(failure) => failure.message,
        other => panic!("not a failure: {other:?}"),
    }
}

#[track_caller]
fn continued(step: Step) -> String {
    match step {
        Step::Continue(reply) => String::from_utf8(reply).unwrap(),
        other => panic!("not a reply: {other:?}"),
    }
}
