//! What holds for every view, however odd.

#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::time::Duration;

use had_policies::names::NodeName;
use had_policies::{
    Decision, Failback, GroupView, NodeView, Presence, Readiness, Scheme, Verdict, View, failback,
    failover, next, plan,
};
use proptest::prelude::*;

/// Enough nodes for every order among owner, pin and two standbys; one more is not in the group.
const NODES: usize = 5;

fn name(number: usize) -> NodeName {
    format!("h{number}").into()
}

fn time() -> impl Strategy<Value = Duration> {
    (0_u64..2_000).prop_map(Duration::from_millis)
}

fn presence() -> impl Strategy<Value = Presence> {
    prop_oneof![
        3 => time().prop_map(|stable_for| Presence::Online { stable_for }),
        1 => Just(Presence::Silent),
        1 => Just(Presence::Lost),
    ]
}

fn nodes() -> impl Strategy<Value = Vec<NodeView>> {
    let node = (
        presence(),
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.1),
    );
    prop::collection::vec(node, NODES).prop_map(|nodes| {
        nodes
            .into_iter()
            .enumerate()
            .map(|(number, (presence, drained, leaving))| NodeView {
                name: name(number),
                presence,
                drained,
                leaving,
            })
            .collect()
    })
}

fn readiness() -> impl Strategy<Value = Option<Readiness>> {
    prop_oneof![
        4 => time().prop_map(|since| Some(Readiness::Ready { since })),
        1 => Just(Some(Readiness::NotReady("no carrier".to_owned()))),
        1 => Just(None),
    ]
}

fn group() -> impl Strategy<Value = GroupView> {
    let back = prop_oneof![
        Just(Failback::Manual),
        Just(Failback::Auto),
        time().prop_map(Failback::After)
    ];
    (
        // Node 5 is listed by some groups and known to no view.
        prop::collection::btree_map(0..=NODES, 0_i64..3, 0..=NODES),
        back,
        prop::option::of(0..=NODES),
        prop::option::weighted(0.3, 0..NODES),
        prop::collection::vec(readiness(), NODES + 1),
    )
        .prop_map(|(priorities, failback, owner, pinned, ready)| {
            let priorities = priorities
                .into_iter()
                .map(|(node, p)| (name(node), p))
                .collect();
            let readiness: BTreeMap<_, _> = ready
                .into_iter()
                .enumerate()
                .filter_map(|(node, ready)| Some((name(node), ready?)))
                .collect();
            GroupView {
                name: "g".into(),
                scheme: Scheme::IdleStandby {
                    priorities,
                    failback,
                },
                owner: owner.map(name),
                pinned: pinned.map(name),
                readiness,
            }
        })
}

fn view() -> impl Strategy<Value = View> {
    (nodes(), prop::collection::vec(group(), 1..4)).prop_map(|(nodes, mut groups)| {
        for (number, group) in groups.iter_mut().enumerate() {
            group.name = format!("g{number}").into();
        }
        View {
            lease: Duration::from_millis(300),
            nodes,
            groups,
        }
    })
}

/// Written apart from the planner on purpose: what DESIGN calls eligible.
fn eligible(view: &View, group: &GroupView, node: &NodeName) -> bool {
    let online = view.node(node).is_some_and(|node| {
        matches!(node.presence, Presence::Online { .. }) && !node.drained && !node.leaving
    });
    let ready = matches!(group.readiness.get(node), Some(Readiness::Ready { .. }));
    online && ready && group.scheme.lists(node)
}

