//! Rules between groups: who gives way to whom, who keeps apart, who follows.

use crate::fitness;
use crate::names::{GroupName, NodeName};
use crate::places::Places;
use crate::veto::Veto;
use crate::view::{GroupView, View};

/// What other groups forbid a node for a group. An owner that would stay is judged only against what is planned
/// already: of two groups that stand on one node, the one planned first stays. One that would come is judged against all.
pub(crate) fn vetoes(places: &Places, index: usize, node: &NodeName, stays: bool) -> Vec<Veto> {
    let group = &places.view.groups[index];
    let judges = |other: usize| other != index && (!stays || places.planned(other));
    let named = |rule: &dyn Fn(&GroupView) -> bool| -> Vec<GroupName> {
        let there = places
            .on(node)
            .filter(|&(other, there)| judges(other) && rule(there));
        there.map(|(_, there)| there.name.clone()).collect()
    };
    let mut vetoes = Vec::new();
    let to = named(&|there| there.displaces.contains(&group.name));
    if !to.is_empty() {
        vetoes.push(Veto::GivesWay { to });
    }
    let from = named(&|there| apart(group, there));
    if !from.is_empty() {
        vetoes.push(Veto::Apart { from });
    }
    let followed = group
        .with
        .iter()
        .filter_map(|name| Some((name, places.find(name)?)));
    vetoes.extend(
        followed
            .filter(|&(_, other)| judges(other) && places.at(other) != Some(node))
            .map(|(name, other)| Veto::NotWith {
                group: name.clone(),
                owner: places.at(other).cloned(),
            }),
    );
    vetoes
}

/// Whether two groups must not share a node: it is enough that one of them says so.
fn apart(one: &GroupView, other: &GroupView) -> bool {
    one.apart_from.contains(&other.name) || other.apart_from.contains(&one.name)
}

/// A group that follows another, and could not follow it to a node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Hindrance {
    /// The follower.
    pub(crate) follower: GroupName,
    /// What forbids the node for it; `None` where the node is not among its nodes.
    pub(crate) veto: Option<Veto>,
}

/// The first of the groups that follow this one, directly or through others, that could not run on a node.
pub(crate) fn hindrance(view: &View, group: &GroupView, node: &NodeName) -> Option<Hindrance> {
    followers(view, group).into_iter().find_map(|follower| {
        let veto = fitness::vetoes(view, follower, node).into_iter().next();
        let listed = follower.scheme.lists(node);
        (!listed || veto.is_some()).then(|| Hindrance {
            follower: follower.name.clone(),
            veto: veto.filter(|_| listed),
        })
    })
}

/// The groups that follow this one, directly or through others. One that is stopped or in maintenance follows nobody.
fn followers<'a>(view: &'a View, group: &'a GroupView) -> Vec<&'a GroupView> {
    let mut found: Vec<&GroupView> = vec![group];
    let mut next = 0;
    while let Some(&followed) = found.get(next) {
        next += 1;
        for one in &view.groups {
            let follows = one.with.contains(&followed.name) && !one.stopped && !one.maintenance;
            if follows && !found.iter().any(|known| known.name == one.name) {
                found.push(one);
            }
        }
    }
    found.split_off(1)
}
