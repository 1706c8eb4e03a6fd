//! L1: when a majority is connected and faults cease, every group that has an eligible node runs, without a person.
//!
//! Every host is up then, and every resource could be started. So a group may be down only where an operator stopped it, or
//! where each of its nodes is drained, runs a group that displaces it or that it is apart from, lacks a group that it
//! follows, or would carry more than a hard capacity. That is asked of the owners and the gates, not of the planner.

use std::collections::BTreeMap;

use had_core::ids::{GroupName, NodeName};
use had_core::spec::{ClusterSpec, GroupSpec};
use had_core::state::State;

use super::{Violation, relations};

/// How a cluster stands at one moment.
#[derive(Debug)]
pub struct Stand<'a> {
    /// The newest decision.
    pub state: &'a State,
    /// Whose gate is open, with every address up behind it, for each group. An operator who takes care of a group takes care
    /// of its addresses.
    pub open: BTreeMap<GroupName, Vec<NodeName>>,
    /// Who has an address up, for each group of which no operator takes care.
    pub there: BTreeMap<GroupName, Vec<NodeName>>,
    /// What each node has applied.
    pub applied: BTreeMap<NodeName, u64>,
    /// The newest decision that was acknowledged.
    pub acknowledged: u64,
}

fn broken(text: String) -> Violation {
    Violation {
        check: "heals",
        text,
    }
}

/// Whether every group that can run does, on exactly the node that owns it.
///
/// # Errors
/// What is not as it should be.
pub fn heals(stand: &Stand<'_>) -> Result<(), Violation> {
    let Some(spec) = stand.state.spec() else {
        return Err(broken("nothing was ever configured".into()));
    };
    for group in &spec.groups {
        stand.is_right(spec, group)?;
    }
    if let Some(wrong) = relations::wrongs(spec, stand.state).first() {
        return Err(broken(wrong.to_string()));
    }
    let knowing = stand
        .applied
        .values()
        .filter(|applied| **applied >= stand.acknowledged)
        .count();
    if knowing * 2 <= spec.nodes.len() {
        return Err(broken(format!(
            "only {knowing} of {} nodes have applied entry {}, which was acknowledged",
            spec.nodes.len(),
            stand.acknowledged
        )));
    }
    Ok(())
}

