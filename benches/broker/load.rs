//! The load: prepared batches that are produced and fetched over a few connections, with a bounded number of requests
//! in flight.
//!
//! The client does little work (one thread per connection, frames encoded before the start, answers only checked), so
//! that the broker gets most of the CPU of a small machine. The client's share is the same for every broker.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use ottla_wire::codec::Str;
use ottla_wire::protocol::frame::{decode_response, encode_request};
use ottla_wire::protocol::messages::fetch::{FetchPartition, FetchRequest, FetchTopic};
use ottla_wire::protocol::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use ottla_wire::protocol::{ApiKey, Request, RequestHeader, Response};
use ottla_wire::record::{BATCH_OVERHEAD, BatchBuilder, Codec, Verified};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

/// Versions that every measured broker supports, and that identify topics by name.
pub const PRODUCE_VERSION: i16 = 9;
const FETCH_VERSION: i16 = 12;

const RECORD_BYTES: usize = 1024;
const BATCH_BYTES: usize = 64 << 10;
/// Batches of one fetch: about 1 MiB, a consumer's usual `max.partition.fetch.bytes`.
const BATCHES_PER_FETCH: u64 = 16;
/// Requests in flight per connection.
const PRODUCE_WINDOW: u64 = 16;
const FETCH_WINDOW: u64 = 4;
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// Which records a fetch returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    ReadUncommitted = 0,
    ReadCommitted = 1,
}

/// The addresses and the topic of a measurement.
#[derive(Clone, Debug)]
pub struct Target {
    pub produce: SocketAddr,
    pub fetch: SocketAddr,
    pub topic: String,
}

/// A batch, the number of connections, and how often each connection sends the batch to its own partition.
#[derive(Clone, Debug)]
pub struct Load {
    batch: Bytes,
    records: u64,
    connections: u64,
    batches_each: u64,
    tls: Option<Arc<ClientConfig>>,
}

/// A connection, encrypted or not.
pub enum Socket {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Read for Socket {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Plain(socket) => socket.read(space),
            Socket::Tls(stream) => stream.read(space),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Plain(socket) => socket.write(bytes),
            Socket::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Socket::Plain(socket) => socket.flush(),
            Socket::Tls(stream) => stream.flush(),
        }
    }
}

impl Load {
    /// Makes a load of about `bytes` over `connections` connections.
    pub fn new(connections: u64, bytes: u64) -> Load {
        Load::of_batch(connections, bytes, batch(false))
    }

    /// Like [`Load::new`], with records of this value.
    pub fn of_values(connections: u64, bytes: u64, value: &[u8]) -> Load {
        Load::of_batch(connections, bytes, batch_of(value, false))
    }

    fn of_batch(connections: u64, bytes: u64, (batch, records): (Verified, u64)) -> Load {
        let batch = batch.bytes().clone();
        let fetches = bytes / connections / (batch.len() as u64 * BATCHES_PER_FETCH);
        Load { batch, records, connections, batches_each: fetches.max(1) * BATCHES_PER_FETCH, tls: None }
    }

    /// Encrypts all connections.
    pub fn with_tls(self, config: Arc<ClientConfig>) -> Load {
        Load { tls: Some(config), ..self }
    }

    pub fn connections(&self) -> u64 {
        self.connections
    }

    /// Returns the size of all batches together.
    pub fn bytes(&self) -> u64 {
        self.connections * self.batches_each * self.batch.len() as u64
    }

    /// Returns the size of the records in one fetch response.
    pub fn fetch_bytes(&self) -> usize {
        self.batch.len() * BATCHES_PER_FETCH as usize
    }

    /// Produces everything with acks=1, and returns the time from the first byte to the last response.
    pub fn produce(&self, to: &Target) -> Duration {
        self.on_every_connection(to.produce, |partition, socket| {
            let frame = produce_request(&to.topic, partition, self.batch.clone());
            exchange(socket, self.batches_each, PRODUCE_WINDOW, |_| frame.clone(), check_produced)
        })
    }

    /// Fetches everything, and returns the time from the first request to the last byte.
    pub fn fetch(&self, from: &Target) -> Duration {
        self.on_every_connection(from.fetch, |partition, socket| {
            let step = self.records * BATCHES_PER_FETCH;
            let request = |number| {
                fetch_request(&from.topic, partition, number * step, self.fetch_bytes(), Isolation::ReadUncommitted)
            };
            let fetches = self.batches_each / BATCHES_PER_FETCH;
            fetch_and_discard(socket, fetches, self.fetch_bytes(), request)
        })
    }

    fn on_every_connection(
        &self,
        address: SocketAddr,
        work: impl Fn(i32, Socket) -> io::Result<()> + Sync,
    ) -> Duration {
        let connect = || match &self.tls {
            None => Socket::Plain(connect(address)),
            Some(config) => connect_tls(address, config),
        };
        let sockets: Vec<Socket> = (0..self.connections).map(|_| connect()).collect();
        let started = Instant::now();
        thread::scope(|scope| {
            for (partition, socket) in (0..).zip(sockets) {
                let work = &work;
                scope.spawn(move || work(partition, socket).expect("the broker answers"));
            }
        });
        started.elapsed()
    }
}

/// Opens a connection to a broker.
pub fn connect(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(address).expect("the broker accepts");
    socket.set_nodelay(true).expect("no delay");
    socket.set_read_timeout(Some(READ_TIMEOUT)).expect("a timeout");
    socket
}

