//! A simulated host: its power, its kernel (gates, addresses), its disk, and the daemon on it.
//!
//! ```text
//!  power ─▶ kernel: gates, addresses (outlive the daemon) ─▶ daemon: driver ─▶ had_core::Node
//!        ├▶ guard (outlives the daemon)                           └─▶ had_consensus::Consensus
//!        └▶ disk, cluster file (outlive everything but a wipe)
//! ```

mod addresses;
mod driver;
mod guard;
mod links;
mod power;
mod store_thread;

pub(crate) use driver::begins_a_move;
pub use links::Answered;
pub use power::booted;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use had_consensus::Consensus;
use had_core::ids::{CommandId, GroupName, NodeName, RequestId, ResourceName, VoterId};
use had_core::message::Sender;
use had_core::ports::{Event, Reply, Request};
use had_core::state::{Configuration, State};
use had_core::time::BootTime;
use tokio::sync::{mpsc, oneshot};

use addresses::{Key, Wish};

use crate::disk::HostDisk;
use crate::plant::Planted;
use crate::runtime::{Clocks, Kernel, NodeIndex, SimRuntime};

/// So many disks of one node have ids of their own.
const VOTERS_A_NODE: u64 = 64;

/// One host.
#[derive(Debug)]
pub struct Host {
    /// The name of the node that it is meant to be.
    pub name: NodeName,
    /// The name of another node, under which a careless operator has started it.
    alias: RefCell<Option<NodeName>>,
    /// In the executor.
    pub node: NodeIndex,
    /// Its disk.
    pub disk: HostDisk,
    /// Its cluster file.
    file: RefCell<Arc<Configuration>>,
    inner: RefCell<Inner>,
}

/// What becomes of a daemon between two of its steps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Interrupt {
    /// It stands still for this long.
    Freeze(Duration),
    /// It is killed, and started again after this long.
    Kill(Duration),
}

#[derive(Debug, Default)]
struct Inner {
    powered: bool,
    /// Everything on it stands still, and its clocks go on.
    stalled: bool,
    /// The daemon is there, if only just starting.
    running: bool,
    /// In the kernel: they outlive the daemon.
    gates: BTreeMap<GroupName, BootTime>,
    /// In the kernel too.
    addresses: BTreeSet<Key>,
    /// Which addresses each group's slot of the gate guards.
    guarded: BTreeMap<GroupName, BTreeSet<ResourceName>>,
    /// Processes beside the daemon: the latest last.
    guards: Vec<guard::Guard>,
    process: Option<Process>,
    interrupt: Option<Interrupt>,
    lives: u64,
    applied: u64,
    /// The daemon was asked to end.
    leaving: bool,
    /// Its daemon is asked what it would show an operator.
    asked_to_show: bool,
    /// How often the disk was wiped.
    wiped: u64,
}

/// One life of the daemon.
#[derive(Debug)]
struct Process {
    life: u64,
    sender: Sender,
    inbox: mpsc::UnboundedSender<Event>,
    consensus: Rc<Consensus<SimRuntime>>,
    waiting: BTreeMap<RequestId, oneshot::Sender<Reply>>,
    requests: u64,
    /// For every address that is configured.
    wishes: BTreeMap<Key, Wish>,
    /// Groups of which an operator takes care himself: their addresses stay as they are.
    hands_off: BTreeSet<GroupName>,
}

impl Host {
    /// A host that is off.
    #[must_use]
    pub fn new(name: NodeName, file: Arc<Configuration>, kernel: &Kernel) -> Self {
        let node = kernel.add_node(Clocks::ideal());
        Self {
            name,
            alias: RefCell::default(),
            node,
            disk: HostDisk::default(),
            file: RefCell::new(file),
            inner: RefCell::default(),
        }
    }

    /// Its cluster file, as a daemon that starts now reads it.
    #[must_use]
    pub fn file(&self) -> Arc<Configuration> {
        Arc::clone(&self.file.borrow())
    }

    /// An operator replaces its cluster file.
    pub fn set_file(&self, file: Arc<Configuration>) {
        self.file.replace(file);
    }

    /// The name under which its daemon runs.
    #[must_use]
    pub fn known_as(&self) -> NodeName {
        self.alias.borrow().as_ref().unwrap_or(&self.name).clone()
    }

    /// From now on its daemons run under another node's name, on another disk; under its own again where there is none.
    pub fn set_alias(&self, alias: Option<NodeName>) {
        if alias.is_some() {
            self.inner.borrow_mut().wiped += 1;
        }
        self.disk.exchange();
        self.alias.replace(alias);
    }

    /// Whether its daemon runs under another node's name.
    #[must_use]
    pub fn has_alias(&self) -> bool {
        self.alias.borrow().is_some()
    }

    /// Whether it has power.
    #[must_use]
    pub fn is_powered(&self) -> bool {
        self.inner.borrow().powered
    }

