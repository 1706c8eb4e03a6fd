//! What any node knows of the others, for the planner: what `status` and `explain` rest on.

use had_policies::{Presence, Readiness, View};

use super::NodeCondition;
use crate::ids::{GroupName, NodeName};
use crate::node::Node;
use crate::outlook::{self, Known};
use crate::spec::ClusterSpec;
use crate::time::Now;

impl Node {
    /// The cluster as this node can tell the planner of it, whether it leads or not.
    pub(crate) fn own_view(&self, now: Now, spec: &ClusterSpec) -> View {
        let (state, _) = self.state();
        let known = AsNode {
            node: self,
            now,
            spec,
        };
        outlook::view(spec, state, &known)
    }
}

/// What a node knows of the others that does not lead: how stable they are, it cannot say.
struct AsNode<'a> {
    node: &'a Node,
    now: Now,
    spec: &'a ClusterSpec,
}

impl Known for AsNode<'_> {
    fn presence(&self, node: &NodeName) -> Presence {
        match self.node.condition(self.now, node) {
            NodeCondition::Online | NodeCondition::Drained => Presence::Online {
                stable_for: self.spec.timing.lease,
            },
            NodeCondition::Lost => Presence::Lost,
            NodeCondition::Joining | NodeCondition::Unknown => Presence::Silent,
        }
    }

    fn is_leaving(&self, node: &NodeName) -> bool {
        self.node
            .report_of(node)
            .is_some_and(|report| report.leaving)
    }

    fn readiness(&self, node: &NodeName, group: &GroupName) -> Option<Readiness> {
        let said = self.node.said_of(node, group);
        let said = said.filter(|said| said.is_checked())?;
        Some(match &said.not_ready {
            Some(why) => Readiness::NotReady(why.clone()),
            None => Readiness::Ready {
                since: self.spec.timing.lease,
            },
        })
    }

    fn ban(&self, node: &NodeName, group: &GroupName) -> Option<String> {
        self.node.said_of(node, group)?.banned.clone()
    }
}
