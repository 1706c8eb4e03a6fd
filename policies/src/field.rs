//! The nodes of one group, judged: what forbids each of them, and the order among those that nothing forbids.

use std::time::Duration;

use crate::between::{self, Hindrance};
use crate::fitness;
use crate::names::{GroupName, NodeName};
use crate::places::Places;
use crate::scheme::Ranked;
use crate::veto::Veto;
use crate::view::{GroupView, Presence};

/// One node that may own the group.
#[derive(Clone, Debug)]
pub(crate) struct Judged {
    /// What the scheme thinks of it.
    pub(crate) ranked: Ranked,
    /// Its place in the scheme's own order, before followers and the pin are looked at.
    pub(crate) place: usize,
    /// An operator put the group here: before every preference, behind every veto.
    pub(crate) pinned: bool,
    /// A group that follows this one could not run here.
    pub(crate) hindered: Option<Hindrance>,
    /// What forbids it.
    pub(crate) vetoes: Vec<Veto>,
    /// How long it has been online and ready without a break; zero where it is not.
    pub(crate) stable: Duration,
}

impl Judged {
    /// The node.
    pub(crate) fn node(&self) -> &NodeName {
        &self.ranked.node
    }

    /// Nothing forbids it.
    pub(crate) fn eligible(&self) -> bool {
        self.vetoes.is_empty()
    }

    /// Whether the scheme prefers it to another by itself. Of two that are level neither is preferred: a group never
    /// moves for a name, a place in the file or a load.
    pub(crate) fn beats(&self, other: &Self) -> bool {
        (self.pinned, self.ranked.preference) > (other.pinned, other.ranked.preference)
    }

    /// Whether only a name or a place in the file orders the two.
    pub(crate) fn ties(&self, other: &Self) -> bool {
        self.pinned == other.pinned && self.ranked.level == other.ranked.level
    }
}

/// All nodes of one group in the order in which they would take over.
#[derive(Debug)]
pub(crate) struct Field {
    nodes: Vec<Judged>,
    follows: Vec<GroupName>,
}

impl Field {
    /// Judges the nodes of a group. `pinned` is usually the group's pin; `stays` is a node that has the group and would
    /// keep it: it is judged more mildly than one that would take it.
    pub(crate) fn judge(
        places: &Places,
        index: usize,
        pinned: Option<&NodeName>,
        stays: Option<&NodeName>,
    ) -> Self {
        let group = &places.view.groups[index];
        // The queue alone orders a rotating group.
        let pinned = pinned.filter(|_| !group.scheme.rotates());
        let ranked = group
            .scheme
            .ranked(places, index, stays)
            .into_iter()
            .enumerate();
        let mut nodes: Vec<Judged> = ranked
            .map(|(place, ranked)| Judged {
                place,
                pinned: pinned == Some(&ranked.node),
                hindered: between::hindrance(places, index, &ranked.node),
                vetoes: vetoes(places, index, &ranked.node, stays),
                stable: fitness::stable(places.view, group, &ranked.node),
                ranked,
            })
            .collect();
        nodes.sort_by_key(|judged| (judged.hindered.is_some(), !judged.pinned, judged.place));
        let follows = places.relations.follows(index).iter();
        Self {
            nodes,
            follows: follows
                .map(|&other| places.view.groups[other].name.clone())
                .collect(),
        }
    }

    /// The groups that this one follows.
    pub(crate) fn follows(&self) -> &[GroupName] {
        &self.follows
    }

    /// Every node, vetoed ones too.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Judged> {
        self.nodes.iter()
    }

    /// Those that could take the group, the best first.
    pub(crate) fn eligible(&self) -> impl Iterator<Item = &Judged> {
        self.nodes.iter().filter(|judged| judged.eligible())
    }

    /// The best that is not this node.
    pub(crate) fn best_but(&self, node: &NodeName) -> Option<&Judged> {
        self.eligible().find(|judged| judged.node() != node)
    }

    /// Where the group would be failed back to: the best that is preferred to the present owner, and on which
    /// everything that follows it could run.
    pub(crate) fn better(&self, present: &Judged) -> Option<&Judged> {
        self.eligible()
            .find(|judged| judged.hindered.is_none() && judged.beats(present))
    }

    /// The node of this name, where it may own the group.
    pub(crate) fn get(&self, node: &NodeName) -> Option<&Judged> {
        self.nodes.iter().find(|judged| judged.node() == node)
    }
}

/// Everything that forbids a node.
fn vetoes(places: &Places, index: usize, node: &NodeName, stays: Option<&NodeName>) -> Vec<Veto> {
    let group = &places.view.groups[index];
    let stays = stays == Some(node);
    let mut vetoes = fitness::vetoes(places.view, group, node);
    if unqueued(places, group, node) {
        vetoes.push(Veto::NotQueued);
    }
    vetoes.extend(between::vetoes(places, index, node, stays));
    if !stays && let Some(full) = full(places, index, node) {
        vetoes.push(full);
    }
    vetoes
}

/// A node of a rotating group that could stand by, but whose place in the queue is not yet given.
fn unqueued(places: &Places, group: &GroupView, node: &NodeName) -> bool {
    let away = matches!(places.view.presence(node), Presence::Lost)
        || places.view.node(node).is_some_and(|node| node.drained);
    group.scheme.rotates()
        && !away
        && group.owner.as_ref() != Some(node)
        && !group.queue.contains(node)
}

fn full(places: &Places, index: usize, node: &NodeName) -> Option<Veto> {
    let limit = places
        .view
        .node(node)
        .filter(|node| node.capacity_is_hard)?;
    let would_carry = places.carried(index, node);
    (would_carry > u64::from(limit.capacity)).then_some(Veto::Full {
        would_carry,
        capacity: limit.capacity,
    })
}
