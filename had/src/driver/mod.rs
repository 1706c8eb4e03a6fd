//! One thread owns the core and the gate: it takes events in, and executes commands in their order.
//!
//! ```text
//!  peers, consensus, net, operators, signals ──▶ Inbox ──▶ thread: Node::handle ──▶ gate (in place)
//!                                                             │
//!                     Outlets: net, peers, consensus ◀────────┘ everything else
//! ```
//!
//! The thread never waits for anybody but its own inbox (and for others to copy a deadline), and takes everything that lies in it at once: the more there is,
//! the less often it thinks. The inbox has no bound: its sources are bounded (a few messages a peer and renewal, one event a
//! change).

mod execute;
mod gates;
mod outlets;
mod stalls;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use had_core::ids::GroupName;
use had_core::node::Node;
use had_core::ports::Event;
use had_core::state::State;
use had_core::time::{MonoTime, Now};
use tokio::sync::{oneshot, watch};

pub use gates::{Deadlines, Gates};
pub use outlets::{CLUSTER_KEY, Outlets, Replies};
use stalls::{Counters, Stalls};

use crate::{clock, vips};

/// The gate is compared with the interfaces at every link event and this often.
const COVER_EVERY: Duration = Duration::from_secs(3);

/// At most so many events are taken in before what follows from them is done. No peer waits longer for its answer than
/// these take: some milliseconds.
const EVENTS_A_TURN: usize = 256;

/// A look at the node, on the driver's thread.
pub type Query = Box<dyn FnOnce(&Node, Now) + Send>;

/// What reaches the thread.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all of them are events, and a box for each would be an allocation for each message"
)]
pub enum Input {
    /// Something happened.
    Event(Event),
    /// Somebody wants to know something of the node.
    Query(Query),
    /// Interfaces changed: cover them, then say so.
    Cover(Sender<()>),
    /// End at once, every gate shut.
    Abort,
}

/// Where everything goes that the thread must know. Cheap to clone.
#[derive(Clone)]
pub struct Inbox(Sender<Input>);

impl Inbox {
    /// An inbox and its other end, for [`Driver::new`].
    #[must_use]
    pub fn new() -> (Self, Receiver<Input>) {
        let (inbox, inputs) = channel();
        (Self(inbox), inputs)
    }

    /// Hands an event over. After the thread's end it goes nowhere.
    pub fn event(&self, event: Event) {
        self.send(Input::Event(event));
    }

    /// Hands anything over.
    pub fn send(&self, input: Input) {
        // The thread's end is the end of the process: what comes later has nobody to concern.
        let _ = self.0.send(input);
    }
}

/// How the thread ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended {
    /// Everything is handed over or down.
    AsAsked,
    /// It was aborted, every gate shut.
    Aborted,
    /// The gate does not obey any more: what it guarded falls silent at the lease's end.
    GateFailed(String),
}

/// The thread's own things.
pub struct Driver {
    node: Node,
    gates: Gates,
    outlets: Outlets,
    inputs: Receiver<Input>,
    applied: watch::Sender<Arc<State>>,
    last_event: watch::Sender<u64>,
    cover_next: MonoTime,
    /// The groups that this node owns although the configuration does not list it.
    keeps: BTreeSet<GroupName>,
}

impl Driver {
    /// Not running yet: see [`Driver::spawn`]. `applied` gets every new state, `last_event` the number of its last event.
    #[must_use]
    pub fn new(
        node: Node,
        gates: Gates,
        outlets: Outlets,
        inputs: Receiver<Input>,
        applied: watch::Sender<Arc<State>>,
        last_event: watch::Sender<u64>,
    ) -> Self {
        Self {
            node,
            gates,
            outlets,
            inputs,
            applied,
            last_event,
            cover_next: clock::now().mono,
            keeps: BTreeSet::new(),
        }
    }

    /// Runs on a thread of its own until the node has ended; the gate comes back with the outcome, to be removed once the
    /// addresses are gone.
    ///
    /// # Errors
    /// Where the operating system refuses a thread.
    pub fn spawn(mut self) -> std::io::Result<oneshot::Receiver<(Ended, Gates)>> {
        let (done, ended) = oneshot::channel();
        std::thread::Builder::new()
            .name("had-driver".into())
            .spawn(move || {
                let ended = self.run();
                // The other end is held by the daemon until the process ends.
                let _ = done.send((ended, self.gates));
            })?;
        Ok(ended)
    }

