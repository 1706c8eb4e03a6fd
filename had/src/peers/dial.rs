//! Opens one connection over one link: from the own address of the link, within bounds, for one use.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::sync::Mutex;

use hyper_util::rt::TokioIo;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};

use super::Shared;
use super::bounds::{CONNECTION_WINDOW_BYTES, Pace, STREAM_WINDOW_BYTES};
use super::io::{Held, Io, tune};
use super::links::Link;
use crate::tls;

/// A fresh connection. It never opens another one by itself.
pub(crate) struct Dialed {
    pub(crate) channel: Channel,
    /// Resolves when the connection is over, whoever ended it.
    pub(crate) over: oneshot::Receiver<()>,
}

/// Why there is no connection.
#[derive(Debug)]
pub(crate) enum Undialed {
    /// Nobody there.
    Absent(String),
    /// Somebody is there and does not take us, or we do not take it.
    Turned(String),
}

/// Opens a connection, or says why not.
pub(crate) async fn dial(shared: &Shared, link: &Link) -> Result<Dialed, Undialed> {
    let pace = shared.pace;
    let stream = timeout(pace.connect, connect(link, pace))
        .await
        .map_err(|_| Undialed::Absent("no answer".to_owned()))?
        .map_err(|error| Undialed::Absent(error.to_string()))?;
    timeout(pace.handshake, greet(shared, link, stream))
        .await
        .map_err(|_| Undialed::Absent("connected, but the handshake was not answered".to_owned()))?
        .map_err(Undialed::Turned)
}

impl std::fmt::Display for Undialed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Self::Absent(problem) | Self::Turned(problem)) = self;
        f.write_str(problem)
    }
}

async fn connect(link: &Link, pace: Pace) -> io::Result<TcpStream> {
    let socket = if link.theirs.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.bind(link.own)?;
    let stream = socket.connect(link.theirs).await?;
    tune(&stream, pace.keep_alive)?;
    Ok(stream)
}

async fn greet(shared: &Shared, link: &Link, stream: TcpStream) -> Result<Dialed, String> {
    let (sender, over) = oneshot::channel();
    let held = Held::Alive { _sender: sender };
    let io = match &shared.settings.tls {
        None => Io::plain(stream, None, held),
        Some(identity) => {
            let name = tls::server_name(&link.peer).map_err(|error| error.to_string())?;
            let connector = TlsConnector::from(std::sync::Arc::clone(&identity.client));
            let stream = connector
                .connect(name, stream)
                .await
                .map_err(|error| error.to_string())?;
            Io::tls(stream, None, held)
        }
    };
    let slot = Mutex::new(Some(io));
    let once = tower::service_fn(move |_| {
        let io = slot.lock().expect("taking a value does not panic").take();
        async move {
            io.map(TokioIo::new)
                .ok_or_else(|| io::Error::other("the connection is over"))
        }
    });
    let channel = endpoint(shared.pace)
        .connect_with_connector(once)
        .await
        .map_err(|error| chain(&error))?;
    Ok(Dialed { channel, over })
}

fn endpoint(pace: Pace) -> Endpoint {
    // The authority has no meaning here: the connection is there already.
    Endpoint::from_static("http://peer")
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_keep_alive_interval(pace.keep_alive)
        .keep_alive_timeout(pace.keep_alive)
        .keep_alive_while_idle(true)
}

/// An error with its causes in one line, each said once.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}

/// A status in plain words: what a peer says, or the innermost cause of a broken connection without the layers around it.
pub(crate) fn status_text(status: &tonic::Status) -> String {
    let mut innermost: Option<&(dyn Error + 'static)> = None;
    let mut cause = status.source();
    while let Some(error) = cause {
        innermost = Some(error);
        cause = error.source();
    }
    let said = innermost.map(ToString::to_string).unwrap_or_default();
    let closed = innermost.is_some_and(|error| {
        let kind = error.downcast_ref().map(io::Error::kind);
        matches!(
            kind,
            Some(ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
        )
    });
    // Some layers keep no cause but the words of it.
    if closed || said.contains("close_notify") || status.message().contains("close_notify") {
        "the other side closed the connection".to_owned()
    } else if !said.is_empty() {
        said
    } else if !status.message().is_empty() {
        status.message().to_owned()
    } else {
        status.code().to_string()
    }
}
