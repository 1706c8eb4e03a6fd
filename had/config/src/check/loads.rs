//! Loads against capacities.

use std::collections::BTreeMap;

use had_core::ids::NodeName;

use crate::finding::Findings;
use crate::group::{Group, Policy};
use crate::node::Node;
use crate::section::At;

/// A hard capacity keeps a group away from a node for ever where it is smaller than the group's load alone.
pub(super) fn carried(group: &Group, nodes: &[Node], findings: &mut Findings) {
    let Some(policy) = &group.policy else {
        return;
    };
    let listed = policy.listed();
    let small: Vec<_> = listed
        .iter()
        .filter_map(|name| {
            let node = nodes.iter().find(|node| node.is(name.get_ref()))?;
            is_beyond(group, node).then_some((name, node))
        })
        .collect();
    let load = group.load();
    if policy.is_whole() && !small.is_empty() && small.len() == listed.len() {
        let span = group
            .load
            .as_ref()
            .map_or(group.span.clone(), |at| at.span());
        let most = small.iter().map(|(_, node)| node.capacity()).max();
        findings.error(
            span,
            format!("no node can carry the group: its load is {load}"),
            format!(
                "write load = {} or less, or a larger capacity in [[node]]",
                most.unwrap_or_default()
            ),
        );
        return;
    }
    for (name, node) in small {
        findings.warn(
            name.span(),
            format!(
                "{} can never own the group: its hard capacity is {}, the load {load}",
                name.get_ref(),
                node.capacity()
            ),
            format!("write capacity = {load} or more in its [[node]], or do not list it"),
        );
    }
}

/// What is at home on one node.
#[derive(Default)]
struct Home {
    /// Sum of the loads.
    load: u64,
    /// A load or the capacity is written. Where neither is, nobody weighs.
    is_weighed: bool,
}

/// The groups at home on a node should not weigh more than it should carry, with nothing lost yet; and a partner needs
/// room for a group beside its own.
pub(super) fn at_home(groups: &[Group], nodes: &[Node], findings: &mut Findings) {
    let mut homes: BTreeMap<&NodeName, Home> = BTreeMap::new();
    for (group, home, _) in mutual(groups) {
        let Some(node) = nodes.iter().find(|node| node.is(home.get_ref())) else {
            continue;
        };
        if is_beyond(group, node) {
            continue;
        }
        let capacity = u64::from(node.capacity());
        let here = homes.entry(home.get_ref()).or_default();
        let was_beyond = here.load > capacity && here.is_weighed;
        here.load += u64::from(group.load());
        here.is_weighed |= node.capacity.is_some() || group.load.is_some();
        if here.load > capacity && here.is_weighed && !was_beyond {
            let (home_name, load) = (home.get_ref(), here.load);
            let why = if node.capacity.is_some() {
                ""
            } else {
                ", since none is written"
            };
            findings.warn(
                home.span(),
                format!("the groups at home on {home_name} weigh {load}: its capacity is {capacity}{why}"),
                format!("write capacity = {load} or more in its [[node]], or spread the homes"),
            );
        }
    }
    for (group, _, partners) in mutual(groups) {
        let crowded = |partner: &At<NodeName>| {
            let node = nodes.iter().find(|node| node.is(partner.get_ref()));
            let own = homes.get(partner.get_ref()).map_or(0, |home| home.load);
            node.is_some_and(|node| {
                let load = own + u64::from(group.load());
                node.capacity_is_hard
                    && !is_beyond(group, node)
                    && load > u64::from(node.capacity())
            })
        };
        if !partners.get_ref().is_empty() && partners.get_ref().iter().all(crowded) {
            findings.warn(
                partners.span(),
                "no partner has room for the group beside what is at home there",
                "write a larger capacity in one [[node]], or add a partner",
            );
        }
    }
}

/// The groups under mutual takeover with their homes and partners.
fn mutual(
    groups: &[Group],
) -> impl Iterator<Item = (&Group, &At<NodeName>, &At<Vec<At<NodeName>>>)> {
    groups.iter().filter_map(|group| match &group.policy {
        Some(Policy::MutualTakeover {
            home: Some(home),
            partners: Some(partners),
            ..
        }) => Some((group, home, partners)),
        _ => None,
    })
}

/// Whether a node can never own a group.
fn is_beyond(group: &Group, node: &Node) -> bool {
    node.capacity_is_hard && node.capacity() < group.load()
}
