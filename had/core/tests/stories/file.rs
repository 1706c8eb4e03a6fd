//! What the file of the stories says.

use std::time::Duration;

use had_core::spec::{
    Candidate, ClusterSpec, GroupSpec, InterfaceSpec, NodeSpec, OnQuorumLoss, PolicySpec,
    ResourceKind, ResourceSpec, Role, VipSpec,
};
use had_core::timing::Timing;
use had_policies::Failback;

/// Three nodes and one group, `web`, which prefers h1 to h2 to h3.
pub(crate) fn spec(failback: Failback) -> ClusterSpec {
    let names = ["h1", "h2", "h3"];
    let node = |name: &&str| NodeSpec {
        name: (*name).into(),
        role: Role::Member,
        addresses: vec!["127.0.0.1:7400".parse().unwrap()],
        capacity: 1,
        capacity_is_hard: false,
    };
    let nodes = names.iter().zip([200, 100, 50]);
    ClusterSpec {
        name: "test".to_owned(),
        timing: Timing {
            lease: Duration::from_millis(300),
            heartbeat: Duration::from_millis(100),
        },
        nodes: names.iter().map(node).collect(),
        groups: vec![group(
            "web",
            PolicySpec::IdleStandby {
                nodes: nodes
                    .map(|(name, priority)| Candidate {
                        name: (*name).into(),
                        priority,
                    })
                    .collect(),
                failback,
            },
        )],
    }
}

/// A group with one address, which nobody else has.
pub(crate) fn group(name: &str, policy: PolicySpec) -> GroupSpec {
    let last = name.bytes().fold(0_u8, u8::wrapping_add);
    GroupSpec {
        name: name.into(),
        policy,
        on_quorum_loss: OnQuorumLoss::Stop,
        load: 1,
        with: Vec::new(),
        apart_from: Vec::new(),
        resources: vec![ResourceSpec {
            name: "vip".into(),
            kind: ResourceKind::Vip(VipSpec {
                address: std::net::Ipv4Addr::new(10, 77, 1, last).into(),
                prefix: 24,
                interface: InterfaceSpec::Named("eth0".to_owned()),
            }),
        }],
    }
}
