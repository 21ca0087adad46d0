//! The broker's log directories and their replicas.

use std::collections::BTreeMap;

use super::{Result, accepted};
use crate::cli::tools::exceptions::Exception;
use ottla_client::Client;
use ottla_wire::codec::Str;
use ottla_wire::protocol::messages::alter_replica_log_dirs::{
    AlterReplicaLogDir, AlterReplicaLogDirTopic, AlterReplicaLogDirsRequest,
};
use ottla_wire::protocol::messages::describe_log_dirs::{DescribeLogDirsRequest, DescribeLogDirsTopic};
use ottla_wire::types::{TopicName, TopicPartition};

/// A log directory.
#[derive(Clone, Debug)]
pub struct LogDir {
    pub path: String,
    /// The error, if the directory can't be used.
    pub error: Option<Exception>,
    pub replicas: Vec<LogDirReplica>,
}

/// A partition's log in a directory.
#[derive(Clone, Debug)]
pub struct LogDirReplica {
    pub partition: TopicPartition,
    /// In bytes.
    pub size: i64,
    /// The number of records from its end to the high watermark; for a future replica, to the end of the current
    /// replica.
    pub offset_lag: i64,
    /// Whether it is being moved here from another directory.
    pub is_future: bool,
}

/// All log directories, in the broker's order.
pub async fn describe(client: &Client) -> Result<Vec<LogDir>> {
    let answer = client.call(DescribeLogDirsRequest { topics: None }).await?;
    accepted(answer.error_code, None)?;
    let dirs = answer.results.into_iter().map(|dir| {
        let of_topic = |topic: DescribeLogDirsTopic| {
            let name: TopicName = topic.name.to_string().into();
            topic.partitions.into_iter().map(move |partition| LogDirReplica {
                partition: TopicPartition::new(name.clone(), partition.partition_index),
                size: partition.partition_size,
                offset_lag: partition.offset_lag,
                is_future: partition.is_future_key,
            })
        };
        LogDir {
            path: dir.log_dir.to_string(),
            error: accepted(dir.error_code, None).err(),
            replicas: dir.topics.into_iter().flat_map(of_topic).collect(),
        }
    });
    Ok(dirs.collect())
}

/// Requests that replicas are moved to the given directories. Returns the result for each partition.
pub async fn move_replicas(
    client: &Client,
    moves: &[(TopicPartition, String)],
) -> Result<BTreeMap<TopicPartition, Result<()>>> {
    let mut dirs: BTreeMap<&str, BTreeMap<&str, Vec<i32>>> = BTreeMap::new();
    for (partition, path) in moves {
        let topics = dirs.entry(path).or_default();
        topics.entry(&partition.topic).or_default().push(partition.partition);
    }
    let topic = |(name, partitions): (&str, Vec<i32>)| AlterReplicaLogDirTopic { name: Str::from(name), partitions };
    let dirs = dirs.into_iter().map(|(path, topics)| AlterReplicaLogDir {
        path: Str::from(path),
        topics: topics.into_iter().map(topic).collect(),
    });
    let answer = client.call(AlterReplicaLogDirsRequest { dirs: dirs.collect() }).await?;
    let mut results = BTreeMap::new();
    for topic in answer.results {
        for partition in topic.partitions {
            let topic_partition = TopicPartition::new(&*topic.topic_name, partition.partition_index);
            results.insert(topic_partition, accepted(partition.error_code, None));
        }
    }
    Ok(results)
}
