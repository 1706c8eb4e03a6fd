//! What others hear of a group from this node.

use super::{LocalGroup, LocalResource, Situation};
use crate::ids::{Epoch, NodeName};
use crate::message::{GroupReport, Message, NOT_YET_CHECKED, Phase, ResourceReport, ResourceState};
use crate::ports::{Command, ResourceStatus};
use crate::state::GroupState;
use crate::time::MonoTime;

impl LocalGroup {
    /// What others must hear from this node about the group, for as long as the state stands.
    fn to_say(&self, situation: Situation<'_>) -> Vec<(NodeName, Message)> {
        let (group, state) = (self.name(), situation.state);
        if self.phase == Phase::Prepared {
            let epoch = state.epoch;
            let waited_for = state.unreleased.keys().filter(|node| *node != situation.me);
            return waited_for
                .map(|node| {
                    (
                        node.clone(),
                        Message::Prepared {
                            group: group.clone(),
                            epoch,
                        },
                    )
                })
                .collect();
        }
        match (&state.owner, state.unreleased.get(situation.me)) {
            (Some(owner), Some(epoch))
                if owner != situation.me && self.is_shut() && self.sealed >= *epoch =>
            {
                vec![(
                    owner.clone(),
                    Message::Released {
                        group: group.clone(),
                        epoch: *epoch,
                    },
                )]
            }
            _ => Vec::new(),
        }
    }

    pub(super) fn say_changes(&mut self, situation: Situation<'_>, out: &mut Vec<Command>) {
        let to_say = self.to_say(situation);
        if to_say != self.said {
            self.said = to_say;
            self.say_again(out);
        }
    }

    /// Says again what was said: a message may have been lost.
    pub fn say_again(&self, out: &mut Vec<Command>) {
        for (to, message) in &self.said {
            out.push(Command::Send {
                to: to.clone(),
                message: message.clone(),
            });
        }
    }

    /// What this node reports about the group.
    #[must_use]
    pub fn report(&self, state: &GroupState, now: MonoTime) -> GroupReport {
        let unknown = || (!self.readiness_known()).then(|| NOT_YET_CHECKED.to_owned());
        GroupReport {
            epoch: state.epoch,
            phase: self.phase,
            since: self.since,
            not_ready: self.not_ready().or_else(unknown),
            banned: self.banned(now),
            claimed: self
                .claimed
                .as_ref()
                .filter(|(_, until)| now < *until)
                .map(|(text, _)| text.clone()),
            released: (self.is_shut() && self.sealed > Epoch(0)).then_some(self.sealed),
            given_up: self
                .given_up
                .as_ref()
                .filter(|(epoch, _)| *epoch == state.epoch)
                .map(|(_, reason)| reason.clone()),
            resources: self.resources.iter().map(LocalResource::report).collect(),
        }
    }
}

impl LocalResource {
    fn report(&self) -> ResourceReport {
        let (state, detail) = match (&self.status, self.wanted) {
            (ResourceStatus::Up(detail), _) => (ResourceState::Running, detail.clone()),
            (ResourceStatus::Failed(reason), _) => (ResourceState::Failed, reason.clone()),
            (ResourceStatus::Down, true) => (ResourceState::Starting, String::new()),
            (ResourceStatus::Down, false) => (ResourceState::Stopped, String::new()),
        };
        ResourceReport {
            name: self.spec.name.clone(),
            state,
            detail,
        }
    }
}
