//! What goes into the node and what comes out of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ids::{
    CommandId, GroupName, LeaderId, NodeName, ProposalId, RequestId, ResourceName, VoterId,
};
use crate::message::{Message, Sender};
use crate::spec::ResourceSpec;
use crate::stall::Stall;
use crate::state::{Entry, State};
use crate::time::{BootTime, MonoTime};

/// Names the connection on which an ask came, so that the answer goes back on it. Opaque to the core.
pub type Via = u64;

/// Something happened. Everything the core knows, it knows from these.
#[derive(Clone, Debug)]
pub enum Event {
    /// An entry was applied, or a snapshot installed. In order of index, none left out.
    Applied {
        /// The entry's index.
        index: u64,
        /// The leader that proposed it.
        leader: LeaderId,
        /// The state after it.
        state: Arc<State>,
    },
    /// Who leads, as the consensus engine on this node sees it. No permission to act.
    Leadership(Leadership),
    /// A proposal of this process was decided, or its outcome is unknown.
    Proposed {
        /// Which.
        proposal: ProposalId,
        /// The index under which it was applied, or why it is not known to have been.
        outcome: Result<u64, ProposeError>,
    },
    /// A peer said something (all but [`Message::Ask`]).
    Heard {
        /// Who.
        from: Sender,
        /// What.
        message: Message,
    },
    /// A peer, or this node itself, asks for its lease.
    Asked {
        /// Who.
        from: Sender,
        /// What; always a [`Message::Ask`]'s content.
        ask: crate::message::Ask,
        /// What the consensus permitted *after the ask had arrived*; `None` where it refused.
        permit: Option<Permit>,
        /// The connection to answer on.
        via: Via,
    },
    /// A resource changed, or answers a wish.
    Resource {
        /// The group.
        group: GroupName,
        /// The resource.
        resource: ResourceName,
        /// What it does now.
        status: ResourceStatus,
    },
    /// Whether this host could start a resource now. Said at start and whenever it changes.
    Ready {
        /// The group.
        group: GroupName,
        /// The resource.
        resource: ResourceName,
        /// Why not, where it could not.
        ready: Result<(), String>,
    },
    /// Somebody else on the network claims an address of a group.
    ForeignClaim {
        /// The group.
        group: GroupName,
        /// For people: the address and the claimant's hardware address.
        text: String,
    },
    /// An operator wants something.
    Request {
        /// To be answered under this id.
        request: RequestId,
        /// Made by the operator's program, and the same in a retry.
        id: CommandId,
        /// What.
        what: Request,
    },
    /// This process did not run for a while although it wanted to. Said after what followed from it was done.
    Stalled {
        /// How long, and why.
        stall: Stall,
        /// When it ran again.
        woke: MonoTime,
    },
    /// Whether a guard stands beside this process, which ends what the process no longer can. Said when that changes.
    Guard(bool),
    /// What this node must remember cannot be written any more: it has no part in decisions from here on, and can own
    /// nothing. Its process ends soon.
    StoreFailed(String),
    /// The process was asked to end: hand over, then [`Command::Exit`].
    Shutdown,
}

/// What a resource says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ResourceStatus {
    /// It is up; the text is for people ("10.77.0.100/24 on eth0").
    Up(String),
    /// It is down.
    Down,
    /// It could not be brought up, or fell; the adapter goes on trying while it is wanted.
    Failed(String),
}

/// Something an operator wants; the same through the socket, from a peer or in the simulator.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// Move a group, to a node or to the next.
    Failover {
        /// The group.
        group: GroupName,
        /// Where to.
        to: Option<NodeName>,
    },
    /// To where the scheme wants it; ends a pin.
    Failback {
        /// The group.
        group: GroupName,
    },
    /// Empty a node, or take it back.
    Drain {
        /// The node.
        node: NodeName,
        /// Empty it, or take it back.
        drained: bool,
    },
    /// Start or stop a group, or forget what failed.
    Group {
        /// The group.
        group: GroupName,
        /// What to do with it.
        action: GroupAction,
    },
    /// Leave groups alone, or take care of them again.
    Maintenance {
        /// The group; all where none is named.
        group: Option<GroupName>,
        /// Leave it alone.
        on: bool,
    },
    /// Form the cluster with only these voters.
    Init {
        /// Who is there.
        nodes: Vec<NodeName>,
    },
}

/// What an operator does with a group.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GroupAction {
    /// Let it run again after a stop.
    Start,
    /// It runs nowhere until it is started.
    Stop,
    /// Forget failures and bans.
    Clear,
}

