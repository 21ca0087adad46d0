//! Clients that look for a group's coordinator repeatedly and then send it no request.
//!
//! A consumer with `group.protocol=consumer` needs ConsumerGroupHeartbeat (KIP-848), which is not served. The Java
//! client fails with an error that names the reason. librdkafka regards the coordinator as dead, looks for it three
//! times within 50 ms, and then waits without logging anything. So the broker logs such a client, once. Other clients
//! send FindCoordinator less often, or use the group or fetch before `SILENT_FOR` is over: an automatic commit comes
//! after 5 s.

use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Handle;

use crate::clock::Clock;
use crate::log_rate_limiter::{LogRateLimiter, log_limited_by_reason};

/// FindCoordinator requests after which a client is logged.
const ASKS: u32 = 3;
/// How long the client must not have used its group since the first of them.
const SILENT_FOR: Duration = Duration::from_secs(6);
/// Clients that are watched at a time; further ones are not logged.
const MAX_WATCHED: usize = 64;
/// Words of the name filter: 1024 bits for at most 2 * `MAX_WATCHED` names, so that an unrelated name rarely matches.
const FILTER_WORDS: usize = 16;

/// Clients that have looked for a coordinator and not used their group since.
pub struct SilentClients {
    watched: Mutex<Watched>,
    /// The names of the watched clients and groups. It lets requests of other clients and groups pass without the lock.
    names: NameFilter,
    log_rate_limiter: Arc<LogRateLimiter>,
}

#[derive(Default)]
struct Watched {
    /// In the order of their first FindCoordinator requests.
    clients: Vec<WatchedClient>,
    /// Whether a task waits to log silent clients.
    has_task: bool,
}

struct WatchedClient {
    client: Client,
    asks: u32,
    since: Duration,
}

/// A client, and the group whose coordinator it looked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Client {
    pub peer: IpAddr,
    pub client_id: Arc<str>,
    pub software: String,
    pub group_id: Arc<str>,
}

/// A set of names that may report a name that it does not hold, but never misses one that it holds.
///
/// Written under the lock of [`SilentClients::watched`] only, read without it. The bit of a watched name stays set from
/// the time the name is added, because [`NameFilter::set_to`] replaces a word with one store. A request that is handled
/// while the client is being added can miss the new bit; that request was not sent after the response to
/// FindCoordinator, so it does not count as a use of the group.
#[derive(Default)]
struct NameFilter([AtomicU64; FILTER_WORDS]);

