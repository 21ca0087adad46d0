//! `GET /topics/{topic}/records`: browses and searches records. The response has one JSON object in each line; the last
//! says why it ended and where to continue.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use http_body::Frame;
use tokio::sync::mpsc;

use super::scan::{Criteria, Scan};
use super::topics::{EARLIEST, LATEST, metadata, offsets, places};
use crate::error::{ApiError, Result};
use crate::filter::Filter;
use crate::query::Query;
use crate::{Console, Kafka};
use ottla_client::Client;
use ottla_wire::types::{ErrorCode, Offset, PartitionIndex};

/// The number of records of a response: by default, and at most.
const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 10_000;
/// The bytes of a key, value or header that are shown: by default, and at most.
const DEFAULT_SHOWN: usize = 16 << 10;
const MAX_SHOWN: usize = 1 << 20;
/// The chunks of a response that wait for a slow client.
const MAX_QUEUED: usize = 2;

const PARAMETERS: &[&str] = &[
    "partition",
    "from",
    "offset",
    "timestamp",
    "latest",
    "cursor",
    "limit",
    "key",
    "text",
    "jq",
    "follow",
    "isolation",
    "max_bytes",
];

pub async fn get(
    State(console): State<Arc<Console>>,
    Kafka(client): Kafka,
    Path(topic): Path<String>,
    query: Query,
) -> Result<Response> {
    query.only(PARAMETERS)?;
    let permit = Arc::clone(&console.scans).try_acquire_owned();
    let permit = permit.map_err(|_| ApiError::busy("too many requests read records; end one, or try again later"))?;
    let criteria = Criteria {
        key: query.text("key").map(|text| text.as_bytes().to_vec()),
        text: query.text("text").map(|text| text.as_bytes().to_vec()),
        filter: query.text("jq").map(Filter::parse).transpose().map_err(ApiError::invalid)?,
        limit: query.number("limit")?.unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT),
        shown: query.number("max_bytes")?.unwrap_or(DEFAULT_SHOWN).min(MAX_SHOWN),
    };
    let follow = query.flag("follow")?;
    let isolation = match query.text("isolation") {
        None | Some("read_uncommitted") => 0,
        Some("read_committed") => 1,
        Some(_) => return Err(ApiError::invalid("isolation is read_uncommitted or read_committed")),
    };
    let partitions = partitions(&client, &topic, query.text("partition")).await?;
    let asked = || partitions.iter().map(|partition| (topic.as_str(), *partition));
    let starts = by_partition(offsets(&client, asked(), EARLIEST).await?);
    let ends = by_partition(offsets(&client, asked(), LATEST).await?);
    let positions = positions(&client, &topic, &query, &starts, &ends).await?;
    let scan = Scan {
        client,
        topic: topic.clone(),
        positions,
        ends,
        follow,
        isolation,
        criteria: Arc::new(criteria),
        searches: Arc::clone(&console.searches),
        decode: console.connect.schemas().map(|schemas| schemas.decoder()),
    };
    let (lines, queued) = mpsc::channel(MAX_QUEUED);
    tokio::spawn(async move {
        scan.run(lines).await;
        drop(permit);
    });
    let mut response = Response::new(Body::new(Lines(queued)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    Ok(response)
}

/// The requested partitions, such as `0,2`, or all.
async fn partitions(client: &Client, topic: &str, text: Option<&str>) -> Result<Vec<PartitionIndex>> {
    let found = metadata(client, Some(topic)).await?;
    let existing: Vec<PartitionIndex> = found.iter().flat_map(places).map(|(_, partition)| partition).collect();
    let Some(text) = text else { return Ok(existing) };
    let one = |partition: &str| {
        let invalid = || ApiError::invalid("the parameter partition is not a list of numbers, such as 0,2");
        let partition = partition.trim().parse().map_err(|_| invalid())?;
        let missing = || {
            let message = format!("topic {topic} has no partition {partition}");
            ApiError::kafka(ErrorCode::UnknownTopicOrPartition, message)
        };
        if existing.contains(&partition) { Ok(partition) } else { Err(missing()) }
    };
    text.split(',').map(one).collect()
}

fn by_partition(
    offsets: std::collections::HashMap<(&str, PartitionIndex), Offset>,
) -> BTreeMap<PartitionIndex, Offset> {
    offsets.into_iter().map(|((_, partition), offset)| (partition, offset)).collect()
}

/// Where each partition is read from.
async fn positions(
    client: &Client,
    topic: &str,
    query: &Query,
    starts: &BTreeMap<PartitionIndex, Offset>,
    ends: &BTreeMap<PartitionIndex, Offset>,
) -> Result<BTreeMap<PartitionIndex, Offset>> {
    let given =
        ["from", "offset", "timestamp", "latest", "cursor"].into_iter().filter(|name| query.text(name).is_some());
    if given.count() > 1 {
        return Err(ApiError::invalid("only one of from, offset, timestamp, latest and cursor can be given"));
    }
    if let Some(cursor) = query.text("cursor") {
        return parse_cursor(cursor, starts, ends);
    }
    let everywhere = |offset: Offset| {
        let at = |partition: &PartitionIndex| Some((*partition, limited(*partition, offset, starts, ends)?));
        starts.keys().filter_map(at).collect()
    };
    if let Some(offset) = query.number("offset")? {
        return Ok(everywhere(offset));
    }
    if let Some(timestamp) = query.number::<i64>("timestamp")? {
        let asked = starts.keys().map(|partition| (topic, *partition));
        let found = by_partition(offsets(client, asked, timestamp.max(0)).await?);
        let at = |(partition, end): (&PartitionIndex, &Offset)| {
            let found = found.get(partition).copied().filter(|offset| *offset >= 0);
            (*partition, found.unwrap_or(*end))
        };
        return Ok(ends.iter().map(at).collect());
    }
    let before_end = |count: Offset| {
        let at = |(partition, end): (&PartitionIndex, &Offset)| {
            let start = starts.get(partition).copied().unwrap_or_default();
            (*partition, end.saturating_sub(count).max(start))
        };
        ends.iter().map(at).collect()
    };
    match (query.text("from"), query.number::<Offset>("latest")?) {
        (Some("earliest"), _) => Ok(everywhere(0)),
        (Some("latest"), _) => Ok(ends.clone()),
        (Some(_), _) => Err(ApiError::invalid("from is earliest or latest")),
        (None, Some(count)) => Ok(before_end(count.max(0))),
        (None, None) => {
            let share = DEFAULT_LIMIT.div_ceil(ends.len().max(1));
            Ok(before_end(Offset::try_from(share).unwrap_or_default()))
        }
    }
}

/// The offset in a partition, between its start and its end; `None` for a partition that is not read.
fn limited(
    partition: PartitionIndex,
    offset: Offset,
    starts: &BTreeMap<PartitionIndex, Offset>,
    ends: &BTreeMap<PartitionIndex, Offset>,
) -> Option<Offset> {
    let (start, end) = (starts.get(&partition)?, ends.get(&partition)?);
    Some(offset.min(*end).max(*start))
}

/// Parses `0:41,1:7`: where to continue in each partition. Partitions that are not named were read completely.
fn parse_cursor(
    text: &str,
    starts: &BTreeMap<PartitionIndex, Offset>,
    ends: &BTreeMap<PartitionIndex, Offset>,
) -> Result<BTreeMap<PartitionIndex, Offset>> {
    let one = |entry: &str| {
        let (partition, offset) = entry.split_once(':')?;
        let partition = partition.parse().ok()?;
        Some((partition, limited(partition, offset.parse().ok()?, starts, ends)?))
    };
    let parsed: Option<BTreeMap<_, _>> = text.split(',').map(one).collect();
    parsed.ok_or_else(|| ApiError::invalid("the cursor is not one of this topic and these partitions"))
}

/// A response body that is written while records are found.
struct Lines(mpsc::Receiver<Bytes>);

impl http_body::Body for Lines {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|lines| lines.map(|lines| Ok(Frame::data(lines))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursor_is_parsed_and_limited_to_what_exists() {
        let (starts, ends) = (BTreeMap::from([(0, 5), (1, 0)]), BTreeMap::from([(0, 10), (1, 10)]));
        let check = |text: &str, expect: Option<&[(i32, i64)]>| {
            let parsed = parse_cursor(text, &starts, &ends).ok();
            assert_eq!(parsed, expect.map(|expect| expect.iter().copied().collect()), "{text}");
        };
        check("0:7,1:9", Some(&[(0, 7), (1, 9)]));
        check("0:1", Some(&[(0, 5)]));
        check("1:11", Some(&[(1, 10)]));
        for invalid in ["", "0", "0:", ":1", "2:1", "0:1,", "0:99999999999999999999", "x:1"] {
            check(invalid, None);
        }
    }
}
