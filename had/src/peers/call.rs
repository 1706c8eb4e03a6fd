//! Calls of the consensus: one request, one answer, over whichever link answers first.
//!
//! A call starts on the connection that answered last. When a quarter of its deadline has passed without an answer it is
//! sent again over the next one, and on an error at once, so that a cut link or one lost segment does not stall the
//! consensus. The same request twice is harmless: every answer is to the request that it came for.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use had_core::ids::VoterId;
use had_proto::v1;
use had_proto::v1::peer_client::PeerClient;
use tokio::sync::Notify;
use tokio::time::{interval, timeout};
use tonic::transport::Channel;
use tonic::{Code, Status};

use super::bounds::{CALL_TRIES, MESSAGE_MAX_BYTES, RETRY_FIRST, RETRY_OTHERS};
use super::dial::{dial, status_text};
use super::hello::{self, sender_to_wire};
use super::links::{Link, Peer};
use super::open::rest;
use super::{CallError, Shared};

/// The share of the deadline after which a call is sent over the next connection too.
const HEDGE_SHARE: u32 = 4;
/// But never sooner than this: an fsync on the other side takes its time.
const HEDGE_MIN: Duration = Duration::from_millis(3);

/// One connection for calls, kept open.
#[derive(Debug)]
pub(crate) struct CallLane {
    link: Arc<Link>,
    state: Mutex<LaneState>,
    broken: Notify,
}

#[derive(Debug, Default)]
struct LaneState {
    channel: Option<Channel>,
    /// The first call since the last answer.
    unanswered_since: Option<Instant>,
}

impl CallLane {
    pub(crate) fn new(link: Arc<Link>) -> Self {
        Self {
            link,
            state: Mutex::default(),
            broken: Notify::new(),
        }
    }

    /// Keeps the connection for as long as the daemon runs.
    pub(crate) async fn keep(self: Arc<Self>, shared: Arc<Shared>) {
        let mut wakes = self.link.wakes();
        let mut pause = RETRY_FIRST;
        loop {
            wakes.borrow_and_update();
            pause = (pause * 2).min(RETRY_OTHERS);
            if let Ok(dialed) = dial(&shared, &self.link).await {
                let stood = Instant::now();
                *self.lock() = LaneState {
                    channel: Some(dialed.channel),
                    unanswered_since: None,
                };
                tokio::select! {
                    _ = dialed.over => {}
                    () = self.broken.notified() => {}
                }
                self.lock().channel = None;
                // One that is ended at once is turned away there: no haste.
                if stood.elapsed() > shared.pace.silence {
                    pause = RETRY_FIRST;
                }
            }
            pause = rest(pause, &mut wakes).await;
        }
    }

    /// The connection for a try, where there is one. A lane that has not answered for long is opened anew.
    fn begin(&self, patience: Duration) -> Option<Channel> {
        let mut state = self.lock();
        let channel = state.channel.clone()?;
        let since = *state.unanswered_since.get_or_insert_with(Instant::now);
        if since.elapsed() > patience {
            state.channel = None;
            self.broken.notify_one();
            return None;
        }
        Some(channel)
    }

    fn answered(&self) {
        self.lock().unanswered_since = None;
    }

    /// Another lane answered first: what was begun here since then says nothing about this lane.
    fn overtaken(&self, call_began: Instant) {
        let mut state = self.lock();
        state.unanswered_since = state.unanswered_since.filter(|since| *since < call_began);
    }

    fn lock(&self) -> MutexGuard<'_, LaneState> {
        self.state
            .lock()
            .expect("nothing panics while it holds a lane")
    }
}

/// Calls a peer's consensus.
pub(crate) async fn call(
    shared: Arc<Shared>,
    peer: Arc<Peer>,
    voter: VoterId,
    body: Vec<u8>,
    deadline: Duration,
) -> Result<Vec<u8>, CallError> {
    let request = request(&shared, voter, body);
    timeout(deadline, hedged(&shared, &peer, &request, deadline))
        .await
        .unwrap_or_else(|_| {
            Err(CallError::Timeout {
                node: peer.name.clone(),
                deadline,
            })
        })
}

