//! Nodes in memory, a consensus that agrees at once, and one clock for all: enough to tell stories about the core.
//! What goes wrong between nodes with clocks of their own is the simulator's subject.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

mod faults;

use had_core::ids::{
    ClusterId, CommandId, GroupName, LeaderId, NodeName, ProcessId, RequestId, VoterId,
};
use had_core::message::{Message, Sender};
use had_core::node::Node;
use had_core::ports::{
    Command, Event, Identity, Leadership, Permit, ProposeError, Reply, Request, ResourceStatus,
};
use had_core::spec::ClusterSpec;
use had_core::state::{Configuration, State};
use had_core::time::{BootTime, MonoTime, Now, RawTime, WallTime};
use had_policies::Failback;

/// How far the clock goes at a time.
const STEP: Duration = Duration::from_micros(500);

struct Host {
    node: Node,
    up: bool,
    gates: BTreeMap<GroupName, BootTime>,
    /// What is wanted of each group's address last.
    wishes: BTreeMap<GroupName, bool>,
    /// Groups whose address nobody touches.
    hands_off: BTreeSet<GroupName>,
}

/// Nodes and what passes between them.
pub(crate) struct Cluster {
    hosts: BTreeMap<NodeName, Host>,
    log: Vec<(u64, LeaderId, Arc<State>)>,
    leader: Option<LeaderId>,
    cut: BTreeSet<NodeName>,
    now_ns: u64,
    queue: VecDeque<(NodeName, Event)>,
    pub(crate) replies: Vec<Reply>,
    pub(crate) exited: BTreeSet<NodeName>,
    pub(crate) overlaps: u64,
    /// Proposals that were refused.
    pub(crate) refused: u64,
    refusing: bool,
    requests: u64,
    /// Groups whose resources do not get down.
    stuck: BTreeSet<GroupName>,
    /// Nodes on which nothing starts.
    broken: BTreeSet<NodeName>,
    /// Nodes whose engine is dead: nothing is applied there any more.
    deaf: BTreeSet<NodeName>,
    /// Nodes that no message reaches.
    hears_nobody: BTreeSet<NodeName>,
    /// Disks that are others than at first: their voters, and what they know of their cluster.
    disks: BTreeMap<NodeName, (VoterId, ClusterId)>,
    /// Voters that a leader wanted in another's place.
    pub(crate) replaced: Vec<(NodeName, VoterId)>,
}

impl Cluster {
    /// All nodes up, none leading.
    pub(crate) fn new(failback: Failback) -> Self {
        Self::of(crate::file::spec(failback))
    }

    /// All nodes of a spec up, none leading.
    pub(crate) fn of(spec: ClusterSpec) -> Self {
        let own = Configuration {
            hash: "one".to_owned(),
            spec,
        };
        let mut cluster = Self {
            hosts: BTreeMap::new(),
            log: Vec::new(),
            leader: None,
            cut: BTreeSet::new(),
            now_ns: 1_000_000_000,
            queue: VecDeque::new(),
            replies: Vec::new(),
            exited: BTreeSet::new(),
            overlaps: 0,
            refused: 0,
            refusing: false,
            requests: 0,
            stuck: BTreeSet::new(),
            broken: BTreeSet::new(),
            deaf: BTreeSet::new(),
            hears_nobody: BTreeSet::new(),
            disks: BTreeMap::new(),
            replaced: Vec::new(),
        };
        for node in own.spec.nodes.clone() {
            cluster.start(&node.name, &own, 1, BTreeMap::new());
        }
        cluster
    }

    /// A cluster of which h3 leads and h1 runs the group.
    pub(crate) fn running(failback: Failback) -> Self {
        let mut cluster = Self::new(failback);
        cluster.lead("h3", 1);
        cluster.run(Duration::from_millis(200));
        assert_eq!(cluster.open(), ["h1"]);
        cluster
    }

