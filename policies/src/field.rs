//! The nodes of one group, judged: what forbids each of them, and the order among those that nothing forbids.

use std::cmp::Reverse;
use std::time::Duration;

use crate::names::NodeName;
use crate::scheme::Scheme;
use crate::veto::Veto;
use crate::view::{GroupView, Presence, Readiness, View};

/// One node that may own the group.
#[derive(Clone, Debug)]
pub(crate) struct Judged {
    /// The node.
    pub(crate) node: NodeName,
    /// What the scheme thinks of it; higher is better.
    pub(crate) preference: i64,
    /// An operator put the group here: before every preference, behind every veto.
    pub(crate) pinned: bool,
    /// What forbids it.
    pub(crate) vetoes: Vec<Veto>,
    /// How long it has been online and ready without a break; zero where it is not.
    pub(crate) stable: Duration,
}

impl Judged {
    /// Nothing forbids it.
    pub(crate) fn eligible(&self) -> bool {
        self.vetoes.is_empty()
    }

    /// Whether it is preferred to another. Two of equal preference are ordered by name, but neither is preferred: a
    /// group never moves for a name.
    pub(crate) fn beats(&self, other: &Self) -> bool {
        (self.pinned, self.preference) > (other.pinned, other.preference)
    }

    /// Whether only the name orders the two.
    pub(crate) fn ties(&self, other: &Self) -> bool {
        (self.pinned, self.preference) == (other.pinned, other.preference)
    }
}

/// All nodes of one group in the order of preference, ties by name.
#[derive(Debug)]
pub(crate) struct Field(Vec<Judged>);

impl Field {
    /// Judges the nodes of a group; `pinned` is usually the group's pin.
    pub(crate) fn judge(view: &View, group: &GroupView, pinned: Option<&NodeName>) -> Self {
        let mut nodes: Vec<Judged> = group
            .scheme
            .nodes()
            .into_iter()
            .map(|node| (node, preference(group, node)))
            .map(|(node, preference)| Judged {
                node: node.clone(),
                preference,
                pinned: pinned == Some(node),
                vetoes: vetoes(view, group, node),
                stable: stable(view, group, node),
            })
            .collect();
        nodes.sort_by_key(|judged| {
            (
                Reverse((judged.pinned, judged.preference)),
                judged.node.clone(),
            )
        });
        Self(nodes)
    }

    /// Every node, vetoed ones too.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Judged> {
        self.0.iter()
    }

    /// Those that could take the group, the best first.
    pub(crate) fn eligible(&self) -> impl Iterator<Item = &Judged> {
        self.0.iter().filter(|judged| judged.eligible())
    }

    /// The best that is not this node.
    pub(crate) fn best_but(&self, node: &NodeName) -> Option<&Judged> {
        self.eligible().find(|judged| judged.node != *node)
    }

    /// The node of this name, where it may own the group.
    pub(crate) fn get(&self, node: &NodeName) -> Option<&Judged> {
        self.0.iter().find(|judged| judged.node == *node)
    }
}

/// Whether a node renews its lease. One that the view does not name may still hold a lease: nothing is given to it, and
/// nothing taken from it.
pub(crate) fn presence(view: &View, node: &NodeName) -> Presence {
    view.node(node)
        .map_or(Presence::Silent, |node| node.presence)
}

/// Everything that forbids a node. Readiness is asked only of a node that is there: what one said before it fell
/// silent means nothing.
fn vetoes(view: &View, group: &GroupView, name: &NodeName) -> Vec<Veto> {
    let mut vetoes = Vec::new();
    let presence = presence(view, name);
    match presence {
        Presence::Lost => vetoes.push(Veto::Lost),
        Presence::Silent => vetoes.push(Veto::Silent),
        Presence::Online { .. } => {}
    }
    if let Some(node) = view.node(name) {
        if node.drained {
            vetoes.push(Veto::Drained);
        }
        if node.leaving {
            vetoes.push(Veto::Leaving);
        }
    }
    if let Presence::Online { .. } = presence {
        match group.readiness.get(name) {
            None => vetoes.push(Veto::ReadinessUnknown),
            Some(Readiness::NotReady(why)) => vetoes.push(Veto::NotReady(why.clone())),
            Some(Readiness::Ready { .. }) => {}
        }
    }
    vetoes
}

fn stable(view: &View, group: &GroupView, name: &NodeName) -> Duration {
    match (presence(view, name), group.readiness.get(name)) {
        (Presence::Online { stable_for }, Some(Readiness::Ready { since })) => {
            stable_for.min(*since)
        }
        _ => Duration::ZERO,
    }
}

fn preference(group: &GroupView, node: &NodeName) -> i64 {
    let place = |nodes: &[NodeName]| {
        let place = nodes.iter().position(|one| one == node);
        place.map_or(i64::MIN, |place| -i64::try_from(place).unwrap_or(0))
    };
    match &group.scheme {
        Scheme::IdleStandby { priorities, .. } => priorities.get(node).copied().unwrap_or(0),
        Scheme::RotatingStandby { .. } => place(&group.queue),
        Scheme::SimpleFailover { primary, .. } => i64::from(primary == node),
        Scheme::MutualTakeover { home, partners, .. } => {
            if home == node {
                1
            } else {
                place(partners)
            }
        }
    }
}
