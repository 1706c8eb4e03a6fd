//! Between openraft's requests and answers and the messages of the wire.

use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest,
    VoteRequest, VoteResponse,
};
use prost::Message;

use crate::runtime::Runtime;
use crate::types::{self, Snapshot, Types, Vote};
use crate::wire::{
    self, Answer, AnswerBody, Append, AppendAnswer, Ballot, BallotAnswer, InstallSnapshot, Outcome,
    Request, RequestBody, SnapshotAnswer, Transfer, TransferAnswer, WireError,
};

/// Why an answer cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AnswerError {
    #[error("the answer {0}")]
    Wire(#[from] WireError),
    #[error("the answer is not one to this request")]
    Other,
    #[error("not accepted: {0}")]
    NotAccepted(String),
}

pub(crate) fn encode_request(body: RequestBody) -> Vec<u8> {
    Request { body: Some(body) }.encode_to_vec()
}

pub(crate) fn decode_request(bytes: &[u8]) -> Result<RequestBody, WireError> {
    Request::decode(bytes)?
        .body
        .ok_or(WireError::Missing("what is asked"))
}

pub(crate) fn encode_answer(body: AnswerBody) -> Vec<u8> {
    Answer { body: Some(body) }.encode_to_vec()
}

pub(crate) fn decode_answer(bytes: &[u8]) -> Result<Answer, WireError> {
    Ok(Answer::decode(bytes)?)
}

fn vote(vote: Option<wire::Vote>) -> Result<Vote, WireError> {
    vote.map(Into::into).ok_or(WireError::Missing("a vote"))
}

pub(crate) fn append<R: Runtime>(request: &AppendEntriesRequest<Types<R>>) -> RequestBody {
    RequestBody::Append(Append {
        vote: Some((&request.vote).into()),
        previous: request.prev_log_id.as_ref().map(Into::into),
        entries: request.entries.iter().map(Into::into).collect(),
        committed: request.leader_commit.as_ref().map(Into::into),
    })
}

pub(crate) fn append_asked<R: Runtime>(
    request: Append,
) -> Result<AppendEntriesRequest<Types<R>>, WireError> {
    let entries: Result<Vec<types::Entry>, WireError> =
        request.entries.into_iter().map(TryInto::try_into).collect();
    Ok(AppendEntriesRequest {
        vote: vote(request.vote)?,
        prev_log_id: request.previous.map(Into::into),
        entries: entries?,
        leader_commit: request.committed.map(Into::into),
    })
}

/// A part of an append is never stored: `Raft::append_entries` answers for all of it.
pub(crate) fn append_answer<R: Runtime>(answer: &AppendEntriesResponse<Types<R>>) -> AnswerBody {
    let (outcome, vote) = match answer {
        AppendEntriesResponse::Success => (Outcome::Stored, None),
        AppendEntriesResponse::Conflict | AppendEntriesResponse::PartialSuccess(_) => {
            (Outcome::Conflict, None)
        }
        AppendEntriesResponse::HigherVote(vote) => (Outcome::HigherVote, Some(vote.into())),
    };
    AnswerBody::Append(AppendAnswer {
        outcome: outcome.into(),
        vote,
    })
}

pub(crate) fn append_answered<R: Runtime>(
    answer: &Answer,
) -> Result<AppendEntriesResponse<Types<R>>, AnswerError> {
    let Some(AnswerBody::Append(answer)) = &answer.body else {
        return Err(AnswerError::Other);
    };
    match answer.outcome() {
        Outcome::Stored => Ok(AppendEntriesResponse::Success),
        Outcome::Conflict => Ok(AppendEntriesResponse::Conflict),
        Outcome::HigherVote => Ok(AppendEntriesResponse::HigherVote(vote(answer.vote)?)),
        Outcome::Unknown => Err(AnswerError::Other),
    }
}

pub(crate) fn ballot<R: Runtime>(request: &VoteRequest<Types<R>>) -> Ballot {
    Ballot {
        vote: Some((&request.vote).into()),
        last: request.last_log_id.as_ref().map(Into::into),
        transfer: request.leadership_transfer,
    }
}

pub(crate) fn ballot_asked<R: Runtime>(
    request: Ballot,
) -> Result<VoteRequest<Types<R>>, WireError> {
    Ok(VoteRequest {
        vote: vote(request.vote)?,
        last_log_id: request.last.map(Into::into),
        leadership_transfer: request.transfer,
    })
}

pub(crate) fn ballot_answer<R: Runtime>(answer: &VoteResponse<Types<R>>) -> AnswerBody {
    AnswerBody::Ballot(BallotAnswer {
        vote: Some((&answer.vote).into()),
        granted: answer.vote_granted,
        last: answer.last_log_id.as_ref().map(Into::into),
    })
}

pub(crate) fn ballot_answered<R: Runtime>(
    answer: &Answer,
) -> Result<VoteResponse<Types<R>>, AnswerError> {
    let Some(AnswerBody::Ballot(answer)) = &answer.body else {
        return Err(AnswerError::Other);
    };
    let last = answer.last.map(Into::into);
    Ok(VoteResponse::new(vote(answer.vote)?, last, answer.granted))
}

pub(crate) fn snapshot(vote: &Vote, snapshot: &Snapshot) -> RequestBody {
    RequestBody::Snapshot(InstallSnapshot {
        vote: Some(vote.into()),
        snapshot: Some(snapshot.into()),
    })
}

pub(crate) fn snapshot_asked(request: InstallSnapshot) -> Result<(Vote, Snapshot), WireError> {
    let snapshot = request.snapshot.ok_or(WireError::Missing("the snapshot"))?;
    Ok((vote(request.vote)?, snapshot.try_into()?))
}

pub(crate) fn snapshot_answer<R: Runtime>(answer: &SnapshotResponse<Types<R>>) -> AnswerBody {
    AnswerBody::Snapshot(SnapshotAnswer {
        vote: Some((&answer.vote).into()),
    })
}

pub(crate) fn snapshot_answered<R: Runtime>(
    answer: &Answer,
) -> Result<SnapshotResponse<Types<R>>, AnswerError> {
    let Some(AnswerBody::Snapshot(answer)) = &answer.body else {
        return Err(AnswerError::Other);
    };
    Ok(SnapshotResponse::new(vote(answer.vote)?))
}

pub(crate) fn transfer<R: Runtime>(request: &TransferLeaderRequest<Types<R>>) -> RequestBody {
    RequestBody::Transfer(Transfer {
        from: Some(request.from_leader().into()),
        to: *request.to_node_id(),
        last: request.last_log_id().map(Into::into),
    })
}

pub(crate) fn transfer_asked<R: Runtime>(
    request: Transfer,
) -> Result<TransferLeaderRequest<Types<R>>, WireError> {
    let last = request.last.map(Into::into);
    Ok(TransferLeaderRequest::new(
        vote(request.from)?,
        request.to,
        last,
    ))
}

pub(crate) fn transfer_answer(refused: Option<String>) -> AnswerBody {
    AnswerBody::Transfer(TransferAnswer { refused })
}

pub(crate) fn transfer_answered(answer: &Answer) -> Result<(), AnswerError> {
    let Some(AnswerBody::Transfer(answer)) = &answer.body else {
        return Err(AnswerError::Other);
    };
    match &answer.refused {
        None => Ok(()),
        Some(why) => Err(AnswerError::NotAccepted(why.clone())),
    }
}
