//! Rotating standby: first in, first out.

use super::Ranked;
use crate::field::{Field, Judged};
use crate::names::NodeName;
use crate::view::{GroupView, Presence, View};
use crate::words;

/// The queue, then the owner, then those that are not in the queue.
pub(super) fn ranked(
    group: &GroupView,
    listed: &[&NodeName],
    stays: Option<&NodeName>,
) -> Vec<Ranked> {
    let owns = |node: &NodeName| group.owner.as_ref() == Some(node);
    let waiting = waiting(group, listed);
    let mut nodes = waiting.clone();
    nodes.extend(listed.iter().copied().filter(|node| owns(node)));
    for node in listed {
        if !nodes.contains(node) {
            nodes.push(node);
        }
    }
    let words = |place: usize, node: &NodeName| {
        if place < waiting.len() {
            format!("{} in the queue", words::ordinal(place + 1))
        } else if owns(node) && stays == Some(node) {
            "the owner".to_owned()
        } else if owns(node) {
            "the former owner".to_owned()
        } else {
            "not in the queue".to_owned()
        }
    };
    let ranked = nodes.iter().enumerate().map(|(place, node)| Ranked {
        node: (*node).clone(),
        preference: 0,
        level: place,
        words: words(place, node),
        burden: None,
    });
    ranked.collect()
}

/// The queue as far as it names nodes of the group other than the owner, each once.
fn waiting<'a>(group: &GroupView, listed: &[&'a NodeName]) -> Vec<&'a NodeName> {
    let mut waiting: Vec<&NodeName> = Vec::new();
    for node in &group.queue {
        let known = listed.iter().copied().find(|one| *one == node);
        let fresh = group.owner.as_ref() != Some(node) && !waiting.contains(&node);
        waiting.extend(known.filter(|_| fresh));
    }
    waiting
}

pub(super) fn first(field: &Field, chosen: &Judged, owner: Option<&NodeName>) -> String {
    if owner == Some(chosen.node()) {
        return format!(
            "{} has the group, and keeps it as long as it can run it",
            chosen.node()
        );
    }
    let mut passed: Vec<&Judged> = field
        .all()
        .filter(|judged| judged.place < chosen.place && !judged.eligible())
        .collect();
    passed.sort_by_key(|judged| judged.place);
    let passed = passed
        .into_iter()
        .map(|judged| format!("{} {}", judged.node(), words::vetoes(&judged.vetoes)));
    let passed = passed.collect::<Vec<_>>().join("; ");
    if passed.is_empty() {
        "next in the queue".to_owned()
    } else {
        format!("next in the queue; before it, but passed over: {passed}")
    }
}

pub(super) fn behind(judged: &Judged, chosen: &Judged) -> String {
    if judged.place < chosen.place {
        format!(
            "{} has the group, and keeps it as long as it can run it",
            chosen.node()
        )
    } else {
        format!("{} is before it in the queue", chosen.node())
    }
}

/// A rotating group changed its owner: the new one leaves its place, the old one joins at the tail, unless it is lost
/// or drained. The core's state does the same when the move is applied.
pub(crate) fn rotate(view: &View, group: &mut GroupView, to: Option<NodeName>) {
    let from = std::mem::replace(&mut group.owner, to);
    if !group.scheme.rotates() || from == group.owner {
        return;
    }
    let owner = group.owner.clone();
    group.queue.retain(|node| Some(node) != owner.as_ref());
    let away = |node: &NodeName| {
        matches!(view.presence(node), Presence::Lost)
            || view.node(node).is_some_and(|node| node.drained)
    };
    let tail =
        from.filter(|node| group.scheme.lists(node) && !away(node) && !group.queue.contains(node));
    group.queue.extend(tail);
}
