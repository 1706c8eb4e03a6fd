//! What this node says: asks, heartbeats, how it is.

use super::Node;
use crate::ids::NodeName;
use crate::message::{Ask, Message, Report};
use crate::ports::Command;
use crate::state::GroupState;
use crate::time::Now;

impl Node {
    /// Asks for the lease, says again what must be said, and sends heartbeats, each when it is due.
    pub(super) fn speak(&mut self, now: Now, out: &mut Vec<Command>) {
        if now.mono >= self.next_ask {
            self.next_ask = now.mono + self.timing.renewal();
            self.ask(now, out);
            for group in self.groups.values() {
                group.say_again(out);
            }
        }
        if now.mono >= self.next_heartbeat {
            self.next_heartbeat = now.mono + self.timing.heartbeat / 2;
            let report = self.report(now);
            let nodes = self.state.spec().unwrap_or(&self.own.spec).nodes.clone();
            for node in nodes.into_iter().filter(|node| node.name != self.me.node) {
                let message = Message::Heartbeat(report.clone());
                out.push(Command::Send {
                    to: node.name,
                    message,
                });
            }
        }
    }

    fn ask(&mut self, now: Now, out: &mut Vec<Command>) {
        let Some(leader) = self.leader_name().filter(|_| !self.exited) else {
            return;
        };
        let report = (now.mono >= self.next_report).then(|| self.report(now));
        if report.is_some() {
            self.next_report = now.mono + self.timing.heartbeat / 2;
        }
        // Stamped before it leaves, on however many connections: the lease can only come out shorter.
        let sequence = self.holder.ask(now.boot);
        let message = Message::Ask(Ask {
            sequence,
            lease: self.timing.lease,
            unanswered: self.holder.unanswered(),
            report,
        });
        out.push(Command::Send {
            to: leader,
            message,
        });
    }

    /// How this node is; noted as its own word too.
    fn report(&mut self, now: Now) -> Report {
        let heard = self.timing.heard_lately();
        let spec = self.state.spec().unwrap_or(&self.own.spec);
        let hears = spec.nodes.iter().map(|node| &node.name);
        let hears = hears
            .filter(|name| **name != self.me.node && self.peers.heard_within(name, heard, now.mono))
            .cloned()
            .collect();
        let nowhere = GroupState::default();
        let groups = self.groups.iter().map(|(name, group)| {
            let state = self.state.groups.get(name).unwrap_or(&nowhere);
            (name.clone(), group.report(state, now.mono))
        });
        let report = Report {
            applied: self.applied,
            config_hash: self.own.hash.clone(),
            leaving: self.leaving.is_some(),
            hears,
            gate: self.gate.clone(),
            supervised: self.supervised,
            guarded: self.guarded,
            stalled: self.stalls.last(),
            groups: groups.collect(),
        };
        self.peers.heard(&self.state, &self.me.clone(), now);
        self.peers
            .reported(&self.me.node.clone(), report.clone(), now);
        report
    }

    /// Why nothing can be decided here at the moment, in words.
    pub(crate) fn why_no_quorum(&self, now: Now) -> String {
        let spec = self.state.spec().unwrap_or(&self.own.spec);
        let recent = self.timing.heard_lately();
        let missing: Vec<_> = spec
            .nodes
            .iter()
            .map(|node| &node.name)
            .filter(|name| {
                **name != self.me.node && !self.peers.heard_within(name, recent, now.mono)
            })
            .map(NodeName::as_str)
            .collect();
        let refusal = self
            .refusal
            .as_ref()
            .map(|refusal| format!("; {refusal}"))
            .unwrap_or_default();
        if missing.is_empty() {
            format!(
                "no quorum at the moment: all nodes are heard, a leader is being elected{refusal}"
            )
        } else {
            let count = spec.nodes.len();
            let need = count / 2 + 1;
            let missing = missing.join(", ");
            format!(
                "no quorum: {need} of {count} nodes are needed, and {missing} cannot be heard{refusal}"
            )
        }
    }
}