    /// A life of a daemon begins, with the gates that an earlier one left.
    fn start(
        &mut self,
        name: &NodeName,
        own: &Configuration,
        life: u64,
        gates: BTreeMap<GroupName, BootTime>,
    ) {
        let at_first = (voter(name), ClusterId(0));
        let (voter, cluster) = self.disks.get(name).copied().unwrap_or(at_first);
        let sender = Sender {
            node: name.clone(),
            voter,
            process: ProcessId(life << 32 | voter.0),
            cluster,
        };
        let identity = Identity {
            sender,
            gate: "bpf".to_owned(),
            supervised: false,
        };
        let node = Node::new(identity, own.clone(), &gates, self.now());
        for group in gates.keys() {
            let still_there = Event::Resource {
                group: group.clone(),
                resource: "vip".into(),
                status: ResourceStatus::Up("up".to_owned()),
            };
            self.event(name.as_str(), still_there);
        }
        let host = Host {
            node,
            up: true,
            wishes: gates.keys().map(|group| (group.clone(), true)).collect(),
            hands_off: gates.keys().cloned().collect(),
            gates,
        };
        self.hosts.insert(name.clone(), host);
        for (index, leader, state) in self.log.clone() {
            self.queue.push_back((
                name.clone(),
                Event::Applied {
                    index,
                    leader,
                    state,
                },
            ));
        }
        for group in &own.spec.groups {
            let ready = Event::Ready {
                group: group.name.clone(),
                resource: "vip".into(),
                ready: Ok(()),
            };
            self.queue.push_back((name.clone(), ready));
        }
        self.queue
            .push_back((name.clone(), Event::Leadership(self.leadership(name))));
    }

    pub(crate) fn now(&self) -> Now {
        let ns = self.now_ns;
        Now {
            boot: BootTime(ns),
            mono: MonoTime(ns),
            raw: RawTime(ns),
            wall: WallTime(ns),
        }
    }

    fn leadership(&self, name: &NodeName) -> Leadership {
        Leadership {
            leader: self.leader,
            leads: self
                .leader
                .is_some_and(|leader| leader.voter == voter(name)),
            voters: self
                .hosts
                .keys()
                .map(|name| (voter(name), name.clone()))
                .collect(),
        }
    }

    /// The consensus elects this node: its first entry is applied everywhere.
    pub(crate) fn lead(&mut self, name: &str, term: u64) {
        let before = self.queue.len();
        self.lead_unnoticed(name, term);
        let applied = self.queue.split_off(before);
        self.tell_leadership();
        self.queue.extend(applied);
    }

    /// The same, before anybody is told who leads.
    pub(crate) fn lead_unnoticed(&mut self, name: &str, term: u64) {
        let leader = LeaderId {
            term,
            voter: voter(&name.into()),
        };
        self.leader = Some(leader);
        let mut state = self.last_state();
        state.set_voters(
            &self
                .hosts
                .keys()
                .map(|name| (voter(name), name.clone()))
                .collect(),
        );
        self.commit(leader, state);
    }

    /// Every node is told who leads.
    pub(crate) fn tell_leadership(&mut self) {
        for name in self.hosts.keys().cloned().collect::<Vec<_>>() {
            let leadership = self.leadership(&name);
            self.queue.push_back((name, Event::Leadership(leadership)));
        }
    }

    fn last_state(&self) -> State {
        self.log
            .last()
            .map(|(_, _, state)| (**state).clone())
            .unwrap_or_default()
    }

    fn commit(&mut self, leader: LeaderId, state: State) {
        let index = self.log.len() as u64 + 1;
        let state = Arc::new(state);
        self.log.push((index, leader, state.clone()));
        for name in self.hosts.keys() {
            if !self.cut.contains(name) && !self.deaf.contains(name) {
                let state = state.clone();
                self.queue.push_back((
                    name.clone(),
                    Event::Applied {
                        index,
                        leader,
                        state,
                    },
                ));
            }
        }
    }

    pub(crate) fn event(&mut self, name: &str, event: Event) {
        self.queue.push_back((name.into(), event));
    }

    /// Whether a node could run `web`.
    pub(crate) fn ready(&mut self, name: &str, ready: Result<(), &str>) {
        self.ready_for("web", name, ready);
    }

    /// Whether a node could run a group.
    pub(crate) fn ready_for(&mut self, group: &str, name: &str, ready: Result<(), &str>) {
        let ready = ready.map_err(ToOwned::to_owned);
        self.event(
            name,
            Event::Ready {
                group: group.into(),
                resource: "vip".into(),
                ready,
            },
        );
    }

