//! The guard: a process beside the daemon that outlives it, and ends with the host. It watches the deadlines of the gate
//! and takes an address off that nobody renews, by the real rule ([`had_core::guard`]).

use std::rc::Rc;
use std::time::Duration;

use had_core::guard::{Daemon, Verdict, judge};
use had_core::ids::GroupName;
use had_core::time::BootTime;

use super::addresses::Key;
use crate::cluster::Cluster;
use crate::plant::Planted;
use crate::runtime::{Dice, after};

/// The kernel wakes it so much late, and it looks at everything.
const BETWEEN_LOOKS_US: std::ops::Range<u64> = 1_000..8_000;

impl Cluster {
    /// The guard of a host looks now and then, for as long as the host stands.
    pub(crate) fn watch_over(self: &Rc<Self>, host: usize, mut dice: Dice) {
        let between = dice.between(BETWEEN_LOOKS_US.start, BETWEEN_LOOKS_US.end);
        let cluster = Rc::clone(self);
        after(Duration::from_micros(between), move || {
            if cluster.stands(host) {
                cluster.guard_looks(host);
            }
            cluster.watch_over(host, dice);
        });
    }

    fn guard_looks(self: &Rc<Self>, host: usize) {
        let daemon = if self.hosts[host].is_running() {
            Daemon::Lives
        } else {
            Daemon::Gone
        };
        if daemon == Daemon::Gone && self.planted == Some(Planted::GuardDiesWithTheDaemon) {
            return;
        }
        let now = self.boot(host);
        for (group, until) in self.guarded_here(host) {
            if judge(until, daemon, now) == Verdict::End {
                self.guard_ends(host, &group);
            }
        }
    }

    /// The groups with an address here that no operator takes care of, and their deadlines.
    pub(super) fn guarded_here(&self, host: usize) -> Vec<(GroupName, BootTime)> {
        let inner = self.hosts[host].inner.borrow();
        let mut groups: Vec<&GroupName> = inner.addresses.iter().map(|(group, _)| group).collect();
        groups.dedup();
        groups
            .into_iter()
            .filter(|group| !inner.left_alone.contains(*group))
            .map(|group| {
                let until = inner.gates.get(group).copied();
                (group.clone(), until.unwrap_or(BootTime::ZERO))
            })
            .collect()
    }

    fn guard_ends(self: &Rc<Self>, host: usize, group: &GroupName) {
        self.note_at(
            host,
            format!("the guard takes the addresses of {group} off"),
        );
        let keys: Vec<Key> = {
            let inner = self.hosts[host].inner.borrow();
            let addresses = inner.addresses.iter();
            addresses.filter(|(of, _)| of == group).cloned().collect()
        };
        for key in keys {
            self.set_address(host, &key, false);
        }
        self.taken_off(host, group);
    }

    /// Looks for addresses that stay although nobody may use them any more; `passed` since it was last looked.
    pub(crate) fn look_at_addresses(&self, passed: Duration) {
        for host in 0..self.hosts.len() {
            if !self.stands(host) {
                continue;
            }
            let (boot, running) = (self.boot(host), self.hosts[host].is_running());
            let over = |until: BootTime| {
                if until == BootTime::ZERO {
                    !running
                } else {
                    until <= boot
                }
            };
            let mut groups = self.guarded_here(host);
            groups.retain(|(_, until)| over(*until));
            let groups = groups.into_iter().map(|(group, _)| group).collect();
            let looked = {
                let guarded = &mut self.checks.borrow_mut().guarded;
                guarded.look(host, groups, passed)
            };
            self.expect(looked);
        }
    }
}
