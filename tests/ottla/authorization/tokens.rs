//! The APIs of delegation tokens with callers of different rights, compared with Apache Kafka.
//!
//! `tests/data/token-answers.tsv` is a sequence of requests by SASL users, with Kafka's answers: `admin` is a super user,
//! the others have the rights that `admin` gave them before. To record the answers again, set `TOKENS_OF_4_3` to the
//! address of a SASL_PLAINTEXT listener of a new broker of Apache Kafka 4.3 with the settings of [`broker`].

use std::fmt::Write as _;
use std::time::Duration;

use common::Broker;
use ottla_wire::protocol::ApiKey;

use super::{AUTHORIZER, PROPAGATION};
use crate::wire::WireClient;

pub const ANSWERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/token-answers.tsv");
const USERS: [&str; 5] = ["admin", "alice", "bob", "carol", "dave"];

fn broker() -> Broker {
    let users: String = USERS.iter().map(|user| format!(" user_{user}=\"{user}-secret\"")).collect();
    Broker::with()
        .set("listener.security.protocol.map", "PLAINTEXT:SASL_PLAINTEXT")
        .set("sasl.enabled.mechanisms", "PLAIN")
        .set(
            "listener.name.plaintext.plain.sasl.jaas.config",
            &format!("org.apache.kafka.common.security.plain.PlainLoginModule required{users};"),
        )
        .set("authorizer.class.name", AUTHORIZER)
        .set("super.users", "User:admin")
        .set("delegation.token.secret.key", "key")
        .start()
}

/// Sends all requests of the table. Returns the table with the answers, and the answers that differ.
fn run(address: &str, table: &str, propagation: Duration) -> (String, String) {
    let (mut client, mut last_user) = (WireClient::new(address, &[]), String::new());
    let (mut answers, mut differ) = (String::new(), String::new());
    for line in table.lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        let [user, api, version, request, ref expected @ ..] = columns[..] else {
            let _ = writeln!(answers, "{line}");
            continue;
        };
        if user == "user" {
            let _ = writeln!(answers, "{line}");
            continue;
        }
        if user != last_user {
            client.log_in(user);
            user.clone_into(&mut last_user);
        }
        let key = *ApiKey::ALL.iter().find(|key| key.name() == api).unwrap_or_else(|| panic!("{line}"));
        let answer = client.call(key, version.parse().unwrap(), request);
        std::thread::sleep(propagation);
        let _ = writeln!(answers, "{user}\t{api}\t{version}\t{request}\t{answer}");
        let expected = expected.first().copied().unwrap_or_default();
        if answer != expected {
            let _ = writeln!(differ, "{user} {api} {version} {request}\n  expected {expected}\n  here     {answer}");
        }
    }
    (answers, differ)
}

#[test]
fn requests_about_delegation_tokens_are_authorized_as_in_kafka() {
    if let Ok(address) = std::env::var("TOKENS_OF_4_3") {
        let table = std::fs::read_to_string(ANSWERS).unwrap();
        std::fs::write(ANSWERS, run(&address, &table, PROPAGATION * 3).0).unwrap();
    }
    let table = std::fs::read_to_string(ANSWERS).unwrap();
    let broker = broker();
    let (_, differ) = run(&broker.addr().to_string(), &table, Duration::ZERO);
    assert!(differ.is_empty(), "\n{differ}");
}