    /// Until when a node's gate is open for a group; zero where it was shut.
    pub(crate) fn gate(&self, name: &str, group: &str) -> BootTime {
        let gates = &self.hosts[&NodeName::from(name)].gates;
        gates
            .get(&GroupName::from(group))
            .copied()
            .unwrap_or_default()
    }

    fn left_open(&self, name: &str) -> BTreeMap<GroupName, BootTime> {
        let now = self.now().boot;
        let mut gates = self.hosts[&NodeName::from(name)].gates.clone();
        gates.retain(|_, until| now < *until);
        gates
    }

    /// Runs until a group is open on this node alone.
    pub(crate) fn run_until_open_of(
        &mut self,
        group: &str,
        name: &str,
        limit: Duration,
    ) -> Duration {
        let start = self.now_ns;
        while self.open_of(group) != [name] {
            let passed = Duration::from_nanos(self.now_ns - start);
            let open = self.open_of(group);
            assert!(
                passed < limit,
                "{group}: {open:?} open after {passed:?}, not {name}"
            );
            self.run(STEP);
        }
        Duration::from_nanos(self.now_ns - start)
    }

    /// Everything that was decided, one state an entry.
    pub(crate) fn decided(&self) -> impl Iterator<Item = &State> {
        self.log.iter().map(|(_, _, state)| &**state)
    }

    /// What is decided.
    pub(crate) fn state(&self) -> State {
        self.last_state()
    }

    /// Something is decided that no leader of this moment would propose.
    pub(crate) fn decide(&mut self, change: impl FnOnce(&mut State)) {
        let mut state = self.last_state();
        change(&mut state);
        self.commit(self.leader.unwrap(), state);
    }

    /// The consensus refuses every proposal from now on.
    pub(crate) fn refuse_proposals(&mut self) {
        self.refusing = true;
    }

    /// An operator asks the leader.
    pub(crate) fn request(&mut self, what: Request) {
        self.requests += 1;
        let id = CommandId {
            process: ProcessId(99),
            number: self.requests,
        };
        let request = RequestId(self.requests);
        let leader = self.leader.unwrap().voter;
        let name = self
            .hosts
            .keys()
            .find(|name| voter(name) == leader)
            .unwrap()
            .clone();
        self.queue
            .push_back((name, Event::Request { request, id, what }));
    }

    /// Whose gate of `web` is open now.
    pub(crate) fn open(&self) -> Vec<&str> {
        self.open_of("web")
    }

    /// Whose gate of a group is open now.
    pub(crate) fn open_of(&self, group: &str) -> Vec<&str> {
        let open = |host: &Host| {
            host.gates
                .get(&GroupName::from(group))
                .is_some_and(|until| self.now().boot < *until)
        };
        let open = self.hosts.iter().filter(|(_, host)| open(host));
        open.map(|(name, _)| name.as_str()).collect()
    }

