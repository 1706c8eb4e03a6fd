//! Connections to the other nodes.
//!
//! ```text
//!              for each peer and link (address pair)                       for each own address
//!   send ──▶ open::keep × 2 ── Exchange: frames both ways ──▶ peer     peer ──▶ listen::accept
//!   call ──▶ CallLane × 2 ──── Consensus: unary ────────────▶ peer               │ TLS, names of the certificate
//!   bulk ──▶ fresh ─────────── Bulk, Forward: own connection ▶ peer               ▼
//!                                                                      service ──▶ Stream::run ──▶ Inbound
//! ```
//!
//! Every task is bounded in what it holds; a connection on which nothing was heard for five heartbeats is replaced, for a
//! half-open one looks alive for a quarter of an hour. A peer that is down is looked for ten times a second by one
//! task; when it calls, or is found, the others wake.

mod bounds;
mod call;
mod complaints;
mod dial;
mod error;
mod fresh;
mod hello;
mod io;
mod links;
mod listen;
mod lives;
mod open;
mod queue;
mod service;
mod shared;
mod stream;
pub mod wire;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use had_core::ids::{NodeName, VoterId};
use had_core::message::{Ask, Message, Sender};
use had_core::ports::Via;
use had_core::spec::NodeSpec;
use had_core::timing::Timing;
use had_proto::v1::CommandReply;
use had_proto::v1::admin_server::AdminServer;
use had_proto::v1::forward_request::What;
use had_proto::v1::peer_server::PeerServer;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;

pub use bounds::{FEATURE_LEVEL, PROTOCOL_VERSION};
pub use error::{CallError, PeersError};
pub use links::LinkStatus;

use crate::admin::{self, Operator};
use crate::tls::Identity;
use bounds::{
    ACCEPTED_MAX, CONNECTION_WINDOW_BYTES, MESSAGE_MAX_BYTES, STREAM_WINDOW_BYTES, STREAMS_A_LINK,
};
pub(crate) use shared::Shared;

/// What the connections are made of.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The name of this node in the file.
    pub node: NodeName,
    /// The cluster's name in the file; a peer with another one is refused.
    pub cluster_name: String,
    /// Every node of the file, this one among them.
    pub nodes: Vec<NodeSpec>,
    /// Who this node is; `None` only where the file says `allow_insecure = true`.
    pub tls: Option<Arc<Identity>>,
    /// Lease and heartbeat.
    pub timing: Timing,
}

/// Where everything goes that peers say. Called on the runtime's threads: none of it may block.
pub trait Inbound: Send + Sync + 'static {
    /// A peer said something: everything but asks.
    fn heard(&self, from: Sender, message: Message);
    /// A peer asks for its lease; the answer goes back with [`Peers::answer`] under the same `via`.
    fn asked(&self, from: Sender, ask: Ask, via: Via);
    /// A peer's consensus calls: the body of the answer, or one sentence why there is none.
    fn consensus(&self, from: Sender, body: Vec<u8>)
    -> BoxFuture<'static, Result<Vec<u8>, String>>;
    /// Who this process is now: the cluster id changes when the cluster is formed.
    fn sender(&self) -> Sender;
}

/// The connections to all peers. Cheap to clone.
#[derive(Clone)]
pub struct Peers {
    shared: Arc<Shared>,
}

/// The own ports, bound: callers wait until [`Peers::start`] takes them.
#[derive(Debug)]
pub struct Ports {
    own: Vec<SocketAddr>,
    listeners: Vec<TcpListener>,
}

impl Ports {
    /// Binds all own addresses of a node: the first thing that tells a wrong name, and a second daemon on one host.
    ///
    /// # Errors
    /// Where one cannot be bound.
    pub fn bind(nodes: &[NodeSpec], node: &NodeName) -> Result<Self, PeersError> {
        let own = nodes.iter().find(|spec| spec.name == *node);
        let own = own
            .ok_or_else(|| PeersError::NoSuchNode(node.clone()))?
            .addresses
            .clone();
        let listeners = listen::bind(&own)?;
        Ok(Self { own, listeners })
    }
}

