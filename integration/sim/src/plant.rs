//! Mistakes planted by hand: each alone breaks a promise, and proves that a checker sees it.

use had_consensus::Plants;
use had_core::plant::Plant;

/// One planted mistake.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Planted {
    /// A leader takes a node for lost before its lease has ended.
    RecordEndedTooEarly,
    /// A new leader does not wait for what the former one granted.
    NewLeaderDoesNotHold,
    /// A lease counts before the decisions that it rests on are applied.
    IndexIgnored,
    /// Several appends on their way at once: old answers count as answers to newer requests.
    PipelinedAcknowledgement,
    /// A restarted leader leads on under its old vote, with its records forgotten.
    LeaderRestored,
    /// A former owner says that it released, and goes on.
    ReleaseNotBinding,
}

impl Planted {
    /// Where it belongs into the core.
    #[must_use]
    pub fn in_core(self) -> Option<Plant> {
        match self {
            Self::RecordEndedTooEarly => Some(Plant::RecordEndedTooEarly),
            Self::NewLeaderDoesNotHold => Some(Plant::NewLeaderDoesNotHold),
            Self::IndexIgnored => Some(Plant::IndexIgnored),
            Self::ReleaseNotBinding => Some(Plant::ReleaseNotBinding),
            Self::PipelinedAcknowledgement | Self::LeaderRestored => None,
        }
    }

    /// Where it belongs into the consensus.
    #[must_use]
    pub fn in_consensus(planted: Option<Self>) -> Plants {
        Plants {
            pipelined_append: planted == Some(Self::PipelinedAcknowledgement),
            leader_restore: planted == Some(Self::LeaderRestored),
        }
    }
}
