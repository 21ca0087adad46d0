//! What is reported of requests that are done.

use super::*;

/// How long the parked replies of [`EchoDispatch`] take.
const PARKED: Duration = Duration::from_secs(5);

/// Sends requests at once, reads so many replies, closes the connection, and returns what is reported, in the order of
/// the requests.
async fn reported(requests: &[&str], replies: usize) -> Vec<Exchange> {
    let server = TestServer::new();
    let (mut socket, task) = server.connect();
    let sent: Vec<u8> = requests.iter().flat_map(frame).collect();
    socket.write_all(&sent).await.unwrap();
    for _ in 0..replies {
        reply(&mut socket).await;
    }
    tokio::task::yield_now().await;
    drop(socket);
    task.await.unwrap();
    let mut done = std::mem::take(&mut *server.dispatch.done.lock());
    done.sort_by_key(|exchange| exchange.number);
    done
}

/// The numbers of requests and what became of them.
fn endings(done: &[Exchange]) -> Vec<(u64, Ending)> {
    done.iter().map(|exchange| (exchange.number, exchange.ending)).collect()
}

#[tokio::test(start_paused = true)]
async fn every_request_is_reported_once_whatever_becomes_of_its_reply() {
    use Ending::*;
    assert_eq!(endings(&reported(&["e", "w", "n", "e"], 3).await), [(0, Sent), (1, Sent), (2, NoReply), (3, Sent)]);
    assert_eq!(endings(&reported(&["n"], 0).await), [(0, NoReply)]);
    assert_eq!(endings(&reported(&["e", "c"], 1).await), [(0, Sent), (1, Dropped)]);
    assert_eq!(endings(&reported(&["f", "e", "w"], 0).await), [(0, Dropped), (1, Dropped), (2, Dropped)]);
    assert_eq!(endings(&reported(&["L", "e"], 1).await), [(0, Sent), (1, Dropped)]);
    assert_eq!(endings(&reported(&["w", "e"], 0).await), [(0, Dropped), (1, Dropped)], "the client has disconnected");
}

#[tokio::test(start_paused = true)]
async fn times_of_a_parked_reply_are_remote_and_those_of_replies_behind_it_are_queued() {
    let done = reported(&["wait", "e", "m"], 3).await;
    let times = |at: usize| {
        let times = done[at].times;
        (times.local(), times.remote(), times.response_queued(), times.total())
    };
    let zero = Duration::ZERO;
    assert_eq!(times(0), (zero, PARKED, zero, PARKED));
    assert_eq!(times(1), (zero, zero, PARKED, PARKED));
    assert_eq!(times(2), (zero, zero, PARKED, PARKED));
    assert_eq!([done[1].throttled, done[2].throttled], [zero, MUTE]);
}

#[tokio::test(start_paused = true)]
async fn sizes_and_first_bytes_are_those_of_the_frames() {
    let done = reported(&["echo 1234 and more", "e"], 2).await;
    assert_eq!((done[0].request_bytes, done[0].response_bytes), (18, 22));
    assert_eq!((done[0].head, done[1].head), (Some(*b"echo 123"), None));
}