impl Peers {
    /// Takes callers on the own ports, and keeps connections to every peer on the runtime that this is called on. Where there
    /// is an operator, forwarded commands reach it, and with TLS the admin service is on the same port.
    #[must_use]
    pub fn start(
        settings: Settings,
        ports: Ports,
        inbound: Arc<dyn Inbound>,
        operator: Option<Arc<dyn Operator>>,
    ) -> Self {
        let Ports { own, listeners } = ports;
        let peers = Self {
            shared: Arc::new(Shared::new(settings, &own, inbound, operator)),
        };
        peers.serve(listeners);
        for peer in peers.shared.peers.values() {
            for link in &peer.links {
                for lane in 0..STREAMS_A_LINK {
                    peers.spawn(open::keep(
                        Arc::clone(&peers.shared),
                        Arc::clone(link),
                        lane,
                    ));
                }
            }
            for lane in &peer.lanes {
                peers.spawn(Arc::clone(lane).keep(Arc::clone(&peers.shared)));
            }
        }
        peers
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.shared.spawn(task);
    }

    fn serve(&self, listeners: Vec<TcpListener>) {
        let shared = &self.shared;
        let (ready, incoming) = mpsc::channel(listeners.len());
        let door = listen::Door {
            tls: shared.settings.tls.clone(),
            pace: shared.pace,
            places: Arc::new(Semaphore::new(ACCEPTED_MAX)),
            complaints: Arc::clone(&shared.complaints),
            ready,
        };
        for listener in listeners {
            self.spawn(listen::accept(listener, door.clone()));
        }
        let peer = PeerServer::new(service::Service(Arc::clone(shared)))
            .max_decoding_message_size(MESSAGE_MAX_BYTES);
        // Without certificates anybody could command; then operators have the socket alone.
        let operator = shared
            .operator
            .clone()
            .filter(|_| shared.settings.tls.is_some());
        let admin = operator.map(|operator| {
            AdminServer::new(admin::Service::new(operator, Arc::new(self.clone())))
        });
        let server = Server::builder()
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .http2_keepalive_interval(Some(shared.pace.keep_alive))
            .http2_keepalive_timeout(Some(shared.pace.keep_alive))
            .add_service(peer)
            .add_optional_service(admin)
            .serve_with_incoming(ReceiverStream::new(incoming));
        self.spawn(async move {
            if let Err(error) = server.await {
                tracing::error!("the peers' server ended: {}", dial::chain(&error));
            }
        });
    }

    /// Sends to a peer over every link, on every stream that stands. Never blocks; what cannot be sent is dropped.
    pub fn send(&self, to: &NodeName, message: &Message) {
        if let Some(peer) = self.shared.peers.get(to) {
            let frame = self.shared.frame(wire::encode(message));
            for link in &peer.links {
                link.send(&frame);
            }
        }
    }

    /// Sends on the stream on which an ask came. Nothing happens where it is gone.
    pub fn answer(&self, via: Via, message: &Message) {
        self.shared
            .streams
            .send(via, self.shared.frame(wire::encode(message)));
    }

    /// Calls a peer's consensus: the voter that is meant, or nobody.
    pub fn call(
        &self,
        to: &NodeName,
        voter: VoterId,
        body: Vec<u8>,
        deadline: Duration,
    ) -> BoxFuture<'static, Result<Vec<u8>, CallError>> {
        let shared = Arc::clone(&self.shared);
        match fresh::peer(&shared, to) {
            Ok(peer) => Box::pin(call::call(shared, peer, voter, body, deadline)),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }

    /// The same for large bodies (up to 64 MiB), on a connection of its own.
    pub fn bulk(
        &self,
        to: &NodeName,
        voter: VoterId,
        body: Vec<u8>,
        deadline: Duration,
    ) -> BoxFuture<'static, Result<Vec<u8>, CallError>> {
        let shared = Arc::clone(&self.shared);
        match fresh::peer(&shared, to) {
            Ok(peer) => Box::pin(fresh::bulk(shared, peer, voter, body, deadline)),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }

    /// Every link of every peer, for status and metrics.
    #[must_use]
    pub fn links(&self) -> Vec<LinkStatus> {
        let links = self.shared.peers.values().flat_map(|peer| &peer.links);
        links.map(|link| link.status()).collect()
    }

    /// Ends every task and stream.
    pub fn shutdown(&self) {
        self.shared.end();
    }
}

impl admin::Forward for Peers {
    fn forward(
        &self,
        to: &NodeName,
        what: What,
        deadline: Duration,
    ) -> BoxFuture<'static, Result<CommandReply, CallError>> {
        let shared = Arc::clone(&self.shared);
        match fresh::peer(&shared, to) {
            Ok(peer) => Box::pin(fresh::forward(shared, peer, what, deadline)),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }
}

#[cfg(test)]
mod tests;
