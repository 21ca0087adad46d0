//! DescribeUserScramCredentials (key 50, version 0) and AlterUserScramCredentials (51, version 0).

use std::collections::{BTreeMap, BTreeSet};

use super::authorizer::{Operation, Resource};
use super::context::{Answer, Context};
use super::errors::ToErrorCode;
use ottla_core::metadata::{AlterUserScramCredentials, ScramDeletion, ScramUpsertion};
use ottla_core::security::SecretBytes;
use ottla_wire::codec::Str;
use ottla_wire::protocol::messages::alter_user_scram_credentials::{
    AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse, AlterUserScramCredentialsResult,
};
use ottla_wire::protocol::messages::describe_user_scram_credentials::{
    CredentialInfo, DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse,
    DescribeUserScramCredentialsResult, UserName,
};
use ottla_wire::types::ErrorCode;

pub(super) fn alter(context: &Context, request: AlterUserScramCredentialsRequest) -> Answer {
    let deletions = request.deletions.iter().map(|it| &it.name);
    let users: BTreeSet<Str> = deletions.chain(request.upsertions.iter().map(|it| &it.name)).cloned().collect();
    if let Err(denied) = context.authorize(Operation::Alter, Resource::Cluster) {
        return refused(users, denied.error_code(), denied.message()).into();
    }
    let submitted = context.broker.metadata().submit(command(request));
    Answer::parked(async move {
        match submitted.await {
            Ok(results) => {
                let results = results.into_iter().map(|(user, result)| match result {
                    Ok(()) => AlterUserScramCredentialsResult { user, ..Default::default() },
                    Err(error) => failed(user, error.error_code(), &error.to_string()),
                });
                AlterUserScramCredentialsResponse { results: results.collect(), ..Default::default() }
            }
            Err(error) => refused(users, error.error_code(), &error.to_string()),
        }
    })
}

fn command(request: AlterUserScramCredentialsRequest) -> AlterUserScramCredentials {
    let deletions = request.deletions.into_iter().map(|it| ScramDeletion { user: it.name, mechanism: it.mechanism });
    let upsertions = request.upsertions.into_iter().map(|it| ScramUpsertion {
        user: it.name,
        mechanism: it.mechanism,
        iterations: it.iterations,
        salt: it.salt,
        salted_password: SecretBytes::new(it.salted_password),
    });
    AlterUserScramCredentials { deletions: deletions.collect(), upsertions: upsertions.collect() }
}

/// The same error for all users.
fn refused(users: BTreeSet<Str>, error: ErrorCode, message: &str) -> AlterUserScramCredentialsResponse {
    let results = users.into_iter().map(|user| failed(user, error, message));
    AlterUserScramCredentialsResponse { results: results.collect(), ..Default::default() }
}

fn failed(user: Str, error: ErrorCode, message: &str) -> AlterUserScramCredentialsResult {
    AlterUserScramCredentialsResult { user, error_code: error.code(), error_message: Some(message.into()) }
}

pub(super) fn describe(context: &Context, request: DescribeUserScramCredentialsRequest) -> Answer {
    if let Err(denied) = context.authorize(Operation::Describe, Resource::Cluster) {
        // As in Kafka, without names and messages.
        let error_code = denied.error_code().code();
        let result = |_: &_| DescribeUserScramCredentialsResult { error_code, ..Default::default() };
        let results = request.users.iter().flatten().map(result).collect();
        return DescribeUserScramCredentialsResponse { error_code, results, ..Default::default() }.into();
    }
    let cluster = context.broker.cluster();
    let mut known: BTreeMap<Str, Vec<CredentialInfo>> = BTreeMap::new();
    for (user, mechanism, credential) in cluster.image.scram_credentials() {
        let iterations = i32::try_from(credential.iterations).unwrap_or_default();
        known.entry(user.clone()).or_default().push(CredentialInfo { mechanism, iterations });
    }
    let results = match request.users {
        Some(users) if !users.is_empty() => described_users(users, &known),
        _ => known
            .into_iter()
            .map(|(user, credential_infos)| DescribeUserScramCredentialsResult {
                user,
                credential_infos,
                ..Default::default()
            })
            .collect(),
    };
    DescribeUserScramCredentialsResponse { error_message: Some(Str::new()), results, ..Default::default() }.into()
}

fn described_users(
    users: Vec<UserName>,
    known: &BTreeMap<Str, Vec<CredentialInfo>>,
) -> Vec<DescribeUserScramCredentialsResult> {
    let (mut names, mut duplicates) = (BTreeSet::new(), BTreeSet::new());
    for user in users {
        if !names.insert(user.name.clone()) {
            duplicates.insert(user.name);
        }
    }
    let described = |user: Str| {
        let refused = |error: ErrorCode, why: String| DescribeUserScramCredentialsResult {
            user: user.clone(),
            error_code: error.code(),
            error_message: Some(why.into()),
            ..Default::default()
        };
        if duplicates.contains(&user) {
            let why = format!("Cannot describe SCRAM credentials for the same user twice in a single request: {user}");
            return refused(ErrorCode::DuplicateResource, why);
        }
        match known.get(&user) {
            Some(credentials) => DescribeUserScramCredentialsResult {
                user: user.clone(),
                credential_infos: credentials.clone(),
                ..Default::default()
            },
            None => {
                let why = format!("Attempt to describe a user credential that does not exist: {user}");
                refused(ErrorCode::ResourceNotFound, why)
            }
        }
    };
    names.iter().cloned().map(described).collect()
}
