//! Clients that look for a group's coordinator again and again and then ask it for nothing.
//!
//! A consumer with `group.protocol=consumer` needs ConsumerGroupHeartbeat (KIP-848), which isn't served. The Java client
//! fails with an error that says so; librdkafka takes the coordinator for dead, asks for it three times within 50 ms, and
//! then waits without logging anything. So such a client is logged, once. Other clients ask less often, or use the group
//! or fetch before `SILENT_FOR` is over: an automatic commit comes after 5 s.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Handle;

use crate::clock::Clock;
use crate::log_rate_limiter::{LogRateLimiter, log_limited_by_reason};

/// A client is logged if it asked for its coordinator this often.
const ASKS: u32 = 3;
/// How long it must not have used its group since.
const SILENT_FOR: Duration = Duration::from_secs(6);
/// Clients that are watched at a time; those above that are not logged.
const MAX_WATCHED: usize = 64;

/// Clients that have asked for a coordinator and not used their group since.
pub struct SilentClients {
    watched: Mutex<Watched>,
    /// Whether any is watched: requests cost nothing where none is.
    any: AtomicBool,
    log_rate_limiter: Arc<LogRateLimiter>,
}

/// In the order in which they asked first.
#[derive(Default)]
struct Watched(Vec<WatchedClient>);

struct WatchedClient {
    client: Client,
    asks: u32,
    since: Duration,
}

/// A client, and the group whose coordinator it asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Client {
    pub peer: IpAddr,
    pub client_id: Arc<str>,
    pub software: String,
    pub group_id: Arc<str>,
}

impl Watched {
    /// Notes a FindCoordinator request. Returns whether this is the only watched client.
    fn asked(&mut self, now: Duration, client: Client) -> bool {
        let may_add = self.0.len() < MAX_WATCHED;
        match self.0.iter_mut().find(|watched| watched.client == client) {
            Some(watched) => watched.asks = watched.asks.saturating_add(1),
            None if may_add => self.0.push(WatchedClient { client, asks: 1, since: now }),
            None => {}
        }
        self.0.len() == 1
    }

    /// Removes clients that were watched for `SILENT_FOR`. Returns those to log, and when the next one is due.
    fn take_silent(&mut self, now: Duration) -> (Vec<Client>, Option<Duration>) {
        let over = self.0.partition_point(|watched| watched.since.saturating_add(SILENT_FOR) <= now);
        let silent = self.0.drain(..over).filter(|watched| watched.asks >= ASKS).map(|watched| watched.client);
        let silent = silent.collect();
        (silent, self.0.first().map(|watched| watched.since.saturating_add(SILENT_FOR)))
    }
}

impl SilentClients {
    /// Lines go through this limiter.
    pub fn new(log_rate_limiter: Arc<LogRateLimiter>) -> Arc<SilentClients> {
        Arc::new(SilentClients { watched: Mutex::default(), any: AtomicBool::new(false), log_rate_limiter })
    }

    /// A client asked for a group's coordinator, and it was found.
    pub fn asked(self: &Arc<Self>, clock: Clock, client: Client) {
        let is_only_one = self.watched.lock().asked(clock.monotonic(), client);
        // One task for all of them, for as long as there are any.
        if is_only_one
            && !self.any.swap(true, Ordering::Relaxed)
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(Arc::clone(self).log_silent(clock));
        }
    }

    /// A request was for this group.
    pub fn group_used(&self, group_id: &str) {
        self.forget(|client| *client.group_id == *group_id);
    }

    /// A client of this name fetched.
    pub fn fetched(&self, client_id: &str) {
        self.forget(|client| *client.client_id == *client_id);
    }

    fn forget(&self, is_at_work: impl Fn(&Client) -> bool) {
        if self.any.load(Ordering::Relaxed) {
            self.watched.lock().0.retain(|watched| !is_at_work(&watched.client));
        }
    }

    async fn log_silent(self: Arc<Self>, clock: Clock) {
        let mut next = Some(SILENT_FOR);
        while let Some(after) = next {
            tokio::time::sleep(after).await;
            let now = clock.monotonic();
            let mut watched = self.watched.lock();
            let (silent, next_over) = watched.take_silent(now);
            next = next_over.map(|at| at.saturating_sub(now));
            if next.is_none() {
                // Under the lock: a client that asks from now on starts another task.
                self.any.store(false, Ordering::Relaxed);
            }
            drop(watched);
            silent.iter().for_each(|client| self.log(client));
        }
    }

    fn log(&self, client: &Client) {
        let Client { peer, client_id, software, group_id } = client;
        log_limited_by_reason!(
            WARN, self.log_rate_limiter, *peer, "clients that don't go on after FindCoordinator", client,
            %peer, %client_id, %software, group = %group_id,
            "a client asked for its group's coordinator {ASKS} times and for nothing after that, as librdkafka does with \
             group.protocol=consumer: ConsumerGroupHeartbeat isn't served yet; use group.protocol=classic"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(client_id: &str, group_id: &str) -> Client {
        let peer = IpAddr::from([127, 0, 0, 1]);
        Client { peer, client_id: client_id.into(), software: "it 1".to_owned(), group_id: group_id.into() }
    }

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn client_that_asked_three_times_and_did_nothing_is_silent_once() {
        let mut watched = Watched::default();
        for (now, only) in [(0, true), (1, true), (50, true)] {
            assert_eq!(watched.asked(at(now), client("a", "g")), only);
        }
        assert!(!watched.asked(at(60), client("b", "g")), "it asks once");
        assert_eq!(watched.take_silent(at(5_999)), (Vec::new(), Some(at(6_000))));
        assert_eq!(watched.take_silent(at(6_000)), (vec![client("a", "g")], Some(at(6_060))));
        assert_eq!(watched.take_silent(at(6_060)), (Vec::new(), None));
    }

    #[test]
    fn watched_clients_are_bounded() {
        let mut watched = Watched::default();
        (0..1_000).for_each(|number| _ = watched.asked(at(0), client(&number.to_string(), "g")));
        assert_eq!(watched.0.len(), MAX_WATCHED);
    }

    #[tokio::test]
    async fn client_that_uses_its_group_or_fetches_is_not_silent() {
        let clients = SilentClients::new(LogRateLimiter::new(|| Duration::ZERO));
        for (client_id, group_id) in [("a", "g"), ("b", "h"), ("c", "i")] {
            (0..ASKS).for_each(|_| clients.asked(Clock::start(), client(client_id, group_id)));
        }
        clients.group_used("g");
        clients.fetched("b");
        let (silent, _) = clients.watched.lock().take_silent(Duration::MAX);
        assert_eq!(silent, [client("c", "i")]);
    }
}
