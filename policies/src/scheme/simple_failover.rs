//! Simple failover: the primary, else the backup.

use super::Ranked;
use crate::field::{Field, Judged};
use crate::names::NodeName;
use crate::words;

pub(super) fn ranked(primary: &NodeName, backup: &NodeName) -> Vec<Ranked> {
    let one = |node: &NodeName, level: usize, words: &str| Ranked {
        node: node.clone(),
        preference: if level == 0 { 1 } else { 0 },
        level,
        words: words.to_owned(),
        burden: None,
    };
    let mut nodes = vec![one(primary, 0, "primary")];
    if backup != primary {
        nodes.push(one(backup, 1, "backup"));
    }
    nodes
}

/// `told` is a node of which the reason has already told why it does not have the group.
pub(super) fn first(
    field: &Field,
    chosen: &Judged,
    primary: &NodeName,
    told: Option<&NodeName>,
) -> String {
    if chosen.node() == primary {
        return "the primary".to_owned();
    }
    let primary = field
        .get(primary)
        .filter(|judged| !judged.eligible() && told != Some(judged.node()));
    match primary {
        Some(primary) => {
            let why = words::vetoes(&primary.vetoes);
            format!("the backup; the primary {} {why}", primary.node())
        }
        None => "the backup".to_owned(),
    }
}

pub(super) fn behind(chosen: &Judged) -> String {
    format!("{} is the primary", chosen.node())
}
