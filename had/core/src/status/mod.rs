//! What operators are shown: SURFACE's documents, as a node knows them, with their age.

mod known;
mod look;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::{Epoch, GroupName, NodeName, ResourceName};
use crate::message::ResourceState;
use crate::spec::Role;
use crate::stall::{Cause, Count};
use crate::state::ClusterEvent;
use crate::time::{WallTime, utc};

/// The cluster as one node knows it. Times are wall clock.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Status {
    /// The cluster's name.
    pub cluster: String,
    /// The node that answers.
    pub node: NodeName,
    /// Who leads, as far as this node knows.
    pub leader: Option<NodeName>,
    /// The term of the leader.
    pub term: u64,
    /// Whether this node sees what a majority sees.
    pub quorate: bool,
    /// When it last did.
    #[serde(with = "utc")]
    pub as_of: WallTime,
    /// Of the committed configuration.
    pub config_hash: String,
    /// Whether this node's own file says something else.
    pub config_differs: bool,
    /// Whether an operator takes care of all groups himself.
    #[serde(default)]
    pub maintenance: bool,
    /// How often the answering node's daemon did not run although it wanted to, since it was started.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub stalls: BTreeMap<Cause, Count>,
    /// What stands against the normal state of affairs, one sentence each.
    pub notices: Vec<String>,
    /// In the order of the file.
    pub nodes: Vec<NodeStatus>,
    /// In the order of the file.
    pub groups: Vec<GroupStatus>,
}

/// One line of the cluster's history, as a document.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EventLine {
    /// Counts up by one.
    pub number: u64,
    /// When the leader proposed it.
    #[serde(with = "utc")]
    pub at: WallTime,
    /// What it is about.
    pub node: Option<NodeName>,
    /// What it is about.
    pub group: Option<GroupName>,
    /// A word for machines.
    pub kind: String,
    /// One sentence for people.
    pub text: String,
    /// The leader that proposed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<NodeName>,
}

impl From<&ClusterEvent> for EventLine {
    fn from(event: &ClusterEvent) -> Self {
        Self {
            number: event.number,
            at: event.at,
            node: event.node.clone(),
            group: event.group.clone(),
            kind: event.kind.clone(),
            text: event.text.clone(),
            by: event.by.clone(),
        }
    }
}

/// One node.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Its name.
    pub name: NodeName,
    /// Member or witness.
    pub role: Role,
    /// How it is.
    pub state: NodeCondition,
    /// When the answering node last heard it, milliseconds ago; zero for itself, absent where it never did.
    pub last_heard_ms: Option<u64>,
    /// Whom it hears.
    pub hears: Vec<NodeName>,
    /// What it owns.
    pub groups: Vec<GroupName>,
    /// Its gate: `bpf`, `nft`, `none`, or empty where it has not said.
    pub gate: String,
    /// What its groups weigh together.
    #[serde(default)]
    pub load: u32,
    /// What it should carry at most.
    #[serde(default)]
    pub capacity: u32,
    /// Set where it carries more than its own work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub degraded: Option<Degraded>,
}

/// How a node is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeCondition {
    /// It is heard.
    Online,
    /// It is heard, and an operator emptied it.
    Drained,
    /// Its lease ended without renewal, or it is not heard any more.
    Lost,
    /// It is heard, and is not yet a voter.
    Joining,
    /// Not heard, and this node does not see what the majority sees.
    Unknown,
}

/// One group.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct GroupStatus {
    /// Its name.
    pub name: GroupName,
    /// Its scheme.
    pub policy: String,
    /// What it does.
    pub state: GroupCondition,
    /// The one node that may run it; absent where there is none, or where this node cannot know.
    pub owner: Option<NodeName>,
    /// The number of its changes of owner.
    pub epoch: Epoch,
    /// Since when it is there.
    #[serde(with = "utc")]
    pub since: WallTime,
    /// Where an operator pinned it.
    pub pinned: Option<NodeName>,
    /// Whether its resources are watched but not touched.
    pub maintenance: bool,
    /// Why it is less than it should be.
    pub degraded: Option<Degraded>,
    /// Why it is where it is.
    pub reason: String,
    /// In their order.
    pub resources: Vec<ResourceLine>,
    /// Who would take over, in order.
    pub next: Vec<NodeName>,
    /// Why the others could not.
    pub not_ready: BTreeMap<NodeName, String>,
    /// What ends it on its owner when the lease is over, strongest first.
    #[serde(default)]
    pub rungs: Vec<Rung>,
}

/// What ends a group on its owner when the lease is over.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rung {
    /// A program in the kernel silences its addresses, whatever becomes of the daemon.
    BpfGate,
    /// nftables does, a little earlier and a little less.
    NftGate,
    /// The daemon shuts its gate and takes it down, where it still runs.
    Daemon,
    /// A process beside the daemon takes it down, also where the daemon is killed or frozen.
    Guard,
    /// A supervisor ends a daemon that hangs.
    Supervisor,
}

/// Why something is less than it should be.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Degraded {
    /// For people.
    pub reason: String,
    /// Since when.
    #[serde(with = "utc")]
    pub since: WallTime,
}

/// What a group does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GroupCondition {
    /// It serves.
    Running,
    /// On its way up.
    Starting,
    /// On its way down.
    Stopping,
    /// It has no owner.
    Stopped,
    /// It has no owner: it gives way to a group that displaces it.
    Displaced,
    /// Its owner cannot run it.
    Failed,
    /// This node cannot know.
    Unknown,
}

/// One resource of a group.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ResourceLine {
    /// Its name.
    pub name: ResourceName,
    /// What it is: `vip`.
    pub kind: String,
    /// What it does on the owner.
    pub state: ResourceState,
    /// For people.
    pub detail: String,
}
