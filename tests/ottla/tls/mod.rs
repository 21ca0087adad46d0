//! Listeners with TLS: clients with and without certificates, mistakes, changes while the broker runs, and many unfinished
//! handshakes.

mod changes;
mod clients;
mod refusals;
mod secure;
mod tools;
mod unfinished;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use common::certificates::{Authority, Issued};
use common::{Broker, Options};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};
use tempfile::TempDir;

/// An authority, a broker's certificate, and the folder of their files.
struct Certificates {
    dir: TempDir,
    authority: Authority,
}

type Tls = StreamOwned<ClientConnection, TcpStream>;

impl Certificates {
    fn new() -> Certificates {
        let (dir, authority) = (tempfile::tempdir().unwrap(), Authority::new());
        authority.server(&["localhost", "127.0.0.1"]).write(&dir.path().join("broker.pem"));
        std::fs::write(dir.path().join("authority.pem"), authority.pem()).unwrap();
        Certificates { dir, authority }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A broker with the listeners PLAINTEXT and SSL.
    fn broker(&self) -> Options {
        Broker::with()
            .set("listeners", "PLAINTEXT://127.0.0.1:0,SSL://127.0.0.1:0")
            .set("ssl.keystore.type", "PEM")
            .set("ssl.keystore.location", &text(&self.path("broker.pem")))
    }

    /// A broker whose clients may or must present a certificate of the authority.
    fn broker_with_client_auth(&self, auth: &str) -> Options {
        self.broker()
            .set("ssl.truststore.type", "PEM")
            .set("ssl.truststore.location", &text(&self.path("authority.pem")))
            .set("ssl.client.auth", auth)
    }

    /// The settings of a client that trusts the authority.
    fn client(&self, own: Option<&Issued>) -> ClientConfig {
        client_config(&self.authority.der(), own, rustls::ALL_VERSIONS)
    }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

fn client_config(trusted: &[u8], own: Option<&Issued>, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(trusted)).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider())).with_protocol_versions(versions);
    let builder = builder.unwrap().with_root_certificates(roots);
    match own {
        None => builder.with_no_client_auth(),
        Some(own) => {
            let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).unwrap();
            builder.with_client_auth_cert(vec![CertificateDer::from(own.der.clone())], key).unwrap()
        }
    }
}

/// The address of the SSL listener.
fn tls_address(broker: &Broker) -> SocketAddr {
    broker.ready().listeners["SSL"].parse().unwrap()
}

/// Connects, does the handshake and sends one request.
fn connect(address: SocketAddr, config: ClientConfig) -> std::io::Result<Tls> {
    connect_with(address, &Arc::new(config))
}

fn connect_with(address: SocketAddr, config: &Arc<ClientConfig>) -> std::io::Result<Tls> {
    let socket = TcpStream::connect(address)?;
    socket.set_read_timeout(Some(Duration::from_secs(20)))?;
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(Arc::clone(config), name).map_err(std::io::Error::other)?;
    let mut stream = StreamOwned::new(connection, socket);
    ask(&mut stream)?;
    Ok(stream)
}

/// Sends ApiVersions and reads the response.
fn ask(stream: &mut Tls) -> std::io::Result<()> {
    // Its size, the key 18, version 0, a correlation id, and no client id.
    stream.write_all(&[0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff])?;
    let mut size = [0; 4];
    stream.read_exact(&mut size)?;
    let mut response = vec![0; u32::from_be_bytes(size) as usize];
    stream.read_exact(&mut response)?;
    assert_eq!(response[..4], [0, 0, 0, 7], "the correlation id");
    Ok(())
}
