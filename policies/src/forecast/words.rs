//! How a forecast is told.

use super::sides::Sides;
use super::{Fate, FateState, Outage, Scenario, Seats};
use crate::names::{GroupName, NodeName};
use crate::view::{Presence, View};
use crate::words::{and, list};

/// One sentence: what happens, and what comes of it.
pub(super) fn summary(view: &View, scenario: &Scenario, sides: &Sides, fates: &[Fate]) -> String {
    let what = match scenario {
        Scenario::Lose(nodes) => format!("{} lost", and(nodes)),
        Scenario::Split(parts) => {
            let parts: Vec<String> = parts.iter().map(list).collect();
            format!("split into {}", parts.join(" | "))
        }
    };
    let clauses = fates
        .iter()
        .filter_map(|fate| match twice(view, sides, fate) {
            Some((old, new)) => Some(format!("{} runs twice, on {old} and {new}", fate.group)),
            None => clause(fate),
        });
    let mut clauses: Vec<String> = clauses.collect();
    if sides.goes_on.is_empty() {
        clauses = quorumless(fates);
    } else if clauses.is_empty() {
        clauses.push("nothing moves".to_owned());
    }
    format!("{what}: {}", clauses.join(", "))
}

/// The two owners of a group that keeps running where it is cut off, and that the majority starts again.
fn twice<'a>(view: &View, sides: &Sides, fate: &'a Fate) -> Option<(&'a NodeName, &'a NodeName)> {
    let keeps = view.group(&fate.group).is_some_and(|group| group.keeps);
    let old = fate
        .before
        .as_ref()
        .filter(|old| keeps && sides.cut_off.contains(old))?;
    let new = fate.after.as_ref().filter(|new| *new != old)?;
    Some((old, new))
}

/// What becomes of a group that does not simply go on.
fn clause(fate: &Fate) -> Option<String> {
    let Fate {
        group,
        before,
        after,
        ..
    } = fate;
    match (fate.state, before, after) {
        (FateState::Runs, Some(before), Some(after)) if before == after => None,
        (FateState::Runs, Some(_), Some(after)) => Some(format!("{group} moves to {after}")),
        (FateState::Runs, None, Some(after)) => Some(format!("{group} starts on {after}")),
        (FateState::Displaced, Some(_), _) => Some(format!("{group} gives way")),
        (FateState::Stopped, Some(_), _) => Some(format!("{group} stops")),
        (FateState::Maintenance, Some(_), _) => Some(format!("{group} is not taken over")),
        (FateState::Displaced | FateState::Stopped | FateState::Maintenance, None, _)
        | (FateState::Runs, _, None)
        | (FateState::NoQuorum | FateState::Keeps, _, _) => None,
    }
}

fn quorumless(fates: &[Fate]) -> Vec<String> {
    let keeps: Vec<&GroupName> = fates
        .iter()
        .filter(|fate| fate.state == FateState::Keeps)
        .map(|fate| &fate.group)
        .collect();
    let stops = if keeps.is_empty() {
        "no majority is left and everything stops".to_owned()
    } else {
        format!(
            "no majority is left and everything stops but {}",
            and(&keeps)
        )
    };
    vec![stops]
}

/// What else an operator should know.
pub(super) fn notes(view: &View, seats: &Seats, sides: &Sides, fates: &[Fate]) -> Vec<String> {
    let mut notes = vec![majority(seats, sides)];
    let already = view
        .nodes
        .iter()
        .filter(|node| matches!(node.presence, Presence::Lost));
    let already: Vec<&NodeName> = already.map(|node| &node.name).collect();
    if !already.is_empty() {
        let verb = if already.len() == 1 { "is" } else { "are" };
        notes.push(format!("{} {verb} lost already", and(&already)));
    }
    notes.extend(cut_off(view, sides, fates));
    notes.extend(leader(seats, sides, fates));
    notes.extend(fates.iter().filter_map(|fate| kept(view, sides, fate)));
    notes
}

/// Who decides, and what the next loss would mean.
fn majority(seats: &Seats, sides: &Sides) -> String {
    let (there, voters) = (sides.goes_on.len(), seats.voters.len());
    let needed = voters / 2 + 1;
    match there.checked_sub(needed) {
        None => {
            format!("{needed} of {voters} voters are needed to go on, and no part has that many")
        }
        Some(0) => format!(
            "{there} of {voters} voters go on; with one more lost, nothing can be decided any more"
        ),
        Some(_) => format!("{there} of {voters} voters go on"),
    }
}

/// Who runs on without anything to decide.
fn cut_off(view: &View, sides: &Sides, fates: &[Fate]) -> Option<String> {
    if sides.cut_off.is_empty() {
        return None;
    }
    let verb = if sides.cut_off.len() == 1 {
        "is"
    } else {
        "are"
    };
    let nodes = and(&sides.cut_off);
    let twice: Vec<&GroupName> = fates
        .iter()
        .filter(|fate| fate.state == FateState::Keeps || twice(view, sides, fate).is_some())
        .map(|fate| &fate.group)
        .collect();
    let but = if twice.is_empty() {
        String::new()
    } else {
        format!(", but for {}", and(&twice))
    };
    Some(format!(
        "{nodes} {verb} cut off: what runs there stops when the lease ends{but}"
    ))
}

fn leader(seats: &Seats, sides: &Sides, fates: &[Fate]) -> Option<String> {
    let moves = |fate: &Fate| matches!(fate.outage, Outage::UpTo { .. });
    if sides.goes_on.is_empty() || !fates.iter().any(moves) {
        return None;
    }
    match &seats.leader {
        Some(leader) if sides.lost.contains(leader) => Some(format!(
            "{leader} leads now: a new leader waits for a lease before it takes anything away"
        )),
        Some(_) => None,
        None => Some(
            "it is not known who leads: the longer times hold where the leader is lost too"
                .to_owned(),
        ),
    }
}

/// A group that keeps running without a majority has, or may get, a second owner.
fn kept(view: &View, sides: &Sides, fate: &Fate) -> Option<String> {
    let Fate { group, before, .. } = fate;
    if let Some((old, new)) = twice(view, sides, fate) {
        let both = format!("{old} and {new} own it at once");
        return Some(format!(
            "{group} keeps running where it is cut off (on_quorum_loss = \"keep\"): {both}"
        ));
    }
    let owner = before.as_ref().filter(|_| fate.state == FateState::Keeps)?;
    let view_of = view.group(group)?;
    let elsewhere = |node: &&NodeName| view_of.scheme.lists(node) && *node != owner;
    let risk = if sides.goes_on.is_empty() {
        "should a majority form elsewhere, it has two owners".to_owned()
    } else if !sides.goes_on.iter().any(|node| elsewhere(&node)) {
        "nobody else may own it".to_owned()
    } else if view_of.maintenance {
        format!(
            "{} would give it a second owner",
            view.maintenance_off(group)
        )
    } else {
        "should a node of the majority be able to take it, it has two owners".to_owned()
    };
    Some(format!(
        "{group} keeps running on {owner} without a majority: {risk}"
    ))
}
