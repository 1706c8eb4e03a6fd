//! Idle standby: the highest priority, ties by name.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::{Ranked, level_with};
use crate::field::{Field, Judged};
use crate::names::NodeName;

pub(super) fn ranked(priorities: &BTreeMap<NodeName, i64>) -> Vec<Ranked> {
    let mut nodes: Vec<_> = priorities.iter().collect();
    nodes.sort_by_key(|&(node, priority)| (Reverse(*priority), node));
    let level = |priority| nodes.iter().position(|&(_, other)| other == priority);
    nodes
        .iter()
        .map(|&(node, priority)| Ranked {
            node: node.clone(),
            preference: *priority,
            level: level(priority).unwrap_or_default(),
            words: format!("priority {priority}"),
            burden: None,
        })
        .collect()
}

pub(super) fn first(field: &Field, chosen: &Judged) -> String {
    let highest = "highest priority among the eligible";
    let (tied, first) = level_with(field, chosen);
    match (tied.is_empty(), first) {
        (true, _) => highest.to_owned(),
        (false, true) => format!("{highest}, before {tied} by name alone"),
        (false, false) => format!("{highest}, level with {tied}"),
    }
}

pub(super) fn behind(judged: &Judged, chosen: &Judged) -> String {
    let (own, other) = (judged.ranked.preference, chosen.ranked.preference);
    if judged.ties(chosen) {
        format!("the same priority as {} ({own})", chosen.node())
    } else {
        format!("priority {own} is below {other} of {}", chosen.node())
    }
}
