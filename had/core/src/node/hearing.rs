//! What peers and operators say, and what is made of it.

use super::Node;
use crate::ids::{CommandId, RequestId};
use crate::message::{Answer, Ask, Message, Outcome, Phase, Refusal, Report, Sender};
use crate::plant::Plant;
use crate::ports::{Command, Permit, Reply, Request, Via};
use crate::time::Now;

impl Node {
    pub(super) fn heard(
        &mut self,
        now: Now,
        from: &Sender,
        message: Message,
        out: &mut Vec<Command>,
    ) {
        if !self.peers.heard(&self.state, from, now) {
            return;
        }
        match message {
            Message::Heartbeat(report) => self.hear_report(now, from, report, out),
            Message::Ask(_) => {}
            Message::Answer(answer) => {
                if self.plants.contains(&Plant::LeaseCountedFromReceipt) {
                    self.holder.stamp_again(answer.sequence, now.boot);
                }
                self.answered(&answer);
            }
            Message::Prepared { group, epoch } => {
                if let Some(group) = self.groups.get_mut(&group) {
                    group.heard_prepared(epoch);
                    self.groups_must_look = true;
                }
            }
            Message::Released { group, epoch } => {
                if let Some(group) = self.groups.get_mut(&group) {
                    group.heard_released(from.node.clone(), epoch);
                    self.groups_must_look = true;
                }
            }
        }
    }

    fn hear_report(&mut self, now: Now, from: &Sender, report: Report, out: &mut Vec<Command>) {
        self.relay_prepared(from, &report, out);
        if self.peers.reported(&from.node, report, now) {
            self.leader_must_look = true;
        }
    }

    /// A new owner is prepared, and the former one may not hear it: the leader tells it too.
    fn relay_prepared(&self, from: &Sender, report: &Report, out: &mut Vec<Command>) {
        if self.leader.is_none() {
            return;
        }
        for (group, said) in report
            .groups
            .iter()
            .filter(|(_, said)| said.phase == Phase::Prepared)
        {
            let Some(state) = self.state.groups.get(group) else {
                continue;
            };
            if state.owner.as_ref() != Some(&from.node) || state.epoch != said.epoch {
                continue;
            }
            for node in state
                .unreleased
                .keys()
                .filter(|node| **node != self.me.node)
            {
                let message = Message::Prepared {
                    group: group.clone(),
                    epoch: said.epoch,
                };
                out.push(Command::Send {
                    to: node.clone(),
                    message,
                });
            }
        }
    }

    /// Only the leader that this node follows can grant; what an earlier one says is void.
    fn answered(&mut self, answer: &Answer) {
        if self.leadership.leader != Some(answer.leader) {
            return;
        }
        match &answer.outcome {
            Outcome::Granted { duration, index } => {
                self.refusal = None;
                let before = self.holder.until();
                self.holder.granted(answer.sequence, *duration, *index);
                self.groups_must_look |= self.holder.until() != before;
            }
            Outcome::Refused(refusal) => {
                self.refusal = Some(refusal.clone());
                self.holder.refused(answer.sequence);
            }
        }
    }

    pub(super) fn asked(
        &mut self,
        now: Now,
        from: &Sender,
        ask: &Ask,
        permit: Option<Permit>,
        via: Via,
        out: &mut Vec<Command>,
    ) {
        let Some(leader) = self.leadership.leader else {
            return;
        };
        let outcome = if self.peers.heard(&self.state, from, now) {
            if let Some(report) = ask.report.clone() {
                self.hear_report(now, from, report, out);
            }
            self.grant(now, from, ask, permit)
        } else {
            Outcome::Refused(Refusal::NotAVoter)
        };
        let message = Message::Answer(Answer {
            sequence: ask.sequence,
            leader,
            outcome,
        });
        out.push(Command::Answer { via, message });
    }

    fn grant(&mut self, now: Now, from: &Sender, ask: &Ask, permit: Option<Permit>) -> Outcome {
        let Some(mut leader) = self.leader.take() else {
            return Outcome::Refused(Refusal::NoQuorum);
        };
        let outcome = leader.answer(self.seen(now), from, ask, permit);
        let lost = self
            .state
            .nodes
            .get(&from.node)
            .is_some_and(|node| node.lost);
        self.leader_must_look |= lost || leader.is_unsettled(now.raw);
        self.leader = Some(leader);
        outcome
    }

    pub(super) fn requested(
        &mut self,
        now: Now,
        request: RequestId,
        id: CommandId,
        what: &Request,
        out: &mut Vec<Command>,
    ) {
        if let Request::Init { nodes } = what {
            return self.init(now, request, nodes, out);
        }
        let Some(mut leader) = self.leader.take() else {
            let reply = match self.leader_name().filter(|_| self.leased) {
                Some(name) => Reply::NotLeader(Some(name)),
                None => Reply::NoQuorum(self.why_no_quorum(now)),
            };
            return out.push(Command::Reply { request, reply });
        };
        if self.leased {
            let mut counter = std::mem::take(&mut self.counter);
            leader.request(self.seen(now), &mut counter, (request, id), what, out);
            self.counter = counter;
            self.leader_must_look = true;
        } else {
            let reply = Reply::NoQuorum(self.why_no_quorum(now));
            out.push(Command::Reply { request, reply });
        }
        self.leader = Some(leader);
    }
}
