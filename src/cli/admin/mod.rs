//! What tools ask of a broker and tell it to do, as functions: Kafka's `Admin`, as far as its tools use it.
//!
//! Both the tools of Kafka's names and our own commands stand on these; errors are the [`Exception`]s that Kafka's
//! tools print.

pub mod configs;
pub mod groups;
pub mod log_dirs;
pub mod quotas;
pub mod reassignments;
pub mod records;
pub mod topics;
pub mod transactions;

use std::time::{Duration, Instant};

use super::tools::exceptions::Exception;
use ottla_client::{Client, ClientError};
use ottla_wire::protocol::ApiKey;
use ottla_wire::protocol::messages::list_groups::ListGroupsRequest;
use ottla_wire::types::ErrorCode;

pub type Result<T, E = Exception> = std::result::Result<T, E>;

/// How long the broker may take over a change.
const CHANGE_TIMEOUT_MS: i32 = 30_000;
/// Between two questions to a coordinator that isn't ready.
const PAUSE: Duration = Duration::from_millis(100);

/// The ids of the brokers that are up, in their order.
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

/// Asks until the coordinator that answers is ready, for so long. A broker may make its topic for offsets or
/// transactions only when somebody asks who coordinates, so between two questions that is asked.
async fn settled<T>(
    patience: Duration,
    ask: impl AsyncFn() -> Result<T, ClientError>,
    find: impl AsyncFn() -> Result<(), ClientError>,
) -> Result<T, ClientError> {
    let started = Instant::now();
    loop {
        match ask().await {
            Err(error) if is_passing(&error) && started.elapsed() < patience => {}
            answer => return answer,
        }
        match find().await {
            Err(error) if !is_passing(&error) => return Err(error),
            _ => tokio::time::sleep(PAUSE).await,
        }
    }
}

fn is_passing(error: &ClientError) -> bool {
    let passing = [ErrorCode::CoordinatorLoadInProgress, ErrorCode::CoordinatorNotAvailable, ErrorCode::NotCoordinator];
    error.code().is_some_and(|code| passing.contains(&code))
}

/// An error code as a result.
fn accepted(code: i16, message: Option<&str>) -> Result<()> {
    match code {
        0 => Ok(()),
        code => Err(Exception::refused(code, message)),
    }
}

/// The answer leaves out what was asked for.
fn incomplete(key: ApiKey) -> Exception {
    ClientError::Incomplete { key }.into()
}
