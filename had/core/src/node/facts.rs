//! What [`crate::status`] reads of a node.

use std::collections::BTreeMap;

use super::Node;
use crate::group::LocalGroup;
use crate::ids::{GroupName, NodeName, VoterId};
use crate::message::{GroupReport, Report};
use crate::stall::{Cause, Count};
use crate::state::Configuration;
use crate::time::{Now, WallTime};

impl Node {
    pub(crate) fn stalls(&self) -> &BTreeMap<Cause, Count> {
        self.stalls.counts()
    }

    pub(crate) fn own_configuration(&self) -> &Configuration {
        &self.own
    }

    pub(crate) fn is_quorate(&self, now: Now) -> bool {
        self.holder.is_valid(now.boot)
    }

    pub(crate) fn fresh_at(&self, now: Now) -> WallTime {
        if self.is_quorate(now) {
            now.wall
        } else {
            self.fresh
        }
    }

    pub(crate) fn term(&self) -> u64 {
        self.leadership.leader.map_or(0, |leader| leader.term)
    }

    pub(crate) fn report_of(&self, name: &NodeName) -> Option<&Report> {
        self.peers.get(name)?.report.as_ref()
    }

    pub(crate) fn local_group(&self, group: &GroupName) -> Option<&LocalGroup> {
        self.groups.get(group)
    }

    pub(crate) fn said_of(&self, node: &NodeName, group: &GroupName) -> Option<&GroupReport> {
        self.peers.group(node, group)
    }

    pub(crate) fn hears(&self, name: &NodeName, now: Now) -> bool {
        self.peers
            .heard_within(name, self.timing.heard_lately(), now.mono)
    }

    pub(crate) fn voter_heard(&self, name: &NodeName) -> Option<VoterId> {
        if *name == self.me.node {
            return Some(self.me.voter);
        }
        self.peers.get(name).map(|peer| peer.sender.voter)
    }

    pub(crate) fn silent_for_ms(&self, name: &NodeName, now: Now) -> Option<u64> {
        let heard = self.peers.get(name)?.heard;
        u64::try_from(now.mono.since(heard).as_millis()).ok()
    }
}
