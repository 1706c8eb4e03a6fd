//! Where one group should be.
//!
//! | the owner | the group |
//! | --- | --- |
//! | whatever, in maintenance | stays |
//! | silent | stays: nothing is taken before the lease is known to have ended |
//! | whatever, stopped by an operator | has no owner |
//! | none | goes to the best eligible node |
//! | lost | goes to the best eligible node, or has no owner |
//! | shares its node with a group that forbids it, or a group that it follows is elsewhere | the same |
//! | drained, ending, not listed, banned, not ready | goes to the best eligible node; stays where there is none |
//! | well, or has not said whether it is ready | stays, unless a failback is due |

use std::time::Duration;

use crate::between;
use crate::field::{Field, Judged};
use crate::names::NodeName;
use crate::places::Places;
use crate::plan::Cause;
use crate::scheme;
use crate::veto::Veto;
use crate::view::{GroupView, Presence, Readiness, View};
use crate::words;

/// A decision before its report.
#[derive(Clone, Debug)]
pub(crate) struct Choice {
    /// Who should own the group.
    pub(crate) owner: Option<NodeName>,
    /// Why it moves, where it does.
    pub(crate) cause: Option<Cause>,
    /// One clause for people.
    pub(crate) reason: String,
    /// When time alone would change the choice.
    pub(crate) again_in: Option<Duration>,
    /// Several steps led here.
    pub(crate) stepwise: bool,
}

impl Choice {
    fn new(owner: Option<&NodeName>, cause: Option<Cause>, reason: String) -> Self {
        Self {
            owner: owner.cloned(),
            cause,
            reason,
            again_in: None,
            stepwise: false,
        }
    }

    fn stay(owner: &NodeName, reason: String) -> Self {
        Self::new(Some(owner), None, reason)
    }

    /// To the best node, or to none, for a cause that leaves no choice.
    fn go_or_rest(best: Option<&Judged>, cause: Cause, reason: String) -> Self {
        Self::new(best.map(Judged::node), Some(cause), reason)
    }

    /// A further step of the same move.
    pub(crate) fn then(&mut self, next: Self) {
        if next.owner != self.owner {
            let stepwise = self.cause.is_some();
            let cause = self.cause.or(next.cause);
            *self = Self {
                cause,
                stepwise,
                ..next
            };
        }
    }
}

/// Decides one group by the rules of the table above, given where the others count.
pub(crate) fn choose(places: &Places, index: usize) -> Choice {
    let (view, group) = (places.view, &places.view.groups[index]);
    if group.maintenance {
        return in_maintenance(places, index);
    }
    let owner = group.owner.as_ref();
    if let Some(owner) = owner.filter(|owner| matches!(view.presence(owner), Presence::Silent)) {
        let why = "does not renew its lease, which may still run";
        let then = if group.stopped {
            "the group counts as stopped once it has ended"
        } else {
            "nothing is taken yet"
        };
        return Choice::stay(owner, format!("{owner} {why}: {then}"));
    }
    if group.stopped {
        return Choice::new(
            None,
            Some(Cause::Stopped),
            format!(
                "stopped by an operator, until `hactl group start {}`",
                group.name
            ),
        );
    }
    let field = Field::judge(places, index, group.pinned.as_ref(), owner);
    let Some(owner) = owner else {
        let best = field.eligible().next();
        let reason = match best {
            Some(best) => scheme::first(group, &field, best, None),
            None => words::nobody(&field),
        };
        return Choice::go_or_rest(best, Cause::FirstPlacement, reason);
    };
    if let Presence::Lost = view.presence(owner) {
        let best = field.eligible().next();
        let reason = match best {
            Some(best) => lost(group, &field, owner, best),
            None => words::nobody(&field),
        };
        return Choice::go_or_rest(best, Cause::OwnerLost, reason);
    }
    if let Some(veto) = between::vetoes(places, index, owner, true)
        .into_iter()
        .next()
    {
        return obey(group, &field, owner, &veto);
    }
    match leaves(view, group, owner) {
        Some((cause, what)) => leave(group, &field, owner, cause, &what),
        None => hold(view, group, &field, owner),
    }
}

fn in_maintenance(places: &Places, index: usize) -> Choice {
    let (view, group) = (places.view, &places.view.groups[index]);
    let owner = group.owner.as_ref();
    let (off, start) = (
        view.maintenance_off(&group.name),
        format!("`hactl group start {}`", group.name),
    );
    let lost = |owner: &NodeName| matches!(view.presence(owner), Presence::Lost);
    let reason = match (owner, group.stopped) {
        (None, false) => format!("in maintenance: nothing starts it until {off}"),
        (None, true) => {
            format!("stopped by an operator, and in maintenance: {off} and {start} start it")
        }
        (Some(owner), _) if lost(owner) => {
            format!("{owner} is lost, but in maintenance nothing takes it over until {off}")
        }
        (Some(_), true) => format!(
            "in maintenance: an operator stopped it, and it stops after {off}; {start} takes that back"
        ),
        (Some(owner), false) => match between::vetoes(places, index, owner, true).first() {
            None => format!("in maintenance: nothing moves it until {off}"),
            Some(veto) => {
                format!("in maintenance: {owner} {veto}, but nothing moves it until {off}")
            }
        },
    };
    Choice::new(owner, None, reason)
}

fn lost(group: &GroupView, field: &Field, owner: &NodeName, best: &Judged) -> String {
    let first = scheme::first(group, field, best, Some(owner));
    format!("{owner} is lost; {first}")
}

