//! One table of timings, derived from the lease and the heartbeat of the file.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Records and holds run this much longer than the lease, for waiters' clocks that run fast (1 in 1000).
const WAITER_DRIFT_PER_MILLE: u32 = 1;
/// Grants are this much shorter than the lease, for holders' clocks that run slow: chrony slews by up to 8 %.
const HOLDER_PERCENT: u32 = 90;
/// Taken off every grant besides: reading clocks, writing the gate.
const GRANT_MARGIN: Duration = Duration::from_millis(2);
/// The share of the lease between two renewals (and two consensus heartbeats): 15 ms of 300.
const RENEWALS_A_LEASE: u32 = 20;

/// Every duration that follows from `lease` and `heartbeat`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Timing {
    /// The bound on how long a lost owner can act.
    pub lease: Duration,
    /// The longest interval between two heartbeats to a peer.
    pub heartbeat: Duration,
}

impl Timing {
    /// The shortest lease for which [`Timing::slack_us`] is positive with a margin.
    pub const SHORTEST_LEASE: Duration = Duration::from_millis(250);

    /// The longest grant: `0.9 × lease − 2 ms`, counted from the acknowledged quorum.
    #[must_use]
    pub fn grant_max(&self) -> Duration {
        (self.lease * HOLDER_PERCENT / 100).saturating_sub(GRANT_MARGIN)
    }

    /// How long a waiter waits where a lease may be held: `lease × 1.001`.
    #[must_use]
    pub fn record(&self) -> Duration {
        self.lease + self.lease * WAITER_DRIFT_PER_MILLE / 1000
    }

    /// Between two asks for the lease.
    #[must_use]
    pub fn renewal(&self) -> Duration {
        self.lease / RENEWALS_A_LEASE
    }

    /// A node that has asked so often without hearing an answer is granted nothing, for it would hear nothing of that either
    /// while its record went on: half a lease. An answer that takes longer comes too late in any case.
    #[must_use]
    pub fn unheard_after(&self) -> u32 {
        RENEWALS_A_LEASE / 2
    }

    /// Between two heartbeats of the consensus.
    #[must_use]
    pub fn raft_heartbeat(&self) -> Duration {
        self.lease / RENEWALS_A_LEASE
    }

    /// The shortest election timeout: a sixth of the lease.
    #[must_use]
    pub fn election_min(&self) -> Duration {
        self.lease / 6
    }

    /// The longest election timeout: a third of the lease.
    #[must_use]
    pub fn election_max(&self) -> Duration {
        self.lease / 3
    }

    /// A node that was not heard for this long is said not to be heard: three heartbeats, so that one lost is no news.
    #[must_use]
    pub fn heard_lately(&self) -> Duration {
        self.heartbeat * 3
    }

    /// How often the consensus looks at its timers: what the engine makes of these timeouts, rounded up.
    #[must_use]
    pub fn tick(&self) -> Duration {
        Duration::from_millis(3)
    }

    /// What is left of a grant when a leader was lost alone; negative means that leases would lapse:
    /// `h − (renewal + 1.2 × raft heartbeat + 2 × election_max + tick + 10 ms)`, in microseconds.
    #[must_use]
    pub fn slack_us(&self) -> i64 {
        let need = self.renewal()
            + self.raft_heartbeat() * 12 / 10
            + self.election_max() * 2
            + self.tick()
            + Duration::from_millis(10);
        let micros = |duration: Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        micros(self.grant_max()) - micros(need)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lease_of_300_ms_survives_the_loss_of_a_leader() {
        let timing = Timing {
            lease: Duration::from_millis(300),
            heartbeat: Duration::from_millis(100),
        };
        assert_eq!(timing.grant_max(), Duration::from_millis(268));
        assert_eq!(timing.renewal(), Duration::from_millis(15));
        assert_eq!(timing.slack_us(), 22_000);
    }

    #[test]
    fn the_shortest_lease_still_has_slack() {
        let timing = Timing {
            lease: Timing::SHORTEST_LEASE,
            heartbeat: Duration::from_millis(80),
        };
        assert!(timing.slack_us() > 0, "{}", timing.slack_us());
    }
}