impl Stand<'_> {
    fn is_right(&self, spec: &ClusterSpec, group: &GroupSpec) -> Result<(), Violation> {
        let name = &group.name;
        let there = self.there.get(name).map_or(&[][..], Vec::as_slice);
        if let Some(left) = there.iter().find(|node| Some(*node) != self.owner(name)) {
            return Err(broken(format!(
                "{left} has an address of {name} and does not own it"
            )));
        }
        let open = self.open.get(name).map_or(&[][..], Vec::as_slice);
        let Some(owner) = self.owner(name) else {
            return match self.could_run(spec, group) {
                Some(node) => Err(broken(format!(
                    "{name} is owned by nobody, and nothing keeps it from {node}"
                ))),
                None if open.is_empty() => Ok(()),
                None => Err(broken(format!(
                    "{name} is owned by nobody, and open on {open:?}"
                ))),
            };
        };
        if self.is_stopped(name) || open != [owner.clone()] {
            let stopped = if self.is_stopped(name) {
                ", stopped"
            } else {
                ""
            };
            return Err(broken(format!(
                "{name} is owned by {owner}{stopped}, and open on {open:?}"
            )));
        }
        Ok(())
    }

    fn owner(&self, group: &GroupName) -> Option<&NodeName> {
        self.state.groups.get(group)?.owner.as_ref()
    }

    fn is_stopped(&self, group: &GroupName) -> bool {
        let decided = self.state.groups.get(group);
        decided.is_some_and(|decided| decided.stopped)
    }

    /// A node that could take a group that nobody owns, as everything stands.
    fn could_run<'a>(&self, spec: &ClusterSpec, group: &'a GroupSpec) -> Option<&'a NodeName> {
        let mut nodes = group.policy.nodes().into_iter();
        let stopped = self.is_stopped(&group.name);
        nodes.find(|node| !stopped && !self.is_kept_from(spec, group, node))
    }

    fn is_kept_from(&self, spec: &ClusterSpec, group: &GroupSpec, node: &NodeName) -> bool {
        let drained = self.state.nodes.get(node).is_some_and(|node| node.drained);
        let here = |other: &GroupName| self.owner(other) == Some(node);
        // A group gives way to one that runs, not to one that merely should.
        let runs = |other: &GroupName| {
            let open = self.open.get(other);
            here(other) && open.is_some_and(|open| open.contains(node))
        };
        let gives_way = spec
            .groups
            .iter()
            .any(|other| other.policy.displaces().contains(&group.name) && runs(&other.name));
        let meets = spec.groups.iter().any(|other| {
            let apart =
                other.apart_from.contains(&group.name) || group.apart_from.contains(&other.name);
            apart && here(&other.name)
        });
        let lonely = group.with.iter().any(|other| !here(other));
        drained || gives_way || meets || lonely || self.is_full(spec, group, node)
    }

    fn is_full(&self, spec: &ClusterSpec, group: &GroupSpec, node: &NodeName) -> bool {
        let Some(hard) = spec.node(node).filter(|node| node.capacity_is_hard) else {
            return false;
        };
        let owned = self.state.owned_by(node);
        let carried: u32 = owned
            .filter_map(|owned| Some(spec.group(owned)?.load))
            .sum();
        carried + group.load > hard.capacity
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use had_core::spec::{PolicySpec, Role};
    use had_core::state::{GroupState, NodeState};
    use had_policies::Failback;

    use super::*;
    use crate::spec;

    /// g0 and g1 on h1 or h2, with these owners; each open where it is owned.
    fn stands(change: impl Fn(&mut ClusterSpec), owners: [&str; 2], drained: &[&str]) -> bool {
        let simple = || PolicySpec::SimpleFailover {
            primary: "h1".into(),
            backup: "h2".into(),
            displaces: Vec::new(),
            failback: Failback::Manual,
        };
        let nodes = ["h1", "h2"].map(|name| spec::node(name, Role::Member));
        let groups = [0, 1].map(|number| spec::group(number, simple()));
        let mut config = spec::file(nodes, groups.to_vec());
        change(&mut config.spec);
        let mut state = State {
            config: Some(Arc::new(config)),
            ..State::default()
        };
        for node in drained {
            let node_state = NodeState {
                drained: true,
                ..NodeState::default()
            };
            state.nodes.insert((*node).into(), node_state);
        }
        let mut open = BTreeMap::new();
        for (name, owner) in ["g0", "g1"].into_iter().zip(owners) {
            let owner: Option<NodeName> = (owner != "-").then(|| owner.into());
            open.insert(name.into(), owner.iter().cloned().collect());
            let group = GroupState {
                owner,
                ..GroupState::default()
            };
            state.groups.insert(name.into(), group);
        }
        let applied = ["h1", "h2"].map(|name| (name.into(), 7)).into();
        let stand = Stand {
            state: &state,
            there: open.clone(),
            open,
            applied,
            acknowledged: 7,
        };
        heals(&stand).is_ok()
    }

    fn displaces(spec: &mut ClusterSpec) {
        if let PolicySpec::SimpleFailover { displaces, .. } = &mut spec.groups[0].policy {
            displaces.push("g1".into());
        }
    }

    #[test]
    fn a_group_that_nothing_keeps_from_a_node_must_run() {
        let plain = |_: &mut ClusterSpec| {};
        assert!(stands(plain, ["h1", "h1"], &[]));
        assert!(!stands(plain, ["h1", "-"], &[]));
        assert!(!stands(plain, ["h1", "-"], &["h1"]), "h2 is not drained");
        assert!(stands(plain, ["-", "-"], &["h1", "h2"]));
    }

    #[test]
    fn a_group_may_be_down_only_where_a_rule_keeps_it_from_every_node() {
        let apart = |spec: &mut ClusterSpec| spec.groups[1].apart_from.push("g0".into());
        let with = |spec: &mut ClusterSpec| spec.groups[1].with.push("g0".into());
        let full = |spec: &mut ClusterSpec| {
            for node in &mut spec.nodes {
                node.capacity_is_hard = true;
            }
        };
        assert!(stands(displaces, ["h1", "-"], &["h2"]));
        assert!(!stands(displaces, ["h1", "-"], &[]), "it could run on h2");
        assert!(
            !stands(displaces, ["-", "-"], &["h2"]),
            "its displacer does not run"
        );
        assert!(stands(apart, ["h1", "-"], &["h2"]));
        assert!(stands(with, ["-", "-"], &["h1", "h2"]));
        assert!(stands(full, ["h1", "-"], &["h2"]));
        assert!(!stands(full, ["h1", "-"], &[]));
    }

    #[test]
    fn what_is_up_on_a_node_that_does_not_own_it_must_be_gone() {
        let node = |name: &str| spec::node(name, Role::Member);
        let simple = PolicySpec::SimpleFailover {
            primary: "h1".into(),
            backup: "h2".into(),
            displaces: Vec::new(),
            failback: Failback::Manual,
        };
        let config = spec::file(["h1", "h2"].map(node), vec![spec::group(0, simple)]);
        let mut state = State {
            config: Some(Arc::new(config)),
            ..State::default()
        };
        let owned = GroupState {
            owner: Some("h1".into()),
            ..GroupState::default()
        };
        state.groups.insert("g0".into(), owned);
        for (there, fits) in [(vec!["h1"], true), (vec!["h1", "h2"], false)] {
            let there = there.into_iter().map(NodeName::from).collect();
            let stand = Stand {
                state: &state,
                open: [("g0".into(), vec!["h1".into()])].into(),
                there: [("g0".into(), there)].into(),
                applied: ["h1", "h2"].map(|name| (name.into(), 7)).into(),
                acknowledged: 7,
            };
            assert_eq!(heals(&stand).is_ok(), fits);
        }
    }

    #[test]
    fn a_wrong_pair_must_be_over() {
        assert!(!stands(displaces, ["h1", "h1"], &[]));
        assert!(stands(displaces, ["h1", "h2"], &[]));
    }
}
