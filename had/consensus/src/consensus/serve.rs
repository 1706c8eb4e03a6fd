//! Requests of other voters' engines.

use had_core::ids::VoterId;

use super::Consensus;
use crate::rpc;
use crate::runtime::Runtime;
use crate::wire::{AnswerBody, RequestBody, Transfer, WireError};

/// Why a request is not answered.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// It is none that this version knows.
    #[error("the request {0}")]
    Unreadable(#[from] WireError),
    /// It speaks for another voter than the one that sent it.
    #[error("{sender} sent a request of {speaker}")]
    Impostor {
        /// Who sent it.
        sender: VoterId,
        /// In whose name.
        speaker: VoterId,
    },
    /// The consensus on this node has ended.
    #[error("the consensus of this node has ended: {0}")]
    Ended(String),
}

impl<R: Runtime> Consensus<R> {
    /// Answers a request that the voter `from` sent through its [`Transport`](crate::Transport). That it comes from there, and from this
    /// cluster, is for the caller to know. What the answer says is on the disk before it is given.
    ///
    /// # Errors
    /// Where it cannot be read, speaks for another voter, or the consensus has ended.
    pub async fn serve(&self, from: VoterId, body: &[u8]) -> Result<Vec<u8>, ServeError> {
        let answer = match rpc::decode_request(body)? {
            RequestBody::Append(request) => {
                let request = rpc::append_asked::<R>(request)?;
                genuine(from, request.vote.leader_id.node_id)?;
                let answer = self.raft.append_entries(request).await.map_err(ended)?;
                rpc::append_answer(&answer)
            }
            RequestBody::Vote(request) => {
                let request = rpc::ballot_asked::<R>(request)?;
                genuine(from, request.vote.leader_id.node_id)?;
                rpc::ballot_answer(&self.raft.vote(request).await.map_err(ended)?)
            }
            RequestBody::PreVote(request) => {
                let request = rpc::ballot_asked::<R>(request)?;
                genuine(from, request.vote.leader_id.node_id)?;
                rpc::ballot_answer(&self.raft.pre_vote(request).await.map_err(ended)?)
            }
            RequestBody::Snapshot(request) => {
                let (vote, snapshot) = rpc::snapshot_asked(request)?;
                genuine(from, vote.leader_id.node_id)?;
                let answer = self.raft.install_full_snapshot(vote, snapshot).await;
                rpc::snapshot_answer(&answer.map_err(ended)?)
            }
            RequestBody::Transfer(request) => self.serve_transfer(from, request).await?,
        };
        Ok(rpc::encode_answer(answer))
    }

    async fn serve_transfer(
        &self,
        from: VoterId,
        request: Transfer,
    ) -> Result<AnswerBody, ServeError> {
        let request = rpc::transfer_asked::<R>(request)?;
        genuine(from, request.from_leader().leader_id.node_id)?;
        let outcome = self
            .raft
            .handle_transfer_leader(request)
            .await
            .map_err(ended)?;
        Ok(rpc::transfer_answer(
            outcome.err().map(|error| error.to_string()),
        ))
    }
}

/// Every request of the protocol is sent by the voter in whose name it speaks.
fn genuine(sender: VoterId, speaker: u64) -> Result<(), ServeError> {
    let speaker = VoterId(speaker);
    if sender == speaker {
        Ok(())
    } else {
        Err(ServeError::Impostor { sender, speaker })
    }
}

fn ended(error: impl std::error::Error) -> ServeError {
    ServeError::Ended(error.to_string())
}
