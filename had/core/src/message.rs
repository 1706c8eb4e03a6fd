//! What daemons say to each other, apart from the consensus.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::{
    ClusterId, Epoch, GroupName, LeaderId, NodeName, ProcessId, ResourceName, Sequence, VoterId,
};
use crate::stall::Told;
use crate::time::WallTime;

/// Who speaks: part of every message, checked before anything else is read.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Sender {
    /// The name in the cluster file (with TLS: also in the certificate).
    pub node: NodeName,
    /// Of its data directory.
    pub voter: VoterId,
    /// Of this life of its daemon.
    pub process: ProcessId,
    /// The cluster it belongs to; zero where its disk is empty.
    pub cluster: ClusterId,
}

/// A message to a peer.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Message {
    /// "I am here": every node to every other, at least once a heartbeat.
    Heartbeat(Report),
    /// "May I go on?": to the leader, at least once a renewal.
    Ask(Ask),
    /// The leader's answer.
    Answer(Answer),
    /// The new owner to the former one: everything is in place behind a shut gate, let go.
    Prepared {
        /// The group.
        group: GroupName,
        /// The new owner's epoch.
        epoch: Epoch,
    },
    /// The former owner to the new one: my gate is shut and stays shut up to this epoch.
    Released {
        /// The group.
        group: GroupName,
        /// The last epoch that the sender owned.
        epoch: Epoch,
    },
}

/// A node asks the leader for its lease.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Ask {
    /// Fresh for every transmission.
    pub sequence: Sequence,
    /// The lease's length that the asker believes in: with another one it gets no grant.
    pub lease: Duration,
    /// Asks to this leader before this one, sent since it was last heard to answer. Who is not heard to answer grants in vain.
    #[serde(default)]
    pub unanswered: u32,
    /// How it is, where that has changed since the last ask or a heartbeat has passed.
    pub report: Option<Report>,
}

/// The leader's answer to an [`Ask`].
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Answer {
    /// The ask's.
    pub sequence: Sequence,
    /// The leader that answers.
    pub leader: LeaderId,
    /// Granted or not.
    pub outcome: Outcome,
}

/// What the leader says to an ask.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Act until the ask's send time + `duration`, once everything up to `index` is applied.
    Granted {
        /// Counted from the ask's send time on the asker's own clock.
        duration: Duration,
        /// Counts only once this is applied.
        index: u64,
    },
    /// Not now.
    Refused(Refusal),
}

/// Why an ask is not granted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// The one who was asked does not lead, or has no quorum at the moment.
    NoQuorum,
    /// A decision that concerns the asker is on its way: ask again.
    Deciding,
    /// The asker's disk is not (yet) a voter under this name.
    NotAVoter,
    /// Another life of this name holds the lease until its record ends.
    NameTaken,
    /// The asker believes in another length of the lease.
    OtherLease,
    /// The asker does not hear the answers.
    Unheard,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NoQuorum => "the node that was asked has no quorum",
            Self::Deciding => "a decision about this node is on its way",
            Self::NotAVoter => "this node's disk is not a voter of the cluster yet",
            Self::NameTaken => "another daemon under this name holds the lease",
            Self::OtherLease => "this node's lease has another length than the cluster's",
            Self::Unheard => "this node did not hear the leader's answers",
        })
    }
}

/// How a node is: carried by every heartbeat and ask.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// What it has applied.
    pub applied: u64,
    /// The hash of its own file.
    pub config_hash: String,
    /// Its daemon was asked to end.
    pub leaving: bool,
    /// Whom it has heard within three heartbeats.
    pub hears: Vec<NodeName>,
    /// Which gate it has: `bpf`, `nft` or `none`.
    pub gate: String,
    /// Whether a supervisor ends it where it hangs.
    #[serde(default)]
    pub supervised: bool,
    /// Whether a guard stands beside it; `None` where it needs none, or has not said.
    #[serde(default)]
    pub guarded: Option<bool>,
    /// When its daemon last did not run, if it ever did not.
    #[serde(default)]
    pub stalled: Option<Told>,
    /// What it knows of the groups that it may own.
    pub groups: BTreeMap<GroupName, GroupReport>,
}

/// What a node says about one group.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct GroupReport {
    /// The epoch it speaks of: the applied one.
    pub epoch: Epoch,
    /// What it does.
    pub phase: Phase,
    /// Since when.
    pub since: WallTime,
    /// Why it could not start the group here, where it could not.
    pub not_ready: Option<String>,
    /// What failed here not long ago, so that nobody should try again yet.
    pub banned: Option<String>,
    /// Who else claimed one of its addresses here not long ago.
    #[serde(default)]
    pub claimed: Option<String>,
    /// The last epoch up to which its gate is shut for good: it will not open under this or an earlier one.
    pub released: Option<Epoch>,
    /// Whether it gave the group up by itself under the epoch that it owns (no carrier, a failed start).
    pub given_up: Option<String>,
    /// Its resources in order, with a word on each: "10.77.0.100/24 on eth0".
    pub resources: Vec<ResourceReport>,
}

/// Said for `not_ready` while a daemon that has just started still checks what it could start. It is no reason to take a
/// group from it.
pub const NOT_YET_CHECKED: &str = "not yet checked";

impl GroupReport {
    /// Whether the node has found out whether it could start the group.
    #[must_use]
    pub fn is_checked(&self) -> bool {
        self.not_ready.as_deref() != Some(NOT_YET_CHECKED)
    }
}

/// What a node says about one resource.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ResourceReport {
    /// The resource.
    pub name: ResourceName,
    /// Whether it runs here.
    pub state: ResourceState,
    /// For people.
    pub detail: String,
}

/// What a resource does on a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResourceState {
    /// Not here.
    Stopped,
    /// On its way up.
    Starting,
    /// Here.
    Running,
    /// It could not be started.
    Failed,
}

/// What a node does with a group.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Nothing: its gate is shut, its resources are down.
    #[default]
    Idle,
    /// Its resources come up behind a shut gate.
    Starting,
    /// Everything is in place; it waits for the former owner's release.
    Prepared,
    /// Its gate is open.
    Running,
    /// Its gate is shut, its resources go down.
    Stopping,
}

impl Phase {
    /// The word for people.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Starting => "starting",
            Self::Prepared => "prepared, waiting for the former owner's release",
            Self::Running => "running",
            Self::Stopping => "stopping",
        }
    }
}
