//! Where every group counts while one of them is decided: what is planned already where it was planned, the rest where
//! it stands.

use std::rc::Rc;

use crate::names::{GroupName, NodeName};
use crate::relations::Relations;
use crate::view::{GroupView, Presence, View};

/// The view, and where its groups count.
#[derive(Clone)]
pub(crate) struct Places<'a> {
    /// What the planner is told.
    pub(crate) view: &'a View,
    /// Which of its groups have to do with which.
    pub(crate) relations: Rc<Relations>,
    at: Vec<Option<NodeName>>,
    planned: Vec<bool>,
    /// When each group is planned.
    turn: Vec<usize>,
}

impl<'a> Places<'a> {
    /// Nothing is planned: every group counts at one of `owners`.
    pub(crate) fn standing(
        view: &'a View,
        relations: &Rc<Relations>,
        order: &[usize],
        owners: &[Option<NodeName>],
    ) -> Self {
        let at: Vec<_> = view
            .groups
            .iter()
            .zip(owners)
            .map(|(group, owner)| owner.clone().filter(|owner| counts(view, group, owner)))
            .collect();
        let mut turn = vec![0; at.len()];
        for (when, &index) in order.iter().enumerate() {
            turn[index] = when;
        }
        Self {
            view,
            relations: Rc::clone(relations),
            planned: vec![false; at.len()],
            at,
            turn,
        }
    }

    /// Nothing is planned: every group counts at its present owner.
    pub(crate) fn present(view: &'a View, relations: &Rc<Relations>, order: &[usize]) -> Self {
        let owners = view.groups.iter().map(|group| group.owner.clone());
        Self::standing(view, relations, order, &owners.collect::<Vec<_>>())
    }

    /// A group is planned.
    pub(crate) fn settle(&mut self, index: usize, owner: Option<&NodeName>) {
        self.at[index] = owner.cloned();
        self.planned[index] = true;
    }

    /// The groups that count on a node, in the order of the file.
    fn on(&self, node: &NodeName) -> impl Iterator<Item = (usize, &'a GroupView)> {
        let view = self.view;
        let here = |place: &Option<NodeName>| place.as_ref() == Some(node);
        (0..self.at.len())
            .filter(move |&one| here(&self.at[one]))
            .map(|one| (one, &view.groups[one]))
    }

    /// Whether a group's place is decided.
    pub(crate) fn planned(&self, index: usize) -> bool {
        self.planned[index]
    }

    /// Where a group counts.
    pub(crate) fn at(&self, index: usize) -> Option<&NodeName> {
        self.at[index].as_ref()
    }

    /// The group of this name.
    pub(crate) fn find(&self, name: &GroupName) -> Option<usize> {
        let groups = &self.view.groups;
        groups.iter().position(|group| group.name == *name)
    }

    /// What a node would carry with a group. Those that give way to it there do not count, and neither do those that
    /// it gives way to: it comes only when they have gone.
    pub(crate) fn carried(&self, index: usize, node: &NodeName) -> u64 {
        let group = &self.view.groups[index];
        let gone = |other: usize, there: &GroupView| {
            let gives_way = group.displaces.contains(&there.name)
                && self.turn[other] > self.turn[index]
                && !there.maintenance;
            gives_way || there.displaces.contains(&group.name)
        };
        let others = self
            .on(node)
            .filter(|&(other, there)| other != index && !gone(other, there))
            .map(|(_, there)| u64::from(there.load));
        others.sum::<u64>() + u64::from(group.load)
    }
}

/// Whether a group occupies its owner until it is planned: not where the owner is lost, nor where it is about to stop.
fn counts(view: &View, group: &GroupView, owner: &NodeName) -> bool {
    match view.presence(owner) {
        Presence::Lost => false,
        Presence::Silent => true,
        Presence::Online { .. } => !group.stopped || group.maintenance,
    }
}
