//! Clients that authenticate with SASL, and the SCRAM users of the metadata log.

use std::fs;
use std::num::NonZeroU32;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use common::{Broker, Options, command, run_command};
use ottla::client::{Client, ClientError, ClientOptions, Sasl, Scram};
use ottla_config::Password;
use ottla_core::security::sasl::{ScramCredential, ScramMechanism};
use ottla_wire::protocol::messages::alter_user_scram_credentials::{
    AlterUserScramCredentialsRequest, ScramCredentialDeletion, ScramCredentialUpsertion,
};

use ottla_wire::protocol::messages::create_acls::{AclCreation, CreateAclsRequest};
use ottla_wire::protocol::messages::create_delegation_token::{
    CreatableRenewers, CreateDelegationTokenRequest, CreateDelegationTokenResponse,
};
use ottla_wire::protocol::messages::describe_acls::DescribeAclsRequest;
use ottla_wire::protocol::messages::describe_delegation_token::DescribeDelegationTokenRequest;
use ottla_wire::protocol::messages::expire_delegation_token::ExpireDelegationTokenRequest;
use ottla_wire::protocol::messages::renew_delegation_token::RenewDelegationTokenRequest;

use crate::fixture::code;

const PLAIN: &str = "org.apache.kafka.common.security.plain.PlainLoginModule";

/// A broker whose listener demands SASL. `admin` is a user of PLAIN.
fn broker() -> Options {
    Broker::with()
        .set("listener.security.protocol.map", "PLAINTEXT:SASL_PLAINTEXT")
        .set("sasl.enabled.mechanisms", "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512")
        .set(
            "listener.name.plaintext.plain.sasl.jaas.config",
            &format!("{PLAIN} required user_admin=\"admin-secret\";"),
        )
        .set("connection.failed.authentication.delay.ms", "0")
}

async fn connect(broker: &Broker, sasl: Sasl) -> Result<Client, ClientError> {
    let options = ClientOptions { sasl: Some(sasl), ..Default::default() };
    Client::connect_with(&broker.addr().to_string(), options).await
}

async fn admin(broker: &Broker) -> Client {
    connect(broker, Sasl::Plain { user: "admin".to_owned(), password: "admin-secret".to_owned() }).await.unwrap()
}

/// Whether a SCRAM user can log in: `ok`, or the error of the broker.
async fn login(broker: &Broker, mechanism: Scram, user: &str, password: &str) -> String {
    let sasl = Sasl::Scram { mechanism, user: user.to_owned(), password: password.to_owned(), by_token: false };
    match connect(broker, sasl).await {
        Ok(_) => "ok".to_owned(),
        Err(ClientError::Refused { code: error, message, .. }) => {
            format!("{}: {}", code(error), message.unwrap_or_default())
        }
        Err(error) => panic!("{error}"),
    }
}

fn upsertion(user: &str, mechanism: ScramMechanism, password: &str) -> ScramCredentialUpsertion {
    let iterations = NonZeroU32::new(4096).unwrap();
    let salted = ScramCredential::salted_password(mechanism, &Password::new(password), b"salt", iterations);
    ScramCredentialUpsertion {
        name: user.into(),
        mechanism: mechanism.code(),
        iterations: 4096,
        salt: Bytes::from_static(b"salt"),
        salted_password: Bytes::copy_from_slice(salted.expose()),
    }
}

/// Sets a password; returns the error.
async fn set(client: &Client, user: &str, mechanism: ScramMechanism, password: &str) -> Result<String, ClientError> {
    let upsertions = vec![upsertion(user, mechanism, password)];
    let results = client.call(AlterUserScramCredentialsRequest { upsertions, ..Default::default() }).await?.results;
    assert_eq!(results.len(), 1);
    Ok(code(results[0].error_code).to_owned())
}

const INVALID: &str = "SASL_AUTHENTICATION_FAILED: Authentication failed during authentication due to invalid credentials with SASL mechanism";

