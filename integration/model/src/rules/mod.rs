//! The rules of the protocol: which actions a state allows, and what each changes.
//!
//! | module | subject | what it stands for |
//! | --- | --- | --- |
//! | `clock` | ticks, and clocks that err | the clocks of the hosts |
//! | `consensus` | acknowledgements, elections, commits, crashes | openraft and its store |
//! | `leading` | grants, records, decisions | `had/core/src/lease/records.rs`, `had/core/src/leader/` |
//! | `owning` | leases, gates, releases | `had/core/src/lease/holder.rs`, `had/core/src/group/`, `had/gate` |

mod clock;
mod consensus;
mod leading;
mod owning;

use crate::action::Action;
use crate::log::Log;
use crate::plant::Plant;
use crate::scope::{Bounds, Scope};
use crate::state::{Id, Leader, Left, MEMBERS, Member, Said, State, TERMS, VOTERS, Voter};

/// The protocol within a scope, whole or with one mistake.
#[derive(Clone, Copy, Debug)]
pub struct Protocol {
    /// How far the search goes.
    pub bounds: Bounds,
    /// The mistake.
    pub planted: Option<Plant>,
}

impl Protocol {
    /// The rules within a scope.
    #[must_use]
    pub fn new(scope: Scope, planted: Option<Plant>) -> Self {
        Self {
            bounds: scope.bounds(),
            planted,
        }
    }

    fn has(&self, plant: Plant) -> bool {
        self.planted == Some(plant)
    }

    /// Where every history begins: the first member owns the group, nobody holds a lease, and the first voter leads (which
    /// one makes no difference: so far they are alike).
    #[must_use]
    pub fn begin(&self) -> State {
        let voter = Voter {
            term: 1,
            disk_term: 1,
            ..Voter::default()
        };
        let mut voters = [voter; VOTERS];
        voters[0].leader = Some(Leader {
            own_entry: Some(0),
            ..Leader::new(1, self.bounds.grant, 0)
        });
        State {
            voters,
            members: [Member::default(); MEMBERS],
            log: Log::default(),
            proposed: [None; TERMS + 1],
            said: [Said::default(); MEMBERS],
            left: Left {
                member_crashes: self.bounds.member_crashes,
                voter_crashes: self.bounds.voter_crashes,
                drifts: self.bounds.drifts,
            },
        }
    }

    /// All that can happen next.
    pub fn possible(&self, state: &State, actions: &mut Vec<Action>) {
        Self::ticks(state, actions);
        self.consensus_actions(state, actions);
        self.leading_actions(state, actions);
        self.owning_actions(state, actions);
    }

    /// What it changes; `None` where it changes nothing.
    #[must_use]
    pub fn next(&self, before: &State, action: Action) -> Option<State> {
        let mut state = *before;
        match action {
            Action::Tick(erring) => self.tick(&mut state, erring),
            Action::Acknowledge { leader, by } => self.acknowledge(&mut state, leader, by),
            Action::Acknowledged { leader } => self.acknowledged(&mut state, leader),
            Action::Elect { leader, vote } => self.elect(&mut state, leader, vote),
            Action::Begin {
                leader,
                with,
                inherits,
            } => Self::begin_leading(&mut state, leader, with, inherits),
            Action::Check { leader } => Self::check(&mut state, leader),
            Action::Decide { leader, entry } => Self::decide(&mut state, leader, entry),
            Action::Commit { leader, with } => Self::commit(&mut state, leader, with),
            Action::Answer {
                leader,
                member,
                age,
                life,
            } => self.answer(&mut state, leader, member, age, life),
            Action::Receive { member } => self.receive(&mut state, member),
            Action::Apply { member } => self.apply(&mut state, member),
            Action::Write { member } => Self::write(&mut state, member),
            Action::Look { member } => self.reconcile(&mut state, member),
            Action::HearPrepared { member } => self.hear_prepared(&mut state, member),
            Action::HearReleased { member } => self.hear_released(&mut state, member),
            Action::CrashMember { member } => self.crash_member(&mut state, member),
            Action::CrashVoter { voter } => self.crash_voter(&mut state, voter),
        }
        for leader in 0..VOTERS {
            self.forget_leader(&mut state, leader);
        }
        (state != *before).then_some(state)
    }

    /// Forgets what nothing can read any more, so that states which differ in nothing else are one: deposed for good, without
    /// knowing it, a leader takes nothing away; it grants as long as its quorum is young.
    fn forget_leader(&self, state: &mut State, leader: Id) {
        let Some(leads) = state.voters[leader].leader else {
            return;
        };
        if Self::can_commit(state, leader, leads.term) {
            return;
        }
        let grants = leads.acked < self.bounds.grant || leads.ack.is_some();
        state.voters[leader].leader = grants.then_some(Leader {
            hold: 0,
            records: [0; MEMBERS],
            granted: [0; MEMBERS],
            checked: false,
            ..leads
        });
    }
}
