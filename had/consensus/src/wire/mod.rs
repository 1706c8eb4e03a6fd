//! The encoding of votes, logs, memberships and requests, on disk and between peers.
//!
//! Our own protobuf messages, not openraft's serde layout, which promises nothing. A field keeps its number and meaning
//! for ever; new ones are optional. Names and numbers of the inner messages are the format: version 1 of the store, and
//! the body of the peers' consensus calls.

mod convert;
mod rpc;

pub(crate) use rpc::{
    Answer, AnswerBody, Append, AppendAnswer, Ballot, BallotAnswer, InstallSnapshot, Outcome,
    Request, RequestBody, SnapshotAnswer, Transfer, TransferAnswer,
};

/// What was read is not what any version of this program writes.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// Not a protobuf message of the expected kind.
    #[error("cannot be decoded: {0}")]
    Decode(#[from] prost::DecodeError),
    /// A field that is always written is not there.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A membership that contradicts itself.
    #[error("contradictory membership: {0}")]
    Membership(String),
}

/// A vote, or the leadership that it became.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(crate) struct Vote {
    #[prost(uint64, tag = "1")]
    pub term: u64,
    #[prost(uint64, tag = "2")]
    pub voter: u64,
    #[prost(bool, tag = "3")]
    pub committed: bool,
}

/// Where an entry stands, and under which leader it was written.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(crate) struct LogId {
    #[prost(uint64, tag = "1")]
    pub term: u64,
    #[prost(uint64, tag = "2")]
    pub voter: u64,
    #[prost(uint64, tag = "3")]
    pub index: u64,
}

/// Voters and learners: one set of voters, or two while a change is under way.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct Membership {
    #[prost(message, repeated, tag = "1")]
    pub sets: Vec<VoterSet>,
    #[prost(message, repeated, tag = "2")]
    pub nodes: Vec<Node>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct VoterSet {
    #[prost(uint64, repeated, tag = "1")]
    pub voters: Vec<u64>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct Node {
    #[prost(uint64, tag = "1")]
    pub voter: u64,
    #[prost(string, tag = "2")]
    pub name: String,
}

/// One entry of the log.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct Entry {
    #[prost(message, optional, tag = "1")]
    pub at: Option<LogId>,
    /// Absent: a leader's first, blank entry.
    #[prost(oneof = "EntryBody", tags = "2, 3")]
    pub body: Option<EntryBody>,
}

#[derive(Clone, PartialEq, Eq, prost::Oneof)]
pub(crate) enum EntryBody {
    #[prost(bytes, tag = "2")]
    Payload(Vec<u8>),
    #[prost(message, tag = "3")]
    Membership(Membership),
}

/// A snapshot, on disk and on the way to a peer.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct Snapshot {
    /// The last entry in it.
    #[prost(message, optional, tag = "1")]
    pub last: Option<LogId>,
    /// The entry that made the membership.
    #[prost(message, optional, tag = "2")]
    pub membership_at: Option<LogId>,
    #[prost(message, optional, tag = "3")]
    pub membership: Option<Membership>,
    #[prost(bytes, tag = "4")]
    pub data: Vec<u8>,
}
