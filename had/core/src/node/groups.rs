//! The groups of this node: which there are, and what each of them does now.

use std::collections::BTreeMap;

use super::Node;
use super::order::Relations;
use super::telling::tell;
use crate::group::{LocalGroup, Situation};
use crate::ids::GroupName;
use crate::message::Phase;
use crate::plant::Plant;
use crate::ports::Command;
use crate::spec::{GroupSpec, Role};
use crate::state::GroupState;
use crate::time::{BootTime, Now};

impl Node {
    pub(super) fn reconcile_groups(&mut self, now: Now, out: &mut Vec<Command>) {
        let lease = self.leased.then(|| self.holder.until());
        let mut changed = Vec::new();
        let nowhere = GroupState::default();
        let here = self.on_the_move();
        for (name, group) in &mut self.groups {
            let state = self.state.groups.get(name).unwrap_or(&nowhere);
            let before = group.phase();
            group.reconcile(
                Situation {
                    me: &self.me.node,
                    now,
                    lease,
                    timing: self.timing,
                    state,
                    // A daemon that ends takes its groups down, whoever takes care of them.
                    maintenance: self.leaving.is_none() && self.state.in_maintenance(name),
                    ends: self.takes_down,
                    order: self.relations.order(name, &here),
                },
                out,
            );
            if group.phase() != before {
                let phase = group.phase().word();
                changed.push(format!("{name}: {phase} (epoch {})", state.epoch));
            }
        }
        if !changed.is_empty() {
            tell(changed, "`hactl status` has them", out);
            self.next_report = now.mono;
            self.next_ask = self.next_ask.min(now.mono);
        }
    }

    /// Whether nothing of a group is up here, or on its way.
    #[must_use]
    pub fn is_idle(&self, group: &GroupName) -> bool {
        let group = self.groups.get(group);
        group.is_none_or(|group| group.phase() == Phase::Idle)
    }

    /// Goes on with what a killed life of this daemon left open.
    pub(super) fn inherit(&mut self, inherited: &BTreeMap<GroupName, BootTime>) {
        for (name, until) in inherited {
            if let Some(group) = self.groups.remove(name) {
                self.groups.insert(name.clone(), group.inheriting(*until));
            }
        }
    }

    /// The committed configuration names the groups; before there is one, the own file does.
    pub(super) fn adopt_groups(&mut self, now: Now, out: &mut Vec<Command>) {
        let config = self.state.config.clone();
        let spec = config
            .as_deref()
            .map_or(&self.own.spec, |config| &config.spec);
        let wanted: BTreeMap<_, _> = spec
            .groups
            .iter()
            .filter(|group| self.concerns_me(group))
            .map(|group| (group.name.clone(), group.clone()))
            .collect();
        // What is inherited too: who mends addresses forgets those of a configuration that ends.
        let gone = |name: &GroupName, group: &LocalGroup| {
            wanted
                .get(name)
                .is_none_or(|spec| spec.resources != group.spec().resources)
        };
        let mut former: BTreeMap<_, _> = self
            .groups
            .extract_if(.., |name, group| gone(name, group))
            .collect();
        former.values_mut().for_each(|group| group.stop(now, out));
        let bind = !self.plants.contains(&Plant::ReleaseNotBinding);
        let own = self.own.spec.node(&self.me.node);
        let only_votes = own.is_some_and(|own| own.role == Role::Witness);
        for (name, spec) in wanted {
            if let Some(group) = self.groups.get_mut(&name) {
                group.respecify(spec);
                continue;
            }
            self.groups.entry(name).or_insert_with(|| {
                let mut group = LocalGroup::new(spec, now.wall);
                if let Some(former) = former.remove(group.name()) {
                    group.succeed(former);
                }
                if !bind {
                    group.do_not_bind_releases();
                }
                // What is committed may say otherwise yet. This process has no gate.
                if only_votes {
                    group.host_fails("this node is a witness in its file");
                }
                group
            });
        }
        self.relations = Relations::of(spec);
        self.timing = spec.timing;
        if let Some(leader) = &mut self.leader {
            leader.set_timing(self.timing, now.raw);
        }
        self.groups_must_look = true;
    }

    /// Whether it has to do with a group that it does not know yet: a move to it was on its way when a configuration was decided that
    /// does not list it.
    pub(super) fn lacks_a_group(&self) -> bool {
        let groups = self.state.spec().into_iter().flat_map(|spec| &spec.groups);
        let unknown = |group: &&GroupSpec| !self.groups.contains_key(&group.name);
        groups.filter(unknown).any(|group| self.concerns_me(group))
    }

    /// Whether this node may own a group, or still has to let it go.
    fn concerns_me(&self, group: &GroupSpec) -> bool {
        let me = &self.me.node;
        self.state.is_bound(me, &group.name) || group.policy.nodes().contains(&me)
    }
}