    pub(crate) fn node(&self, name: &str) -> &Node {
        &self.hosts[&NodeName::from(name)].node
    }

    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now_ns + u64::try_from(time.as_nanos()).unwrap();
        while self.now_ns < end {
            self.drain();
            self.now_ns += u64::try_from(STEP.as_nanos()).unwrap();
            for name in self.hosts.keys().cloned().collect::<Vec<_>>() {
                self.handle(&name, None);
            }
        }
        self.drain();
    }

    /// Runs until this node alone is open; the time that it took.
    pub(crate) fn run_until_open(&mut self, name: &str, limit: Duration) -> Duration {
        let start = self.now_ns;
        while self.open() != [name] {
            let passed = Duration::from_nanos(self.now_ns - start);
            assert!(
                passed < limit,
                "{:?} open after {passed:?}, not {name}",
                self.open()
            );
            self.run(STEP);
        }
        Duration::from_nanos(self.now_ns - start)
    }

    fn drain(&mut self) {
        while let Some((name, event)) = self.queue.pop_front() {
            self.handle(&name, Some(event));
        }
    }

    fn handle(&mut self, name: &NodeName, event: Option<Event>) {
        let now = self.now();
        let host = self.hosts.get_mut(name).unwrap();
        if !host.up {
            return;
        }
        for command in host.node.handle(now, event) {
            self.execute(name, command);
        }
        let groups = self.last_state().groups;
        if groups
            .keys()
            .any(|group| self.open_of(group.as_str()).len() > 1)
        {
            self.overlaps += 1;
        }
    }

    fn execute(&mut self, name: &NodeName, command: Command) {
        let event = |event| (name.clone(), event);
        match command {
            Command::Gate { group, until } => {
                self.hosts.get_mut(name).unwrap().gates.insert(group, until);
            }
            Command::Resource {
                group,
                resource,
                up,
                ..
            } => {
                assert_eq!(resource.name, "vip".into());
                let host = self.hosts.get_mut(name).unwrap();
                host.wishes.insert(group.clone(), up);
                self.fulfil(name, group);
            }
            Command::HandsOff { group, on: true } => {
                self.hosts.get_mut(name).unwrap().hands_off.insert(group);
            }
            Command::HandsOff { group, on: false } => {
                let host = self.hosts.get_mut(name).unwrap();
                if host.hands_off.remove(&group) {
                    self.fulfil(name, group);
                }
            }
            Command::Send { to, message } => self.deliver(name, &to, message),
            Command::Answer { via, message } => {
                let to = self
                    .hosts
                    .keys()
                    .nth(usize::try_from(via).unwrap())
                    .unwrap()
                    .clone();
                self.deliver(name, &to, message);
            }
            Command::Propose {
                proposal,
                leader,
                entry,
            } => {
                if self.refusing {
                    self.refused += 1;
                    let outcome = Err(ProposeError::Refused);
                    return self
                        .queue
                        .push_back(event(Event::Proposed { proposal, outcome }));
                }
                if Some(leader) == self.leader && !self.cut.contains(name) {
                    let mut state = self.last_state();
                    state.apply(&entry);
                    self.commit(leader, state);
                    let outcome = Ok(self.log.len() as u64);
                    self.queue
                        .push_back(event(Event::Proposed { proposal, outcome }));
                }
            }
            Command::Exit => {
                self.exited.insert(name.clone());
                self.kill(name.as_str());
            }
            Command::Reply { reply, .. } => self.replies.push(reply),
            Command::ReplaceVoter { node, new, .. } => self.replaced.push((node, new)),
            Command::Transfer { .. }
            | Command::Form { .. }
            | Command::Announce { .. }
            | Command::Log { .. } => {}
        }
    }

    /// The address of a group becomes as it is wanted, where it may be touched, and that is said.
    fn fulfil(&mut self, name: &NodeName, group: GroupName) {
        let host = &self.hosts[name];
        let Some(up) = host.wishes.get(&group).copied() else {
            return;
        };
        if host.hands_off.contains(&group) {
            return;
        }
        let status = match (up, self.stuck.contains(&group)) {
            (true, _) if self.broken.contains(name) => ResourceStatus::Failed("no room".to_owned()),
            (true, _) => ResourceStatus::Up("up".to_owned()),
            (false, false) => ResourceStatus::Down,
            (false, true) => ResourceStatus::Failed("busy".to_owned()),
        };
        let resource = "vip".into();
        self.event(
            name.as_str(),
            Event::Resource {
                group,
                resource,
                status,
            },
        );
    }

    /// Whether who mends a group's address on a node leaves it alone.
    pub(crate) fn leaves_alone(&self, name: &str, group: &str) -> bool {
        self.hosts[&NodeName::from(name)]
            .hands_off
            .contains(&GroupName::from(group))
    }

    fn deliver(&mut self, from: &NodeName, to: &NodeName, message: Message) {
        let lost =
            self.cut.contains(from) || self.cut.contains(to) || self.hears_nobody.contains(to);
        if from != to && lost {
            return;
        }
        let sender = self.hosts[from].node.sender().clone();
        let event = match message {
            Message::Ask(ask) => {
                let via = self.hosts.keys().position(|name| name == from).unwrap() as u64;
                let leads = self.leader.is_some_and(|leader| leader.voter == voter(to));
                let permit =
                    self.leader
                        .filter(|_| leads && !self.cut.contains(to))
                        .map(|leader| Permit {
                            leader,
                            quorum_acked: self.now().mono - Duration::from_millis(5),
                        });
                Event::Asked {
                    from: sender,
                    ask,
                    permit,
                    via,
                }
            }
            message => Event::Heard {
                from: sender,
                message,
            },
        };
        self.queue.push_back((to.clone(), event));
    }
}

fn voter(name: &NodeName) -> VoterId {
    VoterId(name.as_str()[1..].parse().unwrap())
}
