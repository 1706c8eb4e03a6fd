//! Who is left where, and which side has the majority.

use super::{Scenario, Seats};
use crate::names::NodeName;
use crate::operator::Refused;
use crate::view::{Presence, View};
use crate::words;

/// The cluster once the scenario has happened.
pub(super) struct Sides {
    /// The voters of the side with a majority that are there; empty where no side has one.
    pub(super) goes_on: Vec<NodeName>,
    /// Everybody who is not on that side, or, where there is none, who no longer runs.
    pub(super) lost: Vec<NodeName>,
    /// Those who run on although they are cut off from the majority.
    pub(super) cut_off: Vec<NodeName>,
}

/// Sorts everybody into sides.
pub(super) fn of(view: &View, seats: &Seats, scenario: &Scenario) -> Result<Sides, Refused> {
    let known = everybody(view, seats);
    let dead = |node: &NodeName| {
        let gone = matches!(scenario, Scenario::Lose(nodes) if nodes.contains(node));
        gone || matches!(
            view.node(node).map(|node| node.presence),
            Some(Presence::Lost)
        )
    };
    let parts = match scenario {
        Scenario::Lose(nodes) => {
            named(nodes, &known)?;
            vec![known.clone()]
        }
        Scenario::Split(parts) => {
            whole(parts, &known)?;
            parts.clone()
        }
    };
    let present = |part: &Vec<NodeName>| -> Vec<NodeName> {
        let voters = seats.voters.iter().filter(|voter| part.contains(voter));
        voters.filter(|voter| !dead(voter)).cloned().collect()
    };
    let winner = parts
        .iter()
        .find(|part| 2 * present(part).len() > seats.voters.len());
    let there = |node: &&NodeName| winner.is_none_or(|part| part.contains(node));
    let (inside, outside): (Vec<_>, Vec<_>) = known.iter().partition(there);
    let lost = inside.into_iter().filter(|node| dead(node));
    Ok(Sides {
        goes_on: winner.map(present).unwrap_or_default(),
        lost: lost.chain(outside.clone()).cloned().collect(),
        cut_off: outside
            .into_iter()
            .filter(|node| !dead(node))
            .cloned()
            .collect(),
    })
}

/// Members in the order of the file, then witnesses.
fn everybody(view: &View, seats: &Seats) -> Vec<NodeName> {
    let mut known: Vec<NodeName> = view.nodes.iter().map(|node| node.name.clone()).collect();
    for voter in &seats.voters {
        if !known.contains(voter) {
            known.push(voter.clone());
        }
    }
    known
}

/// Somebody is named, and nobody who is not known.
fn named(nodes: &[NodeName], known: &[NodeName]) -> Result<(), Refused> {
    if nodes.is_empty() {
        let known = words::list(known);
        return Err(Refused(format!("name at least one node to lose: {known}")));
    }
    match nodes.iter().find(|node| !known.contains(node)) {
        Some(unknown) => {
            let known = words::list(known);
            Err(Refused(format!(
                "there is no node {unknown}; the nodes are: {known}"
            )))
        }
        None => Ok(()),
    }
}

/// Every node is in one part, and only in one.
fn whole(parts: &[Vec<NodeName>], known: &[NodeName]) -> Result<(), Refused> {
    let refused = |text: String| Err(Refused(text));
    if parts.iter().filter(|part| !part.is_empty()).count() < 2 {
        return refused("a split has at least two parts, such as h1,h2/h3".to_owned());
    }
    if parts.iter().any(Vec::is_empty) {
        return refused("a part of the split has no node: leave it out".to_owned());
    }
    let all = parts.concat();
    named(&all, known)?;
    let times = |node: &NodeName| all.iter().filter(|one| *one == node).count();
    if let Some(twice) = known.iter().find(|node| times(node) > 1) {
        return refused(format!(
            "{twice} is named twice: a node is in one part only"
        ));
    }
    let missing: Vec<&NodeName> = known.iter().filter(|node| times(node) == 0).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let verb = if missing.len() == 1 { "is" } else { "are" };
    let missing = words::and(&missing);
    refused(format!(
        "{missing} {verb} in no part: name every node, witnesses too"
    ))
}
