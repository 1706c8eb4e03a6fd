//! How the engine's requests reach a peer: through a [`Transport`], as bytes.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use had_core::ids::{NodeName, VoterId};
use openraft::OptionalSend;
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Timeout};
use openraft::network::v2::RaftNetworkV2;
use openraft::network::{RPCOption, RPCTypes, RaftNetworkFactory, stream_append_sequential};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendResult,
    TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::type_config::TypeConfigExt;
use openraft::type_config::async_runtime::Select2;

use crate::rpc;
use crate::runtime::Runtime;
use crate::settings::{Plants, SNAPSHOT_DEADLINE};
use crate::types::{Bytes, Peer, Snapshot, Types, Vote};
use crate::wire::{Answer, RequestBody};

/// Of planted pipelined appends, at most so many are on their way.
const PIPELINE: usize = 8;
/// How long each of them is waited for: a stream between two peers outlives many leases, and so must this bug.
const PIPELINE_PATIENCE: Duration = Duration::from_secs(10);

/// Carries requests to peers, over whatever connects them. Implemented by the daemon's peers and by the simulated network.
///
/// A request may be lost, answered late or answered twice by two connections: then the first answer counts. An answer
/// must belong to the request for which it is returned.
pub trait Transport: Send + Sync + 'static {
    /// Carries one request to the voter `to` on the node `name`, and its answer back. The caller gives up after `deadline`.
    ///
    /// The voter belongs to a data directory: a node of that name that has another voter must not be handed the request.
    fn call(
        &self,
        to: VoterId,
        name: &NodeName,
        body: Vec<u8>,
        deadline: Duration,
    ) -> BoxFuture<'static, Result<Vec<u8>, CallError>>;

    /// As [`Transport::call`], for large requests: on a connection of their own, where no heartbeat waits behind them.
    fn bulk(
        &self,
        to: VoterId,
        name: &NodeName,
        body: Vec<u8>,
        deadline: Duration,
    ) -> BoxFuture<'static, Result<Vec<u8>, CallError>>;
}

/// Why a request was not answered. In every case it may have been carried out.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CallError {
    /// No answer within the deadline.
    #[error("no answer in time")]
    Timeout,
    /// No connection, or it broke.
    #[error("not reached: {0}")]
    Unreachable(String),
    /// The peer answered that it does not answer this.
    #[error("refused by the peer: {0}")]
    Refused(String),
}

/// Makes a [`Peering`] for each lane to each peer: heartbeats, appends, snapshots, votes. Each lane has one request on its way at most.
pub(crate) struct Network {
    pub(crate) me: VoterId,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) plants: Plants,
    /// For appends that carry entries, since the peer answers only after an fsync.
    pub(crate) append_deadline: Duration,
}

impl<R: Runtime> RaftNetworkFactory<Types<R>> for Network {
    type Network = Peering;

    async fn new_client(&mut self, target: u64, node: &Peer) -> Peering {
        Peering {
            me: self.me,
            to: VoterId(target),
            name: node.name(),
            transport: self.transport.clone(),
            plants: self.plants,
            append_deadline: self.append_deadline,
        }
    }
}

/// One lane to one peer.
#[derive(Clone)]
pub(crate) struct Peering {
    me: VoterId,
    to: VoterId,
    name: NodeName,
    transport: Arc<dyn Transport>,
    plants: Plants,
    append_deadline: Duration,
}

/// How a request is carried.
#[derive(Clone, Copy)]
enum Carriage {
    Call,
    Bulk,
}

impl Peering {
    /// Sends a request and waits for its answer, until the deadline by this runtime's clock.
    async fn ask<R: Runtime>(
        &self,
        action: RPCTypes,
        request: RequestBody,
        carriage: Carriage,
        deadline: Duration,
    ) -> Result<Answer, RPCError<Types<R>>> {
        let body = rpc::encode_request(request);
        let answer = match carriage {
            Carriage::Call => self.transport.call(self.to, &self.name, body, deadline),
            Carriage::Bulk => self.transport.bulk(self.to, &self.name, body, deadline),
        };
        match R::timeout(deadline, answer).await {
            Ok(Ok(bytes)) => rpc::decode_answer(&bytes).map_err(|error| network(&error)),
            Ok(Err(CallError::Timeout)) | Err(_) => Err(RPCError::Timeout(Timeout {
                action,
                id: self.me.0,
                target: self.to.0,
                timeout: deadline,
            })),
            Ok(Err(error)) => Err(network(&error)),
        }
    }

