//! Times in which a daemon did not run although it wanted to.
//!
//! A lease that ended meanwhile is noticed first of all: [`crate::node::Node::handle`] looks at it before anything else, and
//! nothing leaves before. What is here tells people about it: on the node's own log, in its metrics, and in the history of
//! the cluster.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::ProcessId;
use crate::timing::Timing;

/// A stall counts from this part of a lease on: shorter ones cost no lease even where they come together with the loss of a
/// message.
const PARTS_OF_A_LEASE: u32 = 3;

/// What kept a daemon from running.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// It alone was held up: stopped by a signal, waiting for a disk, frozen by a control group.
    Frozen,
    /// Its own work took so long.
    Busy,
    /// Others had the processor.
    Starved,
    /// A hypervisor gave the processor to other machines (steal time).
    Paused,
    /// The host was suspended.
    Suspended,
}

impl Cause {
    /// Every cause.
    pub const ALL: [Self; 5] = [
        Self::Frozen,
        Self::Busy,
        Self::Starved,
        Self::Paused,
        Self::Suspended,
    ];

    /// The word for machines, also in the cluster's history.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Frozen => "frozen",
            Self::Busy => "busy",
            Self::Starved => "starved",
            Self::Paused => "paused",
            Self::Suspended => "suspended",
        }
    }
}

/// One stall.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Stall {
    /// How long.
    pub lasted: Duration,
    /// Why.
    pub cause: Cause,
}

impl Stall {
    /// Whether it is worth telling.
    #[must_use]
    pub fn matters(lasted: Duration, timing: &Timing) -> bool {
        lasted >= timing.lease / PARTS_OF_A_LEASE
    }
}

/// As in "frozen 2.8 s".
impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.lasted.as_secs_f64();
        write!(f, "{} {seconds:.1} s", self.cause.word())
    }
}

/// A stall and what it cost, for people.
#[must_use]
pub fn told(stall: Stall, lapsed: bool) -> String {
    let cost = if lapsed {
        "; its lease ended meanwhile, and it stood down"
    } else {
        ""
    };
    format!("{stall}{cost}")
}

/// The last stall of a process, as it tells others.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Told {
    /// Counts the stalls of this process, from 1.
    pub number: u64,
    /// Which.
    pub stall: Stall,
    /// Whether the lease ended meanwhile, so that the node stood down.
    pub lapsed: bool,
}

/// Whether a stall, by its process and its number there, comes after the last one that was told. A process of its own that
/// counts from 1 again is another life, also of a node whose disk was wiped.
#[must_use]
pub fn is_news(last: Option<(ProcessId, u64)>, (process, number): (ProcessId, u64)) -> bool {
    last.is_none_or(|(before, told)| before != process || told < number)
}

/// The stalls of this process.
#[derive(Debug, Default)]
pub struct Stalls {
    last: Option<Told>,
    counts: BTreeMap<Cause, Count>,
}

/// How often, and how long at most.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Count {
    /// How often.
    pub times: u64,
    /// The longest, milliseconds.
    pub longest_ms: u64,
}

impl Stalls {
    /// Takes note of one.
    pub fn note(&mut self, stall: Stall, lapsed: bool) {
        let number = self.last.map_or(1, |last| last.number + 1);
        self.last = Some(Told {
            number,
            stall,
            lapsed,
        });
        let count = self.counts.entry(stall.cause).or_default();
        count.times += 1;
        let lasted_ms = u64::try_from(stall.lasted.as_millis()).unwrap_or(u64::MAX);
        count.longest_ms = count.longest_ms.max(lasted_ms);
    }

    /// The last one.
    #[must_use]
    pub fn last(&self) -> Option<Told> {
        self.last
    }

    /// How often each cause came.
    #[must_use]
    pub fn counts(&self) -> &BTreeMap<Cause, Count> {
        &self.counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stalls_are_numbered_and_counted_by_cause() {
        let stall = |cause, millis| Stall {
            lasted: Duration::from_millis(millis),
            cause,
        };
        let mut stalls = Stalls::default();
        stalls.note(stall(Cause::Frozen, 2_812), true);
        stalls.note(stall(Cause::Starved, 120), false);
        stalls.note(stall(Cause::Frozen, 400), true);
        assert_eq!(stalls.last().map(|told| told.number), Some(3));
        let frozen = stalls.counts()[&Cause::Frozen];
        assert_eq!((frozen.times, frozen.longest_ms), (2, 2_812));
        assert_eq!(stall(Cause::Frozen, 2_812).to_string(), "frozen 2.8 s");
    }
}
