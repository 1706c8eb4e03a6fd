//! The replicated state machine: what a majority has decided.

mod apply;
mod entry;
mod events;
mod queue;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use entry::{Entry, Move, Step};

use crate::explain::CandidateLine;
use crate::ids::{ClusterId, CommandId, Epoch, GroupName, NodeName, ProcessId, VoterId};
use crate::spec::ClusterSpec;
use crate::time::WallTime;

/// Events kept in the state; older ones are dropped. 1,000 of some 200 bytes, and for the last moves of each group the
/// judgement of its nodes beside, bound a snapshot to some hundred KiB (a few MiB with hundreds of groups).
pub const EVENTS_KEPT: usize = 1_000;
/// Command ids kept to recognise retries.
pub const COMMANDS_KEPT: usize = 256;

/// The feature level of this program: what entries mean, and whether it can read a cluster's.
pub const FEATURE_LEVEL: u32 = 1;

/// What a majority has decided, as of one index.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct State {
    /// Drawn when the cluster was formed; zero before.
    pub cluster: ClusterId,
    /// What entries mean: given with the cluster's first entry.
    #[serde(default)]
    pub level: u32,
    /// The configuration that rules, and its hash.
    pub config: Option<Arc<Configuration>>,
    /// The voters, by name.
    pub voters: BTreeMap<NodeName, VoterId>,
    /// What was decided about nodes.
    pub nodes: BTreeMap<NodeName, NodeState>,
    /// What was decided about groups.
    pub groups: BTreeMap<GroupName, GroupState>,
    /// An operator takes care of all groups himself.
    #[serde(default)]
    pub maintenance: bool,
    /// The highest epoch of any group that a configuration removed: one that comes back begins above it.
    #[serde(default)]
    pub epoch_floor: Epoch,
    /// The cluster's history, oldest first. Shared, since every applied entry leaves a copy of the state behind.
    pub events: VecDeque<Arc<ClusterEvent>>,
    /// Number of the last event.
    pub last_event: u64,
    /// The last commands applied, oldest first, so that a retry is recognised.
    pub commands: VecDeque<CommandId>,
}

/// A committed configuration.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Configuration {
    /// Of the file's meaning; equal files with other comments or order of keys have equal hashes.
    pub hash: String,
    /// What it says.
    pub spec: ClusterSpec,
}

/// What was decided about a node.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct NodeState {
    /// Emptied by an operator.
    pub drained: bool,
    /// Declared lost: its lease was known to have ended.
    pub lost: bool,
    /// When `lost` last changed.
    pub since: WallTime,
    /// The last stall of its daemon that the history has: by its process, and its number there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stalled: Option<(ProcessId, u64)>,
}

/// What was decided about a group.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct GroupState {
    /// The one node that may run it.
    pub owner: Option<NodeName>,
    /// Raised with every change of owner.
    pub epoch: Epoch,
    /// Former owners that may still pass its packets: the owner waits for each one's release, or for a committed
    /// confirmation that its record ended. With the last epoch that each of them owned.
    pub unreleased: BTreeMap<NodeName, Epoch>,
    /// Put there by an operator against what the scheme prefers.
    pub pinned: Option<NodeName>,
    /// Why it is where it is.
    pub reason: String,
    /// When it came there.
    pub since: WallTime,
    /// Under rotating standby: who stands by, the one that has waited longest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub queue: Vec<NodeName>,
    /// Stopped by an operator until it is started.
    #[serde(default)]
    pub stopped: bool,
    /// An operator takes care of it himself.
    #[serde(default)]
    pub maintenance: bool,
    /// How often failures were cleared: a node forgets its own when this grows.
    #[serde(default)]
    pub cleared: u64,
}

/// One line of the cluster's history.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ClusterEvent {
    /// Counts up by one.
    pub number: u64,
    /// When the leader proposed it, by its wall clock.
    pub at: WallTime,
    /// What it is about.
    pub node: Option<NodeName>,
    /// What it is about.
    pub group: Option<GroupName>,
    /// A word for machines: `takeover`, `switchover`, `placed`, `restarted`, `displaced`, `stopped`, `stranded`, `started`,
    /// `cleared`, `maintenance`, `node-lost`, `node-ended`, `node-online`, `drained`, `resumed`, `formed`, `configured`,
    /// and for a daemon that did not run: `frozen`, `starved`, `paused`, `suspended`.
    pub kind: String,
    /// One sentence for people.
    pub text: String,
    /// The leader that proposed it.
    #[serde(default)]
    pub by: Option<NodeName>,
    /// Of a change of owner: what it led to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved: Option<Moved>,
}

/// What a change of owner led to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Moved {
    /// The owner from then on.
    pub owner: Option<NodeName>,
    /// Its epoch.
    pub epoch: Epoch,
    /// Every node that might have had the group, and why it got it or not, as it was judged then. Kept for the last
    /// moves of each group.
    pub candidates: Vec<CandidateLine>,
}

impl State {
    /// Whether a group is left alone.
    #[must_use]
    pub fn in_maintenance(&self, group: &GroupName) -> bool {
        self.maintenance
            || self
                .groups
                .get(group)
                .is_some_and(|group| group.maintenance)
    }

    /// Why this program cannot go on with the state, where it cannot: it holds entries whose meaning it does not know.
    ///
    /// # Errors
    /// Where the committed feature level is higher than [`FEATURE_LEVEL`].
    pub fn readable(&self) -> Result<(), String> {
        if self.level <= FEATURE_LEVEL {
            return Ok(());
        }
        Err(format!(
            "the cluster has feature level {}, and this program knows levels up to {FEATURE_LEVEL}: upgrade had on this node",
            self.level
        ))
    }

    /// The committed spec, once there is one.
    #[must_use]
    pub fn spec(&self) -> Option<&ClusterSpec> {
        self.config.as_deref().map(|config| &config.spec)
    }

    /// The name under which a voter is known.
    #[must_use]
    pub fn name_of(&self, voter: VoterId) -> Option<&NodeName> {
        self.voters
            .iter()
            .find(|(_, id)| **id == voter)
            .map(|(name, _)| name)
    }

    /// Whether a node owns a group, or has still to let it go: it has to do with it then, though a later configuration may
    /// not list it any more. Where nobody else can take the group, it stays where it is.
    #[must_use]
    pub fn is_bound(&self, node: &NodeName, group: &GroupName) -> bool {
        self.groups.get(group).is_some_and(|group| {
            group.owner.as_ref() == Some(node) || group.unreleased.contains_key(node)
        })
    }

    /// The groups that a node owns.
    pub fn owned_by<'a>(&'a self, node: &'a NodeName) -> impl Iterator<Item = &'a GroupName> {
        self.groups
            .iter()
            .filter(move |(_, group)| group.owner.as_ref() == Some(node))
            .map(|(name, _)| name)
    }
}
