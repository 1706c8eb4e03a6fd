//! What this node has heard of every other.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::ids::{GroupName, NodeName};
use crate::message::{GroupReport, Report, Sender};
use crate::state::State;
use crate::time::{MonoTime, Now, RawTime};

/// The last word of one peer.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Who spoke.
    pub sender: Sender,
    /// What it said of itself; `None` where its present life has not said anything yet.
    pub report: Option<Report>,
    /// When anything was last heard.
    pub heard: MonoTime,
    /// When the report was heard.
    pub reported: RawTime,
    /// Since when it has said without a break that it could start each group.
    pub ready_since: BTreeMap<GroupName, RawTime>,
}

/// Every peer that was heard, this node included once it has asked itself.
#[derive(Debug, Default)]
pub struct Peers {
    known: BTreeMap<NodeName, Peer>,
    /// Daemons under a name of the cluster whose disk is not the voter of that name: wiped, or somebody else.
    strangers: BTreeMap<NodeName, (Sender, MonoTime)>,
}

impl Peers {
    /// Somebody spoke. Whether it is the voter of its name, in its latest life: else it is not believed.
    pub fn heard(&mut self, state: &State, from: &Sender, now: Now) -> bool {
        let voter = state.voters.get(&from.node);
        if voter.is_some_and(|voter| *voter != from.voter) {
            self.strangers
                .insert(from.node.clone(), (from.clone(), now.mono));
            return false;
        }
        if voter.is_none() && !state.voters.is_empty() {
            self.strangers
                .insert(from.node.clone(), (from.clone(), now.mono));
        }
        let peer = self
            .known
            .entry(from.node.clone())
            .or_insert_with(|| Peer::new(from, now));
        if peer.sender.voter == from.voter && from.process < peer.sender.process {
            return false;
        }
        if peer.sender.voter != from.voter || peer.sender.process != from.process {
            *peer = Peer::new(from, now);
        }
        peer.sender = from.clone();
        peer.heard = now.mono;
        true
    }

    /// What somebody believed says of itself. Whether it says something new of its groups, its end or its stalls.
    pub fn reported(&mut self, node: &NodeName, report: Report, now: Now) -> bool {
        let Some(peer) = self.known.get_mut(node) else {
            return false;
        };
        let ready = |group: &GroupReport| group.not_ready.is_none();
        peer.ready_since
            .retain(|name, _| report.groups.get(name).is_some_and(ready));
        for (name, _) in report.groups.iter().filter(|(_, group)| ready(group)) {
            peer.ready_since.entry(name.clone()).or_insert(now.raw);
        }
        let same = peer.report.as_ref().is_some_and(|last| {
            last.groups == report.groups
                && last.leaving == report.leaving
                && last.stalled == report.stalled
                && last.config_hash == report.config_hash
        });
        peer.report = Some(report);
        peer.reported = now.raw;
        !same
    }

    /// The last word of a node.
    #[must_use]
    pub fn get(&self, node: &NodeName) -> Option<&Peer> {
        self.known.get(node)
    }

    /// What a node says of a group.
    #[must_use]
    pub fn group(&self, node: &NodeName, group: &GroupName) -> Option<&GroupReport> {
        self.get(node)?.report.as_ref()?.groups.get(group)
    }

    /// Whether a node's daemon has said that it was asked to end.
    #[must_use]
    pub fn is_leaving(&self, node: &NodeName) -> bool {
        let report = self.get(node).and_then(|peer| peer.report.as_ref());
        report.is_some_and(|said| said.leaving)
    }

    /// Whether a node was heard within this time.
    #[must_use]
    pub fn heard_within(&self, node: &NodeName, time: Duration, now: MonoTime) -> bool {
        self.get(node)
            .is_some_and(|peer| now.since(peer.heard) <= time)
    }

    /// A daemon that speaks under a name of the cluster with a disk that is not its voter, heard within `time`.
    pub fn strangers(&self, time: Duration, now: MonoTime) -> impl Iterator<Item = &Sender> {
        self.strangers
            .values()
            .filter(move |(_, heard)| now.since(*heard) <= time)
            .map(|(sender, _)| sender)
    }
}

impl Peer {
    fn new(from: &Sender, now: Now) -> Self {
        Self {
            sender: from.clone(),
            report: None,
            heard: now.mono,
            reported: now.raw,
            ready_since: BTreeMap::new(),
        }
    }
}
