//! A second opinion on a finished plan: the rules once more, written without the planner's own code.

use std::collections::BTreeSet;

use crate::names::{GroupName, NodeName};
use crate::plan::{Cause, Decision, Idle, Plan, Verdict};
use crate::scheme::Scheme;
use crate::view::{GroupView, NodeView, Presence, Readiness, View};

/// Checks a plan against the rules: a sentence for each that it breaks.
#[must_use]
pub fn lint(view: &View, plan: &Plan) -> Vec<String> {
    let names = view.groups.iter().map(|group| &group.name);
    if !plan
        .decisions
        .iter()
        .map(|decision| &decision.group)
        .eq(names)
    {
        return vec![
            "the plan does not decide every group once, in the order of the view".to_owned(),
        ];
    }
    let pairs: Vec<Pair> = view.groups.iter().zip(&plan.decisions).collect();
    let mut broken = Vec::new();
    for &(group, decision) in &pairs {
        form(group, decision, &mut broken);
        report(group, decision, &mut broken);
        untouched(view, group, decision, &mut broken);
        arrival(view, group, decision, &mut broken);
        failback(view, group, decision, &mut broken);
    }
    capacity(view, &pairs, &mut broken);
    between(view, &pairs, &mut broken);
    broken
}

/// A group, and what was decided for it.
type Pair<'a> = (&'a GroupView, &'a Decision);

fn name(owner: Option<&NodeName>) -> &str {
    owner.map_or("nobody", NodeName::as_str)
}

fn silent(view: &View, node: &NodeName) -> bool {
    view.node(node)
        .is_none_or(|node| matches!(node.presence, Presence::Silent))
}

/// A move has a cause, a rest its kind, and everything a reason.
fn form(group: &GroupView, decision: &Decision, broken: &mut Vec<String>) {
    let name = &group.name;
    if decision.cause.is_some() != (decision.owner != group.owner) {
        broken.push(format!(
            "{name}: a move without a cause, or a cause without a move"
        ));
    }
    if decision.idle.is_some() == decision.owner.is_some() {
        broken.push(format!(
            "{name}: without an owner, and not said why, or the reverse"
        ));
    }
    if decision.reason.is_empty() {
        broken.push(format!("{name}: no reason"));
    }
    if let Some(Idle::Displaced { by }) = &decision.idle
        && by.is_empty()
    {
        broken.push(format!("{name}: displaced by nobody"));
    }
}

/// Every node once, the owner chosen, and a veto on nobody without saying which.
fn report(group: &GroupView, decision: &Decision, broken: &mut Vec<String>) {
    let name = &group.name;
    let told: BTreeSet<&NodeName> = decision.candidates.iter().map(|one| &one.node).collect();
    let listed: BTreeSet<&NodeName> = group.scheme.nodes().into_iter().collect();
    if told != listed || decision.candidates.len() != listed.len() {
        broken.push(format!("{name}: the report does not name every node once"));
    }
    for one in &decision.candidates {
        let chosen = matches!(one.verdict, Verdict::Chosen);
        if chosen != (decision.owner.as_ref() == Some(&one.node)) {
            broken.push(format!(
                "{name}: {} is chosen and not the owner, or the reverse",
                one.node
            ));
        }
        if matches!(&one.verdict, Verdict::Vetoed(vetoes) if vetoes.is_empty()) {
            broken.push(format!("{name}: {} is vetoed by nothing", one.node));
        }
    }
}

/// Nothing moves in maintenance or from a silent owner; else what is stopped has no owner.
fn untouched(view: &View, group: &GroupView, decision: &Decision, broken: &mut Vec<String>) {
    let name = &group.name;
    let moved = decision.owner != group.owner;
    let held = group
        .owner
        .as_ref()
        .is_some_and(|owner| silent(view, owner));
    if group.maintenance && moved {
        broken.push(format!("{name}: moved in maintenance"));
    }
    if held && moved {
        broken.push(format!("{name}: taken from a silent owner"));
    }
    if group.stopped && !group.maintenance && !held && decision.owner.is_some() {
        broken.push(format!("{name}: stopped, but owned"));
    }
}

/// Who gets a group is there, well, ready, listed, not banned, and waits in the queue of a rotating group.
fn arrival(view: &View, group: &GroupView, decision: &Decision, broken: &mut Vec<String>) {
    let Some(owner) = decision
        .owner
        .as_ref()
        .filter(|_| decision.owner != group.owner)
    else {
        return;
    };
    let mut wrong =
        |what: &str| broken.push(format!("{}: goes to {owner}, which {what}", group.name));
    let well = |node: &NodeView| {
        matches!(node.presence, Presence::Online { .. }) && !node.drained && !node.leaving
    };
    if !view.node(owner).is_some_and(well) {
        wrong("is away or should be empty");
    }
    if !matches!(group.readiness.get(owner), Some(Readiness::Ready { .. })) {
        wrong("is not ready");
    }
    if group.bans.contains_key(owner) {
        wrong("failed to start it");
    }
    if !group.scheme.nodes().contains(&owner) {
        wrong("is not among its nodes");
    }
    if matches!(group.scheme, Scheme::RotatingStandby { .. }) && !group.queue.contains(owner) {
        wrong("is not in its queue");
    }
}

