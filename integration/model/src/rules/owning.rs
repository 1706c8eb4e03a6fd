//! What a member does: it takes its lease, and acts for the group while the lease and what it has applied allow it.

use super::Protocol;
use crate::action::{Action, other};
use crate::log::Group;
use crate::plant::Plant;
use crate::state::{Id, MEMBERS, State};

impl Protocol {
    pub(super) fn owning_actions(&self, state: &State, actions: &mut Vec<Action>) {
        for member in 0..MEMBERS {
            let me = &state.members[member];
            if me.writing.is_some() {
                // One thread owns everything in a daemon: while it writes a deadline it does nothing else.
                actions.push(Action::Write { member });
                continue;
            }
            actions.push(Action::Look { member });
            if me.applied < state.log.len() {
                actions.push(Action::Apply { member });
            }
            let counts = |index| index <= me.applied || self.has(Plant::IndexIgnored);
            // A grant whose index is not applied yet is as good as not here.
            if me.grant.is_some_and(|grant| counts(grant.index)) {
                actions.push(Action::Receive { member });
            }
            let said = state.said[other(member)];
            if said.prepared > me.heard_prepared {
                actions.push(Action::HearPrepared { member });
            }
            if said.released > me.heard_released {
                actions.push(Action::HearReleased { member });
            }
        }
    }

    pub(super) fn apply(&self, state: &mut State, member: Id) {
        state.members[member].applied += 1;
        self.reconcile(state, member);
    }

    pub(super) fn receive(&self, state: &mut State, member: Id) {
        let me = &mut state.members[member];
        if let Some(grant) = me.grant.take() {
            me.lease = me.lease.max(grant.left);
        }
        self.reconcile(state, member);
    }

    pub(super) fn hear_prepared(&self, state: &mut State, member: Id) {
        state.members[member].heard_prepared = state.said[other(member)].prepared;
        self.reconcile(state, member);
    }

    pub(super) fn hear_released(&self, state: &mut State, member: Id) {
        state.members[member].heard_released = state.said[other(member)].released;
        self.reconcile(state, member);
    }

    /// Makes what is done equal to what is allowed, as `LocalGroup::reconcile` does, and says what follows.
    pub(super) fn reconcile(&self, state: &mut State, me: Id) {
        let member = state.members[me];
        let group = state.log.group(member.applied);
        let inherited = !member.held && member.touched;
        let leased = member.lease > 0;
        if inherited && !leased && member.gate > 0 {
            // Whose the group is will be known with the first lease.
            return;
        }
        let owns = group.owner == me && group.epoch > member.sealed;
        match (owns, leased) {
            (true, true) => self.serve(state, me, &group),
            (false, true) if Self::may_go_on(state, me, &group) => self.open(state, me),
            (false, _) => self.give_way(state, me, &group),
            (true, false) => Self::shut(state, me),
        }
        if self.bounds.planned {
            Self::say(state, me, &group);
        }
    }

    fn serve(&self, state: &mut State, me: Id, group: &Group) {
        let member = &mut state.members[me];
        let heard = member.heard_released;
        let released = group.unreleased[other(me)].is_none_or(|epoch| heard >= epoch);
        if member.held || released || self.has(Plant::ReleaseNotAwaited) {
            member.held = true;
            self.open(state, me);
        } else {
            let said = &mut state.said[me].prepared;
            *said = (*said).max(group.epoch);
        }
    }

    /// A former owner goes on behind the gate that it holds until the new one is prepared.
    fn may_go_on(state: &State, me: Id, group: &Group) -> bool {
        let member = &state.members[me];
        member.held && group.unreleased[me].is_some() && member.heard_prepared < group.epoch
    }

    /// Moves the deadline to the end of the lease. It is absolute: written late, it is a time that is near or past.
    fn open(&self, state: &mut State, me: Id) {
        let member = &mut state.members[me];
        member.touched = true;
        if member.lease <= member.gate {
            return;
        }
        if self.bounds.late_writes {
            member.writing = Some(member.lease);
        } else {
            member.gate = member.lease;
        }
    }

    pub(super) fn write(state: &mut State, me: Id) {
        let member = &mut state.members[me];
        if let Some(left) = member.writing.take() {
            member.gate = left;
        }
    }

    /// The group is somebody else's: never open again under the epochs so far.
    fn give_way(&self, state: &mut State, me: Id, group: &Group) {
        let member = &mut state.members[me];
        member.sealed = member.sealed.max(group.epoch);
        let gate = member.gate;
        Self::shut(state, me);
        if self.has(Plant::ReleaseNotBinding) {
            state.members[me].gate = gate;
        }
    }

    fn shut(state: &mut State, me: Id) {
        let member = &mut state.members[me];
        if member.held || member.touched {
            member.gate = 0;
        }
        member.held = false;
        member.touched = false;
    }

    /// What others may hear from now on.
    fn say(state: &mut State, me: Id, group: &Group) {
        let member = state.members[me];
        if !member.is_shut() {
            return;
        }
        let said = &mut state.said[me];
        let report = &mut said.report[usize::from(member.life)];
        *report = (*report).max(member.sealed);
        if let Some(epoch) = group.unreleased[me]
            && group.owner != me
            && member.sealed >= epoch
        {
            said.released = said.released.max(epoch);
        }
    }
}
