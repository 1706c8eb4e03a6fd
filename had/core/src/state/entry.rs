//! What can be decided. Entries are stored as JSON, so that their meaning never depends on a program's version and a
//! person can read a log.

use std::collections::BTreeSet;
use std::sync::Arc;

use had_policies::Cause;
use serde::{Deserialize, Serialize};

use super::Configuration;
use crate::explain::CandidateLine;
use crate::ids::{ClusterId, CommandId, Epoch, GroupName, NodeName, ProcessId};
use crate::ports::GroupAction;
use crate::stall::Told;
use crate::time::WallTime;

/// One decision: its steps are applied together.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// Names the command, so that a retry changes nothing twice.
    pub id: CommandId,
    /// The proposer's wall clock.
    pub at: WallTime,
    /// The leader that proposes it.
    #[serde(default)]
    pub by: Option<NodeName>,
    /// Applied in this order, together.
    pub steps: Vec<Step>,
}

/// One step of a decision.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "do")]
pub enum Step {
    /// The cluster is formed under this id. Applied once.
    Form {
        /// Drawn by the first voter.
        cluster: ClusterId,
        /// What its entries mean.
        #[serde(default)]
        level: u32,
    },
    /// This configuration rules from here on.
    Configure {
        /// The configuration.
        config: Arc<Configuration>,
    },
    /// A group changes its owner. Applied only where owner and epoch are still the ones that the leader saw.
    Move(Move),
    /// A former owner can no longer pass the group's packets: it said so, or its record ended.
    Confirm {
        /// The group.
        group: GroupName,
        /// The former owner.
        node: NodeName,
        /// The last epoch that it owned, as in [`super::GroupState::unreleased`].
        epoch: Epoch,
    },
    /// A node's lease is known to have ended.
    Lost {
        /// The node.
        node: NodeName,
        /// Whether its daemon had said that it was asked to end: a word in the history, and nothing else, depends on it.
        #[serde(default)]
        asked: bool,
    },
    /// A lost node renews its lease again.
    Online {
        /// The node.
        node: NodeName,
    },
    /// A node says that its daemon did not run for a while. Noted once.
    Stalled {
        /// The node.
        node: NodeName,
        /// Its process then.
        process: ProcessId,
        /// What it said.
        told: Told,
    },
    /// An operator empties a node, or takes it back.
    Drain {
        /// The node.
        node: NodeName,
        /// Empty it, or take it back.
        drained: bool,
    },
    /// An operator's pin on a group is set or ended.
    Pin {
        /// The group.
        group: GroupName,
        /// The node to stay on.
        to: Option<NodeName>,
    },
    /// An operator starts or stops a group, or has its failures forgotten.
    Group {
        /// The group.
        group: GroupName,
        /// What to do with it.
        action: GroupAction,
    },
    /// An operator takes care of groups himself, or no longer.
    Maintenance {
        /// The group; all where none is named.
        group: Option<GroupName>,
        /// Leave it alone.
        on: bool,
    },
}

/// A change of owner: `(from, epoch) → (to, epoch + 1)`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Move {
    /// The group.
    pub group: GroupName,
    /// The owner that the leader saw.
    pub from: Option<NodeName>,
    /// The epoch that the leader saw; the new owner's is one higher.
    pub epoch: Epoch,
    /// The new owner; `None` where nobody can own it.
    pub to: Option<NodeName>,
    /// Whether `from` is known to be unable to pass the group's packets (its record ended, or it said so): then the new
    /// owner need not wait for it.
    pub released: bool,
    /// Why.
    pub cause: Cause,
    /// One clause for people.
    pub reason: String,
    /// Whether the group is pinned to `to` from here on.
    pub pin: bool,
    /// How every node was judged, for those who ask later.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<CandidateLine>,
}

impl Entry {
    /// As stored and sent.
    ///
    /// # Panics
    /// Never: every map in an entry has text keys.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("an entry has only text keys")
    }

    /// Reads what [`Entry::encode`] wrote.
    ///
    /// # Errors
    /// Where the bytes are not an entry that this version knows.
    pub fn decode(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// The nodes whose right to act this entry changes. Nothing is granted to them while it is on its way, and their
    /// leases count only once they have applied it.
    #[must_use]
    pub fn concerns(&self) -> BTreeSet<NodeName> {
        let mut nodes = BTreeSet::new();
        for step in &self.steps {
            match step {
                Step::Move(change) => nodes.extend(change.from.iter().chain(&change.to).cloned()),
                Step::Confirm { node, .. } | Step::Lost { node, .. } | Step::Online { node } => {
                    nodes.insert(node.clone());
                }
                // Whoever acts by an older configuration must have this one before its lease goes on.
                Step::Configure { config } => {
                    nodes.extend(config.spec.nodes.iter().map(|node| node.name.clone()));
                }
                Step::Form { .. }
                | Step::Stalled { .. }
                | Step::Drain { .. }
                | Step::Pin { .. }
                | Step::Group { .. }
                | Step::Maintenance { .. } => {}
            }
        }
        nodes
    }
}
