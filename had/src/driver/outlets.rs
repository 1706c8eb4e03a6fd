//! Where commands go: everything here returns at once, and what takes time runs on the runtime.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, RwLock};

use had_consensus::{Consensus, Store, System};
use had_core::ids::{ClusterId, GroupName, LeaderId, NodeName, ProposalId, RequestId, VoterId};
use had_core::message::{Message, Sender};
use had_core::ports::{Event, ProposeError, Reply, Via};
use had_core::spec::ClusterSpec;
use had_core::state::Entry;
use had_net::Net;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::Inbox;
use crate::inbound::permit;
use crate::peers::Peers;
use crate::vips;

/// The connection on which this node asks itself.
const OWN_VIA: Via = Via::MAX;
/// The name under which the store keeps the cluster's id.
pub const CLUSTER_KEY: &str = "cluster";

/// The rest of the daemon, as the thread reaches it.
pub struct Outlets {
    /// Where answers come back.
    pub inbox: Inbox,
    /// The runtime for what takes time.
    pub runtime: Handle,
    /// Virtual IPs.
    pub net: Net,
    /// Connections to peers; set once they stand.
    pub peers: Arc<OnceLock<Peers>>,
    /// The consensus; set once it stands.
    pub consensus: Arc<OnceLock<Consensus<System>>>,
    /// Keeps the cluster's id.
    pub store: Store,
    /// Who this process is now.
    pub sender: Arc<RwLock<Sender>>,
    /// Operators that wait.
    pub replies: Replies,
    /// This node.
    pub node: NodeName,
}

/// Operators that wait for an answer.
#[derive(Clone, Default)]
pub struct Replies(Arc<Mutex<Waiting>>);

#[derive(Default)]
struct Waiting {
    last: u64,
    places: HashMap<RequestId, oneshot::Sender<Reply>>,
}

impl Replies {
    /// A place for an answer.
    #[must_use]
    pub fn expect(&self) -> (RequestId, oneshot::Receiver<Reply>) {
        let (sender, receiver) = oneshot::channel();
        let mut waiting = self.lock();
        waiting.last += 1;
        let request = RequestId(waiting.last);
        waiting.places.insert(request, sender);
        (request, receiver)
    }

    pub(super) fn answer(&self, request: RequestId, reply: Reply) {
        if let Some(waiting) = self.lock().places.remove(&request) {
            // Whoever asked may have gone.
            let _ = waiting.send(reply);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0
            .lock()
            .expect("nothing panics while it holds the waiting operators")
    }
}

impl Outlets {
    pub(super) fn set_sender(&self, sender: &Sender) {
        let same = *self
            .sender
            .read()
            .expect("nothing panics while it holds the sender")
            == *sender;
        if !same {
            *self
                .sender
                .write()
                .expect("nothing panics while it holds the sender") = sender.clone();
        }
    }

    /// The cluster's id goes to the disk once it is known.
    pub(super) fn remember_cluster(&self, cluster: ClusterId) {
        if cluster.is_blank() || self.store.number(CLUSTER_KEY) == Some(cluster.0) {
            return;
        }
        let store = self.store.clone();
        self.runtime.spawn_blocking(move || {
            if let Err(error) = store.set_number(CLUSTER_KEY, cluster.0) {
                tracing::error!("cannot keep the cluster's id: {error}");
            }
        });
    }

    pub(super) fn adopt(&self, spec: &ClusterSpec, keeps: &BTreeSet<GroupName>) {
        self.net.configure(vips::of(spec, &self.node, keeps));
    }

    pub(super) fn send(&self, to: &NodeName, message: Message) {
        if *to != self.node {
            if let Some(peers) = self.peers.get() {
                peers.send(to, &message);
            }
            return;
        }
        let from = self
            .sender
            .read()
            .expect("nothing panics while it holds the sender")
            .clone();
        match message {
            Message::Ask(ask) => {
                let (inbox, consensus) = (self.inbox.clone(), Arc::clone(&self.consensus));
                self.runtime
                    .spawn(permit(inbox, consensus, from, ask, OWN_VIA));
            }
            message => self.inbox.event(Event::Heard { from, message }),
        }
    }

    pub(super) fn answer(&self, via: Via, message: Message) {
        if via == OWN_VIA {
            let from = self
                .sender
                .read()
                .expect("nothing panics while it holds the sender")
                .clone();
            self.inbox.event(Event::Heard { from, message });
        } else if let Some(peers) = self.peers.get() {
            peers.answer(via, &message);
        }
    }

    pub(super) fn propose(&self, proposal: ProposalId, leader: LeaderId, entry: &Entry) {
        let (inbox, consensus) = (self.inbox.clone(), Arc::clone(&self.consensus));
        let payload = entry.encode();
        self.runtime.spawn(async move {
            let outcome = match consensus.get() {
                Some(consensus) => consensus.propose(leader, payload).await,
                None => Err(ProposeError::Refused),
            };
            inbox.event(Event::Proposed { proposal, outcome });
        });
    }

    pub(super) fn transfer(&self, to: VoterId, name: Option<NodeName>) {
        self.with_consensus(move |consensus| async move {
            let name = name.map_or_else(|| to.to_string(), |name| name.to_string());
            match consensus.transfer(to).await {
                Ok(()) => tracing::info!("leadership handed over to {name}"),
                Err(error) => tracing::warn!("leadership could not be handed over: {error}"),
            }
        });
    }

    pub(super) fn replace_voter(&self, node: NodeName, old: Option<VoterId>, new: VoterId) {
        self.with_consensus(move |consensus| async move {
            match consensus.replace_voter(old, new, node.clone()).await {
                Ok(()) => tracing::info!("{node} votes with a new disk ({new})"),
                Err(error) => {
                    tracing::warn!("{node} could not be taken in with its new disk: {error}")
                }
            }
        });
    }

    pub(super) fn form(&self, voters: BTreeMap<VoterId, NodeName>) {
        self.with_consensus(move |consensus| async move {
            let names: Vec<_> = voters.values().map(ToString::to_string).collect();
            match consensus.form(voters).await {
                Ok(()) => tracing::info!("the cluster is formed of {}", names.join(", ")),
                Err(error) => tracing::warn!("the cluster could not be formed: {error}"),
            }
        });
    }

    fn with_consensus<F: Future<Output = ()> + Send + 'static>(
        &self,
        work: impl FnOnce(Consensus<System>) -> F,
    ) {
        if let Some(consensus) = self.consensus.get() {
            self.runtime.spawn(work(consensus.clone()));
        }
    }
}