fn pairs(view: &View) -> Vec<(&GroupView, Decision)> {
    view.groups.iter().zip(plan(view).decisions).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn an_ineligible_node_never_gets_a_group(view in view()) {
        for (group, decision) in pairs(&view) {
            if decision.owner != group.owner && let Some(owner) = &decision.owner {
                prop_assert!(eligible(&view, group, owner), "{decision:?}");
            }
        }
    }

    #[test]
    fn every_group_is_decided_once_and_a_move_has_a_cause(view in view()) {
        let plan = plan(&view);
        prop_assert_eq!(plan.decisions.len(), view.groups.len());
        for (group, decision) in view.groups.iter().zip(&plan.decisions) {
            prop_assert_eq!(&group.name, &decision.group);
            prop_assert_eq!(decision.cause.is_some(), decision.owner != group.owner);
            prop_assert!(!decision.reason.is_empty());
        }
    }

    #[test]
    fn planning_twice_moves_nothing(view in view()) {
        let mut after = view.clone();
        for (group, decision) in after.groups.iter_mut().zip(plan(&view).decisions) {
            group.owner = decision.owner;
        }
        for (_, decision) in pairs(&after) {
            prop_assert_eq!(decision.cause, None, "{:?}", decision);
        }
    }

    #[test]
    fn nothing_is_taken_from_a_silent_owner(view in view()) {
        for (group, decision) in pairs(&view) {
            let owner = group.owner.as_ref().and_then(|owner| view.node(owner));
            if owner.is_some_and(|owner| owner.presence == Presence::Silent) {
                prop_assert_eq!(&decision.owner, &group.owner);
            }
        }
    }

    #[test]
    fn a_group_has_an_owner_where_anybody_is_eligible(view in view()) {
        for (group, decision) in pairs(&view) {
            let anybody = view.nodes.iter().any(|node| eligible(&view, group, &node.name));
            prop_assert!(decision.owner.is_some() || !anybody, "{decision:?}");
        }
    }

    #[test]
    fn the_report_names_every_node_once_and_at_most_one_is_chosen(view in view()) {
        for (group, decision) in pairs(&view) {
            let mut named: Vec<_> = decision.candidates.iter().map(|one| &one.node).collect();
            named.sort();
            let listed: Vec<_> = group.scheme.preferences().map(|(node, _)| node).collect();
            prop_assert_eq!(named, listed);
            let chosen: Vec<_> =
                decision.candidates.iter().filter(|one| one.verdict == Verdict::Chosen).collect();
            prop_assert!(chosen.len() <= 1);
            for one in chosen {
                prop_assert_eq!(Some(&one.node), decision.owner.as_ref());
            }
        }
    }

    #[test]
    fn time_alone_moves_a_group_only_when_the_plan_said_so(view in view()) {
        let Some(wait) = plan(&view).again_in else { return Ok(()) };
        prop_assert!(wait > Duration::ZERO);
        let settled = |later: Duration| {
            let mut view = view.clone();
            let owners: Vec<_> = plan(&view).decisions.into_iter().map(|one| one.owner).collect();
            for (group, owner) in view.groups.iter_mut().zip(owners) {
                group.owner = owner;
                for ready in group.readiness.values_mut() {
                    if let Readiness::Ready { since } = ready {
                        *since += later;
                    }
                }
            }
            for node in &mut view.nodes {
                if let Presence::Online { stable_for } = &mut node.presence {
                    *stable_for += later;
                }
            }
            plan(&view).decisions.iter().any(|one| one.cause.is_some())
        };
        prop_assert!(!settled(wait - Duration::from_nanos(1)));
        prop_assert!(settled(wait));
    }

    #[test]
    fn an_operator_moves_only_to_eligible_nodes_and_a_pin_keeps_it_there(view in view(), to in 0..NODES) {
        for group in &view.groups {
            let Ok(target) = failover(&view, &group.name, Some(&name(to))) else { continue };
            prop_assert_eq!(&target.node, &name(to));
            prop_assert!(eligible(&view, group, &target.node));
            let mut moved = view.clone();
            for one in &mut moved.groups {
                if one.name == group.name {
                    one.owner = Some(target.node.clone());
                    one.pinned = target.pin.then(|| target.node.clone());
                }
            }
            let stays = pairs(&moved).into_iter().find(|(one, _)| one.name == group.name);
            prop_assert_eq!(stays.and_then(|(_, decision)| decision.owner), Some(target.node));
        }
    }

    #[test]
    fn the_next_in_order_is_where_failover_goes(view in view()) {
        for group in &view.groups {
            let next = next(&view, &group.name);
            prop_assert!(next.iter().all(|node| eligible(&view, group, node)));
            prop_assert!(!next.iter().any(|node| group.owner.as_ref() == Some(node)));
            if let Ok(target) = failover(&view, &group.name, None) {
                prop_assert_eq!(Some(&target.node), next.first());
            }
            if let Ok(Some(target)) = failback(&view, &group.name) {
                prop_assert!(eligible(&view, group, &target.node));
                prop_assert!(!target.pin);
            }
        }
    }
}
