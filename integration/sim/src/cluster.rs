//! All hosts of one run, the network between them, and what is noted and checked.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use had_consensus::Settings;
use had_core::ids::{GroupName, NodeName};
use had_core::state::Configuration;
use had_core::time::BootTime;

use crate::check::{Checks, Stand, Violation};
use crate::faults::{Ambushes, Steps};
use crate::history::{History, Place};
use crate::host::{Answered, Host};
use crate::network::Network;
use crate::plant::Planted;
use crate::runtime::{Dice, Kernel};

/// One run's world.
#[derive(Debug)]
pub struct Cluster {
    /// True time and every task.
    pub kernel: Rc<Kernel>,
    /// In the order of the file. Host `i` is node `i + 1` of the executor.
    pub hosts: Vec<Host>,
    /// Between the hosts.
    pub network: RefCell<Network>,
    /// What happened.
    pub history: History,
    /// What is checked while it happens.
    pub checks: RefCell<Checks>,
    /// What every node's file says.
    pub config: Configuration,
    /// Of the consensus.
    pub settings: Settings,
    /// The planted mistake, if any.
    pub planted: Option<Planted>,
    /// For what hosts do by chance.
    pub dice: RefCell<Dice>,
    /// Faults that wait for their moment.
    pub ambushes: Ambushes,
    /// What daemons do, step by step.
    pub steps: Steps,
    /// Calls whose request or answer was lost: their callers wait until they give up.
    unanswered: RefCell<Vec<Answered>>,
    broken: RefCell<Option<Violation>>,
    faults: Cell<u32>,
    ceased: Cell<bool>,
    over: Cell<bool>,
}

/// Lost calls are looked through for callers that gave up once there are so many.
const UNANSWERED: usize = 512;

thread_local! {
    static CLUSTER: RefCell<Option<Rc<Cluster>>> = const { RefCell::new(None) };
}

/// The run of this thread, for what must be `Send` and so cannot hold it.
///
/// # Panics
/// Outside of a run.
#[must_use]
pub fn current() -> Rc<Cluster> {
    CLUSTER
        .with_borrow(Clone::clone)
        .expect("only tasks of a run ask for it")
}

/// Makes a cluster the one of this thread until it is dropped.
#[derive(Debug)]
pub struct Entered(());

impl Drop for Entered {
    fn drop(&mut self) {
        CLUSTER.set(None);
    }
}

impl Cluster {
    /// A cluster whose hosts are still off.
    #[must_use]
    pub fn new(
        kernel: Rc<Kernel>,
        seed: u64,
        config: Configuration,
        settings: Settings,
        planted: Option<Planted>,
    ) -> Rc<Self> {
        let names: Vec<NodeName> = config
            .spec
            .nodes
            .iter()
            .map(|node| node.name.clone())
            .collect();
        let hosts = names
            .iter()
            .map(|name| Host::new(name.clone(), &kernel))
            .collect();
        let mut network = Network::new(names.len(), Dice::new(seed, 1));
        if planted == Some(Planted::PipelinedAcknowledgement) {
            // One stream keeps its order; out of it, the engine would notice the mistake by itself.
            network.keep_calls_in_order();
            kernel.thaw_in_order();
        }
        Rc::new(Self {
            hosts,
            network: RefCell::new(network),
            history: History::default(),
            checks: RefCell::new(Checks::new(&config.spec)),
            settings,
            config,
            planted,
            dice: RefCell::new(Dice::new(seed, 2)),
            ambushes: Ambushes::default(),
            steps: Steps::default(),
            unanswered: RefCell::default(),
            broken: RefCell::default(),
            faults: Cell::new(0),
            ceased: Cell::new(false),
            over: Cell::new(false),
            kernel,
        })
    }

    /// Lets tasks of this thread find it.
    #[must_use]
    pub fn enter(self: &Rc<Self>) -> Entered {
        CLUSTER.set(Some(Rc::clone(self)));
        Entered(())
    }

    /// The host of this name.
    #[must_use]
    pub fn host_of(&self, name: &NodeName) -> Option<usize> {
        self.hosts.iter().position(|host| host.name == *name)
    }

    /// Notes something that the world did.
    pub fn note(&self, text: String) {
        self.history.note(self.kernel.now(), Place::World, text);
    }

    /// Notes something that a host did.
    pub fn note_at(&self, host: usize, text: String) {
        let place = Place::Host(self.hosts[host].name.to_string());
        self.history.note(self.kernel.now(), place, text);
    }

