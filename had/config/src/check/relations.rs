//! What groups say of one another: `with`, `apart_from`, `displaces`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use had_core::ids::GroupName;

use crate::finding::Findings;
use crate::group::Group;
use crate::section::At;

use super::known;

/// The groups by their place in the file, and what each says of others that are there.
pub(super) struct Relations<'a> {
    pub(super) groups: &'a [Group],
    places: BTreeMap<&'a GroupName, usize>,
}

/// A group that another one names: its place in the file, and where it is named.
pub(super) type Named<'a> = (usize, &'a At<GroupName>);

impl<'a> Relations<'a> {
    pub(super) fn of(groups: &'a [Group]) -> Self {
        let mut places = BTreeMap::new();
        for (place, group) in groups.iter().enumerate() {
            if let Some(name) = &group.name {
                places.entry(name.get_ref()).or_insert(place);
            }
        }
        Self { groups, places }
    }

    /// The groups that one follows.
    pub(super) fn with(&self, group: usize) -> Vec<Named<'a>> {
        self.others(group, &self.groups[group].with)
    }

    /// The groups that one keeps away from.
    pub(super) fn apart_from(&self, group: usize) -> Vec<Named<'a>> {
        self.others(group, &self.groups[group].apart_from)
    }

    /// The groups that give way where one runs.
    pub(super) fn displaces(&self, group: usize) -> Vec<Named<'a>> {
        self.others(group, self.groups[group].displaces())
    }

    /// A group and all those that it follows, at once or through others.
    pub(super) fn followed(&self, group: usize) -> BTreeSet<usize> {
        let mut followed = BTreeSet::new();
        let mut next = vec![group];
        while let Some(group) = next.pop() {
            if followed.insert(group) {
                next.extend(self.with(group).into_iter().map(|(other, _)| other));
            }
        }
        followed
    }

    /// A group's name; a group without one is named by nobody and names others all the same.
    pub(super) fn name(&self, group: usize) -> &'a str {
        let name = self.groups[group].name.as_ref();
        name.map_or("this group", |name| name.get_ref().as_str())
    }

    /// Why two groups run on one node or not at all: "mail runs with web, lists runs with web". Empty where nothing
    /// says so.
    pub(super) fn together(&self, from: usize, to: usize) -> Vec<String> {
        let mut came: BTreeMap<usize, (usize, usize, usize)> = BTreeMap::new();
        let mut next = VecDeque::from([from]);
        let follows: Vec<(usize, usize)> = (0..self.groups.len())
            .flat_map(|group| {
                self.with(group)
                    .into_iter()
                    .map(move |(other, _)| (group, other))
            })
            .collect();
        while let Some(group) = next.pop_front() {
            for &(follower, followed) in &follows {
                let other = match group {
                    _ if group == follower => followed,
                    _ if group == followed => follower,
                    _ => continue,
                };
                if other != from && !came.contains_key(&other) {
                    came.insert(other, (group, follower, followed));
                    next.push_back(other);
                }
            }
        }
        let mut chain = Vec::new();
        let mut at = to;
        while let Some(&(before, follower, followed)) = came.get(&at) {
            chain.push(format!(
                "{} runs with {}",
                self.name(follower),
                self.name(followed)
            ));
            at = before;
        }
        chain.reverse();
        chain
    }

    fn others(&self, group: usize, names: &'a [At<GroupName>]) -> Vec<Named<'a>> {
        let mut seen = BTreeSet::from([group]);
        names
            .iter()
            .filter_map(|name| Some((*self.places.get(name.get_ref())?, name)))
            .filter(|(other, _)| seen.insert(*other))
            .collect()
    }
}

/// Every group that is named is there, is another one, and is named once.
pub(super) fn names(groups: &[Group], findings: &mut Findings) {
    for group in groups {
        let own = group.name.as_ref().map(At::get_ref);
        for (names, itself) in [
            (group.with.as_slice(), "a group runs with itself anyway"),
            (&group.apart_from, "a group cannot be apart from itself"),
            (group.displaces(), "a group cannot displace itself"),
        ] {
            let mut seen = BTreeSet::new();
            for name in names {
                if own == Some(name.get_ref()) {
                    findings.error(name.span(), itself, "name another group, or remove it");
                } else if !seen.insert(name.get_ref()) {
                    let message = format!("`{}` is listed twice", name.get_ref());
                    findings.error(name.span(), message, "keep one of the two");
                } else {
                    exists(name, own, groups, findings);
                }
            }
        }
    }
}

fn exists(
    name: &At<GroupName>,
    own: Option<&GroupName>,
    groups: &[Group],
    findings: &mut Findings,
) {
    // A [[group]] without a readable name may be the one that is meant.
    if groups.iter().any(|group| {
        group
            .name
            .as_ref()
            .is_none_or(|known| known.get_ref() == name.get_ref())
    }) {
        return;
    }
    let others = || {
        let names = groups.iter().filter_map(|group| group.name.as_ref());
        let names = names.map(At::get_ref);
        names
            .filter(|known| Some(*known) != own)
            .map(GroupName::as_str)
    };
    let help = match others().next() {
        Some(_) => known(name.get_ref().as_str(), "the other groups are", others()),
        None => "there is no other group: remove it".to_owned(),
    };
    let message = format!("there is no group `{}`", name.get_ref());
    findings.error(name.span(), message, help);
}

/// Two groups that run together are neither apart, nor does one displace the other; and who displaces a group meets it.
pub(super) fn contradictions(relations: &Relations<'_>, findings: &mut Findings) {
    for group in 0..relations.groups.len() {
        let own = relations.name(group);
        for (other, named) in relations.apart_from(group) {
            let chain = relations.together(group, other);
            let name = named.get_ref();
            if !chain.is_empty() {
                findings.error(
                    named.span(),
                    format!("{own} cannot be apart from {name}: {}", chain.join(", ")),
                    "remove it here, or the `with` that binds them",
                );
            }
            for (first, second) in [(group, other), (other, group)] {
                if relations
                    .displaces(first)
                    .iter()
                    .any(|(one, _)| *one == second)
                {
                    let (first, second) = (relations.name(first), relations.name(second));
                    findings.error(
                        named.span(),
                        format!("{first} displaces {second}: the two never run together anyway"),
                        "remove it from `apart_from`, or from `displaces`",
                    );
                }
            }
        }
        for (other, named) in relations.displaces(group) {
            let chain = relations.together(group, other);
            if !chain.is_empty() {
                let name = named.get_ref();
                findings.error(
                    named.span(),
                    format!("{own} cannot displace {name}: {}", chain.join(", ")),
                    "remove it here, or the `with` that binds them",
                );
            }
        }
    }
}
