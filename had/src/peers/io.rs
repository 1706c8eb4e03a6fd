//! One connection's bytes, with or without TLS, and what is known about its other end.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio_rustls::TlsStream;
use tonic::transport::server::Connected;

/// What a server's handler is told about a connection.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// The own address that was called.
    pub(crate) local: SocketAddr,
    /// The caller's address.
    pub(crate) remote: SocketAddr,
    /// The names in its certificate; `None` without TLS.
    pub(crate) names: Option<Arc<Vec<String>>>,
}

/// A connection. Whatever it holds besides is let go when HTTP/2 drops it.
pub(crate) struct Io {
    bytes: Bytes,
    caller: Option<Caller>,
    _held: Held,
}

enum Bytes {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Let go with the connection.
pub(crate) enum Held {
    /// Of a server: its place among the accepted connections.
    Place { _permit: OwnedSemaphorePermit },
    /// Of a client: whoever waits on the other end learns that the connection is over.
    Alive { _sender: oneshot::Sender<()> },
}

impl Io {
    pub(crate) fn plain(stream: TcpStream, caller: Option<Caller>, held: Held) -> Self {
        Self {
            bytes: Bytes::Plain(stream),
            caller,
            _held: held,
        }
    }

    pub(crate) fn tls(
        stream: impl Into<TlsStream<TcpStream>>,
        caller: Option<Caller>,
        held: Held,
    ) -> Self {
        Self {
            bytes: Bytes::Tls(Box::new(stream.into())),
            caller,
            _held: held,
        }
    }
}

impl Connected for Io {
    type ConnectInfo = Option<Caller>;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.caller.clone()
    }
}

impl AsyncRead for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.bytes {
            Bytes::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Bytes::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Io {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.bytes {
            Bytes::Plain(stream) => Pin::new(stream).poll_write(context, data),
            Bytes::Tls(stream) => Pin::new(stream).poll_write(context, data),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.bytes {
            Bytes::Plain(stream) => Pin::new(stream).poll_flush(context),
            Bytes::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.bytes {
            Bytes::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Bytes::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

/// What every TCP connection between peers is set to, on both sides.
pub(crate) fn tune(stream: &TcpStream, patience: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = socket2::SockRef::from(stream);
    // Unacknowledged data for so long ends the connection; without it the kernel tries for a quarter of an hour.
    socket.set_tcp_user_timeout(Some(patience))?;
    // A renewal is one segment: no exponential pauses between its retransmissions (Linux tcp.rst, thin streams).
    socket.set_tcp_thin_linear_timeouts(true)
}
