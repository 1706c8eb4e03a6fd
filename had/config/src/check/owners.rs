//! Who may own a group.

use std::collections::{BTreeMap, BTreeSet};

use had_core::ids::NodeName;
use had_core::spec::Role;

use crate::finding::Findings;
use crate::group::{Group, Listed, Policy};
use crate::node::Node;
use crate::section::At;

use super::known;

/// The nodes of one group.
pub(super) fn check(group: &Group, nodes: &[Node], findings: &mut Findings) {
    let Some(policy) = &group.policy else {
        return;
    };
    let mut seen = BTreeSet::new();
    for name in policy.listed() {
        if seen.insert(name.get_ref()) {
            member(name, nodes, findings);
        } else {
            twice(name, policy, findings);
        }
    }
    match policy {
        Policy::IdleStandby {
            nodes: Some(listed),
            ..
        } => {
            equal_priorities(listed.get_ref(), findings);
            alone(listed, |node| node.name.get_ref(), findings);
        }
        Policy::RotatingStandby { nodes: Some(queue) } => alone(queue, At::get_ref, findings),
        Policy::IdleStandby { nodes: None, .. }
        | Policy::RotatingStandby { nodes: None }
        | Policy::SimpleFailover { .. }
        | Policy::MutualTakeover { .. } => {}
    }
}

/// A node that may own a group is there, and no witness.
fn member(name: &At<NodeName>, nodes: &[Node], findings: &mut Findings) {
    match nodes.iter().find(|node| node.is(name.get_ref())) {
        Some(node) if node.role == Role::Witness => findings.error(
            name.span(),
            format!("`{}` is a witness: it only votes", name.get_ref()),
            "name a member, or remove role = \"witness\" from its [[node]]",
        ),
        Some(_) => {}
        // A [[node]] without a readable name may be the one that is meant.
        None if nodes.iter().any(|node| node.name.is_none()) => {}
        None => {
            let members = nodes.iter().filter(|node| node.role == Role::Member);
            let names = members.filter_map(|node| Some(node.name.as_ref()?.get_ref().as_str()));
            findings.error(
                name.span(),
                format!("there is no node `{}`", name.get_ref()),
                known(name.get_ref().as_str(), "the members are", names),
            );
        }
    }
}

/// A node stands for a group a second time.
fn twice(name: &At<NodeName>, policy: &Policy, findings: &mut Findings) {
    let node = name.get_ref();
    let (message, help) = match policy {
        Policy::SimpleFailover { .. } => (
            format!("`{node}` is the primary already: nobody else could take the group over"),
            "write another node as backup",
        ),
        Policy::MutualTakeover {
            home: Some(home), ..
        } if home.get_ref() == node => (
            format!("`{node}` is the home: it is no partner of itself"),
            "list the other nodes that may take the group over",
        ),
        Policy::IdleStandby { .. }
        | Policy::RotatingStandby { .. }
        | Policy::MutualTakeover { .. } => {
            (format!("`{node}` is listed twice"), "keep one of the two")
        }
    };
    findings.error(name.span(), message, help);
}

/// Of two nodes of the same priority the name decides.
fn equal_priorities(listed: &[Listed], findings: &mut Findings) {
    let mut seen = BTreeSet::new();
    let mut priorities: BTreeMap<i64, &NodeName> = BTreeMap::new();
    for Listed { name, priority } in listed {
        if !seen.insert(name.get_ref()) {
            continue;
        }
        if let Some(other) = priorities.insert(*priority.get_ref(), name.get_ref()) {
            let (first, second) = (other.min(name.get_ref()), other.max(name.get_ref()));
            findings.warn(
                priority.span(),
                format!(
                    "{other} has the same priority: {first} comes before {second} by name alone"
                ),
                "give each node a priority of its own if the order matters",
            );
        }
    }
}

/// One node owns the group or nobody does.
fn alone<T>(listed: &At<Vec<T>>, name: impl Fn(&T) -> &NodeName, findings: &mut Findings) {
    if let [only] = listed.get_ref().as_slice() {
        let message = format!(
            "only {} may own the group: nobody can take it over",
            name(only)
        );
        findings.warn(listed.span(), message, "list a second node in `nodes`");
    }
}
