//! One file a command, or a family of them.

mod change;
mod config;
mod documents;
mod events;
mod explain;
mod pki;
mod simulate;
mod status;
mod when;

use had_core::ids::{GroupName, NodeName};
use had_policies::Scenario;
use had_proto::v1::command_request::Command as Change;
use had_proto::v1::group_command::Action;
use had_proto::v1::{Drain, Failback, Failover, GroupCommand as Act, Maintenance};

use crate::args::{
    Args, ClusterCommand, Command, ConfigCommand, GroupCommand, MaintenanceCommand, NodeCommand,
    PkiCommand,
};
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
        Command::Explain { group, at } => {
            return explain::run(&target, &group, at.as_deref(), json).await;
        }
        Command::Simulate { what, file } => {
            let scenario = Scenario::from(what);
            return simulate::run(&target, &scenario, file.as_deref(), json).await;
        }
        Command::Config(ConfigCommand::Check { file }) => return config::check(&file, json),
        Command::Pki(PkiCommand::Init { dir, days }) => return pki::init(&dir, days, json),
        Command::Pki(PkiCommand::Issue {
            name,
            operator,
            dir,
            days,
        }) => {
            let holder = if operator {
                pki::Holder::Operator(name)
            } else {
                pki::Holder::Node(name)
            };
            return pki::issue(&holder, &dir, days, json);
        }
        Command::Completions { shell } => return documents::completions(shell),
        Command::Man { dir } => return documents::man(dir.as_deref()),
        Command::Failover { group, to } => Wish::Command(Change::Failover(Failover {
            group: group.to_string(),
            to: to.map(|node| node.to_string()),
        })),
        Command::Failback { group } => Wish::Command(Change::Failback(Failback {
            group: group.to_string(),
        })),
        Command::Node(NodeCommand::Drain { node }) => drain(&node, true),
        Command::Node(NodeCommand::Resume { node }) => drain(&node, false),
        Command::Group(GroupCommand::Start { group }) => act(&group, Action::Start),
        Command::Group(GroupCommand::Stop { group }) => act(&group, Action::Stop),
        Command::Group(GroupCommand::Clear { group }) => act(&group, Action::Clear),
        Command::Maintenance(MaintenanceCommand::On { group }) => maintenance(group.as_ref(), true),
        Command::Maintenance(MaintenanceCommand::Off { group }) => {
            maintenance(group.as_ref(), false)
        }
        Command::Cluster(ClusterCommand::Init { nodes }) => {
            Wish::Init(nodes.iter().map(ToString::to_string).collect())
        }
    };
    change::run(&target, &wish, json).await
}

fn drain(node: &NodeName, drained: bool) -> Wish {
    Wish::Command(Change::Drain(Drain {
        node: node.to_string(),
        drained,
    }))
}

fn act(group: &GroupName, action: Action) -> Wish {
    Wish::Command(Change::GroupCommand(Act {
        group: group.to_string(),
        action: action.into(),
    }))
}

fn maintenance(group: Option<&GroupName>, on: bool) -> Wish {
    Wish::Command(Change::Maintenance(Maintenance {
        group: group.map(ToString::to_string),
        on,
    }))
}