/// A rule between groups forbids the owner: the group leaves it even where nobody else can take it.
fn obey(group: &GroupView, field: &Field, owner: &NodeName, veto: &Veto) -> Choice {
    let (cause, what) = match veto {
        Veto::GivesWay { to } => (
            Cause::Displaced,
            format!("gives way to {} on {owner}", words::and(to)),
        ),
        Veto::Apart { from } => (
            Cause::Apart,
            format!("must not share {owner} with {}", words::and(from)),
        ),
        Veto::NotWith { group, .. } => (Cause::NotWith, format!("follows {group}")),
        Veto::Lost
        | Veto::Silent
        | Veto::Drained
        | Veto::Leaving
        | Veto::NotReady(_)
        | Veto::ReadinessUnknown
        | Veto::Banned(_)
        | Veto::NotQueued
        | Veto::Full { .. } => (Cause::OwnerNotReady, format!("{owner} {veto}")),
    };
    let best = field.best_but(owner);
    let reason = match (best, cause) {
        (Some(best), Cause::NotWith) => scheme::first(group, field, best, Some(owner)),
        (Some(best), _) => {
            let first = scheme::first(group, field, best, Some(owner));
            format!("{what}; {first}")
        }
        (None, Cause::Displaced | Cause::NotWith) => words::nobody(field),
        (None, _) => {
            let others = words::refused(field, Some(owner));
            format!("{what}, and nobody else can take it: {others}")
        }
    };
    Choice::go_or_rest(best, cause, reason)
}

/// Why the owner should give the group up where another can take it. With what is said of the owner.
fn leaves(view: &View, group: &GroupView, owner: &NodeName) -> Option<(Cause, String)> {
    let node = view.node(owner);
    if node.is_some_and(|node| node.drained) {
        return Some((Cause::OwnerDrained, "is drained".to_owned()));
    }
    if node.is_some_and(|node| node.leaving) {
        return Some((Cause::OwnerLeaving, Veto::Leaving.to_string()));
    }
    if !group.scheme.lists(owner) {
        let what = "is not among the group's nodes any more".to_owned();
        return Some((Cause::OwnerNotListed, what));
    }
    if let Some(why) = group.bans.get(owner) {
        return Some((Cause::OwnerBanned, Veto::Banned(why.clone()).to_string()));
    }
    match group.readiness.get(owner) {
        Some(Readiness::NotReady(why)) => Some((
            Cause::OwnerNotReady,
            Veto::NotReady(why.clone()).to_string(),
        )),
        Some(Readiness::Ready { .. }) | None => None,
    }
}

fn leave(group: &GroupView, field: &Field, owner: &NodeName, cause: Cause, what: &str) -> Choice {
    match field.best_but(owner) {
        Some(best) => {
            let first = scheme::first(group, field, best, Some(owner));
            let reason = format!("{owner} {what}; {first}");
            Choice::new(Some(best.node()), Some(cause), reason)
        }
        None => {
            let others = words::refused(field, Some(owner));
            let reason = match cause {
                Cause::OwnerLeaving => format!(
                    "{owner} {what}, and the group stops with its daemon: nobody else can take it ({others})"
                ),
                _ => format!("{owner} {what}, but nobody else can take it: {others}"),
            };
            Choice::stay(owner, reason)
        }
    }
}

/// The owner is well: it keeps the group unless the best eligible node is preferred to it and its return is due.
///
/// Only the best one is looked at. Returning first to the second-best, whose return is due, and then to the best would
/// interrupt the service twice; and a best node that never becomes stable is vetoed meanwhile, so that the second-best
/// is the best.
fn hold(view: &View, group: &GroupView, field: &Field, owner: &NodeName) -> Choice {
    let Some(present) = field.get(owner) else {
        return Choice::stay(owner, format!("{owner} owns the group"));
    };
    let Some(best) = field.better(present) else {
        return Choice::stay(owner, keeps(group, field, present));
    };
    let Some(wait) = group.scheme.failback().wait(view.lease) else {
        let reason = format!(
            "{owner} owns the group, and failback to {} is manual",
            best.node()
        );
        return Choice::stay(owner, reason);
    };
    let stable = format!(
        "{} has been online and ready for at least {}",
        best.node(),
        words::duration(wait)
    );
    match wait.checked_sub(best.stable).filter(|left| !left.is_zero()) {
        None => {
            let first = scheme::first(group, field, best, None);
            let reason = format!("failback: {stable}; {first}");
            Choice::new(Some(best.node()), Some(Cause::Failback), reason)
        }
        Some(left) => Choice {
            again_in: Some(left),
            ..Choice::stay(owner, format!("{owner} owns the group until {stable}"))
        },
    }
}

/// Why a well owner keeps the group although no failback is due.
fn keeps(group: &GroupView, field: &Field, present: &Judged) -> String {
    let hindered = field
        .eligible()
        .filter(|judged| judged.beats(present))
        .find_map(|judged| Some((judged, judged.hindered.as_ref()?)));
    match hindered {
        None if present.vetoes.contains(&Veto::ReadinessUnknown) => {
            let owner = present.node();
            format!("{owner} has not said whether it is ready, which alone moves no running group")
        }
        None => scheme::first(group, field, present, None),
        Some((judged, hindrance)) => format!(
            "{} owns the group; {} is preferred, but {}",
            present.node(),
            judged.node(),
            words::hindered(hindrance, judged.node())
        ),
    }
}
