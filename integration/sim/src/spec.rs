//! The cluster file of one seed.

use std::time::Duration;

use had_core::spec::{
    Candidate, ClusterSpec, GroupSpec, InterfaceSpec, NodeSpec, OnQuorumLoss, PolicySpec,
    ResourceKind, ResourceSpec, Role, VipSpec,
};
use had_core::state::Configuration;
use had_core::timing::Timing;
use had_policies::Failback;

use crate::runtime::Dice;
use crate::story::{HEARTBEAT, LEASE, Story};

/// A cluster file of one seed: one to three groups with different priorities and ways back, sometimes a witness.
#[must_use]
pub fn configuration(nodes: usize, story: Story, dice: &mut Dice) -> Configuration {
    // A leader that owns nothing is rare where there are as many groups as nodes, and nothing moves back by itself.
    let alone = story == Story::LeaderAlone;
    let witness = !alone && dice.chance(250);
    let names: Vec<String> = (1..=nodes).map(|number| format!("h{number}")).collect();
    let specs = names.iter().enumerate().map(|(index, name)| NodeSpec {
        name: name.as_str().into(),
        role: if witness && index + 1 == nodes {
            Role::Witness
        } else {
            Role::Member
        },
        addresses: vec![([10, 77, 0, u8::try_from(index + 1).unwrap_or(0)], 7400).into()],
    });
    let members = nodes - usize::from(witness);
    let groups = (0..if alone { 1 } else { dice.between(1, 4) })
        .map(|number| group(number, &names[..members], alone, dice))
        .collect();
    let spec = ClusterSpec {
        name: "web".into(),
        timing: Timing {
            lease: LEASE,
            heartbeat: HEARTBEAT,
        },
        nodes: specs.collect(),
        groups,
    };
    Configuration {
        hash: "one".into(),
        spec,
    }
}

fn group(number: u64, members: &[String], alone: bool, dice: &mut Dice) -> GroupSpec {
    let mut order = members.to_vec();
    dice.shuffle(&mut order);
    let candidates = order.iter().zip((0..).map(|step| 200 - step * 50));
    let failback = match dice.between(0, 3) {
        _ if alone => Failback::Manual,
        0 => Failback::Manual,
        1 => Failback::Auto,
        _ => Failback::After(Duration::from_millis(dice.between(100, 2_000))),
    };
    let address = std::net::Ipv4Addr::new(10, 77, 0, 100 + u8::try_from(number).unwrap_or(0));
    let vip = VipSpec {
        address: address.into(),
        prefix: 24,
        interface: InterfaceSpec::BySubnet,
    };
    GroupSpec {
        name: format!("g{number}").into(),
        policy: PolicySpec::IdleStandby {
            nodes: candidates
                .map(|(name, priority)| Candidate {
                    name: name.as_str().into(),
                    priority,
                })
                .collect(),
            failback,
        },
        on_quorum_loss: OnQuorumLoss::Stop,
        resources: vec![ResourceSpec {
            name: "vip".into(),
            kind: ResourceKind::Vip(vip),
        }],
    }
}