/// Opens an encrypted connection to a broker. The handshake is part of the first read or write.
pub fn connect_tls(address: SocketAddr, config: &Arc<ClientConfig>) -> Socket {
    let name = ServerName::try_from("localhost").expect("a name");
    let connection = ClientConnection::new(Arc::clone(config), name).expect("a connection");
    Socket::Tls(Box::new(StreamOwned::new(connection, connect(address))))
}

/// Builds a batch of [`BATCH_BYTES`] with records of [`RECORD_BYTES`], and returns it with the number of records.
pub fn batch(transactional: bool) -> (Verified, u64) {
    let value: Vec<u8> = (0..RECORD_BYTES as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    batch_of(&value, transactional)
}

fn batch_of(value: &[u8], transactional: bool) -> (Verified, u64) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970").as_millis() as i64;
    let mut builder = BatchBuilder::new(Codec::None);
    if transactional {
        builder = builder.transactional();
    }
    // The fields of a record take up to 12 bytes besides the value.
    let records = (BATCH_BYTES - BATCH_OVERHEAD) / (value.len() + 12);
    for _ in 0..records {
        builder.append(now, None, Some(value), &[]);
    }
    (builder.build().expect("a batch"), records as u64)
}

/// Encodes a request as a frame.
pub fn request(key: ApiKey, version: i16, request: Request) -> Bytes {
    let client_id = Some(Str::from_static("bench"));
    let header = RequestHeader { api_key: key as i16, api_version: version, correlation_id: 0, client_id };
    encode_request(&header, &request).expect("a request").concat().into()
}

fn produce_request(topic: &str, index: i32, batch: Bytes) -> Bytes {
    let partition_data = vec![PartitionProduceData { index, records: Some(batch) }];
    let topic_data = vec![TopicProduceData { name: topic.into(), partition_data, ..Default::default() }];
    let produce = ProduceRequest { acks: 1, timeout_ms: 30_000, topic_data, ..Default::default() };
    request(ApiKey::Produce, PRODUCE_VERSION, produce.into())
}

/// Encodes a fetch of one partition.
pub fn fetch_request(topic: &str, partition: i32, offset: u64, bytes: usize, isolation: Isolation) -> Bytes {
    let limit = bytes as i32;
    let partition =
        FetchPartition { partition, fetch_offset: offset as i64, partition_max_bytes: limit, ..Default::default() };
    let topics = vec![FetchTopic { topic: topic.into(), partitions: vec![partition], ..Default::default() }];
    let fetch = FetchRequest {
        max_wait_ms: 500,
        min_bytes: 1,
        max_bytes: limit,
        isolation_level: isolation as i8,
        topics,
        ..Default::default()
    };
    request(ApiKey::Fetch, FETCH_VERSION, fetch.into())
}

fn check_produced(answer: Bytes) {
    let answer = decode_response(ApiKey::Produce, PRODUCE_VERSION, answer).expect("a produce response");
    let (_, Response::Produce(answer)) = answer else { panic!("{answer:?} answers a produce request") };
    let partitions = answer.responses.iter().flat_map(|topic| &topic.partition_responses);
    assert!(partitions.clone().count() == 1 && partitions.clone().all(|p| p.error_code == 0), "{answer:?}");
}

/// Sends `total` requests with up to `window` in flight, and checks each response.
fn exchange(
    mut socket: Socket,
    total: u64,
    window: u64,
    request: impl Fn(u64) -> Bytes,
    check: impl Fn(Bytes),
) -> io::Result<()> {
    let (mut sent, mut answered) = (0, 0);
    let mut buffer = vec![0; 64 << 10];
    let mut have = 0;
    while answered < total {
        while sent < total && sent - answered < window {
            socket.write_all(&request(sent))?;
            sent += 1;
        }
        have += read(&mut socket, &mut buffer[have..])?;
        let mut used = 0;
        while let Some(size) = buffer[used..have].first_chunk() {
            let end = used + 4 + u32::from_be_bytes(*size) as usize;
            if end > have {
                break;
            }
            check(Bytes::copy_from_slice(&buffer[used + 4..end]));
            answered += 1;
            used = end;
        }
        buffer.copy_within(used..have, 0);
        have -= used;
    }
    Ok(())
}

/// Sends `total` fetches with [`FETCH_WINDOW`] in flight, and reads responses of at least `bytes` each into a buffer
/// that is overwritten.
pub fn fetch_and_discard(
    mut socket: impl Read + Write,
    total: u64,
    bytes: usize,
    request: impl Fn(u64) -> Bytes,
) -> io::Result<()> {
    let (mut sent, mut answered) = (0, 0);
    let mut buffer = vec![0; 256 << 10];
    while answered < total {
        while sent < total && sent - answered < FETCH_WINDOW {
            socket.write_all(&request(sent))?;
            sent += 1;
        }
        let mut size = [0; 4];
        socket.read_exact(&mut size)?;
        let mut left = u32::from_be_bytes(size) as usize;
        assert!(left >= bytes, "a response of {left} bytes to a fetch of {bytes} bytes of records");
        while left > 0 {
            let space = left.min(buffer.len());
            left -= read(&mut socket, &mut buffer[..space])?;
        }
        answered += 1;
    }
    Ok(())
}

fn read(socket: &mut impl Read, space: &mut [u8]) -> io::Result<usize> {
    match socket.read(space)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        read => Ok(read),
    }
}
