//! `/transactions` and `/producers`.

use serde_json::{Value, json};

use super::Json;
use super::groups::retrying;
use super::topics::{metadata, places};
use crate::Kafka;
use crate::error::{ApiError, Result};
use crate::query::Query;
use ottla_client::{Client, ClientError};
use ottla_wire::codec::Str;
use ottla_wire::protocol::ApiKey;
use ottla_wire::protocol::messages::describe_producers::{DescribeProducersRequest, TopicRequest};
use ottla_wire::protocol::messages::describe_transactions::{DescribeTransactionsRequest, TransactionState};
use ottla_wire::protocol::messages::list_transactions::ListTransactionsRequest;
use ottla_wire::protocol::messages::metadata::MetadataResponseTopic;

/// The number of transactions that are described.
const MAX_DESCRIBED: usize = 1000;

pub async fn list(Kafka(client): Kafka) -> Result<Json> {
    let list = || async {
        let key = ApiKey::ListTransactions;
        let response = client.call(ListTransactionsRequest { duration_filter: -1, ..Default::default() }).await?;
        match response.error_code {
            0 => Ok(response),
            code => Err(ClientError::Refused { key, code, message: None }),
        }
    };
    let listed = retrying(list).await?;
    let mut ids: Vec<Str> = listed.transaction_states.into_iter().map(|listed| listed.transactional_id).collect();
    ids.sort();
    let total = ids.len();
    ids.truncate(MAX_DESCRIBED);
    let described = describe(&client, ids).await?;
    let rows: Vec<Value> = described.iter().filter(|state| state.error_code == 0).map(transaction).collect();
    Ok(Json(json!({"transactions": rows, "total": total})))
}

async fn describe(client: &Client, ids: Vec<Str>) -> Result<Vec<TransactionState>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    Ok(client.call(DescribeTransactionsRequest { transactional_ids: ids }).await?.transaction_states)
}

fn transaction(state: &TransactionState) -> Value {
    let partitions = state.topics.iter().flat_map(|topic| {
        let one = move |partition: &i32| json!({"topic": &*topic.topic, "partition": partition});
        topic.partitions.iter().map(one)
    });
    json!({
        "transactional_id": &*state.transactional_id,
        "state": &*state.transaction_state,
        "producer_id": state.producer_id,
        "producer_epoch": state.producer_epoch,
        "timeout_ms": state.transaction_timeout_ms,
        "start_timestamp": (state.transaction_start_time_ms >= 0).then_some(state.transaction_start_time_ms),
        "partitions": partitions.collect::<Vec<_>>(),
    })
}

/// The producers of one topic's partitions, or of all.
pub async fn producers(Kafka(client): Kafka, query: Query) -> Result<Json> {
    query.only(&["topic"])?;
    let topics = metadata(&client, query.text("topic")).await?;
    let request = |topic: &MetadataResponseTopic| TopicRequest {
        name: Str::from(places(topic).map(|(name, _)| name).next().unwrap_or_default()),
        partition_indexes: places(topic).map(|(_, partition)| partition).collect(),
    };
    let response = client.call(DescribeProducersRequest { topics: topics.iter().map(request).collect() }).await?;
    let mut rows = Vec::new();
    for topic in &response.topics {
        for partition in &topic.partitions {
            if query.text("topic").is_some() {
                let subject = format!("partition {}-{}", topic.name, partition.partition_index);
                ApiError::check(partition.error_code, partition.error_message.as_deref(), &subject)?;
            }
            rows.extend(partition.active_producers.iter().map(|producer| {
                json!({
                    "topic": &*topic.name,
                    "partition": partition.partition_index,
                    "producer_id": producer.producer_id,
                    "producer_epoch": producer.producer_epoch,
                    "last_sequence": producer.last_sequence,
                    "last_timestamp": (producer.last_timestamp >= 0).then_some(producer.last_timestamp),
                    "transaction_start_offset":
                        (producer.current_txn_start_offset >= 0).then_some(producer.current_txn_start_offset),
                })
            }));
        }
    }
    Ok(Json(json!({"producers": rows})))
}
