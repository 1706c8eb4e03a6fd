//! Changes of voters, and handing leadership over.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use had_core::ids::{NodeName, VoterId};
use openraft::errors::{ChangeMembershipError, ClientWriteError, RaftError};
use openraft::type_config::async_runtime::WatchReceiver;
use openraft::{ChangeMembers, Raft, RaftMetrics, ServerState};

use super::Consensus;
use crate::machine::StateMachine;
use crate::runtime::Runtime;
use crate::types::{LogId, Peer, Types};

/// A new voter must have the log within this time: a snapshot of a few hundred KiB and some hundred entries.
const CATCH_UP: Duration = Duration::from_secs(10);

/// Why a voter was not replaced. Asking again is harmless.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ReplaceError {
    /// This node does not lead, or no longer; what was begun is finished by the leader.
    #[error("this node does not lead")]
    NotLeader,
    /// Another change is under way.
    #[error("another change of voters is under way")]
    InProgress,
    /// The new voter did not take over the log in time.
    #[error("{0} did not take over the log in time")]
    NotCaughtUp(VoterId),
    /// The consensus has ended.
    #[error("the consensus of this node has ended")]
    Ended,
    /// The engine refuses.
    #[error("the change is refused: {0}")]
    Refused(String),
}

/// Why leadership is not handed over.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TransferError {
    /// This node does not lead.
    #[error("this node does not lead")]
    NotLeader,
    /// It cannot lead, or leads already.
    #[error("{0} is no other voter")]
    NoOtherVoter(VoterId),
    /// The consensus has ended.
    #[error("the consensus of this node has ended")]
    Ended,
}

type Engine<R> = Raft<Types<R>, StateMachine<R>>;

impl<R: Runtime> Consensus<R> {
    /// Takes the voter `new` on the node `name` in, and `old` out: `new` takes over the log first, then one change
    /// makes both. Once begun it goes on, also where the caller stops waiting. Done already: nothing happens.
    ///
    /// # Errors
    /// Where this node does not lead, `new` is not reached, or another change is under way.
    pub async fn replace_voter(
        &self,
        old: Option<VoterId>,
        new: VoterId,
        name: NodeName,
    ) -> Result<(), ReplaceError> {
        let replacing = R::spawn(replace(self.raft.clone(), old, new, Peer::from(&name)));
        replacing.await.unwrap_or(Err(ReplaceError::Ended))
    }

    /// Begins to hand leadership over to another voter. From now on this node permits nothing; who leads in the end
    /// is told by [`Consensus::leadership`]. Where `to` is dead nobody leads until the next election: choose one
    /// that answered just now ([`Consensus::peer_acks`]).
    ///
    /// # Errors
    /// Where this node does not lead, or `to` is no other voter.
    pub async fn transfer(&self, to: VoterId) -> Result<(), TransferError> {
        {
            let metrics = self.raft.metrics();
            let metrics = metrics.borrow_watched();
            if metrics.state != ServerState::Leader {
                return Err(TransferError::NotLeader);
            }
            if to == self.me
                || !metrics
                    .membership_config
                    .voter_ids()
                    .any(|voter| voter == to.0)
            {
                return Err(TransferError::NoOtherVoter(to));
            }
        }
        self.raft
            .trigger()
            .transfer_leader(to.0)
            .await
            .map_err(|_| TransferError::Ended)
    }
}

async fn replace<R: Runtime>(
    raft: Engine<R>,
    old: Option<VoterId>,
    new: VoterId,
    peer: Peer,
) -> Result<(), ReplaceError> {
    if let Some(members) = members_if_joint(&raft) {
        tracing::info!(?members, "finishing an earlier change of voters");
        change(&raft, ChangeMembers::AddVoterIds(BTreeSet::new())).await?;
    }
    let now = voters_and_learners(&raft);
    let voters: BTreeSet<u64> = now
        .voters
        .iter()
        .copied()
        .filter(|voter| Some(VoterId(*voter)) != old)
        .chain([new.0])
        .collect();
    if voters == now.voters {
        return Ok(());
    }
    let stale: BTreeSet<u64> = now.learners.into_iter().filter(|id| *id != new.0).collect();
    if !stale.is_empty() {
        change(&raft, ChangeMembers::RemoveNodes(stale)).await?;
    }
    if !now.voters.contains(&new.0) {
        let at = change(
            &raft,
            ChangeMembers::AddNodes(BTreeMap::from([(new.0, peer)])),
        )
        .await?;
        caught_up(&raft, new, at).await?;
    }
    change(&raft, ChangeMembers::ReplaceAllVoters(voters)).await?;
    Ok(())
}

