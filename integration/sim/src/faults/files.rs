//! Other cluster files: groups, schemes, relations, capacities and leases change while everything runs.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use had_core::ports::Event;
use had_core::spec::GroupSpec;
use had_core::state::Configuration;

use super::Fate;
use super::ambush::Ambush;
use super::hosts::start_when_ended;
use crate::cluster::Cluster;
use crate::runtime::after;
use crate::spec;

/// Clusters in which the new file reaches every node; in the others some keep the older one.
const EVERYWHERE_PER_MILLE: u64 = 800;
/// Where the leader that writes it is killed a moment later.
const AMBUSHED_PER_MILLE: u64 = 500;
/// All daemons have been restarted with it within this time.
const SPREAD_US: u64 = 1_500_000;
/// Where a daemon is killed for it, not asked to end.
const KILLED_PER_MILLE: u64 = 500;

impl Fate {
    /// Nodes get another file, in any order, and their daemons are restarted with it.
    pub(super) fn another_file(&mut self) -> bool {
        self.files += 1;
        let hash = format!("file {}", self.files);
        let file = spec::another(&self.cluster.committed(), hash, &mut self.dice);
        let file = Arc::new(file);
        let mut hosts: Vec<usize> = (0..self.cluster.hosts.len()).collect();
        self.dice.shuffle(&mut hosts);
        if !self.dice.chance(EVERYWHERE_PER_MILLE) {
            hosts.truncate(self.dice.index(hosts.len()) + 1);
        }
        let names: Vec<String> = hosts.iter().map(|host| self.name(*host)).collect();
        let spec = &file.spec;
        let groups: Vec<_> = spec.groups.iter().map(|group| &group.name).collect();
        self.cluster.fault(&format!(
            "{} on {}: groups {groups:?}, a lease of {:?}",
            file.hash,
            names.join(" "),
            spec.timing.lease
        ));
        if self.dice.chance(AMBUSHED_PER_MILLE) {
            let moment = Duration::from_micros(self.dice.between(0, 20_000));
            let back = self.away();
            self.lay(Ambush::LeaderDiesConfiguring { moment, back });
        }
        for group in &spec.groups {
            let GroupSpec {
                name,
                policy,
                with,
                apart_from,
                resources,
                ..
            } = group;
            let addresses = resources.len();
            self.cluster.note(format!(
                "{}: {name} with {with:?}, apart from {apart_from:?}, {addresses} addresses: {policy:?}",
                file.hash
            ));
        }
        let within = self.dice.between(1_000, SPREAD_US);
        for host in hosts {
            let at = Duration::from_micros(self.dice.between(0, within));
            let (away, killed) = (self.away(), self.dice.chance(KILLED_PER_MILLE));
            let (cluster, file) = (Rc::clone(&self.cluster), Arc::clone(&file));
            after(at, move || {
                if !cluster.has_ceased() {
                    replace(&cluster, host, file, away.min(SHORT), killed);
                }
            });
        }
        true
    }
}

/// A daemon that is restarted for a file is away for no longer.
const SHORT: Duration = Duration::from_millis(100);

fn replace(
    cluster: &Rc<Cluster>,
    host: usize,
    file: Arc<Configuration>,
    away: Duration,
    killed: bool,
) {
    cluster.note_at(host, format!("has {}", file.hash));
    cluster.hosts[host].set_file(file);
    if !cluster.hosts[host].is_up() {
        return;
    }
    if killed {
        cluster.note_at(
            host,
            format!("daemon is killed for its file, back after {away:?}"),
        );
        cluster.kill_and_restart(host, away);
    } else {
        cluster.note_at(host, "daemon is asked to end for its file".into());
        cluster.hosts[host].is_asked_to_leave();
        cluster.hosts[host].push(Event::Shutdown);
        start_when_ended(Rc::clone(cluster), host, away);
    }
}
