//! What a leader knows of the nodes, for the planner.

use had_policies::{Presence, Readiness, View};

use super::{Leader, Seen};
use crate::ids::{GroupName, NodeName};
use crate::outlook::{self, Known};
use crate::spec::ClusterSpec;

struct AsLeader<'a> {
    leader: &'a Leader,
    seen: Seen<'a>,
}

impl Leader {
    /// The view of this moment.
    #[must_use]
    pub fn view(&self, seen: Seen<'_>, spec: &ClusterSpec) -> View {
        outlook::view(spec, seen.state, &AsLeader { leader: self, seen })
    }
}

impl Known for AsLeader<'_> {
    fn presence(&self, node: &NodeName) -> Presence {
        let (records, now) = (&self.leader.records, self.seen.now.raw);
        match records.renews(node, now) {
            Some(stable_for) => Presence::Online { stable_for },
            None if records.has_ended(node, now) => Presence::Lost,
            None => Presence::Silent,
        }
    }

    fn is_leaving(&self, node: &NodeName) -> bool {
        self.seen.peers.is_leaving(node)
    }

    fn readiness(&self, node: &NodeName, group: &GroupName) -> Option<Readiness> {
        let report = self.seen.peers.group(node, group);
        let report = report.filter(|report| report.is_checked())?;
        Some(match &report.not_ready {
            Some(reason) => Readiness::NotReady(reason.clone()),
            None => {
                let since = self.seen.peers.get(node)?.ready_since.get(group)?;
                // What was said before this leader began counts from its beginning.
                Readiness::Ready {
                    since: self.seen.now.raw.since((*since).max(self.leader.started)),
                }
            }
        })
    }

    fn ban(&self, node: &NodeName, group: &GroupName) -> Option<String> {
        self.seen.peers.group(node, group)?.banned.clone()
    }
}
