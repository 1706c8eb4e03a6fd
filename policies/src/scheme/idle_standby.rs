//! Idle standby: the highest priority, ties by name.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::{Ranked, level_with};
use crate::field::{Field, Judged};
use crate::names::NodeName;
use crate::words;

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

/// `told` is a node of which the reason has already told why it does not have the group.
pub(super) fn first(
    field: &Field,
    chosen: &Judged,
    alone: bool,
    told: Option<&NodeName>,
) -> String {
    let highest = "highest priority among the eligible";
    let (tied, first) = level_with(field, chosen);
    let first = match (tied.is_empty(), first) {
        _ if alone => "the only eligible node".to_owned(),
        (true, _) => highest.to_owned(),
        (false, true) => format!("{highest}, before {tied} by name alone"),
        (false, false) => format!("{highest}, level with {tied}"),
    };
    let preferred = field
        .all()
        .find(|judged| !judged.eligible() && judged.beats(chosen) && told != Some(judged.node()));
    match preferred {
        None => first,
        Some(preferred) => {
            let (node, why) = (preferred.node(), words::vetoes(&preferred.vetoes));
            format!("{first}; {node} has a higher priority, but {why}")
        }
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
