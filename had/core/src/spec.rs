//! What the operator asked for, checked. It is replicated: the committed one rules on every node.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use had_policies::{Failback, Scheme};
use serde::{Deserialize, Serialize};

use crate::ids::{GroupName, NodeName, ResourceName};
use crate::timing::Timing;

/// The cluster as the file describes it, without what belongs to one host (paths of certificates, ports of metrics).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ClusterSpec {
    /// The cluster's name.
    pub name: String,
    /// Lease and heartbeat.
    pub timing: Timing,
    /// In the order of the file.
    pub nodes: Vec<NodeSpec>,
    /// In the order of the file, which is the order of planning.
    pub groups: Vec<GroupSpec>,
}

impl ClusterSpec {
    /// The node of this name.
    #[must_use]
    pub fn node(&self, name: &NodeName) -> Option<&NodeSpec> {
        self.nodes.iter().find(|node| node.name == *name)
    }

    /// The group of this name.
    #[must_use]
    pub fn group(&self, name: &GroupName) -> Option<&GroupSpec> {
        self.groups.iter().find(|group| group.name == *name)
    }
}

/// A machine that runs `had`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NodeSpec {
    /// Its name.
    pub name: NodeName,
    /// Whether it can own groups.
    pub role: Role,
    /// Where its peers reach it; at least one. Address pairs of two nodes are links, paired by position.
    pub addresses: Vec<SocketAddr>,
    /// What it should carry at most, against the groups' loads.
    #[serde(default = "one")]
    pub capacity: u32,
    /// Whether more than that is forbidden rather than merely avoided.
    #[serde(default)]
    pub capacity_is_hard: bool,
}

/// The capacity of a node and the load of a group where the file names none.
fn one() -> u32 {
    1
}

/// Whether a node can own groups.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Votes and owns groups.
    Member,
    /// Only votes; needs no privileges.
    Witness,
}

/// The unit that moves.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct GroupSpec {
    /// Its name.
    pub name: GroupName,
    /// Who takes over and who comes back.
    pub policy: PolicySpec,
    /// What happens without a quorum.
    pub on_quorum_loss: OnQuorumLoss,
    /// What it weighs against the nodes' capacity.
    #[serde(default = "one")]
    pub load: u32,
    /// Groups that it follows: it runs only where they run.
    #[serde(default)]
    pub with: Vec<GroupName>,
    /// Groups that never run on its node.
    #[serde(default)]
    pub apart_from: Vec<GroupName>,
    /// Started in this order, stopped in reverse.
    pub resources: Vec<ResourceSpec>,
}

/// The scheme of a group with its parameters.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "scheme")]
pub enum PolicySpec {
    /// The eligible standby of highest priority takes over.
    IdleStandby {
        /// In the order of the file.
        nodes: Vec<Candidate>,
        /// When the group returns to a preferred node.
        failback: Failback,
    },
    /// The standby that has waited longest takes over; nothing comes back by itself.
    RotatingStandby {
        /// In the order of the file: the first queue.
        nodes: Vec<NodeName>,
    },
    /// The backup takes over, and drops what is less important.
    SimpleFailover {
        /// Where the group belongs.
        primary: NodeName,
        /// Where it goes when the primary is lost.
        backup: NodeName,
        /// Groups that give way on the node where this one runs.
        displaces: Vec<GroupName>,
        /// When the group returns to the primary.
        failback: Failback,
    },
    /// One of the partners takes over and keeps its own work.
    MutualTakeover {
        /// Where the group belongs.
        home: NodeName,
        /// In the order of the file.
        partners: Vec<NodeName>,
        /// When the group returns home.
        failback: Failback,
    },
}

impl PolicySpec {
    /// The nodes that may own the group: in the order of the file, primary and home first.
    #[must_use]
    pub fn nodes(&self) -> Vec<&NodeName> {
        match self {
            Self::IdleStandby { nodes, .. } => {
                nodes.iter().map(|candidate| &candidate.name).collect()
            }
            Self::RotatingStandby { nodes } => nodes.iter().collect(),
            Self::SimpleFailover {
                primary, backup, ..
            } => vec![primary, backup],
            Self::MutualTakeover { home, partners, .. } => {
                std::iter::once(home).chain(partners).collect()
            }
        }
    }

    /// The groups that give way where this one runs.
    #[must_use]
    pub fn displaces(&self) -> &[GroupName] {
        match self {
            Self::SimpleFailover { displaces, .. } => displaces,
            Self::IdleStandby { .. }
            | Self::RotatingStandby { .. }
            | Self::MutualTakeover { .. } => &[],
        }
    }

    /// What matters of it for placement.
    #[must_use]
    pub fn planned(&self) -> Scheme {
        match self {
            Self::IdleStandby { nodes, failback } => Scheme::IdleStandby {
                priorities: nodes
                    .iter()
                    .map(|node| (node.name.clone(), node.priority))
                    .collect(),
                failback: *failback,
            },
            Self::RotatingStandby { nodes } => Scheme::RotatingStandby {
                nodes: nodes.clone(),
            },
            Self::SimpleFailover {
                primary,
                backup,
                failback,
                ..
            } => Scheme::SimpleFailover {
                primary: primary.clone(),
                backup: backup.clone(),
                failback: *failback,
            },
            Self::MutualTakeover {
                home,
                partners,
                failback,
            } => Scheme::MutualTakeover {
                home: home.clone(),
                partners: partners.clone(),
                failback: *failback,
            },
        }
    }

    /// The scheme's name as the file spells it.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        match self {
            Self::IdleStandby { .. } => "idle-standby",
            Self::RotatingStandby { .. } => "rotating-standby",
            Self::SimpleFailover { .. } => "simple-failover",
            Self::MutualTakeover { .. } => "mutual-takeover",
        }
    }
}

/// A node of an idle-standby group.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Candidate {
    /// The node.
    pub name: NodeName,
    /// The highest that is eligible takes over.
    pub priority: i64,
}

/// What happens to a running group when its owner's lease ends without a quorum.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnQuorumLoss {
    /// It stops at the lease's end.
    #[default]
    Stop,
    /// It goes on where it runs, although another node may serve it too.
    Keep,
}

/// One thing a group carries.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ResourceSpec {
    /// Unique within its group.
    pub name: ResourceName,
    /// What it is.
    pub kind: ResourceKind,
}

/// What a resource is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum ResourceKind {
    /// A virtual IP.
    Vip(VipSpec),
}

/// A virtual IP address.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct VipSpec {
    /// The address that clients use.
    pub address: IpAddr,
    /// Its prefix length.
    pub prefix: u8,
    /// Where it is put.
    pub interface: InterfaceSpec,
}

/// Which interface carries a virtual IP.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InterfaceSpec {
    /// The one whose subnet holds the address.
    BySubnet,
    /// The same name on every node.
    Named(String),
    /// A name for each node.
    PerNode(BTreeMap<NodeName, String>),
}

/// Longest time that a daemon takes to stop or hand over what it owns when asked to end.
pub const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);
