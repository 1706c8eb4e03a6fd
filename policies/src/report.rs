//! The report of one decision: every node, taken or refused, and what would have to change.

use std::time::Duration;

use crate::choice::Choice;
use crate::field::{Field, Judged};
use crate::names::{GroupName, NodeName};
use crate::places::Places;
use crate::plan::{Candidate, Decision, Idle, Verdict};
use crate::scheme;
use crate::view::{GroupView, Presence, View};
use crate::words;

/// A choice with its report, once everything is planned.
pub(crate) fn decision(places: &Places, index: usize, choice: Choice) -> Decision {
    let group = &places.view.groups[index];
    let owner = choice.owner.as_ref();
    let field = Field::judge(places, index, group.pinned.as_ref(), owner);
    Decision {
        group: group.name.clone(),
        candidates: candidates(places.view, group, &field, owner),
        idle: owner.is_none().then(|| idle(places.view, group, &field)),
        cause: choice.cause.filter(|_| choice.owner != group.owner),
        reason: choice.reason,
        owner: choice.owner,
    }
}

/// What kind of rest a group without an owner has. A displaced one is known by the nodes that it could have if the
/// displacers were not there: nothing is remembered.
fn idle(view: &View, group: &GroupView, field: &Field) -> Idle {
    if group.stopped {
        return Idle::Stopped;
    }
    let to: Vec<&GroupName> = field.all().filter_map(words::gives_way).flatten().collect();
    let by = view
        .groups
        .iter()
        .map(|other| &other.name)
        .filter(|name| to.contains(name));
    if group.maintenance {
        Idle::Maintenance
    } else if to.is_empty() {
        Idle::NoCandidate
    } else {
        Idle::Displaced {
            by: by.cloned().collect(),
        }
    }
}

/// Every node with what became of it: the chosen one, the standbys in their order, then the vetoed.
fn candidates(
    view: &View,
    group: &GroupView,
    field: &Field,
    owner: Option<&NodeName>,
) -> Vec<Candidate> {
    let candidate = |judged: &Judged, verdict| Candidate {
        node: judged.node().clone(),
        rank: judged.ranked.words.clone(),
        verdict,
    };
    let others = |eligible: bool| {
        field
            .all()
            .filter(move |judged| judged.eligible() == eligible && Some(judged.node()) != owner)
    };
    let chosen = owner.and_then(|owner| field.get(owner));
    let standbys = others(true).map(|judged| {
        let (why, change) = standby(view, group, field, judged, owner);
        candidate(judged, Verdict::Standby { why, change })
    });
    let vetoed =
        others(false).map(|judged| candidate(judged, Verdict::Vetoed(judged.vetoes.clone())));
    chosen
        .map(|judged| candidate(judged, Verdict::Chosen))
        .into_iter()
        .chain(standbys)
        .chain(vetoed)
        .collect()
}

/// Why an eligible node does not get the group, and what would have to change for it to get it.
fn standby(
    view: &View,
    group: &GroupView,
    field: &Field,
    judged: &Judged,
    owner: Option<&NodeName>,
) -> (String, Option<String>) {
    let name = &group.name;
    let waits = |owner: &&NodeName| !matches!(view.presence(owner), Presence::Online { .. });
    let mut others = field.eligible().filter(|one| Some(one.node()) != owner);
    let best = others.next().map(Judged::node) == Some(judged.node());
    // Where nobody has the group, or nobody who could keep it, it goes to the best by itself.
    let comes = best && owner.is_none_or(|owner| waits(&owner));
    let mut steps = Vec::new();
    let why = if group.maintenance {
        // First, so that the end of maintenance does not stop what runs.
        steps.extend(group.stopped.then(|| start(group)));
        steps.push(view.maintenance_off(name));
        match (group.stopped, view.maintenance) {
            (true, _) => "an operator stopped the group, and it is in maintenance".to_owned(),
            (false, true) => "the whole cluster is in maintenance".to_owned(),
            (false, false) => "the group is in maintenance".to_owned(),
        }
    } else if let Some(owner) =
        owner.filter(|owner| matches!(view.presence(owner), Presence::Silent))
    {
        steps.push(format!("when the lease of {owner} has ended"));
        format!("{owner} may still hold its lease")
    } else if group.stopped || owner.is_none() {
        "the group is stopped".to_owned()
    } else {
        return match owner.and_then(|owner| field.get(owner)) {
            Some(chosen) => against(view, group, field, judged, chosen),
            None => ("its owner must give the group up first".to_owned(), None),
        };
    };
    if group.stopped && !group.maintenance {
        steps.push(start(group));
    }
    if !comes {
        steps.push(failover(group, judged.node()));
    }
    (why, Some(steps.join(", then ")))
}

fn start(group: &GroupView) -> String {
    format!("`hactl group start {}`", group.name)
}

fn failover(group: &GroupView, node: &NodeName) -> String {
    format!("`hactl failover {} --to {node}`", group.name)
}

/// Why an eligible node does not get a group whose owner is well.
fn against(
    view: &View,
    group: &GroupView,
    field: &Field,
    judged: &Judged,
    chosen: &Judged,
) -> (String, Option<String>) {
    let (node, owner) = (judged.node(), chosen.node());
    let failover = failover(group, node);
    let before = (!judged.pinned, judged.place) < (!chosen.pinned, chosen.place);
    if let Some(hindrance) = judged
        .hindered
        .as_ref()
        .filter(|_| before && chosen.hindered.is_none())
    {
        let follower = &hindrance.follower;
        let lifted = match &hindrance.veto {
            Some(veto) => veto.change(follower, node),
            None => format!("when {node} is among the nodes of {follower} in the file"),
        };
        let returns = group.scheme.failback().wait(view.lease).is_some();
        let change = match (judged.beats(chosen), returns) {
            (true, true) => lifted,
            (true, false) => format!("{lifted}, then `hactl failback {}`", group.name),
            (false, _) => format!("{lifted}, then {failover}"),
        };
        return (words::hindered(hindrance, node), Some(change));
    }
    if judged.beats(chosen) {
        return match field.better(chosen) {
            Some(best) if best.node() == node => returns(view, group, judged, owner),
            Some(best) => {
                let why = format!("preferred to {owner}, but {} comes first", best.node());
                (why, Some(failover))
            }
            None => (
                format!("preferred to {owner}, but not failed back to"),
                Some(failover),
            ),
        };
    }
    if chosen.pinned {
        let best = field
            .best_but(owner)
            .is_some_and(|best| best.node() == node);
        let ends = best && judged.ranked.preference > chosen.ranked.preference;
        let failback = format!("`hactl failback {}`", group.name);
        let change = if ends { failback } else { failover };
        return (format!("the group is pinned to {owner}"), Some(change));
    }
    (scheme::behind(group, judged, chosen), Some(failover))
}

/// The node that a group returns to: by a command, or when it has been well for long enough.
fn returns(
    view: &View,
    group: &GroupView,
    judged: &Judged,
    owner: &NodeName,
) -> (String, Option<String>) {
    let Some(wait) = group.scheme.failback().wait(view.lease) else {
        let change = format!("`hactl failback {}`", group.name);
        return (
            format!("preferred to {owner}, but failback is manual"),
            Some(change),
        );
    };
    let so_far = match judged.stable {
        Duration::ZERO => "only just online and ready".to_owned(),
        stable => format!("online and ready for {} so far", words::duration(stable)),
    };
    let change = format!("when it has been so for {}", words::duration(wait));
    (format!("preferred to {owner}; {so_far}"), Some(change))
}
