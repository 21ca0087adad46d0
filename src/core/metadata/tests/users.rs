//! SCRAM credentials of users.

use std::sync::Arc;

use super::*;
use crate::metadata::features::METADATA_VERSION;
use crate::metadata::records::{FeatureLevelRecord, RecordBody};
use crate::security::SecretBytes;
use crate::security::sasl::{ScramCredential, ScramMechanism};
use ottla_wire::codec::Str;

fn deletion(user: &str, mechanism: i8) -> ScramDeletion {
    ScramDeletion { user: user.into(), mechanism }
}

fn upsertion(user: &str, mechanism: i8, iterations: i32) -> ScramUpsertion {
    ScramUpsertion {
        user: user.into(),
        mechanism,
        iterations,
        salt: Bytes::from_static(b"salt"),
        salted_password: SecretBytes::new(&b"salted"[..]),
    }
}

/// The results as text.
fn alter(cluster: &mut TestCluster, deletions: &[ScramDeletion], upsertions: &[ScramUpsertion]) -> Vec<String> {
    let request = AlterUserScramCredentials { deletions: deletions.to_vec(), upsertions: upsertions.to_vec() };
    let MetadataReply::AlterUserScramCredentials(results) = cluster.run(request.into()) else { panic!() };
    let text = |(user, result): (Str, Result<(), MetadataError>)| match result {
        Ok(()) => user.to_string(),
        Err(error) => format!("{user}: {error}"),
    };
    results.into_iter().map(text).collect()
}

#[test]
fn upserted_credential_is_that_of_the_salted_password_until_it_is_deleted() {
    let mut cluster = TestCluster::started();
    assert_eq!(alter(&mut cluster, &[], &[upsertion("alice", 1, 8192)]), ["alice"]);
    let expected = ScramCredential::of_salted_password(ScramMechanism::Sha256, b"salted", b"salt".to_vec(), 8192);
    let found = |cluster: &TestCluster, mechanism| cluster.image().scram_credential(mechanism, "alice");
    assert_eq!(found(&cluster, ScramMechanism::Sha256).as_deref(), Some(&expected));
    assert_eq!(found(&cluster, ScramMechanism::Sha512), None);
    assert_eq!(cluster.recovered_from_snapshot().image(), cluster.image());

    assert_eq!(alter(&mut cluster, &[], &[upsertion("alice", 1, 4096), upsertion("bob", 2, 16384)]), ["bob", "alice"]);
    assert_eq!(found(&cluster, ScramMechanism::Sha256).map(|it| it.iterations), Some(4096));
    assert_eq!(alter(&mut cluster, &[deletion("alice", 1)], &[upsertion("carol", 1, 4096)]), ["alice", "carol"]);
    assert_eq!(found(&cluster, ScramMechanism::Sha256), None);
    let left: Vec<_> =
        cluster.image().scram_credentials().into_iter().map(|(user, code, _)| format!("{user} {code}")).collect();
    assert_eq!(left, ["bob 2", "carol 1"]);
}

#[test]
fn invalid_changes_are_refused_each_by_itself() {
    let mut cluster = TestCluster::started();
    alter(&mut cluster, &[], &[upsertion("alice", 1, 4096)]);
    let results = alter(
        &mut cluster,
        &[deletion("alice", 2), deletion("nobody", 1), deletion("", 1), deletion("x", 3)],
        &[
            upsertion("few", 1, 4095),
            upsertion("negative", 2, -1),
            upsertion("many", 2, 16385),
            upsertion("y", 0, 4096),
            upsertion("z", 1, 4096),
        ],
    );
    let mut sorted = results.clone();
    sorted.sort();
    assert_eq!(results[0], "z");
    assert_eq!(
        sorted,
        [
            ": Username must not be empty",
            "alice: Attempt to delete a user credential that does not exist",
            "few: Too few iterations",
            "many: Too many iterations",
            "negative: Too few iterations",
            "nobody: Attempt to delete a user credential that does not exist",
            "x: Unknown SCRAM mechanism",
            "y: Unknown SCRAM mechanism",
            "z",
        ]
    );
}

