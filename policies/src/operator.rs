//! Where an operator's move may go, and why not elsewhere.

use std::fmt;
use std::rc::Rc;

use crate::field::{Field, Judged};
use crate::names::{GroupName, NodeName};
use crate::order;
use crate::places::Places;
use crate::relations::Relations;
use crate::scheme;
use crate::veto::Veto;
use crate::view::{GroupView, Presence, View};
use crate::words;

/// Where an operator's move goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Target {
    /// The new owner.
    pub node: NodeName,
    /// Whether the group must be pinned there, because the scheme would move it back by itself.
    pub pin: bool,
    /// Why this node: one clause for people.
    pub reason: String,
}

/// Why an operator's wish is refused: a sentence for people, with what to do instead.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused(pub String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

/// Where `failover` takes a group: to the named node, or to the next in order.
///
/// # Errors
/// Where the group or the node is not known, the group is stopped or in maintenance, the node is vetoed or owns the
/// group already, nobody else is eligible, or the owner is silent: then its lease decides, not an operator.
pub fn failover(view: &View, group: &GroupName, to: Option<&NodeName>) -> Result<Target, Refused> {
    let (places, index) = find(view, group)?;
    let group = &view.groups[index];
    free(view, group)?;
    let field = judge(&places, index, group.pinned.as_ref());
    let target = match to {
        Some(node) => named(group, &field, node)?,
        None => successor(group, &field)?,
    };
    movable(view, group)?;
    let reason = match &target.hindered {
        None => "an operator asked for it".to_owned(),
        Some(hindrance) => {
            let why = words::hindered(hindrance, target.node());
            let follower = &hindrance.follower;
            format!("an operator asked for it, although {why}, and {follower} then runs nowhere")
        }
    };
    Ok(Target {
        node: target.node().clone(),
        pin: returns(&places, index, target.node()),
        reason,
    })
}

/// With the present pin ended, would the scheme move the group on from a node?
fn returns(places: &Places, index: usize, from: &NodeName) -> bool {
    let scheme = judge(places, index, None);
    let beaten = scheme
        .get(from)
        .is_some_and(|from| scheme.all().any(|other| other.beats(from)));
    let failback = places.view.groups[index].scheme.failback();
    beaten && failback.wait(places.view.lease).is_some()
}

/// Where `failback` takes a group: to the node that the scheme prefers, whatever pin there was. `None` where it is
/// there already, and only the pin ends.
///
/// # Errors
/// Where the group is not known, is stopped, in maintenance or rotates, no node is eligible, a group that follows could
/// not run there, or the owner is silent.
pub fn failback(view: &View, group: &GroupName) -> Result<Option<Target>, Refused> {
    let (places, index) = find(view, group)?;
    let group = &view.groups[index];
    free(view, group)?;
    if group.scheme.rotates() {
        let name = &group.name;
        let refused =
            format!("{name} rotates: it never fails back; `hactl failover {name}` moves it on");
        return group.pinned.as_ref().map(|_| None).ok_or(Refused(refused));
    }
    let field = judge(&places, index, None);
    let present = group.owner.as_ref().and_then(|owner| field.get(owner));
    let best = match present {
        Some(present) => match field.better(present) {
            Some(best) => best,
            None => return settled(group, &field, present).map(|()| None),
        },
        None => field.eligible().next().ok_or_else(|| {
            let why = words::nobody(&field);
            Refused(format!("nobody can take {}: {why}", group.name))
        })?,
    };
    movable(view, group)?;
    let first = scheme::first(group, &field, best, None);
    Ok(Some(Target {
        node: best.node().clone(),
        pin: false,
        reason: format!("failback: {first}"),
    }))
}

/// A group is where its scheme wants it, unless only a follower keeps it from a better node.
fn settled(group: &GroupView, field: &Field, present: &Judged) -> Result<(), Refused> {
    let preferred = field.eligible().find(|judged| judged.beats(present));
    let hindered = preferred.and_then(|judged| Some((judged.node(), judged.hindered.as_ref()?)));
    match hindered {
        Some((node, hindrance)) if group.pinned.is_none() => {
            let why = words::hindered(hindrance, node);
            let name = &group.name;
            Err(Refused(format!(
                "{name} prefers {node}, but {why}; `hactl failover {name} --to {node}` moves it all the same, and {} then runs nowhere",
                hindrance.follower
            )))
        }
        Some(_) | None => Ok(()),
    }
}

/// The standbys of a group in the order in which they would take over. Nobody takes over a group that is stopped or in
/// maintenance. One that follows others has their standbys, as far as it could run there.
#[must_use]
pub fn next(view: &View, group: &GroupName) -> Vec<NodeName> {
    let Ok((places, index)) = find(view, group) else {
        return Vec::new();
    };
    standbys(&places, index, &mut vec![index])
}

