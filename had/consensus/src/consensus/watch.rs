//! What the engine says of itself, as changes that can be awaited on any runtime.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use had_core::ids::VoterId;
use had_core::ports::Leadership;
use openraft::errors::Fatal;
use openraft::type_config::TypeConfigExt;
use openraft::type_config::alias::{WatchReceiverOf, WatchSenderOf};
use openraft::type_config::async_runtime::{WatchReceiver, WatchSender};
use openraft::{Raft, RaftMetrics, ServerState};

use super::{Consensus, members};
use crate::machine::{StateMachine, voters};
use crate::runtime::Runtime;
use crate::store::Store;
use crate::types::{Types, leader_id};

/// Why the consensus of this node has ended although nobody asked it to.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the consensus of this node has ended: {0}")]
pub struct Failure(pub String);

/// What is told of one voter.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Status {
    leadership: Leadership,
    failure: Option<Failure>,
    /// Ended as asked, or failed.
    ended: bool,
}

/// Follows who leads and who votes, from one change to the next.
pub struct LeadershipWatch<R: Runtime> {
    status: WatchReceiverOf<Types<R>, Status>,
    last: Leadership,
}

impl<R: Runtime> std::fmt::Debug for LeadershipWatch<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LeadershipWatch")
            .field("last", &self.last)
            .finish_non_exhaustive()
    }
}

impl<R: Runtime> LeadershipWatch<R> {
    /// As it is now.
    #[must_use]
    pub fn current(&self) -> Leadership {
        self.status.borrow_watched().leadership.clone()
    }

    /// Waits until it differs from what this returned last (from an empty one, the first time). Changes that follow
    /// each other quickly may be told as one. `None`: the consensus has ended.
    pub async fn changed(&mut self) -> Option<Leadership> {
        loop {
            {
                let status = self.status.borrow_and_update();
                if status.leadership != self.last {
                    self.last = status.leadership.clone();
                    return Some(self.last.clone());
                }
                if status.ended {
                    return None;
                }
            }
            self.status.changed().await.ok()?;
        }
    }
}

impl<R: Runtime> Consensus<R> {
    /// Who leads and who votes, as this node sees it. No permission to act: an isolated leader goes on leading here.
    #[must_use]
    pub fn leadership(&self) -> LeadershipWatch<R> {
        LeadershipWatch {
            status: self.status.clone(),
            last: Leadership::default(),
        }
    }

    /// Waits until the consensus of this node ends by itself: its store failed, or the engine did. Never returns
    /// where it was shut down.
    pub async fn failed(&self) -> Failure {
        let mut status = self.status.clone();
        loop {
            if let Some(failure) = status.borrow_and_update().failure.clone() {
                return failure;
            }
            if status.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

/// Starts to tell the status, and to do what a leader must do for its members.
pub(super) fn spawn<R: Runtime>(
    me: VoterId,
    raft: Raft<Types<R>, StateMachine<R>>,
    store: &Store,
) -> WatchReceiverOf<Types<R>, Status> {
    let (tell, status) = Types::<R>::watch_channel(Status::default());
    let (fail, fault) = Types::<R>::watch_channel(None::<String>);
    store.on_fault(move |text| drop(fail.send(Some(text.to_owned()))));
    drop(R::spawn(stop_on_fault(raft.clone(), fault.clone())));
    drop(R::spawn(follow(me, raft, fault, tell)));
    status
}

/// The engine notices a failed store at its next write, which may be far: it must not vote or answer until then.
async fn stop_on_fault<R: Runtime>(
    raft: Raft<Types<R>, StateMachine<R>>,
    mut fault: WatchReceiverOf<Types<R>, Option<String>>,
) {
    while fault.changed().await.is_ok() {
        if fault.borrow_and_update().is_some() {
            drop(raft.shutdown().await);
        }
    }
}

async fn follow<R: Runtime>(
    me: VoterId,
    raft: Raft<Types<R>, StateMachine<R>>,
    fault: WatchReceiverOf<Types<R>, Option<String>>,
    tell: WatchSenderOf<Types<R>, Status>,
) {
    let mut metrics = raft.metrics();
    let finishing = Arc::new(AtomicBool::new(false));
    loop {
        let mut status = status_of(me, &metrics.borrow_and_update());
        // The cause, where it is known, rather than where the engine met it.
        if status.ended
            && let Some(fault) = fault.borrow_watched().clone()
        {
            let text = format!(
                "its data directory cannot be written: {fault}; make room there, or look at the disk"
            );
            status.failure = Some(Failure(text));
        }
        let ended = status.ended;
        if members::inherited_change(me, &metrics.borrow_watched())
            && !finishing.swap(true, Ordering::Relaxed)
        {
            drop(R::spawn(members::finish_change(
                raft.clone(),
                finishing.clone(),
            )));
        }
        tell.send_if_different(status);
        if ended {
            return;
        }
        if metrics.changed().await.is_err() {
            let failure = Failure("a task of the engine ended".into());
            tell.send_if_modified(|status| {
                *status = Status {
                    failure: Some(failure),
                    ended: true,
                    ..Status::default()
                };
                true
            });
            return;
        }
    }
}

fn status_of<R: Runtime>(me: VoterId, metrics: &RaftMetrics<Types<R>>) -> Status {
    let failure = match &metrics.running_state {
        Ok(()) => None,
        Err(Fatal::Stopped) => {
            return Status {
                ended: true,
                ..Status::default()
            };
        }
        Err(fatal) => Some(Failure(fatal.to_string())),
    };
    if failure.is_some() {
        return Status {
            leadership: Leadership::default(),
            failure,
            ended: true,
        };
    }
    let elected = leader_id(metrics.vote.leader_id);
    let leads = metrics.state == ServerState::Leader && elected.voter == me;
    // A process that restarts finds its own former leadership in its vote; it does not lead under it.
    let known = metrics.vote.committed && (leads || elected.voter != me);
    let leadership = Leadership {
        leader: known.then_some(elected),
        leads: leads && known,
        voters: voters(metrics.membership_config.membership()),
    };
    Status {
        leadership,
        failure: None,
        ended: false,
    }
}
