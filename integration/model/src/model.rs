//! The protocol as the checker sees it: what must always hold, and what must be possible.

use stateright::{Model, Property};

use crate::action::{Action, other};
use crate::rules::Protocol;
use crate::state::{Member, State};

/// The promise S1.
pub const SINGLE_OWNER: &str = "the gate is open on at most one node";

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![self.begin()]
    }

    /// Nothing is looked for behind a broken promise.
    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if has_single_owner(state) {
            self.possible(state, actions);
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        self.next(state, action)
    }

    /// With the promise, what proves that a search is about something: a model that has lost its actions keeps every promise.
    fn properties(&self) -> Vec<Property<Self>> {
        let always = Property::always(SINGLE_OWNER, |_, state: &State| has_single_owner(state));
        if self.planted.is_some() {
            return vec![always];
        }
        let may = self.bounds;
        let possible = [
            (true, Property::sometimes("the other member opens", opens)),
            (
                may.terms > 1,
                Property::sometimes("a new leader grants", new_leader_grants),
            ),
            (
                may.planned,
                Property::sometimes("a released group opens elsewhere", opens_released),
            ),
            (
                may.planned,
                Property::sometimes("an owner goes on until the other is prepared", goes_on),
            ),
            (
                may.member_crashes > 0,
                Property::sometimes("a restart inherits an open gate", inherits),
            ),
            (
                may.member_crashes > 0,
                Property::sometimes("a restarted owner goes on", restarted_owns),
            ),
            (
                may.late_writes,
                Property::sometimes("a late write stays shut", late_write),
            ),
        ];
        let possible = possible.into_iter().filter(|(asked, _)| *asked);
        [always]
            .into_iter()
            .chain(possible.map(|(_, property)| property))
            .collect()
    }
}

/// Whether S1 holds.
#[must_use]
pub fn has_single_owner(state: &State) -> bool {
    state
        .members
        .iter()
        .filter(|member| member.gate > 0)
        .count()
        <= 1
}

fn opens(_: &Protocol, state: &State) -> bool {
    state.members[1].gate > 0
}

fn new_leader_grants(_: &Protocol, state: &State) -> bool {
    let mut leaders = state.voters.iter().filter_map(|voter| voter.leader);
    leaders.any(|leader| leader.term > 1 && leader.records.iter().any(|record| *record > 0))
}

fn opens_released(_: &Protocol, state: &State) -> bool {
    let by_release = |(me, member): (usize, &Member)| {
        let group = state.log.group(member.applied);
        member.gate > 0 && group.owner == me && group.unreleased[other(me)].is_some()
    };
    state.members.iter().enumerate().any(by_release)
}

fn goes_on(_: &Protocol, state: &State) -> bool {
    let member = state.members[0];
    member.held && member.gate > 0 && state.log.group(member.applied).owner == 1
}

fn inherits(_: &Protocol, state: &State) -> bool {
    let mut members = state.members.iter();
    members.any(|member| member.touched && !member.held && member.gate > 0 && member.lease == 0)
}

fn restarted_owns(_: &Protocol, state: &State) -> bool {
    let mut members = state.members.iter();
    members.any(|member| member.life > 0 && member.held && member.gate > 0)
}

fn late_write(_: &Protocol, state: &State) -> bool {
    state.members.iter().any(|member| member.writing == Some(0))
}
