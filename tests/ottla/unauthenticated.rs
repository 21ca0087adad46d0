//! Clients of a SASL listener that have not authenticated: their requests reach no handler, and their failed logins don't
//! disturb others.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use common::Broker;
use ottla::client::{Client, ClientError, ClientOptions, Sasl};
use tokio::task::JoinSet;

const SASL_HANDSHAKE: i16 = 17;
const API_VERSIONS: i16 = 18;
const SASL_AUTHENTICATE: i16 = 36;
const FAILED_LOGINS: usize = 1000;
const CONCURRENT_LOGINS: usize = 8;

fn broker() -> Broker {
    let users = "org.apache.kafka.common.security.plain.PlainLoginModule required user_alice=\"alice-secret\";";
    Broker::with()
        .set("listener.security.protocol.map", "PLAINTEXT:SASL_PLAINTEXT")
        .set("sasl.enabled.mechanisms", "PLAIN")
        .set("listener.name.plaintext.plain.sasl.jaas.config", users)
        .set("connection.failed.authentication.delay.ms", "5")
        .start()
}

/// A frame with the correlation id 7 and no client id.
fn frame(key: i16, version: i16, body: &[u8]) -> Vec<u8> {
    let mut content = [key.to_be_bytes(), version.to_be_bytes(), [0, 0], [0, 7], [0xff, 0xff]].concat();
    content.extend_from_slice(body);
    [&u32::try_from(content.len()).unwrap().to_be_bytes()[..], &content].concat()
}

/// Sends a frame, and returns what comes until the response is complete or the connection is closed.
fn answer(socket: &mut TcpStream, frame: &[u8]) -> Vec<u8> {
    let mut size = [0; 4];
    if socket.write_all(frame).is_err() || socket.read_exact(&mut size).is_err() {
        return Vec::new();
    }
    let mut response = vec![0; u32::from_be_bytes(size) as usize];
    socket.read_exact(&mut response).unwrap();
    response
}

/// Whether the broker closes the connection without a further byte. Panics if it does neither within the socket's timeout.
fn is_closed(socket: &mut TcpStream) -> bool {
    match socket.read(&mut [0]) {
        Ok(received) => received == 0,
        Err(error) => {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
            true
        }
    }
}

fn body(key: i16) -> &'static [u8] {
    match key {
        SASL_HANDSHAKE => b"\0\x05PLAIN",
        API_VERSIONS => b"",
        // An empty message, which is a failed login and is answered.
        SASL_AUTHENTICATE => &[0; 4],
        // Empty fields, in most requests.
        _ => &[0; 16],
    }
}

/// Whether a request is answered, and the connection stays open.
fn is_served(broker: &Broker, before: &[Vec<u8>], key: i16) -> bool {
    let mut socket = broker.connect();
    for step in before {
        assert_eq!(answer(&mut socket, step)[..4], [0, 0, 0, 7]);
    }
    let served = !answer(&mut socket, &frame(key, 0, body(key))).is_empty();
    assert!(served || is_closed(&mut socket), "{key}");
    served
}

#[test]
fn request_before_authentication_closes_the_connection_for_every_key_but_those_of_authentication() {
    let broker = broker();
    let (versions, handshake) = (frame(API_VERSIONS, 0, &[]), frame(SASL_HANDSHAKE, 1, b"\0\x05PLAIN"));
    for (before, expect) in [(vec![], &[SASL_HANDSHAKE, API_VERSIONS][..]), (vec![versions.clone()], &[SASL_HANDSHAKE])]
    {
        let served: Vec<_> = (0..=100).filter(|key| is_served(&broker, &before, *key)).collect();
        assert_eq!(served, expect, "after {} requests", before.len());
    }
    // During the exchange, the response to others is an error; crate::sasl_exchange has all of them.
    for key in 0..=100 {
        let mut socket = broker.connect();
        for step in [&versions, &handshake] {
            assert_eq!(answer(&mut socket, step)[..4], [0, 0, 0, 7]);
        }
        answer(&mut socket, &frame(key, 0, body(key)));
        assert!(is_closed(&mut socket), "{key}");
    }
}

async fn login(address: String, user: &str, password: &str) -> Result<Client, ClientError> {
    let sasl = Sasl::Plain { user: user.to_owned(), password: password.to_owned() };
    let options = ClientOptions { sasl: Some(sasl), ..Default::default() };
    Client::connect_with(&address, options).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousand_failed_logins_do_not_disturb_another_client() {
    let broker = broker();
    let address = broker.addr().to_string();
    let client = login(address.clone(), "alice", "alice-secret").await.unwrap();
    let attack = async {
        let mut failed = 0;
        while failed < FAILED_LOGINS {
            let mut attempts = JoinSet::new();
            for number in 0..CONCURRENT_LOGINS {
                let (user, password) = if number % 2 == 0 { ("alice", "wrong") } else { ("nobody", "alice-secret") };
                attempts.spawn(login(address.clone(), user, password));
            }
            for result in attempts.join_all().await {
                assert!(matches!(result, Err(ClientError::Refused { .. })), "{:?}", result.err());
                failed += 1;
            }
        }
    };
    let work = async {
        loop {
            let request = client.metadata(None);
            tokio::time::timeout(Duration::from_secs(10), request).await.expect("in time").unwrap();
        }
    };
    tokio::select! {
        () = attack => {}
        () = work => {}
    }
    login(address.clone(), "alice", "alice-secret").await.unwrap();
    // The number of lines is limited, too.
    let lines = broker.log().lines().filter(|line| line.contains("authentication")).count();
    assert!((1..FAILED_LOGINS / 2).contains(&lines), "{lines} lines");
    assert!(!broker.log().contains("alice-secret"));
}
