//! What goes wrong in the stories.

use std::collections::BTreeMap;
use std::time::Duration;

use had_core::ids::{ClusterId, NodeName, VoterId};
use had_core::ports::Event;
use had_core::spec::ClusterSpec;
use had_core::state::Configuration;

use super::Cluster;

impl Cluster {
    /// Nothing reaches or leaves the node any more; its daemon goes on.
    pub(crate) fn cut(&mut self, name: &str) {
        self.cut.insert(name.into());
    }

    /// The node is reached again, and learns what it missed.
    pub(crate) fn heal(&mut self, name: &str) {
        let name = NodeName::from(name);
        self.cut.remove(&name);
        let (_, applied) = self.hosts[&name].node.state();
        for (index, leader, state) in self
            .log
            .clone()
            .into_iter()
            .filter(|(index, ..)| *index > applied)
        {
            self.queue.push_back((
                name.clone(),
                Event::Applied {
                    index,
                    leader,
                    state,
                },
            ));
        }
        let leadership = self.leadership(&name);
        self.queue.push_back((name, Event::Leadership(leadership)));
    }

    /// The daemon of a node dies; its gates stay as they are.
    pub(crate) fn kill(&mut self, name: &str) {
        self.hosts.get_mut(&NodeName::from(name)).unwrap().up = false;
    }

    /// The daemon of a node gets no time for a while, and what reaches it meanwhile is lost.
    pub(crate) fn starve(&mut self, name: &str, time: Duration) {
        self.kill(name);
        self.run(time);
        self.hosts.get_mut(&NodeName::from(name)).unwrap().up = true;
    }

    /// The resources of this group do not get down any more.
    pub(crate) fn stick(&mut self, group: &str) {
        self.stuck.insert(group.into());
    }

    /// The engine of this node has ended, its daemon has not.
    pub(crate) fn deafen_to_decisions(&mut self, name: &str) {
        self.deaf.insert(name.into());
    }

    /// Nothing starts on this node any more.
    pub(crate) fn break_starts(&mut self, name: &str) {
        self.broken.insert(name.into());
    }

    /// A daemon starts (again): another life with what the consensus remembers, and every gate shut.
    pub(crate) fn restart(&mut self, name: &str, spec: ClusterSpec, life: u64) {
        let own = Configuration {
            hash: "one".to_owned(),
            spec,
        };
        self.start(&name.into(), &own, life, BTreeMap::new());
    }

    /// The same on another disk, which holds no decisions.
    pub(crate) fn restart_on_disk(
        &mut self,
        name: &str,
        spec: ClusterSpec,
        life: u64,
        disk: (VoterId, ClusterId),
    ) {
        self.disks.insert(name.into(), disk);
        self.restart(name, spec, life);
        let held = |(to, event): &(NodeName, Event)| {
            to.as_str() == name && matches!(event, Event::Applied { .. })
        };
        self.queue.retain(|queued| !held(queued));
    }

    /// The same with another file, under another hash; what a killed life left open is inherited.
    pub(crate) fn restart_with_file(
        &mut self,
        name: &str,
        spec: ClusterSpec,
        hash: &str,
        life: u64,
    ) {
        let hash = hash.to_owned();
        let gates = self.left_open(name);
        self.start(&name.into(), &Configuration { hash, spec }, life, gates);
    }

    /// Nothing reaches the node any more; what it says is heard.
    pub(crate) fn deafen(&mut self, name: &str) {
        self.deafen_to_decisions(name);
        self.hears_nobody.insert(name.into());
    }

    /// The same, and what a killed life left open is inherited.
    pub(crate) fn restart_inheriting(&mut self, name: &str, spec: ClusterSpec, life: u64) {
        self.restart_with_file(name, spec, "one", life);
    }

    /// The same, and it has not found out yet what it could start.
    pub(crate) fn restart_unchecked(&mut self, name: &str, spec: ClusterSpec, life: u64) {
        self.restart(name, spec, life);
        let checked = |(to, event): &(NodeName, Event)| {
            to.as_str() == name && matches!(event, Event::Ready { .. })
        };
        self.queue.retain(|queued| !checked(queued));
    }
}
