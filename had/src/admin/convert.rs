//! Commands and their answers, between the wire and the core.

use had_core::ids::{CommandId, NodeName, ProcessId};
use had_core::ports::{Reply, Request};
use had_proto::v1;
use had_proto::v1::command_reply::Outcome;
use had_proto::v1::command_request::Command;

pub(super) fn command_id(id: Option<v1::CommandId>) -> Result<CommandId, &'static str> {
    let id = id.ok_or("a command without its id")?;
    Ok(CommandId {
        process: ProcessId(id.process),
        number: id.number,
    })
}

pub(super) fn request(request: v1::CommandRequest) -> Result<(CommandId, Request), &'static str> {
    let id = command_id(request.id)?;
    let request = match request
        .command
        .ok_or("a command that this version does not know")?
    {
        Command::Failover(v1::Failover { group, to }) => Request::Failover {
            group: group.into(),
            to: to.map(NodeName::from),
        },
        Command::Failback(v1::Failback { group }) => Request::Failback {
            group: group.into(),
        },
        Command::Drain(v1::Drain { node, drained }) => Request::Drain {
            node: node.into(),
            drained,
        },
    };
    Ok((id, request))
}

pub(super) fn reply(node: &NodeName, reply: Reply) -> v1::CommandReply {
    let outcome = match reply {
        Reply::Done {
            text,
            moved,
            took_ms,
        } => {
            let moved = moved.into_iter().map(|(group, owner)| v1::Moved {
                group: group.as_str().to_owned(),
                owner: owner.map(|owner| owner.as_str().to_owned()),
            });
            Outcome::Done(v1::Done {
                text,
                moved: moved.collect(),
                took_ms,
            })
        }
        Reply::Refused(text) => Outcome::Refused(v1::Refused { text }),
        Reply::NotLeader(leader) => Outcome::NotLeader(v1::NotLeader {
            text: match &leader {
                Some(leader) => format!("{leader} leads, not {node}"),
                None => format!("{node} knows of no leader"),
            },
            leader: leader.map(|leader| leader.as_str().to_owned()),
        }),
        Reply::NoQuorum(text) => Outcome::NoQuorum(v1::NoQuorum { text }),
    };
    v1::CommandReply {
        outcome: Some(outcome),
        answered_by: node.as_str().to_owned(),
    }
}

/// An answer that this node gives for lack of one.
pub(super) fn outcome(node: &NodeName, outcome: Outcome) -> v1::CommandReply {
    v1::CommandReply {
        outcome: Some(outcome),
        answered_by: node.as_str().to_owned(),
    }
}
