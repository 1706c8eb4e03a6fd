//! rotating-standby: first in, first out, across changes of leader and restarts.

use std::collections::VecDeque;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use had_netns::forecast::lose;
use had_netns::history::events;
use had_netns::watch::Watch;
use had_rig::cluster::{SETTLE, Status, vip_of};
use had_rig::{Cluster, ClusterSpec, GroupText, until};

const NODES: [&str; 5] = ["h1", "h2", "h3", "h4", "h5"];

/// What first in, first out means, written down once more.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Queue {
    owner: String,
    waiting: VecDeque<String>,
}

impl Queue {
    fn new(nodes: &[&str]) -> Self {
        let mut waiting: VecDeque<String> = nodes.iter().map(|node| (*node).to_owned()).collect();
        let owner = waiting.pop_front().unwrap_or_default();
        Self { owner, waiting }
    }

    /// A node is lost or drained: the head follows the owner, anybody else leaves its place.
    fn leaves(&mut self, node: &str) {
        if self.owner == node {
            self.owner = self.waiting.pop_front().unwrap_or_default();
        }
        self.waiting.retain(|waiting| waiting != node);
    }

    /// It is back: behind all others.
    fn comes(&mut self, node: &str) {
        self.waiting.push_back(node.to_owned());
    }

    /// An operator moves the group: the node leaves its place, the owner goes to the tail.
    fn moved(&mut self, to: &str) {
        self.waiting.retain(|waiting| waiting != to);
        let old = std::mem::replace(&mut self.owner, to.to_owned());
        self.waiting.push_back(old);
    }

    fn is(&self, status: &Status) -> bool {
        let group = status.group("queue");
        group.is_some_and(|group| {
            group.running_on() == Some(&self.owner) && self.waiting.iter().eq(&group.next)
        })
    }

    /// Every node shows the queue as it is here, and its owner serves.
    fn stands(&self, cluster: &mut Cluster, watch: &Watch) -> Result<()> {
        println!("{} serves, waiting {:?}", self.owner, self.waiting);
        let what = format!("{self:?}");
        cluster.wait_everywhere(&what, SETTLE, |status| status.quorate && self.is(status))?;
        cluster.answers(&watch.client, &self.owner).map(|_| ())
    }
}

/// A cluster with a queue, a watch on it, and the model of it.
struct Tale {
    cluster: Cluster,
    watch: Watch,
    queue: Queue,
    losses: usize,
}

impl Tale {
    fn begin(nodes: u8, links: u8) -> Result<Self> {
        let names = &NODES[..usize::from(nodes)];
        let mut cluster = Cluster::settled(ClusterSpec {
            links,
            ..ClusterSpec::of(
                nodes,
                vec![GroupText::rotating_standby("queue", vip_of(0), names)],
            )
        })?;
        let watch = Watch::of(&mut cluster, "queue")?;
        let queue = Queue::new(names);
        queue.stands(&mut cluster, &watch)?;
        Ok(Self {
            cluster,
            watch,
            queue,
            losses: 0,
        })
    }

    fn lose(&mut self, node: &str) -> Result<()> {
        let asked = self.cluster.alive()?;
        let asked = asked.into_iter().find(|one| one != node);
        let asked = asked.context("another node")?;
        let last = self.last_event(&asked)?;
        let (forecast, _) = lose(&mut self.cluster, &[&self.watch], node)?;
        self.is_recorded_as_lost(&asked, node, last)?;
        self.queue.leaves(node);
        self.losses += 1;
        let heir = forecast.fate("queue")?.after.as_ref();
        ensure!(
            heir == Some(&self.queue.owner),
            "{heir:?} was foreseen, due is {:?}",
            self.queue
        );
        self.queue.stands(&mut self.cluster, &self.watch)
    }

    /// The place in the queue goes with the record of the loss, which a leader makes that is new itself a lease later.
    fn is_recorded_as_lost(&mut self, asked: &str, node: &str, last: u64) -> Result<()> {
        until(&format!("{node} is recorded as lost"), SETTLE, || {
            let recorded = events(&mut self.cluster, asked)?.into_iter().any(|event| {
                event.number > last
                    && event.node.as_deref() == Some(node)
                    && event.kind == "node-lost"
            });
            Ok(recorded.then_some(()))
        })
    }

    fn last_event(&mut self, asked: &str) -> Result<u64> {
        let events = events(&mut self.cluster, asked)?;
        Ok(events.last().map_or(0, |event| event.number))
    }

