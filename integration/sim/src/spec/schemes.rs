//! The schemes of one seed's groups.

use std::time::Duration;

use had_core::ids::NodeName;
use had_core::spec::{Candidate, PolicySpec};
use had_policies::Failback;

use crate::runtime::Dice;

/// Rotating groups that do not list every member, where more than two are left.
const SHORT_QUEUE_PER_MILLE: u64 = 200;

/// Clusters with nothing but simple failover, so that some displace one another in a chain.
const CHAINS_PER_MILLE: u64 = 100;

/// Priorities in any order, and nothing comes back by itself.
pub(super) fn idle_and_manual(members: &[String], dice: &mut Dice) -> PolicySpec {
    match idle(members, dice) {
        PolicySpec::IdleStandby { nodes, .. } => PolicySpec::IdleStandby {
            nodes,
            failback: Failback::Manual,
        },
        other => other,
    }
}

/// The schemes of one to four groups; groups of mutual takeover come in pairs with different homes, as far as there is room.
pub(super) fn drawn(members: &[String], dice: &mut Dice) -> Vec<PolicySpec> {
    let count = match dice.between(0, 10) {
        0..2 => 1,
        2..6 => 2,
        6..9 => 3,
        _ => 4,
    };
    if dice.chance(CHAINS_PER_MILLE) {
        return (0..count.max(3)).map(|_| simple(members, dice)).collect();
    }
    let mut policies = Vec::new();
    while policies.len() < count {
        match dice.between(0, 100) {
            0..25 => policies.push(idle(members, dice)),
            25..55 => policies.push(rotating(members, dice)),
            55..80 => policies.push(simple(members, dice)),
            _ => policies.extend(mutual_pair(members, dice)),
        }
    }
    policies.truncate(count);
    policies
}

fn shuffled(members: &[String], dice: &mut Dice) -> Vec<NodeName> {
    let mut order: Vec<NodeName> = members.iter().map(|name| name.as_str().into()).collect();
    dice.shuffle(&mut order);
    order
}

fn failback(dice: &mut Dice) -> Failback {
    match dice.between(0, 3) {
        0 => Failback::Manual,
        1 => Failback::Auto,
        _ => Failback::After(Duration::from_millis(dice.between(100, 2_000))),
    }
}

fn idle(members: &[String], dice: &mut Dice) -> PolicySpec {
    let priorities = (0..).map(|step| 200 - step * 50);
    let nodes = shuffled(members, dice).into_iter().zip(priorities);
    PolicySpec::IdleStandby {
        nodes: nodes
            .map(|(name, priority)| Candidate { name, priority })
            .collect(),
        failback: failback(dice),
    }
}

fn rotating(members: &[String], dice: &mut Dice) -> PolicySpec {
    let mut nodes = shuffled(members, dice);
    if nodes.len() > 2 && dice.chance(SHORT_QUEUE_PER_MILLE) {
        nodes.pop();
    }
    PolicySpec::RotatingStandby { nodes }
}

fn simple(members: &[String], dice: &mut Dice) -> PolicySpec {
    let order = shuffled(members, dice);
    PolicySpec::SimpleFailover {
        primary: order[0].clone(),
        backup: order[1].clone(),
        displaces: Vec::new(),
        failback: failback(dice),
    }
}

fn mutual_pair(members: &[String], dice: &mut Dice) -> [PolicySpec; 2] {
    let order = shuffled(members, dice);
    [0, 1].map(|home| {
        let others = order.iter().filter(|name| **name != order[home]);
        PolicySpec::MutualTakeover {
            home: order[home].clone(),
            partners: others.cloned().collect(),
            failback: failback(dice),
        }
    })
}
