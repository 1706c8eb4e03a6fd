//! Who has to do with whom, by index into the view's groups: found once for a plan, since most groups have to do with
//! nobody and a cluster may have hundreds of them.

use std::collections::BTreeMap;

use crate::names::GroupName;
use crate::view::{GroupView, View};

/// What the rules between groups name, for each group.
#[derive(Debug)]
pub(crate) struct Relations {
    displacers: Vec<Vec<usize>>,
    apart: Vec<Vec<usize>>,
    follows: Vec<Vec<usize>>,
    followers: Vec<Vec<usize>>,
}

impl Relations {
    /// Of a view. Names that it does not know relate to nothing.
    pub(crate) fn of(view: &View) -> Self {
        let count = view.groups.len();
        let named = view.groups.iter().map(|group| &group.name).zip(0..);
        let places: BTreeMap<&GroupName, usize> = named.collect();
        let known = |names: &[GroupName]| -> Vec<usize> {
            names
                .iter()
                .filter_map(|name| places.get(name).copied())
                .collect()
        };
        let mut displacers = vec![Vec::new(); count];
        let mut apart = vec![Vec::new(); count];
        let mut followed_by = vec![Vec::new(); count];
        let mut follows = Vec::with_capacity(count);
        for (index, group) in view.groups.iter().enumerate() {
            for other in known(&group.displaces) {
                displacers[other].push(index);
            }
            for other in known(&group.apart_from) {
                apart[other].push(index);
                apart[index].push(other);
            }
            follows.push(known(&group.with));
            for other in known(&group.with) {
                followed_by[other].push(index);
            }
        }
        for others in displacers.iter_mut().chain(&mut apart) {
            others.sort_unstable();
            others.dedup();
        }
        let followers = (0..count)
            .map(|index| all_followers(view, &followed_by, index))
            .collect();
        Self {
            displacers,
            apart,
            follows,
            followers,
        }
    }

    /// The groups that displace this one, in the order of the file.
    pub(crate) fn displacers(&self, index: usize) -> &[usize] {
        &self.displacers[index]
    }

    /// The groups that must not meet it: it is enough that one of the two says so.
    pub(crate) fn apart(&self, index: usize) -> &[usize] {
        &self.apart[index]
    }

    /// The groups that it follows.
    pub(crate) fn follows(&self, index: usize) -> &[usize] {
        &self.follows[index]
    }

    /// The groups that follow it, directly or through others.
    pub(crate) fn followers(&self, index: usize) -> &[usize] {
        &self.followers[index]
    }
}

/// One that is stopped or in maintenance follows nobody.
fn all_followers(view: &View, followed_by: &[Vec<usize>], index: usize) -> Vec<usize> {
    let goes = |group: &GroupView| !group.stopped && !group.maintenance;
    let mut found = vec![index];
    let mut next = 0;
    while let Some(&followed) = found.get(next) {
        next += 1;
        for &one in &followed_by[followed] {
            if goes(&view.groups[one]) && !found.contains(&one) {
                found.push(one);
            }
        }
    }
    found.split_off(1)
}
