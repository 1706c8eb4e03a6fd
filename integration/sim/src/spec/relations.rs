//! What the groups of one seed are to one another.

use had_core::ids::GroupName;
use had_core::spec::{GroupSpec, PolicySpec};

use super::contradiction;
use crate::runtime::Dice;

/// Draws a relation, or none, for every pair; what a file could not say is not said.
pub(super) fn draw(groups: &mut Vec<GroupSpec>, dice: &mut Dice) {
    for second in 1..groups.len() {
        for first in 0..second {
            let (one, other) = if dice.chance(500) {
                (first, second)
            } else {
                (second, first)
            };
            let before = groups.clone();
            relate(groups, one, other, dice);
            if contradiction::in_groups(groups).is_some() {
                *groups = before;
            }
        }
    }
}

fn relate(groups: &mut [GroupSpec], one: usize, other: usize, dice: &mut Dice) {
    let name = groups[other].name.clone();
    let draw = dice.between(0, 100);
    if draw < 60 && displace(&mut groups[one].policy, &name) {
        return;
    }
    match draw {
        60..72 => groups[one].apart_from.push(name),
        72..86 => groups[one].with.push(name),
        _ => {}
    }
}

/// Only a group of simple failover displaces others.
fn displace(policy: &mut PolicySpec, other: &GroupName) -> bool {
    match policy {
        PolicySpec::SimpleFailover { displaces, .. } => {
            displaces.push(other.clone());
            true
        }
        PolicySpec::IdleStandby { .. }
        | PolicySpec::RotatingStandby { .. }
        | PolicySpec::MutualTakeover { .. } => false,
    }
}
