//! Commands, scenarios and their answers, between the wire and the core.

use had_core::ids::{CommandId, GroupName, NodeName, ProcessId};
use had_core::ports::{GroupAction, Reply, Request};
use had_policies::Scenario;
use had_proto::v1;
use had_proto::v1::command_reply::Outcome;
use had_proto::v1::command_request::Command;
use had_proto::v1::group_command::Action;

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
        Command::GroupCommand(v1::GroupCommand { group, action }) => Request::Group {
            group: group.into(),
            action: group_action(action)?,
        },
        Command::Maintenance(v1::Maintenance { group, on }) => Request::Maintenance {
            group: group.map(GroupName::from),
            on,
        },
    };
    Ok((id, request))
}

fn group_action(number: i32) -> Result<GroupAction, &'static str> {
    match Action::try_from(number) {
        Ok(Action::Start) => Ok(GroupAction::Start),
        Ok(Action::Stop) => Ok(GroupAction::Stop),
        Ok(Action::Clear) => Ok(GroupAction::Clear),
        Ok(Action::Unspecified) | Err(_) => {
            Err("a group command with an action that this version does not know")
        }
    }
}

pub(super) fn scenario(request: v1::SimulateRequest) -> Result<Scenario, &'static str> {
    let names = |nodes: Vec<String>| nodes.into_iter().map(NodeName::from).collect();
    let v1::SimulateRequest { lose, split } = request;
    match (lose.is_empty(), split.is_empty()) {
        (false, true) => Ok(Scenario::Lose(names(lose))),
        (true, false) => {
            let sides = split.into_iter().map(|side| names(side.nodes));
            Ok(Scenario::Split(sides.collect()))
        }
        (true, true) => Err("a simulation of nothing: name nodes to lose, or the sides of a split"),
        (false, false) => Err("a simulation is either of a loss or of a split"),
    }
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
