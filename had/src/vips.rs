//! The virtual IPs of a configuration that this node may carry.

use std::collections::BTreeSet;
use std::net::IpAddr;

use had_core::ids::{GroupName, NodeName, ResourceName};
use had_core::spec::{ClusterSpec, GroupSpec, ResourceKind, VipSpec};
use had_core::state::State;

/// Every virtual IP of the groups that the node may own, and of the groups that it `keeps` all the same.
#[must_use]
pub fn of(
    spec: &ClusterSpec,
    node: &NodeName,
    keeps: &BTreeSet<GroupName>,
) -> Vec<(GroupName, ResourceName, VipSpec)> {
    let groups = spec.groups.iter();
    let mine = groups.filter(|group| is_listed(group, node) || keeps.contains(&group.name));
    mine.flat_map(|group| {
        group.resources.iter().map(|resource| {
            let ResourceKind::Vip(vip) = &resource.kind;
            (group.name.clone(), resource.name.clone(), vip.clone())
        })
    })
    .collect()
}

/// Every virtual IP of a configuration, whoever may carry it.
pub fn all(spec: &ClusterSpec) -> impl Iterator<Item = IpAddr> {
    let resources = spec.groups.iter().flat_map(|group| &group.resources);
    resources.map(|resource| {
        let ResourceKind::Vip(vip) = &resource.kind;
        vip.address
    })
}

/// The groups to which a node is bound although the configuration does not list it for them.
#[must_use]
pub fn kept(spec: &ClusterSpec, node: &NodeName, state: &State) -> BTreeSet<GroupName> {
    let groups = spec.groups.iter();
    let bound = groups.filter(|group| !is_listed(group, node) && state.is_bound(node, &group.name));
    bound.map(|group| group.name.clone()).collect()
}

fn is_listed(group: &GroupSpec, node: &NodeName) -> bool {
    group.policy.nodes().contains(&node)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use had_core::state::GroupState;

    use super::*;

    const FILE: &str = r#"
        [cluster]
        name = "demo"
        heartbeat = "100ms"
        lease = "300ms"
        allow_insecure = true
        [[node]]
        name = "h1"
        addresses = ["10.0.0.1:7400"]
        [[node]]
        name = "h2"
        addresses = ["10.0.0.2:7400"]
        [[node]]
        name = "h3"
        addresses = ["10.0.0.3:7400"]
        [[group]]
        name = "web"
        policy = "idle-standby"
        nodes = [{ name = "h1", priority = 2 }, { name = "h2", priority = 1 }]
        [[group.resource]]
        name = "vip"
        kind = "vip"
        address = "10.77.0.100/24"
    "#;

    #[test]
    fn an_owner_that_a_later_file_does_not_list_keeps_the_addresses_until_it_has_let_go() {
        let spec = had_config::parse(Path::new("cluster.toml"), FILE).unwrap();
        let spec = spec.configuration.spec;
        let h3 = NodeName::from("h3");
        let mut state = State::default();
        assert_eq!(kept(&spec, &h3, &state), BTreeSet::new());
        assert!(of(&spec, &h3, &BTreeSet::new()).is_empty());
        let owned = GroupState {
            owner: Some(h3.clone()),
            ..GroupState::default()
        };
        state.groups.insert("web".into(), owned);
        let keeps = kept(&spec, &h3, &state);
        assert_eq!(of(&spec, &h3, &keeps).len(), 1);
        let group = state.groups.get_mut(&GroupName::from("web")).unwrap();
        group.owner = Some("h1".into());
        group.unreleased.insert(h3.clone(), group.epoch);
        assert_eq!(kept(&spec, &h3, &state), keeps, "it has yet to let go");
        state
            .groups
            .get_mut(&GroupName::from("web"))
            .unwrap()
            .unreleased
            .clear();
        assert_eq!(kept(&spec, &h3, &state), BTreeSet::new());
    }
}
