//! One voter's part in the cluster's agreement.

mod members;
mod permit;
mod serve;
mod watch;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use had_core::ids::{LeaderId, NodeName, VoterId};
use had_core::ports::ProposeError;
use openraft::errors::{ClientWriteError, InitializeError, RaftError};
use openraft::impls::ProgressResponder;
use openraft::raft::ClientWriteResult;
use openraft::type_config::alias::WatchReceiverOf;
use openraft::{ConfigError, Raft};

pub use members::{ReplaceError, TransferError};
pub use serve::ServeError;
pub use watch::{Failure, LeadershipWatch};

use crate::machine::{Machine, StateMachine};
use crate::network::{Network, Transport};
use crate::runtime::Runtime;
use crate::settings::Settings;
use crate::store::{LogStore, Store};
use crate::types::{Payload, Peer, Types, raft_leader};
use watch::Status;

/// A running voter. Clones are the same voter.
pub struct Consensus<R: Runtime> {
    me: VoterId,
    raft: Raft<Types<R>, StateMachine<R>>,
    store: LogStore<R>,
    status: WatchReceiverOf<Types<R>, Status>,
}

impl<R: Runtime> Clone for Consensus<R> {
    fn clone(&self) -> Self {
        Self {
            me: self.me,
            raft: self.raft.clone(),
            store: self.store.clone(),
            status: self.status.clone(),
        }
    }
}

impl<R: Runtime> std::fmt::Debug for Consensus<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Consensus")
            .field("me", &self.me)
            .finish_non_exhaustive()
    }
}

/// Why the consensus does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The timing contradicts itself.
    #[error("the consensus cannot run with this timing")]
    Timing(#[source] Box<ConfigError>),
    /// The store is another voter's.
    #[error("the store belongs to {0}")]
    OtherVoter(VoterId),
    /// No place for disk work.
    #[error("disk work cannot be done")]
    Disk(#[source] io::Error),
    /// What was stored cannot be taken up again.
    #[error("what was stored cannot be taken up again: {0}")]
    Store(String),
}

/// Why the cluster was not formed here.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FormError {
    /// This voter is part of a cluster already, or was asked for its vote by one.
    #[error("this node is part of a cluster already")]
    NotBlank,
    /// This voter is not among those named.
    #[error("this node is not among the voters named")]
    NotAmong,
    /// The consensus has ended.
    #[error("the consensus has ended")]
    Ended,
}

impl<R: Runtime> Consensus<R> {
    /// Starts the voter `me` on its store, with `machine` as it is when nothing was decided. What the store holds as
    /// decided is applied before this returns.
    ///
    /// # Errors
    /// Where the store is another's or cannot be read, or the settings are contradictory.
    pub async fn start(
        settings: Settings,
        me: VoterId,
        store: Store,
        transport: Arc<dyn Transport>,
        machine: impl Machine,
    ) -> Result<Self, StartError> {
        if store.voter() != me {
            return Err(StartError::OtherVoter(store.voter()));
        }
        let config = settings
            .config()
            .map_err(|error| StartError::Timing(Box::new(error)))?;
        let log = LogStore::<R>::new(store.clone(), R::disk().map_err(StartError::Disk)?)
            .with_late_votes(settings.plants.late_vote);
        let network = Network {
            me,
            transport,
            plants: settings.plants,
            append_deadline: settings.timing.election_min(),
        };
        let machine = StateMachine::new(Box::new(machine), log.clone());
        let raft = Raft::new(me.0, config, network, log.clone(), machine)
            .await
            .map_err(|error| StartError::Store(error.to_string()))?;
        let status = watch::spawn(me, raft.clone(), &store);
        Ok(Self {
            me,
            raft,
            store: log,
            status,
        })
    }

    /// This voter.
    #[must_use]
    pub fn me(&self) -> VoterId {
        self.me
    }

    /// Makes a new cluster of these voters. All of them may do so at the same time, if all name the same.
    ///
    /// # Errors
    /// Where this voter is part of a cluster already, or not among the voters.
    pub async fn form(&self, voters: BTreeMap<VoterId, NodeName>) -> Result<(), FormError> {
        let members: BTreeMap<u64, Peer> = voters
            .iter()
            .map(|(voter, name)| (voter.0, Peer::from(name)))
            .collect();
        self.raft
            .initialize(members)
            .await
            .map_err(|error| match error {
                RaftError::APIError(InitializeError::NotAllowed(_)) => FormError::NotBlank,
                RaftError::APIError(InitializeError::NotInMembers(_)) => FormError::NotAmong,
                RaftError::Fatal(_) => FormError::Ended,
            })
    }

    /// Writes an entry under this leadership only, and waits until it is applied here. Never forwarded.
    ///
    /// # Errors
    /// [`ProposeError::Refused`]: it is in no log, and never will be. [`ProposeError::Unknown`]: it may be applied
    /// still, or have been.
    pub async fn propose(&self, leader: LeaderId, payload: Vec<u8>) -> Result<u64, ProposeError> {
        let (responder, outcome) =
            ProgressResponder::<Types<R>, ClientWriteResult<Types<R>>>::complete_only();
        let write = self.raft.write(Payload(payload.into()));
        let write = write.with_leader(raft_leader(leader)).responder(responder);
        // Where the engine has stopped, the request may have been in its queue or not.
        write.await.map_err(|_| ProposeError::Unknown)?;
        match outcome.await {
            Ok(Ok(written)) => Ok(written.log_id.index),
            // Checked before an index is given: another leader, no lease, a hand-over under way.
            Ok(Err(ClientWriteError::ForwardToLeader(_))) => Err(ProposeError::Refused),
            Ok(Err(_)) | Err(_) => Err(ProposeError::Unknown),
        }
    }

    /// Ends this voter's part, and releases its store once everything before is on the disk.
    pub async fn shutdown(&self) {
        // An error says that a task of the engine panicked; it has ended all the same.
        drop(self.raft.shutdown().await);
        self.store.close().await;
    }
}
