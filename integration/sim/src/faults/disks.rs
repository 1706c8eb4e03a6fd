//! What befalls disks: lost, full, and lost at the moment at which it hurts most.

use std::rc::Rc;
use std::time::Duration;

use super::Fate;
use super::partitions::cut_off;
use crate::disk::Trouble;
use crate::runtime::after;

impl Fate {
    /// A host comes back with an empty disk. Only one at a time, while all others are well and know of one another: a
    /// second one before the first is a voter again would be a lost majority.
    pub(super) fn wipe(&mut self) -> bool {
        let host = self.victim();
        if !self.cluster.everybody_is_well() {
            return false;
        }
        let away = self.away();
        self.cluster.fault(&format!(
            "{}'s disk is replaced by an empty one, back after {away:?}",
            self.name(host)
        ));
        self.cluster.power_off(host);
        self.cluster.wipe(host);
        let cluster = Rc::clone(&self.cluster);
        after(away, move || cluster.power_on(host));
        true
    }

    /// A careless operator starts a host under the name of another node, with an empty disk, while that node runs. Later it is
    /// itself again. Only while all are well: its own node is away meanwhile, and its second disk does not come back.
    pub(super) fn same_name(&mut self) -> bool {
        let count = self.cluster.hosts.len();
        let Some(victim) = self.owner() else {
            return false;
        };
        let (host, length) = (self.dice.index(count), self.length());
        if host == victim || !self.cluster.everybody_is_well() {
            return false;
        }
        let (name, own) = (self.cluster.hosts[victim].name.clone(), self.name(host));
        self.cluster.fault(&format!(
            "{own} is started as {name}, with an empty disk, for {length:?}"
        ));
        let cluster = Rc::clone(&self.cluster);
        cluster.power_off(host);
        cluster.is_another(host, Some(name));
        cluster.power_on(host);
        after(length, move || {
            if cluster.hosts[host].has_alias() {
                cluster.note_at(host, format!("is {own} again"));
                cluster.power_off(host);
                cluster.is_another(host, None);
                cluster.power_on(host);
            }
        });
        true
    }

    /// A disk is full for a while, or syncs nothing: the daemon gives up what it owns, ends, and cannot start before there
    /// is room again.
    pub(super) fn disk_trouble(&mut self) -> bool {
        let (host, length) = (self.victim(), self.length());
        let (trouble, what) = if self.dice.chance(600) {
            (Trouble::Full, "is full")
        } else {
            (Trouble::NoSync, "syncs nothing")
        };
        if !self.cluster.hosts[host].is_powered() {
            return false;
        }
        self.cluster
            .fault(&format!("{}'s disk {what} for {length:?}", self.name(host)));
        self.cluster.hosts[host].disk.set_trouble(Some(trouble));
        let cluster = Rc::clone(&self.cluster);
        after(length, move || {
            if !cluster.has_ceased() {
                cluster.note_at(host, "its disk is well again".into());
                cluster.hosts[host].disk.set_trouble(None);
            }
        });
        true
    }

    /// A disk is lost that has just acknowledged what not every voter has heard of: the leader writes an entry with one
    /// voter while the others are cut off; that voter's disk is replaced, and the leader cut off in turn. Whoever votes
    /// now must not make do with the empty disk.
    pub(super) fn amnesia(&mut self) -> bool {
        let count = self.cluster.hosts.len();
        let Some(leader) = self.cluster.leading() else {
            return false;
        };
        if !self.cluster.every_disk_votes() {
            return false;
        }
        let mut others: Vec<usize> = (0..count).filter(|host| *host != leader).collect();
        self.dice.shuffle(&mut others);
        let (behind, told) = others.split_at((count - 1) / 2);
        let (victim, behind) = (told[0], behind.to_vec());
        let written = Duration::from_micros(self.dice.between(5_000, 40_000));
        let alone = Duration::from_millis(self.dice.between(300, 900));
        let away = Duration::from_micros(self.dice.between(100, 15_000));
        self.cluster.fault(&format!(
            "{} lag behind {}; then {}'s disk is replaced by an empty one, and the leader is alone for {alone:?}",
            behind.iter().map(|host| self.name(*host)).collect::<Vec<_>>().join(" "),
            self.name(leader),
            self.name(victim),
        ));
        for host in behind {
            cut_off(&self.cluster, host, written);
        }
        let drained = self.cluster.hosts[victim].name.clone();
        self.drain_for_a_while(&drained, Some(leader));
        let cluster = Rc::clone(&self.cluster);
        after(written, move || {
            // Another disk may have been lost meanwhile: two of three are a majority, and nobody is promised anything.
            if cluster.has_ceased() || !cluster.every_disk_votes() {
                return;
            }
            cluster.power_off(victim);
            cluster.wipe(victim);
            cut_off(&cluster, leader, alone);
            let world = Rc::clone(&cluster);
            after(away, move || world.power_on(victim));
        });
        true
    }
}
