//! What must hold across the file.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::net::IpAddr;

use had_core::ids::NodeName;
use had_core::spec::Role;

use crate::finding::Findings;
use crate::group::{Group, Listed};
use crate::node::Node;
use crate::resource::{Interface, Resource};
use crate::section::At;
use crate::similar;

/// Every node talks to every other, and every voter to the leader: beyond this the engine was not tried.
const MOST_NODES: usize = 16;

/// Nodes among themselves.
pub(crate) fn nodes(nodes: &[Node], findings: &mut Findings) {
    unique(
        "node",
        nodes.iter().filter_map(|node| node.name.as_ref()),
        findings,
    );
    if let Some(node) = nodes.get(MOST_NODES) {
        let message = format!("more than {MOST_NODES} nodes");
        findings.error(node.span.clone(), message, "make two clusters of them");
    }
    addresses(nodes, findings);
    majority(nodes, findings);
}

/// Groups among themselves and against the nodes.
pub(crate) fn groups(groups: &[Group], nodes: &[Node], findings: &mut Findings) {
    unique(
        "group",
        groups.iter().filter_map(|group| group.name.as_ref()),
        findings,
    );
    for group in groups {
        unique(
            "resource",
            group.resources.iter().filter_map(|one| one.name.as_ref()),
            findings,
        );
        if let Some(listed) = &group.nodes {
            self::listed(listed.get_ref(), nodes, findings);
        }
        for resource in &group.resources {
            interfaces(resource, group, findings);
        }
        if group.resources.is_empty() {
            let message = "the group has no resources: it moves, and nothing moves with it";
            findings.warn(
                group.span.clone(),
                message,
                "write [[group.resource]] below it",
            );
        }
    }
    virtual_ips(groups, nodes, findings);
}

/// Two things of one kind must not share a name.
fn unique<'a, T: Ord + Display + 'a>(
    kind: &str,
    names: impl Iterator<Item = &'a At<T>>,
    findings: &mut Findings,
) {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name.get_ref()) {
            let message = format!("there is another {kind} `{}` above", name.get_ref());
            findings.error(name.span(), message, "give it another name");
        }
    }
}

/// Links are pairs of addresses at the same position.
fn addresses(nodes: &[Node], findings: &mut Findings) {
    let mut seen = BTreeSet::new();
    let lists: Vec<_> = nodes
        .iter()
        .filter_map(|node| node.addresses.as_ref())
        .collect();
    let Some((first, rest)) = lists.split_first() else {
        return;
    };
    for address in lists.iter().flat_map(|list| list.get_ref()) {
        if !seen.insert(address.get_ref()) {
            let message = format!("{} stands above already", address.get_ref());
            findings.error(
                address.span(),
                message,
                "give every node addresses of its own",
            );
        }
    }
    for list in rest {
        let (many, meant) = (list.get_ref().len(), first.get_ref().len());
        if many != meant {
            let message = format!("the first node has {meant} addresses, this one {many}");
            let help = "give every node as many; they are paired by position";
            findings.error(list.span(), message, help);
        }
        for (address, pair) in list.get_ref().iter().zip(first.get_ref()) {
            if address.get_ref().is_ipv4() != pair.get_ref().is_ipv4() {
                let message = format!(
                    "{} is paired with {} by position",
                    address.get_ref(),
                    pair.get_ref()
                );
                findings.error(
                    address.span(),
                    message,
                    "pair IPv4 with IPv4 and IPv6 with IPv6",
                );
            }
        }
    }
}

/// What the number of voters means for a loss.
fn majority(nodes: &[Node], findings: &mut Findings) {
    match nodes {
        [only] => findings.warn(
            only.span.clone(),
            "a cluster of one node: nobody can take over",
            "add a second node and a witness",
        ),
        [_, second] => findings.warn(
            second.span.clone(),
            "a majority of two nodes is two: when one is lost, the other stops",
            "add a third node, or a witness: [[node]] with role = \"witness\"",
        ),
        _ => {}
    }
}

