//! Requests and answers as text, for tables that compare the answers of Apache Kafka with those of Ottla.
//!
//! A request is written as `name=value` for each field that does not have its default value. Fields are named as in
//! `src/wire/protocol/messages`: `topics=[{name=a num_partitions=1}] validate_only=true`. A value is a word, text in double
//! quotes, `null`, a list in brackets or a struct in braces; `$name` stands for the id of the topic of that name. An
//! answer is written in the same way, with the names of error codes, sorted lists, and without values that differ from
//! run to run. `@name` stands for the producer id that the transactional id of that name got last, `@name.1` for its first
//! one, and `@member` for the member id of the last JoinGroup. The codec's reflection rows describe every message, so no API needs code of its own.

mod batches;
mod known;
pub mod notation;
mod reading;
mod writing;

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::ops::RangeInclusive;
use std::time::Duration;

use ottla_wire::protocol::ApiKey;
use ottla_wire::record::Batch;
use ottla_wire::types::Uuid;

use known::Known;
use reading::Read;

/// The limit for one answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The version of Fetch for batches.
const FETCH: i16 = 12;
/// The text for a connection that the broker closed without an answer.
const NO_ANSWER: &str = "no answer";

/// The attempts of [`WireClient::until`], and the delay between two.
const ATTEMPTS: usize = 500;
const DELAY: Duration = Duration::from_millis(20);