    fn lose_owner(&mut self) -> Result<String> {
        let owner = self.queue.owner.clone();
        self.lose(&owner).map(|()| owner)
    }

    fn bring_back(&mut self, node: &str) -> Result<()> {
        self.cluster.power_on(node)?;
        self.queue.comes(node);
        self.queue.stands(&mut self.cluster, &self.watch)
    }

    fn leader(&mut self) -> Result<String> {
        let owner = self.queue.owner.clone();
        let led = |status: &Status| status.quorate && status.leader.is_some();
        let status = self
            .cluster
            .wait_status(&owner, "somebody leads", SETTLE, led)?;
        status.leader.context("somebody leads")
    }

    /// Every daemon is killed and started again. Whoever is declared lost on the way has lost its place, as always.
    fn restart_all(&mut self) -> Result<()> {
        let owner = self.queue.owner.clone();
        let last = self.last_event(&owner)?;
        for node in self.cluster.names() {
            self.cluster.daemon(&node)?.kill()?;
        }
        for node in self.cluster.names() {
            self.cluster.start(&node)?;
        }
        for node in self.cluster.names() {
            self.cluster
                .wait_status(&node, "in order", SETTLE, Status::is_settled)?;
        }
        for event in events(&mut self.cluster, &owner)? {
            let node = event.node.filter(|_| event.number > last);
            match (node, event.kind.as_str()) {
                (Some(node), "node-lost" | "node-ended") => self.queue.leaves(&node),
                (Some(node), "node-online" | "node-back") => self.queue.comes(&node),
                _ => continue,
            }
            println!("while all were restarted: {}", event.text);
        }
        self.queue.stands(&mut self.cluster, &self.watch)
    }
}

pub(crate) fn first_in_first_out() -> Result<()> {
    let mut tale = Tale::begin(5, 1)?;
    let begin = Instant::now();
    // Back at the tail: not next.
    let first = tale.lose_owner()?;
    tale.bring_back(&first)?;
    // The head of those who wait is lost, then the owner: both are away, and come back in another order.
    let head = tale.queue.waiting[0].clone();
    tale.lose(&head)?;
    let second = tale.lose_owner()?;
    tale.bring_back(&second)?;
    tale.bring_back(&head)?;
    // Whoever leads is lost.
    let leader = tale.leader()?;
    tale.lose(&leader)?;
    ensure!(tale.leader()? != leader, "{leader} still leads");
    tale.bring_back(&leader)?;
    tale.restart_all()?;
    for _ in 0..2 {
        let owner = tale.lose_owner()?;
        tale.bring_back(&owner)?;
    }
    // By command: the others keep their places.
    let to = tale.queue.waiting[2].clone();
    let owner = tale.queue.owner.clone();
    tale.cluster
        .insist(&owner, &["failover", "queue", "--to", &to])?;
    tale.queue.moved(&to);
    tale.queue.stands(&mut tale.cluster, &tale.watch)?;
    println!("{} losses in {:?}", tale.losses, begin.elapsed());
    Ok(())
}

/// A head that could not serve is passed over, and is the head again when it can.
pub(crate) fn vetoed_head() -> Result<()> {
    let mut tale = Tale::begin(4, 2)?;
    let head = tale.queue.waiting[0].clone();
    tale.cluster.lab.carrier_down(&head, 0)?;
    let without = |status: &Status| {
        let group = status.group("queue");
        group.is_some_and(|group| group.next.len() == 2 && !group.next.contains(&head))
    };
    tale.cluster
        .wait_everywhere("the head cannot serve", SETTLE, without)?;
    let owner = tale.queue.owner.clone();
    let (forecast, _) = lose(&mut tale.cluster, &[&tale.watch], &owner)?;
    let heir = tale.queue.waiting.remove(1).context("a second one")?;
    ensure!(
        forecast.fate("queue")?.after.as_ref() == Some(&heir),
        "{forecast:#?}"
    );
    tale.queue.owner.clone_from(&heir);
    tale.cluster.runs_on("queue", &heir)?;
    tale.cluster.lab.heal(&head)?;
    tale.queue.stands(&mut tale.cluster, &tale.watch)?;
    tale.bring_back(&owner)?;
    ensure!(
        tale.lose_owner()? == heir && tale.queue.owner == head,
        "{:?}",
        tale.queue
    );
    Ok(())
}