/// The nodes of one group.
fn listed(listed: &[Listed], nodes: &[Node], findings: &mut Findings) {
    let mut seen = BTreeSet::new();
    let mut priorities: BTreeMap<i64, &NodeName> = BTreeMap::new();
    for Listed { name, priority } in listed {
        if !seen.insert(name.get_ref()) {
            let message = format!("`{}` is listed twice", name.get_ref());
            findings.error(name.span(), message, "keep one of the two");
            continue;
        }
        member(name, nodes, findings);
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

/// A node that may own a group is there, and no witness.
fn member(name: &At<NodeName>, nodes: &[Node], findings: &mut Findings) {
    let known = || {
        nodes
            .iter()
            .filter_map(|node| Some(node.name.as_ref()?.get_ref().as_str()))
    };
    let found = nodes.iter().find(|node| {
        node.name
            .as_ref()
            .is_some_and(|known| known.get_ref() == name.get_ref())
    });
    match found {
        Some(node) if node.role == Role::Witness => findings.error(
            name.span(),
            format!("`{}` is a witness: it only votes", name.get_ref()),
            "list members, or remove role = \"witness\" from its [[node]]",
        ),
        Some(_) => {}
        // A [[node]] without a readable name may be the one that is meant.
        None if nodes.iter().any(|node| node.name.is_none()) => {}
        None => {
            let help = match similar::nearest(name.get_ref().as_str(), known()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("the nodes are: {}", known().collect::<Vec<_>>().join(", ")),
            };
            findings.error(
                name.span(),
                format!("there is no node `{}`", name.get_ref()),
                help,
            );
        }
    }
}

/// A table of interfaces names exactly the nodes of its group.
fn interfaces(resource: &Resource, group: &Group, findings: &mut Findings) {
    let (Some(Interface::PerNode(named)), Some(nodes)) = (&resource.interface, &group.nodes) else {
        return;
    };
    let listed: Vec<&NodeName> = nodes
        .get_ref()
        .iter()
        .map(|one| one.name.get_ref())
        .collect();
    for (node, _) in named.get_ref() {
        if !listed.contains(&node.get_ref()) {
            let names: Vec<&str> = listed.iter().map(|node| node.as_str()).collect();
            let help = match similar::nearest(node.get_ref().as_str(), names.iter().copied()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("the nodes of the group are: {}", names.join(", ")),
            };
            let message = format!("`{}` is no node of this group", node.get_ref());
            findings.error(node.span(), message, help);
        }
    }
    for node in listed {
        if !named
            .get_ref()
            .iter()
            .any(|(known, _)| known.get_ref() == node)
        {
            let message = format!("`interface` names none for {node}");
            findings.error(named.span(), message, format!("add {node} = \"eth0\""));
        }
    }
}

/// An address belongs to one resource, and to no node.
fn virtual_ips(groups: &[Group], nodes: &[Node], findings: &mut Findings) {
    let mut seen: BTreeSet<IpAddr> = BTreeSet::new();
    let resources = groups.iter().flat_map(|group| &group.resources);
    for address in resources.filter_map(|resource| resource.address.as_ref()) {
        let (ip, _) = *address.get_ref();
        if !seen.insert(ip) {
            let message = format!("{ip} is the address of another resource above");
            findings.error(address.span(), message, "an address moves with one group");
        }
        let holder = nodes.iter().find(|node| {
            let addresses = node
                .addresses
                .as_ref()
                .map(|list| list.get_ref().as_slice());
            addresses
                .unwrap_or_default()
                .iter()
                .any(|one| one.get_ref().ip() == ip)
        });
        if let Some(node) = holder {
            let name = node
                .name
                .as_ref()
                .map_or("a node", |name| name.get_ref().as_str());
            let message = format!("{ip} is the address of {name} itself");
            findings.error(address.span(), message, "write an address that no host has");
        }
    }
}
