//! What becomes of each command.

use std::rc::Rc;
use std::time::Duration;

use had_core::ids::{GroupName, LeaderId, NodeName, ProposalId, VoterId};
use had_core::ports::{Command, Event};
use had_core::state::{Entry, Step};
use had_core::time::BootTime;
use openraft_rt::AsyncRuntime;

use super::Driver;
use crate::check::{self, DecidedMoves};
use crate::plant::Planted;
use crate::runtime::{SimRuntime, spawn_on};

/// An answer's way from the engine's tasks to the core's thread, on a host that does other things too.
const BETWEEN_THREADS: Duration = Duration::from_micros(100);
/// Of a planted gate that shuts late: as long as taking an address down takes.
const SHUT_LATE_US: std::ops::Range<u64> = 500..4_000;

impl Driver {
    pub(super) fn execute(&mut self, command: Command) {
        self.cluster.clone().ambush(self.host, &command);
        let place = &self.cluster.hosts[self.host];
        match command {
            Command::Gate { group, until } => self.set_gate(group, until),
            Command::Resource {
                group,
                resource,
                up,
                ..
            } => self
                .cluster
                .set_resource(self.host, (group, resource.name), up),
            Command::HandsOff { group, on } => {
                for (resource, up) in place.hands_off(&group, on, self.cluster.planted) {
                    self.cluster
                        .set_resource(self.host, (group.clone(), resource), up);
                }
            }
            Command::Announce { .. } | Command::Exit => {}
            Command::Send { to, message } => self.cluster.send_frame(self.host, &to, &message),
            Command::Answer { via, message } => self.cluster.answer(self.host, via, &message),
            Command::Propose {
                proposal,
                leader,
                entry,
            } => self.propose(proposal, leader, entry),
            Command::Transfer { to } => {
                self.cluster
                    .note_at(self.host, format!("hands leadership to {to}"));
                let consensus = Rc::clone(&self.consensus);
                drop(spawn_on(place.node, async move {
                    drop(consensus.transfer(to).await)
                }));
            }
            Command::ReplaceVoter { node, old, new } => self.replace_voter(node, old, new),
            Command::Form { voters } => {
                self.cluster
                    .note_at(self.host, format!("forms the cluster with {voters:?}"));
                let consensus = Rc::clone(&self.consensus);
                drop(spawn_on(place.node, async move {
                    drop(consensus.form(voters).await)
                }));
            }
            Command::Reply { request, reply } => {
                self.cluster
                    .note_at(self.host, format!("answers an operator: {reply:?}"));
                place.reply(request, reply);
            }
            Command::Log { text, .. } => self.cluster.note_at(self.host, text),
        }
    }

    fn set_gate(&self, group: GroupName, until: BootTime) {
        match self.cluster.planted {
            Some(Planted::RelativeGateTimeout) if until != BootTime::ZERO => {
                // Counted from the write on, however long ago the clock was read.
                let left = until.since(self.read.boot);
                self.write_gate(&group, self.cluster.boot(self.host) + left);
            }
            Some(Planted::StopConfirmedBeforeItHappened) if until == BootTime::ZERO => {
                self.shut_later(group);
            }
            _ => self.write_gate(&group, until),
        }
    }

    /// Planted: what follows goes on meanwhile. The gate stays as it is where it was written again before.
    fn shut_later(&self, group: GroupName) {
        let (cluster, host) = (Rc::clone(&self.cluster), self.host);
        let before = cluster.hosts[host].deadline(&group);
        let takes = cluster.takes(SHUT_LATE_US);
        drop(spawn_on(cluster.hosts[host].node, async move {
            SimRuntime::sleep(takes).await;
            if cluster.hosts[host].deadline(&group) == before {
                cluster.note_at(host, format!("gate of {group} shuts at last"));
                cluster.write_gate(host, &group, BootTime::ZERO);
            }
        }));
    }