/// A connection to a broker, with the ids of earlier answers.
pub struct WireClient {
    address: String,
    connection: Option<TcpStream>,
    known: Known,
    /// Texts that are replaced in answers, with their replacements.
    hidden: Vec<(String, &'static str)>,
    correlation_id: i32,
    /// The address that connections come from; `None` leaves it to the system.
    local: Option<Ipv4Addr>,
    /// What a connection begins with.
    login: Login,
}

/// How a client authenticates with PLAIN.
#[derive(Clone)]
enum Login {
    None,
    /// The handshake alone, in this version.
    Handshake(i16),
    /// The message of PLAIN.
    Complete(String),
}

impl WireClient {
    /// A client of the broker at `address` (`host:port`) that replaces each text of `hidden`, and the port, in answers.
    pub fn new(address: &str, hidden: &[(&str, &'static str)]) -> WireClient {
        let (_, port) = address.rsplit_once(':').expect("an address with a port");
        let mut hidden: Vec<_> = hidden.iter().map(|(what, by)| ((*what).to_owned(), *by)).collect();
        hidden.push((port.to_owned(), "PORT"));
        WireClient {
            address: address.to_owned(),
            connection: None,
            known: Known::default(),
            hidden,
            correlation_id: 0,
            local: None,
            login: Login::None,
        }
    }

    /// The same client with connections from another address of this machine.
    pub fn bound_to(mut self, local: Ipv4Addr) -> WireClient {
        self.local = Some(local);
        self
    }

    /// Authenticates all further connections as a user with the password `<user>-secret`.
    pub fn log_in(&mut self, user: &str) {
        self.connection = None;
        self.login = Login::Complete(format!("\0{user}\0{user}-secret"));
    }

    /// Sends the request on a new connection after SaslHandshake of a version, and returns the bytes of the response, if
    /// there is one; then the broker must close the connection.
    pub fn call_in_exchange(&mut self, handshake: i16, api: ApiKey, version: i16, request: &str) -> Option<Vec<u8>> {
        (self.connection, self.login) = (None, Login::Handshake(handshake));
        let body = writing::request(api, version, &notation::fields(request), &self.known.topics);
        let frame = self.frame(api, version, &body);
        let answer = self.exchange(&frame).ok();
        let connection = self.connection.take().expect("connected above");
        let after = (&connection).read(&mut [0]);
        let is_closed = match &after {
            Ok(received) => *received == 0,
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        };
        assert!(is_closed, "{} {version}: {after:?}", api.name());
        answer
    }

    /// The text of a response's bytes.
    pub fn show(&self, api: ApiKey, version: i16, response: &[u8]) -> String {
        let header = if api.response_header_version(version) == 1 { 5 } else { 4 };
        reading::show(&reading::response(api, version, &response[header..]), &self.known)
    }

    /// The APIs that ApiVersions lists, with their versions.
    pub fn served(&mut self) -> Vec<(ApiKey, RangeInclusive<i16>)> {
        let answer = self.read(ApiKey::ApiVersions, 0, "").expect(NO_ANSWER);
        let Some(Read::List(listed)) = reading::field(&answer, "api_keys") else { panic!("{answer:?} has no list") };
        let number = |api: &Read, name| match reading::field(api, name) {
            Some(Read::Number(number)) => i16::try_from(*number).unwrap(),
            other => panic!("{other:?}"),
        };
        let of = |api| {
            (ApiKey::from_code(number(api, "api_key")).unwrap(), number(api, "min_version"), number(api, "max_version"))
        };
        listed.iter().map(of).map(|(api, oldest, newest)| (api, oldest..=newest)).collect()
    }

    /// Makes ids of topics known that requests name.
    pub fn know_topic(&mut self, name: &str, id: Uuid) {
        self.known.topics.insert(name.to_owned(), id);
    }

    /// Sends a request until the answer contains a text, and returns that answer.
    pub fn until(&mut self, text: &str, api: ApiKey, version: i16, request: &str) -> String {
        for _ in 0..ATTEMPTS {
            let answer = self.call(api, version, request);
            if answer.contains(text) {
                return answer;
            }
            std::thread::sleep(DELAY);
        }
        panic!("{} {version} {request} is not answered {text}", api.name());
    }

    /// Sends a request and returns the answer as text; panics if the request is not well-formed.
    pub fn call(&mut self, api: ApiKey, version: i16, request: &str) -> String {
        match self.read(api, version, request) {
            Some(answer) => self.hide(&reading::show(&answer, &self.known)),
            None => NO_ANSWER.to_owned(),
        }
    }

    /// Sends a request that gets no answer, and returns whether the broker answers the next request on the connection.
    pub fn call_without_answer(&mut self, api: ApiKey, version: i16, request: &str) -> bool {
        let request = notation::fields(&self.known.fill_in(request));
        let body = writing::request(api, version, &request, &self.known.topics);
        let mut frames = self.frame(api, version, &body);
        let next = self.frame(ApiKey::ApiVersions, 0, &[]);
        frames.extend(next);
        let is_answered = self.exchange(&frames).is_ok();
        if !is_answered {
            self.connection = None;
        }
        is_answered
    }

    /// The batches of a partition from its start on.
    pub fn batches(&mut self, topic: &str, partition: i32) -> Vec<Batch> {
        let mut all = Vec::new();
        loop {
            let next = all.last().map_or(0, |batch: &Batch| batch.header().next_offset());
            let request = format!(
                "max_bytes=1000000 topics=[{{topic={topic} partitions=[{{partition={partition} fetch_offset={next} \
                 partition_max_bytes=1000000}}]}}]"
            );
            let answer = self.read(ApiKey::Fetch, FETCH, &request).expect(NO_ANSWER);
            let Some(Read::Bytes(records)) = reading::find(&answer, "records") else { return all };
            let read = batches::parse(records);
            if read.is_empty() {
                return all;
            }
            all.extend(read);
        }
    }

    /// The text for a producer id of an earlier answer.
    pub fn producer(&self, producer_id: i64) -> String {
        self.known.producer(producer_id)
    }

    /// Sends a request and returns the elements of the first list of that name: by the name of each element, the text of
    /// its other fields, joined where a name occurs more than once.
    pub fn call_for_each(&mut self, api: ApiKey, version: i16, request: &str, list: &str) -> BTreeMap<String, String> {
        let answer = self.read(api, version, request).expect(NO_ANSWER);
        let all = reading::elements_of(&answer, list, &self.known).expect("a list of that name");
        let mut elements: BTreeMap<String, String> = BTreeMap::new();
        for (name, text) in all {
            let text = self.hide(&text);
            elements.entry(name).and_modify(|before| *before += &format!(", {text}")).or_insert(text);
        }
        elements
    }

    fn read(&mut self, api: ApiKey, version: i16, request: &str) -> Option<Read> {
        let request = notation::fields(&self.known.fill_in(request));
        let body = writing::request(api, version, &request, &self.known.topics);
        let frame = self.frame(api, version, &body);
        let Ok(answer) = self.exchange(&frame) else {
            self.connection = None;
            return None;
        };
        let header = if api.response_header_version(version) == 1 { 5 } else { 4 };
        let response = reading::response(api, version, &answer[header..]);
        reading::collect_topic_ids(&response, &mut self.known);
        self.known.learn(&request, &response);
        Some(response)
    }

    fn hide(&self, text: &str) -> String {
        self.hidden.iter().fold(text.to_owned(), |text, (what, by)| text.replace(what, by))
    }

    fn frame(&mut self, api: ApiKey, version: i16, body: &[u8]) -> Vec<u8> {
        self.correlation_id += 1;
        let mut frame = Vec::new();
        frame.extend((api as i16).to_be_bytes());
        frame.extend(version.to_be_bytes());
        frame.extend(self.correlation_id.to_be_bytes());
        let client = b"tester";
        frame.extend((client.len() as i16).to_be_bytes());
        frame.extend(client);
        if api.request_header_version(version) == 2 {
            frame.push(0);
        }
        frame.extend(body);
        let size = frame.len() as i32;
        [&size.to_be_bytes()[..], &frame].concat()
    }

    fn begin_session(&mut self) -> io::Result<()> {
        let (version, message) = match self.login.clone() {
            Login::None => return Ok(()),
            Login::Handshake(version) => (version, None),
            Login::Complete(message) => (1, Some(message)),
        };
        let steps = [
            Some((ApiKey::SaslHandshake, version, "mechanism=PLAIN".to_owned())),
            message.map(|message| (ApiKey::SaslAuthenticate, 0, format!("auth_bytes=\"{message}\""))),
        ];
        for (api, version, request) in steps.into_iter().flatten() {
            let body = writing::request(api, version, &notation::fields(&request), &self.known.topics);
            let frame = self.frame(api, version, &body);
            let answer = self.exchange(&frame)?;
            assert_eq!(answer[4..6], [0, 0], "{} is refused", api.name());
        }
        Ok(())
    }

    fn exchange(&mut self, frame: &[u8]) -> io::Result<Vec<u8>> {
        if self.connection.is_none() {
            let connection = match self.local {
                Some(local) => connect_from(local, &self.address)?,
                None => TcpStream::connect(&self.address)?,
            };
            connection.set_read_timeout(Some(TIMEOUT))?;
            connection.set_nodelay(true)?;
            self.connection = Some(connection);
            self.begin_session()?;
        }
        let connection = self.connection.as_mut().expect("connected above");
        connection.write_all(frame)?;
        let mut size = [0; 4];
        connection.read_exact(&mut size)?;
        let mut answer = vec![0; u32::from_be_bytes(size) as usize];
        connection.read_exact(&mut answer)?;
        Ok(answer)
    }
}

/// Connects to an IPv4 address from the address `local`.
fn connect_from(local: Ipv4Addr, address: &str) -> io::Result<TcpStream> {
    use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    bind(&socket, &SocketAddrV4::new(local, 0))?;
    let address: SocketAddrV4 = address.parse().map_err(io::Error::other)?;
    connect(&socket, &address)?;
    Ok(TcpStream::from(socket))
}
