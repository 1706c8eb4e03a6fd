//! What forbids a node for a group whatever the other groups do.

use std::time::Duration;

use crate::names::NodeName;
use crate::veto::Veto;
use crate::view::{GroupView, Presence, Readiness, View};

/// Everything about the node itself. Readiness is asked only of a node that is there: what one said before it fell
/// silent means nothing.
pub(crate) fn vetoes(view: &View, group: &GroupView, name: &NodeName) -> Vec<Veto> {
    let mut vetoes = Vec::new();
    let presence = view.presence(name);
    match presence {
        Presence::Lost => vetoes.push(Veto::Lost),
        Presence::Silent => vetoes.push(Veto::Silent),
        Presence::Online { .. } => {}
    }
    if let Some(node) = view.node(name) {
        if node.drained {
            vetoes.push(Veto::Drained);
        }
        if node.leaving {
            vetoes.push(Veto::Leaving);
        }
    }
    if let Some(why) = group.bans.get(name) {
        vetoes.push(Veto::Banned(why.clone()));
    }
    if let Presence::Online { .. } = presence {
        match group.readiness.get(name) {
            None => vetoes.push(Veto::ReadinessUnknown),
            Some(Readiness::NotReady(why)) => vetoes.push(Veto::NotReady(why.clone())),
            Some(Readiness::Ready { .. }) => {}
        }
    }
    vetoes
}

/// How long a node has been online and ready without a break; zero where it is not.
pub(crate) fn stable(view: &View, group: &GroupView, name: &NodeName) -> Duration {
    match (view.presence(name), group.readiness.get(name)) {
        (Presence::Online { stable_for }, Some(Readiness::Ready { since })) => {
            stable_for.min(*since)
        }
        (Presence::Online { .. }, Some(Readiness::NotReady(_)) | None)
        | (Presence::Silent | Presence::Lost, _) => Duration::ZERO,
    }
}
