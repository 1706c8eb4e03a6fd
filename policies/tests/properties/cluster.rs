//! A small cluster that carries out its plans. Its queues are kept as tickets: who joins draws the next number.

use std::collections::BTreeMap;
use std::time::Duration;

use had_policies::names::{GroupName, NodeName};
use had_policies::{Failback, GroupView, Plan, Presence, Scheme, View, failover, plan};

use super::eligible::{self, Owners};
use super::generate::{group_name, name};

/// Something happens.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    Silent(usize),
    Lost(usize),
    Back(usize),
    Drained(usize),
    Resumed(usize),
    Stopped(usize),
    Started(usize),
    Failover(usize, usize),
    Later(u64),
}

#[derive(Clone)]
pub(crate) struct Cluster {
    pub(crate) view: View,
    tickets: BTreeMap<(GroupName, NodeName), u64>,
    drawn: u64,
}

impl Cluster {
    /// Where every rotating group's queue starts in the order of the file.
    pub(crate) fn new(mut view: View) -> Self {
        for group in &mut view.groups {
            group.queue.clear();
        }
        let mut cluster = Self {
            view,
            tickets: BTreeMap::new(),
            drawn: 0,
        };
        for group in cluster.view.groups.clone() {
            for node in rotating(&group) {
                cluster.join(&group.name, &node);
            }
        }
        cluster
    }

    /// Plans and carries the plan out; the plan, and the view that it was made for.
    pub(crate) fn settle(&mut self) -> (View, Plan) {
        let before = self.view.clone();
        let plan = plan(&before);
        let owners: Owners = plan.decisions.iter().map(|one| one.owner.clone()).collect();
        for (number, owner) in owners.into_iter().enumerate() {
            self.hand_over(number, owner);
        }
        (before, plan)
    }

    /// The turn of a node in a group's queue.
    pub(crate) fn ticket(&self, group: &GroupName, node: &NodeName) -> Option<u64> {
        self.tickets.get(&(group.clone(), node.clone())).copied()
    }

    pub(crate) fn happens(&mut self, event: Event) {
        match event {
            Event::Silent(node) => self.presence(node, Presence::Silent),
            Event::Lost(node) => {
                self.presence(node, Presence::Lost);
                self.tickets
                    .retain(|(_, waiting), _| *waiting != name(node));
                for group in &mut self.view.groups {
                    group.pinned = group.pinned.take().filter(|pin| *pin != name(node));
                }
            }
            Event::Back(node) => {
                let stable_for = Duration::ZERO;
                self.presence(node, Presence::Online { stable_for });
                self.join_all(node);
            }
            Event::Drained(node) => {
                self.view.nodes[node].drained = true;
                self.tickets
                    .retain(|(_, waiting), _| *waiting != name(node));
            }
            Event::Resumed(node) => {
                self.view.nodes[node].drained = false;
                self.join_all(node);
            }
            Event::Stopped(group) => self.group(group).stopped = true,
            Event::Started(group) => self.group(group).stopped = false,
            Event::Failover(group, node) => self.failover(group, node),
            Event::Later(millis) => self.later(Duration::from_millis(millis)),
        }
        self.requeue();
    }

    fn group(&mut self, number: usize) -> &mut GroupView {
        let count = self.view.groups.len();
        &mut self.view.groups[number % count]
    }

    fn presence(&mut self, node: usize, presence: Presence) {
        self.view.nodes[node].presence = presence;
    }

    fn failover(&mut self, group: usize, node: usize) {
        let number = group % self.view.groups.len();
        if let Ok(target) = failover(&self.view, &group_name(number), Some(&name(node))) {
            self.view.groups[number].pinned = target.pin.then(|| target.node.clone());
            self.hand_over(number, Some(target.node));
        }
    }

    fn later(&mut self, time: Duration) {
        for node in &mut self.view.nodes {
            if let Presence::Online { stable_for } = &mut node.presence {
                *stable_for += time;
            }
        }
    }

    fn hand_over(&mut self, number: usize, to: Option<NodeName>) {
        let group = &mut self.view.groups[number];
        let from = std::mem::replace(&mut group.owner, to.clone());
        let group = group.clone();
        if from != to {
            if let Some(to) = to {
                self.tickets.remove(&(group.name.clone(), to));
            }
            if let Some(from) = from.filter(|from| rotating(&group).contains(from)) {
                self.join(&group.name, &from);
            }
        }
        self.requeue();
    }

    fn join_all(&mut self, node: usize) {
        for group in self.view.groups.clone() {
            if rotating(&group).contains(&name(node)) {
                self.join(&group.name, &name(node));
            }
        }
    }

    fn join(&mut self, group: &GroupName, node: &NodeName) {
        let away = self
            .view
            .node(node)
            .is_some_and(|node| node.presence == Presence::Lost || node.drained);
        let owns = self.view.group(group).unwrap().owner.as_ref() == Some(node);
        let place = (group.clone(), node.clone());
        if !away && !owns && !self.tickets.contains_key(&place) {
            self.drawn += 1;
            self.tickets.insert(place, self.drawn);
        }
        self.requeue();
    }

    fn requeue(&mut self) {
        for group in &mut self.view.groups {
            let mine = self
                .tickets
                .iter()
                .filter(|((one, _), _)| *one == group.name);
            let mut queue: Vec<(u64, NodeName)> = mine
                .map(|((_, node), ticket)| (*ticket, node.clone()))
                .collect();
            queue.sort();
            group.queue = queue.into_iter().map(|(_, node)| node).collect();
        }
    }
}

/// The nodes of a rotating group; none for another.
fn rotating(group: &GroupView) -> Vec<NodeName> {
    match &group.scheme {
        Scheme::RotatingStandby { nodes } => nodes.clone(),
        Scheme::IdleStandby { .. }
        | Scheme::SimpleFailover { .. }
        | Scheme::MutualTakeover { .. } => Vec::new(),
    }
}

/// The view once a plan is carried out, queues too.
pub(crate) fn carried_out(view: &View, plan: &Plan) -> View {
    let mut after = view.clone();
    for (group, decision) in after.groups.iter_mut().zip(&plan.decisions) {
        if group.owner == decision.owner {
            continue;
        }
        let from = std::mem::replace(&mut group.owner, decision.owner.clone());
        let owner = group.owner.clone();
        group.queue.retain(|node| Some(node) != owner.as_ref());
        let back = from.filter(|from| {
            let away = view
                .node(from)
                .is_some_and(|node| node.presence == Presence::Lost || node.drained);
            rotating(group).contains(from) && !away && !group.queue.contains(from)
        });
        group.queue.extend(back);
    }
    after
}

/// Whether a group may return by itself.
pub(crate) fn returns(group: &GroupView) -> bool {
    group.scheme.failback() != Failback::Manual
}

/// Whether some node could take a group that has none, given where the others are.
pub(crate) fn takeable(view: &View, owners: &Owners, number: usize) -> Option<NodeName> {
    let mut names = view.nodes.iter().map(|node| &node.name);
    names
        .find(|node| eligible::among(view, owners, number, node))
        .cloned()
}
