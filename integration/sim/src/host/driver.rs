//! The daemon: one task owns the core and executes its commands in order, as the real driver does.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use had_consensus::{Consensus, Replica, Store};
use had_core::ids::{
    ClusterId, GroupName, LeaderId, NodeName, ProcessId, ProposalId, ResourceName, VoterId,
};
use had_core::message::Sender;
use had_core::node::Node;
use had_core::ports::{Command, Event, Identity, ProposeError, ResourceStatus};
use had_core::spec::Role;
use had_core::state::{Entry, Step};
use had_core::time::{BootTime, MonoTime, Now, RawTime, WallTime};
use openraft_rt::AsyncRuntime;
use tokio::sync::mpsc;

use super::Interrupt;
use super::links::SimTransport;
use crate::check::{self, DecidedMoves, Violation};
use crate::cluster::{self, Cluster};
use crate::runtime::{SimInstant, SimRuntime, after, here, spawn_on};

/// From `exec` to the first line that matters.
const START_UP_US: std::ops::Range<u64> = 500..6_000;
/// To put an address up or take it down.
const ADDRESS_US: std::ops::Range<u64> = 150..2_500;
/// An answer's way from the engine's tasks to the core's thread, on a host that does other things too.
const BETWEEN_THREADS: Duration = Duration::from_micros(100);
/// Where `CLOCK_REALTIME` begins: 2026. For people only.
const YEAR_2026_NS: u64 = 1_767_225_600_000_000_000;

/// One life of a daemon, from its start to its end.
pub(super) async fn daemon(cluster: Rc<Cluster>, host: usize) {
    let start_up = pick(&cluster, START_UP_US);
    SimRuntime::sleep(start_up).await;
    let started = match start(&cluster, host).await {
        Ok(started) => started,
        Err(text) => {
            return cluster.expect(Err(Violation {
                check: "starts",
                text,
            }));
        }
    };
    let (driver, inbox) = started;
    driver.run(inbox).await;
}

fn pick(cluster: &Cluster, range: std::ops::Range<u64>) -> Duration {
    Duration::from_micros(cluster.dice.borrow_mut().between(range.start, range.end))
}

struct Driver {
    cluster: Rc<Cluster>,
    host: usize,
    node: Node,
    consensus: Rc<Consensus<SimRuntime>>,
    /// Entries of its present leadership whose outcome it has not heard.
    on_their_way: BTreeMap<ProposalId, (LeaderId, Entry)>,
}

async fn start(
    cluster: &Rc<Cluster>,
    host: usize,
) -> Result<(Driver, mpsc::UnboundedReceiver<Event>), String> {
    let place = &cluster.hosts[host];
    let fresh = place.fresh_voter();
    let store = Store::with_backend(place.disk.open(), fresh)
        .map_err(|error| format!("{}'s store does not open: {error:?}", place.name))?;
    let starts = store.number("starts").unwrap_or(0) + 1;
    store
        .set_number("starts", starts)
        .map_err(|error| error.to_string())?;
    let chance = cluster.dice.borrow_mut().between(0, 1 << 16);
    let cluster_id = if store.is_blank() {
        ClusterId(0)
    } else {
        ClusterId::UNKNOWN
    };
    let sender = Sender {
        node: place.name.clone(),
        voter: store.voter(),
        process: ProcessId(starts << 32 | chance),
        cluster: cluster_id,
    };
    let identity = Identity {
        sender: sender.clone(),
        gate: "bpf".to_owned(),
        supervised: false,
    };
    let inherited = &cluster.inherits(host, store.is_blank());
    let known = match cluster.planted {
        Some(planted) => planted.known(inherited),
        None => inherited.clone(),
    };
    let mut node = Node::new(identity, cluster.config.clone(), &known, clocks());
    if let Some(plant) = cluster.planted.and_then(crate::plant::Planted::in_core) {
        node.plant(plant);
    }
    let (inbox, events) = mpsc::unbounded_channel();
    let deliver = inbox.clone();
    let (planted, later) = (cluster.planted, starts > 1);
    let machine = Replica::new(move |mut event| {
        if let Some(planted) = planted {
            planted.distort(&mut event, later);
        }
        cluster::current().applied(host, &event);
        drop(deliver.send(event));
    });
    let transport = Arc::new(SimTransport { host });
    let consensus = Consensus::start(
        cluster.settings.clone(),
        store.voter(),
        store,
        transport,
        machine,
    );
    let consensus = consensus
        .await
        .map_err(|error| format!("{}: {error}", place.name))?;
    let consensus = Rc::new(consensus);
    place.becomes(sender, inbox, Rc::clone(&consensus), inherited);
    follow(cluster, host, &consensus);
    Ok((
        Driver {
            cluster: Rc::clone(cluster),
            host,
            node,
            consensus,
            on_their_way: BTreeMap::new(),
        },
        events,
    ))
}