#[tokio::test]
async fn scram_user_can_log_in_until_the_password_changes_or_the_user_is_deleted() {
    let mut broker = broker().start();
    let invalid = |mechanism| format!("{INVALID} {mechanism}");
    let client = admin(&broker).await;
    assert_eq!(login(&broker, Scram::Sha256, "alice", "secret").await, invalid("SCRAM-SHA-256"));
    assert_eq!(set(&client, "alice", ScramMechanism::Sha256, "secret").await.unwrap(), "NONE");
    assert_eq!(set(&client, "a,b=c", ScramMechanism::Sha512, "geheim").await.unwrap(), "NONE");
    assert_eq!(login(&broker, Scram::Sha256, "alice", "secret").await, "ok");
    assert_eq!(login(&broker, Scram::Sha512, "a,b=c", "geheim").await, "ok");
    assert_eq!(login(&broker, Scram::Sha256, "alice", "other").await, invalid("SCRAM-SHA-256"));
    assert_eq!(login(&broker, Scram::Sha512, "alice", "secret").await, invalid("SCRAM-SHA-512"));

    broker.stop();
    broker.restart();
    assert_eq!(login(&broker, Scram::Sha256, "alice", "secret").await, "ok");
    let client = admin(&broker).await;
    set(&client, "alice", ScramMechanism::Sha256, "new").await.unwrap();
    assert_eq!(login(&broker, Scram::Sha256, "alice", "secret").await, invalid("SCRAM-SHA-256"));
    assert_eq!(login(&broker, Scram::Sha256, "alice", "new").await, "ok");

    let deletions = vec![ScramCredentialDeletion { name: "alice".into(), mechanism: 1 }];
    let request = AlterUserScramCredentialsRequest { deletions, ..Default::default() };
    let results = client.call(request.clone()).await.unwrap().results;
    assert_eq!((results[0].error_code, results[0].error_message.as_deref()), (0, None));
    assert_eq!(login(&broker, Scram::Sha256, "alice", "new").await, invalid("SCRAM-SHA-256"));
    let results = client.call(request).await.unwrap().results;
    let message = results[0].error_message.as_deref();
    let expected = "Attempt to delete a user credential that does not exist";
    assert_eq!((code(results[0].error_code), message), ("RESOURCE_NOT_FOUND", Some(expected)));

    let log = broker.log();
    for secret in ["secret", "geheim", "admin-secret"] {
        assert!(!log.contains(secret), "{log}");
    }
}

#[tokio::test]
async fn acknowledged_password_survives_kill_nine_and_another_one_is_old_or_new() {
    let mut broker = broker().start();
    let client = admin(&broker).await;
    assert_eq!(set(&client, "alice", ScramMechanism::Sha256, "0").await.unwrap(), "NONE");
    let mut acknowledged = 0;
    for round in 1..=12u32 {
        let client = admin(&broker).await;
        let change =
            tokio::spawn(async move { set(&client, "alice", ScramMechanism::Sha256, &round.to_string()).await });
        // From before the record is written to after the reply.
        tokio::time::sleep(Duration::from_micros(u64::from(round) * 150)).await;
        broker.kill();
        let was_acknowledged = change.await.unwrap().is_ok_and(|result| result == "NONE");
        broker.restart();
        let has_new = login(&broker, Scram::Sha256, "alice", &round.to_string()).await == "ok";
        assert!(has_new || !was_acknowledged, "round {round}");
        if has_new {
            acknowledged = round;
        }
        assert_eq!(login(&broker, Scram::Sha256, "alice", &acknowledged.to_string()).await, "ok", "round {round}");
    }
}

fn user(name: &str) -> CreatableRenewers {
    CreatableRenewers { principal_type: "User".into(), principal_name: name.into() }
}

/// Logs in with a token.
async fn with_token(
    broker: &Broker,
    mechanism: Scram,
    token: &CreateDelegationTokenResponse,
) -> Result<Client, ClientError> {
    let password = base64::engine::general_purpose::STANDARD.encode(&token.hmac);
    connect(broker, Sasl::Scram { mechanism, user: token.token_id.to_string(), password, by_token: true }).await
}

