//! Fetches: one is always on its way while what the last one brought is read.

use std::collections::HashMap;
use std::pin::Pin;

use super::chunk::{Chunk, end_of};
use super::config::ConsumerConfig;
use super::coordinator::by_topic;
use crate::{Client, Result, refuse};
use ottla_wire::codec::Str;
use ottla_wire::protocol::ApiKey;
use ottla_wire::protocol::messages::fetch::{FetchPartition, FetchRequest, FetchResponse, FetchTopic};
use ottla_wire::types::{ErrorCode, Offset, TopicPartition};

/// The last version that names topics by name.
const FETCH_BY_NAME: i16 = 12;

/// A fetch on its way.
pub struct InFlight {
    asked: HashMap<TopicPartition, Offset>,
    answer: Pin<Box<dyn Future<Output = Result<FetchResponse>> + Send>>,
}

/// What came from one partition that was asked.
pub struct Arrived {
    pub partition: TopicPartition,
    /// The offset that was asked for.
    pub from: Offset,
    /// Records, up to an offset; `None` if there was nothing, or nothing whole.
    pub records: Result<Option<(Chunk, Offset)>, ErrorCode>,
}

impl InFlight {
    /// Sends a fetch of these partitions, from these offsets on.
    pub async fn send(
        client: &Client,
        config: &ConsumerConfig,
        asked: Vec<(TopicPartition, Offset)>,
    ) -> Result<InFlight> {
        let version = client.version_up_to(ApiKey::Fetch, FETCH_BY_NAME)?;
        let pending = client.submit_at(request(config, &asked), version).await?;
        Ok(InFlight { asked: asked.into_iter().collect(), answer: Box::pin(pending.answer()) })
    }

    /// Awaits the answer. May be dropped and called again until it has given one.
    pub async fn answer(&mut self) -> Result<FetchResponse> {
        self.answer.as_mut().await
    }

    /// Takes the answer apart. Partitions that weren't asked for are not in it.
    pub fn arrived(&self, config: &ConsumerConfig, answer: FetchResponse) -> Result<Vec<Arrived>> {
        refuse(ApiKey::Fetch, answer.error_code, None)?;
        let mut arrived = Vec::new();
        for topic in answer.responses {
            for data in topic.partitions {
                let partition = TopicPartition::new(&*topic.topic, data.partition_index);
                let Some((partition, &from)) = self.asked.get_key_value(&partition) else { continue };
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
                arrived.push(Arrived { partition, from, records });
            }
        }
        Ok(arrived)
    }
}

fn request(config: &ConsumerConfig, asked: &[(TopicPartition, Offset)]) -> FetchRequest {
    let partition = |(partition, offset): &&(TopicPartition, Offset)| FetchPartition {
        partition: partition.partition,
        fetch_offset: *offset,
        partition_max_bytes: config.fetch.partition_max_bytes,
        ..Default::default()
    };
    // In the order they are to be served, as far as topics stay together.
    let topics = by_topic(asked, |(partition, _)| partition).into_iter();
    let topics = topics.map(|(topic, asked)| FetchTopic {
        topic: Str::from(topic),
        partitions: asked.iter().map(partition).collect(),
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