/// Makes one change; those who are voters no longer are no learners either. The entry that ended it.
async fn change<R: Runtime>(
    raft: &Engine<R>,
    change: ChangeMembers<u64, Peer>,
) -> Result<LogId, ReplaceError> {
    match raft.change_membership(change, false).await {
        Ok(written) => Ok(written.log_id),
        Err(RaftError::Fatal(_)) => Err(ReplaceError::Ended),
        Err(RaftError::APIError(error)) => Err(match error {
            ClientWriteError::ForwardToLeader(_) | ClientWriteError::LogEntryDiscarded(_) => {
                ReplaceError::NotLeader
            }
            ClientWriteError::ChangeMembershipError(ChangeMembershipError::InProgress(_)) => {
                ReplaceError::InProgress
            }
            other => ReplaceError::Refused(other.to_string()),
        }),
    }
}

/// Waits until a learner has the log up to `at`.
async fn caught_up<R: Runtime>(
    raft: &Engine<R>,
    new: VoterId,
    at: LogId,
) -> Result<(), ReplaceError> {
    let settled = raft
        .wait(Some(CATCH_UP))
        .metrics(
            |metrics| match &metrics.replication {
                None => true,
                Some(matched) => matched
                    .get(&new.0)
                    .is_some_and(|matched| *matched >= Some(at)),
            },
            "a new voter takes over the log",
        )
        .await;
    match settled {
        Ok(metrics) if metrics.replication.is_some() => Ok(()),
        Ok(_) => Err(ReplaceError::NotLeader),
        Err(openraft::metrics::WaitError::Timeout(..)) => Err(ReplaceError::NotCaughtUp(new)),
        Err(openraft::metrics::WaitError::ShuttingDown) => Err(ReplaceError::Ended),
    }
}

struct Members {
    voters: BTreeSet<u64>,
    learners: BTreeSet<u64>,
}

fn voters_and_learners<R: Runtime>(raft: &Engine<R>) -> Members {
    let metrics = raft.metrics();
    let metrics = metrics.borrow_watched();
    let membership = metrics.membership_config.membership();
    Members {
        voters: membership.voter_ids().collect(),
        learners: membership.learner_ids().collect(),
    }
}

/// Both sets of voters, where a change is half done.
fn members_if_joint<R: Runtime>(raft: &Engine<R>) -> Option<Vec<BTreeSet<u64>>> {
    let metrics = raft.metrics();
    let sets = metrics
        .borrow_watched()
        .membership_config
        .get_joint_config()
        .clone();
    (sets.len() > 1).then_some(sets)
}

/// Whether this node leads and has taken over a half-done change from a leader that is gone: openraft leaves it so,
/// and every decision would need a majority of both sets for ever.
pub(super) fn inherited_change<R: Runtime>(me: VoterId, metrics: &RaftMetrics<Types<R>>) -> bool {
    let effective = &metrics.membership_config;
    metrics.state == ServerState::Leader
        && metrics.vote.leader_id.node_id == me.0
        && effective.get_joint_config().len() > 1
        && effective.log_id() == metrics.committed_membership_config.log_id()
        && effective
            .log_id()
            .is_some_and(|at| at.leader_id != metrics.vote.leader_id)
}

/// Between two tries to finish a change: a leader that cannot yet refuses at once, and says so in its metrics.
const BETWEEN_TRIES: Duration = Duration::from_millis(10);

/// Finishes it. Where that fails, the next change of the metrics tries again, after a while.
pub(super) async fn finish_change<R: Runtime>(raft: Engine<R>, finishing: Arc<AtomicBool>) {
    match change(&raft, ChangeMembers::AddVoterIds(BTreeSet::new())).await {
        Ok(_) => tracing::info!("finished a change of voters that a former leader had begun"),
        Err(error) => {
            tracing::debug!(%error, "a half-done change of voters is not finished yet");
            R::sleep(BETWEEN_TRIES).await;
        }
    }
    finishing.store(false, Ordering::Relaxed);
}