#[tokio::test]
async fn delegation_token_authenticates_its_owner_until_it_is_expired() {
    let mut broker = broker().set("delegation.token.secret.key", "key of tokens").start();
    let client = admin(&broker).await;
    let request =
        CreateDelegationTokenRequest { renewers: vec![user("bob")], max_lifetime_ms: -1, ..Default::default() };
    for version in 0..=3 {
        let token = client.call_at(request.clone(), version).await.unwrap();
        assert_eq!((code(token.error_code), &*token.principal_name), ("NONE", "admin"), "{version}");
        assert_eq!(token.max_timestamp_ms - token.issue_timestamp_ms, 604_800_000);
        assert_eq!(token.expiry_timestamp_ms - token.issue_timestamp_ms, 86_400_000);
    }
    let token = client.call(request.clone()).await.unwrap();
    broker.kill();
    broker.restart();
    for mechanism in [Scram::Sha256, Scram::Sha512] {
        let by_token = with_token(&broker, mechanism, &token).await.unwrap();
        // Who authenticated with a token may not create others.
        let refused = by_token.call(request.clone()).await.unwrap();
        assert_eq!(code(refused.error_code), "DELEGATION_TOKEN_REQUEST_NOT_ALLOWED");
    }
    let wrong = CreateDelegationTokenResponse { hmac: "wrong".into(), ..token.clone() };
    assert!(matches!(with_token(&broker, Scram::Sha256, &wrong).await, Err(ClientError::Refused { code: 58, .. })));

    let client = admin(&broker).await;
    let described = client.call(DescribeDelegationTokenRequest { owners: None }).await.unwrap();
    assert_eq!(described.tokens.len(), 5);
    let mine = described.tokens.iter().find(|it| it.token_id == token.token_id).unwrap();
    assert_eq!((&mine.hmac, &*mine.renewers[0].principal_name), (&token.hmac, "bob"));
    let renewal = RenewDelegationTokenRequest { hmac: token.hmac.clone(), renew_period_ms: 1000 };
    let renewed = client.call(renewal).await.unwrap();
    assert!(renewed.error_code == 0 && renewed.expiry_timestamp_ms < token.expiry_timestamp_ms);
    let expiry = ExpireDelegationTokenRequest { hmac: token.hmac.clone(), expiry_time_period_ms: -1 };
    assert_eq!(client.call(expiry.clone()).await.unwrap().error_code, 0);
    assert_eq!(code(client.call(expiry).await.unwrap().error_code), "DELEGATION_TOKEN_NOT_FOUND");
    assert!(matches!(with_token(&broker, Scram::Sha256, &token).await, Err(ClientError::Refused { code: 58, .. })));
    assert!(!broker.log().contains("key of tokens"));
}

#[tokio::test]
async fn expired_delegation_token_is_removed_by_the_sweep() {
    let broker = broker()
        .set("delegation.token.secret.key", "key")
        .set("delegation.token.expiry.check.interval.ms", "20")
        .start();
    let client = admin(&broker).await;
    let request = CreateDelegationTokenRequest { max_lifetime_ms: 1, ..Default::default() };
    let token = client.call(request).await.unwrap();
    broker.wait_for_log("removed an expired delegation token");
    let described = client.call(DescribeDelegationTokenRequest { owners: None }).await.unwrap();
    assert_eq!((described.error_code, described.tokens.len()), (0, 0));
    assert!(with_token(&broker, Scram::Sha256, &token).await.is_err());
}

