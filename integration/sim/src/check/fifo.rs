//! S3: a rotating group serves its queue first in, first out, across restarts and changes of leader.
//!
//! The model of a queue needs no entries, only what was decided, index after index: whoever may stand by goes on standing
//! by in the same order, whoever may no longer is gone, and whoever is new stands behind all others. A node may stand by
//! where the group lists it, it is neither lost nor drained, and it does not own the group.

use std::collections::BTreeMap;

use had_core::explain::VerdictWord;
use had_core::ids::{GroupName, NodeName};
use had_core::spec::{ClusterSpec, PolicySpec};
use had_core::state::{Move, State};
use had_policies::Cause;

use super::Violation;

/// The queues as they should be.
#[derive(Debug, Default)]
pub struct Fifo {
    /// The last index that the model has followed.
    last: u64,
    /// The model's queues, under each index at which one changed.
    queues: BTreeMap<u64, Queues>,
}

type Queues = BTreeMap<GroupName, Vec<NodeName>>;

fn broken(text: String) -> Violation {
    Violation {
        check: "fifo",
        text,
    }
}

impl Fifo {
    /// A node applied an entry, or took over a snapshot that ends with it. Whether the model had to begin anew from what
    /// the node says: no node has shown what was decided in between, which only a snapshot can skip.
    ///
    /// # Errors
    /// Where a queue is not what follows from what was decided.
    pub fn applied(
        &mut self,
        node: &NodeName,
        index: u64,
        state: &State,
    ) -> Result<bool, Violation> {
        if index <= self.last {
            return self.as_before(node, index, state).map(|()| false);
        }
        let skipped = index > self.last + 1;
        let now = Self::queues(state);
        let former = self.queues.last_key_value();
        for (group, queue) in &now {
            let before = former.and_then(|(_, queues)| queues.get(group));
            let begins = match before {
                Some(before) if !skipped => follows(state, group, before),
                Some(_) => Vec::new(),
                None => in_order_of_the_file(state, group),
            };
            let joined = queue.strip_prefix(&begins[..]);
            let right = joined.is_some_and(|joined| {
                let mut all: Vec<&NodeName> = begins.iter().chain(joined).collect();
                all.sort();
                all == may_stand_by(state, group)
            });
            if !right {
                return Err(broken(format!(
                    "entry {index} on {node} leaves the queue of {group} at {queue:?}: it was {before:?}, must begin with {begins:?} and hold {:?}",
                    may_stand_by(state, group)
                )));
            }
        }
        if former.is_none_or(|(_, former)| *former != now) {
            self.queues.insert(index, now);
        }
        self.last = index;
        Ok(skipped)
    }

    /// An entry that some node has applied already: after a restart, from a snapshot, or merely later.
    fn as_before(&self, node: &NodeName, index: u64, state: &State) -> Result<(), Violation> {
        let now = Self::queues(state);
        match self.queues.range(..=index).next_back() {
            Some((_, queues)) if *queues != now => Err(broken(format!(
                "{node} holds the queues for {now:?} after entry {index}, and they were {queues:?}"
            ))),
            _ => Ok(()),
        }
    }

    fn queues(state: &State) -> Queues {
        let rotating = |group: &&GroupName| listed(state, group).is_some();
        let names = state.groups.keys().filter(rotating);
        names
            .map(|name| (name.clone(), state.groups[name].queue.clone()))
            .collect()
    }
}

/// The nodes of a rotating group, in the order of the file.
fn listed<'a>(state: &'a State, group: &GroupName) -> Option<&'a [NodeName]> {
    match &state.spec()?.group(group)?.policy {
        PolicySpec::RotatingStandby { nodes } => Some(nodes),
        PolicySpec::IdleStandby { .. }
        | PolicySpec::SimpleFailover { .. }
        | PolicySpec::MutualTakeover { .. } => None,
    }
}

