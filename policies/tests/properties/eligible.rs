//! What DESIGN calls eligible, written apart from the planner on purpose.

use had_policies::names::NodeName;
use had_policies::{GroupView, Presence, Readiness, Scheme, View};

pub(crate) type Owners = Vec<Option<NodeName>>;

pub(crate) fn owners(view: &View) -> Owners {
    view.groups
        .iter()
        .map(|group| group.owner.clone())
        .collect()
}

pub(crate) fn is_silent(view: &View, node: &NodeName) -> bool {
    view.node(node)
        .is_none_or(|node| node.presence == Presence::Silent)
}

/// A node could run a group, whatever the other groups do.
pub(crate) fn alone(view: &View, group: &GroupView, node: &NodeName) -> bool {
    let online = view.node(node).is_some_and(|node| {
        matches!(node.presence, Presence::Online { .. }) && !node.drained && !node.leaving
    });
    let ready = matches!(group.readiness.get(node), Some(Readiness::Ready { .. }));
    online && ready && group.scheme.lists(node) && !group.bans.contains_key(node)
}

/// A node could take a group, given where the others are.
pub(crate) fn among(view: &View, owners: &Owners, number: usize, node: &NodeName) -> bool {
    let group = &view.groups[number];
    let rotates = matches!(group.scheme, Scheme::RotatingStandby { .. });
    let queued = !rotates || group.queue.contains(node) || group.owner.as_ref() == Some(node);
    let others: Vec<(&GroupView, Option<&NodeName>)> = view
        .groups
        .iter()
        .zip(owners)
        .filter(|(other, _)| other.name != group.name)
        .map(|(other, owner)| (other, owner.as_ref()))
        .collect();
    let here = || others.iter().filter(|(_, owner)| *owner == Some(node));
    let peaceful = here().all(|(other, _)| {
        !other.displaces.contains(&group.name)
            && !other.apart_from.contains(&group.name)
            && !group.apart_from.contains(&other.name)
    });
    let together = others
        .iter()
        .all(|(other, owner)| !group.with.contains(&other.name) || *owner == Some(node));
    let load: u64 = here().map(|(other, _)| u64::from(other.load)).sum();
    let fits = view.node(node).is_some_and(|node| {
        !node.capacity_is_hard || load + u64::from(group.load) <= u64::from(node.capacity)
    });
    alone(view, group, node) && queued && peaceful && together && fits
}
