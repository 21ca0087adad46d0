//! Arbitrary messages to each SASL mechanism: continued, accepted or refused, without a panic. Only the users that exist
//! are accepted, and no text about a failure contains a secret.

#![no_main]

use std::num::NonZeroU32;
use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use ottla_config::Password;
use ottla_core::security::bearer::UnsecuredSettings;
use ottla_core::security::jaas::parse_property;
use ottla_core::security::sasl::{
    Attempt, BearerRejection, BearerToken, Credentials, Exchange, Mechanism, NONCE_BYTES, ScramCredential,
    ScramMechanism, Step, TokenCredential,
};

const NOW: i64 = 1_700_000_000_000;
/// Long enough that no input contains it by chance.
const SECRET: &str = "correct horse battery staple";

struct Users;

static CREDENTIAL: LazyLock<Arc<ScramCredential>> = LazyLock::new(|| {
    let iterations = NonZeroU32::new(4096).unwrap();
    let password = Password::new(SECRET);
    Arc::new(ScramCredential::of_password(ScramMechanism::Sha256, &password, b"salt".to_vec(), iterations))
});

static UNSECURED: LazyLock<UnsecuredSettings> = LazyLock::new(|| {
    let module = parse_property("x.Y required unsecuredValidatorRequiredScope=\"a b\";").unwrap();
    UnsecuredSettings::of_options(&module).unwrap()
});

impl Credentials for Users {
    fn plain_password(&self, user: &str) -> Option<Password> {
        (user == "alice").then(|| Password::new(SECRET))
    }

    fn scram(&self, mechanism: ScramMechanism, user: &str) -> Option<Arc<ScramCredential>> {
        (mechanism == ScramMechanism::Sha256 && user == "alice").then(|| Arc::clone(&CREDENTIAL))
    }

    fn delegation_token(&self, _mechanism: ScramMechanism, token_id: &str) -> Option<TokenCredential> {
        let credential = Arc::clone(&CREDENTIAL);
        (token_id == "token").then(|| TokenCredential { credential, owner: "alice".into(), expires: NOW })
    }

    fn bearer_token(&self, token: &str, now: i64) -> Result<BearerToken, BearerRejection> {
        UNSECURED.validate(token, now)
    }

    fn server_secret(&self) -> &[u8] {
        b"a secret of the broker"
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((choice, messages)) = input.split_first() else { return };
    let mechanism = Mechanism::ALL[usize::from(*choice) % Mechanism::ALL.len()];
    let mut exchange = Exchange::new(mechanism, Attempt::First, [7; NONCE_BYTES]);
    let mut ended = false;
    for message in messages.split(|byte| *byte == 0xff).take(4) {
        match exchange.step(message, &Users, NOW) {
            Step::Continue(_) => assert!(!ended),
            Step::Done(done) => {
                assert!(!ended);
                // A bearer token without a signature may name any user.
                assert!(&*done.user == "alice" || mechanism == Mechanism::OAuthBearer);
                ended = true;
            }
            Step::Failed(failure) => {
                assert!(!failure.message.is_empty() && !failure.log.is_empty());
                assert!(!failure.message.contains(SECRET) && !failure.log.contains(SECRET));
                ended = true;
            }
        }
    }
});
