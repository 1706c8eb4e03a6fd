//! The queues of rotating groups: first in, first out.
//!
//! | entry | queue |
//! | --- | --- |
//! | group configured | the listed nodes in the order of the file; later changes of the file keep places and append |
//! | move to a node | it leaves its place; the old owner joins at the tail, unless it is lost or drained |
//! | node lost, node drained | it leaves |
//! | node back, node resumed | it joins at the tail, unless it is lost, drained or the owner |
//!
//! Only entries change a queue, so that every node and every later leader has the same one.

use super::State;
use crate::ids::{GroupName, NodeName};
use crate::spec::PolicySpec;

impl State {
    /// The rotating groups with the nodes that may own them.
    fn rotating(&self) -> Vec<(GroupName, Vec<NodeName>)> {
        let groups = self.spec().map(|spec| spec.groups.as_slice());
        groups
            .unwrap_or_default()
            .iter()
            .filter_map(|group| match &group.policy {
                PolicySpec::RotatingStandby { nodes } => Some((group.name.clone(), nodes.clone())),
                PolicySpec::IdleStandby { .. }
                | PolicySpec::SimpleFailover { .. }
                | PolicySpec::MutualTakeover { .. } => None,
            })
            .collect()
    }

    /// The configuration was replaced: who is listed no more leaves, who is new joins.
    pub(super) fn requeue(&mut self) {
        let rotating = self.rotating();
        for (name, group) in &mut self.groups {
            let listed = rotating.iter().find(|(known, _)| known == name);
            group
                .queue
                .retain(|node| listed.is_some_and(|(_, nodes)| nodes.contains(node)));
        }
        for (name, nodes) in rotating {
            for node in nodes {
                self.join(&name, &node);
            }
        }
    }

    /// A node may stand by again: in every group that lists it, behind all others.
    pub(super) fn join_queues(&mut self, node: &NodeName) {
        for (name, nodes) in self.rotating() {
            if nodes.contains(node) {
                self.join(&name, node);
            }
        }
    }

    /// A node was lost or drained: its places are given up.
    pub(super) fn leave_queues(&mut self, node: &NodeName) {
        for group in self.groups.values_mut() {
            group.queue.retain(|waiting| waiting != node);
        }
    }

    /// The owner of a group changed.
    pub(super) fn rotate(&mut self, name: &GroupName, from: Option<&NodeName>) {
        let listed = self.rotating().into_iter().find(|(known, _)| known == name);
        let Some((_, nodes)) = listed else { return };
        if let Some(group) = self.groups.get_mut(name) {
            let owner = group.owner.clone();
            group
                .queue
                .retain(|waiting| Some(waiting) != owner.as_ref());
        }
        if let Some(from) = from.filter(|from| nodes.contains(from)) {
            self.join(name, from);
        }
    }

    /// At the tail, where the node may stand by.
    fn join(&mut self, name: &GroupName, node: &NodeName) {
        let away = self
            .nodes
            .get(node)
            .is_some_and(|node| node.lost || node.drained);
        let Some(group) = self.groups.get_mut(name) else {
            return;
        };
        if !away && group.owner.as_ref() != Some(node) && !group.queue.contains(node) {
            group.queue.push(node.clone());
        }
    }
}