/// Tells the core who leads, and the run where the consensus ends by itself.
fn follow(cluster: &Rc<Cluster>, host: usize, consensus: &Rc<Consensus<SimRuntime>>) {
    let node = cluster.hosts[host].node;
    let (world, engine) = (Rc::clone(cluster), Rc::clone(consensus));
    drop(spawn_on(node, async move {
        let mut watch = engine.leadership();
        while let Some(leadership) = watch.changed().await {
            if let Some(leader) = leadership.leader.filter(|_| leadership.leads) {
                world.note_at(host, format!("leads as {leader}"));
                world
                    .checks
                    .borrow_mut()
                    .quorum_clock
                    .leads(leader, world.kernel.now());
            }
            world.hosts[host].push(Event::Leadership(leadership));
        }
    }));
    let (world, engine) = (Rc::clone(cluster), Rc::clone(consensus));
    drop(spawn_on(node, async move {
        let failure = engine.failed().await;
        let text = format!("{}: {failure}", world.hosts[host].name);
        world.expect(Err(Violation {
            check: "engine",
            text,
        }));
    }));
}

/// The clocks of the running node. `boot` is read first, as the daemon does.
fn clocks() -> Now {
    here(|now, clocks| Now {
        boot: BootTime(clocks.boot.read(now)),
        mono: MonoTime(clocks.mono.read(now)),
        raw: RawTime(clocks.raw.read(now)),
        wall: WallTime(YEAR_2026_NS + now),
    })
}

