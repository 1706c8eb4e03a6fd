//! What the planner is told.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::names::{GroupName, NodeName};
use crate::scheme::Scheme;

/// The cluster at one moment, as its leader sees it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct View {
    /// The lease's length: `failback = "auto"` waits for two of them.
    pub lease: Duration,
    /// The whole cluster is in maintenance; every group then says so too.
    #[serde(default)]
    pub maintenance: bool,
    /// The members, in the order of the file.
    pub nodes: Vec<NodeView>,
    /// In the order of the file, which is the order of planning where no rule between groups says otherwise.
    pub groups: Vec<GroupView>,
}

impl View {
    /// The command that ends the maintenance of a group.
    pub(crate) fn maintenance_off(&self, group: &GroupName) -> String {
        if self.maintenance {
            "`hactl maintenance off`".to_owned()
        } else {
            format!("`hactl maintenance off {group}`")
        }
    }

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

    /// Whether a node renews its lease. One that the view does not name may still hold a lease: nothing is given to it,
    /// and nothing taken from it.
    #[must_use]
    pub fn presence(&self, node: &NodeName) -> Presence {
        self.node(node)
            .map_or(Presence::Silent, |node| node.presence)
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
    /// How much it is meant to carry, in the unit of the groups' `load`.
    pub capacity: u32,
    /// Nothing comes here that would exceed the capacity (`capacity_is_hard`); what is here already stays.
    pub capacity_is_hard: bool,
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
    /// What it weighs against the nodes' capacity.
    pub load: u32,
    /// Groups that give way on whichever node runs this one.
    pub displaces: Vec<GroupName>,
    /// Groups that this one follows: it runs only where they run.
    pub with: Vec<GroupName>,
    /// Groups that it must not share a node with; holds both ways.
    pub apart_from: Vec<GroupName>,
    /// Rotating groups: who takes over, head first. The owner is not in it.
    pub queue: Vec<NodeName>,
    /// Where a start failed, and how.
    pub bans: BTreeMap<NodeName, String>,
    /// Stopped by an operator until it is started again.
    pub stopped: bool,
    /// In maintenance: watched, but never moved.
    pub maintenance: bool,
    /// `on_quorum_loss = "keep"`: its owner goes on without a majority. Only the forecast asks.
    pub keeps: bool,
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
