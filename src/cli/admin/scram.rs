//! Users' SCRAM credentials.

use super::{Result, accepted, incomplete};
use ottla_client::Client;
use ottla_core::security::SecretBytes;
use ottla_core::security::sasl::ScramMechanism;
use ottla_wire::codec::Str;
use ottla_wire::protocol::ApiKey;
use ottla_wire::protocol::messages::alter_user_scram_credentials::{
    AlterUserScramCredentialsRequest, ScramCredentialDeletion, ScramCredentialUpsertion,
};
use ottla_wire::protocol::messages::describe_user_scram_credentials::{DescribeUserScramCredentialsRequest, UserName};
use ottla_wire::types::ErrorCode;

use crate::cli::tools::exceptions::Exception;

/// A user's SCRAM credentials: mechanism and iterations.
pub type ScramCredentials = Vec<(&'static str, i32)>;

/// A credential to set.
#[derive(Debug)]
pub struct Upsertion {
    pub mechanism: ScramMechanism,
    pub iterations: u32,
    pub salt: Vec<u8>,
    pub salted_password: SecretBytes,
}

/// The SCRAM credentials of these users; of all users if the list is empty.
pub async fn describe(client: &Client, users: &[String]) -> Result<Vec<(String, Result<ScramCredentials>)>> {
    let named = |name: &String| UserName { name: Str::from(name.as_str()) };
    let users = (!users.is_empty()).then(|| users.iter().map(named).collect());
    let answer = client.call(DescribeUserScramCredentialsRequest { users }).await?;
    accepted(answer.error_code, answer.error_message.as_deref())?;
    let not_found = ErrorCode::ResourceNotFound.code();
    let found = answer.results.into_iter().filter(|result| result.error_code != not_found);
    let described = found.map(|result| {
        let credentials = match result.error_code {
            0 => Ok(result.credential_infos.iter().map(|info| (name(info.mechanism), info.iterations)).collect()),
            code => Err(Exception::refused(code, result.error_message.as_deref())),
        };
        (result.user.to_string(), credentials)
    });
    Ok(described.collect())
}

fn name(code: i8) -> &'static str {
    ScramMechanism::from_code(code).map_or("UNKNOWN", ScramMechanism::name)
}

/// Removes and sets credentials of one user.
pub async fn alter(
    client: &Client,
    user: &str,
    deletions: &[ScramMechanism],
    upsertions: Vec<Upsertion>,
) -> Result<()> {
    let deletion =
        |mechanism: &ScramMechanism| ScramCredentialDeletion { name: user.into(), mechanism: mechanism.code() };
    let upsertion = |it: Upsertion| ScramCredentialUpsertion {
        name: user.into(),
        mechanism: it.mechanism.code(),
        iterations: i32::try_from(it.iterations).unwrap_or_default(),
        salt: it.salt.into(),
        salted_password: it.salted_password.expose().to_vec().into(),
    };
    let request = AlterUserScramCredentialsRequest {
        deletions: deletions.iter().map(deletion).collect(),
        upsertions: upsertions.into_iter().map(upsertion).collect(),
    };
    let answer = client.call(request).await?;
    let altered = answer.results.first().ok_or_else(|| incomplete(ApiKey::AlterUserScramCredentials))?;
    accepted(altered.error_code, altered.error_message.as_deref())
}
