//! The four schemes: which nodes may own a group, and in which order it prefers them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::failback::Failback;
use crate::names::NodeName;

/// A scheme with the parameters that matter for placement.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "scheme")]
pub enum Scheme {
    /// The eligible standby of highest priority takes over; ties by name.
    IdleStandby {
        /// Priorities of the nodes that may own the group; higher is better.
        priorities: BTreeMap<NodeName, i64>,
        /// When it returns to a preferred node.
        failback: Failback,
    },
    /// The node that has stood by longest takes over; it never fails back.
    RotatingStandby {
        /// The nodes that may own the group, in the order of the file.
        nodes: Vec<NodeName>,
    },
    /// The backup takes over from the primary.
    SimpleFailover {
        /// Where the group belongs.
        primary: NodeName,
        /// Who takes over.
        backup: NodeName,
        /// When it returns to the primary.
        failback: Failback,
    },
    /// The partner that carries least against its capacity takes over, beside its own work.
    MutualTakeover {
        /// Where the group belongs.
        home: NodeName,
        /// Who takes over, in the order of the file.
        partners: Vec<NodeName>,
        /// When it returns home.
        failback: Failback,
    },
}

impl Scheme {
    /// Every node that may own the group, each once, in the order of the file (idle-standby: by name).
    #[must_use]
    pub fn nodes(&self) -> Vec<&NodeName> {
        let named: Vec<&NodeName> = match self {
            Self::IdleStandby { priorities, .. } => priorities.keys().collect(),
            Self::RotatingStandby { nodes } => nodes.iter().collect(),
            Self::SimpleFailover {
                primary, backup, ..
            } => vec![primary, backup],
            Self::MutualTakeover { home, partners, .. } => {
                std::iter::once(home).chain(partners).collect()
            }
        };
        let mut once: Vec<&NodeName> = Vec::with_capacity(named.len());
        for node in named {
            if !once.contains(&node) {
                once.push(node);
            }
        }
        once
    }

    /// Whether a node may own the group.
    #[must_use]
    pub fn lists(&self, node: &NodeName) -> bool {
        self.nodes().contains(&node)
    }

    /// When the group returns to a node that the scheme prefers. A rotating group has none to return to.
    #[must_use]
    pub fn failback(&self) -> Failback {
        match self {
            Self::IdleStandby { failback, .. }
            | Self::SimpleFailover { failback, .. }
            | Self::MutualTakeover { failback, .. } => *failback,
            Self::RotatingStandby { .. } => Failback::Manual,
        }
    }

    /// The name of the scheme in the cluster file.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::IdleStandby { .. } => "idle-standby",
            Self::RotatingStandby { .. } => "rotating-standby",
            Self::SimpleFailover { .. } => "simple-failover",
            Self::MutualTakeover { .. } => "mutual-takeover",
        }
    }
}
