//! Where each group should be.
//!
//! | the owner | the group |
//! | --- | --- |
//! | none | goes to the best eligible node |
//! | silent | stays: nothing is taken before the lease is known to have ended |
//! | lost | goes to the best eligible node, or has no owner |
//! | drained, ending, not ready, not listed | goes to the best eligible node; stays where there is none |
//! | well, or has not said whether it is ready | stays, unless a failback is due |

use std::time::Duration;

use crate::failback::Failback;
use crate::field::{Field, Judged, presence};
use crate::names::NodeName;
use crate::plan::{Candidate, Cause, Decision, Idle, Plan, Verdict};
use crate::view::{GroupView, Presence, Readiness, View};
use crate::words;

/// Decides where every group should be. Planning again after the plan was carried out moves nothing.
#[must_use]
pub fn plan(view: &View) -> Plan {
    let mut again_in = None;
    let decisions = view
        .groups
        .iter()
        .map(|group| {
            let field = Field::judge(view, group, group.pinned.as_ref());
            let choice = choose(view, group, &field);
            again_in = again_in.into_iter().chain(choice.again_in).min();
            Decision {
                group: group.name.clone(),
                candidates: report(view, group, &field, choice.owner.as_ref()),
                cause: choice.cause.filter(|_| choice.owner != group.owner),
                idle: choice.owner.is_none().then_some(Idle::NoCandidate),
                owner: choice.owner,
                reason: choice.reason,
            }
        })
        .collect();
    Plan {
        decisions,
        again_in,
        degraded: Vec::new(),
    }
}

/// A decision before its report.
struct Choice {
    owner: Option<NodeName>,
    cause: Option<Cause>,
    reason: String,
    again_in: Option<Duration>,
}

impl Choice {
    fn stay(owner: &NodeName, reason: String) -> Self {
        Self {
            owner: Some(owner.clone()),
            cause: None,
            reason,
            again_in: None,
        }
    }

    fn go(to: &Judged, cause: Cause, reason: String) -> Self {
        Self {
            owner: Some(to.node.clone()),
            cause: Some(cause),
            reason,
            again_in: None,
        }
    }

    fn nobody(field: &Field, cause: Cause) -> Self {
        let reason = format!("no eligible node: {}", words::refused(field, None));
        Self {
            owner: None,
            cause: Some(cause),
            reason,
            again_in: None,
        }
    }
}

/// Whether the present owner may keep the group.
enum Standing {
    /// Yes, unless a failback is due.
    Holds,
    /// Yes: nothing may be taken from it yet.
    Silent,
    /// It has lost it already.
    Lost,
    /// Only where nobody else can take it. With what is said of the owner.
    Leaves(Cause, String),
}

fn choose(view: &View, group: &GroupView, field: &Field) -> Choice {
    let Some(owner) = &group.owner else {
        return match field.eligible().next() {
            Some(best) => Choice::go(best, Cause::FirstPlacement, words::first(field, best)),
            None => Choice::nobody(field, Cause::FirstPlacement),
        };
    };
    match standing(view, group, owner) {
        Standing::Holds => hold(view, group, field, owner),
        Standing::Silent => Choice::stay(
            owner,
            format!("{owner} does not renew its lease, which may still run: nothing is taken yet"),
        ),
        Standing::Lost => match field.eligible().next() {
            Some(best) => {
                let reason = format!("{owner} is lost; {}", words::first(field, best));
                Choice::go(best, Cause::OwnerLost, reason)
            }
            None => Choice::nobody(field, Cause::OwnerLost),
        },
        Standing::Leaves(cause, what) => match field.best_but(owner) {
            Some(best) => {
                let reason = format!("{owner} {what}; {}", words::first(field, best));
                Choice::go(best, cause, reason)
            }
            None => {
                let others = words::refused(field, Some(owner));
                let reason = format!("{owner} {what}, but nobody else can take it: {others}");
                Choice::stay(owner, reason)
            }
        },
    }
}

