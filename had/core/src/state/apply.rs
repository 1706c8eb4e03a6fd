//! How a decision changes the state. Deterministic: the same entries give the same state on every node.

use super::{COMMANDS_KEPT, Configuration, Entry, GroupState, Move, NodeState, State, Step};
use crate::ids::{GroupName, NodeName, ProcessId};
use crate::ports::GroupAction;
use crate::stall::{self, Told};
use crate::time::WallTime;

/// When an entry was proposed, and by whom.
#[derive(Clone, Copy, Debug)]
pub(super) struct Author<'a> {
    pub(super) at: WallTime,
    pub(super) by: Option<&'a NodeName>,
}

impl State {
    /// Applies a decision, once: a retry under the same id changes nothing.
    pub fn apply(&mut self, entry: &Entry) {
        if self.commands.contains(&entry.id) {
            return;
        }
        self.commands.push_back(entry.id);
        if self.commands.len() > COMMANDS_KEPT {
            self.commands.pop_front();
        }
        let author = Author {
            at: entry.at,
            by: entry.by.as_ref(),
        };
        for step in &entry.steps {
            self.apply_step(author, step);
        }
    }

    fn apply_step(&mut self, author: Author<'_>, step: &Step) {
        match step {
            Step::Form { cluster, level } => {
                if self.cluster.0 == 0 {
                    self.cluster = *cluster;
                    self.level = *level;
                    self.note(author, "formed", "the cluster was formed".to_owned());
                }
            }
            Step::Configure { config } => self.configure(author, config),
            Step::Move(change) => self.apply_move(author, change),
            Step::Confirm { group, node, epoch } => {
                if let Some(state) = self.groups.get_mut(group)
                    && state.unreleased.get(node) == Some(epoch)
                {
                    state.unreleased.remove(node);
                }
            }
            Step::Lost { node, asked } => self.apply_lost(author, node, *asked),
            Step::Online { node } => {
                self.set_node(author, node, "node-online", "is back", |state| {
                    std::mem::take(&mut state.lost)
                });
                self.join_queues(node);
            }
            Step::Stalled {
                node,
                process,
                told,
            } => self.apply_stalled(author, node, (*process, told.number), told),
            Step::Drain { node, drained } => self.drain(author, node, *drained),
            Step::Pin { group, to } => {
                if let Some(state) = self.groups.get_mut(group) {
                    state.pinned.clone_from(to);
                }
            }
            Step::Group { group, action } => self.act_on(author, group, *action),
            Step::Maintenance { group, on } => self.maintain(author, group.as_ref(), *on),
        }
    }

    fn configure(&mut self, author: Author<'_>, config: &std::sync::Arc<Configuration>) {
        self.config = Some(config.clone());
        let known: Vec<_> = config
            .spec
            .groups
            .iter()
            .map(|group| group.name.clone())
            .collect();
        let gone = self.groups.iter().filter(|(name, _)| !known.contains(name));
        let highest = gone.map(|(_, group)| group.epoch).max();
        self.epoch_floor = self.epoch_floor.max(highest.unwrap_or_default());
        self.groups.retain(|name, _| known.contains(name));
        for name in known {
            let epoch = self.epoch_floor;
            let fresh = || GroupState {
                epoch,
                ..GroupState::default()
            };
            self.groups.entry(name).or_insert_with(fresh);
        }
        self.nodes
            .retain(|name, _| config.spec.node(name).is_some());
        for node in &config.spec.nodes {
            self.nodes.entry(node.name.clone()).or_default();
        }
        self.requeue();
        let text = format!("configuration {} rules from here on", config.hash);
        self.note(author, "configured", text);
    }

    /// Compare-and-set on owner and epoch: a move that was decided on an older state changes nothing.
    fn apply_move(&mut self, author: Author<'_>, change: &Move) {
        let Some(state) = self.groups.get_mut(&change.group) else {
            return;
        };
        if state.owner != change.from || state.epoch != change.epoch {
            return;
        }
        if let Some(from) = &change.from
            && !change.released
        {
            state.unreleased.insert(from.clone(), change.epoch);
        }
        if let Some(to) = &change.to {
            // Its own gate is no foreign one: it knows what it holds.
            state.unreleased.remove(to);
        }
        state.owner.clone_from(&change.to);
        state.epoch = state.epoch.next();
        state.reason.clone_from(&change.reason);
        state.since = author.at;
        if change.pin {
            state.pinned.clone_from(&change.to);
        } else if state.pinned != change.to {
            state.pinned = None;
        }
        let epoch = state.epoch;
        self.rotate(&change.group, change.from.as_ref());
        self.note_move(author, change, epoch);
    }