/// The answer to a [`Request`].
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// Done.
    Done {
        /// One sentence for people.
        text: String,
        /// What moved, with its new owner.
        moved: BTreeMap<GroupName, Option<NodeName>>,
        /// From the decision to the new owner's word that it serves, milliseconds.
        took_ms: f64,
    },
    /// Refused: why, and what to do instead.
    Refused(String),
    /// This node does not lead: ask that one (by name, where known).
    NotLeader(Option<NodeName>),
    /// No quorum: nothing can be changed.
    NoQuorum(String),
}

/// Who leads and who votes, as the consensus engine sees it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Leadership {
    /// The leader that this node follows, or is.
    pub leader: Option<LeaderId>,
    /// Whether this process itself leads under that id.
    pub leads: bool,
    /// The voters of the effective membership, by id.
    pub voters: BTreeMap<VoterId, NodeName>,
}

/// The consensus' permission for one answer: it had a quorum.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Permit {
    /// The leader that it was given to.
    pub leader: LeaderId,
    /// When the last acknowledged quorum of appends was *sent*.
    pub quorum_acked: MonoTime,
}

/// Why a proposal is not known to have been applied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProposeError {
    /// Refused before it entered the log: it will never be applied.
    Refused,
    /// It may still be applied, by a later leader.
    Unknown,
}

/// Something to be done. The driver executes commands in order, and a [`Command::Gate`] is complete before the next begins.
#[derive(Clone, PartialEq, Debug)]
pub enum Command {
    /// Let a group's packets pass until this moment; [`BootTime::ZERO`] shuts. Absolute, so that a late write opens nothing.
    Gate {
        /// The group.
        group: GroupName,
        /// Until when.
        until: BootTime,
    },
    /// Bring a resource up or down, and keep it so.
    Resource {
        /// The group.
        group: GroupName,
        /// What.
        resource: ResourceSpec,
        /// Up or down.
        up: bool,
        /// Where it is a takeover: ask the network once whether somebody still answers for the address.
        probe: bool,
    },
    /// An operator takes care of a group: its resources are watched, and neither brought up nor mended nor taken down.
    HandsOff {
        /// The group.
        group: GroupName,
        /// Begin, or end.
        on: bool,
    },
    /// Tell the network where the group's addresses are: a burst at once, then a refresh, until it is ended.
    Announce {
        /// The group.
        group: GroupName,
        /// Begin (again), or end.
        on: bool,
    },
    /// Say something to a peer; lost messages are said again by the core.
    Send {
        /// To whom.
        to: NodeName,
        /// What.
        message: Message,
    },
    /// Answer an ask.
    Answer {
        /// The connection on which it came.
        via: Via,
        /// What; always a [`Message::Answer`].
        message: Message,
    },
    /// Write an entry, as this leader only.
    Propose {
        /// To be named in [`Event::Proposed`].
        proposal: ProposalId,
        /// Only under this leadership.
        leader: LeaderId,
        /// What.
        entry: Entry,
    },
    /// Hand leadership over.
    Transfer {
        /// To whom.
        to: VoterId,
    },
    /// Replace a voter whose disk was lost.
    ReplaceVoter {
        /// The node.
        node: NodeName,
        /// Its former voter, if it is one.
        old: Option<VoterId>,
        /// Its new one.
        new: VoterId,
    },
    /// Form the cluster: this node's disk and those of all these voters are empty.
    Form {
        /// Who votes.
        voters: BTreeMap<VoterId, NodeName>,
    },
    /// Answer an operator.
    Reply {
        /// Whom.
        request: RequestId,
        /// What.
        reply: Reply,
    },
    /// One line of this node's own log.
    Log {
        /// How loud.
        level: Level,
        /// One sentence.
        text: String,
    },
    /// Everything is handed over or down: end the process.
    Exit,
}

/// How loud a log line is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Level {
    /// For those who look.
    Info,
    /// Somebody should look.
    Warn,
}

/// Who this process is, and what silences it where it fails.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    /// Name, voter and process; `cluster` as found on the disk.
    pub sender: Sender,
    /// Which gate it has: `bpf`, `nft` or `none`.
    pub gate: String,
    /// Whether a supervisor ends it where it hangs.
    pub supervised: bool,
}

impl Identity {
    /// The node's name.
    #[must_use]
    pub fn name(&self) -> &NodeName {
        &self.sender.node
    }

    /// Whether its disk was empty at the start.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        self.sender.cluster.is_blank()
    }
}
