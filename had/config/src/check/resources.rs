//! Resources against the nodes, and against each other.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::finding::Findings;
use crate::group::Group;
use crate::node::Node;
use crate::resource::{Interface, Resource};

use super::{known, unique};

/// The resources of one group.
pub(super) fn check(group: &Group, findings: &mut Findings) {
    unique(
        "resource",
        group.resources.iter().filter_map(|one| one.name.as_ref()),
        findings,
    );
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

/// A table of interfaces names exactly the nodes of its group.
fn interfaces(resource: &Resource, group: &Group, findings: &mut Findings) {
    let (Some(Interface::PerNode(named)), Some(listed)) = (&resource.interface, group.owners())
    else {
        return;
    };
    for (node, _) in named.get_ref() {
        if !listed.contains(&node.get_ref()) {
            let names = listed.iter().map(|node| node.as_str());
            let help = known(node.get_ref().as_str(), "the nodes of the group are", names);
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
pub(super) fn addresses(groups: &[Group], nodes: &[Node], findings: &mut Findings) {
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
