//! The peers, their links, and what is known about each.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use had_core::ids::NodeName;
use had_core::ports::Via;
use had_core::spec::NodeSpec;
use had_proto::v1::Frame;
use tokio::sync::watch;

use super::bounds::{CALL_LANES_A_LINK, STREAMS_A_LINK};
use super::call::CallLane;
use super::queue::Queue;

/// Accepted streams kept for a peer on a link: what it opens, and those of its former life that still have to end.
const ACCEPTED_STREAMS_MAX: usize = STREAMS_A_LINK * 4;

/// A link to a peer as this node sees it: for status and metrics.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LinkStatus {
    /// The peer.
    pub peer: NodeName,
    /// Its position among the peer's addresses, from 0.
    pub link: usize,
    /// The own address of the link.
    pub own: IpAddr,
    /// The peer's.
    pub theirs: SocketAddr,
    /// Whether a stream of frames stands in either direction.
    pub connected: bool,
    /// Since the last frame from the peer over this link; `None` where there was none yet.
    pub last_heard: Option<Duration>,
    /// The last round trip of a ping, through both daemons' runtimes.
    pub round_trip: Option<Duration>,
    /// Why it does not stand, where that is known: one sentence.
    pub problem: Option<String>,
}

/// Another node.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) name: NodeName,
    pub(crate) links: Vec<Arc<Link>>,
    pub(crate) lanes: Vec<Arc<CallLane>>,
    /// Position in `lanes` of the one that answered last.
    pub(crate) answered_last: AtomicUsize,
}

/// A pair of addresses, the own and the peer's of one position.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) peer: NodeName,
    pub(crate) index: usize,
    /// To dial from: the own address, any port.
    pub(crate) own: SocketAddr,
    pub(crate) theirs: SocketAddr,
    /// Counts the moments at which trying again is worth while.
    wake: watch::Sender<u64>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    opened: BTreeMap<Via, Arc<Queue>>,
    accepted: BTreeMap<Via, Arc<Queue>>,
    last_heard: Option<Instant>,
    round_trip: Option<Duration>,
    problem: Option<String>,
}

/// Which side opened a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Side {
    /// This node.
    Opened,
    /// The peer.
    Accepted,
}

impl Peer {
    /// The peer behind a line of the file. Addresses are paired by position.
    pub(crate) fn new(own: &[SocketAddr], spec: &NodeSpec) -> Self {
        let pairs = own.iter().zip(&spec.addresses).enumerate();
        let links: Vec<_> = pairs
            .map(|(index, (own, theirs))| Arc::new(Link::new(&spec.name, index, *own, *theirs)))
            .collect();
        // One of every link first, so that the second try of a call takes another link where there is one.
        let lanes = (0..CALL_LANES_A_LINK)
            .flat_map(|_| &links)
            .map(|link| Arc::new(CallLane::new(Arc::clone(link))))
            .collect();
        Self {
            name: spec.name.clone(),
            links,
            lanes,
            answered_last: AtomicUsize::new(0),
        }
    }

    /// The link that ends at this own address.
    pub(crate) fn link_at(&self, own: IpAddr) -> Option<&Arc<Link>> {
        self.links
            .iter()
            .find(|link| link.own.ip() == own)
            .or_else(|| self.links.first())
    }

    /// The links, the one that carried the last answer first.
    pub(crate) fn links_by_preference(&self) -> Vec<Arc<Link>> {
        let first = self.answered_last.load(Ordering::Relaxed) % self.links.len().max(1);
        self.links
            .iter()
            .cycle()
            .skip(first)
            .take(self.links.len())
            .cloned()
            .collect()
    }
}

impl Link {
    fn new(peer: &NodeName, index: usize, mut own: SocketAddr, theirs: SocketAddr) -> Self {
        own.set_port(0);
        Self {
            peer: peer.clone(),
            index,
            own,
            theirs,
            wake: watch::Sender::new(0),
            state: Mutex::default(),
        }
    }

    /// A stream stands. Whether it is the first one of this link.
    pub(crate) fn add(&self, side: Side, via: Via, queue: &Arc<Queue>) -> bool {
        let first = {
            let mut state = self.lock();
            let first = state.opened.is_empty() && state.accepted.is_empty();
            state.problem = None;
            state.last_heard = Some(Instant::now());
            state.side(side).insert(via, Arc::clone(queue));
            if side == Side::Accepted
                && state.accepted.len() > ACCEPTED_STREAMS_MAX
                && let Some((_, oldest)) = state.accepted.pop_first()
            {
                oldest.close();
            }
            first
        };
        self.wake.send_modify(|count| *count += 1);
        first
    }

    /// A stream ended. Whether it was the last one of this link.
    pub(crate) fn remove(&self, side: Side, via: Via) -> bool {
        let mut state = self.lock();
        let was_there = state.side(side).remove(&via).is_some();
        was_there && state.opened.is_empty() && state.accepted.is_empty()
    }

    /// Sends on every stream that this node opened; where it could not open any, on those of the peer.
    pub(crate) fn send(&self, frame: &Frame) {
        let state = self.lock();
        let streams = if state.opened.is_empty() {
            &state.accepted
        } else {
            &state.opened
        };
        for queue in streams.values() {
            queue.push(frame.clone());
        }
    }

    pub(crate) fn heard(&self) {
        self.lock().last_heard = Some(Instant::now());
    }

    pub(crate) fn measured(&self, round_trip: Duration) {
        self.lock().round_trip = Some(round_trip);
        metrics::histogram!(
            "ha_heartbeat_rtt_seconds",
            "peer" => self.peer.as_str().to_owned(),
            "link" => self.index.to_string()
        )
        .record(round_trip);
    }

    pub(crate) fn failed(&self, problem: String) {
        let mut state = self.lock();
        if state.opened.is_empty() && state.accepted.is_empty() {
            state.problem = Some(problem);
        }
    }

    pub(crate) fn status(&self) -> LinkStatus {
        let state = self.lock();
        LinkStatus {
            peer: self.peer.clone(),
            link: self.index,
            own: self.own.ip(),
            theirs: self.theirs,
            connected: !(state.opened.is_empty() && state.accepted.is_empty()),
            last_heard: state.last_heard.map(|at| at.elapsed()),
            round_trip: state.round_trip,
            problem: state.problem.clone(),
        }
    }

    /// Told whenever trying again is worth while.
    pub(crate) fn wakes(&self) -> watch::Receiver<u64> {
        self.wake.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("nothing panics while it holds a link")
    }
}

impl State {
    fn side(&mut self, side: Side) -> &mut BTreeMap<Via, Arc<Queue>> {
        match side {
            Side::Opened => &mut self.opened,
            Side::Accepted => &mut self.accepted,
        }
    }
}

/// All streams by the number under which an answer finds them.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    last: AtomicU64,
    queues: Mutex<BTreeMap<Via, Arc<Queue>>>,
}

impl Streams {
    pub(crate) fn add(&self, queue: &Arc<Queue>) -> Via {
        let via = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        self.lock().insert(via, Arc::clone(queue));
        via
    }

    pub(crate) fn remove(&self, via: Via) {
        self.lock().remove(&via);
    }

    pub(crate) fn send(&self, via: Via, frame: Frame) {
        let queue = self.lock().get(&via).cloned();
        if let Some(queue) = queue {
            queue.push(frame);
        }
    }

    pub(crate) fn close(&self) {
        for queue in std::mem::take(&mut *self.lock()).into_values() {
            queue.close();
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Via, Arc<Queue>>> {
        self.queues
            .lock()
            .expect("nothing panics while it holds the streams")
    }
}