    fn run(&mut self) -> Ended {
        let mut stalls = Stalls::new(clock::now(), Counters::read());
        loop {
            let now = clock::now();
            stalls.look(now, Duration::ZERO);
            // Into the inbox: only what lies in it is waited for no longer.
            if let Some((stall, woke)) = stalls.explain(now, Counters::read) {
                self.outlets.inbox.event(Event::Stalled { stall, woke });
            }
            let wait = self.node.next_deadline(now).since(now.mono);
            let received = self.inputs.recv_timeout(wait);
            stalls.look(clock::now(), wait);
            let first = match received {
                Ok(input) => Some(input),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return self.abort(),
            };
            match self.turn(first) {
                Ok(None) => {}
                Ok(Some(ended)) => return ended,
                Err(problem) => {
                    self.gates.shut_all();
                    return Ended::GateFailed(problem);
                }
            }
        }
    }

    /// Takes what lies in the inbox: events up to the first input of another kind, then that.
    fn turn(&mut self, first: Option<Input>) -> Result<Option<Ended>, String> {
        let (mut events, mut next) = (Vec::new(), first);
        let other = loop {
            match next {
                Some(Input::Event(event)) => events.push(event),
                other => break other,
            }
            if events.len() == EVENTS_A_TURN {
                break None;
            }
            next = self.inputs.try_recv().ok();
        };
        // Also where nothing happened: a deadline may have passed, however many questions are asked.
        if let Some(ended) = self.handle(events)? {
            return Ok(Some(ended));
        }
        other.map_or(Ok(None), |other| self.take(other))
    }

    fn take(&mut self, other: Input) -> Result<Option<Ended>, String> {
        match other {
            Input::Event(event) => self.handle(vec![event]),
            Input::Query(query) => {
                query(&self.node, clock::now());
                Ok(None)
            }
            Input::Cover(done) => {
                self.gates.cover()?;
                // Who asked may have given up waiting.
                let _ = done.send(());
                Ok(None)
            }
            Input::Abort => Ok(Some(self.abort())),
        }
    }

    fn abort(&mut self) -> Ended {
        self.gates.shut_all();
        Ended::Aborted
    }

    fn handle(&mut self, events: Vec<Event>) -> Result<Option<Ended>, String> {
        for event in &events {
            if let Event::Applied { state, .. } = event {
                self.adopt(state)?;
            }
        }
        // Before anything of a new group is put on.
        self.gates.charge_guard();
        let now = clock::now();
        let commands = self.node.handle(now, events);
        self.outlets.set_sender(self.node.sender());
        for command in commands {
            if let Some(ended) = self.execute(command)? {
                return Ok(Some(ended));
            }
        }
        self.gates.charge_guard();
        // Last: it asks the kernel about every interface, and nobody must wait for that.
        if now.mono >= self.cover_next {
            self.cover_next = now.mono + COVER_EVERY;
            self.gates.cover()?;
        }
        Ok(None)
    }

    /// A new configuration reaches the gate and the addresses before the core acts on it.
    fn adopt(&mut self, state: &Arc<State>) -> Result<(), String> {
        let known = self.applied.borrow().config.clone();
        if let Some(spec) = state.spec() {
            let mut keeps = vips::kept(spec, &self.outlets.node, state);
            // Who mends addresses must be there to say that they are down.
            let ends = self.keeps.iter().filter(|group| !self.node.is_idle(group));
            keeps.extend(ends.cloned());
            if state.config != known {
                self.gates.adopt(spec)?;
            }
            if state.config != known || keeps != self.keeps {
                self.outlets.adopt(spec, &keeps);
                self.keeps = keeps;
            }
        }
        self.outlets.remember_cluster(state.cluster);
        self.applied.send_replace(Arc::clone(state));
        self.last_event
            .send_if_modified(|last| std::mem::replace(last, state.last_event) != state.last_event);
        Ok(())
    }
}
