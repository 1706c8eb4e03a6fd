//! The cluster at one look.

use std::collections::BTreeMap;

use had_core::ids::NodeName;
use had_core::status::{GroupCondition, GroupStatus, NodeCondition, NodeStatus, Status};
use serde::Serialize;

use super::table::{list, table};
use super::{Moment, length};

/// Everything, or one group alone.
pub(crate) fn render(
    status: &Status,
    one_group: bool,
    moment: &Moment,
    width: Option<u16>,
) -> String {
    let mut parts = vec![headline(status, moment)];
    if !one_group {
        parts.push(nodes(status, width));
    }
    parts.push(groups(&status.groups, moment, width));
    parts.push(resources(&status.groups, width));
    parts.push(notes(status, moment));
    parts.retain(|part| !part.is_empty());
    parts.join("\n")
}

fn headline(status: &Status, moment: &Moment) -> String {
    let leader = match &status.leader {
        Some(leader) => format!("leader {leader} (term {})", status.term),
        None => "no leader".to_owned(),
    };
    let at = moment.millis(status.as_of);
    let age = moment.age(status.as_of);
    let Status { cluster, node, .. } = status;
    if status.quorate {
        let majority = majority(status);
        return format!(
            "cluster {cluster}: {leader}, {majority}\nas {node} saw it at {at}, {age} ago\n"
        );
    }
    let last = match status.as_of.0 {
        0 => format!("{node} has not seen a majority yet"),
        _ => format!("{node} saw the majority last at {at}, {age} ago"),
    };
    format!("cluster {cluster}: NO QUORUM, {leader}\n{last}\n")
}

/// "3 of 3 voters, 1 may be lost".
fn majority(status: &Status) -> String {
    let (heard, all) = (heard(status), status.nodes.len());
    match heard.saturating_sub(all / 2 + 1) {
        0 => format!("{heard} of {all} voters, none more may be lost"),
        spare => format!("{heard} of {all} voters, {spare} may be lost"),
    }
}

fn heard(status: &Status) -> usize {
    status.nodes.iter().filter(|node| votes(node)).count()
}

/// Whether a node is there to make a majority.
fn votes(node: &NodeStatus) -> bool {
    matches!(node.state, NodeCondition::Online | NodeCondition::Drained)
}

fn nodes(status: &Status, width: Option<u16>) -> String {
    let rows = status
        .nodes
        .iter()
        .map(|node| {
            [
                node.name.to_string(),
                word(&node.role),
                word(&node.state),
                node.last_heard_ms.map_or("-".to_owned(), length),
                list(&node.hears),
                if node.gate.is_empty() {
                    "-".to_owned()
                } else {
                    node.gate.clone()
                },
                list(&node.groups),
                loss(status, node),
            ]
        })
        .collect();
    let header = [
        "NODE", "ROLE", "STATE", "HEARD", "HEARS", "GATE", "OWNS", "IF LOST",
    ];
    table(header, rows, width)
}

/// What the loss of a node would mean: for the majority first, then for what it owns.
fn loss(status: &Status, node: &NodeStatus) -> String {
    if !status.quorate {
        return "unknown".to_owned();
    }
    if !votes(node) && node.groups.is_empty() {
        return "-".to_owned();
    }
    let left = heard(status) - usize::from(votes(node));
    if left < status.nodes.len() / 2 + 1 {
        return "quorum lost: everything stops".to_owned();
    }
    let owned = status
        .groups
        .iter()
        .filter(|group| group.owner.as_ref() == Some(&node.name));
    let mut moves: BTreeMap<Option<&NodeName>, Vec<&GroupStatus>> = BTreeMap::new();
    for group in owned {
        moves.entry(group.next.first()).or_default().push(group);
    }
    let texts: Vec<String> = moves
        .into_iter()
        .map(|(to, groups)| {
            let groups = list(groups.iter().map(|group| &group.name));
            match to {
                Some(to) => format!("{groups} → {to}"),
                None => format!("{groups} stops"),
            }
        })
        .collect();
    if texts.is_empty() {
        "nothing moves".to_owned()
    } else {
        texts.join("; ")
    }
}

fn groups(groups: &[GroupStatus], moment: &Moment, width: Option<u16>) -> String {
    let rows = groups
        .iter()
        .map(|group| {
            [
                group.name.to_string(),
                group.policy.clone(),
                word(&group.state),
                list(&group.owner),
                group.epoch.to_string(),
                if group.since.0 == 0 {
                    "-".to_owned()
                } else {
                    moment.seconds(group.since)
                },
                list(&group.next),
                group.reason.clone(),
            ]
        })
        .collect();
    let header = [
        "GROUP", "POLICY", "STATE", "OWNER", "EPOCH", "SINCE", "NEXT", "REASON",
    ];
    table(header, rows, width)
}

fn resources(groups: &[GroupStatus], width: Option<u16>) -> String {
    let rows = groups
        .iter()
        .flat_map(|group| {
            group
                .resources
                .iter()
                .map(move |resource| (group, resource))
        })
        .map(|(group, resource)| {
            let state = match group.state {
                GroupCondition::Unknown => "unknown".to_owned(),
                _ => word(&resource.state),
            };
            let name = format!("{}/{}", group.name, resource.name);
            [name, resource.kind.clone(), state, resource.detail.clone()]
        })
        .collect();
    table(["RESOURCE", "KIND", "STATE", "DETAIL"], rows, width)
}

/// What stands against the normal state of affairs.
fn notes(status: &Status, moment: &Moment) -> String {
    let mut notes: Vec<String> = status.notices.clone();
    for group in &status.groups {
        let name = &group.name;
        if let Some(pinned) = &group.pinned {
            notes.push(format!(
                "{name} is pinned to {pinned} until `hactl failback {name}`"
            ));
        }
        if group.maintenance {
            notes.push(format!(
                "{name} is in maintenance: watched, never moved or touched"
            ));
        }
        if let Some(degraded) = &group.degraded {
            let since = moment.seconds(degraded.since);
            notes.push(format!(
                "{name} is degraded since {since}: {}",
                degraded.reason
            ));
        }
        for (node, why) in &group.not_ready {
            notes.push(format!("{node} is not ready for {name}: {why}"));
        }
    }
    notes.iter().map(|note| format!("note: {note}\n")).collect()
}

/// A word as the documents spell it.
fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => "unknown".to_owned(),
    }
}
