//! The order in which the groups of one node stop and start.
//!
//! A group waits until those that must not meet it are down here, and until those that it follows run.

use std::collections::{BTreeMap, BTreeSet};

use super::Node;
use crate::group::{LocalGroup, Order};
use crate::ids::GroupName;
use crate::message::Phase;
use crate::spec::ClusterSpec;

/// Who must not meet whom, and who follows whom, as the configuration says. Groups without relations are not named.
#[derive(Debug, Default)]
pub(super) struct Relations {
    apart: BTreeMap<GroupName, BTreeSet<GroupName>>,
    with: BTreeMap<GroupName, Vec<GroupName>>,
}

/// The groups of this node that are on their way.
#[derive(Debug, Default)]
pub(super) struct OnTheMove {
    /// Not this node's any more, and not down yet.
    going: BTreeSet<GroupName>,
    /// This node's, and not running yet.
    coming: BTreeSet<GroupName>,
}

impl Relations {
    pub(super) fn of(spec: &ClusterSpec) -> Self {
        let mut relations = Self::default();
        for group in &spec.groups {
            for other in group.policy.displaces().iter().chain(&group.apart_from) {
                let pair = [(&group.name, other), (other, &group.name)];
                for (one, two) in pair {
                    let apart = relations.apart.entry(one.clone()).or_default();
                    apart.insert(two.clone());
                }
            }
            if !group.with.is_empty() {
                relations
                    .with
                    .insert(group.name.clone(), group.with.clone());
            }
        }
        relations
    }

    fn is_empty(&self) -> bool {
        self.apart.is_empty() && self.with.is_empty()
    }

    /// Whom a group waits for.
    pub(super) fn order<'a>(&'a self, group: &GroupName, moving: &'a OnTheMove) -> Order<'a> {
        let first = |others: Option<&'a Vec<GroupName>>| {
            others.and_then(|others| others.iter().find(|other| moving.coming.contains(*other)))
        };
        let apart = self.apart.get(group);
        Order {
            down_first: apart
                .and_then(|others| others.iter().find(|other| moving.going.contains(*other))),
            up_first: first(self.with.get(group)),
            urgent: apart
                .is_some_and(|others| others.iter().any(|other| moving.coming.contains(other))),
        }
    }
}

impl Node {
    /// What is on its way here; nothing is looked at where no group has relations.
    pub(super) fn on_the_move(&self) -> OnTheMove {
        let mut moving = OnTheMove::default();
        if self.relations.is_empty() {
            return moving;
        }
        for (name, group) in &self.groups {
            let state = self.state.groups.get(name);
            let mine = state.is_some_and(|state| state.owner.as_ref() == Some(&self.me.node));
            if mine && group.phase() != Phase::Running {
                moving.coming.insert(name.clone());
            } else if !mine && !group.is_down() && !group.is_stuck() {
                moving.going.insert(name.clone());
            }
        }
        moving
    }

    /// Whether a group must look again although nothing happens: it waits for another, or for the end of a gate
    /// without a lease.
    pub(super) fn groups_look_by_time(&self) -> bool {
        let by_itself = |group: &LocalGroup| {
            group.is_waiting() || (!self.leased && (group.keeps_on() || group.is_inherited()))
        };
        self.groups.values().any(by_itself)
    }
}
