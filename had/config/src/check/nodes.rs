//! Nodes among themselves.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use crate::finding::Findings;
use crate::node::Node;
use crate::section::At;

use super::unique;

/// Every node talks to every other, and every voter to the leader: beyond this the engine was not tried.
const MOST_NODES: usize = 16;

pub(super) fn check(nodes: &[Node], findings: &mut Findings) {
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
    links(nodes, findings);
    majority(nodes, findings);
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

/// With one link its failure looks like the loss of every other node.
fn links(nodes: &[Node], findings: &mut Findings) {
    let lists = nodes.iter().filter_map(|node| node.addresses.as_ref());
    let only = |list: &&At<Vec<At<SocketAddr>>>| list.get_ref().len() == 1;
    if let Some(list) = lists.clone().find(only)
        && nodes.len() > 1
        && lists.clone().all(|list| only(&list))
    {
        findings.warn(
            list.span(),
            "one link between the nodes: where it fails, nobody has a majority and every group stops",
            "give each node a second address on another network; they are paired by position",
        );
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