    fn write_gate(&self, group: &GroupName, until: BootTime) {
        let (cluster, host) = (&self.cluster, self.host);
        let (state, _) = self.node.state();
        let boot = cluster.boot(host);
        let (was_open, was_held) = {
            let gates = &cluster.checks.borrow().single_owner;
            (gates.is_open(group, host, boot), gates.is_held(group, host))
        };
        let opens = until > boot;
        cluster.history.count(until.0);
        if opens != was_open {
            let epoch = state.groups.get(group).map_or(0, |group| group.epoch.0);
            let word = if opens { "opens" } else { "shuts" };
            cluster.note_at(host, format!("gate of {group} {word} (epoch {epoch})"));
        }
        if opens {
            let name = cluster.hosts[host].known_as();
            cluster.expect(DecidedMoves::gate_opens(&name, group, state, was_held));
        }
        cluster.write_gate(host, group, until);
    }

    fn propose(&mut self, proposal: ProposalId, leader: LeaderId, mut entry: Entry) {
        let (cluster, host) = (Rc::clone(&self.cluster), self.host);
        if let Some(planted) = cluster.planted {
            let file = cluster.hosts[host].file();
            planted.spoil(&mut entry, self.node.state().0, &file);
        }
        cluster.note_at(host, format!("proposes {}", told(&entry)));
        self.judge(proposal, leader, &entry);
        let consensus = Rc::clone(&self.consensus);
        drop(spawn_on(cluster.hosts[host].node, async move {
            let outcome = consensus.propose(leader, entry.encode()).await;
            if let Ok(index) = outcome {
                cluster.expect(
                    cluster
                        .checks
                        .borrow_mut()
                        .decided_moves
                        .acknowledged(index, entry.id),
                );
            }
            SimRuntime::sleep(BETWEEN_THREADS).await;
            cluster.hosts[host].push(Event::Proposed { proposal, outcome });
        }));
    }

    /// What a leader decides, by the state that it has applied.
    fn judge(&mut self, proposal: ProposalId, leader: LeaderId, entry: &Entry) {
        let (state, _) = self.node.state();
        let Some(spec) = state.spec() else { return };
        for step in &entry.steps {
            if let Step::Move(change) = step {
                self.cluster
                    .expect(check::takes_in_turn(spec, state, change));
            }
        }
        self.on_their_way
            .retain(|_, (of, entry)| *of == leader && !state.commands.contains(&entry.id));
        let others: Vec<&Entry> = self.on_their_way.values().map(|(_, entry)| entry).collect();
        let right = check::makes_no_wrong(spec, state, entry, &others);
        self.cluster.expect(right);
        self.on_their_way.insert(proposal, (leader, entry.clone()));
    }

    fn replace_voter(&self, node: NodeName, old: Option<VoterId>, new: VoterId) {
        let (cluster, host) = (Rc::clone(&self.cluster), self.host);
        cluster.note_at(host, format!("replaces {node}'s voter {old:?} by {new}"));
        let consensus = Rc::clone(&self.consensus);
        drop(spawn_on(cluster.hosts[host].node, async move {
            let replaced = consensus.replace_voter(old, new, node.clone()).await;
            cluster.note_at(host, format!("replacing {node}'s voter: {replaced:?}"));
        }));
    }
}

/// Whether a leader decides to take a group from its owner.
pub(crate) fn begins_a_move(command: &Command) -> bool {
    let Command::Propose { entry, .. } = command else {
        return false;
    };
    let mut steps = entry.steps.iter();
    steps.any(|step| matches!(step, Step::Move(change) if change.from.is_some()))
}

/// An entry in one line.
fn told(entry: &Entry) -> String {
    let steps = entry.steps.iter().map(|step| match step {
        Step::Configure { config } => format!("configuration {}", config.hash),
        Step::Move(change) => {
            let name = |node: &Option<NodeName>| {
                node.as_ref()
                    .map_or_else(|| "nobody".to_owned(), ToString::to_string)
            };
            format!(
                "move {} e{} from {} to {}{} ({})",
                change.group,
                change.epoch.next(),
                name(&change.from),
                name(&change.to),
                if change.released {
                    ""
                } else {
                    ", not released"
                },
                change.reason,
            )
        }
        other => format!("{other:?}"),
    });
    steps.collect::<Vec<_>>().join("; ")
}