fn standing(view: &View, group: &GroupView, owner: &NodeName) -> Standing {
    match presence(view, owner) {
        Presence::Lost => return Standing::Lost,
        Presence::Silent => return Standing::Silent,
        Presence::Online { .. } => {}
    }
    let node = view.node(owner);
    if node.is_some_and(|node| node.drained) {
        return Standing::Leaves(Cause::OwnerDrained, "is drained".to_owned());
    }
    if node.is_some_and(|node| node.leaving) {
        return Standing::Leaves(Cause::OwnerLeaving, "is ending".to_owned());
    }
    if !group.scheme.lists(owner) {
        let what = "is not among the group's nodes any more".to_owned();
        return Standing::Leaves(Cause::OwnerNotListed, what);
    }
    match group.readiness.get(owner) {
        Some(Readiness::NotReady(why)) => {
            Standing::Leaves(Cause::OwnerNotReady, format!("is not ready ({why})"))
        }
        Some(Readiness::Ready { .. }) | None => Standing::Holds,
    }
}

/// The owner is well: it keeps the group unless the best eligible node is preferred to it and its return is due.
///
/// Only the best one is looked at. Returning first to the second-best, whose return is due, and then to the best would
/// interrupt the service twice; and a best node that never becomes stable is vetoed meanwhile, so that the second-best
/// is the best.
fn hold(view: &View, group: &GroupView, field: &Field, owner: &NodeName) -> Choice {
    let Some(present) = field.get(owner) else {
        return Choice::stay(owner, "it owns the group".to_owned());
    };
    let Some(best) = field.eligible().find(|judged| judged.beats(present)) else {
        return Choice::stay(owner, words::first(field, present));
    };
    let Some(wait) = group.scheme.failback().wait(view.lease) else {
        return Choice::stay(
            owner,
            format!("it owns the group, and failback to {} is manual", best.node),
        );
    };
    let stable = format!(
        "{} has been online and ready for {}",
        best.node,
        words::duration(wait)
    );
    match wait.checked_sub(best.stable).filter(|left| !left.is_zero()) {
        None => {
            let reason = format!("failback: {stable}; {}", words::first(field, best));
            Choice::go(best, Cause::Failback, reason)
        }
        Some(left) => Choice {
            again_in: Some(left),
            ..Choice::stay(owner, format!("it owns the group until {stable}"))
        },
    }
}

/// Every node with what became of it: the chosen one, the standbys in their order, then the vetoed.
fn report(
    view: &View,
    group: &GroupView,
    field: &Field,
    owner: Option<&NodeName>,
) -> Vec<Candidate> {
    let chosen = owner.and_then(|owner| field.get(owner));
    let candidate = |judged: &Judged, verdict| Candidate {
        node: judged.node.clone(),
        rank: format!("priority {}", judged.preference),
        verdict,
    };
    let others = |eligible: bool| {
        field
            .all()
            .filter(move |judged| judged.eligible() == eligible && Some(&judged.node) != owner)
    };
    let standbys = others(true).map(|judged| {
        candidate(
            judged,
            Verdict::Standby {
                why: standby(view, group, judged, owner, chosen),
                change: None,
            },
        )
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

/// Why an eligible node does not get the group, and what would have to change.
fn standby(
    view: &View,
    group: &GroupView,
    judged: &Judged,
    owner: Option<&NodeName>,
    chosen: Option<&Judged>,
) -> String {
    let (Some(owner), Some(chosen)) = (owner, chosen) else {
        let owner = owner.map_or("the present owner", NodeName::as_str);
        return format!("{owner} must give the group up first");
    };
    if judged.beats(chosen) {
        return match group.scheme.failback() {
            Failback::Manual => {
                format!(
                    "preferred to {owner}; gets it by `hactl failback {}`",
                    group.name
                )
            }
            failback @ (Failback::Auto | Failback::After(_)) => {
                let wait = failback.wait(view.lease).unwrap_or_default();
                format!(
                    "preferred to {owner}; gets it when online and ready for {}",
                    words::duration(wait)
                )
            }
        };
    }
    if chosen.pinned {
        return format!("the group is pinned to {owner}");
    }
    if judged.ties(chosen) {
        return format!("priority {} as {owner}", judged.preference);
    }
    format!(
        "priority {} is below {} of {owner}",
        judged.preference, chosen.preference
    )
}
