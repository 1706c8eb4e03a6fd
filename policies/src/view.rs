//! What the planner is told.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::names::{GroupName, NodeName};

/// The cluster at one moment, as its leader sees it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct View {
    /// The lease's length: `failback = "auto"` waits for two of them.
    pub lease: Duration,
    /// In the order of the file.
    pub nodes: Vec<NodeView>,
    /// In the order of the file, which is the order of planning.
    pub groups: Vec<GroupView>,
}

impl View {
    /// The node of this name.
    #[must_use]
    pub fn node(&self, name: &NodeName) -> Option<&NodeView> {
        self.nodes.iter().find(|node| node.name == *name)
    }

    /// The group of this name.
    #[must_use]
    pub fn group(&self, name: &GroupName) -> Option<&GroupView> {
        self.groups.iter().find(|group| group.name == *name)
    }
}

/// One node.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NodeView {
    /// Its name.
    pub name: NodeName,
    /// Whether it renews its lease.
    pub presence: Presence,
    /// Emptied by an operator until it is resumed.
    pub drained: bool,
    /// Its daemon was asked to end and hands over what it owns.
    pub leaving: bool,
}

/// Whether a node renews its lease.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Presence {
    /// It has renewed its lease without a break for this long (from scratch after a restart of its process).
    Online {
        /// Unbroken, as far as this leader knows.
        stable_for: Duration,
    },
    /// Its lease may still run, but it is not known to renew: nothing is taken from it yet, and nothing given to it.
    Silent,
    /// Its lease is known to have ended.
    Lost,
}

/// One group.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct GroupView {
    /// Its name.
    pub name: GroupName,
    /// Its scheme with the parameters that matter for placement.
    pub scheme: Scheme,
    /// Who owns it now.
    pub owner: Option<NodeName>,
    /// Put there by an operator against what the scheme prefers.
    pub pinned: Option<NodeName>,
    /// Whether each node could start it now, and why not. A node that is not named has not said.
    pub readiness: BTreeMap<NodeName, Readiness>,
}

/// Whether a node could start a group now.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Readiness {
    /// It could.
    Ready {
        /// Without a break, as far as this leader knows.
        since: Duration,
    },
    /// It could not, for this reason ("interface eth0 has no carrier").
    NotReady(String),
}

/// A scheme with the parameters that matter for placement.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "scheme")]
pub enum Scheme {
    /// The eligible standby of highest priority takes over; ties by name.
    IdleStandby {
        /// Priorities of the nodes that may own the group.
        priorities: BTreeMap<NodeName, i64>,
        /// When it returns to a preferred node.
        failback: Failback,
    },
}

impl Scheme {
    /// What the scheme thinks of every node that may own the group; higher is better.
    pub fn preferences(&self) -> impl Iterator<Item = (&NodeName, i64)> {
        match self {
            Self::IdleStandby { priorities, .. } => {
                priorities.iter().map(|(node, priority)| (node, *priority))
            }
        }
    }

    /// Whether a node may own the group.
    #[must_use]
    pub fn lists(&self, node: &NodeName) -> bool {
        self.preferences().any(|(listed, _)| listed == node)
    }

    /// When the group returns to a node that the scheme prefers.
    #[must_use]
    pub fn failback(&self) -> Failback {
        match self {
            Self::IdleStandby { failback, .. } => *failback,
        }
    }
}

/// When a group returns to a node that its scheme prefers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Failback {
    /// Only when an operator says so, or the present owner is lost.
    #[default]
    Manual,
    /// As soon as the preferred node has held a lease and been ready for two leases.
    Auto,
    /// When it has been so for this long without a break.
    After(Duration),
}

impl Failback {
    /// How long the preferred node must have been online and ready without a break; `None` where time alone never
    /// brings the group back.
    #[must_use]
    pub fn wait(self, lease: Duration) -> Option<Duration> {
        match self {
            Self::Manual => None,
            Self::Auto => Some(lease * AUTO_LEASES),
            Self::After(stable) => Some(stable),
        }
    }
}

/// `failback = "auto"` waits for this many leases: one that was granted, and one in which it was renewed.
const AUTO_LEASES: u32 = 2;
