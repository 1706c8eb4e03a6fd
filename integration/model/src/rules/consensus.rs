//! What the engine does: its terms and votes are on disk, an entry is decided when a majority has it.
//!
//! Elections are free: anybody may win one at any moment, whatever timeouts and pre-votes would say. A winner has every committed
//! entry. Both allow more than Raft does.

use super::Protocol;
use crate::action::Action;
use crate::log::Entry;
use crate::plant::Plant;
use crate::state::{Id, Leader, Member, State, VOTERS};

impl Protocol {
    /// What the kernel's gate says when it fell open for good.
    pub(super) const FAILED_OPEN: u8 = u8::MAX;

    pub(super) fn consensus_actions(&self, state: &State, actions: &mut Vec<Action>) {
        for voter in 0..VOTERS {
            for with in (0..VOTERS).filter(|other| *other != voter) {
                self.act_together(state, voter, with, actions);
            }
            let leads = state.voters[voter].leader;
            if leads.is_some_and(|leads| leads.ack.is_some()) {
                actions.push(Action::Acknowledged { leader: voter });
            }
            if state.left.voter_crashes > 0 {
                actions.push(Action::CrashVoter { voter });
            }
        }
        if state.left.member_crashes > 0 {
            let members = 0..state.members.len();
            actions.extend(members.map(|member| Action::CrashMember { member }));
        }
    }

    fn act_together(&self, state: &State, leader: Id, with: Id, actions: &mut Vec<Action>) {
        // The second and the third voter are alike until one of them has led or voted.
        let newest = Self::newest_term(state);
        let alike = newest == 1 && leader == 2;
        if newest < self.bounds.terms && !alike {
            actions.push(Action::Elect { leader, vote: with });
        }
        let Some(leads) = state.voters[leader].leader else {
            return;
        };
        if state.voters[with].term > leads.term {
            return;
        }
        actions.push(Action::Acknowledge { leader, by: with });
        if leads.own_entry.is_some() {
            if state.proposed[usize::from(leads.term)].is_some() {
                actions.push(Action::Commit { leader, with });
            }
            return;
        }
        let older = (0..leads.term).filter(|term| state.proposed[usize::from(*term)].is_some());
        let older: u8 = older.map(|term| 1 << term).sum();
        for inherits in (0..=older).filter(|bits| bits & !older == 0) {
            actions.push(Action::Begin {
                leader,
                with,
                inherits,
            });
        }
    }

    fn newest_term(state: &State) -> u8 {
        let terms = state.voters.iter().map(|voter| voter.term);
        terms.max().unwrap_or_default()
    }

    /// Whether a leader of this term can ever again find a majority for anything.
    pub(super) fn can_commit(state: &State, leader: Id, term: u8) -> bool {
        let others = state.voters.iter().enumerate();
        let mut others = others.filter(|(at, _)| *at != leader);
        others.any(|(_, voter)| voter.disk_term <= term)
    }

    /// A voter takes something from a leader: it is on its disk before it is acknowledged, and whoever led under an older
    /// term leads no more.
    fn follow(state: &mut State, voter: Id, leader: Id) -> u8 {
        let term = state.voters[leader].leader.map_or(0, |leads| leads.term);
        let follower = &mut state.voters[voter];
        if follower.term < term {
            follower.leader = None;
        }
        follower.term = term;
        follower.disk_term = term;
        follower.unheard = 0;
        term
    }

    /// A heartbeat is taken in the moment in which it was sent: an older one is worth less.
    pub(super) fn acknowledge(&self, state: &mut State, leader: Id, by: Id) {
        Self::follow(state, by, leader);
        if let Some(leads) = &mut state.voters[leader].leader {
            if self.bounds.late_acknowledgements {
                leads.ack = Some(0);
            } else {
                leads.acked = 0;
            }
        }
    }

    pub(super) fn acknowledged(&self, state: &mut State, leader: Id) {
        let pipelined = self.has(Plant::PipelinedAcknowledgement);
        if let Some(leads) = &mut state.voters[leader].leader
            && let Some(age) = leads.ack.take()
        {
            let credited = if pipelined { 0 } else { age };
            leads.acked = leads.acked.min(credited);
        }
    }

    pub(super) fn elect(&self, state: &mut State, leader: Id, vote: Id) {
        let term = Self::newest_term(state) + 1;
        let hold = match self.planted {
            Some(Plant::NewLeaderDoesNotHold) => 0,
            Some(Plant::HoldShortenedByWaiting) => {
                self.record().saturating_sub(state.voters[leader].unheard)
            }
            _ => self.record(),
        };
        for voter in [leader, vote] {
            let votes = &mut state.voters[voter];
            votes.term = term;
            if voter == leader || !self.has(Plant::VoteWrittenAfterItWasSent) {
                votes.disk_term = term;
            }
            votes.leader = None;
        }
        state.voters[leader].leader = Some(Leader::new(term, self.bounds.grant, hold));
    }

    pub(super) fn begin_leading(state: &mut State, leader: Id, with: Id, inherits: u8) {
        let term = Self::follow(state, with, leader);
        for older in 0..term {
            let entry = state.proposed[usize::from(older)].take();
            if inherits & (1 << older) != 0
                && let Some(entry) = entry
            {
                state.log.push(entry);
            }
        }
        state.log.push(Entry::Begin);
        if let Some(leads) = &mut state.voters[leader].leader {
            leads.own_entry = Some(state.log.len());
        }
    }

    pub(super) fn commit(state: &mut State, leader: Id, with: Id) {
        let term = Self::follow(state, with, leader);
        if let Some(entry) = state.proposed[usize::from(term)].take() {
            state.log.push(entry);
            Self::decided(state, leader, entry);
        }
    }

    /// Memory is lost, the disk is kept.
    pub(super) fn crash_voter(&self, state: &mut State, voter: Id) {
        state.left.voter_crashes -= 1;
        let crashed = &mut state.voters[voter];
        crashed.term = crashed.disk_term;
        crashed.unheard = 0;
        crashed.leader = match crashed.leader {
            Some(leads) if self.has(Plant::LeaderRestored) => Some(Leader {
                own_entry: leads.own_entry,
                ..Leader::new(leads.term, self.bounds.grant, self.record())
            }),
            _ => None,
        };
    }

    /// Memory is lost, and the kernel keeps the deadline. A daemon that stays down is one that does nothing.
    pub(super) fn crash_member(&self, state: &mut State, member: usize) {
        state.left.member_crashes -= 1;
        let former = state.members[member];
        let falls_open = self.has(Plant::UnpinnedGate) && former.gate > 0;
        let gate = if falls_open {
            Self::FAILED_OPEN
        } else {
            former.gate
        };
        state.members[member] = Member {
            life: former.life + 1,
            // What was applied before may be old when the daemon starts.
            applied: 0,
            gate,
            touched: gate > 0 && !self.has(Plant::InheritedGateForgotten),
            ..Member::default()
        };
    }
}
