//! The promises, each checked in one file. `docs/invariants.md` lists them with their source.

mod decided_moves;
mod fifo;
mod guarded;
mod heals;
mod no_lapse;
mod quorum_clock;
mod relations;
mod single_owner;

use std::fmt;

use had_core::spec::ClusterSpec;

pub use decided_moves::DecidedMoves;
pub use fifo::{Fifo, takes_in_turn};
pub use guarded::Guarded;
pub use heals::{Stand, heals};
pub use no_lapse::NoLapse;
pub use quorum_clock::QuorumClock;
pub use relations::{Relations, Wrong, makes_no_wrong, marks, wrongs};
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
#[derive(Debug)]
pub struct Checks {
    /// S1.
    pub single_owner: SingleOwner,
    /// S2.
    pub decided_moves: DecidedMoves,
    /// S3.
    pub fifo: Fifo,
    /// Between groups.
    pub relations: Relations,
    /// Behind S1, the guard.
    pub guarded: Guarded,
    /// What the leases rest on.
    pub quorum_clock: QuorumClock,
    /// Part of L2, where it is watched.
    pub no_lapse: NoLapse,
}

impl Checks {
    /// Nothing has happened yet.
    #[must_use]
    pub fn new(spec: &ClusterSpec) -> Self {
        Self {
            single_owner: SingleOwner::of(spec),
            decided_moves: DecidedMoves::default(),
            fifo: Fifo::default(),
            relations: Relations::default(),
            guarded: Guarded::default(),
            quorum_clock: QuorumClock::default(),
            no_lapse: NoLapse::default(),
        }
    }
}