/// A call's message.
pub(crate) fn request(shared: &Shared, voter: VoterId, body: Vec<u8>) -> v1::ConsensusRequest {
    v1::ConsensusRequest {
        sender: Some(sender_to_wire(&shared.inbound.sender())),
        cluster_name: shared.settings.cluster_name.clone(),
        to_voter: voter.0,
        body,
    }
}

async fn hedged(
    shared: &Shared,
    peer: &Peer,
    request: &v1::ConsensusRequest,
    deadline: Duration,
) -> Result<Vec<u8>, CallError> {
    let first = peer.answered_last.load(Ordering::Relaxed);
    let count = peer.lanes.len();
    let patience = shared.pace.silence;
    let began = Instant::now();
    let mut next = (0..count)
        .map(|offset| (first + offset) % count)
        .filter_map(|index| {
            let channel = peer.lanes[index].begin(patience)?;
            Some(attempt(index, channel, request.clone()))
        });
    let mut tries = FuturesUnordered::new();
    let mut hedge = interval((deadline / HEDGE_SHARE).max(HEDGE_MIN));
    let mut problem = "not connected".to_owned();
    let mut begun = 0;
    loop {
        tokio::select! {
            _ = hedge.tick() => {
                if begun < CALL_TRIES && let Some(attempt) = next.next() {
                    begun += 1;
                    tries.push(attempt);
                }
            }
            Some((index, outcome)) = tries.next() => {
                match settle(shared, peer, index, outcome) {
                    Settled::Done(result) => {
                        peer.lanes.iter().for_each(|lane| lane.overtaken(began));
                        return result;
                    }
                    Settled::Failed(text) => problem = text,
                }
                hedge.reset_immediately();
            }
        }
        if tries.is_empty() && (begun == CALL_TRIES || next.size_hint().1 == Some(0)) {
            return Err(CallError::Unreachable {
                node: peer.name.clone(),
                problem,
            });
        }
    }
}

async fn attempt(
    index: usize,
    channel: Channel,
    request: v1::ConsensusRequest,
) -> (usize, Result<v1::ConsensusReply, Status>) {
    let mut client = PeerClient::new(channel).max_decoding_message_size(MESSAGE_MAX_BYTES);
    (
        index,
        client
            .consensus(request)
            .await
            .map(tonic::Response::into_inner),
    )
}

enum Settled {
    /// The peer has spoken.
    Done(Result<Vec<u8>, CallError>),
    /// The connection failed.
    Failed(String),
}

fn settle(
    shared: &Shared,
    peer: &Peer,
    index: usize,
    outcome: Result<v1::ConsensusReply, Status>,
) -> Settled {
    let spoke = || {
        peer.lanes[index].answered();
        peer.answered_last.store(index, Ordering::Relaxed);
    };
    match outcome {
        Ok(reply) => {
            spoke();
            Settled::Done(check_reply(shared, peer, reply))
        }
        Err(status) => match refusal(peer, &status) {
            Some(error) => {
                spoke();
                Settled::Done(Err(error))
            }
            None => Settled::Failed(status_text(&status)),
        },
    }
}

/// What the peer itself said against a call, apart from what happened on the way.
pub(crate) fn refusal(peer: &Peer, status: &Status) -> Option<CallError> {
    let spoken = [
        Code::FailedPrecondition,
        Code::NotFound,
        Code::Aborted,
        Code::InvalidArgument,
    ];
    spoken.contains(&status.code()).then(|| CallError::Refused {
        node: peer.name.clone(),
        problem: status.message().to_owned(),
    })
}

/// The answer's body, if the one who was meant has answered.
pub(crate) fn check_reply(
    shared: &Shared,
    peer: &Peer,
    reply: v1::ConsensusReply,
) -> Result<Vec<u8>, CallError> {
    let refused = |problem| CallError::Refused {
        node: peer.name.clone(),
        problem,
    };
    let theirs =
        hello::sender(reply.sender.as_ref()).map_err(|unfit| refused(unfit.to_string()))?;
    if theirs.node != peer.name {
        return Err(refused(format!("{} answered", theirs.node)));
    }
    hello::check_cluster(&shared.inbound.sender(), &theirs)
        .and_then(|()| shared.lives.admit(&theirs))
        .map_err(|unfit| refused(unfit.to_string()))?;
    Ok(reply.body)
}
