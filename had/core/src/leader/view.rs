//! The cluster as the planner is told of it.

use had_policies::{GroupView, NodeView, Presence, Readiness, View};

use super::{Leader, Seen};
use crate::ids::NodeName;
use crate::spec::{ClusterSpec, GroupSpec, Role};

impl Leader {
    /// The view of this moment.
    #[must_use]
    pub fn view(&self, seen: Seen<'_>, spec: &ClusterSpec) -> View {
        View {
            lease: self.timing.lease,
            nodes: spec
                .nodes
                .iter()
                .filter(|node| node.role == Role::Member)
                .map(|node| self.node_view(seen, &node.name))
                .collect(),
            groups: spec
                .groups
                .iter()
                .map(|group| self.group_view(seen, group))
                .collect(),
        }
    }

    fn node_view(&self, seen: Seen<'_>, name: &NodeName) -> NodeView {
        let leaving = |name| {
            seen.peers
                .get(name)
                .and_then(|peer| peer.report.as_ref())
                .is_some_and(|said| said.leaving)
        };
        NodeView {
            name: name.clone(),
            presence: self.presence(seen, name),
            drained: seen.state.nodes.get(name).is_some_and(|node| node.drained),
            leaving: leaving(name),
        }
    }

    fn presence(&self, seen: Seen<'_>, name: &NodeName) -> Presence {
        match self.records.renews(name, seen.now.raw) {
            Some(stable_for) => Presence::Online { stable_for },
            None if self.records.has_ended(name, seen.now.raw) => Presence::Lost,
            None => Presence::Silent,
        }
    }

    fn group_view(&self, seen: Seen<'_>, spec: &GroupSpec) -> GroupView {
        let state = seen
            .state
            .groups
            .get(&spec.name)
            .cloned()
            .unwrap_or_default();
        let readiness = spec
            .policy
            .nodes()
            .filter_map(|node| Some((node.clone(), self.readiness(seen, node, spec)?)))
            .collect();
        GroupView {
            name: spec.name.clone(),
            scheme: spec.policy.planned(),
            owner: state.owner,
            pinned: state.pinned,
            readiness,
        }
    }

    fn readiness(&self, seen: Seen<'_>, node: &NodeName, spec: &GroupSpec) -> Option<Readiness> {
        let report = seen.peers.group(node, &spec.name)?;
        Some(match &report.not_ready {
            Some(reason) => Readiness::NotReady(reason.clone()),
            None => {
                let since = seen.peers.get(node)?.ready_since.get(&spec.name)?;
                // What was said before this leader began counts from its beginning.
                Readiness::Ready {
                    since: seen.now.raw.since((*since).max(self.started)),
                }
            }
        })
    }
}
