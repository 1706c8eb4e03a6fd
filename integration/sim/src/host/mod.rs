//! A simulated host: its power, its kernel (gates, addresses), its disk, and the daemon on it.
//!
//! ```text
//!  power ─▶ kernel: gates, addresses (outlive the daemon) ─▶ daemon: driver ─▶ had_core::Node
//!        └▶ disk (outlives everything but a wipe)                └─▶ had_consensus::Consensus
//! ```

mod driver;
mod links;
mod power;
mod store_thread;

pub(crate) use driver::begins_a_move;
pub use links::Answered;
pub use power::booted;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use had_consensus::Consensus;
use had_core::ids::{CommandId, GroupName, NodeName, RequestId, ResourceName, VoterId};
use had_core::lease;
use had_core::message::Sender;
use had_core::ports::{Event, Reply, Request, ResourceStatus};
use had_core::time::BootTime;
use tokio::sync::{mpsc, oneshot};

use crate::cluster::Cluster;
use crate::disk::HostDisk;
use crate::runtime::{Clocks, Kernel, NodeIndex, SimRuntime};

/// One host.
#[derive(Debug)]
pub struct Host {
    /// The name of the node.
    pub name: NodeName,
    /// In the executor.
    pub node: NodeIndex,
    /// Its disk.
    pub disk: HostDisk,
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
    /// The daemon is there, if only just starting.
    running: bool,
    /// In the kernel: they outlive the daemon.
    gates: BTreeMap<GroupName, BootTime>,
    /// In the kernel too.
    addresses: BTreeSet<(GroupName, ResourceName)>,
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
    wishes: BTreeMap<(GroupName, ResourceName), Wish>,
    /// Groups of which an operator takes care himself: their addresses stay as they are.
    hands_off: BTreeSet<GroupName>,
}

/// What is wanted of an address.
#[derive(Clone, Copy, Debug, Default)]
struct Wish {
    /// The latest counts.
    number: u64,
    up: bool,
}

impl Host {
    /// A host that is off.
    #[must_use]
    pub fn new(name: NodeName, kernel: &Kernel) -> Self {
        let node = kernel.add_node(Clocks::ideal());
        Self {
            name,
            node,
            disk: HostDisk::default(),
            inner: RefCell::default(),
        }
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
    fn fresh_voter(&self) -> VoterId {
        VoterId(self.node as u64 * 16 + self.inner.borrow().wiped)
    }

    /// Its daemon has started up.
    fn becomes(
        &self,
        sender: Sender,
        inbox: mpsc::UnboundedSender<Event>,
        consensus: Rc<Consensus<SimRuntime>>,
        inherited: &BTreeMap<GroupName, BootTime>,
    ) {
        let mut inner = self.inner.borrow_mut();
        let there = inner.addresses.iter().cloned();
        let wish = Wish {
            number: 1,
            up: true,
        };
        let wishes: BTreeMap<_, _> = there.map(|key| (key, wish)).collect();
        for (group, resource) in wishes.keys().cloned() {
            let status = ResourceStatus::Up("up".into());
            // Both ends are alive: the daemon is just starting.
            drop(inbox.send(Event::Resource {
                group,
                resource,
                status,
            }));
        }
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

    /// A wish for a resource; the latest counts. Its number.
    fn wishes(&self, group: &GroupName, resource: &ResourceName, up: bool) -> u64 {
        let mut inner = self.inner.borrow_mut();
        let Some(process) = inner.process.as_mut() else {
            return 0;
        };
        let key = (group.clone(), resource.clone());
        let wish = process.wishes.entry(key).or_default();
        let number = wish.number + 1;
        *wish = Wish { number, up };
        number
    }

    /// The wish comes true, if it is still the latest, unless an operator takes care of the group. What the address does
    /// then.
    fn fulfils(&self, group: &GroupName, resource: &ResourceName, number: u64) -> Option<bool> {
        let mut inner = self.inner.borrow_mut();
        let key = (group.clone(), resource.clone());
        let process = inner.process.as_ref()?;
        let wish = process.wishes.get(&key)?;
        let (up, touches) = (wish.up, !process.hands_off.contains(group));
        if wish.number != number {
            return None;
        }
        match (touches, up) {
            // Nothing is said of a wish that does not come true.
            (false, _) => return (inner.addresses.contains(&key) == up).then_some(up),
            (true, true) => inner.addresses.insert(key),
            (true, false) => inner.addresses.remove(&key),
        };
        Some(up)
    }

    /// An operator takes care of a group, or no longer. The wishes that count again.
    fn hands_off(&self, group: &GroupName, on: bool) -> Vec<(ResourceName, bool)> {
        let mut inner = self.inner.borrow_mut();
        let Some(process) = inner.process.as_mut() else {
            return Vec::new();
        };
        if on {
            process.hands_off.insert(group.clone());
            return Vec::new();
        }
        process.hands_off.remove(group);
        let wishes = process.wishes.iter().filter(|((of, _), _)| of == group);
        wishes
            .map(|((_, resource), wish)| (resource.clone(), wish.up))
            .collect()
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

impl Cluster {
    /// What a daemon does first: what a killed life was granted goes on, every other gate is shut, every other address gone.
    fn inherits(&self, host: usize, empty_disk: bool) -> BTreeMap<GroupName, BootTime> {
        let (now, lease) = (self.boot(host), self.config.spec.timing.lease);
        let (open, shut): (BTreeMap<_, _>, BTreeMap<_, _>) = {
            let gates = self.hosts[host].inner.borrow().gates.clone();
            let inherits = |until| lease::is_inherited(until, now, lease, empty_disk);
            gates.into_iter().partition(|(_, until)| inherits(*until))
        };
        for group in shut.keys() {
            self.write_gate(host, group, BootTime::ZERO);
        }
        let addresses = &mut self.hosts[host].inner.borrow_mut().addresses;
        addresses.retain(|(group, _)| open.contains_key(group));
        open
    }

    /// One store into the kernel's map.
    fn write_gate(&self, host: usize, group: &GroupName, until: BootTime) {
        let former = {
            let gates = &mut self.hosts[host].inner.borrow_mut().gates;
            gates.insert(group.clone(), until).unwrap_or(BootTime::ZERO)
        };
        let lapsed = {
            let no_lapse = &mut self.checks.borrow_mut().no_lapse;
            no_lapse.written(group, former, self.boot(host))
        };
        self.expect(lapsed);
        let checked = {
            let single_owner = &mut self.checks.borrow_mut().single_owner;
            single_owner.written(group, host, until, |host| self.boot(host))
        };
        self.expect(checked);
    }
}
