//! What a leader does: it grants, keeps records, decides.
//!
//! A leader has applied whatever it could commit: between its commit and its applying it only refuses and waits, which is the same
//! as doing nothing.

use super::Protocol;
use crate::action::Action;
use crate::log::Entry;
use crate::plant::Plant;
use crate::state::{Grant, Id, Leader, State, Ticks, VOTERS};

impl Protocol {
    /// How long a record or a hold runs.
    pub(super) fn record(&self) -> Ticks {
        match self.planted {
            Some(Plant::RecordEndedTooEarly) => self.bounds.record() - 1,
            Some(Plant::NoMarginForClocks) => self.bounds.grant,
            _ => self.bounds.record(),
        }
    }

    pub(super) fn leading_actions(&self, state: &State, actions: &mut Vec<Action>) {
        for leader in 0..VOTERS {
            let Some(leads) = state.voters[leader].leader else {
                continue;
            };
            if leads.own_entry.is_none() {
                continue;
            }
            self.answers(state, leader, &leads, actions);
            if Self::can_commit(state, leader, leads.term) {
                self.decisions(state, leader, &leads, actions);
            }
        }
    }

    /// Nothing is granted without a quorum, nor to whom a decision on its way concerns. A refusal is as good as a lost answer.
    fn answers(&self, state: &State, leader: Id, leads: &Leader, actions: &mut Vec<Action>) {
        let duration = self.bounds.grant - leads.acked;
        for (member, asks) in state.members.iter().enumerate() {
            let revoked = leads.is_deciding_about(member);
            if revoked && !self.has(Plant::NotRevokedWhileDeciding) {
                continue;
            }
            let lives = if self.bounds.planned { 0 } else { asks.life };
            for age in 0..duration {
                actions.extend((lives..=asks.life).map(|life| Action::Answer {
                    leader,
                    member,
                    age,
                    life,
                }));
            }
        }
    }

    fn decisions(&self, state: &State, leader: Id, leads: &Leader, actions: &mut Vec<Action>) {
        if leads.deciding.is_some() || state.proposed[usize::from(leads.term)].is_some() {
            return;
        }
        let group = state.log.group(state.log.len());
        let owner = group.owner;
        let two_steps = self.has(Plant::CheckAndProposalInTwoSteps);
        if two_steps && leads.has_ended(owner) {
            actions.push(Action::Check { leader });
        }
        let ended = if two_steps {
            leads.checked
        } else {
            leads.has_ended(owner)
        };
        let released = ended || leads.has_released(&state.said, owner, group.epoch);
        if (released || self.bounds.planned) && Self::moves(state) < self.bounds.moves {
            let entry = Entry::moves(owner, group.epoch, released);
            actions.push(Action::Decide { leader, entry });
        }
        for (member, epoch) in group.waits_for() {
            if leads.has_ended(member) || leads.has_released(&state.said, member, epoch) {
                let entry = Entry::confirms(member, epoch);
                actions.push(Action::Decide { leader, entry });
            }
        }
    }

    /// Moves that are decided, or may yet be.
    fn moves(state: &State) -> u8 {
        let proposed = state.proposed.iter().copied().flatten();
        let entries = state.log.iter().chain(proposed);
        let moves = entries.filter(|entry| matches!(entry, Entry::Move { .. }));
        moves.fold(0, |count, _| count + 1)
    }

    pub(super) fn check(state: &mut State, leader: Id) {
        if let Some(leads) = &mut state.voters[leader].leader {
            leads.checked = true;
        }
    }

    /// The mark and the decision are one step.
    pub(super) fn decide(state: &mut State, leader: Id, entry: Entry) {
        if let Some(leads) = &mut state.voters[leader].leader {
            leads.deciding = Some(entry);
            leads.checked = false;
            state.proposed[usize::from(leads.term)] = Some(entry);
        }
    }

    /// A leader's decision is applied: its mark goes, and the grants of whom it concerns carry its index.
    pub(super) fn decided(state: &mut State, leader: Id, entry: Entry) {
        let index = state.log.len();
        let Some(leads) = &mut state.voters[leader].leader else {
            return;
        };
        if leads.deciding.take().is_none() {
            return;
        }
        for (member, concerned) in leads.concerned.iter_mut().enumerate() {
            if entry.concerns(member) {
                *concerned = index;
            }
        }
    }

    /// Grants, and notes it before the answer leaves.
    pub(super) fn answer(&self, state: &mut State, leader: Id, member: Id, age: Ticks, life: u8) {
        let record = self.record();
        let Some(leads) = &mut state.voters[leader].leader else {
            return;
        };
        let own_entry = leads.own_entry.unwrap_or_default();
        let index = if self.has(Plant::IndexWithoutOwnProposals) {
            own_entry
        } else {
            own_entry.max(leads.concerned[member])
        };
        let left = self.bounds.grant - leads.acked - age;
        leads.records[member] = record;
        leads.granted[member] = life;
        // A life that is over hears nothing.
        if life == state.members[member].life {
            state.members[member].grant = Some(Grant { left, index });
        }
    }
}