#[test]
fn user_that_is_named_twice_is_not_changed() {
    let mut cluster = TestCluster::started();
    let twice = |user: &str| format!("{user}: A user credential cannot be altered twice in the same request");
    let both = [upsertion("a", 1, 4096), upsertion("a", 2, 4096), upsertion("a", 1, 4096)];
    assert_eq!(alter(&mut cluster, &[], &both), [twice("a")]);
    alter(&mut cluster, &[], &[upsertion("a", 1, 4096)]);
    alter(&mut cluster, &[], &[upsertion("a", 2, 4096)]);
    assert_eq!(alter(&mut cluster, &[deletion("a", 1), deletion("a", 2)], &[]), [twice("a")]);
    assert_eq!(alter(&mut cluster, &[deletion("a", 1)], &[upsertion("a", 2, 8192)]), [twice("a")]);
    assert_eq!(cluster.image().scram_credentials().len(), 2);
    // The first error of a user counts.
    assert_eq!(alter(&mut cluster, &[deletion("b", 1)], &[upsertion("b", 1, 1)]).len(), 1);
}

#[test]
fn old_metadata_version_has_no_credentials() {
    let mut cluster = TestCluster::started();
    let level = FeatureLevelRecord { name: METADATA_VERSION.into(), feature_level: 10 };
    cluster.write(&[MetadataRecord::new(0, RecordBody::FeatureLevel(level))]);
    let unsupported = "a: The current metadata.version does not support SCRAM";
    assert_eq!(alter(&mut cluster, &[], &[upsertion("a", 1, 4096)]), [unsupported]);
    assert_eq!(alter(&mut cluster, &[deletion("a", 1)], &[]), [unsupported]);
}

#[test]
fn debug_output_of_a_command_has_no_secret() {
    let request = AlterUserScramCredentials { upsertions: vec![upsertion("a", 1, 4096)], ..Default::default() };
    assert!(format!("{request:?}").contains("salted_password: [hidden]"));
}

fn start_user(user: &str, mechanism: ScramMechanism, salted_password: &[u8]) -> StartUser {
    let credential = ScramCredential::of_salted_password(mechanism, salted_password, b"salt".to_vec(), 4096);
    StartUser { user: user.into(), mechanism: mechanism.code(), credential: Arc::new(credential) }
}

fn credentials(cluster: &TestCluster) -> Vec<StartUser> {
    let all = cluster.image().scram_credentials().into_iter();
    let user = |(user, mechanism, credential): (&Str, i8, &Arc<ScramCredential>)| StartUser {
        user: user.clone(),
        mechanism,
        credential: Arc::clone(credential),
    };
    all.map(user).collect()
}

#[test]
fn reset_leaves_the_users_of_a_first_start() {
    let mut cluster = TestCluster::started();
    let (sha256, sha512) = (ScramMechanism::Sha256, ScramMechanism::Sha512);
    let users = [
        start_user("changed", sha256, b"old"),
        start_user("deleted", sha256, b"x"),
        start_user("kept", sha256, b"x"),
        start_user("kept", sha512, b"x"),
    ];
    for (user, mechanism, salted_password) in
        [("changed", sha256, &b"new"[..]), ("kept", sha256, b"x"), ("kept", sha512, b"x"), ("new", sha512, b"x")]
    {
        let at_run_time = start_user(user, mechanism, salted_password);
        cluster.write(&[scram_record(user, mechanism, &at_run_time.credential)]);
    }
    let reset = Reset { users: users.to_vec(), ..Reset::default() };
    cluster.run(reset.clone().into());
    assert_eq!(credentials(&cluster), users);
    assert_eq!(credentials(&cluster.restarted()), users);
    let written = cluster.log.len();
    cluster.run(reset.into());
    assert_eq!(cluster.log.len(), written, "nothing has changed");
}