#[derive(Clone, Copy, Hash)]
enum Name<'a> {
    ClientId(&'a str),
    GroupId(&'a str),
}

impl NameFilter {
    fn may_contain(&self, name: Name) -> bool {
        let (word, bit) = NameFilter::position(name);
        self.0.get(word).is_some_and(|bits| bits.load(Ordering::Acquire) & bit != 0)
    }

    fn set_to(&self, clients: &[WatchedClient]) {
        let mut words = [0; FILTER_WORDS];
        for WatchedClient { client, .. } in clients {
            for name in [Name::ClientId(&client.client_id), Name::GroupId(&client.group_id)] {
                let (word, bit) = NameFilter::position(name);
                if let Some(bits) = words.get_mut(word) {
                    *bits |= bit;
                }
            }
        }
        self.0.iter().zip(words).for_each(|(bits, word)| bits.store(word, Ordering::Release));
    }

    /// The index of the word, and the bit in it.
    fn position(name: Name) -> (usize, u64) {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        let hash = hasher.finish();
        ((hash >> 6) as usize % FILTER_WORDS, 1 << (hash % 64))
    }
}

impl Watched {
    /// Notes a FindCoordinator request. Returns whether the client was added.
    fn asked(&mut self, now: Duration, client: Client) -> bool {
        if let Some(watched) = self.clients.iter_mut().find(|watched| watched.client == client) {
            watched.asks = watched.asks.saturating_add(1);
            return false;
        }
        let has_room = self.clients.len() < MAX_WATCHED;
        if has_room {
            self.clients.push(WatchedClient { client, asks: 1, since: now });
        }
        has_room
    }

    /// Removes clients that were watched for `SILENT_FOR`. Returns those to log, and when the next one is due.
    fn take_silent(&mut self, now: Duration) -> (Vec<Client>, Option<Duration>) {
        let due = self.clients.partition_point(|watched| watched.since.saturating_add(SILENT_FOR) <= now);
        let silent = self.clients.drain(..due).filter(|watched| watched.asks >= ASKS).map(|watched| watched.client);
        let silent = silent.collect();
        (silent, self.clients.first().map(|watched| watched.since.saturating_add(SILENT_FOR)))
    }
}

impl SilentClients {
    /// Creates an empty list. Log lines go through `log_rate_limiter`.
    pub fn new(log_rate_limiter: Arc<LogRateLimiter>) -> Arc<SilentClients> {
        Arc::new(SilentClients { watched: Mutex::default(), names: NameFilter::default(), log_rate_limiter })
    }

    /// Notes that a client found its group's coordinator.
    pub fn asked(self: &Arc<Self>, clock: Clock, client: Client) {
        let mut watched = self.watched.lock();
        if watched.asked(clock.monotonic(), client) {
            self.names.set_to(&watched.clients);
        }
        // One task for all clients, for as long as there are any.
        if !watched.has_task
            && !watched.clients.is_empty()
            && let Ok(runtime) = Handle::try_current()
        {
            watched.has_task = true;
            runtime.spawn(Arc::clone(self).log_silent(clock));
        }
    }

    /// Notes a request for this group: its clients are not silent.
    pub fn group_used(&self, group_id: &str) {
        self.remove(Name::GroupId(group_id), |client| *client.group_id == *group_id);
    }

    /// Notes a fetch: clients with this client id are not silent.
    pub fn fetched(&self, client_id: &str) {
        self.remove(Name::ClientId(client_id), |client| *client.client_id == *client_id);
    }

    /// Removes the clients with a name. Takes the lock only if one of them may be watched.
    fn remove(&self, name: Name, has_name: impl Fn(&Client) -> bool) {
        if self.names.may_contain(name) {
            let mut watched = self.watched.lock();
            watched.clients.retain(|watched| !has_name(&watched.client));
            self.names.set_to(&watched.clients);
        }
    }

    async fn log_silent(self: Arc<Self>, clock: Clock) {
        let mut next = Some(SILENT_FOR);
        while let Some(after) = next {
            clock.sleep(after).await;
            let now = clock.monotonic();
            let mut watched = self.watched.lock();
            let (silent, next_due) = watched.take_silent(now);
            self.names.set_to(&watched.clients);
            next = next_due.map(|at| at.saturating_sub(now));
            // Changed under the lock, so that the next client starts another task.
            watched.has_task = next.is_some();
            drop(watched);
            silent.iter().for_each(|client| self.log(client));
        }
    }

    fn log(&self, client: &Client) {
        let Client { peer, client_id, software, group_id } = client;
        log_limited_by_reason!(
            WARN, self.log_rate_limiter, *peer, "clients that sent no request after FindCoordinator", client,
            %peer, %client_id, %software, group = %group_id,
            "a client looked for its group's coordinator {ASKS} times and sent no other request, as librdkafka does with \
             group.protocol=consumer: ConsumerGroupHeartbeat is not served yet; use group.protocol=classic"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(client_id: &str, group_id: &str) -> Client {
        let peer = IpAddr::from([127, 0, 0, 1]);
        Client { peer, client_id: client_id.into(), software: "librdkafka 2.3.0".to_owned(), group_id: group_id.into() }
    }

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn client_that_asked_three_times_and_did_nothing_is_silent_once() {
        let mut watched = Watched::default();
        for (now, is_added) in [(0, true), (1, false), (50, false)] {
            assert_eq!(watched.asked(at(now), client("a", "g")), is_added);
        }
        assert!(watched.asked(at(60), client("b", "g")), "it asks once, and is not logged");
        assert_eq!(watched.take_silent(at(5_999)), (Vec::new(), Some(at(6_000))));
        assert_eq!(watched.take_silent(at(6_000)), (vec![client("a", "g")], Some(at(6_060))));
        assert_eq!(watched.take_silent(at(6_060)), (Vec::new(), None));
    }

    #[test]
    fn watched_clients_are_bounded() {
        let mut watched = Watched::default();
        (0..1_000).for_each(|number| _ = watched.asked(at(0), client(&number.to_string(), "g")));
        assert_eq!(watched.clients.len(), MAX_WATCHED);
    }

    #[tokio::test]
    async fn client_that_uses_its_group_or_fetches_is_not_silent() {
        let clients = SilentClients::new(LogRateLimiter::new(Clock::start()));
        for (client_id, group_id) in [("a", "g"), ("b", "h"), ("c", "i")] {
            (0..ASKS).for_each(|_| clients.asked(Clock::start(), client(client_id, group_id)));
        }
        clients.group_used("g");
        clients.fetched("b");
        let (silent, _) = clients.watched.lock().take_silent(Duration::MAX);
        assert_eq!(silent, [client("c", "i")]);
    }

    #[tokio::test]
    async fn names_are_in_the_filter_while_their_client_is_watched() {
        let clients = SilentClients::new(LogRateLimiter::new(Clock::start()));
        let may_contain = |name| clients.names.may_contain(name);
        for (client_id, group_id) in [("a", "g"), ("a", "h"), ("b", "h")] {
            clients.asked(Clock::start(), client(client_id, group_id));
            assert!(may_contain(Name::ClientId(client_id)) && may_contain(Name::GroupId(group_id)));
        }
        assert!(!may_contain(Name::ClientId("unrelated")) && !may_contain(Name::GroupId("unrelated")));
        clients.group_used("g");
        assert!(!may_contain(Name::GroupId("g")) && may_contain(Name::ClientId("a")), "a is watched for h");
        clients.fetched("a");
        assert!(!may_contain(Name::ClientId("a")) && may_contain(Name::GroupId("h")), "b is watched for h");
        clients.fetched("b");
        assert!(clients.names.0.iter().all(|bits| bits.load(Ordering::Relaxed) == 0));
    }

    #[tokio::test]
    async fn fetch_of_unrelated_client_does_not_take_the_lock() {
        let clients = SilentClients::new(LogRateLimiter::new(Clock::start()));
        clients.asked(Clock::start(), client("a", "g"));
        let locked = clients.watched.lock();
        let (done_tx, done) = std::sync::mpsc::channel();
        let fetching = Arc::clone(&clients);
        let thread = std::thread::spawn(move || {
            fetching.fetched("unrelated");
            fetching.group_used("unrelated");
            let _ = done_tx.send(());
        });
        assert!(done.recv_timeout(Duration::from_secs(10)).is_ok(), "it waits for the lock");
        drop(locked);
        thread.join().unwrap();
    }
}
