//! What must hold across the file.
//!
//! ```text
//!  nodes       addresses, links, majority
//!  owners      who may own a group
//!  resources   interfaces, virtual addresses
//!  relations   with, apart_from, displaces: names, pairs that contradict each other
//!  circles     ... chains of them that lead back to where they begin
//!  shared      ... the nodes that two groups have in common
//!  loads       loads against capacities
//! ```

mod circles;
mod loads;
mod nodes;
mod owners;
mod relations;
mod resources;
mod shared;

use std::collections::BTreeSet;
use std::fmt::Display;

use crate::finding::Findings;
use crate::group::Group;
use crate::node::Node;
use crate::section::At;
use crate::similar;

use relations::Relations;

/// Nodes and groups among themselves and against each other.
pub(crate) fn file(nodes: &[Node], groups: &[Group], findings: &mut Findings) {
    nodes::check(nodes, findings);
    unique(
        "group",
        groups.iter().filter_map(|group| group.name.as_ref()),
        findings,
    );
    for group in groups {
        owners::check(group, nodes, findings);
        resources::check(group, findings);
        loads::carried(group, nodes, findings);
    }
    loads::at_home(groups, nodes, findings);
    resources::addresses(groups, nodes, findings);
    let relations = Relations::of(groups);
    relations::names(groups, findings);
    relations::contradictions(&relations, findings);
    circles::check(&relations, findings);
    shared::check(&relations, findings);
}

/// Two things of one kind must not share a name.
fn unique<'a, T: Ord + Display + 'a>(
    kind: &str,
    names: impl Iterator<Item = &'a At<T>>,
    findings: &mut Findings,
) {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name.get_ref()) {
            let message = format!("there is another {kind} `{}` above", name.get_ref());
            findings.error(name.span(), message, "give it another name");
        }
    }
}

/// What to write for a name that nobody has: one that is near, or else all of them. `those` begins the list.
fn known<'a>(name: &str, those: &str, known: impl Iterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.collect();
    match similar::nearest(name, known.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("{those}: {}", known.join(", ")),
    }
}