    /// Whether its daemon has started up.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.inner.borrow().process.is_some()
    }

    /// Its daemon's voter.
    #[must_use]
    pub fn voter(&self) -> Option<VoterId> {
        self.inner
            .borrow()
            .process
            .as_ref()
            .map(|process| process.sender.voter)
    }

    /// The last index that its present daemon has applied.
    #[must_use]
    pub fn applied(&self) -> u64 {
        self.inner.borrow().applied
    }

    /// Whether its daemon is there, if only just starting.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.inner.borrow().running
    }

    /// Notes that its daemon was asked to end.
    pub fn is_asked_to_leave(&self) {
        self.inner.borrow_mut().leaving = true;
    }

    /// Whether its daemon was asked to end, and has not yet.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        let inner = self.inner.borrow();
        inner.running && inner.leaving
    }

    fn consensus(&self) -> Option<Rc<Consensus<SimRuntime>>> {
        self.inner
            .borrow()
            .process
            .as_ref()
            .map(|process| Rc::clone(&process.consensus))
    }

    /// Lets something befall its daemon between two of its next steps.
    pub fn interrupt(&self, interrupt: Interrupt) {
        self.inner.borrow_mut().interrupt = Some(interrupt);
    }

    fn take_interrupt(&self) -> Option<Interrupt> {
        self.inner.borrow_mut().interrupt.take()
    }

    /// Replaces its disk by an empty one.
    pub fn wipe(&self) {
        self.inner.borrow_mut().wiped += 1;
        self.disk.wipe();
    }

    /// The voter that an empty disk would become: legible, and never drawn twice.
    pub(crate) fn fresh_voter(&self, planted: Option<Planted>) -> VoterId {
        let disk = match planted {
            Some(Planted::WipedVotesUnderItsOldId) => 0,
            _ => self.inner.borrow().wiped,
        };
        VoterId(self.node as u64 * VOTERS_A_NODE + disk)
    }

    /// The deadline in its kernel.
    fn deadline(&self, group: &GroupName) -> BootTime {
        let gates = &self.inner.borrow().gates;
        gates.get(group).copied().unwrap_or(BootTime::ZERO)
    }

    /// Its daemon has started up.
    fn becomes(
        &self,
        sender: Sender,
        inbox: mpsc::UnboundedSender<Event>,
        consensus: Rc<Consensus<SimRuntime>>,
        inherited: &BTreeMap<GroupName, BootTime>,
    ) {
        let mine = addresses::of_node(&self.file().spec, &self.known_as(), &State::default());
        let wish = |group: &GroupName| {
            let found = inherited.contains_key(group);
            if found { Wish::FOUND } else { Wish::default() }
        };
        let wishes = mine.iter().map(|key| (key.clone(), wish(&key.0))).collect();
        let mut inner = self.inner.borrow_mut();
        inner.process = Some(Process {
            life: inner.lives,
            sender,
            inbox,
            consensus,
            waiting: BTreeMap::new(),
            requests: 0,
            wishes,
            hands_off: inherited.keys().cloned().collect(),
        });
        drop(inner);
        self.says_ready(&mine);
        self.says_what_is_up();
    }

    fn speaks_as(&self, sender: &Sender) {
        if let Some(process) = &mut self.inner.borrow_mut().process
            && process.sender != *sender
        {
            process.sender = sender.clone();
        }
    }

    /// Hands an event to its daemon; lost where there is none.
    pub fn push(&self, event: Event) {
        if let Some(process) = &self.inner.borrow().process {
            // A daemon that is just ending reads no further: then the event is lost as on a closed socket.
            drop(process.inbox.send(event));
        }
    }

    /// An operator asks its daemon; the reply is lost where the daemon is.
    pub fn request(&self, id: CommandId, what: Request) -> Option<oneshot::Receiver<Reply>> {
        let mut inner = self.inner.borrow_mut();
        let process = inner.process.as_mut()?;
        process.requests += 1;
        let request = RequestId(process.requests);
        let (reply, replied) = oneshot::channel();
        process.waiting.insert(request, reply);
        process
            .inbox
            .send(Event::Request { request, id, what })
            .ok()?;
        Some(replied)
    }

    fn reply(&self, request: RequestId, reply: Reply) {
        let waiting = {
            let mut inner = self.inner.borrow_mut();
            inner
                .process
                .as_mut()
                .and_then(|process| process.waiting.remove(&request))
        };
        if let Some(waiting) = waiting {
            // An operator that has given up hears nothing.
            drop(waiting.send(reply));
        }
    }

    /// Asks its daemon to check what it would show an operator, after its next turn.
    pub fn ask_to_show(&self) {
        self.inner.borrow_mut().asked_to_show = true;
    }

    fn takes_the_question(&self) -> bool {
        std::mem::take(&mut self.inner.borrow_mut().asked_to_show)
    }

    /// Whether nobody waits to be shown anything.
    #[must_use]
    pub fn has_shown(&self) -> bool {
        !self.inner.borrow().asked_to_show
    }
}
