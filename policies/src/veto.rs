//! What forbids a node, how it is said, and what would lift it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::names::{GroupName, NodeName};
use crate::words;

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
    /// A start of the group failed there, and how.
    Banned(String),
    /// Back, but not yet in the queue of the rotating group: its entry is on its way.
    NotQueued,
    /// It would carry more than its hard capacity.
    Full {
        /// What it would carry with the group.
        would_carry: u64,
        /// What it may carry.
        capacity: u32,
    },
    /// Groups that displace this one run there.
    GivesWay {
        /// Which, in the order of the file.
        to: Vec<GroupName>,
    },
    /// Groups that it must not meet run there.
    Apart {
        /// Which, in the order of the file.
        from: Vec<GroupName>,
    },
    /// A group that it follows is not there.
    NotWith {
        /// Which.
        group: GroupName,
        /// Where that one runs, if anywhere.
        owner: Option<NodeName>,
        /// Whether that one may run here at all.
        listed: bool,
    },
}

/// What is said of a node: "is drained".
impl fmt::Display for Veto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost => f.write_str("is lost"),
            Self::Silent => f.write_str("does not renew its lease"),
            Self::Drained => f.write_str("is drained"),
            Self::Leaving => f.write_str("is shutting down"),
            Self::NotReady(why) => write!(f, "is not ready ({why})"),
            Self::ReadinessUnknown => f.write_str("has not said whether it is ready"),
            Self::Banned(why) => write!(f, "failed to start this group ({why})"),
            Self::NotQueued => f.write_str("is not yet in the queue"),
            Self::Full {
                would_carry,
                capacity,
            } => write!(
                f,
                "has no room: with this group it would carry {would_carry} of {capacity}"
            ),
            Self::GivesWay { to } => {
                let verb = if to.len() == 1 {
                    "displaces"
                } else {
                    "displace"
                };
                write!(f, "runs {}, which {verb} this group", words::and(to))
            }
            Self::Apart { from } => {
                write!(
                    f,
                    "has {}, with which this group must not share a node",
                    words::and(from)
                )
            }
            Self::NotWith { group, owner, .. } => {
                write!(f, "does not have {group}, with which this group goes (")?;
                match owner {
                    Some(owner) => write!(f, "{group} is on {owner})"),
                    None => write!(f, "{group} runs nowhere)"),
                }
            }
        }
    }
}

impl Veto {
    /// What would lift it from a node for a group, in words: a command, or an event to wait for.
    #[must_use]
    pub fn change(&self, group: &GroupName, node: &NodeName) -> String {
        match self {
            Self::Lost => format!("when {node} is back"),
            Self::Silent => format!("when {node} renews its lease again"),
            Self::Drained => format!("`hactl node resume {node}`"),
            Self::Leaving => format!("when the daemon of {node} runs again"),
            Self::NotReady(_) => format!("when {node} says that it is ready for {group}"),
            Self::ReadinessUnknown => format!("when {node} has said that it is ready for {group}"),
            Self::Banned(_) => format!("`hactl group clear {group}`, or wait until the ban ends"),
            Self::NotQueued => format!("when {node} has joined the queue"),
            Self::Full { .. } => {
                format!("when {node} carries less, or with a higher `capacity` in the file")
            }
            Self::GivesWay { to } => format!("when {}", leave(to, node)),
            Self::Apart { from } => format!("when {}", leave(from, node)),
            Self::NotWith {
                group,
                listed: true,
                ..
            } => format!("when {group} runs on {node}"),
            Self::NotWith { group, .. } => {
                format!(
                    "when {node} is among the nodes of {group} in the file, and {group} runs there"
                )
            }
        }
    }
}

/// "orders leaves h2", "orders and mail leave h2".
fn leave(groups: &[GroupName], node: &NodeName) -> String {
    let verb = if groups.len() == 1 { "leaves" } else { "leave" };
    format!("{} {verb} {node}", words::and(groups))
}
