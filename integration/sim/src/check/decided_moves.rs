//! S2: a group moves only by a committed decision; its epoch only grows; an acknowledged command is never lost.

use std::collections::BTreeMap;
use std::sync::Arc;

use had_core::ids::{CommandId, GroupName, LeaderId, NodeName};
use had_core::state::State;

use super::Violation;

/// What was decided, as the first node that applied it saw it.
#[derive(Debug, Default)]
pub struct DecidedMoves {
    decided: BTreeMap<u64, (LeaderId, Arc<State>)>,
    acknowledged: BTreeMap<u64, CommandId>,
}

fn broken(text: String) -> Violation {
    Violation {
        check: "decided_moves",
        text,
    }
}

impl DecidedMoves {
    /// A node applied an entry, or took over a snapshot that ends with it.
    ///
    /// # Errors
    /// Where another node, or an earlier life of this one, holds something else for decided under this index, or where an
    /// owner changed without its epoch, or an epoch went back.
    pub fn applied(
        &mut self,
        node: &NodeName,
        index: u64,
        leader: LeaderId,
        state: &Arc<State>,
    ) -> Result<(), Violation> {
        if let Some((decided_by, decided)) = self.decided.get(&index) {
            return if *decided_by == leader && decided == state {
                Ok(())
            } else {
                Err(broken(format!(
                    "{node} applied another entry {index} (of {leader}) than the one that was decided (of {decided_by})"
                )))
            };
        }
        self.acknowledged_is_kept(node, index, state)?;
        if let Some((_, (_, before))) = self.decided.range(..index).next_back() {
            grows(node, index, before, state)?;
        }
        if let Some((_, (_, after))) = self.decided.range(index..).next() {
            grows(node, index, state, after)?;
        }
        self.decided.insert(index, (leader, Arc::clone(state)));
        Ok(())
    }

    fn acknowledged_is_kept(
        &self,
        node: &NodeName,
        index: u64,
        state: &State,
    ) -> Result<(), Violation> {
        match self.acknowledged.get(&index) {
            Some(id) if !state.commands.contains(id) => Err(broken(format!(
                "{node} applied entry {index} without the command {id:?}, which was acknowledged under it"
            ))),
            _ => Ok(()),
        }
    }

    /// A proposal was acknowledged to the process that made it.
    ///
    /// # Errors
    /// Where what was decided under this index is something else.
    pub fn acknowledged(&mut self, index: u64, id: CommandId) -> Result<(), Violation> {
        self.acknowledged.insert(index, id);
        match self.decided.get(&index) {
            Some((_, state)) if !state.commands.contains(&id) => Err(broken(format!(
                "the command {id:?} was acknowledged under entry {index}, which is another"
            ))),
            _ => Ok(()),
        }
    }

    /// A node's gate is written open. `was_held`: its daemon has opened it before and not shut it since, so it goes on.
    /// It may have been frozen for so long that the gate fell silent meanwhile: its successor still waits for its release.
    ///
    /// # Errors
    /// Where the state that the node has applied names another owner, or did not let it go on.
    pub fn gate_opens(
        node: &NodeName,
        group: &GroupName,
        state: &State,
        was_held: bool,
    ) -> Result<(), Violation> {
        let Some(decided) = state.groups.get(group) else {
            return Err(broken(format!(
                "{node} opens the gate of {group}, about which nothing is decided"
            )));
        };
        let owns = decided.owner.as_ref() == Some(node);
        let goes_on = was_held && decided.unreleased.contains_key(node);
        if owns || goes_on {
            return Ok(());
        }
        let owner = decided.owner.as_ref().map_or("nobody", NodeName::as_str);
        Err(broken(format!(
            "{node} opens the gate of {group}, which {owner} owns under epoch {} as {node} itself has applied",
            decided.epoch
        )))
    }

    /// The newest decision that any node has applied.
    #[must_use]
    pub fn newest(&self) -> Option<(u64, &Arc<State>)> {
        self.decided
            .last_key_value()
            .map(|(index, (_, state))| (*index, state))
    }

