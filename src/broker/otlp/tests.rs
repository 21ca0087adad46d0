use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::AtomicUsize;
use std::thread;

use super::*;

/// A collector that answers with these statuses, and then with 200. Returns its URL and the number of its requests.
fn collector(statuses: &'static [&'static str]) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&requests);
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut read = Vec::new();
            let mut byte = [0];
            // The body is one byte.
            while !read.windows(4).rev().skip(1).take(1).any(|end| end == b"\r\n\r\n") {
                if stream.read(&mut byte).unwrap_or(0) == 0 {
                    break;
                }
                read.push(byte[0]);
            }
            let status = statuses.get(counted.fetch_add(1, Ordering::SeqCst)).unwrap_or(&"200 OK");
            let _ = write!(stream, "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        }
    });
    (url, requests)
}

/// Exports a byte of metrics; returns how many were exported and dropped, the requests, and the time that it took.
async fn export(statuses: &'static [&'static str]) -> (u64, u64, usize, Duration) {
    let (endpoint, requests) = collector(statuses);
    let clock = Clock::start();
    let config = OtlpConfig { endpoint, headers: Vec::new(), traces: false };
    let exporter = Exporter::start(&config, Vec::new(), clock, LogRateLimiter::new(clock), &Registry::default());
    exporter.export_metrics(vec![0]);
    let counts = exporter.shared.counts(Signal::Metrics);
    while counts.exported.get() + counts.dropped.get() == 0 {
        clock.sleep(Duration::from_millis(100)).await;
    }
    (counts.exported.get(), counts.dropped.get(), requests.load(Ordering::SeqCst), clock.monotonic())
}

#[tokio::test(start_paused = true)]
async fn request_is_sent_again_while_the_collector_is_busy() {
    let (exported, dropped, requests, took) = export(&["503 Busy", "429 Slower"]).await;
    assert_eq!((exported, dropped, requests), (1, 0, 3));
    assert!(took >= Duration::from_secs(3), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn collector_that_demands_a_delay_gets_it() {
    let (exported, _, requests, took) = export(&["503 Busy\r\nRetry-After: 20"]).await;
    assert_eq!((exported, requests), (1, 2));
    assert!(took >= Duration::from_secs(20), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn refused_request_is_not_sent_again() {
    let (exported, dropped, requests, _) = export(&["400 Bad Request"]).await;
    assert_eq!((exported, dropped, requests), (0, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn request_that_fails_again_and_again_is_dropped() {
    let (exported, dropped, requests, took) = export(&["503 Busy"; 10]).await;
    assert_eq!((exported, dropped, requests), (0, 1, MAX_ATTEMPTS as usize));
    assert!(took >= Duration::from_secs(31), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn spans_wait_until_there_are_enough_for_a_request() {
    let clock = Clock::start();
    let config = OtlpConfig { endpoint: "http://127.0.0.1:1".to_owned(), headers: Vec::new(), traces: true };
    let shared = Shared {
        clock,
        limiter: LogRateLimiter::new(clock),
        collector: Arc::new(post::Endpoint::new(&config)),
        queue: Mutex::new(Queue::new(Vec::new())),
        wake: Notify::new(),
        closed: AtomicBool::new(false),
        counts: Default::default(),
    };
    // The first one notifies, which does not end the wait.
    shared.push(Signal::Traces, vec![1]);
    assert!(clock.timeout(SPAN_DELAY, shared.until_worth_sending()).await.is_none());
    while shared.queue.lock().may_wait() {
        assert!(clock.timeout(Duration::ZERO, shared.until_worth_sending()).await.is_none());
        shared.push(Signal::Traces, vec![1]);
    }
    assert!(clock.timeout(Duration::ZERO, shared.until_worth_sending()).await.is_some());
}
