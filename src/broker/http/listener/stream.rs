//! The bytes of a connection: plain, or with TLS, whose handshake is part of the first read.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{Accept, TlsAcceptor};

use crate::tls::TlsListener;

/// A connection's stream.
pub(super) enum Stream {
    Plain(TcpStream),
    /// Boxed, because they are much larger than a socket.
    Handshake(Box<Accept<TcpStream>>),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    pub fn new(socket: TcpStream, tls: Option<&TlsListener>) -> Stream {
        match tls {
            None => Stream::Plain(socket),
            Some(tls) => {
                let acceptor = TlsAcceptor::from(std::sync::Arc::clone(tls.current().server()));
                Stream::Handshake(Box::new(acceptor.accept(socket)))
            }
        }
    }

    /// Ends the handshake, if there is one.
    fn poll_secured(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Stream::Handshake(accept) = self {
            let secured = ready!(Pin::new(&mut **accept).poll(cx))?;
            *self = Stream::Tls(Box::new(secured));
        }
        Poll::Ready(Ok(()))
    }

    pub fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_secured(cx))?;
        match self {
            Stream::Plain(socket) => Pin::new(socket).poll_read(cx, buf),
            Stream::Tls(stream) => Pin::new(&mut **stream).poll_read(cx, buf),
            Stream::Handshake(_) => Poll::Pending,
        }
    }

    pub fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_secured(cx))?;
        match self {
            Stream::Plain(socket) => Pin::new(socket).poll_write(cx, bytes),
            Stream::Tls(stream) => Pin::new(&mut **stream).poll_write(cx, bytes),
            Stream::Handshake(_) => Poll::Pending,
        }
    }

    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Stream::Plain(socket) => Pin::new(socket).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(&mut **stream).poll_flush(cx),
            Stream::Handshake(_) => Poll::Ready(Ok(())),
        }
    }

    pub fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Stream::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(&mut **stream).poll_shutdown(cx),
            Stream::Handshake(_) => Poll::Ready(Ok(())),
        }
    }
}
