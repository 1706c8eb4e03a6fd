//! A rotating queue keeps its order, at whatever step of a move a daemon is killed.
//!
//! Four nodes, one rotating group, a quiet network. A move is begun; at its step k (a command executed, an entry applied, a
//! message delivered) somebody is ended and comes back. That is tried for every k until the move is over, for a move that an
//! operator asked for and for one that the loss of the owner brings. The model of `check::fifo` is compared with every
//! applied state meanwhile; here the queue at the end is compared with the one before the move.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use had_core::ids::{GroupName, NodeName};
use had_core::ports::{Reply, Request};
use had_core::spec::{PolicySpec, Role};
use had_core::state::Configuration;
use had_sim::cluster::Cluster;
use had_sim::faults::{CommandIds, Strike, ask};
use had_sim::plant::Planted;
use had_sim::run::quiet;
use had_sim::runtime::{Dice, SimRuntime, WORLD, after, spawn_on};
use had_sim::spec;
use had_sim::story::LEASE;
use openraft_rt::AsyncRuntime;

/// Back before anybody is declared lost.
const AT_ONCE: Duration = Duration::from_millis(20);
/// Back long after that: a lease is 300 ms.
const LATE: Duration = Duration::from_millis(900);
/// A lost owner is away for longer than a new leader holds everybody for leased.
const LOST: Duration = Duration::from_millis(1_800);
/// Looks at a cluster that should get somewhere.
const LOOK: Duration = Duration::from_millis(5);
/// Any: what happens by chance happens alike in all runs, up to the strike.
const SEED: u64 = 3;
/// Lines of history that lead up to a broken promise.
const LEAD_UP: usize = 120;
/// Until an owner is declared lost, hundreds of renewals pass that are all alike: one in so many is tried.
const STRIDE: usize = 37;
/// How often an operator asks who wants to get through.
const TRIES: u32 = 12;

/// How the move is begun.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Begun {
    /// An operator asks for a failover.
    Asked,
    /// The owner's host loses its power; steps count from when a leader decides on the takeover.
    Lost,
    /// The same; steps count from the loss.
    Waiting,
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
    /// Steps until the move was over, where nobody struck.
    steps: u64,
    /// Who was struck.
    struck: Vec<NodeName>,
    /// Who was declared lost meanwhile, at whatever time.
    lost: BTreeSet<NodeName>,
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

/// To the next in the queue, asked of the leader first.
async fn failover(cluster: Rc<Cluster>, ids: Rc<RefCell<CommandIds>>, tries: u32) -> Option<Reply> {
    let what = Request::Failover {
        group: group(),
        to: None,
    };
    let (first, id) = (cluster.leading(), ids.borrow_mut().draw());
    ask(cluster, Dice::new(7, 7), first, tries, id, what).await
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
    drop(failover(Rc::clone(&cluster), Rc::clone(&ids), TRIES).await);
    until(&cluster, "it has moved once", is_well).await;
    let before = place(&cluster);
    told.borrow_mut().before = before.clone();
    note_the_lost(&cluster, &told);
    cluster.steps.count(begun == Begun::Lost);
    if let Some((step, strike, back)) = strike {
        cluster.steps.strike(step, strike, back);
    }
    begin(&cluster, begun, &before, &ids);
    let former = before.owner;
    let moved = move |cluster: &Cluster| cluster.runs().is_ok() && place(cluster).owner != former;
    if strike.is_none() {
        until(&cluster, "it moves", moved).await;
        told.borrow_mut().steps = cluster.steps.taken();
    } else {
        until(&cluster, "the strike comes", |cluster| {
            !cluster.steps.struck().is_empty()
        })
        .await;
        // What it ended is away, and nobody takes the time before for the time after: an owner that is back within its lease
        // runs all the while, and what was on its way when its leader ended is decided by the next.
        SimRuntime::sleep(LEASE * 2).await;
        let struck = cluster.steps.struck().into_iter();
        told.borrow_mut().struck = struck
            .map(|host| cluster.hosts[host].name.clone())
            .collect();
    }
    until(&cluster, "all is well again", is_well).await;
    told.borrow_mut().after = place(&cluster);
    // A leader that was only just elected has not heard everybody, and refuses.
    SimRuntime::sleep(LEASE).await;
    let reply = failover(Rc::clone(&cluster), ids, TRIES).await;
    assert!(matches!(reply, Some(Reply::Done { .. })), "{reply:?}");
    until(&cluster, "it has moved once more", is_well).await;
    told.borrow_mut().next = place(&cluster);
}

/// Notes who is declared lost, from here on.
fn note_the_lost(cluster: &Rc<Cluster>, told: &Rc<RefCell<Told>>) {
    cluster.stand(|stand| {
        let nodes = stand.state.nodes.iter();
        let lost = nodes.filter(|(_, node)| node.lost);
        told.borrow_mut()
            .lost
            .extend(lost.map(|(name, _)| name.clone()));
    });
    let (world, told) = (Rc::clone(cluster), Rc::clone(told));
    after(LOOK, move || note_the_lost(&world, &told));
}

fn begin(cluster: &Rc<Cluster>, begun: Begun, before: &Place, ids: &Rc<RefCell<CommandIds>>) {
    match begun {
        Begun::Asked => {
            drop(spawn_on(
                WORLD,
                failover(Rc::clone(cluster), Rc::clone(ids), 1),
            ));
        }
        Begun::Lost | Begun::Waiting => {
            let owner = before
                .owner
                .as_ref()
                .and_then(|owner| cluster.host_of(owner));
            let owner = owner.expect("the group runs");
            cluster.power_off(owner);
            let cluster = Rc::clone(cluster);
            after(LOST, move || cluster.power_on(owner));
        }
    }
}

