//! From `exec` to the loop, and the end where the disk fails.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use had_consensus::{Consensus, Machine, Replica, Settings, Store};
use had_core::ids::{ClusterId, LeaderId, NodeName, ProcessId, VoterId};
use had_core::message::Sender;
use had_core::node::Node;
use had_core::ports::{Event, Identity};
use had_core::state::Configuration;
use openraft_rt::AsyncRuntime;
use tokio::sync::mpsc;

use super::super::links::SimTransport;
use super::{Driver, clocks};
use crate::check::Violation;
use crate::cluster::{self, Cluster};
use crate::plant::{Planted, without_queues};
use crate::runtime::{SimRuntime, spawn_on};

/// What the real daemon waits before it ends with a failed store: others hear meanwhile that it has shut everything.
const HAND_OVER: Duration = Duration::from_millis(500);

type Started = (Driver, mpsc::UnboundedReceiver<Event>);

/// Starts a daemon, or ends it where its disk does not let it: then it is started again later.
pub(super) async fn start(cluster: &Rc<Cluster>, host: usize) -> Option<Started> {
    let refused = match try_start(cluster, host).await {
        Ok(started) => return Some(started),
        Err(refused) => refused,
    };
    let place = &cluster.hosts[host];
    if place.disk.has_failed() {
        cluster.note_at(host, format!("daemon does not start: {refused}"));
        cluster.end_and_start_again(host);
    } else {
        cluster.expect(Err(Violation {
            check: "starts",
            text: format!("{}: {refused}", place.name),
        }));
    }
    None
}

/// Its store, and how often it was started so far.
fn open_store(cluster: &Cluster, host: usize) -> Result<(Store, u64), String> {
    let place = &cluster.hosts[host];
    let fresh = place.fresh_voter(cluster.planted);
    let store = Store::with_backend(place.disk.open(), fresh)
        .map_err(|error| format!("the store does not open: {error:?}"))?;
    place.disk.is_whole();
    let starts = store.number("starts").unwrap_or(0) + 1;
    store
        .set_number("starts", starts)
        .map_err(|error| error.to_string())?;
    Ok((store, starts))
}

async fn try_start(cluster: &Rc<Cluster>, host: usize) -> Result<Started, String> {
    let place = &cluster.hosts[host];
    let (store, starts) = open_store(cluster, host)?;
    let chance = cluster.dice.borrow_mut().between(0, 1 << 16);
    let cluster_id = if store.is_blank() {
        ClusterId(0)
    } else {
        ClusterId::UNKNOWN
    };
    let sender = Sender {
        node: place.known_as(),
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
    let file = place.file();
    let mut node = Node::new(identity, Configuration::clone(&file), &known, clocks());
    if let Some(plant) = cluster.planted.and_then(Planted::in_core) {
        node.plant(plant);
    }
    let (inbox, events) = mpsc::unbounded_channel();
    let deliver = inbox.clone();
    let (planted, later) = (cluster.planted, starts > 1);
    let replica = Replica::new(move |mut event| {
        if let Some(planted) = planted {
            planted.distort(&mut event, later);
        }
        cluster::current().applied(host, &event);
        drop(deliver.send(event));
    });
    let forgets = planted == Some(Planted::QueueLostInASnapshot);
    let machine = Forgetful { replica, forgets };
    let transport = Arc::new(SimTransport { host });
    let settings = Settings {
        timing: file.spec.timing,
        ..cluster.settings.clone()
    };
    let consensus = Consensus::start(settings, store.voter(), store, transport, machine).await;
    if consensus.is_err() {
        cluster.let_go_of_everything(host);
    }
    let consensus = Rc::new(consensus.map_err(|error| error.to_string())?);
    place.becomes(sender, inbox, Rc::clone(&consensus), inherited);
    follow(cluster, host, &consensus);
    Ok((
        Driver {
            cluster: Rc::clone(cluster),
            host,
            node,
            consensus,
            known: None,
            mine: BTreeSet::new(),
            read: clocks(),
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
        if world.hosts[host].disk.has_failed() {
            return give_up(&world, host, &failure.to_string()).await;
        }
        let text = format!("{}: {failure}", world.hosts[host].name);
        world.expect(Err(Violation {
            check: "engine",
            text,
        }));
    }));
}

/// The disk takes nothing any more: the daemon hands over what it owns, shuts everything and ends, as the real one does.
async fn give_up(cluster: &Rc<Cluster>, host: usize, failure: &str) {
    cluster.note_at(host, format!("gives up what it owns: {failure}"));
    cluster.hosts[host].push(Event::StoreFailed(failure.to_owned()));
    SimRuntime::sleep(HAND_OVER).await;
    cluster.note_at(host, "daemon ends: its disk failed".into());
    cluster.let_go_of_everything(host);
    cluster.end_and_start_again(host);
    // It is ended from outside.
    std::future::pending::<()>().await;
}

/// A replica, and the plant of one whose snapshots leave out the queues.
struct Forgetful<F> {
    replica: Replica<F>,
    forgets: bool,
}

impl<F: FnMut(Event) + Send + 'static> Machine for Forgetful<F> {
    fn apply(
        &mut self,
        index: u64,
        leader: LeaderId,
        payload: Option<&[u8]>,
    ) -> Result<(), String> {
        self.replica.apply(index, leader, payload)
    }

    fn voters(&mut self, index: u64, voters: &BTreeMap<VoterId, NodeName>) {
        self.replica.voters(index, voters);
    }

    fn snapshot(&self) -> Vec<u8> {
        let snapshot = self.replica.snapshot();
        if self.forgets {
            without_queues(&snapshot)
        } else {
            snapshot
        }
    }

    fn restore(&mut self, index: u64, leader: LeaderId, snapshot: &[u8]) -> Result<(), String> {
        self.replica.restore(index, leader, snapshot)
    }
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
            .applied(&place.known_as(), *index, state);
        if in_turn == Ok(true) {
            self.note_at(
                host,
                format!("the model of the queues begins anew at {index}"),
            );
        }
        self.expect(in_turn.map(drop));
        let checked = self.checks.borrow_mut().decided_moves.applied(
            &place.known_as(),
            *index,
            *leader,
            state,
        );
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
