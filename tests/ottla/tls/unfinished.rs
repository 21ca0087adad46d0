use std::io::{Read as _, Write as _};
use std::time::Instant;

use rustix::process::{Resource, getrlimit, setrlimit};

use super::*;

/// More than the handshakes that may be unfinished at a time.
const UNFINISHED: usize = 1_000;

/// The start of a handshake: the header of a record with 512 bytes, and the first of them.
const HALF_A_HELLO: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";

#[test]
fn a_thousand_unfinished_handshakes_do_not_disturb_other_clients() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    let certificates = Certificates::new();
    let broker = certificates.broker().start();
    let address = tls_address(&broker);
    let mut before = connect(address, certificates.client(None)).unwrap();
    let open = |bytes: &[u8]| {
        let mut socket = TcpStream::connect(address).unwrap();
        socket.write_all(bytes).unwrap();
        socket
    };
    let mut unfinished: Vec<TcpStream> = (0..UNFINISHED).map(|_| open(HALF_A_HELLO)).collect();
    let silent: Vec<TcpStream> = (0..UNFINISHED).map(|_| open(b"")).collect();
    let began = Instant::now();
    for _ in 0..20 {
        ask(&mut before).unwrap();
        connect(address, certificates.client(None)).unwrap();
    }
    // Far less than the time that an unfinished handshake may take.
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    // The oldest ones had to end.
    broker.wait_for_log("the TLS handshake was not finished, and more than 512 others began");
    let first = &mut unfinished[0];
    first.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    assert!(matches!(first.read(&mut [0; 64]), Ok(0) | Err(_)));
    drop(silent);
}

#[test]
fn handshake_that_takes_too_long_ends() {
    let certificates = Certificates::new();
    let broker = certificates.broker().set("connections.max.idle.ms", "1000").start();
    for bytes in [HALF_A_HELLO, b""] {
        let mut socket = TcpStream::connect(tls_address(&broker)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        socket.write_all(bytes).unwrap();
        assert_eq!(socket.read(&mut [0]).unwrap_or(0), 0);
    }
    broker.wait_for_log("the TLS handshake took too long");
}
