//! The cluster file of one seed.

mod contradiction;
mod relations;
mod schemes;

use std::net::Ipv4Addr;
use std::time::Duration;

use had_core::ids::GroupName;
use had_core::spec::{
    ClusterSpec, GroupSpec, InterfaceSpec, NodeSpec, OnQuorumLoss, PolicySpec, ResourceKind,
    ResourceSpec, Role, VipSpec,
};
use had_core::state::Configuration;
use had_core::timing::Timing;

use crate::runtime::Dice;
use crate::story::{HEARTBEAT, LEASE, Story};

/// Clusters with a witness.
const WITNESS_PER_MILLE: u64 = 250;
/// Clusters in which capacities and loads are written.
const WEIGHED_PER_MILLE: u64 = 300;
/// Of their nodes, those whose capacity is hard.
const HARD_PER_MILLE: u64 = 400;
/// Clusters with one group that goes on without a quorum.
const KEEP_PER_MILLE: u64 = 150;

/// Of the groups of a later file: those with a second address.
const SECOND_ADDRESS_PER_MILLE: u64 = 150;
/// Later files with another lease.
const OTHER_LEASE_PER_MILLE: u64 = 500;
/// Such leases: the shortest that is allowed, and long ones.
const OTHER_LEASES: [Duration; 3] = [
    Duration::from_millis(250),
    Duration::from_millis(600),
    Duration::from_millis(900),
];

/// A cluster file of one seed: one to four groups of any scheme with what they are to one another, sometimes a witness,
/// sometimes capacities.
#[must_use]
pub fn configuration(nodes: usize, story: Story, dice: &mut Dice) -> Configuration {
    let names: Vec<String> = (1..=nodes).map(|number| format!("h{number}")).collect();
    match story {
        Story::LeaderAlone | Story::Pairs => {
            // A leader that owns nothing is rare where there are as many groups as nodes, and nothing moves back by itself.
            let group = group(0, schemes::idle_and_manual(&names, dice));
            file(
                names.iter().map(|name| node(name, Role::Member)),
                vec![group],
            )
        }
        Story::Everything | Story::BentClocks => everything(&names, dice),
    }
}

fn everything(names: &[String], dice: &mut Dice) -> Configuration {
    let witnesses = usize::from(dice.chance(WITNESS_PER_MILLE));
    let (members, rest) = names.split_at(names.len() - witnesses);
    let members_and_witness = members
        .iter()
        .map(|name| node(name, Role::Member))
        .chain(rest.iter().map(|name| node(name, Role::Witness)));
    let mut nodes: Vec<NodeSpec> = members_and_witness.collect();
    let mut groups: Vec<GroupSpec> = (0..)
        .zip(schemes::drawn(members, dice))
        .map(|(number, policy)| group(number, policy))
        .collect();
    relations::draw(&mut groups, dice);
    if dice.chance(WEIGHED_PER_MILLE) {
        weigh(&mut nodes, &mut groups, dice);
    }
    if dice.chance(KEEP_PER_MILLE) {
        let keeps = dice.index(groups.len());
        groups[keeps].on_quorum_loss = OnQuorumLoss::Keep;
    }
    file(nodes, groups)
}

/// Another file for a cluster that runs: the same nodes in the same roles, anything else of its groups; now and then another
/// lease, which rules nowhere before the cluster is formed anew.
#[must_use]
pub fn another(former: &Configuration, hash: String, dice: &mut Dice) -> Configuration {
    let mut spec = former.spec.clone();
    let members = spec.nodes.iter().filter(|node| node.role == Role::Member);
    let members: Vec<String> = members.map(|node| node.name.to_string()).collect();
    let keeps = |name: &GroupName| {
        let former = former.spec.group(name);
        former.map_or(OnQuorumLoss::Stop, |group| group.on_quorum_loss)
    };
    spec.groups = (0..)
        .zip(schemes::drawn(&members, dice))
        .map(|(number, policy)| group(number, policy))
        .collect();
    for (number, group) in (0..).zip(&mut spec.groups) {
        group.on_quorum_loss = keeps(&group.name);
        if dice.chance(SECOND_ADDRESS_PER_MILLE) {
            group.resources.push(address("vip2", 150 + number));
        }
    }
    relations::draw(&mut spec.groups, dice);
    if dice.chance(OTHER_LEASE_PER_MILLE) {
        spec.timing.lease = *dice.pick(&OTHER_LEASES);
    } else {
        spec.timing.lease = LEASE;
    }
    Configuration { hash, spec }
}

