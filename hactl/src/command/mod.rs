//! One file a command, or a family of them.

mod change;
mod events;
mod status;

use had_proto::v1::command_request::Command as Change;
use had_proto::v1::{Drain, Failback, Failover};

use crate::args::{Args, ClusterCommand, Command, NodeCommand};
use crate::daemon::Wish;
use crate::failure::Failure;

/// Does what the user asks for.
pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let Args {
        target,
        json,
        command,
    } = args;
    let wish = match command {
        Command::Status { group, watch } => {
            return status::run(&target, group.as_ref(), watch, json).await;
        }
        Command::Events { follow, since } => {
            return events::run(&target, since.as_deref(), follow, json).await;
        }
        Command::Failover { group, to } => Wish::Command(Change::Failover(Failover {
            group: group.to_string(),
            to: to.map(|node| node.to_string()),
        })),
        Command::Failback { group } => Wish::Command(Change::Failback(Failback {
            group: group.to_string(),
        })),
        Command::Node(NodeCommand::Drain { node }) => Wish::Command(Change::Drain(Drain {
            node: node.to_string(),
            drained: true,
        })),
        Command::Node(NodeCommand::Resume { node }) => Wish::Command(Change::Drain(Drain {
            node: node.to_string(),
            drained: false,
        })),
        Command::Cluster(ClusterCommand::Init { nodes }) => {
            Wish::Init(nodes.iter().map(ToString::to_string).collect())
        }
    };
    change::run(&target, &wish, json).await
}
