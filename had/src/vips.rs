//! The virtual IPs of a configuration that this node may carry.

use had_core::ids::{GroupName, NodeName, ResourceName};
use had_core::spec::{ClusterSpec, ResourceKind, VipSpec};

/// Every virtual IP of the groups that the node may own.
#[must_use]
pub fn of(spec: &ClusterSpec, node: &NodeName) -> Vec<(GroupName, ResourceName, VipSpec)> {
    let mine = spec
        .groups
        .iter()
        .filter(|group| group.policy.nodes().contains(&node));
    mine.flat_map(|group| {
        group.resources.iter().map(|resource| {
            let ResourceKind::Vip(vip) = &resource.kind;
            (group.name.clone(), resource.name.clone(), vip.clone())
        })
    })
    .collect()
}
