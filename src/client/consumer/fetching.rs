//! Fetch requests. The next one is in flight while the records of the previous one are read.

use std::collections::HashMap;
use std::pin::Pin;

use super::chunk::{Chunk, end_of};
use super::config::ConsumerConfig;
use super::coordinator::by_topic;
use crate::{Client, Result, check_error_code};
use ottla_wire::codec::Str;
use ottla_wire::protocol::ApiKey;
use ottla_wire::protocol::messages::fetch::{FetchPartition, FetchRequest, FetchResponse, FetchTopic};
use ottla_wire::types::{ErrorCode, Offset, TopicPartition};

/// The last version that names topics by name.
const FETCH_BY_NAME: i16 = 12;

/// A fetch request in flight.
pub struct InFlight {
    requested: HashMap<TopicPartition, Offset>,
    response: Pin<Box<dyn Future<Output = Result<FetchResponse>> + Send>>,
}

/// The result for one requested partition.
pub struct FetchedPartition {
    pub partition: TopicPartition,
    /// The requested offset.
    pub from: Offset,
    /// The records and the offset after them; `None` if there was no complete batch.
    pub records: Result<Option<(Chunk, Offset)>, ErrorCode>,
}

impl InFlight {
    /// Sends a fetch of these partitions from these offsets.
    pub async fn send(
        client: &Client,
        config: &ConsumerConfig,
        requested: Vec<(TopicPartition, Offset)>,
    ) -> Result<InFlight> {
        let version = client.version_up_to(ApiKey::Fetch, FETCH_BY_NAME)?;
        let pending = client.submit_at(request(config, &requested), version).await?;
        Ok(InFlight { requested: requested.into_iter().collect(), response: Box::pin(pending.response()) })
    }

    /// Awaits the response. Cancel-safe.
    pub async fn response(&mut self) -> Result<FetchResponse> {
        self.response.as_mut().await
    }

    /// Splits the response by partition. Partitions that were not requested are ignored.
    pub fn partitions(&self, config: &ConsumerConfig, response: FetchResponse) -> Result<Vec<FetchedPartition>> {
        check_error_code(ApiKey::Fetch, response.error_code, None)?;
        let mut fetched = Vec::new();
        for topic in response.responses {
            for data in topic.partitions {
                let partition = TopicPartition::new(&*topic.topic, data.partition_index);
                let Some((partition, &from)) = self.requested.get_key_value(&partition) else { continue };
                let partition = partition.clone();
                let records = if data.error_code == 0 {
                    let bytes = data.records.unwrap_or_default();
                    let aborted = data.aborted_transactions.unwrap_or_default();
                    Ok(end_of(&bytes).map(|end| {
                        (Chunk::new(partition.clone(), from, bytes, aborted, config.check_crcs), end.max(from))
                    }))
                } else {
                    Err(ErrorCode::from_code(data.error_code).unwrap_or(ErrorCode::UnknownServerError))
                };
                fetched.push(FetchedPartition { partition, from, records });
            }
        }
        Ok(fetched)
    }
}

fn request(config: &ConsumerConfig, requested: &[(TopicPartition, Offset)]) -> FetchRequest {
    let partition = |(partition, offset): &&(TopicPartition, Offset)| FetchPartition {
        partition: partition.partition,
        fetch_offset: *offset,
        partition_max_bytes: config.fetch.partition_max_bytes,
        ..Default::default()
    };
    // The broker serves partitions in this order. Partitions of one topic stay together.
    let topics = by_topic(requested, |(partition, _)| partition).into_iter();
    let topics = topics.map(|(topic, requested)| FetchTopic {
        topic: Str::from(topic),
        partitions: requested.iter().map(partition).collect(),
        ..Default::default()
    });
    FetchRequest {
        max_wait_ms: i32::try_from(config.fetch.max_wait.as_millis()).unwrap_or(i32::MAX),
        min_bytes: config.fetch.min_bytes,
        max_bytes: config.fetch.max_bytes,
        isolation_level: config.isolation.id(),
        topics: topics.collect(),
        ..Default::default()
    }
}
