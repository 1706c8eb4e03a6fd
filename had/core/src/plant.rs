//! Planted mistakes: each breaks one rule of the lease protocol, to prove that the simulator's checkers see it.

use crate::leader::Leader;

/// One mistake.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Plant {
    /// A leader's record ends after half a lease.
    RecordEndedTooEarly,
    /// A new leader takes away at once.
    NewLeaderDoesNotHold,
    /// A grant counts before its index is applied.
    IndexIgnored,
    /// A former owner says that it released, and goes on until its gate ends by itself.
    ReleaseNotBinding,
    /// A lease counts from when the grant comes in, not from when it was asked for.
    LeaseCountedFromReceipt,
    /// A new leader holds for a lease less what has passed since it was last granted its own.
    HoldShortened,
    /// A leader decides about a node in one step, and revokes its lease in a later one.
    DecidedInTwoSteps,
    /// A grant's index leaves out what this leader has proposed about the node.
    OwnProposalsLeftOut,
    /// A second host under the name of a node is taken in, and granted a lease, while the first still has one.
    SameNameTwice,
}

impl Plant {
    /// Plants it in a new leadership.
    pub(crate) fn apply(self, leader: &mut Leader) {
        match self {
            Self::RecordEndedTooEarly => leader.records_mut().end_too_early(),
            Self::NewLeaderDoesNotHold => leader.records_mut().do_not_hold(),
            Self::DecidedInTwoSteps => leader.revoke_later(),
            Self::OwnProposalsLeftOut => leader.records_mut().forget_concerns(),
            Self::SameNameTwice => leader.share_names(),
            Self::IndexIgnored
            | Self::ReleaseNotBinding
            | Self::LeaseCountedFromReceipt
            | Self::HoldShortened => {}
        }
    }
}
