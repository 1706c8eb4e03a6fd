//! The cluster's history, as entries write it.

use std::sync::Arc;

use had_policies::Cause;

use super::apply::Author;
use super::{ClusterEvent, EVENTS_KEPT, Move, Moved, State};
use crate::ids::{Epoch, GroupName, NodeName};

/// "Why was it there at ten?" is asked of the last moves: three tell a move, its return and what came before.
const JUDGEMENTS_KEPT: usize = 3;

impl State {
    /// Something about the whole cluster.
    pub(super) fn note(&mut self, author: Author<'_>, kind: &str, text: String) {
        self.keep(author, (None, None), kind, text, None);
    }

    /// Something about a node.
    pub(super) fn note_node(
        &mut self,
        author: Author<'_>,
        node: &NodeName,
        kind: &str,
        text: String,
    ) {
        self.keep(author, (Some(node), None), kind, text, None);
    }

    /// Something about a group.
    pub(super) fn note_group(
        &mut self,
        author: Author<'_>,
        group: &GroupName,
        kind: &str,
        text: String,
    ) {
        self.keep(author, (None, Some(group)), kind, text, None);
    }

    /// A change of owner, with how every node was judged.
    pub(super) fn note_move(&mut self, author: Author<'_>, change: &Move, epoch: Epoch) {
        let (kind, text) = describe(change, epoch);
        let node = change.to.as_ref().or(change.from.as_ref());
        self.forget_judgements(&change.group);
        let moved = Moved {
            owner: change.to.clone(),
            epoch,
            candidates: change.candidates.clone(),
        };
        self.keep(author, (node, Some(&change.group)), kind, text, Some(moved));
    }

    /// How nodes were judged is kept for the last moves of a group alone.
    fn forget_judgements(&mut self, group: &GroupName) {
        let of_group = |event: &&mut Arc<ClusterEvent>| event.group.as_ref() == Some(group);
        let judged = self.events.iter_mut().rev().filter(of_group);
        let judged = judged.filter(|event| {
            let moved = event.moved.as_ref();
            moved.is_some_and(|moved| !moved.candidates.is_empty())
        });
        for event in judged.skip(JUDGEMENTS_KEPT - 1) {
            if let Some(moved) = &mut Arc::make_mut(event).moved {
                moved.candidates.clear();
            }
        }
    }

    fn keep(
        &mut self,
        author: Author<'_>,
        (node, group): (Option<&NodeName>, Option<&GroupName>),
        kind: &str,
        text: String,
        moved: Option<Moved>,
    ) {
        self.last_event += 1;
        self.events.push_back(Arc::new(ClusterEvent {
            number: self.last_event,
            at: author.at,
            node: node.cloned(),
            group: group.cloned(),
            kind: kind.to_owned(),
            text,
            by: author.by.cloned(),
            moved,
        }));
        if self.events.len() > EVENTS_KEPT {
            self.events.pop_front();
        }
    }
}

/// The word for machines and the sentence for people.
fn describe(change: &Move, epoch: Epoch) -> (&'static str, String) {
    let Move { group, reason, .. } = change;
    match (&change.from, &change.to) {
        (None, Some(to)) => (
            "placed",
            format!("{group} placed on {to} (epoch {epoch}): {reason}"),
        ),
        (Some(from), None) => match change.cause {
            Cause::Displaced => (
                "displaced",
                format!("{group} gave way on {from} (epoch {epoch}): {reason}"),
            ),
            Cause::Stopped => (
                "stopped",
                format!("{group} left {from} (epoch {epoch}): {reason}"),
            ),
            Cause::FirstPlacement
            | Cause::OwnerLost
            | Cause::OwnerDrained
            | Cause::OwnerLeaving
            | Cause::OwnerNotReady
            | Cause::OwnerBanned
            | Cause::OwnerNotListed
            | Cause::Apart
            | Cause::NotWith
            | Cause::Failback
            | Cause::Operator => (
                "stranded",
                format!("{group} left {from} and has no owner (epoch {epoch}): {reason}"),
            ),
        },
        (Some(from), Some(to)) if from == to => (
            "restarted",
            format!("{group} starts again on {to} (epoch {epoch}): {reason}"),
        ),
        (Some(from), Some(to)) if change.cause == Cause::OwnerLost => (
            "takeover",
            format!("{group} taken over by {to} from {from} (epoch {epoch}): {reason}"),
        ),
        (Some(from), Some(to)) => (
            "switchover",
            format!("{group} moved from {from} to {to} (epoch {epoch}): {reason}"),
        ),
        (None, None) => (
            "stranded",
            format!("{group} has no owner (epoch {epoch}): {reason}"),
        ),
    }
}