impl Driver {
    async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Event>) {
        self.say_ready();
        loop {
            let deadline = SimInstant(self.node.next_deadline(clocks()).0);
            let mut events = match SimRuntime::timeout_at(deadline, inbox.recv()).await {
                Ok(Some(event)) => vec![event],
                Ok(None) => return,
                Err(_) => Vec::new(),
            };
            events.extend(std::iter::from_fn(|| inbox.try_recv().ok()));
            let now = self.read_clocks().await;
            for event in &events {
                if let Event::Proposed { proposal, outcome } = event
                    && *outcome == Err(ProposeError::Refused)
                {
                    self.on_their_way.remove(proposal);
                }
            }
            let commands = self.node.handle(now, events);
            self.cluster.hosts[self.host].speaks_as(self.node.sender());
            if self.cluster.hosts[self.host].takes_the_question() {
                self.show(now);
            }
            for command in commands {
                if begins_a_move(&command) {
                    self.cluster.steps.a_move_begins();
                }
                if self.cluster.takes_step(self.host) {
                    yield_once().await;
                }
                self.pause_point().await;
                if command == Command::Exit {
                    return self.exit().await;
                }
                self.execute(command);
            }
        }
    }

    /// A daemon can be stopped between reading one clock and the next, and before it acts on what it read.
    async fn read_clocks(&self) -> Now {
        let first = clocks();
        self.pause_point().await;
        let rest = clocks();
        self.pause_point().await;
        Now {
            boot: first.boot,
            ..rest
        }
    }

    /// Where a fault may strike in the middle of an event.
    async fn pause_point(&self) {
        let interrupt = self.cluster.hosts[self.host].take_interrupt();
        let Some(interrupt) = interrupt else { return };
        match interrupt {
            Interrupt::Freeze(length) => self.cluster.freeze(self.host, length),
            Interrupt::Kill(later) => {
                // Stands still until the kill, which cannot come from its own task.
                self.cluster
                    .kernel
                    .set_stopped(self.cluster.hosts[self.host].node, true);
                let (cluster, host) = (Rc::clone(&self.cluster), self.host);
                after(Duration::ZERO, move || {
                    cluster.note_at(host, "daemon killed in the middle of an event".into());
                    cluster.kill_and_restart(host, later);
                });
            }
        }
        yield_once().await;
    }

    fn say_ready(&self) {
        let me = &self.cluster.hosts[self.host].name;
        let spec = &self.cluster.config.spec;
        if spec.node(me).is_none_or(|node| node.role == Role::Witness) {
            return;
        }
        for group in &spec.groups {
            for resource in &group.resources {
                let (group, resource) = (group.name.clone(), resource.name.clone());
                let ready = Event::Ready {
                    group,
                    resource,
                    ready: Ok(()),
                };
                self.cluster.hosts[self.host].push(ready);
            }
        }
    }

    /// What an operator who asks here would be shown.
    fn show(&self, now: Now) {
        let status = self.node.status(now);
        let (state, _) = self.node.state();
        if status.quorate {
            let spec = &self.cluster.config.spec;
            self.cluster.expect(check::marks(spec, state, &status));
        }
    }

    fn execute(&mut self, command: Command) {
        self.cluster.clone().ambush(self.host, &command);
        let place = &self.cluster.hosts[self.host];
        match command {
            Command::Gate { group, until } => self.write_gate(&group, until),
            Command::Resource {
                group,
                resource,
                up,
                ..
            } => self.set_resource(group, &resource.name, up),
            Command::HandsOff { group, on } => {
                for (resource, up) in place.hands_off(&group, on) {
                    self.set_resource(group.clone(), &resource, up);
                }
            }
            Command::Announce { .. } | Command::Exit => {}
            Command::Send { to, message } => self.cluster.send_frame(self.host, &to, &message),
            Command::Answer { via, message } => self.cluster.answer(self.host, via, &message),
            Command::Propose {
                proposal,
                leader,
                entry,
            } => self.propose(proposal, leader, entry),
            Command::Transfer { to } => {
                self.cluster
                    .note_at(self.host, format!("hands leadership to {to}"));
                let consensus = Rc::clone(&self.consensus);
                drop(spawn_on(place.node, async move {
                    drop(consensus.transfer(to).await)
                }));
            }
            Command::ReplaceVoter { node, old, new } => self.replace_voter(node, old, new),
            Command::Form { voters } => {
                self.cluster
                    .note_at(self.host, format!("forms the cluster with {voters:?}"));
                let consensus = Rc::clone(&self.consensus);
                drop(spawn_on(place.node, async move {
                    drop(consensus.form(voters).await)
                }));
            }
            Command::Reply { request, reply } => {
                self.cluster
                    .note_at(self.host, format!("answers an operator: {reply:?}"));
                place.reply(request, reply);
            }
            Command::Log { text, .. } => self.cluster.note_at(self.host, text),
        }
    }

    fn write_gate(&self, group: &GroupName, until: BootTime) {
        let (cluster, host) = (&self.cluster, self.host);
        let (state, _) = self.node.state();
        let boot = cluster.boot(host);
        let (was_open, was_held) = {
            let gates = &cluster.checks.borrow().single_owner;
            (gates.is_open(group, host, boot), gates.is_held(group, host))
        };
        let opens = until > boot;
        cluster.history.count(until.0);
        if opens != was_open {
            let epoch = state.groups.get(group).map_or(0, |group| group.epoch.0);
            let word = if opens { "opens" } else { "shuts" };
            cluster.note_at(host, format!("gate of {group} {word} (epoch {epoch})"));
        }
        if opens {
            let name = &cluster.hosts[host].name;
            cluster.expect(DecidedMoves::gate_opens(name, group, state, was_held));
        }
        cluster.write_gate(host, group, until);
    }

    fn set_resource(&self, group: GroupName, resource: &ResourceName, up: bool) {
        let (cluster, host, name) = (Rc::clone(&self.cluster), self.host, resource.clone());
        let wish = cluster.hosts[host].wishes(&group, &name, up);
        let takes = pick(&cluster, ADDRESS_US);
        drop(spawn_on(cluster.hosts[host].node, async move {
            SimRuntime::sleep(takes).await;
            if let Some(is_up) = cluster.hosts[host].fulfils(&group, &name, wish) {
                let status = if is_up {
                    ResourceStatus::Up("up".into())
                } else {
                    ResourceStatus::Down
                };
                cluster.hosts[host].push(Event::Resource {
                    group,
                    resource: name,
                    status,
                });
            }
        }));
    }

    fn propose(&mut self, proposal: ProposalId, leader: LeaderId, mut entry: Entry) {
        let (cluster, host) = (Rc::clone(&self.cluster), self.host);
        if let Some(planted) = cluster.planted {
            planted.spoil(&mut entry);
        }
        cluster.note_at(host, format!("proposes {}", told(&entry)));
        self.judge(proposal, leader, &entry);
        let consensus = Rc::clone(&self.consensus);
        drop(spawn_on(cluster.hosts[host].node, async move {
            let outcome = consensus.propose(leader, entry.encode()).await;
            if let Ok(index) = outcome {
                cluster.expect(
                    cluster
                        .checks
                        .borrow_mut()
                        .decided_moves
                        .acknowledged(index, entry.id),
                );
            }
            SimRuntime::sleep(BETWEEN_THREADS).await;
            cluster.hosts[host].push(Event::Proposed { proposal, outcome });
        }));
    }

    /// What a leader decides, by the state that it has applied.
    fn judge(&mut self, proposal: ProposalId, leader: LeaderId, entry: &Entry) {
        let (spec, (state, _)) = (&self.cluster.config.spec, self.node.state());
        for step in &entry.steps {
            if let Step::Move(change) = step {
                self.cluster
                    .expect(check::takes_in_turn(spec, state, change));
            }
        }
        self.on_their_way
            .retain(|_, (of, entry)| *of == leader && !state.commands.contains(&entry.id));
        let others: Vec<&Entry> = self.on_their_way.values().map(|(_, entry)| entry).collect();
        let right = check::makes_no_wrong(spec, state, entry, &others);
        self.cluster.expect(right);
        self.on_their_way.insert(proposal, (leader, entry.clone()));
    }

    fn replace_voter(&self, node: NodeName, old: Option<VoterId>, new: VoterId) {
        let (cluster, host) = (Rc::clone(&self.cluster), self.host);
        cluster.note_at(host, format!("replaces {node}'s voter {old:?} by {new}"));
        let consensus = Rc::clone(&self.consensus);
        drop(spawn_on(cluster.hosts[host].node, async move {
            let replaced = consensus.replace_voter(old, new, node.clone()).await;
            cluster.note_at(host, format!("replacing {node}'s voter: {replaced:?}"));
        }));
    }

    async fn exit(self) {
        self.cluster
            .note_at(self.host, "daemon ends as asked".into());
        self.consensus.shutdown().await;
        let (cluster, host) = (Rc::clone(&self.cluster), self.host);
        after(Duration::ZERO, move || cluster.end_daemon(host));
        std::future::pending::<()>().await;
    }
}

