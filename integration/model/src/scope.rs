//! How far each search goes.

use std::fmt;

use crate::state::Ticks;

/// A search: the same rules, with bounds that keep its states few.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// A leader is replaced, lost owners are, one after the other.
    Leases,
    /// Two leaders are replaced.
    Leaders,
    /// Acknowledgements take time.
    Quorum,
    /// A member's daemon crashes.
    Restarts,
    /// A voter crashes.
    Voters,
    /// Clocks err.
    Clocks,
    /// Planned moves, there and back.
    Release,
    /// A planned move, and a daemon that crashes.
    Inheritance,
    /// The gate is written late, and a daemon crashes.
    Gate,
}

/// What a scope allows. There is no bound on time, on how many messages are lost, or on how long they are on their way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// The longest grant, in ticks. Fewer than two leave no moment within a lease.
    pub grant: Ticks,
    /// Leaderships, the first one included.
    pub terms: u8,
    /// Moves of the group.
    pub moves: u8,
    /// Whether the group is also moved away from an owner that is well.
    pub planned: bool,
    /// Crashes of a member's daemon.
    pub member_crashes: u8,
    /// Crashes of a voter.
    pub voter_crashes: u8,
    /// Ticks that all clocks together err by.
    pub drifts: u8,
    /// Whether acknowledgements take time. Where they do not, they are worth most.
    pub late_acknowledgements: bool,
    /// Whether a daemon may stand still between deciding on a deadline and writing it.
    pub late_writes: bool,
}

/// What every scope allows at least.
const LEAST: Bounds = Bounds {
    grant: 2,
    terms: 2,
    moves: 1,
    planned: false,
    member_crashes: 0,
    voter_crashes: 0,
    drifts: 0,
    late_acknowledgements: false,
    late_writes: false,
};

impl Bounds {
    /// How long records and holds run: the margin is as long as all clocks together may err, and no longer.
    #[must_use]
    pub fn record(&self) -> Ticks {
        self.grant + self.drifts
    }
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Leases,
        Self::Leaders,
        Self::Quorum,
        Self::Restarts,
        Self::Voters,
        Self::Clocks,
        Self::Release,
        Self::Inheritance,
        Self::Gate,
    ];

    /// Its bounds.
    #[must_use]
    pub fn bounds(self) -> Bounds {
        match self {
            Self::Leases => Bounds { moves: 2, ..LEAST },
            Self::Leaders => Bounds { terms: 3, ..LEAST },
            Self::Quorum => Bounds {
                late_acknowledgements: true,
                ..LEAST
            },
            Self::Restarts => Bounds {
                member_crashes: 1,
                ..LEAST
            },
            Self::Voters => Bounds {
                voter_crashes: 1,
                ..LEAST
            },
            Self::Clocks => Bounds { drifts: 1, ..LEAST },
            Self::Release => Bounds {
                planned: true,
                terms: 1,
                moves: 2,
                ..LEAST
            },
            Self::Inheritance => Bounds {
                planned: true,
                terms: 1,
                member_crashes: 1,
                ..LEAST
            },
            Self::Gate => Bounds {
                terms: 1,
                moves: 2,
                member_crashes: 1,
                late_writes: true,
                ..LEAST
            },
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format!("{self:?}").to_lowercase())
    }
}
