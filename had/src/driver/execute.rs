//! What becomes of each command.

use had_core::ports::{Command, Level};

use super::gates::Set;
use super::{Driver, Ended};

impl Driver {
    /// Executes one command; a gate is set before this returns.
    pub(super) fn execute(&mut self, command: Command) -> Result<Option<Ended>, String> {
        match command {
            Command::Gate { group, until } => {
                if self.gates.set(&group, until)? == Set::More {
                    self.outlets.net.look();
                }
            }
            Command::Resource {
                group,
                resource,
                up,
                probe,
            } => {
                if up {
                    self.gates.prepares(&group);
                }
                self.outlets.net.want(&group, &resource.name, up, probe);
            }
            Command::HandsOff { group, on } => {
                self.gates.hands_off(&group, on);
                self.outlets.net.hands_off(&group, on);
            }
            Command::Announce { group, on } => self.outlets.net.announce(&group, on),
            Command::Send { to, message } => self.outlets.send(&to, message),
            Command::Answer { via, message } => self.outlets.answer(via, message),
            Command::Propose {
                proposal,
                leader,
                entry,
            } => {
                self.outlets.propose(proposal, leader, &entry);
            }
            Command::Transfer { to } => {
                let name = self.node.state().0.name_of(to).cloned();
                self.outlets.transfer(to, name);
            }
            Command::ReplaceVoter { node, old, new } => self.outlets.replace_voter(node, old, new),
            Command::Form { voters } => self.outlets.form(voters),
            Command::Reply { request, reply } => self.outlets.replies.answer(request, reply),
            Command::Log {
                level: Level::Info,
                text,
            } => tracing::info!("{text}"),
            Command::Log {
                level: Level::Warn,
                text,
            } => tracing::warn!("{text}"),
            Command::Exit => return Ok(Some(Ended::AsAsked)),
        }
        Ok(None)
    }
}
