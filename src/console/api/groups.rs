//! `/groups`: groups of every kind, their members, offsets and lag.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::Json;
use super::topics::{EARLIEST, LATEST, offsets};
use crate::error::{ApiError, Result};
use crate::{Console, Kafka};
use ottla_client::{Client, ClientError, CommittedOffset, GroupDescription, MemberDescription};
use ottla_wire::codec::Str;
use ottla_wire::protocol::messages::describe_groups::DescribeGroupsRequest;
use ottla_wire::types::{ErrorCode, TopicPartition};

/// How often a request to a coordinator that is loading is repeated, and after which time.
const RETRIES: usize = 20;
const RETRY_DELAY: Duration = Duration::from_millis(100);

pub async fn list(Kafka(client): Kafka) -> Result<Json> {
    let mut groups = retrying(|| client.list_groups(&[], &[])).await?;
    groups.sort_by(|left, right| left.id.cmp(&right.id));
    let group = |group: &ottla_client::ListedGroup| {
        json!({
            "id": group.id,
            "type": group.group_type,
            "state": group.state,
            "protocol_type": group.protocol_type,
        })
    };
    Ok(Json(json!({"groups": groups.iter().map(group).collect::<Vec<_>>()})))
}

pub async fn get(State(console): State<Arc<Console>>, Kafka(client): Kafka, Path(id): Path<String>) -> Result<Json> {
    let group = match retrying(|| client.describe_consumer_group(&id)).await {
        Err(ClientError::NotConsumerGroup { .. }) => return other_group(&client, &id).await.map(Json),
        group => group?,
    };
    // A classic group that does not exist is described as Dead.
    if group.state == "Dead" {
        return Err(ApiError::kafka(ErrorCode::GroupIdNotFound, format!("group {id} does not exist")));
    }
    let committed = retrying(|| client.all_committed_offsets(&id)).await?;
    let mut rows = rows(&client, &group, &committed).await?;
    let places = committed.iter().map(|(partition, committed)| (partition.clone(), committed.offset));
    let seconds = console.connect.lag_seconds(places.collect()).await;
    let seconds: HashMap<_, _> = committed.keys().zip(seconds).collect();
    let mut longest: Option<f64> = None;
    for (partition, row) in &mut rows {
        let lag = seconds.get(&*partition).copied().flatten();
        longest = lag.into_iter().chain(longest).reduce(f64::max);
        row["lag_seconds"] = Value::from(lag);
    }
    let rows: Vec<Value> = rows.into_iter().map(|(_, row)| row).collect();
    let lag: i64 = rows.iter().filter_map(|row| row["lag"].as_i64()).sum();
    Ok(Json(json!({
        "id": group.id,
        "type": if group.epochs.is_some() { "consumer" } else { "classic" },
        "state": group.state,
        "assignor": group.assignor,
        "group_epoch": group.epochs.map(|epochs| epochs.group),
        "assignment_epoch": group.epochs.map(|epochs| epochs.target_assignment),
        "members": group.members.iter().map(member).collect::<Vec<_>>(),
        "offsets": rows,
        "lag": lag,
        "max_lag_seconds": longest,
    })))
}

pub async fn delete(Kafka(client): Kafka, Path(id): Path<String>) -> Result<Json> {
    retrying(|| client.delete_group(&id)).await?;
    Ok(Json(json!({"id": id, "deleted": true})))
}

/// A group whose members are not consumers, such as Kafka Connect's workers.
async fn other_group(client: &Client, id: &str) -> Result<Value> {
    let response = client.call(DescribeGroupsRequest { groups: vec![Str::from(id)], ..Default::default() }).await?;
    let group = response.groups.into_iter().next();
    let group = group.ok_or_else(|| ApiError::internal("the response about the group is incomplete"))?;
    ApiError::check(group.error_code, group.error_message.as_deref(), &format!("group {id}"))?;
    let member = |member: &ottla_wire::protocol::messages::describe_groups::DescribedGroupMember| {
        json!({
            "id": &*member.member_id,
            "instance_id": member.group_instance_id.as_deref(),
            "client_id": &*member.client_id,
            "host": &*member.client_host,
        })
    };
    Ok(json!({
        "id": id,
        "type": "classic",
        "state": &*group.group_state,
        "protocol_type": &*group.protocol_type,
        "assignor": &*group.protocol_data,
        "members": group.members.iter().map(member).collect::<Vec<_>>(),
        "offsets": [],
        "lag": 0,
    }))
}

fn member(member: &MemberDescription) -> Value {
    json!({
        "id": member.id,
        "instance_id": member.instance_id,
        "client_id": member.client_id,
        "host": member.host,
        "epoch": member.epoch,
        "assignment": member.assignment.iter().map(partition).collect::<Vec<_>>(),
        "target_assignment": member.target_assignment.iter().map(partition).collect::<Vec<_>>(),
    })
}

fn partition(partition: &TopicPartition) -> Value {
    json!({"topic": &*partition.topic, "partition": partition.partition})
}

/// The partitions that are assigned to a member or have a committed offset.
async fn rows(
    client: &Client,
    group: &GroupDescription,
    committed: &BTreeMap<TopicPartition, CommittedOffset>,
) -> Result<Vec<(TopicPartition, Value)>> {
    let mut owners: BTreeMap<&TopicPartition, Option<&str>> = committed.keys().map(|it| (it, None)).collect();
    for member in &group.members {
        owners.extend(member.assignment.iter().map(|partition| (partition, Some(member.id.as_str()))));
    }
    let places = || owners.keys().map(|partition| (&*partition.topic, partition.partition));
    let starts: HashMap<_, _> = offsets(client, places(), EARLIEST).await?;
    let ends = offsets(client, places(), LATEST).await?;
    let row = |(partition, owner): (&&TopicPartition, &Option<&str>)| {
        let place = (&*partition.topic, partition.partition);
        let offset = committed.get(*partition).map(|committed| committed.offset);
        let (start, end) = (starts.get(&place).copied(), ends.get(&place).copied());
        let row = json!({
            "topic": &*partition.topic,
            "partition": partition.partition,
            "committed": offset,
            "start_offset": start,
            "end_offset": end,
            "lag": end.zip(offset).map(|(end, offset)| (end - offset).max(0)),
            "member": owner,
        });
        ((*partition).clone(), row)
    };
    Ok(owners.iter().map(row).collect())
}

/// Repeats a request while its coordinator is loading.
pub async fn retrying<T, F>(request: impl Fn() -> F) -> Result<T, ClientError>
where
    F: Future<Output = Result<T, ClientError>>,
{
    let mut retries = 0;
    loop {
        let result = request().await;
        let is_loading = |error: &ClientError| {
            matches!(
                error.code(),
                Some(
                    ErrorCode::CoordinatorLoadInProgress
                        | ErrorCode::CoordinatorNotAvailable
                        | ErrorCode::NotCoordinator
                )
            )
        };
        match result {
            Err(error) if is_loading(&error) && retries < RETRIES => retries += 1,
            result => return result,
        }
        tokio::time::sleep(RETRY_DELAY).await;
    }
}
