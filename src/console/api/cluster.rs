//! `/cluster`: the brokers, and the log directories.

use std::sync::Arc;

use axum::extract::State;
use serde_json::{Value, json};

use super::Json;
use crate::error::{ApiError, Result};
use crate::{Console, Kafka};
use ottla_wire::protocol::messages::describe_cluster::DescribeClusterRequest;
use ottla_wire::protocol::messages::describe_log_dirs::DescribeLogDirsRequest;
use ottla_wire::protocol::messages::metadata::MetadataRequest;

pub async fn get(State(console): State<Arc<Console>>, Kafka(client): Kafka) -> Result<Json> {
    let cluster = client.call(DescribeClusterRequest::default()).await?;
    ApiError::check(cluster.error_code, cluster.error_message.as_deref(), "the cluster")?;
    let request = MetadataRequest { topics: None, allow_auto_topic_creation: false, ..Default::default() };
    let metadata = client.call(request).await?;
    ApiError::check(metadata.error_code, None, "the metadata")?;
    let partitions: usize = metadata.topics.iter().map(|topic| topic.partitions.len()).sum();
    let broker = |broker: &ottla_wire::protocol::messages::describe_cluster::DescribeClusterBroker| {
        json!({
            "id": broker.broker_id,
            "host": &*broker.host,
            "port": broker.port,
            "rack": broker.rack.as_deref(),
            "fenced": broker.is_fenced,
        })
    };
    // The console's principal may not be allowed to see them.
    let dirs = client.call(DescribeLogDirsRequest { topics: Some(Vec::new()) }).await?;
    let dirs = (dirs.error_code == 0).then(|| {
        let dir = |dir: &ottla_wire::protocol::messages::describe_log_dirs::DescribeLogDirsResult| {
            let size = |bytes: i64| (bytes >= 0).then_some(bytes);
            json!({
                "path": &*dir.log_dir,
                "error": ApiError::check(dir.error_code, None, "the directory").err().map(|error| error.to_json()),
                "total_bytes": size(dir.total_bytes),
                "usable_bytes": size(dir.usable_bytes),
            })
        };
        dirs.results.iter().map(dir).collect::<Vec<_>>()
    });
    let features = ["metadata.version", "group.version", "transaction.version", "share.version", "streams.version"];
    let feature = |name: &str| client.feature_level(name).map(|level| (name.to_owned(), Value::from(level)));
    Ok(Json(json!({
        "cluster_id": &*cluster.cluster_id,
        "controller_id": cluster.controller_id,
        "version": env!("CARGO_PKG_VERSION"),
        "brokers": cluster.brokers.iter().map(broker).collect::<Vec<_>>(),
        "topics": metadata.topics.len(),
        "partitions": partitions,
        "log_dirs": dirs,
        "schema_registry": console.connect.schemas().is_some(),
        "features": features.into_iter().filter_map(feature).collect::<serde_json::Map<_, _>>(),
    })))
}
