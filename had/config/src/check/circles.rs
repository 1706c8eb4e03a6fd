//! Groups that displace or follow one another in a circle: none of them could be planned first.

use crate::finding::{Findings, Span};

use super::relations::Relations;

/// One group is planned before another.
struct Edge {
    before: usize,
    after: usize,
    why: Why,
    /// Where the file says so.
    span: Span,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Why {
    /// The first displaces the second.
    Displaces,
    /// The second runs with the first.
    IsFollowed,
}

/// Refuses every circle, each written out.
pub(super) fn check(relations: &Relations<'_>, findings: &mut Findings) {
    let mut edges = edges(relations);
    while let Some(circle) = find(&edges, relations.groups.len()) {
        let around: Vec<&Edge> = circle.iter().map(|edge| &edges[*edge]).collect();
        refuse(&around, relations, findings);
        // The next one has something else in it.
        edges.remove(circle[0]);
    }
}

fn edges(relations: &Relations<'_>) -> Vec<Edge> {
    let mut edges = Vec::new();
    for group in 0..relations.groups.len() {
        for (other, name) in relations.displaces(group) {
            // A pair that runs together is a contradiction already.
            if relations.together(group, other).is_empty() {
                edges.push(Edge {
                    before: group,
                    after: other,
                    why: Why::Displaces,
                    span: name.span(),
                });
            }
        }
        for (other, name) in relations.with(group) {
            edges.push(Edge {
                before: other,
                after: group,
                why: Why::IsFollowed,
                span: name.span(),
            });
        }
    }
    edges
}

/// The edges of one circle, from the group in it that stands first in the file.
fn find(edges: &[Edge], groups: usize) -> Option<Vec<usize>> {
    // A group before no other is in no circle; without all of these, every group that is left leads to another.
    let mut left = vec![true; groups];
    loop {
        let leads = |group: usize| {
            let mut after = edges.iter().filter(|edge| edge.before == group);
            after.any(|edge| left[edge.after])
        };
        let ends: Vec<usize> = (0..groups)
            .filter(|group| left[*group] && !leads(*group))
            .collect();
        if ends.is_empty() {
            break;
        }
        for group in ends {
            left[group] = false;
        }
    }
    let mut at = left.iter().position(|left| *left)?;
    let mut walked: Vec<usize> = Vec::new();
    let begin = loop {
        if let Some(begin) = walked.iter().position(|edge| edges[*edge].before == at) {
            break begin;
        }
        let onward = |edge: &Edge| edge.before == at && left[edge.after];
        let edge = edges.iter().position(onward)?;
        walked.push(edge);
        at = edges[edge].after;
    };
    let mut circle = walked.split_off(begin);
    let first = (0..circle.len()).min_by_key(|place| edges[circle[*place]].before)?;
    circle.rotate_left(first);
    Some(circle)
}

fn refuse(circle: &[&Edge], relations: &Relations<'_>, findings: &mut Findings) {
    let all = |why: Why| circle.iter().all(|edge| edge.why == why);
    let (said, span, help): (Vec<_>, _, _) = if all(Why::IsFollowed) {
        // Told as the file says it: from the follower to the one that it follows.
        let said = circle.iter().rev();
        let said = said.map(|edge| (edge.after, "runs with", edge.before));
        (
            said.collect(),
            circle.last().map(|edge| edge.span.clone()),
            "let the others follow one of them: remove one of these from `with`",
        )
    } else {
        let said = circle.iter().map(|edge| match edge.why {
            Why::Displaces => (edge.before, "displaces", edge.after),
            Why::IsFollowed => (edge.before, "is followed by", edge.after),
        });
        let help = if all(Why::Displaces) {
            "say which gives way: remove one of these from `displaces`"
        } else {
            "remove one of these from `displaces` or `with`"
        };
        (
            said.collect(),
            circle.first().map(|edge| edge.span.clone()),
            help,
        )
    };
    let mut message = String::from("a circle: ");
    for (place, (one, does, other)) in said.into_iter().enumerate() {
        if place == 0 {
            message.push_str(relations.name(one));
        } else {
            message.push_str(", which");
        }
        message.push_str(&format!(" {does} {}", relations.name(other)));
    }
    findings.error(span.unwrap_or_default(), message, help);
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAIRS: [(usize, usize); 6] = [(0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)];
    const ORDERS: [[usize; 3]; 6] = [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ];

    #[test]
    fn a_circle_is_found_exactly_where_three_groups_have_no_order() {
        for chosen in 0..1 << PAIRS.len() {
            let edges: Vec<Edge> = PAIRS
                .iter()
                .enumerate()
                .filter(|(bit, _)| chosen & (1 << bit) != 0)
                .map(|(_, &(before, after))| Edge {
                    before,
                    after,
                    why: Why::Displaces,
                    span: 0..0,
                })
                .collect();
            let place = |order: &[usize; 3], group| order.iter().position(|one| *one == group);
            let has_order = ORDERS.iter().any(|order| {
                edges
                    .iter()
                    .all(|edge| place(order, edge.before) < place(order, edge.after))
            });
            let circle = find(&edges, 3);
            assert_eq!(circle.is_none(), has_order, "{chosen:06b}");
            for (place, edge) in circle.iter().flatten().enumerate() {
                let circle = circle.as_ref().unwrap();
                let next = circle[(place + 1) % circle.len()];
                assert_eq!(edges[*edge].after, edges[next].before, "{chosen:06b}");
            }
        }
    }
}