    /// Notes a fault and counts it.
    pub fn fault(&self, text: &str) {
        self.faults.set(self.faults.get() + 1);
        self.note(format!("FAULT {text}"));
    }

    /// No fault strikes from now on.
    pub fn cease(&self) {
        self.ceased.set(true);
    }

    /// Whether faults have ceased.
    #[must_use]
    pub fn has_ceased(&self) -> bool {
        self.ceased.get()
    }

    /// A call was lost: nobody ever answers it.
    pub fn keep_waiting(&self, answer: Answered) {
        let mut unanswered = self.unanswered.borrow_mut();
        if unanswered.len() >= UNANSWERED {
            unanswered.retain(|answer| !answer.is_closed());
        }
        unanswered.push(answer);
    }

    /// How many faults there were.
    #[must_use]
    pub fn faults(&self) -> u32 {
        self.faults.get()
    }

    /// Everything that was meant to happen has.
    pub fn end(&self) {
        self.over.set(true);
    }

    /// Whether the run is over: everything has happened, or a promise was broken.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.over.get() || self.broken.borrow().is_some()
    }

    /// Ends the run where a promise was broken.
    pub fn expect(&self, checked: Result<(), Violation>) {
        if let Err(violation) = checked
            && self.broken.borrow().is_none()
        {
            self.note(format!("BROKEN {violation}"));
            *self.broken.borrow_mut() = Some(violation);
        }
    }

    /// The promise that was broken.
    #[must_use]
    pub fn broken(&self) -> Option<Violation> {
        self.broken.borrow().clone()
    }

    /// A host's `CLOCK_BOOTTIME`.
    #[must_use]
    pub fn boot(&self, host: usize) -> BootTime {
        let now = self.kernel.now();
        BootTime(self.kernel.clocks(host + 1, |clocks| clocks.boot.read(now)))
    }

    /// Whose gate of a group is open.
    #[must_use]
    pub fn open_on(&self, group: &GroupName) -> Vec<usize> {
        let checks = self.checks.borrow();
        (0..self.hosts.len())
            .filter(|host| checks.single_owner.is_open(group, *host, self.boot(*host)))
            .collect()
    }

    /// The host that leads, as far as the leader of the newest term itself says.
    #[must_use]
    pub fn leading(&self) -> Option<usize> {
        let newest = self.checks.borrow().quorum_clock.newest()?;
        (0..self.hosts.len()).find(|host| self.hosts[*host].voter() == Some(newest.voter))
    }

    /// Every host is up, every disk is a voter, every link is open, and everybody has applied the same.
    #[must_use]
    pub fn everybody_is_well(&self) -> bool {
        let checks = self.checks.borrow();
        let Some((newest, state)) = checks.decided_moves.newest() else {
            return false;
        };
        let network = self.network.borrow();
        self.hosts.iter().enumerate().all(|(index, host)| {
            host.voter()
                .is_some_and(|voter| state.voters.get(&host.name) == Some(&voter))
                && host.applied() == newest
                && self.kernel.runs(host.node)
                && (0..self.hosts.len()).all(|other| network.connected(index, other))
        })
    }

    /// Looks at the pairs of groups as they are decided now.
    pub fn look_at_pairs(&self) {
        let well = self.everybody_is_well();
        let looked = {
            let checks = &mut *self.checks.borrow_mut();
            let Some((_, state)) = checks.decided_moves.newest() else {
                return;
            };
            let (spec, now) = (&self.config.spec, self.kernel.now());
            checks.relations.look(spec, state, well, now)
        };
        self.expect(looked);
    }

    /// Looks at how everything stands.
    pub fn stand<T>(&self, look: impl FnOnce(&Stand<'_>) -> T) -> Option<T> {
        let checks = self.checks.borrow();
        let (_, state) = checks.decided_moves.newest()?;
        let name = |host: usize| self.hosts[host].name.clone();
        let groups = self
            .config
            .spec
            .groups
            .iter()
            .map(|group| group.name.clone());
        let open: BTreeMap<_, Vec<_>> = groups
            .map(|group| {
                let open = self.open_on(&group).into_iter().map(name).collect();
                (group, open)
            })
            .collect();
        let applied = self
            .hosts
            .iter()
            .map(|host| (host.name.clone(), host.applied()))
            .collect();
        let acknowledged = checks.decided_moves.newest_acknowledged();
        Some(look(&Stand {
            state,
            open,
            applied,
            acknowledged,
        }))
    }
}
