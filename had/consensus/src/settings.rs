//! The engine's timing and bounds.

use std::sync::Arc;
use std::time::Duration;

use had_core::timing::Timing;
use openraft::{Config, ConfigError, SnapshotPolicy};

/// A snapshot is taken every so many entries, and as many are kept behind it, so that a node that was away for a short
/// while needs no snapshot. An entry is rare (a move, a drain): this bounds what a restart replays and what is kept in
/// memory, at some hundred bytes each.
pub const ENTRIES_A_SNAPSHOT: u64 = 500;
/// Entries in one append: at most some hundred KiB in one message.
const ENTRIES_AN_APPEND: u64 = 64;
/// For one snapshot, a few hundred KiB, over its own connection.
pub(crate) const SNAPSHOT_DEADLINE: Duration = Duration::from_secs(10);
/// Requests and notices waiting for the engine: far more than peers and proposals can have on their way.
const QUEUE: u64 = 4_096;
/// Of longest election timeouts: how long a leader without quorum holds its heartbeats back, so that those who still
/// hear it can elect another. It must exceed the followers' lease and the longest timeout, which are one each.
const PROBE_TIMEOUTS: u64 = 3;

/// What [`Consensus::start`](crate::Consensus::start) needs to know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Elections and heartbeats follow from it.
    pub timing: Timing,
    /// For log lines.
    pub cluster_name: String,
    /// Entries between two snapshots, and kept behind one: [`ENTRIES_A_SNAPSHOT`] but in the simulator.
    pub entries_a_snapshot: u64,
    /// Bugs to plant; none in production.
    pub plants: Plants,
}

/// Known bugs, to be planted by the simulator: they prove that its checkers find them. All off by default.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Plants {
    /// Several appends on their way to one peer at a time. The answer to an old one then counts as an answer to a
    /// newer one, and an isolated leader takes its quorum for fresh.
    pub pipelined_append: bool,
    /// A restarted leader leads on at once under its old vote, although it has forgotten what it granted.
    pub leader_restore: bool,
    /// A vote is answered at once, and written a while later. A voter that is restarted in between votes again, or goes on
    /// with a leader that it had voted down.
    pub late_vote: bool,
}

impl Settings {
    /// The engine's configuration. Elections and heartbeats are whole milliseconds, rounded down, as openraft counts.
    pub(crate) fn config(&self) -> Result<Arc<Config>, ConfigError> {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let heartbeat = millis(self.timing.raft_heartbeat());
        let election_max = millis(self.timing.election_max());
        let config = Config {
            cluster_name: self.cluster_name.clone(),
            heartbeat_interval: heartbeat,
            election_timeout_min: millis(self.timing.election_min()),
            election_timeout_max: election_max,
            install_snapshot_timeout: millis(SNAPSHOT_DEADLINE),
            max_payload_entries: ENTRIES_AN_APPEND,
            // A peer that lags further behind than the log reaches is sent the snapshot.
            replication_lag_threshold: self.entries_a_snapshot.saturating_mul(2),
            snapshot_policy: SnapshotPolicy::LogsSinceLast(self.entries_a_snapshot),
            max_in_snapshot_log_to_keep: self.entries_a_snapshot,
            api_channel_size: Some(QUEUE),
            notification_channel_size: Some(QUEUE),
            enable_pre_vote: Some(true),
            enable_leader_restore: Some(self.plants.leader_restore),
            quorum_loss_probe_interval: Some(PROBE_TIMEOUTS.saturating_mul(election_max)),
            // A peer that is back is sent what it lacks within an election timeout, not within a second.
            backoff: format!(
                "{heartbeat}ms {}ms ..{election_max}ms",
                heartbeat.saturating_mul(2)
            ),
            ..Config::default()
        };
        config.validate().map(Arc::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(lease_ms: u64) -> Settings {
        let timing = Timing {
            lease: Duration::from_millis(lease_ms),
            heartbeat: Duration::from_millis(lease_ms / 3),
        };
        Settings {
            timing,
            cluster_name: "web".into(),
            entries_a_snapshot: ENTRIES_A_SNAPSHOT,
            plants: Plants::default(),
        }
    }

    #[test]
    fn the_lease_of_300_ms_gives_the_designs_table() {
        let config = settings(300).config().unwrap();
        assert_eq!(config.heartbeat_interval, 15);
        assert_eq!(
            (config.election_timeout_min, config.election_timeout_max),
            (50, 100)
        );
        assert_eq!(config.quorum_loss_probe_interval, Some(300));
        assert_eq!(config.enable_leader_restore, Some(false));
        assert_eq!(config.enable_pre_vote, Some(true));
    }

    #[test]
    fn every_lease_that_a_file_may_name_gives_a_valid_configuration() {
        let shortest = u64::try_from(Timing::SHORTEST_LEASE.as_millis()).unwrap();
        for lease_ms in [shortest, 251, 333, 1_000, 10_000, 60_000] {
            settings(lease_ms).config().unwrap();
        }
    }
}
