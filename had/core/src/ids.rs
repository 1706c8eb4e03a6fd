//! Names and numbers that identify things. Each has its own type, so that none is taken for another.

use std::fmt;

use serde::{Deserialize, Serialize};

pub use had_policies::names::{GroupName, NodeName, ResourceName};

macro_rules! number {
    ($(#[$doc:meta])* $type:ident, $format:literal) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $type(pub u64);

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, $format, self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, $format, self.0)
            }
        }
    };
}

number!(
    /// A voter of the consensus. It belongs to a data directory, not to a name: a node with an empty disk is a new voter.
    VoterId,
    "v{:x}"
);
number!(
    /// One life of a daemon. Drawn at each start of the process: the number of starts of its data directory in the upper
    /// half, chance in the lower, so that a later life of one data directory always has the greater id.
    ProcessId,
    "p{:x}"
);
number!(
    /// The cluster, drawn when it was formed. Zero: the disk is empty.
    ClusterId,
    "c{:x}"
);
number!(
    /// Raised by one with every change of a group's owner.
    Epoch,
    "{}"
);
number!(
    /// One ask for a lease; counts up within a process.
    Sequence,
    "#{}"
);
number!(
    /// A proposal of this process on its way through the consensus.
    ProposalId,
    "proposal {}"
);
number!(
    /// A waiting operator's request on this daemon.
    RequestId,
    "request {}"
);

impl ClusterId {
    /// A disk that has entries but does not know yet which cluster they belong to.
    pub const UNKNOWN: Self = Self(u64::MAX);

    /// Whether two disks may belong to one cluster: they say the same, or one does not know yet.
    #[must_use]
    pub fn may_be(self, other: Self) -> bool {
        let known = |cluster: Self| !cluster.is_blank() && cluster != Self::UNKNOWN;
        self == other || !known(self) || !known(other)
    }

    /// Whether the disk is empty.
    #[must_use]
    pub fn is_blank(self) -> bool {
        self.0 == 0
    }
}

impl Epoch {
    /// The epoch after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// A leader, by its full committed id: terms alone are not unique.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LeaderId {
    /// The term of its election.
    pub term: u64,
    /// The voter that was elected.
    pub voter: VoterId,
}

impl fmt::Display for LeaderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in term {}", self.voter, self.term)
    }
}

impl fmt::Debug for LeaderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.voter, self.term)
    }
}

/// Names a command of an operator or of a leader, so that a retry after an unknown outcome changes nothing twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct CommandId {
    /// The process that made the command.
    pub process: ProcessId,
    /// Its number within that process.
    pub number: u64,
}
