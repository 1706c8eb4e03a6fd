//! What the planner decides, with its report.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::names::{GroupName, NodeName};

/// A decision for every group, in the order of the view.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// One for each group of the view.
    pub decisions: Vec<Decision>,
    /// When planning again may give another answer although nothing else changed (a failback that becomes due), from now.
    pub again_in: Option<Duration>,
}

/// Where one group should be, and why.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Decision {
    /// The group.
    pub group: GroupName,
    /// Who should own it; `None` where nobody can.
    pub owner: Option<NodeName>,
    /// Why this owner, or why none: one clause for people, such as "highest priority among the eligible".
    pub reason: String,
    /// Set where `owner` differs from the view's owner: why it moves.
    pub cause: Option<Cause>,
    /// Every node that may own the group, in the order in which they would take over; the chosen one first.
    pub candidates: Vec<Candidate>,
}

/// Why a group moves.
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
    /// The owner is not among the group's nodes any more.
    OwnerNotListed,
    /// The scheme prefers another node, and its return is due.
    Failback,
    /// An operator asked for it.
    Operator,
}

/// One node as the planner judged it for one group.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Candidate {
    /// The node.
    pub node: NodeName,
    /// What the scheme prefers; higher is better (the priority under idle-standby).
    pub preference: i64,
    /// Taken or refused, and why.
    pub verdict: Verdict,
}

/// What became of a candidate.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It owns the group, or should.
    Chosen,
    /// It could, but another is better; the text says what would have to change.
    Standby(String),
    /// It must not; each reason alone is enough.
    Vetoed(Vec<Veto>),
}

/// A reason why a node must not own a group. Nothing outweighs it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Veto {
    /// Its lease ended and it has not come back.
    Lost,
    /// It does not renew its lease at the moment.
    Silent,
    /// Drained by an operator.
    Drained,
    /// Its daemon ends.
    Leaving,
    /// It says that it could not start the group, and why.
    NotReady(String),
    /// It has not yet said whether it could start the group.
    ReadinessUnknown,
}
