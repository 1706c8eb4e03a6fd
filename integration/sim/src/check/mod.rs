//! The promises, each checked in one file. `docs/invariants.md` lists them with their source.

mod decided_moves;
mod heals;
mod no_lapse;
mod quorum_clock;
mod single_owner;

use std::fmt;

pub use decided_moves::DecidedMoves;
pub use heals::{Stand, heals};
pub use no_lapse::NoLapse;
pub use quorum_clock::QuorumClock;
pub use single_owner::SingleOwner;

/// A promise that was broken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// The promise, by the name of its check.
    pub check: &'static str,
    /// What was seen.
    pub text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.check, self.text)
    }
}

/// Everything that is checked while a run goes on.
#[derive(Debug, Default)]
pub struct Checks {
    /// S1.
    pub single_owner: SingleOwner,
    /// S2.
    pub decided_moves: DecidedMoves,
    /// What the leases rest on.
    pub quorum_clock: QuorumClock,
    /// Part of L2, where it is watched.
    pub no_lapse: NoLapse,
}