#[tokio::test]
async fn delegation_tokens_are_disabled_without_a_secret_key_and_not_allowed_without_authentication() {
    let broker = broker().start();
    let client = admin(&broker).await;
    let request = CreateDelegationTokenRequest { max_lifetime_ms: -1, ..Default::default() };
    assert_eq!(code(client.call(request.clone()).await.unwrap().error_code), "DELEGATION_TOKEN_AUTH_DISABLED");
    let described = client.call(DescribeDelegationTokenRequest { owners: None }).await.unwrap();
    assert_eq!(code(described.error_code), "DELEGATION_TOKEN_AUTH_DISABLED");
    let plaintext = Broker::with().set("delegation.token.secret.key", "key").start();
    let client = Client::connect(&plaintext.addr().to_string()).await.unwrap();
    let refused = client.call(request).await.unwrap();
    assert_eq!((code(refused.error_code), refused.issue_timestamp_ms), ("DELEGATION_TOKEN_REQUEST_NOT_ALLOWED", -1));
    let renewal = RenewDelegationTokenRequest { hmac: "x".into(), renew_period_ms: 1 };
    let refused = client.call(renewal).await.unwrap();
    assert_eq!((code(refused.error_code), refused.expiry_timestamp_ms), ("DELEGATION_TOKEN_REQUEST_NOT_ALLOWED", -1));
}

/// Runs one of Kafka's tools with the properties of a client.
fn tool(broker: &Broker, properties: &str, name: &str, arguments: &[&str]) -> Output {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("client.properties");
    fs::write(&file, properties).unwrap();
    let mut command = command(&[]);
    command.args([name, "--bootstrap-server", broker.bootstrap_servers(), "--command-config"]).arg(&file);
    run_command(command.args(arguments))
}

#[test]
fn kafka_configs_sets_describes_and_deletes_scram_users_over_sasl() {
    let broker = broker().start();
    let properties = |mechanism: &str, module: &str, user: &str, password: &str| {
        format!(
            "security.protocol=SASL_PLAINTEXT\nsasl.mechanism={mechanism}\nsasl.jaas.config={module} required \\\n  \
             username=\"{user}\" password=\"{password}\";\n"
        )
    };
    let admin = properties("PLAIN", PLAIN, "admin", "admin-secret");
    let run = |properties: &str, arguments: &[&str]| {
        let output = tool(&broker, properties, "kafka-configs", arguments);
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        format!("{}{}{}", output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    };
    let users = ["--entity-type", "users", "--entity-name", "bob"];
    let alter = |what: &str, value: &str| run(&admin, &[&["--alter", what, value], &users[..]].concat());
    assert_eq!(
        alter("--add-config", "SCRAM-SHA-256=[iterations=8192,password=s,e=cret]"),
        "0Completed updating config for user bob.\n"
    );
    let bob = properties("SCRAM-SHA-256", "org.apache.kafka.common.security.scram.ScramLoginModule", "bob", "s,e=cret");
    let described = "0SCRAM credential configs for user-principal 'bob' are SCRAM-SHA-256=iterations=8192\n";
    assert_eq!(run(&bob, &["--describe", "--user", "bob"]), described);
    let refused = alter("--delete-config", "SCRAM-SHA-512");
    let message = "ResourceNotFoundException: Attempt to delete a user credential that does not exist";
    assert!(refused.starts_with('1') && refused.contains(message), "{refused}");
    let refused = alter("--add-config", "SCRAM-SHA-256=[password=hunter2],SCRAM-SHA-512=[password=hunter2]");
    assert!(refused.contains("A user credential cannot be altered twice in the same request"), "{refused}");
    assert!(!refused.contains("hunter2"), "{refused}");
    assert_eq!(alter("--delete-config", "SCRAM-SHA-256"), "0Completed updating config for user bob.\n");
    assert_eq!(run(&admin, &["--describe", "--entity-type", "users"]), "0");
}

#[tokio::test]
async fn users_of_kafka_storage_can_log_in_at_the_first_start() {
    let dir = tempfile::tempdir().unwrap();
    let (data, config) = (dir.path().join("data"), dir.path().join("server.properties"));
    fs::write(&config, format!("node.id=1\nlog.dirs={}\n", data.display())).unwrap();
    let format = |user: &str| {
        let mut command = command(&[]);
        command.args(["kafka-storage", "format", "--cluster-id", "MkU3OEVBNTcwNTJENDM2Qg", "--config"]);
        run_command(command.arg(&config).args(["--add-scram", user]))
    };
    let refused = format("SCRAM-SHA-256=[name=alice,password=hunter2,iterations=1]");
    assert_eq!(refused.status.code(), Some(1));
    let formatted = format("SCRAM-SHA-512=[name=alice,password=hunter2]");
    let stdout = String::from_utf8(formatted.stdout).unwrap();
    assert!(formatted.status.success() && stdout.contains("UserScramCredentialRecord(name='alice', mechanism=2, "));
    assert!(!stdout.contains("hunter2"));
    let broker = broker().data_dir(&data).start();
    assert_eq!(login(&broker, Scram::Sha512, "alice", "hunter2").await, "ok");
    assert_eq!(login(&broker, Scram::Sha512, "alice", "hunter3").await, format!("{INVALID} SCRAM-SHA-512"));
}

#[test]
fn secret_of_scram_can_be_read_by_its_owner_alone_also_in_an_existing_directory() {
    let mut broker = broker().start();
    let path = broker.data_dir().join("ottla-scram-secret");
    let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(), 0o600);
    let before = fs::read(&path).unwrap();
    broker.stop();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    broker.restart();
    assert_eq!((mode(), fs::read(&path).unwrap() == before), (0o600, true));
}

