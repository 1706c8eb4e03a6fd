//! Rules between groups: who gives way to whom, who keeps apart, who follows.

use crate::fitness;
use crate::names::{GroupName, NodeName};
use crate::places::Places;
use crate::veto::Veto;
use crate::view::Presence;

/// What other groups forbid a node for a group. An owner that would stay is judged only against what is planned
/// already: of two groups that stand on one node, the one planned first stays. One that would come is judged against all.
pub(crate) fn vetoes(places: &Places, index: usize, node: &NodeName, stays: bool) -> Vec<Veto> {
    let relations = &places.relations;
    let judges = |other: usize| other != index && (!stays || places.planned(other));
    let name = |other: usize| places.view.groups[other].name.clone();
    let there = |others: &[usize]| -> Vec<GroupName> {
        let there = |other: usize| judges(other) && places.at(other) == Some(node);
        let there = others.iter().copied().filter(|&other| there(other));
        there.map(name).collect()
    };
    // In maintenance a group stays with its owner even where that is lost.
    let runs = |owner: &NodeName| !matches!(places.view.presence(owner), Presence::Lost);
    let mut vetoes = Vec::new();
    let to = there(relations.displacers(index));
    if !to.is_empty() {
        vetoes.push(Veto::GivesWay { to });
    }
    let from = there(relations.apart(index));
    if !from.is_empty() {
        vetoes.push(Veto::Apart { from });
    }
    let followed = relations.follows(index).iter().copied();
    vetoes.extend(
        followed
            .filter(|&other| judges(other) && places.at(other) != Some(node))
            .map(|other| Veto::NotWith {
                group: name(other),
                owner: places.at(other).filter(|owner| runs(owner)).cloned(),
                listed: places.view.groups[other].scheme.lists(node),
            }),
    );
    vetoes
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
pub(crate) fn hindrance(places: &Places, index: usize, node: &NodeName) -> Option<Hindrance> {
    let followers = places.relations.followers(index).iter();
    followers.into_iter().find_map(|&follower| {
        let follower = &places.view.groups[follower];
        let veto = fitness::vetoes(places.view, follower, node)
            .into_iter()
            .next();
        let listed = follower.scheme.lists(node);
        (!listed || veto.is_some()).then(|| Hindrance {
            follower: follower.name.clone(),
            veto: veto.filter(|_| listed),
        })
    })
}