/// Loads and capacities; every node can carry every group alone.
fn weigh(nodes: &mut [NodeSpec], groups: &mut [GroupSpec], dice: &mut Dice) {
    for node in nodes {
        node.capacity = u32::try_from(dice.between(2, 5)).unwrap_or(2);
        node.capacity_is_hard = dice.chance(HARD_PER_MILLE);
    }
    for group in groups {
        group.load = u32::try_from(dice.between(1, 3)).unwrap_or(1);
    }
}

/// The file, called "one", of these nodes and groups.
#[must_use]
pub fn file(nodes: impl IntoIterator<Item = NodeSpec>, groups: Vec<GroupSpec>) -> Configuration {
    let spec = ClusterSpec {
        name: "web".into(),
        timing: Timing {
            lease: LEASE,
            heartbeat: HEARTBEAT,
        },
        nodes: nodes.into_iter().collect(),
        groups,
    };
    Configuration {
        hash: "one".into(),
        spec,
    }
}

/// A node; its number is the last digit of its name.
#[must_use]
pub fn node(name: &str, role: Role) -> NodeSpec {
    let number = name.bytes().last().map_or(0, |digit| digit - b'0');
    NodeSpec {
        name: name.into(),
        role,
        addresses: vec![([10, 77, 0, number], 7400).into()],
        capacity: 1,
        capacity_is_hard: false,
    }
}

/// A group with one address that is nothing to the others.
#[must_use]
pub fn group(number: u8, policy: PolicySpec) -> GroupSpec {
    GroupSpec {
        name: format!("g{number}").into(),
        policy,
        on_quorum_loss: OnQuorumLoss::Stop,
        load: 1,
        with: Vec::new(),
        apart_from: Vec::new(),
        resources: vec![address("vip", 100 + number)],
    }
}

fn address(name: &str, last: u8) -> ResourceSpec {
    let vip = VipSpec {
        address: Ipv4Addr::new(10, 77, 0, last).into(),
        prefix: 24,
        interface: InterfaceSpec::BySubnet,
    };
    ResourceSpec {
        name: name.into(),
        kind: ResourceKind::Vip(vip),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn drawn() -> impl Iterator<Item = ClusterSpec> {
        (0..1_000).map(|seed| {
            let nodes = if seed % 10 == 0 { 5 } else { 3 };
            configuration(nodes, Story::Everything, &mut Dice::new(seed, 3)).spec
        })
    }

    #[test]
    fn no_seed_draws_a_file_that_would_be_refused() {
        let later = (0..1_000).map(|seed| {
            let mut dice = Dice::new(seed, 3);
            let first = configuration(3, Story::Everything, &mut dice);
            another(&first, "two".into(), &mut dice).spec
        });
        for spec in drawn().chain(later) {
            assert_eq!(contradiction::in_groups(&spec.groups), None, "{spec:#?}");
            for group in &spec.groups {
                let nodes = group.policy.nodes();
                for (place, name) in nodes.iter().enumerate() {
                    assert!(!nodes[..place].contains(name), "{group:?}");
                    let node = spec.node(name).expect("every node is in the file");
                    assert_eq!(node.role, Role::Member);
                    assert!(group.load <= node.capacity || !node.capacity_is_hard);
                }
                assert!(nodes.len() >= 2, "{group:?}");
            }
        }
    }

    #[test]
    fn every_scheme_and_every_relation_is_drawn_often() {
        let mut seeds: BTreeMap<&str, u32> = BTreeMap::new();
        for spec in drawn() {
            let groups = &spec.groups;
            let mut count = |what, is: bool| *seeds.entry(what).or_default() += u32::from(is);
            let scheme = |name| groups.iter().any(|group| group.policy.scheme() == name);
            for name in [
                "idle-standby",
                "rotating-standby",
                "simple-failover",
                "mutual-takeover",
            ] {
                count(name, scheme(name));
            }
            count("with", groups.iter().any(|group| !group.with.is_empty()));
            count(
                "apart_from",
                groups.iter().any(|group| !group.apart_from.is_empty()),
            );
            let displaced = |by: &GroupSpec, name: &_| by.policy.displaces().contains(name);
            let is_displaced = |name: &_| groups.iter().any(|by| displaced(by, name));
            count(
                "displaces",
                groups.iter().any(|group| is_displaced(&group.name)),
            );
            let chain = |group: &&GroupSpec| {
                !group.policy.displaces().is_empty() && is_displaced(&group.name)
            };
            count("chain", groups.iter().any(|group| chain(&group)));
            count("hard", spec.nodes.iter().any(|node| node.capacity_is_hard));
            let keeps = |group: &GroupSpec| group.on_quorum_loss == OnQuorumLoss::Keep;
            count("keep", groups.iter().any(keeps));
        }
        let rare: Vec<_> = seeds.iter().filter(|(_, seeds)| **seeds < 20).collect();
        assert!(rare.is_empty(), "{seeds:?}");
    }
}