/// Lets other tasks run; where the node was stopped meanwhile, returns only when it goes on.
async fn yield_once() {
    let mut yielded = false;
    poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Whether a leader decides to take a group from its owner.
pub(crate) fn begins_a_move(command: &Command) -> bool {
    let Command::Propose { entry, .. } = command else {
        return false;
    };
    let mut steps = entry.steps.iter();
    steps.any(|step| matches!(step, Step::Move(change) if change.from.is_some()))
}

/// An entry in one line.
fn told(entry: &Entry) -> String {
    let steps = entry.steps.iter().map(|step| match step {
        Step::Configure { config } => format!("configuration {}", config.hash),
        Step::Move(change) => {
            let name = |node: &Option<NodeName>| {
                node.as_ref()
                    .map_or_else(|| "nobody".to_owned(), ToString::to_string)
            };
            format!(
                "move {} e{} from {} to {}{} ({})",
                change.group,
                change.epoch.next(),
                name(&change.from),
                name(&change.to),
                if change.released {
                    ""
                } else {
                    ", not released"
                },
                change.reason,
            )
        }
        other => format!("{other:?}"),
    });
    steps.collect::<Vec<_>>().join("; ")
}

impl Cluster {
    /// An entry was applied on a host.
    fn applied(self: &Rc<Self>, host: usize, event: &Event) {
        let Event::Applied {
            index,
            leader,
            state,
        } = event
        else {
            return;
        };
        let place = &self.hosts[host];
        place.inner.borrow_mut().applied = *index;
        self.takes_step(host);
        let in_turn = self
            .checks
            .borrow_mut()
            .fifo
            .applied(&place.name, *index, state);
        if in_turn == Ok(true) {
            self.note_at(
                host,
                format!("the model of the queues begins anew at {index}"),
            );
        }
        self.expect(in_turn.map(drop));
        let checked =
            self.checks
                .borrow_mut()
                .decided_moves
                .applied(&place.name, *index, *leader, state);
        if checked.is_ok() && place.is_up() {
            let owners: BTreeMap<_, _> = state
                .groups
                .iter()
                .map(|(name, group)| {
                    let owner = group.owner.as_ref().map_or("-", |owner| owner.as_str());
                    (name.as_str(), format!("{owner} e{}", group.epoch))
                })
                .collect();
            self.note_at(host, format!("applied {index}: {owners:?}"));
        }
        self.expect(checked);
    }
}
