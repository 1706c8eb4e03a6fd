//! The cluster at one look.

use std::collections::BTreeMap;
use std::fmt::Display;

use had_core::ids::NodeName;
use had_core::spec::Role;
use had_core::status::{
    Degraded, GroupCondition, GroupStatus, NodeCondition, NodeStatus, Rung, Status,
};

use super::table::{list, loose_table, table};
use super::{Moment, length, render_notes, word};

/// Where the load stands among a node's columns: before what makes it up.
const LOAD_COLUMN: usize = 6;

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
    parts.push(ladders(&status.groups, width));
    parts.push(notes(status, one_group, moment));
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
    let weighs = weighs(status);
    let mut header = vec![
        "NODE", "ROLE", "STATE", "HEARD", "HEARS", "GATE", "OWNS", "IF LOST",
    ];
    if weighs {
        header.insert(LOAD_COLUMN, "LOAD");
    }
    let row = |node: &NodeStatus| {
        let mut row = vec![
            node.name.to_string(),
            word(&node.role),
            marked(word(&node.state), &[("degraded", node.degraded.is_some())]),
            node.last_heard_ms.map_or("-".to_owned(), length),
            list(&node.hears),
            if node.gate.is_empty() {
                "-".to_owned()
            } else {
                node.gate.clone()
            },
            list(&node.groups),
            loss(status, node),
        ];
        if weighs {
            row.insert(LOAD_COLUMN, load(node));
        }
        row
    };
    loose_table(header, status.nodes.iter().map(row).collect(), width)
}

/// Whether the nodes' capacities mean anything here: somebody gave them a number, or a scheme goes by them.
fn weighs(status: &Status) -> bool {
    let mutual = |group: &GroupStatus| group.policy == "mutual-takeover";
    status.nodes.iter().any(|node| node.capacity != 1) || status.groups.iter().any(mutual)
}

/// "4 of 10".
fn load(node: &NodeStatus) -> String {
    match node.role {
        Role::Member => format!("{} of {}", node.load, node.capacity),
        Role::Witness => "-".to_owned(),
    }
}

/// A state with the mark of what is less than it should be; a note says why.
fn marked(state: String, marks: &[(&str, bool)]) -> String {
    let marks = marks.iter().filter(|(_, set)| *set);
    marks.fold(state, |state, (mark, _)| format!("{state}, {mark}"))
}

/// What ends the groups where their owner's lease is over: one line for all that stand on the same.
fn ladders(groups: &[GroupStatus], width: Option<u16>) -> String {
    let mut same: BTreeMap<&[Rung], Vec<&GroupStatus>> = BTreeMap::new();
    for group in groups.iter().filter(|group| !group.rungs.is_empty()) {
        same.entry(&group.rungs).or_default().push(group);
    }
    let row = |(rungs, groups): (&[Rung], Vec<&GroupStatus>)| {
        let rungs: Vec<_> = rungs.iter().map(rung).collect();
        [
            list(groups.iter().map(|group| &group.name)),
            rungs.join(", "),
        ]
    };
    let rows: Vec<_> = same.into_iter().map(row).collect();
    if rows.is_empty() {
        return String::new();
    }
    table(["GROUPS", "SILENCED WHEN THE LEASE ENDS BY"], rows, width)
}

fn rung(rung: &Rung) -> &'static str {
    match rung {
        Rung::BpfGate => "the gate (bpf)",
        Rung::NftGate => "the gate (nft)",
        Rung::Daemon => "the daemon",
        Rung::Guard => "its guard",
        Rung::Supervisor => "its supervisor",
    }
}

/// What becomes of a group whose owner is lost.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Fate<'a> {
    Stops,
    LeftAlone,
    Moves(&'a NodeName),
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
    let mut moves: BTreeMap<Fate<'_>, Vec<&GroupStatus>> = BTreeMap::new();
    for group in owned {
        let fate = match group.next.first() {
            _ if status.maintenance || group.maintenance => Fate::LeftAlone,
            Some(next) => Fate::Moves(next),
            None => Fate::Stops,
        };
        moves.entry(fate).or_default().push(group);
    }
    let texts: Vec<String> = moves
        .into_iter()
        .map(|(fate, groups)| {
            let groups = list(groups.iter().map(|group| &group.name));
            match fate {
                Fate::Moves(to) => format!("{groups} → {to}"),
                Fate::Stops => format!("{groups} stops"),
                Fate::LeftAlone => format!("{groups} stops: in maintenance nothing takes over"),
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
                marked(
                    word(&group.state),
                    &[
                        ("degraded", group.degraded.is_some()),
                        ("maintenance", group.maintenance),
                    ],
                ),
                list(&group.owner),
                group.epoch.to_string(),
                if group.since.0 == 0 {
                    "-".to_owned()
                } else {
                    moment.seconds(group.since)
                },
                // Nothing is taken over then.
                list(group.next.iter().filter(|_| !group.maintenance)),
                group.reason.clone(),
            ]
        })
        .collect();
    let header = [
        "GROUP",
        "POLICY",
        "STATE",
        "OWNER",
        "EPOCH",
        "SINCE",
        "NEXT",
        "DECIDED BECAUSE",
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
fn notes(status: &Status, one_group: bool, moment: &Moment) -> String {
    let mut notes: Vec<String> = status.notices.clone();
    if status.maintenance {
        notes.push(
            "the whole cluster is in maintenance: groups are watched, never moved or touched, \
             until `hactl maintenance off`"
                .to_owned(),
        );
    }
    let marks = status.nodes.iter().filter(|_| !one_group);
    let marks = marks.filter_map(|node| Some((&node.name, node.degraded.as_ref()?)));
    let marks: Vec<_> = marks.collect();
    notes.extend(
        marks
            .iter()
            .map(|(node, why)| is_degraded(*node, why, moment)),
    );
    // A group that shares its node's reason has the mark alone.
    let said = |why: &Degraded| marks.iter().any(|(_, mark)| mark.reason == why.reason);
    for group in &status.groups {
        let name = &group.name;
        if let Some(pinned) = &group.pinned {
            notes.push(format!(
                "{name} is pinned to {pinned} until `hactl failback {name}`"
            ));
        }
        if group.maintenance && !status.maintenance {
            notes.push(format!(
                "{name} is in maintenance: watched, never moved or touched, until `hactl maintenance off {name}`"
            ));
        }
        if let Some(degraded) = group.degraded.as_ref().filter(|why| !said(why)) {
            notes.push(is_degraded(name, degraded, moment));
        }
        for (node, why) in &group.not_ready {
            notes.push(format!("{node} is not ready for {name}: {why}"));
        }
    }
    render_notes(&notes)
}

fn is_degraded(what: &impl Display, degraded: &Degraded, moment: &Moment) -> String {
    let since = moment.seconds(degraded.since);
    format!("{what} is degraded since {since}: {}", degraded.reason)
}
