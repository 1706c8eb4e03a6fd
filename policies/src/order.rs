//! In which order groups are planned: as in the file, but a group after those that displace it and those that it
//! follows, so that one look at what is decided already tells where it must not be.

use crate::relations::Relations;
use crate::view::View;

/// Indices into the view's groups, first planned first. Cycles, which the file's check refuses, leave the rest in the
/// order of the file.
pub(crate) fn planning(view: &View, relations: &Relations) -> Vec<usize> {
    let waits = |left: &[usize], late: usize| {
        let early = relations
            .displacers(late)
            .iter()
            .chain(relations.follows(late));
        early
            .into_iter()
            .any(|early| *early != late && left.contains(early))
    };
    let mut left: Vec<usize> = (0..view.groups.len()).collect();
    let mut order = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let free = left.iter().position(|&one| !waits(&left, one));
        match free {
            Some(at) => order.push(left.remove(at)),
            None => order.append(&mut left),
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::planning;
    use crate::names::GroupName;
    use crate::relations::Relations;
    use crate::scheme::Scheme;
    use crate::view::{GroupView, View};

    fn view(groups: &[(&str, &[&str], &[&str])]) -> View {
        let names = |names: &[&str]| names.iter().map(|name| GroupName::from(*name)).collect();
        let groups = groups.iter().map(|(name, displaces, with)| GroupView {
            name: (*name).into(),
            scheme: Scheme::RotatingStandby { nodes: Vec::new() },
            owner: None,
            pinned: None,
            readiness: BTreeMap::new(),
            load: 1,
            displaces: names(displaces),
            with: names(with),
            apart_from: Vec::new(),
            queue: Vec::new(),
            bans: BTreeMap::new(),
            stopped: false,
            maintenance: false,
            keeps: false,
        });
        View {
            lease: Duration::from_millis(300),
            maintenance: false,
            nodes: Vec::new(),
            groups: groups.collect(),
        }
    }

    fn order(groups: &[(&str, &[&str], &[&str])]) -> String {
        let view = view(groups);
        let names = planning(&view, &Relations::of(&view))
            .into_iter()
            .map(|one| view.groups[one].name.to_string());
        names.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_file_decides_where_no_rule_does() {
        assert_eq!(order(&[("a", &[], &[]), ("b", &[], &[])]), "a b");
    }

    #[test]
    fn displacers_and_followed_groups_come_first() {
        assert_eq!(
            order(&[
                ("a", &[], &["c"]),
                ("b", &[], &[]),
                ("c", &[], &["d"]),
                ("d", &["b"], &[])
            ]),
            "d b c a"
        );
    }

    #[test]
    fn a_cycle_keeps_the_order_of_the_file() {
        assert_eq!(
            order(&[
                ("a", &["b"], &[]),
                ("b", &["a"], &[]),
                ("c", &[], &[]),
                ("d", &["d"], &[])
            ]),
            "c d a b"
        );
    }

    #[test]
    fn rules_about_unknown_groups_order_nothing() {
        assert_eq!(order(&[("a", &["x"], &["y"]), ("b", &[], &[])]), "a b");
    }
}
