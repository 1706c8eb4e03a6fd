//! The guard: a process beside the daemon that outlives it, and ends with the host. It watches what its daemon told it, and
//! takes an address off that nobody renews, by the real rules ([`had_core::guard`]). A later life of the daemon brings its own.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use had_core::guard::{Care, Cares, Charge, Daemon, Watch};
use had_core::ids::GroupName;
use had_core::time::BootTime;

use super::addresses::Key;
use super::{Host, Inner};
use crate::check::Guarded;
use crate::cluster::Cluster;
use crate::plant::Planted;
use crate::runtime::{Dice, after};

/// The kernel wakes it so much late, and it looks at everything.
const BETWEEN_LOOKS_US: std::ops::Range<u64> = 1_000..8_000;
/// One that ended is missed within a second by a daemon that runs.
const MISSED_AFTER_US: std::ops::Range<u64> = 5_000..1_000_000;
/// One of so many starts late, per mille…
const LATE_PER_MILLE: u64 = 100;
/// … by this: its program comes from a busy disk.
const LATE_US: std::ops::Range<u64> = 1_000..400_000;

/// One guard.
#[derive(Debug)]
pub(super) struct Guard {
    /// The life of the daemon that brought it.
    life: u64,
    watch: Watch,
    cares: Cares,
    ledger: BTreeMap<GroupName, BootTime>,
    /// It is dead or frozen, or not there yet.
    away: bool,
}

impl Guard {
    fn charge(&mut self, groups: impl Iterator<Item = GroupName>, planted: Option<Planted>) {
        let charge = |group: GroupName| {
            let care = self.cares.of(&group)?;
            let charged = planted != Some(Planted::InheritedUncharged) || care != Care::Inherits;
            charged.then_some(Charge {
                group,
                place: 0,
                addresses: Vec::new(),
                care,
            })
        };
        let charges = groups.filter_map(charge).collect();
        self.watch.charge(charges);
    }
}

impl Inner {
    /// What a guard knows of its daemon.
    fn daemon_of(&self, guard: &Guard) -> Daemon {
        if self.running && guard.life == self.lives {
            Daemon::Lives
        } else {
            Daemon::Gone
        }
    }

    /// The guard that the present daemon brought.
    fn own_guard(&mut self) -> Option<&mut Guard> {
        let lives = self.lives;
        self.guards.last_mut().filter(|guard| guard.life == lives)
    }

    fn charge_guard(&mut self, planted: Option<Planted>) {
        let groups: Vec<GroupName> = self.guarded.keys().cloned().collect();
        if let Some(guard) = self.own_guard() {
            guard.charge(groups.into_iter(), planted);
        }
    }

    /// The core says whether an operator takes care of a group.
    pub(super) fn tell_guard(&mut self, group: &GroupName, on: bool, planted: Option<Planted>) {
        if self
            .own_guard()
            .is_some_and(|guard| guard.cares.hands_off(group, on))
        {
            self.charge_guard(planted);
        }
    }

    /// Another configuration has other groups.
    pub(super) fn tell_guard_of_groups(&mut self, planted: Option<Planted>) {
        self.charge_guard(planted);
    }

    /// A deadline was written by the daemon.
    pub(super) fn note_for_guard(&mut self, group: &GroupName, until: BootTime) {
        if self.running
            && let Some(guard) = self.own_guard()
        {
            guard.ledger.insert(group.clone(), until);
        }
    }
}

impl Host {
    /// Its guard is away; where it has one. Of which life it is.
    fn loses_guard(&self) -> Option<u64> {
        let mut inner = self.inner.borrow_mut();
        let guard = inner.guards.last_mut().filter(|guard| !guard.away)?;
        guard.away = true;
        Some(guard.life)
    }

