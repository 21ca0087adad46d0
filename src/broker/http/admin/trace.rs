//! `GET /trace`: what clients say, one line of JSON for each request that is done, as long as the client reads.
//!
//! Parameters: `client-id`, `api`, `group`, `topic` (each may be given many times or have several values between commas),
//! `errors=true` for failed requests only, `last=5m` for requests that were done before, and `follow=false` to end after
//! them. With `last`, `follow` is false if it is not given.
//!
//! A line `{"leftOut":12}` stands for requests that were left out because the client was too slow, or because there were too
//! many in a second to keep them for `last`, whether they are of the wanted kind or not. Empty lines are sent while there is nothing else, so that a client that has disconnected is noticed.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, State};
use axum::http::header::{CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::response::Response;
use futures_core::Stream;
use tokio::sync::mpsc;

use super::super::listener::{Caller, refuse};
use super::Shared;
use super::routes::not_ready;
use crate::trace::{Event, Filter, Follower, Item};
use ottla_wire::types::Uuid;

/// The longest time in which nothing is sent.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Bytes that are sent together, if there are as many.
const CHUNK: usize = 32 << 10;

/// The parameters of a request.
#[derive(Debug, Default, PartialEq)]
struct Query {
    filter: Filter,
    last: Option<Duration>,
    follow: bool,
}

pub(super) async fn follow(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(caller): ConnectInfo<Caller>,
    uri: Uri,
) -> Response {
    if shared.serving().is_none() {
        return not_ready();
    }
    let query = match Query::parse(uri.query().unwrap_or_default()) {
        Ok(query) => query,
        Err(why) => return refuse(StatusCode::BAD_REQUEST, &why),
    };
    if query.last.is_some() && !shared.trace.has_ring() {
        return refuse(StatusCode::CONFLICT, "no requests are kept, because ottla.trace.ring.bytes is 0");
    }
    let since = query.last.map(|last| {
        let last = i64::try_from(last.as_millis()).unwrap_or(i64::MAX);
        shared.clock.wall().saturating_sub(last)
    });
    let (before, follower) = match (query.follow, since) {
        (false, Some(since)) => (shared.trace.since(since), None),
        _ => match shared.trace.follow(query.filter.clone(), since) {
            Some((before, follower)) => (before, Some(follower)),
            None => return refuse(StatusCode::SERVICE_UNAVAILABLE, "too many clients follow the trace"),
        },
    };
    caller.set_streaming();
    let (lines, received) = mpsc::channel(1);
    let feed = Feed { filter: query.filter, before: before.into(), follower, shared, chunk: String::new() };
    tokio::spawn(feed.run(lines));
    let mut response = Response::new(Body::from_stream(Lines(received)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    // Other pages cannot run it as a script either.
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// The body of a response.
struct Lines(mpsc::Receiver<Bytes>);

impl Stream for Lines {
    type Item = Result<Bytes, std::convert::Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx).map(|chunk| chunk.map(Ok))
    }
}

/// Decodes events, and passes them on as lines.
struct Feed {
    filter: Filter,
    before: VecDeque<Item>,
    follower: Option<Follower>,
    shared: Arc<Shared>,
    /// Lines that were not sent yet.
    chunk: String,
}

impl Feed {
    /// Runs until the client has disconnected or there are no more events.
    async fn run(mut self, lines: mpsc::Sender<Bytes>) {
        while let Some(item) = self.before.pop_front() {
            match &item {
                Item::Event(event) if !self.filter.may_admit(event) => {}
                // No failed request is left out.
                Item::LeftOut(_) if self.filter.errors => {}
                _ => self.add_item(item),
            }
            if self.chunk.len() >= CHUNK && !self.send(&lines).await {
                return;
            }
        }
        if !self.send(&lines).await {
            return;
        }
        let Some(follower) = self.follower.take() else { return };
        loop {
            let item = tokio::select! {
                item = self.shared.clock.timeout(KEEP_ALIVE, follower.next()) => item,
                () = lines.closed() => return,
            };
            match item {
                Some(Some(item)) => self.add_item(item),
                Some(None) => return,
                None => self.chunk.push('\n'),
            }
            while self.chunk.len() < CHUNK
                && let Some(item) = follower.try_next()
            {
                self.add_item(item);
            }
            if !self.send(&lines).await {
                return;
            }
        }
    }

    fn add_item(&mut self, item: Item) {
        match item {
            Item::Event(event) => self.add(&event),
            Item::LeftOut(count) => self.chunk.push_str(&format!("{{\"leftOut\":{count}}}\n")),
        }
    }

    fn add(&mut self, event: &Event) {
        let cluster = self.shared.serving().map(|serving| serving.broker.cluster());
        let names = |id: Uuid| cluster.as_ref()?.topic_by_id(id).map(|topic| topic.name().to_string());
        let shown = event.show(&names);
        if self.filter.admits(&shown) {
            self.chunk.push_str(&shown.line);
            self.chunk.push('\n');
        }
    }

    /// Sends what there is. Returns whether the client is still there.
    async fn send(&mut self, lines: &mpsc::Sender<Bytes>) -> bool {
        self.chunk.is_empty() || lines.send(Bytes::from(std::mem::take(&mut self.chunk))).await.is_ok()
    }
}

impl Query {
    /// Parses the part of a URL after the question mark. The error is one line.
    fn parse(text: &str) -> Result<Query, String> {
        let mut query = Query::default();
        let mut follow = None;
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = decode(value).ok_or_else(|| format!("the value of {name} is not encoded as in a URL"))?;
            let values = || value.split(',').filter(|value| !value.is_empty()).map(str::to_owned);
            match name {
                "client-id" => query.filter.client_ids.extend(values()),
                "group" => query.filter.groups.extend(values()),
                "topic" => query.filter.topics.extend(values()),
                "api" => {
                    for name in values() {
                        query.filter.apis.push(Filter::api(&name).ok_or_else(|| format!("{name} is not an API"))?);
                    }
                }
                "errors" => query.filter.errors = flag(name, &value)?,
                "follow" => follow = Some(flag(name, &value)?),
                "last" => {
                    let last =
                        duration(&value).ok_or_else(|| format!("last={value} is not a time such as 30s, 5m or 1h"))?;
                    query.last = Some(last);
                }
                _ => {
                    let known = "client-id, api, group, topic, errors, last and follow";
                    return Err(format!("unknown parameter {name}; the parameters are {known}"));
                }
            }
        }
        query.follow = follow.unwrap_or(query.last.is_none());
        if !query.follow && query.last.is_none() {
            return Err("follow=false needs the parameter last".to_owned());
        }
        Ok(query)
    }
}

fn flag(name: &str, value: &str) -> Result<bool, String> {
    match value {
        "" | "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(format!("{name} is true or false")),
    }
}

/// A number of seconds, minutes or hours.
fn duration(text: &str) -> Option<Duration> {
    let (number, seconds) = match text.char_indices().last()? {
        (at, 's') => (text.get(..at)?, 1),
        (at, 'm') => (text.get(..at)?, 60),
        (at, 'h') => (text.get(..at)?, 3600),
        _ => return None,
    };
    Some(Duration::from_secs(number.parse::<u64>().ok()?.checked_mul(seconds)?))
}

/// Decodes percent-encoded text.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                u8::try_from(digit(rest.next())? * 16 + digit(rest.next())?).ok()?
            }
            b'+' => b' ',
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_with_repeated_and_listed_values_is_parsed() {
        let query =
            Query::parse("client-id=a&client-id=b,c&topic=x%20y&group=g+h&errors&api=produce,LIST_OFFSETS").unwrap();
        assert_eq!(query.filter.client_ids, ["a", "b", "c"]);
        assert_eq!((query.filter.topics, query.filter.groups), (vec!["x y".to_owned()], vec!["g h".to_owned()]));
        assert_eq!(query.filter.apis, [Filter::api("Produce").unwrap(), Filter::api("ListOffsets").unwrap()]);
        assert!(query.filter.errors && query.follow && query.last.is_none());
    }

    #[test]
    fn query_with_last_follows_only_if_it_says_so() {
        let check = |text, expect| {
            let query = Query::parse(text).unwrap();
            assert_eq!((query.last.map(|last| last.as_secs()), query.follow), expect, "{text}");
        };
        check("", (None, true));
        check("last=30s", (Some(30), false));
        check("last=5m&follow=true", (Some(300), true));
        check("last=2h&follow", (Some(7200), true));
    }

    #[test]
    fn query_with_a_fault_is_refused_with_the_reason() {
        for (text, expect) in [
            ("api=Nothing", "Nothing is not an API"),
            ("last=5", "last=5 is not a time"),
            ("last=m", "last=m is not a time"),
            ("last=99999999999999999999h", "last=99999999999999999999h is not a time"),
            ("errors=1", "errors is true or false"),
            ("topics=a", "unknown parameter topics"),
            ("topic=%zz", "the value of topic is not encoded"),
            ("topic=%ff", "the value of topic is not encoded"),
            ("follow=false", "follow=false needs the parameter last"),
        ] {
            let refused = Query::parse(text).unwrap_err();
            assert!(refused.starts_with(expect), "{text}: {refused}");
        }
    }
}
