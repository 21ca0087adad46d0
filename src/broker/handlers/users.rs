//! DescribeUserScramCredentials (key 50, version 0).
//!
//! It describes the records of a metadata log from Apache Kafka. This broker does not enforce credentials, so
//! AlterUserScramCredentials is not supported.

use std::collections::{BTreeMap, BTreeSet};

use super::authorizer::{Operation, Resource};
use super::context::{Answer, Context};
use super::errors::ToErrorCode;
use ottla_wire::codec::Str;
use ottla_wire::protocol::messages::describe_user_scram_credentials::{
    CredentialInfo, DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse,
    DescribeUserScramCredentialsResult, UserName,
};
use ottla_wire::types::ErrorCode;

pub(super) fn describe_scram(context: &Context, request: DescribeUserScramCredentialsRequest) -> Answer {
    if let Err(denied) = context.authorize(Operation::Describe, Resource::Cluster) {
        return DescribeUserScramCredentialsResponse {
            error_code: denied.error_code().code(),
            error_message: Some(Str::from_static(denied.message())),
            ..Default::default()
        }
        .into();
    }
    let cluster = context.broker.cluster();
    let mut known: BTreeMap<Str, Vec<CredentialInfo>> = BTreeMap::new();
    for (user, mechanism, iterations) in cluster.image.scram_credentials() {
        known.entry(user.into()).or_default().push(CredentialInfo { mechanism, iterations });
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
