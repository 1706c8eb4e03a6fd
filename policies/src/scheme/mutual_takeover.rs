//! Mutual takeover: at home, else with the partner that would carry least against its capacity.

use std::cmp::Ordering;
use std::fmt;

use super::{Ranked, level_with};
use crate::field::{Field, Judged};
use crate::names::NodeName;
use crate::places::Places;
use crate::words;

/// What a partner would carry, of what it is meant to carry.
#[derive(Clone, Copy)]
struct Burden {
    load: u64,
    capacity: u32,
}

impl Burden {
    fn of(places: &Places, index: usize, node: &NodeName) -> Self {
        Self {
            load: places.carried(index, node),
            capacity: places.view.node(node).map_or(1, |node| node.capacity),
        }
    }

    /// Exact: `a/b < c/d` where `a·d < c·b`. One without any capacity comes after all others.
    fn compare(self, other: Self) -> Ordering {
        match (self.capacity, other.capacity) {
            (0, 0) => self.load.cmp(&other.load),
            (0, _) => Ordering::Greater,
            (_, 0) => Ordering::Less,
            (own, others) => {
                let scaled = u128::from(self.load) * u128::from(others);
                scaled.cmp(&(u128::from(other.load) * u128::from(own)))
            }
        }
    }
}

/// "3 of 4".
impl fmt::Display for Burden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.load, self.capacity)
    }
}

pub(super) fn ranked(
    places: &Places,
    index: usize,
    home: &NodeName,
    listed: &[&NodeName],
    stays: Option<&NodeName>,
) -> Vec<Ranked> {
    let mut partners: Vec<(&NodeName, Burden)> = listed
        .iter()
        .filter(|node| **node != home)
        .map(|node| (*node, Burden::of(places, index, node)))
        .collect();
    partners.sort_by(|(_, one), (_, other)| one.compare(*other));
    let mut ranked = vec![Ranked {
        node: home.clone(),
        preference: 1,
        level: 0,
        words: "home".to_owned(),
        burden: None,
    }];
    for (node, burden) in &partners {
        let lighter = |other: &&(&NodeName, Burden)| other.1.compare(*burden).is_lt();
        let carries = if stays == Some(*node) {
            "carries"
        } else {
            "would carry"
        };
        ranked.push(Ranked {
            node: (*node).clone(),
            preference: 0,
            level: 1 + partners.iter().filter(lighter).count(),
            words: format!("partner, {carries} {burden}"),
            burden: Some(burden.to_string()),
        });
    }
    ranked
}

/// `told` is a node of which the reason has already told why it does not have the group.
pub(super) fn first(
    field: &Field,
    chosen: &Judged,
    home: &NodeName,
    owner: Option<&NodeName>,
    told: Option<&NodeName>,
) -> String {
    if chosen.node() == home {
        return "its home".to_owned();
    }
    let away = field
        .get(home)
        .filter(|judged| !judged.eligible() && told != Some(judged.node()));
    let away = away.map_or(String::new(), |home| {
        format!("its home {} {}; ", home.node(), words::vetoes(&home.vetoes))
    });
    if owner == Some(chosen.node()) {
        return format!("{away}{} carries it", chosen.node());
    }
    let eligible = field.eligible().filter(|judged| judged.node() != home);
    if eligible.count() == 1 {
        return format!("{away}the only eligible partner");
    }
    let (tied, first) = level_with(field, chosen);
    let node = chosen.node();
    match (tied.is_empty(), first) {
        (true, _) => format!("{away}the partner that would be least full"),
        (false, true) => {
            format!("{away}{node} would be as full as {tied}, and comes before among the partners")
        }
        (false, false) => format!("{away}{node} would be as full as {tied}"),
    }
}

pub(super) fn behind(judged: &Judged, chosen: &Judged, home: &NodeName) -> String {
    let other = chosen.node();
    if other == home {
        return format!("{other} is its home");
    }
    if judged.place < chosen.place {
        return format!("{other} has it, and it never moves for load alone");
    }
    if judged.ties(chosen) {
        return format!("would be as full as {other}, which is before it among the partners");
    }
    format!("{other} would be less full{}", load(chosen))
}

/// " (load 3 of 4)".
fn load(judged: &Judged) -> String {
    let burden = judged.ranked.burden.as_ref();
    burden.map_or(String::new(), |burden| format!(" (load {burden})"))
}