    /// The same guard is there again; one that is `new` has to be told everything.
    fn has_guard(&self, life: u64, new: bool, planted: Option<Planted>) {
        let mut inner = self.inner.borrow_mut();
        let guard = inner.guards.last_mut();
        let Some(guard) = guard.filter(|guard| guard.life == life) else {
            return;
        };
        guard.away = false;
        if new {
            guard.watch = Watch::default();
            inner.charge_guard(planted);
        }
    }
}

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
        let now = self.boot(host);
        let guards = self.hosts[host].inner.borrow().guards.len();
        for place in 0..guards {
            let due = {
                let inner = self.hosts[host].inner.borrow();
                let guard = &inner.guards[place];
                let daemon = inner.daemon_of(guard);
                let dead =
                    daemon == Daemon::Gone && self.planted == Some(Planted::GuardDiesWithTheDaemon);
                if guard.away || dead {
                    continue;
                }
                let word = |charge: &Charge| {
                    let word = guard.ledger.get(&charge.group);
                    word.copied().unwrap_or(BootTime::ZERO)
                };
                guard.watch.look(word, daemon, now).0
            };
            for due in due {
                self.guard_ends(host, &due.charge.group);
                self.hosts[host].inner.borrow_mut().guards[place]
                    .watch
                    .has_ended(due);
            }
        }
    }

    /// A daemon that starts brings a guard of its own, which knows what a killed life left `open`, and ends the former one.
    pub(super) fn brings_guard(self: &Rc<Self>, host: usize, open: &BTreeMap<GroupName, BootTime>) {
        let late = self.dice.borrow_mut().chance(LATE_PER_MILLE);
        let life = {
            let inner = &mut *self.hosts[host].inner.borrow_mut();
            if self.planted != Some(Planted::SeatNotTaken) {
                inner.guards.clear();
            }
            let seeded = self.planted != Some(Planted::LedgerNotSeeded);
            inner.guards.push(Guard {
                life: inner.lives,
                watch: Watch::default(),
                cares: Cares::inheriting(open.keys().cloned().collect()),
                ledger: open.clone().into_iter().filter(|_| seeded).collect(),
                away: late,
            });
            inner.charge_guard(self.planted);
            inner.lives
        };
        if late {
            let (cluster, takes) = (Rc::clone(self), self.takes(LATE_US));
            after(takes, move || {
                cluster.hosts[host].has_guard(life, false, cluster.planted);
            });
        }
    }

    /// The guard of a host is killed; a daemon that runs brings another. `false` where there is none.
    pub(crate) fn kill_guard(self: &Rc<Self>, host: usize) -> bool {
        let life = self.hosts[host].loses_guard();
        if let Some(life) = life {
            self.bring_another_guard(host, life);
        }
        life.is_some()
    }

    fn bring_another_guard(self: &Rc<Self>, host: usize, life: u64) {
        let (cluster, takes) = (Rc::clone(self), self.takes(MISSED_AFTER_US));
        after(takes, move || {
            let place = &cluster.hosts[host];
            let same = {
                let inner = place.inner.borrow();
                inner.running && inner.lives == life
            };
            if !same {
                return;
            }
            if cluster.kernel.is_stopped(place.node) || !cluster.stands(host) {
                return cluster.bring_another_guard(host, life);
            }
            place.has_guard(life, true, cluster.planted);
        });
    }

    /// The guard of a host stands still for a while. `false` where there is none.
    pub(crate) fn freeze_guard(self: &Rc<Self>, host: usize, length: Duration) -> bool {
        let life = self.hosts[host].loses_guard();
        if let Some(life) = life {
            let cluster = Rc::clone(self);
            after(length, move || {
                cluster.hosts[host].has_guard(life, false, cluster.planted);
            });
        }
        life.is_some()
    }

    /// The groups with an address here that the guard has to end, where there is one, and their deadlines.
    pub(super) fn guarded_here(&self, host: usize) -> Vec<(GroupName, BootTime)> {
        let inner = self.hosts[host].inner.borrow();
        let Some(guard) = inner.guards.last().filter(|guard| !guard.away) else {
            return Vec::new();
        };
        let lives = inner.daemon_of(guard) == Daemon::Lives;
        let mut groups: Vec<&GroupName> = inner.addresses.iter().map(|(group, _)| group).collect();
        groups.dedup();
        groups
            .into_iter()
            .filter(|group| match guard.cares.of(group) {
                Some(Care::Guards) => true,
                Some(Care::Inherits) => !lives,
                None => false,
            })
            .map(|group| {
                let until = inner.gates.get(group).copied();
                (group.clone(), until.unwrap_or(BootTime::ZERO))
            })
            .collect()
    }

    fn guard_ends(self: &Rc<Self>, host: usize, group: &GroupName) {
        let (keys, until): (Vec<Key>, BootTime) = {
            let inner = self.hosts[host].inner.borrow();
            let addresses = inner.addresses.iter();
            let keys = addresses.filter(|(of, _)| of == group).cloned().collect();
            let until = inner.gates.get(group).copied();
            (keys, until.unwrap_or(BootTime::ZERO))
        };
        if keys.is_empty() {
            return;
        }
        self.note_at(
            host,
            format!("the guard takes the addresses of {group} off"),
        );
        self.expect(Guarded::taken_off(host, group, until, self.boot(host)));
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
