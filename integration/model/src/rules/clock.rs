//! A tick passes on every clock, but for those that err.

use super::Protocol;
use crate::action::{Action, Erring};
use crate::plant::Plant;
use crate::state::{Grant, Leader, MEMBERS, Member, State, Ticks, VOTERS};

impl Protocol {
    /// A tick, with every choice of clocks that err in it.
    pub(super) fn ticks(state: &State, actions: &mut Vec<Action>) {
        let left = u32::from(state.left.drifts);
        if left == 0 {
            actions.push(Action::Tick(Erring::default()));
            return;
        }
        for slow_members in 0..1 << MEMBERS {
            for slow_leaders in 0..1 << VOTERS {
                for fast_leaders in 0..1 << VOTERS {
                    let erring = Erring {
                        slow_members,
                        slow_leaders,
                        fast_leaders,
                    };
                    if erring.count() <= left {
                        actions.push(Action::Tick(erring));
                    }
                }
            }
        }
    }

    pub(super) fn tick(&self, state: &mut State, erring: Erring) {
        let bit = |bits: u8, at: usize| Ticks::from(bits & (1 << at) != 0);
        for (at, voter) in state.voters.iter_mut().enumerate() {
            let slewed = 1 - bit(erring.slow_leaders, at);
            let raw = 1 + bit(erring.fast_leaders, at);
            if let Some(leader) = &mut voter.leader {
                self.age_leader(leader, slewed, raw);
            }
            if self.has(Plant::HoldShortenedByWaiting) {
                voter.unheard = (voter.unheard + 1).min(self.bounds.record());
            }
        }
        for (at, member) in state.members.iter_mut().enumerate() {
            self.age_member(member, 1 - bit(erring.slow_members, at));
        }
        for _ in 0..erring.count() {
            state.left.drifts -= 1;
        }
    }

    /// Ages of quorums by the leader's slewed clock, waits by the raw one.
    fn age_leader(&self, leader: &mut Leader, slewed: Ticks, raw: Ticks) {
        let old = self.bounds.grant;
        leader.acked = (leader.acked + slewed).min(old);
        leader.ack = leader.ack.map(|age| age + slewed).filter(|age| *age < old);
        leader.hold = leader.hold.saturating_sub(raw);
        for record in &mut leader.records {
            *record = record.saturating_sub(raw);
        }
    }

    /// Everything that ends by a member's own clock.
    fn age_member(&self, member: &mut Member, slewed: Ticks) {
        member.lease = member.lease.saturating_sub(slewed);
        if member.gate != Self::FAILED_OPEN {
            member.gate = member.gate.saturating_sub(slewed);
        }
        if !self.has(Plant::RelativeGateTimeout) {
            member.writing = member.writing.map(|left| left.saturating_sub(slewed));
        }
        if !self.has(Plant::LeaseCountedFromReceipt) {
            let rest = |grant: Grant| Grant {
                left: grant.left.saturating_sub(slewed),
                ..grant
            };
            member.grant = member.grant.map(rest).filter(|grant| grant.left > 0);
        }
    }
}
