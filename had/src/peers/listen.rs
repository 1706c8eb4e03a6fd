//! The own addresses: bound all at once, each with a loop that accepts, shakes hands and passes on.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tracing::{debug, warn};

use super::PeersError;
use super::bounds::{BACKLOG, Pace, RETRY_LOOKOUT};
use super::complaints::Complaints;
use super::io::{Caller, Held, Io, tune};
use crate::tls::{self, Identity};

/// Binds all own addresses. One that is not on this host yet is bound all the same while another is there.
pub(crate) fn bind(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, PeersError> {
    let mut listeners = Vec::with_capacity(addresses.len());
    let mut absent = Vec::new();
    for address in addresses {
        match listen(*address, false) {
            Ok(listener) => listeners.push(listener),
            Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => absent.push(*address),
            Err(error) => return Err(problem(*address, error)),
        }
    }
    if listeners.is_empty() {
        return Err(PeersError::NotOurs { addresses: absent });
    }
    for address in absent {
        warn!("{address} is not on this host yet; listening for when it is");
        listeners.push(listen(address, true).map_err(|error| problem(address, error))?);
    }
    Ok(listeners)
}

fn problem(address: SocketAddr, source: io::Error) -> PeersError {
    if source.kind() == io::ErrorKind::AddrInUse {
        PeersError::PortTaken { address }
    } else {
        PeersError::Bind { address, source }
    }
}

fn listen(address: SocketAddr, free: bool) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // Connections of an earlier life in TIME_WAIT must not keep a restart out.
    socket.set_reuseaddr(true)?;
    if free {
        let raw = socket2::SockRef::from(&socket);
        match address {
            SocketAddr::V4(_) => raw.set_freebind_v4(true)?,
            SocketAddr::V6(_) => raw.set_freebind_v6(true)?,
        }
    }
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Everything an accept loop needs.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) tls: Option<Arc<Identity>>,
    pub(crate) pace: Pace,
    pub(crate) places: Arc<Semaphore>,
    pub(crate) complaints: Arc<Complaints>,
    pub(crate) ready: mpsc::Sender<io::Result<Io>>,
}

/// Accepts until the server is gone.
pub(crate) async fn accept(listener: TcpListener, door: Door) {
    while !door.ready.is_closed() {
        let Ok(permit) = Arc::clone(&door.places).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, remote)) => {
                let door = door.clone();
                tokio::spawn(async move {
                    let held = Held::Place { _permit: permit };
                    match timeout(door.pace.handshake, shake(stream, remote, held, &door)).await {
                        Ok(Ok(io)) => drop(door.ready.send(Ok(io)).await),
                        Ok(Err(error)) => door.complain(remote, &error),
                        Err(_) => debug!("{remote} connected and did not finish the handshake"),
                    }
                });
            }
            Err(error) => {
                // Out of descriptors or the like: other connections must end first.
                door.complaints
                    .warn("accept", || format!("cannot accept connections: {error}"));
                sleep(RETRY_LOOKOUT).await;
            }
        }
    }
}

impl Door {
    fn complain(&self, remote: SocketAddr, error: &io::Error) {
        // A connection that is dropped half-way is no more than somebody's retry.
        if matches!(
            error.kind(),
            io::ErrorKind::UnexpectedEof
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::BrokenPipe
        ) {
            debug!("{remote} went away during the handshake: {error}");
            return;
        }
        let ip = remote.ip();
        self.complaints.warn(&format!("handshake {ip}"), || {
            format!("refused {ip}: {error}")
        });
    }
}

async fn shake(stream: TcpStream, remote: SocketAddr, held: Held, door: &Door) -> io::Result<Io> {
    tune(&stream, door.pace.keep_alive)?;
    let mut caller = Caller {
        local: stream.local_addr()?,
        remote,
        names: None,
    };
    let Some(identity) = &door.tls else {
        return Ok(Io::plain(stream, Some(caller), held));
    };
    let stream = TlsAcceptor::from(Arc::clone(&identity.server))
        .accept(stream)
        .await?;
    let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
    caller.names = Some(Arc::new(
        certificates.first().map(tls::names).unwrap_or_default(),
    ));
    Ok(Io::tls(stream, Some(caller), held))
}
