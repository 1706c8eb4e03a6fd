//! Nodes that carry a mutual-takeover group of another home, beside or instead of their own. It says nothing of their
//! capacity. Derived from the owners, never stored.

use serde::{Deserialize, Serialize};

use crate::names::{GroupName, NodeName};
use crate::scheme::Scheme;
use crate::view::{GroupView, NodeView, Presence, View};
use crate::words;

/// A node that carries a mutual-takeover group of another home.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Degraded {
    /// The node.
    pub node: NodeName,
    /// The mutual-takeover groups there that are marked with it, those at home too.
    pub groups: Vec<GroupName>,
    /// "h1 carries mail (home h2) beside files".
    pub reason: String,
}

/// The nodes that carry a mutual-takeover group of another home, from the owners as they are in the view.
#[must_use]
pub fn degraded(view: &View) -> Vec<Degraded> {
    let owners = view.groups.iter().map(|group| group.owner.clone());
    of(view, &owners.collect::<Vec<_>>())
}

/// The same, with other owners. A node that is lost carries nothing.
pub(crate) fn of(view: &View, owners: &[Option<NodeName>]) -> Vec<Degraded> {
    let runs = |node: &&NodeView| !matches!(node.presence, Presence::Lost);
    let nodes = view.nodes.iter().filter(runs);
    nodes.filter_map(|node| mark(view, owners, node)).collect()
}

fn mark(view: &View, owners: &[Option<NodeName>], node: &NodeView) -> Option<Degraded> {
    let here: Vec<&GroupView> = view
        .groups
        .iter()
        .zip(owners)
        .filter(|(_, owner)| owner.as_ref() == Some(&node.name))
        .map(|(group, _)| group)
        .collect();
    let homes = here.iter().filter_map(|group| Some((*group, home(group)?)));
    let (own, foreign): (Vec<_>, Vec<_>) = homes.partition(|(_, home)| **home == node.name);
    if foreign.is_empty() {
        return None;
    }
    let foreign: Vec<String> = foreign
        .iter()
        .map(|(group, home)| format!("{} (home {home})", group.name))
        .collect();
    let mut reason = format!("{} carries {}", node.name, words::and(&foreign));
    if !own.is_empty() {
        let own: Vec<&GroupName> = own.iter().map(|(group, _)| &group.name).collect();
        reason += &format!(" beside {}", words::and(&own));
    }
    let load: u64 = here.iter().map(|group| u64::from(group.load)).sum();
    if load > u64::from(node.capacity) {
        reason += &format!(": over its capacity, {load} of {}", node.capacity);
    }
    let marked = here.iter().filter(|group| home(group).is_some());
    Some(Degraded {
        node: node.name.clone(),
        groups: marked.map(|group| group.name.clone()).collect(),
        reason,
    })
}

/// Where a mutual-takeover group belongs.
fn home(group: &GroupView) -> Option<&NodeName> {
    match &group.scheme {
        Scheme::MutualTakeover { home, .. } => Some(home),
        Scheme::IdleStandby { .. }
        | Scheme::RotatingStandby { .. }
        | Scheme::SimpleFailover { .. } => None,
    }
}