#[tokio::test]
async fn reset_leaves_the_users_of_a_first_start_and_no_tokens_and_acls() {
    let dir = tempfile::tempdir().unwrap();
    let (data, config) = (dir.path().join("data"), dir.path().join("server.properties"));
    fs::write(&config, format!("node.id=1\nlog.dirs={}\n", data.display())).unwrap();
    let mut format = command(&[]);
    format.args(["kafka-storage", "format", "--cluster-id", "MkU3OEVBNTcwNTJENDM2Qg", "--config"]).arg(&config);
    format.args(["--add-scram", "SCRAM-SHA-512=[name=alice,password=hunter2]"]);
    assert!(run_command(&mut format).status.success());
    let options = broker().data_dir(&data).set("ottla.users", "bob:bob-secret").set("super.users", "User:admin");
    let options = options.set("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer");
    let mut broker = options.set("delegation.token.secret.key", "key").arg("--admin-port").arg("0").start();
    let refused = |mechanism| format!("{INVALID} {mechanism}");
    // After the second start, the users of the formatted directory are no longer read for the metadata log.
    for round in 1..=2 {
        let client = admin(&broker).await;
        for (user, mechanism) in [("alice", ScramMechanism::Sha512), ("bob", ScramMechanism::Sha256)] {
            assert_eq!(set(&client, user, mechanism, "changed").await.unwrap(), "NONE");
        }
        assert_eq!(set(&client, "carol", ScramMechanism::Sha512, "new").await.unwrap(), "NONE");
        let request = CreateDelegationTokenRequest { max_lifetime_ms: -1, ..Default::default() };
        let token = client.call(request).await.unwrap();
        assert_eq!(token.error_code, 0);
        let acl = AclCreation {
            resource_type: 2,
            resource_name: "orders".into(),
            principal: "User:bob".into(),
            host: "*".into(),
            operation: 3,
            permission_type: 3,
            ..Default::default()
        };
        let created = client.call(CreateAclsRequest { creations: vec![acl] }).await.unwrap();
        assert_eq!(created.results[0].error_code, 0);

        crate::admin::http::reset(&broker);
        assert_eq!(login(&broker, Scram::Sha512, "alice", "hunter2").await, "ok", "round {round}");
        assert_eq!(login(&broker, Scram::Sha256, "bob", "bob-secret").await, "ok", "round {round}");
        assert_eq!(login(&broker, Scram::Sha512, "bob", "bob-secret").await, "ok", "round {round}");
        assert_eq!(login(&broker, Scram::Sha512, "carol", "new").await, refused("SCRAM-SHA-512"), "round {round}");
        assert!(with_token(&broker, Scram::Sha256, &token).await.is_err(), "round {round}");
        let all = DescribeAclsRequest {
            resource_type_filter: 1,
            pattern_type_filter: 1,
            operation: 1,
            permission_type: 1,
            ..Default::default()
        };
        assert!(admin(&broker).await.call(all).await.unwrap().resources.is_empty(), "round {round}");
        broker.kill();
        broker.restart();
    }
}
