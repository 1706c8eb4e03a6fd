//! A rotating queue keeps its order, at whatever step of a move a daemon is killed.
//!
//! Four nodes, one rotating group, a quiet network. A move is begun; at its step k (a command executed, an entry applied, a
//! message delivered) somebody is ended and comes back. That is tried for every k until the move is over, for a move that an
//! operator asked for and for one that the loss of the owner brings. The model of `check::fifo` is compared with every
//! applied state meanwhile; here the queue at the end is compared with the one before the move.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use had_core::ids::{GroupName, NodeName};
use had_core::ports::{Reply, Request};
use had_core::spec::{PolicySpec, Role};
use had_core::state::Configuration;
use had_sim::cluster::Cluster;
use had_sim::faults::{CommandIds, Strike, ask};
use had_sim::run::quiet;
use had_sim::runtime::{Dice, SimRuntime, WORLD, spawn_on};
use had_sim::spec;
use openraft_rt::AsyncRuntime;

/// Back before anybody is declared lost.
const AT_ONCE: Duration = Duration::from_millis(20);
/// Back long after that: a lease is 300 ms.
const LATE: Duration = Duration::from_millis(900);
/// Looks at a cluster that should get somewhere.
const LOOK: Duration = Duration::from_millis(5);

/// How the move is begun.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Begun {
    /// An operator asks for a failover.
    Asked,
    /// The owner's host loses its power, and a leader takes it for lost.
    Lost,
}

/// Who is where, and who stands by.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Place {
    owner: Option<NodeName>,
    queue: Vec<NodeName>,
}

/// Before the move, after it, and after one more that an operator asked for.
#[derive(Clone, Debug, Default)]
struct Told {
    before: Place,
    after: Place,
    next: Place,
    /// Steps until the move was over.
    steps: u64,
    /// Whether the strike came before that.
    struck: bool,
}

fn config() -> Configuration {
    let names = ["h1", "h2", "h3", "h4"];
    let policy = PolicySpec::RotatingStandby {
        nodes: ["h3", "h1", "h4", "h2"].map(NodeName::from).to_vec(),
    };
    let nodes = names.map(|name| spec::node(name, Role::Member));
    spec::file(nodes, vec![spec::group(0, policy)])
}

fn group() -> GroupName {
    "g0".into()
}

fn place(cluster: &Cluster) -> Place {
    let looked = cluster.stand(|stand| {
        let decided = &stand.state.groups[&group()];
        Place {
            owner: decided.owner.clone(),
            queue: decided.queue.clone(),
        }
    });
    looked.unwrap_or_default()
}

/// Whether the group runs, every daemon is there, and nobody counts as lost.
fn is_well(cluster: &Cluster) -> bool {
    let nobody_lost = cluster.stand(|stand| stand.state.nodes.values().all(|node| !node.lost));
    cluster.runs().is_ok() && cluster.everybody_is_well() && nobody_lost == Some(true)
}

async fn until(cluster: &Rc<Cluster>, what: &str, is_so: impl Fn(&Cluster) -> bool) {
    // A second is many leases; a strike with all its consequences takes no more than three.
    for _ in 0..1_000 {
        if is_so(cluster) {
            return;
        }
        SimRuntime::sleep(LOOK).await;
    }
    panic!("not within 5 s: {what}");
}

/// To the next in the queue, asked of the leader.
async fn failover(cluster: Rc<Cluster>, ids: Rc<RefCell<CommandIds>>) -> Option<Reply> {
    let what = Request::Failover {
        group: group(),
        to: None,
    };
    let (first, id) = (cluster.leading(), ids.borrow_mut().draw());
    ask(cluster, Dice::new(7, 7), first, 1, id, what).await
}

async fn story(
    cluster: Rc<Cluster>,
    begun: Begun,
    strike: Option<(u64, Strike, Duration)>,
    told: Rc<RefCell<Told>>,
) {
    let ids = Rc::new(RefCell::new(CommandIds::default()));
    until(&cluster, "the group runs", is_well).await;
    // So that the queue is not merely the file's.
    drop(failover(Rc::clone(&cluster), Rc::clone(&ids)).await);
    until(&cluster, "it has moved once", is_well).await;
    let before = place(&cluster);
    told.borrow_mut().before = before.clone();
    match strike {
        Some((step, strike, back)) => cluster.steps.strike(step, strike, back),
        None => cluster.steps.count(),
    }
    match begun {
        Begun::Asked => drop(spawn_on(
            WORLD,
            failover(Rc::clone(&cluster), Rc::clone(&ids)),
        )),
        Begun::Lost => {}
    }
    let former = before.owner.clone();
    let moved = move |cluster: &Cluster| cluster.runs().is_ok() && place(cluster).owner != former;
    if strike.is_none() {
        until(&cluster, "it moves", moved).await;
        told.borrow_mut().steps = cluster.steps.taken();
    } else {
        until(&cluster, "the strike comes", |cluster| {
            !cluster.steps.waits()
        })
        .await;
        told.borrow_mut().struck = true;
        // The strike itself is over, and what it ended is away.
        SimRuntime::sleep(LOOK).await;
    }
    until(&cluster, "all is well again", is_well).await;
    told.borrow_mut().after = place(&cluster);
    drop(failover(Rc::clone(&cluster), ids).await);
    until(&cluster, "it has moved once more", is_well).await;
    told.borrow_mut().next = place(&cluster);
}