/// A failback goes to a node that the scheme prefers, or to the pin, once its time has come.
fn failback(view: &View, group: &GroupView, decision: &Decision, broken: &mut Vec<String>) {
    let (Some(Cause::Failback), Some(from), Some(to)) =
        (decision.cause, &group.owner, &decision.owner)
    else {
        return;
    };
    let better = match &group.scheme {
        Scheme::IdleStandby { priorities, .. } => priorities.get(to) > priorities.get(from),
        Scheme::RotatingStandby { .. } => false,
        Scheme::SimpleFailover { primary: best, .. }
        | Scheme::MutualTakeover { home: best, .. } => best == to,
    };
    if !better && group.pinned.as_ref() != Some(to) {
        broken.push(format!(
            "{}: fails back to {to}, which is not preferred to {from}",
            group.name
        ));
    }
    let online = match view.node(to).map(|node| node.presence) {
        Some(Presence::Online { stable_for }) => Some(stable_for),
        Some(Presence::Silent | Presence::Lost) | None => None,
    };
    let ready = match group.readiness.get(to) {
        Some(Readiness::Ready { since }) => Some(*since),
        Some(Readiness::NotReady(_)) | None => None,
    };
    let wait = group.scheme.failback().wait(view.lease);
    let due = wait.is_some_and(|wait| online.min(ready).is_some_and(|stable| stable >= wait));
    if !due {
        broken.push(format!(
            "{}: fails back to {to} before its time",
            group.name
        ));
    }
    for follower in view
        .groups
        .iter()
        .filter(|one| one.with.contains(&group.name))
    {
        let could = follower.scheme.nodes().contains(&to)
            && matches!(follower.readiness.get(to), Some(Readiness::Ready { .. }))
            && !follower.bans.contains_key(to);
        if !could && !follower.stopped && !follower.maintenance && follower.name != group.name {
            broken.push(format!(
                "{}: fails back to {to}, where {} could not follow",
                group.name, follower.name
            ));
        }
    }
}

/// Nothing comes to a node whose hard capacity it exceeds.
fn capacity(view: &View, pairs: &[Pair], broken: &mut Vec<String>) {
    for node in view.nodes.iter().filter(|node| node.capacity_is_hard) {
        let here = pairs
            .iter()
            .filter(|(_, decision)| decision.owner.as_ref() == Some(&node.name));
        let load: u64 = here.clone().map(|(group, _)| u64::from(group.load)).sum();
        let came = here
            .clone()
            .find(|(group, _)| group.owner.as_ref() != Some(&node.name));
        if let Some((group, _)) = came
            && load > u64::from(node.capacity)
        {
            broken.push(format!(
                "{}: comes to {}, which then carries {load} of {}",
                group.name, node.name, node.capacity
            ));
        }
    }
}

/// No two groups share a node that must not, and nobody is without those that it follows. A group that may not move
/// breaks no rule, and where rules form a circle the one planned first may stay.
fn between(view: &View, pairs: &[Pair], broken: &mut Vec<String>) {
    let circles = Circles::of(view);
    let free = |(group, _): &&Pair| {
        !group.maintenance
            && !group
                .owner
                .as_ref()
                .is_some_and(|owner| silent(view, owner))
    };
    for pair in pairs.iter().filter(free) {
        let (group, decision) = pair;
        let Some(owner) = &decision.owner else {
            continue;
        };
        for (other, there) in pairs.iter().filter(|(other, _)| other.name != group.name) {
            let shares = there.owner.as_ref() == Some(owner);
            let circle = circles.contain(&group.name, &other.name);
            if shares && other.displaces.contains(&group.name) && !circle {
                broken.push(format!(
                    "{}: on {owner} beside {}, which displaces it",
                    group.name, other.name
                ));
            }
            if !shares && group.with.contains(&other.name) && !circle {
                let place = name(there.owner.as_ref());
                broken.push(format!(
                    "{}: on {owner}, and {}, which it follows, on {place}",
                    group.name, other.name
                ));
            }
            let apart =
                group.apart_from.contains(&other.name) || other.apart_from.contains(&group.name);
            let came = group.owner.as_ref() != Some(owner);
            if shares && apart && (came || free(&&(*other, *there))) {
                broken.push(format!(
                    "{}: on {owner} beside {}, from which it is kept apart",
                    group.name, other.name
                ));
            }
        }
    }
}

/// Groups that are ordered by rules between groups, directly or through others.
struct Circles(BTreeSet<(GroupName, GroupName)>);

impl Circles {
    fn of(view: &View) -> Self {
        let mut before: BTreeSet<(GroupName, GroupName)> = BTreeSet::new();
        for group in &view.groups {
            for displaced in group.displaces.iter().filter(|name| **name != group.name) {
                before.insert((group.name.clone(), displaced.clone()));
            }
            for followed in group.with.iter().filter(|name| **name != group.name) {
                before.insert((followed.clone(), group.name.clone()));
            }
        }
        loop {
            let through: Vec<_> = before
                .iter()
                .flat_map(|(a, b)| {
                    let further = before.iter().filter(move |(from, _)| from == b);
                    further.map(move |(_, c)| (a.clone(), c.clone()))
                })
                .filter(|pair| !before.contains(pair))
                .collect();
            if through.is_empty() {
                return Self(before);
            }
            before.extend(through);
        }
    }

    /// Whether two groups are planned in the order of the file because rules go both ways between them, or because one
    /// of them waits for such a circle.
    fn contain(&self, one: &GroupName, other: &GroupName) -> bool {
        let loops = |name: &GroupName| {
            self.0
                .iter()
                .any(|(a, b)| a == b && (a == name || self.0.contains(&(a.clone(), name.clone()))))
        };
        loops(one) || loops(other)
    }
}
