//! What the planner decides, with its report.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::degraded::Degraded;
use crate::names::{GroupName, NodeName};
use crate::veto::Veto;

/// A decision for every group, in the order of the view.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// One for each group of the view.
    pub decisions: Vec<Decision>,
    /// When planning again may give another answer although nothing else changed (a failback that becomes due), from now.
    pub again_in: Option<Duration>,
    /// The nodes that carry a mutual-takeover group of another home once the plan is carried out.
    pub degraded: Vec<Degraded>,
}

/// Where one group should be, and why.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Decision {
    /// The group.
    pub group: GroupName,
    /// Who should own it; `None` where nobody can, or nobody may.
    pub owner: Option<NodeName>,
    /// Why this owner, or why none: one clause for people, such as "highest priority among the eligible".
    pub reason: String,
    /// Set where `owner` differs from the view's owner: why it moves.
    pub cause: Option<Cause>,
    /// Set where `owner` is `None`: what kind of rest it is.
    pub idle: Option<Idle>,
    /// Every node that may own the group, in the order in which they would take over; the chosen one first.
    pub candidates: Vec<Candidate>,
}

/// Why a group has no owner.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Idle {
    /// An operator stopped it.
    Stopped,
    /// It could run if it had not to give way.
    Displaced {
        /// The groups that it gives way to, in the order of the file.
        by: Vec<GroupName>,
    },
    /// It is in maintenance, and nothing starts it.
    Maintenance,
    /// No node can take it.
    NoCandidate,
}

/// Why a group moves, or stops.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// It had no owner.
    FirstPlacement,
    /// The owner's lease ended.
    OwnerLost,
    /// The owner was drained.
    OwnerDrained,
    /// The owner's daemon ends.
    OwnerLeaving,
    /// The owner says that it cannot run the group.
    OwnerNotReady,
    /// A start of the group failed on the owner.
    OwnerBanned,
    /// The owner is not among the group's nodes any more.
    OwnerNotListed,
    /// A group that displaces it runs on the owner.
    Displaced,
    /// A group that it must not meet runs on the owner.
    Apart,
    /// A group that it follows runs elsewhere, or nowhere.
    NotWith,
    /// An operator stopped it.
    Stopped,
    /// The scheme prefers another node, and its return is due.
    Failback,
    /// An operator asked for it.
    Operator,
}

/// A clause: "the owner was drained".
impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FirstPlacement => "it had no owner",
            Self::OwnerLost => "the owner's lease ended",
            Self::OwnerDrained => "the owner was drained",
            Self::OwnerLeaving => "the owner's daemon ends",
            Self::OwnerNotReady => "the owner cannot run it",
            Self::OwnerBanned => "its start failed on the owner",
            Self::OwnerNotListed => "the owner is not among its nodes any more",
            Self::Displaced => "it gives way",
            Self::Apart => "it must not share the node",
            Self::NotWith => "it follows another group",
            Self::Stopped => "an operator stopped it",
            Self::Failback => "it returns to the preferred node",
            Self::Operator => "an operator asked for it",
        })
    }
}

/// One node as the planner judged it for one group.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Candidate {
    /// The node.
    pub node: NodeName,
    /// What the scheme thinks of it: "priority 200", "1st in the queue", "primary", "home", "partner, would carry 5 of 4".
    pub rank: String,
    /// Taken or refused, and why.
    pub verdict: Verdict,
}

/// What became of a candidate.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It owns the group, or should.
    Chosen,
    /// It could, but another is better.
    Standby {
        /// Why the other is.
        why: String,
        /// What would have to change for this one to get the group: "`hactl failback web`".
        change: Option<String>,
    },
    /// It must not; each reason alone is enough.
    Vetoed(Vec<Veto>),
}
