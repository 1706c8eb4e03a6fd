//! Mistakes planted by hand: each changes one rule, and each must be found.

use std::fmt;

use crate::scope::Scope;

/// One mistake in the rules.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Plant {
    /// A lease runs from the moment at which the grant is received.
    LeaseCountedFromReceipt,
    /// The leader's record of a grant ends before the lease may.
    RecordEndedTooEarly,
    /// A new leader takes away at once.
    NewLeaderDoesNotHold,
    /// A new leader holds for less, by the time since it last heard the former one.
    HoldShortenedByWaiting,
    /// The leader's grants carry the index of its first entry, whatever it has decided since.
    IndexWithoutOwnProposals,
    /// A node's lease counts before it has applied the index of the grant.
    IndexIgnored,
    /// An acknowledgement credits the moment of the newest request, not of the one that it answers.
    PipelinedAcknowledgement,
    /// A restarted leader goes on leading under its old vote, with its memory lost.
    LeaderRestored,
    /// The leader looks at the record in one step and decides in another.
    CheckAndProposalInTwoSteps,
    /// Grants go on to a node about which a decision is on its way.
    NotRevokedWhileDeciding,
    /// A vote counts before it is on the voter's disk.
    VoteWrittenAfterItWasSent,
    /// Records and holds are no longer than a grant: no margin for clocks.
    NoMarginForClocks,
    /// A former owner says that it released, and its gate stays open.
    ReleaseNotBinding,
    /// A new owner opens as soon as it has applied a planned move.
    ReleaseNotAwaited,
    /// A restarted daemon takes the gate that its former life left open for shut.
    InheritedGateForgotten,
    /// The gate is told how long to stay open, not until when.
    RelativeGateTimeout,
    /// The gate falls open when the daemon dies.
    UnpinnedGate,
}

impl Plant {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::LeaseCountedFromReceipt,
        Self::RecordEndedTooEarly,
        Self::NewLeaderDoesNotHold,
        Self::HoldShortenedByWaiting,
        Self::IndexWithoutOwnProposals,
        Self::IndexIgnored,
        Self::PipelinedAcknowledgement,
        Self::LeaderRestored,
        Self::CheckAndProposalInTwoSteps,
        Self::NotRevokedWhileDeciding,
        Self::VoteWrittenAfterItWasSent,
        Self::NoMarginForClocks,
        Self::ReleaseNotBinding,
        Self::ReleaseNotAwaited,
        Self::InheritedGateForgotten,
        Self::RelativeGateTimeout,
        Self::UnpinnedGate,
    ];

    /// The scope whose histories are long enough, and of the right kind, to show it.
    #[must_use]
    pub fn scope(self) -> Scope {
        match self {
            Self::LeaseCountedFromReceipt
            | Self::RecordEndedTooEarly
            | Self::NewLeaderDoesNotHold
            | Self::HoldShortenedByWaiting
            | Self::IndexWithoutOwnProposals
            | Self::IndexIgnored
            | Self::CheckAndProposalInTwoSteps
            | Self::NotRevokedWhileDeciding => Scope::Leases,
            Self::PipelinedAcknowledgement => Scope::Quorum,
            Self::LeaderRestored | Self::VoteWrittenAfterItWasSent => Scope::Voters,
            Self::NoMarginForClocks => Scope::Clocks,
            Self::ReleaseNotBinding | Self::ReleaseNotAwaited => Scope::Release,
            Self::InheritedGateForgotten => Scope::Inheritance,
            Self::RelativeGateTimeout | Self::UnpinnedGate => Scope::Gate,
        }
    }

    /// Its name on the command line: the words of the variant, joined by `-`.
    #[must_use]
    pub fn name(self) -> String {
        let mut name = String::new();
        for letter in format!("{self:?}").chars() {
            if letter.is_uppercase() && !name.is_empty() {
                name.push('-');
            }
            name.push(letter.to_ascii_lowercase());
        }
        name
    }
}

impl fmt::Display for Plant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}
