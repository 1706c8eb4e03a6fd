//! The core's messages as they go over the wire, and back.
//!
//! What arrives is checked here once: nothing behind this module sees an unset field or an unknown word.

mod report;

use std::time::Duration;

use had_core::ids::{Epoch, GroupName, LeaderId, Sequence, VoterId};
use had_core::message::{Answer, Ask, Message, Outcome, Refusal};
use had_core::time::nanos;
use had_proto::v1::{self, frame::Body};

/// Why a frame cannot be read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WireError {
    /// A field that must be there is not.
    #[error("{message} without its {field}")]
    Missing {
        /// The protobuf message.
        message: &'static str,
        /// The field.
        field: &'static str,
    },
    /// A word that this version does not know.
    #[error("{message} with the unknown {field} {number}")]
    Unknown {
        /// The protobuf message.
        message: &'static str,
        /// The field.
        field: &'static str,
        /// Its number.
        number: i32,
    },
    /// The same name twice in one message.
    #[error("a report with the group {0} twice")]
    Twice(GroupName),
    /// The body is none of the core's messages.
    #[error("a frame that is no message")]
    NoMessage,
}

/// A message as the body of a frame.
#[must_use]
pub fn encode(message: &Message) -> Body {
    match message {
        Message::Heartbeat(report) => Body::Heartbeat(report::encode(report)),
        Message::Ask(ask) => Body::Ask(v1::Ask {
            sequence: ask.sequence.0,
            lease_ns: nanos(ask.lease),
            report: ask.report.as_ref().map(report::encode),
            unanswered: ask.unanswered,
        }),
        Message::Answer(answer) => Body::Answer(encode_answer(answer)),
        Message::Prepared { group, epoch } => Body::Prepared(v1::Prepared {
            group: group.as_str().to_owned(),
            epoch: epoch.0,
        }),
        Message::Released { group, epoch } => Body::Released(v1::Released {
            group: group.as_str().to_owned(),
            epoch: epoch.0,
        }),
    }
}

/// The message in the body of a frame.
///
/// # Errors
/// Where something is missing or unknown, or the body is for the connection alone.
pub fn decode(body: Body) -> Result<Message, WireError> {
    Ok(match body {
        Body::Heartbeat(report) => Message::Heartbeat(report::decode(report)?),
        Body::Ask(ask) => Message::Ask(Ask {
            sequence: Sequence(ask.sequence),
            lease: Duration::from_nanos(ask.lease_ns),
            report: ask.report.map(report::decode).transpose()?,
            unanswered: ask.unanswered,
        }),
        Body::Answer(answer) => Message::Answer(decode_answer(&answer)?),
        Body::Prepared(v1::Prepared { group, epoch }) => Message::Prepared {
            group: group.into(),
            epoch: Epoch(epoch),
        },
        Body::Released(v1::Released { group, epoch }) => Message::Released {
            group: group.into(),
            epoch: Epoch(epoch),
        },
        Body::Hello(_) | Body::Ping(_) | Body::Pong(_) => return Err(WireError::NoMessage),
    })
}

fn encode_answer(answer: &Answer) -> v1::Answer {
    use v1::answer::Outcome as Wire;
    let outcome = match &answer.outcome {
        Outcome::Granted { duration, index } => Wire::Granted(v1::Grant {
            duration_ns: nanos(*duration),
            index: *index,
        }),
        Outcome::Refused(refusal) => Wire::Refused(encode_refusal(refusal).into()),
    };
    v1::Answer {
        sequence: answer.sequence.0,
        leader_term: answer.leader.term,
        leader_voter: answer.leader.voter.0,
        outcome: Some(outcome),
    }
}

fn decode_answer(answer: &v1::Answer) -> Result<Answer, WireError> {
    use v1::answer::Outcome as Wire;
    let outcome = match answer.outcome.as_ref() {
        Some(Wire::Granted(grant)) => Outcome::Granted {
            duration: Duration::from_nanos(grant.duration_ns),
            index: grant.index,
        },
        Some(Wire::Refused(number)) => Outcome::Refused(decode_refusal(*number)?),
        None => {
            return Err(WireError::Missing {
                message: "an answer",
                field: "outcome",
            });
        }
    };
    let leader = LeaderId {
        term: answer.leader_term,
        voter: VoterId(answer.leader_voter),
    };
    Ok(Answer {
        sequence: Sequence(answer.sequence),
        leader,
        outcome,
    })
}

fn encode_refusal(refusal: &Refusal) -> v1::Refusal {
    match refusal {
        Refusal::NoQuorum => v1::Refusal::NoQuorum,
        Refusal::Deciding => v1::Refusal::Deciding,
        Refusal::NotAVoter => v1::Refusal::NotAVoter,
        Refusal::NameTaken => v1::Refusal::NameTaken,
        Refusal::OtherLease => v1::Refusal::OtherLease,
        Refusal::Unheard => v1::Refusal::Unheard,
    }
}

fn decode_refusal(number: i32) -> Result<Refusal, WireError> {
    Ok(match v1::Refusal::try_from(number) {
        Ok(v1::Refusal::NoQuorum) => Refusal::NoQuorum,
        Ok(v1::Refusal::Deciding) => Refusal::Deciding,
        Ok(v1::Refusal::NotAVoter) => Refusal::NotAVoter,
        Ok(v1::Refusal::NameTaken) => Refusal::NameTaken,
        Ok(v1::Refusal::OtherLease) => Refusal::OtherLease,
        Ok(v1::Refusal::Unheard) => Refusal::Unheard,
        Ok(v1::Refusal::Unspecified) | Err(_) => {
            return Err(WireError::Unknown {
                message: "an answer",
                field: "refusal",
                number,
            });
        }
    })
}

#[cfg(test)]
mod tests;