    async fn append<R: Runtime>(
        &self,
        request: AppendEntriesRequest<Types<R>>,
        deadline: Duration,
    ) -> Result<AppendEntriesResponse<Types<R>>, RPCError<Types<R>>> {
        let request = rpc::append(&request);
        let answer = self
            .ask::<R>(RPCTypes::AppendEntries, request, Carriage::Call, deadline)
            .await?;
        rpc::append_answered(&answer).map_err(|error| network(&error))
    }
}

fn network<R: Runtime, E: std::error::Error + 'static>(error: &E) -> RPCError<Types<R>> {
    RPCError::Network(NetworkError::new(error))
}

impl<R: Runtime> RaftNetworkV2<Types<R>> for Peering {
    type SnapshotData = Bytes;

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<Types<R>>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<Types<R>>, RPCError<Types<R>>> {
        let deadline = if request.entries.is_empty() {
            option.hard_ttl()
        } else {
            self.append_deadline
        };
        self.append::<R>(request, deadline).await
    }

    /// openraft's own, one request after the other; several at once only where that bug is planted.
    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        option: RPCOption,
    ) -> BoxFuture<'s, Result<Answers<'s, R>, RPCError<Types<R>>>>
    where
        S: Stream<Item = AppendEntriesRequest<Types<R>>> + OptionalSend + Unpin + 'static,
    {
        if !self.plants.pipelined_append {
            return stream_append_sequential(self, input, option);
        }
        let lane = self.clone();
        let answers = input.map(move |request| pipelined::<R>(lane.clone(), request));
        let answers: Answers<'s, R> = Box::pin(answers.buffered(PIPELINE));
        Box::pin(std::future::ready(Ok(answers)))
    }

    async fn vote(
        &mut self,
        request: VoteRequest<Types<R>>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types<R>>, RPCError<Types<R>>> {
        let request = RequestBody::Vote(rpc::ballot(&request));
        let answer = self
            .ask::<R>(RPCTypes::Vote, request, Carriage::Call, option.hard_ttl())
            .await?;
        rpc::ballot_answered(&answer).map_err(|error| network(&error))
    }

    /// openraft's own would grant every pre-vote unasked.
    async fn pre_vote(
        &mut self,
        request: VoteRequest<Types<R>>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types<R>>, RPCError<Types<R>>> {
        let request = RequestBody::PreVote(rpc::ballot(&request));
        let answer = self
            .ask::<R>(RPCTypes::Vote, request, Carriage::Call, option.hard_ttl())
            .await?;
        rpc::ballot_answered(&answer).map_err(|error| network(&error))
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<Types<R>>, StreamingError<Types<R>>> {
        let request = rpc::snapshot(&vote, &snapshot);
        let send = self.ask::<R>(
            RPCTypes::InstallSnapshot,
            request,
            Carriage::Bulk,
            SNAPSHOT_DEADLINE,
        );
        match Types::<R>::select2(cancel, send).await {
            Select2::First(closed) => Err(closed.into()),
            Select2::Second(answer) => rpc::snapshot_answered(&answer?)
                .map_err(|error| StreamingError::Network(NetworkError::new(&error))),
        }
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<Types<R>>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<Types<R>>, RPCError<Types<R>>> {
        let request = rpc::transfer(&request);
        let answer = self.ask::<R>(
            RPCTypes::TransferLeader,
            request,
            Carriage::Call,
            option.hard_ttl(),
        );
        rpc::transfer_answered(&answer.await?)
            .map(Ok)
            .map_err(|error| network(&error))
    }
}

type Answers<'s, R> = BoxStream<'s, Result<StreamAppendResult<Types<R>>, RPCError<Types<R>>>>;

/// One of several appends on their way at once.
async fn pipelined<R: Runtime>(
    lane: Peering,
    request: AppendEntriesRequest<Types<R>>,
) -> Result<StreamAppendResult<Types<R>>, RPCError<Types<R>>> {
    let previous = request.prev_log_id;
    let last = request
        .entries
        .last()
        .map(|entry| entry.log_id)
        .or(previous);
    let answer = lane.append::<R>(request, PIPELINE_PATIENCE).await?;
    Ok(answer.into_stream_result(previous, last))
}