    /// Its lease is known to have ended, and nothing is granted to it before it has applied this: so nobody waits for it,
    /// and no group stays pinned to it.
    fn apply_lost(&mut self, author: Author<'_>, node: &NodeName, asked: bool) {
        for group in self.groups.values_mut() {
            group.unreleased.remove(node);
            if group.pinned.as_ref() == Some(node) {
                group.pinned = None;
            }
        }
        self.leave_queues(node);
        let (kind, what) = if asked {
            (
                "node-ended",
                "is gone: its daemon was asked to end, and did",
            )
        } else {
            ("node-lost", "was lost: its lease ended without renewal")
        };
        self.set_node(author, node, kind, what, |state| {
            !std::mem::replace(&mut state.lost, true)
        });
    }

    fn apply_stalled(
        &mut self,
        author: Author<'_>,
        node: &NodeName,
        which: (ProcessId, u64),
        told: &Told,
    ) {
        let Some(state) = self.nodes.get_mut(node) else {
            return;
        };
        if !stall::is_news(state.stalled, which) {
            return;
        }
        state.stalled = Some(which);
        let what = stall::told(told.stall, told.lapsed);
        let kind = told.stall.cause.word();
        self.note_node(author, node, kind, format!("{node} was {what}"));
    }

    fn drain(&mut self, author: Author<'_>, node: &NodeName, drained: bool) {
        let (kind, what) = if drained {
            ("drained", "was drained by an operator")
        } else {
            ("resumed", "was resumed by an operator")
        };
        self.set_node(author, node, kind, what, |state| {
            std::mem::replace(&mut state.drained, drained) != drained
        });
        if drained {
            self.leave_queues(node);
        } else {
            self.join_queues(node);
        }
    }

    fn act_on(&mut self, author: Author<'_>, name: &GroupName, action: GroupAction) {
        let Some(group) = self.groups.get_mut(name) else {
            return;
        };
        let (changed, kind, what) = match action {
            GroupAction::Start => (
                std::mem::replace(&mut group.stopped, false),
                "started",
                "may run again: an operator started it",
            ),
            GroupAction::Stop => (
                !std::mem::replace(&mut group.stopped, true),
                "stopped",
                "stays down until it is started: an operator stopped it",
            ),
            GroupAction::Clear => {
                group.cleared += 1;
                (true, "cleared", "has its failures forgotten by an operator")
            }
        };
        if changed {
            self.note_group(author, name, kind, format!("{name} {what}"));
        }
    }

    fn maintain(&mut self, author: Author<'_>, name: Option<&GroupName>, on: bool) {
        let place = match name {
            None => Some(&mut self.maintenance),
            Some(name) => self
                .groups
                .get_mut(name)
                .map(|group| &mut group.maintenance),
        };
        let Some(place) = place else { return };
        if std::mem::replace(place, on) == on {
            return;
        }
        let what = if on {
            "in maintenance: watched, and neither moved nor touched"
        } else {
            "no longer in maintenance"
        };
        match name {
            None => self.note(author, "maintenance", format!("the cluster is {what}")),
            Some(name) => self.note_group(author, name, "maintenance", format!("{name} is {what}")),
        }
    }

    fn set_node(
        &mut self,
        author: Author<'_>,
        node: &NodeName,
        kind: &str,
        what: &str,
        change: impl FnOnce(&mut NodeState) -> bool,
    ) {
        let state = self.nodes.entry(node.clone()).or_default();
        if change(state) {
            state.since = author.at;
            self.note_node(author, node, kind, format!("{node} {what}"));
        }
    }

