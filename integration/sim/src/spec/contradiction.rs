//! What a cluster file refuses of the relations between groups: circles, pairs that are together and apart, followers that
//! could never run. The same rules as `had-config`'s, written once more over the checked types.

use std::collections::BTreeSet;

use had_core::ids::{GroupName, NodeName};
use had_core::spec::GroupSpec;

/// The first contradiction.
pub(super) fn in_groups(groups: &[GroupSpec]) -> Option<String> {
    circle(groups)
        .or_else(|| together_and_apart(groups))
        .or_else(|| never_runs(groups))
}

/// Groups of which each must be planned before the next, back to the first.
fn circle(groups: &[GroupSpec]) -> Option<String> {
    let waits_for = |group: &GroupSpec, other: &GroupSpec| {
        group.with.contains(&other.name) || other.policy.displaces().contains(&group.name)
    };
    let mut left: Vec<&GroupSpec> = groups.iter().collect();
    while !left.is_empty() {
        let free = left
            .iter()
            .position(|group| !left.iter().any(|other| waits_for(group, other)));
        match free {
            Some(free) => left.remove(free),
            None => return Some(format!("a circle among {:?}", names(&left))),
        };
    }
    None
}

fn names<'a>(groups: &[&'a GroupSpec]) -> Vec<&'a GroupName> {
    groups.iter().map(|group| &group.name).collect()
}

/// Pairs that run on one node and must not meet, and pairs that are said to be apart twice.
fn together_and_apart(groups: &[GroupSpec]) -> Option<String> {
    for group in groups {
        let bound = bound_to(groups, group);
        for other in group.apart_from.iter().chain(group.policy.displaces()) {
            if bound.contains(other) {
                return Some(format!("{} and {other} run together and apart", group.name));
            }
        }
        for other in &group.apart_from {
            let displaces = |one: &GroupSpec, two: &GroupName| one.policy.displaces().contains(two);
            let there = groups.iter().find(|there| there.name == *other);
            if displaces(group, other) || there.is_some_and(|there| displaces(there, &group.name)) {
                return Some(format!("{} and {other} are apart already", group.name));
            }
        }
    }
    None
}

/// Every group that `with` binds to this one, over others too.
fn bound_to(groups: &[GroupSpec], group: &GroupSpec) -> BTreeSet<GroupName> {
    let mut bound = BTreeSet::from([group.name.clone()]);
    loop {
        let before = bound.len();
        for one in groups {
            let pairs = one.with.iter().map(|other| (&one.name, other));
            for (one, other) in pairs.collect::<Vec<_>>() {
                if bound.contains(one) || bound.contains(other) {
                    bound.extend([one.clone(), other.clone()]);
                }
            }
        }
        if bound.len() == before {
            bound.remove(&group.name);
            return bound;
        }
    }
}

/// A follower without a node on which all those may run that it follows.
fn never_runs(groups: &[GroupSpec]) -> Option<String> {
    let may_run = |group: &GroupSpec, node: &NodeName| group.policy.nodes().contains(&node);
    let runs_somewhere = |group: &GroupSpec| {
        group.policy.nodes().into_iter().any(|node| {
            let followed = groups
                .iter()
                .filter(|other| group.with.contains(&other.name));
            followed.into_iter().all(|other| may_run(other, node))
        })
    };
    let never = groups.iter().find(|group| !runs_somewhere(group))?;
    Some(format!("{} could never run", never.name))
}

#[cfg(test)]
mod tests {
    use had_core::spec::PolicySpec;
    use had_policies::Failback;

    use super::*;

    fn groups() -> Vec<GroupSpec> {
        let policy = || PolicySpec::SimpleFailover {
            primary: "h1".into(),
            backup: "h2".into(),
            displaces: Vec::new(),
            failback: Failback::Manual,
        };
        (0..3)
            .map(|number| super::super::group(number, policy()))
            .collect()
    }

    fn displaces(group: &mut GroupSpec, other: &str) {
        if let PolicySpec::SimpleFailover { displaces, .. } = &mut group.policy {
            displaces.push(other.into());
        }
    }

    #[test]
    fn circles_contradictions_and_lonely_followers_are_refused() {
        assert_eq!(in_groups(&groups()), None);
        let mut circle = groups();
        displaces(&mut circle[0], "g1");
        displaces(&mut circle[1], "g2");
        assert_eq!(in_groups(&circle), None, "a chain is none");
        circle[0].with.push("g2".into());
        assert!(in_groups(&circle).is_some());
        let mut both = groups();
        both[1].with.push("g0".into());
        both[2].with.push("g1".into());
        both[0].apart_from.push("g2".into());
        assert!(in_groups(&both).is_some());
        let mut twice = groups();
        displaces(&mut twice[0], "g1");
        twice[1].apart_from.push("g0".into());
        assert!(in_groups(&twice).is_some());
        let mut lonely = groups();
        lonely[0].policy = PolicySpec::RotatingStandby {
            nodes: vec!["h3".into(), "h4".into()],
        };
        lonely[1].with.push("g0".into());
        assert!(in_groups(&lonely).is_some());
    }
}
