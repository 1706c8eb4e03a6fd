//! What consensus engines ask of each other. The transport carries it as bytes.

use super::{Entry, LogId, Snapshot, Vote};

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct Request {
    #[prost(oneof = "RequestBody", tags = "1, 2, 3, 4, 5")]
    pub body: Option<RequestBody>,
}

#[derive(Clone, PartialEq, Eq, prost::Oneof)]
pub(crate) enum RequestBody {
    #[prost(message, tag = "1")]
    Append(Append),
    #[prost(message, tag = "2")]
    Vote(Ballot),
    #[prost(message, tag = "3")]
    PreVote(Ballot),
    #[prost(message, tag = "4")]
    Transfer(Transfer),
    #[prost(message, tag = "5")]
    Snapshot(InstallSnapshot),
}

/// The Raft paper, §5.3; without entries a heartbeat.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct Append {
    #[prost(message, optional, tag = "1")]
    pub vote: Option<Vote>,
    #[prost(message, optional, tag = "2")]
    pub previous: Option<LogId>,
    #[prost(message, repeated, tag = "3")]
    pub entries: Vec<Entry>,
    #[prost(message, optional, tag = "4")]
    pub committed: Option<LogId>,
}

/// The Raft paper, §5.2; as a pre-vote the dissertation, §9.6.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(crate) struct Ballot {
    #[prost(message, optional, tag = "1")]
    pub vote: Option<Vote>,
    #[prost(message, optional, tag = "2")]
    pub last: Option<LogId>,
    /// The leader itself wants this election (the dissertation, §4.2.3).
    #[prost(bool, tag = "3")]
    pub transfer: bool,
}

/// The leader hands over.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(crate) struct Transfer {
    #[prost(message, optional, tag = "1")]
    pub from: Option<Vote>,
    #[prost(uint64, tag = "2")]
    pub to: u64,
    #[prost(message, optional, tag = "3")]
    pub last: Option<LogId>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct InstallSnapshot {
    #[prost(message, optional, tag = "1")]
    pub vote: Option<Vote>,
    #[prost(message, optional, tag = "2")]
    pub snapshot: Option<Snapshot>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct Answer {
    #[prost(oneof = "AnswerBody", tags = "1, 2, 3, 4")]
    pub body: Option<AnswerBody>,
}

#[derive(Clone, PartialEq, Eq, prost::Oneof)]
pub(crate) enum AnswerBody {
    #[prost(message, tag = "1")]
    Append(AppendAnswer),
    /// To a vote and to a pre-vote.
    #[prost(message, tag = "2")]
    Ballot(BallotAnswer),
    #[prost(message, tag = "3")]
    Transfer(TransferAnswer),
    #[prost(message, tag = "4")]
    Snapshot(SnapshotAnswer),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum Outcome {
    /// Never sent: an answer of a version that says something else.
    Unknown = 0,
    /// Everything is stored.
    Stored = 1,
    /// The entry before the first one is not there.
    Conflict = 2,
    /// There is a newer vote.
    HigherVote = 3,
}

#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(crate) struct AppendAnswer {
    #[prost(enumeration = "Outcome", tag = "1")]
    pub outcome: i32,
    /// With [`Outcome::HigherVote`].
    #[prost(message, optional, tag = "2")]
    pub vote: Option<Vote>,
}

#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(crate) struct BallotAnswer {
    #[prost(message, optional, tag = "1")]
    pub vote: Option<Vote>,
    #[prost(bool, tag = "2")]
    pub granted: bool,
    #[prost(message, optional, tag = "3")]
    pub last: Option<LogId>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct TransferAnswer {
    /// Why not; absent where it is accepted.
    #[prost(string, optional, tag = "1")]
    pub refused: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(crate) struct SnapshotAnswer {
    #[prost(message, optional, tag = "1")]
    pub vote: Option<Vote>,
}