/// `seen` are the followers on the way here: they end a circle of groups that follow each other.
fn standbys(places: &Places, index: usize, seen: &mut Vec<usize>) -> Vec<NodeName> {
    let group = &places.view.groups[index];
    if free(places.view, group).is_err() {
        return Vec::new();
    }
    let field = judge(places, index, group.pinned.as_ref());
    let followed: Vec<usize> = group
        .with
        .iter()
        .filter_map(|name| places.find(name))
        .filter(|one| !seen.contains(one))
        .collect();
    let Some((&leader, others)) = followed.split_first() else {
        let eligible = field.eligible().map(|judged| judged.node().clone());
        return eligible
            .filter(|node| Some(node) != group.owner.as_ref())
            .collect();
    };
    seen.extend(&followed);
    let mut nodes = standbys(places, leader, seen);
    for &other in others {
        let also = standbys(places, other, seen);
        nodes.retain(|node| also.contains(node));
    }
    let could = |judged: &Judged| {
        judged
            .vetoes
            .iter()
            .all(|veto| matches!(veto, Veto::NotWith { .. }))
    };
    nodes.retain(|node| field.get(node).is_some_and(could));
    nodes
}

fn judge(places: &Places, index: usize, pinned: Option<&NodeName>) -> Field {
    let owner = places.view.groups[index].owner.as_ref();
    Field::judge(places, index, pinned, owner)
}

fn find<'a>(view: &'a View, name: &GroupName) -> Result<(Places<'a>, usize), Refused> {
    let relations = Rc::new(Relations::of(view));
    let places = Places::present(view, &relations, &order::planning(view, &relations));
    match places.find(name) {
        Some(index) => Ok((places, index)),
        None => {
            let known = words::list(view.groups.iter().map(|group| &group.name));
            Err(Refused(format!(
                "there is no group {name}; the groups are: {known}"
            )))
        }
    }
}

/// Stopped and in maintenance no group moves.
fn free(view: &View, group: &GroupView) -> Result<(), Refused> {
    let name = &group.name;
    if group.maintenance {
        let remedy = view.maintenance_off(name);
        let (what, remedy) = if view.maintenance {
            (
                "the whole cluster".to_owned(),
                format!("{remedy} lets everything move again"),
            )
        } else {
            (name.to_string(), format!("{remedy} lets it move again"))
        };
        return Err(Refused(format!("{what} is in maintenance; {remedy}")));
    }
    if group.stopped {
        let remedy = format!("`hactl group start {name}` starts it");
        return Err(Refused(format!("{name} is stopped; {remedy}")));
    }
    Ok(())
}

fn named<'a>(group: &GroupView, field: &'a Field, node: &NodeName) -> Result<&'a Judged, Refused> {
    let name = &group.name;
    if group.owner.as_ref() == Some(node) {
        return Err(Refused(format!("{node} owns {name} already")));
    }
    let Some(judged) = field.get(node) else {
        let mut known: Vec<&NodeName> = field.all().map(Judged::node).collect();
        known.sort_unstable();
        let known = words::list(known);
        return Err(Refused(format!(
            "{node} is not among the nodes of {name}: {known}"
        )));
    };
    if judged.eligible() {
        return Ok(judged);
    }
    let why = words::vetoes(&judged.vetoes);
    // What lifts one of several would be no remedy.
    let remedies = judged.vetoes.iter().map(|veto| remedy(veto, group, node));
    let remedies: Option<Vec<String>> = remedies.collect();
    let remedy = remedies.map_or(String::new(), |all| format!("; {}", all.join(", and ")));
    Err(Refused(format!(
        "{node} cannot take {name}: it {why}{remedy}"
    )))
}

/// A command that lifts a veto, where there is one.
fn remedy(veto: &Veto, group: &GroupView, node: &NodeName) -> Option<String> {
    match veto {
        Veto::Drained => Some(format!("`hactl node resume {node}` ends that")),
        Veto::Banned(_) => Some(format!("`hactl group clear {}` forgets that", group.name)),
        Veto::NotWith { group, owner, .. } => owner
            .as_ref()
            .map(|_| format!("`hactl failover {group} --to {node}` moves both")),
        Veto::GivesWay { .. } | Veto::Apart { .. } => {
            Some(format!("it can {}", veto.change(&group.name, node)))
        }
        Veto::Lost
        | Veto::Silent
        | Veto::Leaving
        | Veto::NotReady(_)
        | Veto::ReadinessUnknown
        | Veto::NotQueued
        | Veto::Full { .. } => None,
    }
}

fn successor<'a>(group: &GroupView, field: &'a Field) -> Result<&'a Judged, Refused> {
    let name = &group.name;
    let best = field
        .eligible()
        .find(|judged| Some(judged.node()) != group.owner.as_ref());
    best.ok_or_else(|| match (&group.owner, words::followed(field).first()) {
        (Some(_), Some((followed, _))) => {
            let both = format!("`hactl failover {followed}` takes it along");
            Refused(format!(
                "{name} follows {followed}, and moves only with it: {both}"
            ))
        }
        (Some(owner), None) => {
            let why = words::refused(field, Some(owner));
            Refused(format!("nobody else can take {name}: {why}"))
        }
        (None, _) => Refused(format!("nobody can take {name}: {}", words::nobody(field))),
    })
}

/// A silent owner cannot let go of a group, and it may still be running it.
fn movable(view: &View, group: &GroupView) -> Result<(), Refused> {
    let Some(owner) = &group.owner else {
        return Ok(());
    };
    match view.presence(owner) {
        Presence::Silent => Err(Refused(format!(
            "{owner} owns {} and does not renew its lease: the group moves by itself when the lease has ended",
            group.name
        ))),
        Presence::Online { .. } | Presence::Lost => Ok(()),
    }
}
