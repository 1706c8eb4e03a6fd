//! Where an operator's move may go, and why not elsewhere.

use std::fmt;

use crate::field::{Field, Judged, presence};
use crate::names::{GroupName, NodeName};
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

/// Why an operator's move is refused: a sentence for people, with what to do instead.
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
/// Where the group or the node is not known, the node is vetoed or owns the group already, nobody else is eligible, or
/// the owner is silent: then its lease decides, not an operator.
pub fn failover(view: &View, group: &GroupName, to: Option<&NodeName>) -> Result<Target, Refused> {
    let group = find(view, group)?;
    let field = Field::judge(view, group, group.pinned.as_ref());
    let target = match to {
        Some(node) => named(group, &field, node)?,
        None => successor(group, &field)?,
    };
    movable(view, group)?;
    // With the present pin ended, would the scheme move the group on from there?
    let scheme = Field::judge(view, group, None);
    let pin = group.scheme.failback().wait(view.lease).is_some()
        && scheme.all().any(|other| {
            scheme
                .get(&target.node)
                .is_some_and(|target| other.beats(target))
        });
    Ok(Target {
        node: target.node.clone(),
        pin,
        reason: "an operator asked for it".to_owned(),
    })
}

/// Where `failback` takes a group: to the node that the scheme prefers, whatever pin there was. `None` where it is
/// there already, and only the pin ends.
///
/// # Errors
/// Where the group is not known, no node is eligible, or the owner is silent.
pub fn failback(view: &View, group: &GroupName) -> Result<Option<Target>, Refused> {
    let group = find(view, group)?;
    let field = Field::judge(view, group, None);
    let present = group.owner.as_ref().and_then(|owner| field.get(owner));
    let better = |judged: &&Judged| present.is_none_or(|present| judged.beats(present));
    let Some(best) = field.eligible().find(better) else {
        if present.is_some() {
            return Ok(None);
        }
        let why = words::refused(&field, None);
        return Err(Refused(format!(
            "{} has no eligible node: {why}",
            group.name
        )));
    };
    movable(view, group)?;
    let reason = format!("failback: {}", words::first(&field, best));
    Ok(Some(Target {
        node: best.node.clone(),
        pin: false,
        reason,
    }))
}

/// The standbys of a group in the order in which they would take over.
#[must_use]
pub fn next(view: &View, group: &GroupName) -> Vec<NodeName> {
    let Some(group) = view.group(group) else {
        return Vec::new();
    };
    Field::judge(view, group, group.pinned.as_ref())
        .eligible()
        .filter(|judged| Some(&judged.node) != group.owner.as_ref())
        .map(|judged| judged.node.clone())
        .collect()
}

fn find<'a>(view: &'a View, name: &GroupName) -> Result<&'a GroupView, Refused> {
    view.group(name).ok_or_else(|| {
        let known: Vec<&str> = view
            .groups
            .iter()
            .map(|group| group.name.as_str())
            .collect();
        Refused(format!(
            "there is no group {name}; the groups are: {}",
            known.join(", ")
        ))
    })
}

fn named<'a>(group: &GroupView, field: &'a Field, node: &NodeName) -> Result<&'a Judged, Refused> {
    if group.owner.as_ref() == Some(node) {
        return Err(Refused(format!("{node} owns {} already", group.name)));
    }
    let Some(judged) = field.get(node) else {
        let mut known: Vec<&str> = field.all().map(|judged| judged.node.as_str()).collect();
        known.sort_unstable();
        let known = known.join(", ");
        return Err(Refused(format!(
            "{node} is not among the nodes of {}: {known}",
            group.name
        )));
    };
    if judged.eligible() {
        return Ok(judged);
    }
    let mut why = format!(
        "{node} cannot take {}: it {}",
        group.name,
        words::vetoes(&judged.vetoes)
    );
    if judged.vetoes.contains(&Veto::Drained) {
        why += &format!("; `hactl node resume {node}` takes it back");
    }
    Err(Refused(why))
}

fn successor<'a>(group: &GroupView, field: &'a Field) -> Result<&'a Judged, Refused> {
    field
        .eligible()
        .find(|judged| Some(&judged.node) != group.owner.as_ref())
        .ok_or_else(|| {
            let why = words::refused(field, group.owner.as_ref());
            Refused(format!("nobody else can take {}: {why}", group.name))
        })
}

/// A silent owner cannot let go of a group, and it may still be running it.
fn movable(view: &View, group: &GroupView) -> Result<(), Refused> {
    match group
        .owner
        .as_ref()
        .map(|owner| (owner, presence(view, owner)))
    {
        Some((owner, Presence::Silent)) => Err(Refused(format!(
            "{owner} owns {} and does not renew its lease: the group moves by itself when the lease has ended",
            group.name
        ))),
        Some((_, Presence::Online { .. } | Presence::Lost)) | None => Ok(()),
    }
}