    /// The newest decision that was acknowledged to its proposer.
    #[must_use]
    pub fn newest_acknowledged(&self) -> u64 {
        self.acknowledged
            .last_key_value()
            .map_or(0, |(index, _)| *index)
    }
}

/// Epochs only grow, and an owner changes only with its epoch.
fn grows(node: &NodeName, index: u64, before: &State, after: &State) -> Result<(), Violation> {
    for (name, was) in &before.groups {
        let Some(is) = after.groups.get(name) else {
            continue;
        };
        if is.epoch < was.epoch || (is.epoch == was.epoch && is.owner != was.owner) {
            return Err(broken(format!(
                "entry {index} on {node}: {name} went from {:?} under epoch {} to {:?} under epoch {}",
                was.owner, was.epoch, is.owner, is.epoch
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use had_core::ids::{Epoch, ProcessId, VoterId};
    use had_core::state::GroupState;

    use super::*;

    const LEADER: LeaderId = LeaderId {
        term: 1,
        voter: VoterId(1),
    };

    fn state(owner: &str, epoch: u64) -> Arc<State> {
        let group = GroupState {
            owner: Some(owner.into()),
            epoch: Epoch(epoch),
            ..GroupState::default()
        };
        let mut state = State::default();
        state.groups.insert("web".into(), group);
        Arc::new(state)
    }

    #[test]
    fn the_same_index_is_the_same_decision_everywhere() {
        let mut check = DecidedMoves::default();
        assert_eq!(
            check.applied(&"h1".into(), 3, LEADER, &state("h1", 1)),
            Ok(())
        );
        assert_eq!(
            check.applied(&"h2".into(), 3, LEADER, &state("h1", 1)),
            Ok(())
        );
        assert!(
            check
                .applied(&"h3".into(), 3, LEADER, &state("h2", 1))
                .is_err()
        );
        let other = LeaderId { term: 2, ..LEADER };
        assert!(
            check
                .applied(&"h3".into(), 3, other, &state("h1", 1))
                .is_err()
        );
    }

    #[test]
    fn an_owner_changes_only_with_its_epoch_and_an_epoch_never_goes_back() {
        let mut check = DecidedMoves::default();
        check
            .applied(&"h1".into(), 3, LEADER, &state("h1", 2))
            .unwrap();
        assert!(
            check
                .applied(&"h1".into(), 4, LEADER, &state("h2", 2))
                .is_err()
        );
        assert!(
            check
                .applied(&"h1".into(), 4, LEADER, &state("h1", 1))
                .is_err()
        );
        assert_eq!(
            check.applied(&"h1".into(), 4, LEADER, &state("h2", 3)),
            Ok(())
        );
    }

    #[test]
    fn an_acknowledged_command_must_be_found_under_its_index() {
        let mut check = DecidedMoves::default();
        let id = CommandId {
            process: ProcessId(1),
            number: 7,
        };
        check.acknowledged(3, id).unwrap();
        assert!(
            check
                .applied(&"h1".into(), 3, LEADER, &state("h1", 1))
                .is_err()
        );
        let mut with_it = (*state("h1", 1)).clone();
        with_it.commands.push_back(id);
        assert_eq!(
            check.applied(&"h1".into(), 3, LEADER, &Arc::new(with_it)),
            Ok(())
        );
    }

    #[test]
    fn a_gate_opens_for_the_applied_owner_and_goes_on_for_one_that_has_not_released() {
        let mut decided = (*state("h2", 2)).clone();
        let web = GroupName::from("web");
        let opens = |state: &State, node: &str, was_held| {
            DecidedMoves::gate_opens(&node.into(), &web, state, was_held).is_ok()
        };
        assert!(opens(&decided, "h2", false));
        assert!(!opens(&decided, "h1", true));
        decided
            .groups
            .get_mut(&web)
            .unwrap()
            .unreleased
            .insert("h1".into(), Epoch(1));
        assert!(opens(&decided, "h1", true));
        assert!(!opens(&decided, "h1", false), "it may go on, not open");
    }
}