/// One run.
///
/// # Errors
/// A promise that was broken in it, with what led to it.
fn tried(
    begun: Begun,
    strike: Option<(u64, Strike, Duration)>,
    planted: Option<Planted>,
) -> Result<Told, String> {
    let told = Rc::new(RefCell::new(Told::default()));
    let outcome = quiet(SEED, config(), planted, |cluster| {
        story(cluster, begun, strike, Rc::clone(&told))
    });
    match outcome.broken {
        None => Ok(told.take()),
        Some(broken) => {
            let history = outcome.history.iter().map(ToString::to_string);
            let history: Vec<String> = history.collect();
            let lead_up = &history[history.len().saturating_sub(LEAD_UP)..];
            Err(format!("{}\n{broken}", lead_up.join("\n")))
        }
    }
}

/// One run in which every promise is kept.
fn run(begun: Begun, strike: Option<(u64, Strike, Duration)>) -> Told {
    let tried = tried(begun, strike, None);
    tried.unwrap_or_else(|broken| panic!("{begun:?}, {strike:?}:\n{broken}"))
}

/// Strikes at every step, or at every few; `right` judges how it ended, besides what always holds.
fn at_every_step(
    begun: Begun,
    strike: Strike,
    back: Duration,
    stride: usize,
    right: impl Fn(&Told) -> bool,
) {
    let steps = run(begun, None).steps;
    assert!(steps > 20, "a move takes more than {steps} steps");
    let mut moved = 0;
    for step in (0..steps).step_by(stride) {
        let told = run(begun, Some((step, strike, back)));
        assert!(first_in_first_out(&told), "step {step}: {told:?}");
        assert_eq!(told.next, rotated(&told.after), "step {step}: {told:?}");
        assert!(right(&told), "step {step}: {told:?}");
        moved += u64::from(told.after.owner != told.before.owner);
    }
    assert!(moved > 0, "the move never came about in {steps} steps");
}

/// Whoever stood by all the time has kept its order; all others, the former owner too, are behind.
fn first_in_first_out(told: &Told) -> bool {
    let (before, after) = (&told.before, &told.after);
    let kept = before
        .queue
        .iter()
        .filter(|node| !told.lost.contains(node) && after.owner.as_ref() != Some(*node));
    let kept: Vec<NodeName> = kept.cloned().collect();
    after.queue.starts_with(&kept) && after.queue.len() == before.queue.len()
}

/// After one move to the head of the queue.
fn rotated(place: &Place) -> Place {
    let (head, rest) = place.queue.split_first().expect("somebody stands by");
    Place {
        owner: Some(head.clone()),
        queue: rest.iter().chain(&place.owner).cloned().collect(),
    }
}

/// Nobody was lost: the move came about, or it did not.
fn once_or_not_at_all(told: &Told) -> bool {
    told.lost.is_empty() && (told.after == told.before || told.after == rotated(&told.before))
}

/// The former owner was lost, and is back behind all others; nobody else was.
fn taken_over(told: &Told) -> bool {
    told.lost.iter().eq(&told.before.owner) && told.after == rotated(&told.before)
}

/// The former owner, whoever was struck, or both were lost; nobody else was.
fn no_other_is_lost(told: &Told) -> bool {
    let away = |node| told.struck.contains(node) || told.before.owner.as_ref() == Some(node);
    told.lost.iter().all(away)
}

#[test]
fn whoever_takes_a_step_of_a_failover_is_killed() {
    at_every_step(Begun::Asked, Strike::Taker, AT_ONCE, 1, once_or_not_at_all);
}

#[test]
fn whoever_takes_a_step_of_a_failover_loses_power_for_a_while() {
    at_every_step(Begun::Asked, Strike::TakersHost, LATE, 1, no_other_is_lost);
}

#[test]
fn the_leader_changes_within_a_failover() {
    at_every_step(Begun::Asked, Strike::Leader, AT_ONCE, 1, once_or_not_at_all);
}

#[test]
fn every_daemon_is_restarted_within_a_failover() {
    at_every_step(Begun::Asked, Strike::All, AT_ONCE, 1, once_or_not_at_all);
}

#[test]
fn whoever_takes_a_step_of_a_takeover_is_killed() {
    at_every_step(Begun::Lost, Strike::Taker, AT_ONCE, 1, taken_over);
}

#[test]
fn whoever_takes_a_step_of_a_takeover_loses_power_for_a_while() {
    at_every_step(Begun::Lost, Strike::TakersHost, LATE, 1, no_other_is_lost);
}

#[test]
fn the_leader_changes_within_a_takeover() {
    at_every_step(Begun::Lost, Strike::Leader, AT_ONCE, 1, taken_over);
}

#[test]
fn every_daemon_is_restarted_within_a_takeover() {
    at_every_step(Begun::Lost, Strike::All, AT_ONCE, 1, taken_over);
}

#[test]
fn whoever_takes_a_step_while_an_owner_is_not_yet_lost_is_killed() {
    at_every_step(Begun::Waiting, Strike::Taker, AT_ONCE, STRIDE, taken_over);
}

#[test]
fn a_queue_that_forgets_its_order_is_seen() {
    for begun in [Begun::Asked, Begun::Lost] {
        let planted = Some(Planted::QueueForgetsItsOrder);
        let broken = tried(begun, None, planted).expect_err("the queue is out of its order");
        assert!(broken.contains("fifo"), "{broken}");
    }
}

#[test]
fn a_queue_that_is_lost_in_a_restart_is_seen() {
    for strike in [Strike::Taker, Strike::All] {
        let planted = Some(Planted::QueueLostInARestart);
        let broken = tried(Begun::Asked, Some((0, strike, AT_ONCE)), planted)
            .expect_err("the queue is the file's again");
        assert!(broken.contains("fifo"), "{broken}");
    }
}
