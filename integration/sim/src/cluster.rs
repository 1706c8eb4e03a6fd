//! All hosts of one run, the network between them, and what is noted and checked.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use had_consensus::Settings;
use had_core::ids::{GroupName, NodeName, VoterId};
use had_core::state::{Configuration, State};
use had_core::time::BootTime;

use crate::check::{Checks, Stand, Violation};
use crate::faults::{Ambushes, Dark, Steps};
use crate::history::{History, Place};
use crate::host::{Answered, Host};
use crate::network::Network;
use crate::plant::Planted;
use crate::runtime::{Dice, Kernel, after};

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
    /// What every node's file says at first.
    pub config: Arc<Configuration>,
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
    dark: Cell<Option<Dark>>,
    /// A disk was wiped, and not everybody has been well since.
    wiped: Cell<bool>,
}

/// Lost calls are looked through for callers that gave up once there are so many.
const UNANSWERED: usize = 512;

/// How often it is looked whether an address stays that should be gone: a tenth of the guard's bound.
const LOOK_AT_ADDRESSES: Duration = Duration::from_millis(10);
/// Guards' dice are of these purposes.
const GUARDS: u64 = 100;

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
        let config = Arc::new(config);
        let hosts = names
            .iter()
            .map(|name| Host::new(name.clone(), Arc::clone(&config), &kernel))
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
            dark: Cell::new(None),
            wiped: Cell::new(false),
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
        let of_name = |host: &&Host| host.known_as() == *name;
        let rightful = |host: &&Host| !host.has_alias() && host.is_running();
        let hosts = || self.hosts.iter().filter(of_name);
        let host = hosts().find(rightful).or_else(|| hosts().next())?;
        self.hosts.iter().position(|one| one.node == host.node)
    }

    /// The host on which a voter lives, where several bear the name of its node.
    pub(crate) fn host_of_voter(&self, name: &NodeName, voter: VoterId) -> Option<usize> {
        let lives = |host: &Host| host.known_as() == *name && host.voter() == Some(voter);
        self.hosts
            .iter()
            .position(lives)
            .or_else(|| self.host_of(name))
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

    /// What a pair of faults brought is known.
    pub(crate) fn darkened(&self, dark: Dark) {
        self.dark.set(Some(dark));
    }

    /// What a pair of faults brought, where that is the story and it came so far.
    #[must_use]
    pub fn dark(&self) -> Option<Dark> {
        self.dark.get()
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
            !host.has_alias()
                && host
                    .voter()
                    .is_some_and(|voter| state.voters.get(&host.known_as()) == Some(&voter))
                && host.applied() == newest
                && self.kernel.runs(host.node)
                && (0..self.hosts.len()).all(|other| network.connected(index, other))
        })
    }

    /// The configuration that rules, as far as anybody has applied it; before there is one, the file.
    #[must_use]
    pub fn committed(&self) -> Arc<Configuration> {
        let checks = self.checks.borrow();
        let newest = checks.decided_moves.newest();
        let committed = newest.and_then(|(_, state)| state.config.clone());
        committed.unwrap_or_else(|| Arc::clone(&self.config))
    }

    /// The disk of a host that has no power is replaced by an empty one.
    pub fn wipe(&self, host: usize) {
        self.hosts[host].wipe();
        self.wiped.set(true);
    }

    /// A host without power is started under another name from now on, with another disk; under its own where there is none.
    pub fn is_another(&self, host: usize, alias: Option<NodeName>) {
        self.hosts[host].set_alias(alias);
        self.wiped.set(true);
    }

    /// Whether a disk could be lost: no other one was, since everybody was well the last time.
    #[must_use]
    pub fn every_disk_votes(&self) -> bool {
        !self.wiped.get() && self.checks.borrow().decided_moves.newest().is_some()
    }

    /// Looks at the pairs of groups as they are decided now.
    pub fn look_at_pairs(&self) {
        let well = self.everybody_is_well();
        if well {
            self.wiped.set(false);
        }
        let looked = {
            let checks = &mut *self.checks.borrow_mut();
            let Some((_, state)) = checks.decided_moves.newest() else {
                return;
            };
            let Some(spec) = state.spec() else { return };
            checks.relations.look(spec, state, well, self.kernel.now())
        };
        self.expect(looked);
    }

    /// Guards watch over every host, and it is looked whether they do, from here on.
    pub(crate) fn watch_addresses(self: &Rc<Self>, seed: u64) {
        for host in 0..self.hosts.len() {
            self.watch_over(host, Dice::new(seed, GUARDS + host as u64));
        }
        self.look_again_at_addresses();
    }

    fn look_again_at_addresses(self: &Rc<Self>) {
        let cluster = Rc::clone(self);
        after(LOOK_AT_ADDRESSES, move || {
            cluster.look_at_addresses(LOOK_AT_ADDRESSES);
            cluster.look_again_at_addresses();
        });
    }

    /// Looks at how everything stands.
    pub fn stand<T>(&self, look: impl FnOnce(&Stand<'_>) -> T) -> Option<T> {
        let checks = self.checks.borrow();
        let (_, state) = checks.decided_moves.newest()?;
        let name = |host: usize| self.hosts[host].known_as();
        let spec = state.spec();
        let groups = spec.iter().flat_map(|spec| &spec.groups);
        let open: BTreeMap<_, Vec<_>> = groups
            .map(|group| {
                let mut open = self.open_on(&group.name);
                let as_it_is = state.in_maintenance(&group.name);
                open.retain(|host| as_it_is || self.hosts[*host].has_every_address_of(group));
                (group.name.clone(), open.into_iter().map(name).collect())
            })
            .collect();
        let there = groups_there(&self.hosts, state);
        let applied = self
            .hosts
            .iter()
            .map(|host| (host.name.clone(), host.applied()))
            .collect();
        let acknowledged = checks.decided_moves.newest_acknowledged();
        Some(look(&Stand {
            state,
            open,
            there,
            applied,
            acknowledged,
        }))
    }
}

/// Who has an address up, for each group of which no operator takes care.
fn groups_there(hosts: &[Host], state: &State) -> BTreeMap<GroupName, Vec<NodeName>> {
    let groups = state.spec().into_iter().flat_map(|spec| &spec.groups);
    let cared_for = groups.filter(|group| !state.in_maintenance(&group.name));
    cared_for
        .map(|group| {
            let there = hosts.iter().filter(|host| host.has_address_of(&group.name));
            let names = there.map(Host::known_as).collect();
            (group.name.clone(), names)
        })
        .collect()
}