    /// Notes that the membership of the consensus changed.
    pub fn set_voters(
        &mut self,
        voters: &std::collections::BTreeMap<crate::ids::VoterId, NodeName>,
    ) {
        self.voters = voters
            .iter()
            .map(|(voter, name)| (name.clone(), *voter))
            .collect();
    }
}

#[cfg(test)]
mod tests {
    use had_policies::Cause;

    use super::*;
    use crate::ids::{CommandId, Epoch, ProcessId};

    fn state() -> State {
        let mut state = State::default();
        state.groups.insert("web".into(), GroupState::default());
        state
    }

    fn entry(number: u64, steps: Vec<Step>) -> Entry {
        Entry {
            id: CommandId {
                process: ProcessId(1),
                number,
            },
            at: WallTime(number),
            by: Some("h1".into()),
            steps,
        }
    }

    fn step(from: Option<&str>, epoch: u64, to: Option<&str>, released: bool) -> Step {
        Step::Move(Move {
            group: "web".into(),
            from: from.map(Into::into),
            epoch: Epoch(epoch),
            to: to.map(Into::into),
            released,
            cause: Cause::Operator,
            reason: "asked for".into(),
            pin: false,
            candidates: Vec::new(),
        })
    }

    #[test]
    fn a_move_decided_on_an_older_state_changes_nothing() {
        let mut state = state();
        state.apply(&entry(1, vec![step(None, 0, Some("h1"), true)]));
        state.apply(&entry(2, vec![step(None, 0, Some("h2"), true)]));
        let group = &state.groups[&GroupName::from("web")];
        assert_eq!(group.owner, Some("h1".into()));
        assert_eq!(group.epoch, Epoch(1));
    }

    #[test]
    fn a_retry_under_the_same_id_changes_nothing() {
        let mut state = state();
        let first = entry(1, vec![step(None, 0, Some("h1"), true)]);
        state.apply(&first);
        let before = state.clone();
        state.apply(&first);
        assert_eq!(state, before);
    }

    #[test]
    fn a_planned_move_waits_for_every_former_owner_until_it_is_lost() {
        let mut state = state();
        state.apply(&entry(1, vec![step(None, 0, Some("h1"), true)]));
        state.apply(&entry(2, vec![step(Some("h1"), 1, Some("h2"), false)]));
        state.apply(&entry(3, vec![step(Some("h2"), 2, Some("h3"), false)]));
        let waits = |state: &State| state.groups[&GroupName::from("web")].unreleased.clone();
        assert_eq!(
            waits(&state),
            [("h1".into(), Epoch(1)), ("h2".into(), Epoch(2))].into()
        );
        state.apply(&entry(
            4,
            vec![Step::Lost {
                node: "h1".into(),
                asked: false,
            }],
        ));
        assert_eq!(waits(&state), [("h2".into(), Epoch(2))].into());
        let confirm = |epoch| Step::Confirm {
            group: "web".into(),
            node: "h2".into(),
            epoch: Epoch(epoch),
        };
        state.apply(&entry(5, vec![confirm(1)]));
        assert_eq!(
            waits(&state).len(),
            1,
            "a confirmation of an older epoch proves nothing"
        );
        state.apply(&entry(6, vec![confirm(2)]));
        assert!(waits(&state).is_empty());
    }

    #[test]
    fn a_move_taken_back_waits_for_the_node_that_it_was_taken_from() {
        let mut state = state();
        state.apply(&entry(1, vec![step(None, 0, Some("h1"), true)]));
        state.apply(&entry(2, vec![step(Some("h1"), 1, Some("h2"), false)]));
        state.apply(&entry(3, vec![step(Some("h2"), 2, Some("h1"), false)]));
        let group = &state.groups[&GroupName::from("web")];
        assert_eq!(group.unreleased, [("h2".into(), Epoch(2))].into());
        assert_eq!(group.epoch, Epoch(3));
    }

    #[test]
    fn an_entry_survives_its_encoding() {
        let before = entry(
            7,
            vec![
                step(Some("h1"), 1, None, false),
                Step::Lost {
                    node: "h1".into(),
                    asked: false,
                },
            ],
        );
        assert_eq!(
            Entry::decode(&before.encode()).expect("own encoding"),
            before
        );
    }
}
