//! The end of the daemon: hand over, take down, leave.

use super::Node;
use crate::ports::{Command, Level};
use crate::spec::SHUTDOWN_TIMEOUT;
use crate::time::Now;

impl Node {
    pub(super) fn begin_to_leave(&mut self, now: Now, out: &mut Vec<Command>) {
        if self.leaving.is_none() {
            self.leaving = Some(now.mono);
            self.look_and_report(now);
            let text = "asked to end: handing over".to_owned();
            out.push(Command::Log {
                level: Level::Info,
                text,
            });
        }
    }

    /// Releases what it holds and says so to everybody: a leader that has led for a lease then needs not wait for the end of
    /// this node's. What is in maintenance is not touched; it falls silent when the process ends.
    pub(super) fn give_everything_up(&mut self, now: Now, reason: &str) {
        for group in self.groups.values_mut() {
            group.host_fails(reason);
        }
        self.look_and_report(now);
        self.next_heartbeat = now.mono;
    }

    /// Ends when nothing is owned any more, or when waiting has no use.
    pub(super) fn leave_when_done(&mut self, now: Now, out: &mut Vec<Command>) {
        let Some(since) = self.leaving else { return };
        if self.exited {
            return;
        }
        let owns = self
            .state
            .owned_by(&self.me.node)
            .any(|group| !self.state.in_maintenance(group));
        let awaited = self
            .state
            .groups
            .values()
            .any(|group| group.unreleased.contains_key(&self.me.node));
        let down = self.groups.values().all(crate::group::LocalGroup::is_down);
        let leads = self.leader.is_some() && self.own.spec.nodes.len() > 1;
        let alone = !self.leased && now.mono.since(since) >= self.timing.lease * 2;
        let handed_over = !owns && !awaited && !leads;
        if (handed_over || alone || now.mono.since(since) >= SHUTDOWN_TIMEOUT)
            && self.take_down(now, down, out)
        {
            self.exited = true;
            out.push(Command::Exit);
        }
    }

    /// Takes everything down that is up. Whether it is, or waiting longer has no use.
    fn take_down(&mut self, now: Now, down: bool, out: &mut Vec<Command>) -> bool {
        if down {
            return true;
        }
        if !std::mem::replace(&mut self.takes_down, true) {
            self.reconcile_groups(now, out);
        }
        let limit = SHUTDOWN_TIMEOUT + self.timing.lease;
        self.leaving
            .is_none_or(|since| now.mono.since(since) >= limit)
    }
}
