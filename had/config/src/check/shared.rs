//! The nodes that groups have in common.

use had_core::ids::NodeName;

use crate::finding::Findings;

use super::relations::Relations;

pub(super) fn check(relations: &Relations<'_>, findings: &mut Findings) {
    for group in 0..relations.groups.len() {
        let Some(own) = relations.groups[group].owners() else {
            continue;
        };
        followed(group, &own, relations, findings);
        displaced(group, &own, relations, findings);
        kept_apart(group, &own, relations, findings);
    }
}

/// A group runs only where all those run that it follows.
fn followed(group: usize, own: &[&NodeName], relations: &Relations<'_>, findings: &mut Findings) {
    let mut left = own.to_vec();
    for (other, named) in relations.with(group) {
        let Some(owners) = relations.groups[other].owners() else {
            continue;
        };
        let name = relations.name(group);
        if common(own, &owners).is_empty() {
            let other = named.get_ref();
            findings.error(
                named.span(),
                format!("{name} and {other} share no node: {name} could never run"),
                format!(
                    "{other} may run on {}: list one of them here too",
                    either(&owners)
                ),
            );
            continue;
        }
        let was_possible = !left.is_empty();
        for followed in relations.followed(other) {
            if let Some(owners) = relations.groups[followed].owners() {
                left = common(&left, &owners);
            }
        }
        if was_possible && left.is_empty() {
            findings.error(
                named.span(),
                format!("no node may run {name} and all the groups that it follows"),
                "list one node in all of them, or remove one from `with`",
            );
        }
    }
}

/// A group gives way only where it may run.
fn displaced(group: usize, own: &[&NodeName], relations: &Relations<'_>, findings: &mut Findings) {
    for (other, named) in relations.displaces(group) {
        let Some(owners) = relations.groups[other].owners() else {
            continue;
        };
        if common(own, &owners).is_empty() {
            let (name, other) = (relations.name(group), named.get_ref());
            findings.warn(
                named.span(),
                format!("{name} and {other} share no node: {other} never gives way"),
                format!("remove it, or list {} in {other}", either(own)),
            );
        }
    }
}

/// Two groups that need the same one node and keep apart never run both.
fn kept_apart(group: usize, own: &[&NodeName], relations: &Relations<'_>, findings: &mut Findings) {
    for (other, named) in relations.apart_from(group) {
        let owners = relations.groups[other].owners();
        if let (Some(owners), [only]) = (owners, own)
            && owners == *own
        {
            let (name, other) = (relations.name(group), named.get_ref());
            findings.warn(
                named.span(),
                format!("{name} and {other} may run on {only} alone: one of them never runs"),
                "list a second node in one of them",
            );
        }
    }
}

fn common<'a>(one: &[&'a NodeName], other: &[&NodeName]) -> Vec<&'a NodeName> {
    let mut common = one.to_vec();
    common.retain(|node| other.contains(node));
    common
}

/// "h1, h2 or h3"
fn either(nodes: &[&NodeName]) -> String {
    let names: Vec<String> = nodes.iter().map(ToString::to_string).collect();
    crate::values::either(&names)
}
