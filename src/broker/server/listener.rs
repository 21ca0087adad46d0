//! Listeners: binds the ports.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

use super::Limits;
use crate::tls::TlsListener;
use ottla_config::{BindAddress, BindHost};

/// Attempts to find a port, chosen by the system, that is free at all addresses of a host name.
const MAX_PORT_ATTEMPTS: u32 = 10;

/// A bound address. The system refuses connections until [`super::serve`] listens on it.
#[derive(Debug)]
pub struct Listener {
    name: Arc<str>,
    tls: Option<Arc<TlsListener>>,
    sockets: Vec<Socket>,
    address: SocketAddr,
    demands_sasl: bool,
}

impl Listener {
    /// Binds an address for the listener `name`. With port 0 the system chooses the port.
    ///
    /// "All addresses" is one socket for IPv6 and IPv4, and so is `0.0.0.0`, as in Kafka. A host name is bound at every
    /// address that it resolves to: `localhost` at ::1 and at 127.0.0.1, because clients may try either first. Without
    /// IPv6, only IPv4 addresses are bound.
    ///
    /// Resolving a name may block.
    pub fn bind(name: impl Into<Arc<str>>, at: &BindAddress, limits: &Limits) -> io::Result<Listener> {
        let name = name.into();
        let mut attempts = if at.port == 0 { MAX_PORT_ATTEMPTS } else { 1 };
        loop {
            attempts -= 1;
            match Listener::try_bind(&name, at, limits) {
                // The port is free at the first address of the name, but not at another.
                Err(error) if error.kind() == ErrorKind::AddrInUse && attempts > 0 => {}
                bound => return bound,
            }
        }
    }

    fn try_bind(name: &Arc<str>, at: &BindAddress, limits: &Limits) -> io::Result<Listener> {
        let mut sockets = Vec::new();
        let mut address = None;
        let mut last_error = io::Error::new(ErrorKind::AddrNotAvailable, "the host name has no address");
        for ip in candidates(&at.host)? {
            // All addresses have the port of the first one.
            let port = address.map_or(at.port, |first: SocketAddr| first.port());
            let candidate = SocketAddr::new(ip, port);
            match bind_socket(candidate, limits) {
                Ok((socket, bound)) => {
                    address.get_or_insert(bound);
                    sockets.push(socket);
                    if bound.ip().is_unspecified() {
                        break;
                    }
                }
                Err(error) if matches!(error.kind(), ErrorKind::AddrInUse | ErrorKind::PermissionDenied) => {
                    return Err(error);
                }
                Err(error) => last_error = error,
            }
        }
        let address = address.ok_or(last_error)?;
        Ok(Listener { name: Arc::clone(name), tls: None, sockets, address, demands_sasl: false })
    }

    /// Demands that clients authenticate with SASL.
    pub fn with_sasl(self) -> Listener {
        Listener { demands_sasl: true, ..self }
    }

    pub(super) fn demands_sasl(&self) -> bool {
        self.demands_sasl
    }

    /// Encrypts the listener's connections.
    pub fn with_tls(self, tls: Arc<TlsListener>) -> Listener {
        Listener { tls: Some(tls), ..self }
    }

    pub(super) fn tls(&self) -> Option<&Arc<TlsListener>> {
        self.tls.as_ref()
    }

    /// The listener's name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The bound address, with the port that the system chose; the first one if a name has several.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// All bound addresses. The socket for all IPv6 addresses is also one for all IPv4 addresses.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let mut addresses = Vec::new();
        for bound in self.sockets.iter().filter_map(|socket| socket.local_addr().ok()?.as_socket()) {
            addresses.push(bound);
            if bound.is_ipv6() && bound.ip().is_unspecified() {
                addresses.push(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), bound.port()));
            }
        }
        addresses
    }

    /// Starts to listen. Needs a tokio runtime.
    pub fn listen(self, backlog: i32) -> io::Result<Vec<TcpListener>> {
        let open = |socket: Socket| {
            socket.listen(backlog)?;
            socket.set_nonblocking(true)?;
            TcpListener::from_std(socket.into())
        };
        self.sockets.into_iter().map(open).collect()
    }
}

/// The addresses to bind for a host.
fn candidates(host: &BindHost) -> io::Result<Vec<IpAddr>> {
    match host {
        BindHost::Any | BindHost::AnyV4 => Ok(vec![Ipv6Addr::UNSPECIFIED.into(), Ipv4Addr::UNSPECIFIED.into()]),
        BindHost::Named(name) => resolve(name),
    }
}

/// Resolves a host name to its addresses, without duplicates.
pub fn resolve(name: &str) -> io::Result<Vec<IpAddr>> {
    let mut addresses: Vec<IpAddr> = Vec::new();
    for address in (name, 0).to_socket_addrs()? {
        if !addresses.contains(&address.ip()) {
            addresses.push(address.ip());
        }
    }
    Ok(addresses)
}

/// Binds a socket. Accepted connections inherit its options.
fn bind_socket(address: SocketAddr, limits: &Limits) -> io::Result<(Socket, SocketAddr)> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if let SocketAddr::V6(address) = address {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.set_reuse_address(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_keepalive(true)?;
    if let Some(bytes) = limits.receive_buffer {
        socket.set_recv_buffer_size(bytes)?;
    }
    if let Some(bytes) = limits.send_buffer {
        socket.set_send_buffer_size(bytes)?;
    }
    socket.bind(&address.into())?;
    let bound = socket.local_addr()?.as_socket().unwrap_or(address);
    Ok((socket, bound))
}

/// Converts the address of an IPv4 peer of a dual-stack socket to IPv4.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bind(host: BindHost, port: u16) -> io::Result<Listener> {
        Listener::bind("PLAINTEXT", &BindAddress { host, port }, &Limits::default())
    }

    fn localhost() -> BindHost {
        BindHost::Named("localhost".to_owned())
    }

    #[test]
    fn all_addresses_are_bound_with_one_socket() {
        for host in [BindHost::Any, BindHost::AnyV4] {
            let listener = bind(host, 0).unwrap();
            assert!(listener.address().ip().is_unspecified());
            assert_ne!(listener.address().port(), 0);
            assert_eq!(listener.sockets.len(), 1);
        }
    }

    #[test]
    fn host_name_is_bound_at_all_its_addresses_on_one_port() {
        let listener = bind(localhost(), 0).unwrap();
        let ports = listener.sockets.iter().map(|socket| socket.local_addr().unwrap().as_socket().unwrap().port());
        assert!(ports.into_iter().all(|port| port == listener.address().port()));
    }

    #[test]
    fn port_in_use_is_an_error() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        for host in [BindHost::Any, BindHost::Named("127.0.0.1".to_owned()), localhost()] {
            assert_eq!(bind(host, port).unwrap_err().kind(), ErrorKind::AddrInUse);
        }
    }

    #[tokio::test]
    async fn accepted_sockets_inherit_the_options() {
        let listener = bind(BindHost::Any, 0).unwrap();
        let port = listener.address().port();
        let socket = listener.listen(1).unwrap().remove(0);
        let _client = std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        let (accepted, peer) = socket.accept().await.unwrap();
        assert!(accepted.nodelay().unwrap());
        assert!(socket2::SockRef::from(&accepted).keepalive().unwrap());
        assert_eq!(canonical(peer).ip(), Ipv4Addr::LOCALHOST);
    }
}