fn stands_by(state: &State, group: &GroupName, node: &NodeName) -> bool {
    let known = state.nodes.get(node);
    let here = known.is_none_or(|known| !known.lost && !known.drained);
    let owns = state
        .groups
        .get(group)
        .is_some_and(|group| group.owner.as_ref() == Some(node));
    here && !owns
}

fn in_order_of_the_file(state: &State, group: &GroupName) -> Vec<NodeName> {
    let nodes = listed(state, group).unwrap_or_default().iter();
    nodes
        .filter(|node| stands_by(state, group, node))
        .cloned()
        .collect()
}

/// By name.
fn may_stand_by<'a>(state: &'a State, group: &GroupName) -> Vec<&'a NodeName> {
    let nodes = listed(state, group).unwrap_or_default().iter();
    let mut nodes: Vec<_> = nodes.filter(|node| stands_by(state, group, node)).collect();
    nodes.sort();
    nodes
}

/// Those of the former queue that still stand by.
fn follows(state: &State, group: &GroupName, before: &[NodeName]) -> Vec<NodeName> {
    let may = may_stand_by(state, group);
    before
        .iter()
        .filter(|node| may.contains(node))
        .cloned()
        .collect()
}

/// A leader decides to move a group, by the state that it has applied. An operator may name any node; whoever else is given
/// a rotating group was in the queue, and everybody before it was refused in the report that goes with the move.
///
/// Where a group runs `with` this one, a node on which both could run goes before the others (0006, rule 6): then those
/// before it in the queue may be passed over without a veto.
///
/// # Errors
/// Where somebody was passed over.
pub fn takes_in_turn(spec: &ClusterSpec, state: &State, change: &Move) -> Result<(), Violation> {
    let group = &change.group;
    let (Some(to), Some(_)) = (&change.to, listed(state, group)) else {
        return Ok(());
    };
    let has_followers = spec.groups.iter().any(|other| other.with.contains(group));
    if change.cause == Cause::Operator || change.from.as_ref() == Some(to) || has_followers {
        return Ok(());
    }
    let queue = state
        .groups
        .get(group)
        .map_or(&[][..], |group| &group.queue);
    let Some(place) = queue.iter().position(|node| node == to) else {
        return Err(broken(format!(
            "{group} goes to {to}, which is not in its queue {queue:?}"
        )));
    };
    let refused = |node: &&NodeName| {
        let mut judged = change.candidates.iter();
        judged.any(|one| one.node == **node && one.verdict == VerdictWord::Refused)
    };
    match queue[..place].iter().find(|node| !refused(node)) {
        None => Ok(()),
        Some(passed) => Err(broken(format!(
            "{group} goes to {to}, and {passed} before it in the queue {queue:?} is not refused: {:?}",
            change.candidates
        ))),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use had_core::ids::Epoch;
    use had_core::spec::Role;
    use had_core::state::{GroupState, NodeState};

    use had_core::explain::CandidateLine;

    use super::*;
    use crate::spec;

    fn names(text: &str) -> Vec<NodeName> {
        text.split_whitespace().map(NodeName::from).collect()
    }

    /// g0 with this owner and queue; `lost`: who is.
    fn state(owner: &str, queue: &str, lost: &str) -> State {
        let policy = PolicySpec::RotatingStandby {
            nodes: names("h1 h2 h3 h4"),
        };
        let nodes = ["h1", "h2", "h3", "h4"].map(|name| spec::node(name, Role::Member));
        let mut state = State {
            config: Some(Arc::new(spec::file(nodes, vec![spec::group(0, policy)]))),
            ..State::default()
        };
        for node in names("h1 h2 h3 h4") {
            let lost = names(lost).contains(&node);
            let known = NodeState {
                lost,
                ..NodeState::default()
            };
            state.nodes.insert(node, known);
        }
        let group = GroupState {
            owner: names(owner).pop(),
            queue: names(queue),
            ..GroupState::default()
        };
        state.groups.insert("g0".into(), group);
        state
    }

    /// The outcome of the last of these states, one index after the other.
    fn last(states: &[State]) -> Result<bool, Violation> {
        let mut check = Fifo::default();
        let mut indexed = (1..).zip(states);
        indexed.try_fold(false, |_, (index, state)| {
            check.applied(&"h1".into(), index, state)
        })
    }

    #[test]
    fn a_queue_begins_in_the_order_of_the_file() {
        assert_eq!(last(&[state("", "h1 h2 h3 h4", "")]), Ok(false));
        assert!(last(&[state("", "h2 h1 h3 h4", "")]).is_err());
    }

    #[test]
    fn the_new_owner_leaves_the_old_one_joins_at_the_tail_and_the_others_keep_their_places() {
        let before = state("h1", "h2 h3 h4", "");
        let after = |owner, queue| last(&[before.clone(), state(owner, queue, "")]);
        assert_eq!(after("h2", "h3 h4 h1"), Ok(false));
        assert_eq!(after("h3", "h2 h4 h1"), Ok(false), "an operator named it");
        assert!(after("h2", "h1 h3 h4").is_err());
        assert!(after("h2", "h4 h3 h1").is_err());
        assert!(after("h2", "h2 h3 h4 h1").is_err(), "the owner waits too");
        assert!(after("h2", "h3 h4").is_err(), "the old owner is forgotten");
    }

    #[test]
    fn a_lost_node_loses_its_place_and_stands_behind_all_others_when_it_is_back() {
        let before = [state("h1", "h2 h3 h4", ""), state("h1", "h3 h4", "h2")];
        let after = |queue| last(&[before[0].clone(), before[1].clone(), state("h1", queue, "")]);
        assert_eq!(after("h3 h4 h2"), Ok(false));
        assert!(after("h2 h3 h4").is_err());
        assert!(last(&[before[0].clone(), state("h1", "h2 h3 h4", "h2")]).is_err());
    }

    #[test]
    fn a_later_life_holds_the_same_queue_for_decided_and_a_gap_begins_anew() {
        let mut check = Fifo::default();
        let node = "h1".into();
        for (index, queue) in [(1, "h1 h2 h3 h4"), (2, "h1 h2 h3 h4")] {
            check.applied(&node, index, &state("", queue, "")).unwrap();
        }
        let again = |check: &mut Fifo, queue| check.applied(&node, 1, &state("", queue, ""));
        assert_eq!(again(&mut check, "h1 h2 h3 h4"), Ok(false));
        assert!(again(&mut check, "h4 h3 h2 h1").is_err());
        let jump = check.applied(&node, 9, &state("h1", "h4 h3 h2", ""));
        assert_eq!(jump, Ok(true));
        assert!(
            check
                .applied(&node, 10, &state("h1", "h2 h3 h4", ""))
                .is_err()
        );
    }

    #[test]
    fn nobody_is_passed_over_without_a_veto() {
        let state = state("h1", "h2 h3 h4", "h1");
        let spec = &state.config.as_ref().unwrap().spec;
        let candidate = |node: &str, verdict| CandidateLine {
            node: node.into(),
            rank: String::new(),
            verdict,
            why: String::new(),
            change: None,
        };
        let change = |to: &str, second: VerdictWord, cause| Move {
            group: "g0".into(),
            from: Some("h1".into()),
            epoch: Epoch(1),
            to: Some(to.into()),
            released: true,
            cause,
            reason: String::new(),
            pin: false,
            candidates: vec![candidate(to, VerdictWord::Owner), candidate("h2", second)],
        };
        let right = |change: Move| takes_in_turn(spec, &state, &change).is_ok();
        let (silent, could) = (VerdictWord::Refused, VerdictWord::Standby);
        assert!(right(change("h3", silent, Cause::OwnerLost)));
        assert!(!right(change("h3", could, Cause::OwnerLost)));
        assert!(right(change("h3", could, Cause::Operator)));
        assert!(
            !right(change("h4", silent, Cause::OwnerLost)),
            "h3 is not judged"
        );
    }
}
