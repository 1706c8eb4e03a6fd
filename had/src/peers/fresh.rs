//! What happens rarely takes a connection of its own, opened for it: snapshots and forwarded commands.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use had_core::ids::{NodeName, VoterId};
use had_core::message::Sender;
use had_proto::v1;
use had_proto::v1::forward_request::What;
use had_proto::v1::peer_client::PeerClient;
use tokio::time::timeout;
use tonic::transport::Channel;
use tonic::{Code, Status};

use super::bounds::{BULK_MAX_BYTES, BULK_PIECE_BYTES, MESSAGE_MAX_BYTES};
use super::call::{check_reply, refusal, request};
use super::dial::{dial, status_text};
use super::hello::sender_to_wire;
use super::links::Peer;
use super::{CallError, Shared};

/// Sends a large request of the consensus.
pub(crate) async fn bulk(
    shared: Arc<Shared>,
    peer: Arc<Peer>,
    voter: VoterId,
    body: Vec<u8>,
    deadline: Duration,
) -> Result<Vec<u8>, CallError> {
    if body.len() > BULK_MAX_BYTES {
        let problem = format!(
            "{} bytes are more than the {BULK_MAX_BYTES} allowed",
            body.len()
        );
        return Err(CallError::Refused {
            node: peer.name.clone(),
            problem,
        });
    }
    let pieces = pieces(&shared, voter, &body);
    let reply = over_any_link(&shared, &peer, deadline, |mut client| {
        let pieces = pieces.clone();
        async move { client.bulk(futures::stream::iter(pieces)).await }
    })
    .await?;
    check_reply(&shared, &peer, reply)
}

/// Passes an operator's command on.
pub(crate) async fn forward(
    shared: Arc<Shared>,
    peer: Arc<Peer>,
    what: What,
    deadline: Duration,
) -> Result<v1::CommandReply, CallError> {
    let request = v1::ForwardRequest {
        sender: Some(sender_to_wire(&shared.inbound.sender())),
        cluster_name: shared.settings.cluster_name.clone(),
        what: Some(what),
    };
    over_any_link(&shared, &peer, deadline, |mut client| {
        let request = request.clone();
        async move { client.forward(request).await }
    })
    .await
}

fn pieces(shared: &Shared, voter: VoterId, body: &[u8]) -> Vec<v1::BulkPiece> {
    let mut pieces: Vec<_> = body
        .chunks(BULK_PIECE_BYTES)
        .map(|part| v1::BulkPiece {
            head: None,
            total_bytes: 0,
            part: part.to_vec(),
        })
        .collect();
    if pieces.is_empty() {
        pieces.push(v1::BulkPiece::default());
    }
    pieces[0].head = Some(request(shared, voter, Vec::new()));
    pieces[0].total_bytes = body.len() as u64;
    pieces
}

/// Puts the pieces together again: the head with the whole body.
pub(crate) async fn gather(
    mut pieces: tonic::Streaming<v1::BulkPiece>,
    check: impl Fn(&v1::ConsensusRequest) -> Result<Sender, Status>,
) -> Result<(Sender, v1::ConsensusRequest), Status> {
    let first = pieces.message().await?.unwrap_or_default();
    let mut head = first
        .head
        .ok_or_else(|| Status::invalid_argument("a bulk request without its head"))?;
    // Nothing is stored for somebody who may not speak.
    let from = check(&head)?;
    let total = usize::try_from(first.total_bytes).unwrap_or(usize::MAX);
    if total > BULK_MAX_BYTES {
        return Err(Status::invalid_argument(format!(
            "a bulk request of {total} bytes"
        )));
    }
    head.body = first.part;
    while let Some(piece) = pieces.message().await? {
        head.body.extend_from_slice(&piece.part);
        if head.body.len() > total {
            break;
        }
    }
    if head.body.len() != total {
        return Err(Status::invalid_argument(format!(
            "a bulk request of {} bytes that was announced with {total}",
            head.body.len()
        )));
    }
    Ok((from, head))
}

/// Does something over the first link that carries it. What may have been carried out is not tried again here.
async fn over_any_link<T, F, R>(
    shared: &Shared,
    peer: &Arc<Peer>,
    deadline: Duration,
    act: F,
) -> Result<T, CallError>
where
    F: Fn(PeerClient<Channel>) -> R,
    R: Future<Output = Result<tonic::Response<T>, Status>>,
{
    let unreachable = |problem| CallError::Unreachable {
        node: peer.name.clone(),
        problem,
    };
    let attempt = async {
        let mut problem = "no link".to_owned();
        for link in peer.links_by_preference() {
            match dial(shared, &link).await {
                Err(error) => problem = error.to_string(),
                Ok(dialed) => {
                    let client = PeerClient::new(dialed.channel)
                        .max_decoding_message_size(MESSAGE_MAX_BYTES);
                    return act(client)
                        .await
                        .map(tonic::Response::into_inner)
                        .map_err(|status| {
                            refusal(peer, &status).unwrap_or_else(|| {
                                let text = status_text(&status);
                                if status.code() == Code::Unimplemented {
                                    return unreachable(format!("it takes no commands: {text}"));
                                }
                                CallError::Broken {
                                    node: peer.name.clone(),
                                    problem: text,
                                }
                            })
                        });
                }
            }
        }
        Err(unreachable(problem))
    };
    timeout(deadline, attempt).await.unwrap_or_else(|_| {
        Err(CallError::Timeout {
            node: peer.name.clone(),
            deadline,
        })
    })
}

/// The peer of this name.
pub(crate) fn peer(shared: &Shared, name: &NodeName) -> Result<Arc<Peer>, CallError> {
    shared
        .peers
        .get(name)
        .cloned()
        .ok_or_else(|| CallError::Unreachable {
            node: name.clone(),
            problem: "it is not in the cluster file".into(),
        })
}
