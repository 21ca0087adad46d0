//! Admin requests as functions: the part of Kafka's `Admin` client that its tools use.
//!
//! Kafka's tools and our own commands use these functions. Errors are the [`Exception`]s that Kafka's tools print.

pub mod configs;
pub mod delegation_tokens;
pub mod groups;
pub mod log_dirs;
pub mod quotas;
pub mod reassignments;
pub mod records;
pub mod scram;
pub mod topics;
pub mod transactions;

use std::time::{Duration, Instant};

use super::tools::exceptions::Exception;
use ottla_client::{Client, ClientError};
use ottla_wire::protocol::ApiKey;
use ottla_wire::protocol::messages::list_groups::ListGroupsRequest;
use ottla_wire::types::ErrorCode;

pub type Result<T, E = Exception> = std::result::Result<T, E>;

/// The timeout in requests that change something.
const CHANGE_TIMEOUT_MS: i32 = 30_000;
/// The delay between two requests to a coordinator that isn't ready.
const RETRY_DELAY: Duration = Duration::from_millis(100);

/// The ids of the live brokers, sorted.
pub async fn broker_ids(client: &Client) -> Result<Vec<i32>> {
    let cluster = client.metadata(Some(&[])).await?;
    let mut ids: Vec<_> = cluster.brokers.iter().map(|broker| broker.node_id).collect();
    ids.sort_unstable();
    Ok(ids)
}

/// The ids of all groups.
pub async fn group_ids(client: &Client) -> Result<Vec<String>> {
    let answer = client.call(ListGroupsRequest::default()).await?;
    accepted(answer.error_code, None)?;
    Ok(answer.groups.into_iter().map(|group| group.group_id.to_string()).collect())
}

/// Repeats `request` until the coordinator is ready, for `timeout`. Calls `find_coordinator` in between, because a broker may
/// create its topic of offsets or transactions only at a FindCoordinator request.
async fn retry_coordinator<T>(
    timeout: Duration,
    request: impl AsyncFn() -> Result<T, ClientError>,
    find_coordinator: impl AsyncFn() -> Result<(), ClientError>,
) -> Result<T, ClientError> {
    let started = Instant::now();
    loop {
        match request().await {
            Err(error) if is_transient(&error) && started.elapsed() < timeout => {}
            answer => return answer,
        }
        match find_coordinator().await {
            Err(error) if !is_transient(&error) => return Err(error),
            _ => tokio::time::sleep(RETRY_DELAY).await,
        }
    }
}

fn is_transient(error: &ClientError) -> bool {
    let transient =
        [ErrorCode::CoordinatorLoadInProgress, ErrorCode::CoordinatorNotAvailable, ErrorCode::NotCoordinator];
    error.code().is_some_and(|code| transient.contains(&code))
}

/// Converts an error code to a result.
fn accepted(code: i16, message: Option<&str>) -> Result<()> {
    match code {
        0 => Ok(()),
        code => Err(Exception::refused(code, message)),
    }
}

/// The error of a response that lacks a requested part.
fn incomplete(key: ApiKey) -> Exception {
    ClientError::Incomplete { key }.into()
}
