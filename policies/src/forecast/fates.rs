//! What becomes of each group.

use std::time::Duration;

use super::sides::Sides;
use super::{Fate, FateState, Outage, Seats};
use crate::degraded::Degraded;
use crate::names::NodeName;
use crate::plan::{Decision, Idle};
use crate::planner;
use crate::view::{GroupView, Presence, View};

/// A takeover takes the lease, and this much for the decision and the start of an address.
const TAKEOVER_TYPICAL: Duration = Duration::from_millis(10);
/// The promise L2: lease + 50 ms while the leader lives.
const TAKEOVER_MOST: Duration = Duration::from_millis(50);
/// A planned move of an address: the promise is 5 ms.
const PLANNED_TYPICAL: Duration = Duration::from_millis(5);
/// A planned move behind others, as for a group that gives way first.
const PLANNED_MOST: Duration = Duration::from_millis(30);

/// What the scenario comes to.
pub(super) struct Outcome {
    pub(super) groups: Vec<Fate>,
    pub(super) degraded: Vec<Degraded>,
}

/// No side may decide anything: what is not told to keep going stops.
pub(super) fn without_majority(view: &View, sides: &Sides) -> Outcome {
    let fate = |group: &GroupView| {
        let owner = group
            .owner
            .as_ref()
            .filter(|owner| !sides.lost.contains(owner));
        let (state, outage, why) = match owner {
            Some(owner) if group.keeps => (
                FateState::Keeps,
                Outage::None,
                format!(
                    "on_quorum_loss = \"keep\": {owner} goes on without a majority, for clients that reach it"
                ),
            ),
            Some(owner) => (
                FateState::NoQuorum,
                Outage::Lasting,
                format!("{owner} stops it when its lease ends, and nobody may take it over"),
            ),
            None => (FateState::NoQuorum, Outage::Lasting, unowned(group)),
        };
        Fate {
            group: group.name.clone(),
            before: group.owner.clone(),
            after: owner.filter(|_| group.keeps).cloned(),
            state,
            outage,
            why,
        }
    };
    Outcome {
        groups: view.groups.iter().map(fate).collect(),
        degraded: Vec::new(),
    }
}

/// Why a group without a living owner stays so.
fn unowned(group: &GroupView) -> String {
    match &group.owner {
        Some(owner) => format!("{owner} is lost, and nobody may take it over"),
        None if group.stopped => "stopped by an operator".to_owned(),
        None => "it has no owner, and nobody may start it".to_owned(),
    }
}

/// The planner decides on the side of the majority.
pub(super) fn with_majority(view: &View, seats: &Seats, sides: &Sides) -> Outcome {
    let after = changed(view, sides);
    let plan = planner::plan(&after);
    let lease = view.lease;
    let groups = view.groups.iter().zip(plan.decisions);
    let told = |fate: Fate| {
        let why = cut_off(&fate.why, sides);
        let keeps = view.group(&fate.group).is_some_and(|group| group.keeps);
        let old = fate.before.clone();
        match old.filter(|old| keeps && sides.cut_off.contains(old)) {
            Some(old) => kept(fate, &old, &why),
            None => Fate { why, ..fate },
        }
    };
    Outcome {
        groups: groups
            .map(|(group, decision)| fate(&after, group, decision, takeover(lease, seats, sides)))
            .map(told)
            .collect(),
        degraded: plan.degraded,
    }
}

/// A group that its owner keeps running where it is cut off: the majority starts it a second time, or cannot.
fn kept(fate: Fate, old: &NodeName, why: &str) -> Fate {
    let keeps = format!("{old} is cut off and keeps running it for clients that reach it");
    let why = why
        .strip_prefix(&format!("{old} is cut off; "))
        .unwrap_or(why);
    match &fate.after {
        Some(new) => Fate {
            why: format!(
                "{keeps}; the majority takes {old} for lost and starts it on {new}: {why}"
            ),
            ..fate
        },
        None => Fate {
            why: format!("{keeps}; the majority cannot start it: {why}"),
            after: Some(old.clone()),
            state: FateState::Keeps,
            outage: Outage::Lasting,
            ..fate
        },
    }
}

/// To those who decide, a node that is cut off is lost; to a reader it is not.
fn cut_off(why: &str, sides: &Sides) -> String {
    // The blank before it keeps "db1" from being taken for "b1".
    let told = sides.cut_off.iter().fold(format!(" {why}"), |why, node| {
        why.replace(&format!(" {node} is lost"), &format!(" {node} is cut off"))
    });
    told.trim_start().to_owned()
}

/// The view of those who are left, once the losses are declared.
fn changed(view: &View, sides: &Sides) -> View {
    let mut after = view.clone();
    for node in &mut after.nodes {
        if sides.lost.contains(&node.name) {
            node.presence = Presence::Lost;
        }
    }
    for group in &mut after.groups {
        group.queue.retain(|node| !sides.lost.contains(node));
        group.pinned = group
            .pinned
            .take()
            .filter(|node| !sides.lost.contains(node));
    }
    after
}

fn fate(after: &View, before: &GroupView, decision: Decision, takeover: Outage) -> Fate {
    let lost = |node: &NodeName| matches!(after.presence(node), Presence::Lost);
    let owner = decision.owner.filter(|owner| !lost(owner));
    let state = match (&owner, &decision.idle) {
        (Some(_), _) => FateState::Runs,
        (None, Some(Idle::Displaced { .. })) => FateState::Displaced,
        (None, _) if before.maintenance && before.owner.is_some() => FateState::Maintenance,
        (None, Some(Idle::Stopped | Idle::Maintenance | Idle::NoCandidate) | None) => {
            FateState::Stopped
        }
    };
    let outage = match (&owner, &before.owner) {
        (None, _) => Outage::Lasting,
        (Some(owner), Some(before)) if owner == before => Outage::None,
        (Some(_), Some(before)) if lost(before) => takeover,
        (Some(_), Some(_) | None) => Outage::UpTo {
            typical: PLANNED_TYPICAL,
            most: PLANNED_MOST,
        },
    };
    Fate {
        group: before.name.clone(),
        before: before.owner.clone(),
        after: owner,
        state,
        outage,
        why: decision.reason,
    }
}

/// How long a takeover takes: a new leader, where one is needed, waits for a lease of its own.
fn takeover(lease: Duration, seats: &Seats, sides: &Sides) -> Outage {
    let alone = lease + TAKEOVER_TYPICAL;
    match &seats.leader {
        Some(leader) if sides.lost.contains(leader) => Outage::UpTo {
            typical: lease * 5 / 3,
            most: lease * 2,
        },
        Some(_) => Outage::UpTo {
            typical: alone,
            most: lease + TAKEOVER_MOST,
        },
        None => Outage::UpTo {
            typical: alone,
            most: lease * 2,
        },
    }
}
