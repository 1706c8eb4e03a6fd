//! The permission to grant leases, and what it rests on.

use std::collections::BTreeMap;

use had_core::ids::VoterId;
use had_core::ports::Permit;
use had_core::time::MonoTime;
use openraft::type_config::alias::{InstantOf, WatchReceiverOf};
use openraft::type_config::async_runtime::WatchReceiver;
use openraft::{Instant, RaftMetrics, ReadPolicy, ServerState};

use super::Consensus;
use crate::runtime::Runtime;
use crate::types::{Types, leader_id, raft_leader};

impl<R: Runtime> Consensus<R> {
    /// Asks the engine whether this node leads with a quorum at this moment, and since when it is known to.
    ///
    /// `None`: it does not lead, its quorum's last answer is older than the longest election timeout, it is handing
    /// over, or it has not been answered since its election.
    pub async fn permit(&self) -> Option<Permit> {
        // Read first: a sole voter acknowledges itself, at a moment that is not later than the engine's answer.
        let asked = R::mono_now();
        let read = self
            .raft
            .get_read_linearizer(ReadPolicy::LeaseRead)
            .await
            .ok()?;
        let leader = leader_id(*read.read_log_id().committed_leader_id());
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        // The metrics may be older than the answer, and then speak of an older acknowledgement: that is safe. They must
        // not speak of another leadership, before or after.
        let same = metrics.vote.committed
            && metrics.vote.leader_id == raft_leader(leader)
            && metrics.current_term == leader.term
            && metrics.state == ServerState::Leader;
        if !same {
            return None;
        }
        let quorum_acked = if is_alone(&metrics, self.me) {
            asked
        } else {
            mono::<R>(metrics.last_quorum_acked.as_deref()?)
        };
        Some(Permit {
            leader,
            quorum_acked,
        })
    }

    /// While this node leads: when the last answered heartbeat or append to each other voter was sent. Voters that have
    /// not answered this leader are left out; empty where this node does not lead.
    #[must_use]
    pub fn peer_acks(&self) -> BTreeMap<VoterId, MonoTime> {
        let metrics: WatchReceiverOf<Types<R>, RaftMetrics<Types<R>>> = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let acks = metrics.heartbeat.iter().flatten();
        acks.filter(|(voter, _)| **voter != self.me.0)
            .filter_map(|(voter, sent)| Some((VoterId(*voter), mono::<R>(sent.as_deref()?))))
            .collect()
    }
}

/// Whether `me` is the only voter, in both halves of a change too.
fn is_alone<R: Runtime>(metrics: &RaftMetrics<Types<R>>, me: VoterId) -> bool {
    let sets = metrics.membership_config.get_joint_config();
    !sets.is_empty() && sets.iter().all(|set| set.len() == 1 && set.contains(&me.0))
}

/// An instant on `CLOCK_MONOTONIC`. The clock is read before the instant's age, so that a stall in between makes the
/// result too early, never too late.
fn mono<R: Runtime>(instant: &InstantOf<Types<R>>) -> MonoTime {
    let now = R::mono_now();
    now - instant.elapsed()
}
