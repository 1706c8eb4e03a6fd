//! openraft's types as used here. All but the requests are the same on every runtime.

use std::cmp::Ordering;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use had_core::ids::{LeaderId, NodeName, VoterId};
use openraft::impls::leader_id_adv;
use openraft::{EntryPayload, OptionalSend, RaftTypeConfig};

use crate::runtime::Runtime;

/// Term and voter: unique for each leadership, unlike a term alone.
pub(crate) type RaftLeader = leader_id_adv::LeaderId<u64, u64>;
pub(crate) type LogId = openraft::LogId<RaftLeader>;
pub(crate) type Vote = openraft::impls::Vote<RaftLeader>;
pub(crate) type Membership = openraft::Membership<u64, Peer>;
pub(crate) type StoredMembership = openraft::StoredMembership<RaftLeader, u64, Peer>;
pub(crate) type EntryBody = EntryPayload<Payload, u64, Peer>;
pub(crate) type Entry = openraft::Entry<RaftLeader, EntryBody>;
pub(crate) type SnapshotMeta = openraft::SnapshotMeta<RaftLeader, u64, Peer>;
pub(crate) type Snapshot = openraft::Snapshot<RaftLeader, u64, Peer, Bytes>;
/// Shared, because readers of the log take copies.
pub(crate) type Bytes = Arc<[u8]>;

pub(crate) fn leader_id(leader: RaftLeader) -> LeaderId {
    LeaderId {
        term: leader.term,
        voter: VoterId(leader.node_id),
    }
}

pub(crate) fn raft_leader(leader: LeaderId) -> RaftLeader {
    RaftLeader {
        term: leader.term,
        node_id: leader.voter.0,
    }
}

/// What a proposal carries; opaque here.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Payload(pub(crate) Bytes);

impl fmt::Display for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a membership says of a voter: the name of its node.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Peer(pub(crate) String);

impl Peer {
    pub(crate) fn name(&self) -> NodeName {
        NodeName::from(self.0.as_str())
    }
}

impl From<&NodeName> for Peer {
    fn from(name: &NodeName) -> Self {
        Self(name.as_str().to_owned())
    }
}

/// openraft's configuration of types, on the runtime `R`.
pub(crate) struct Types<R>(PhantomData<fn() -> R>);

impl<R: Runtime> RaftTypeConfig for Types<R> {
    type D = Payload;
    type R = ();
    type NodeId = u64;
    type Node = Peer;
    type Term = u64;
    type LeaderId = RaftLeader;
    type Vote = Vote;
    type Payload = EntryBody;
    type Entry = Entry;
    type AsyncRuntime = R;
    type Responder<T>
        = openraft::impls::ProgressResponder<Self, T>
    where
        T: OptionalSend + 'static;
    type Batch<T>
        = openraft::impls::InlineBatch<T>
    where
        T: OptionalSend + 'static;
    type ErrorSource = openraft::impls::BoxedErrorSource;
}

// openraft asks for these of a type that has no values; derived, they would ask the same of `R`.
impl<R> fmt::Debug for Types<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Types")
    }
}
impl<R> Clone for Types<R> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<R> Copy for Types<R> {}
impl<R> Default for Types<R> {
    fn default() -> Self {
        Self(PhantomData)
    }
}
impl<R> PartialEq for Types<R> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
impl<R> Eq for Types<R> {}
impl<R> PartialOrd for Types<R> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<R> Ord for Types<R> {
    fn cmp(&self, _: &Self) -> Ordering {
        Ordering::Equal
    }
}
