//! One plan.

use std::time::Duration;

use had_policies::names::NodeName;
use had_policies::{Idle, Presence, Readiness, Scheme, Verdict, View, degraded, lint, plan};
use proptest::prelude::*;

use super::cluster::{carried_out, takeable};
use super::eligible::{self, Owners, is_silent, owners};
use super::generate::{sound_view, view};

fn decided(view: &View) -> Owners {
    plan(view)
        .decisions
        .into_iter()
        .map(|one| one.owner)
        .collect()
}

/// Whether every group that follows one, directly or through others, could run on a node.
fn follow(view: &View, number: usize, node: &NodeName) -> bool {
    let mut followed = vec![view.groups[number].name.clone()];
    loop {
        let next = view.groups.iter().find(|one| {
            let goes = !one.stopped && !one.maintenance && !followed.contains(&one.name);
            goes && one.with.iter().any(|name| followed.contains(name))
        });
        let Some(next) = next else { return true };
        if !eligible::alone(view, next, node) {
            return false;
        }
        followed.push(next.name.clone());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 6_000, ..ProptestConfig::default() })]

    #[test]
    fn a_finished_plan_passes_the_lint(view in view()) {
        prop_assert_eq!(lint(&view, &plan(&view)), Vec::<String>::new());
    }

    #[test]
    fn an_ineligible_node_never_gets_a_group(view in view()) {
        let owners = decided(&view);
        for (number, (group, owner)) in view.groups.iter().zip(&owners).enumerate() {
            let Some(owner) = owner.as_ref().filter(|owner| group.owner.as_ref() != Some(owner)) else { continue };
            prop_assert!(eligible::alone(&view, group, owner), "{} to {owner}", group.name);
            prop_assert!(number < owners.len());
        }
    }

    #[test]
    fn without_circles_no_rule_between_groups_is_broken_by_a_move(view in sound_view()) {
        let owners = decided(&view);
        for (number, (group, owner)) in view.groups.iter().zip(&owners).enumerate() {
            let Some(owner) = owner.as_ref().filter(|owner| group.owner.as_ref() != Some(owner)) else { continue };
            // One that is displaced but may not move stays beside its displacer.
            let beside = view.groups.iter().any(|other| {
                group.displaces.contains(&other.name) && other.maintenance && other.owner.as_ref() == Some(owner)
            });
            prop_assert!(beside || eligible::among(&view, &owners, number, owner), "{} to {owner}", group.name);
        }
    }

    #[test]
    fn every_group_is_decided_once_and_a_move_has_a_cause(view in view()) {
        let plan = plan(&view);
        prop_assert_eq!(plan.decisions.len(), view.groups.len());
        for (group, decision) in view.groups.iter().zip(&plan.decisions) {
            prop_assert_eq!(&group.name, &decision.group);
            prop_assert_eq!(decision.cause.is_some(), decision.owner != group.owner);
            prop_assert_eq!(decision.idle.is_some(), decision.owner.is_none());
            prop_assert!(!decision.reason.is_empty());
        }
    }

    #[test]
    fn planning_twice_moves_nothing(view in view()) {
        let first = plan(&view);
        let after = carried_out(&view, &first);
        let second = plan(&after);
        for (before, decision) in first.decisions.iter().zip(&second.decisions) {
            prop_assert_eq!(decision.cause, None, "{:?}\n{:?}", before, decision);
            prop_assert_eq!(&before.idle, &decision.idle, "{:?}\n{:?}", before, decision);
        }
        prop_assert_eq!(&first.degraded, &second.degraded);
        prop_assert_eq!(&first.degraded, &degraded(&after));
        prop_assert_eq!(first.again_in, second.again_in);
    }

    #[test]
    fn nothing_is_taken_from_a_silent_owner_and_nothing_moves_in_maintenance(view in view()) {
        for (group, owner) in view.groups.iter().zip(decided(&view)) {
            let silent = group.owner.as_ref().is_some_and(|owner| is_silent(&view, owner));
            if silent || group.maintenance {
                prop_assert_eq!(&owner, &group.owner);
            }
        }
    }

    #[test]
    fn a_stopped_group_has_no_owner(view in view()) {
        for (group, decision) in view.groups.iter().zip(plan(&view).decisions) {
            let silent = group.owner.as_ref().is_some_and(|owner| is_silent(&view, owner));
            if group.stopped && !silent && !group.maintenance {
                prop_assert_eq!(&decision.owner, &None);
                prop_assert_eq!(&decision.idle, &Some(Idle::Stopped));
            }
        }
    }

    #[test]
    fn a_move_never_exceeds_a_hard_capacity(view in view()) {
        let owners = decided(&view);
        for node in view.nodes.iter().filter(|node| node.capacity_is_hard) {
            let here = |owner: &Option<_>| owner.as_ref() == Some(&node.name);
            let came = view.groups.iter().zip(&owners).any(|(group, owner)| here(owner) && !here(&group.owner));
            let load: u32 = view.groups.iter().zip(&owners).filter(|(_, owner)| here(owner)).map(|(group, _)| group.load).sum();
            prop_assert!(!came || load <= node.capacity, "{} carries {load} of {}", node.name, node.capacity);
        }
    }

    #[test]
    fn a_group_has_an_owner_where_anybody_can_take_it(view in view()) {
        let owners = decided(&view);
        for (number, group) in view.groups.iter().enumerate() {
            if owners[number].is_none() && !group.stopped && !group.maintenance {
                prop_assert_eq!(takeable(&view, &owners, number), None, "{}", group.name);
            }
        }
    }

    #[test]
    fn a_displaced_group_waits_for_those_that_run_where_it_could(view in view()) {
        let plan = plan(&view);
        for (group, decision) in view.groups.iter().zip(&plan.decisions) {
            let Some(Idle::Displaced { by }) = &decision.idle else { continue };
            prop_assert!(!by.is_empty());
            for name in by {
                let (other, there) = view.groups.iter().zip(&plan.decisions).find(|(one, _)| one.name == *name).unwrap();
                prop_assert!(other.displaces.contains(&group.name));
                let could = |node: &_| is_silent(&view, node) || eligible::alone(&view, group, node);
                prop_assert!(there.owner.as_ref().is_some_and(could));
            }
        }
    }

    #[test]
    fn what_only_a_displacer_keeps_from_running_is_said_to_be_displaced(view in sound_view()) {
        let plan = plan(&view);
        let owners = decided(&view);
        for (number, decision) in plan.decisions.iter().enumerate() {
            let group = &view.groups[number];
            if decision.owner.is_some() || group.stopped || group.maintenance { continue }
            let mut peace = view.clone();
            for other in &mut peace.groups {
                other.displaces.retain(|name| *name != group.name);
            }
            let only = takeable(&peace, &owners, number).is_some();
            prop_assert!(!only || matches!(decision.idle, Some(Idle::Displaced { .. })), "{decision:?}");
        }
    }

    #[test]
    fn a_partner_takes_over_that_is_no_fuller_than_another(view in view()) {
        let plan = plan(&view);
        let owners = decided(&view);
        let moved = plan.decisions.iter().filter(|one| one.cause.is_some()).count();
        for (number, decision) in plan.decisions.iter().enumerate() {
            let group = &view.groups[number];
            let (Scheme::MutualTakeover { home, .. }, Some(to), Some(_), 1) =
                (&group.scheme, &decision.owner, decision.cause, moved) else { continue };
            if to == home || !group.displaces.is_empty() || !group.with.is_empty() || group.pinned.is_some() { continue }
            prop_assert!(!eligible::among(&view, &owners, number, home) || !follow(&view, number, home), "home is free");
            let full = |node: &NodeName| {
                let others = view.groups.iter().zip(&owners).enumerate();
                let here = others.filter(|(other, (_, owner))| *other != number && owner.as_ref() == Some(node));
                let load: u32 = here.map(|(_, (other, _))| other.load).sum();
                (u64::from(load + group.load), u64::from(view.node(node).unwrap().capacity))
            };
            let (load, capacity) = full(to);
            for other in view.nodes.iter().map(|node| &node.name).filter(|node| *node != to && *node != home) {
                let (theirs, of) = full(other);
                let emptier = of > 0 && (capacity == 0 || theirs * capacity < load * of);
                let free = eligible::among(&view, &owners, number, other) && follow(&view, number, other);
                prop_assert!(!free || !emptier, "{other} is emptier than {to} for {}", group.name);
            }
        }
    }

    #[test]
    fn a_takeover_prefers_nodes_where_the_followers_could_run(view in view()) {
        let plan = plan(&view);
        let owners = decided(&view);
        for (number, decision) in plan.decisions.iter().enumerate() {
            let group = &view.groups[number];
            let alone = plan.decisions.iter().zip(&view.groups)
                .all(|(one, other)| one.cause.is_none() || one.group == group.name || !other.with.is_empty());
            let (Some(to), Some(_), true, true) =
                (&decision.owner, decision.cause, alone, group.with.is_empty()) else { continue };
            let better = view.nodes.iter().map(|node| &node.name).find(|node| {
                eligible::among(&view, &owners, number, node) && follow(&view, number, node)
            });
            prop_assert!(follow(&view, number, to) || better.is_none(), "{better:?}, not {to}: {decision:?}");
        }
    }

    #[test]
    fn the_report_names_every_node_once_and_at_most_one_is_chosen(view in view()) {
        for (group, decision) in view.groups.iter().zip(plan(&view).decisions) {
            let mut named: Vec<_> = decision.candidates.iter().map(|one| &one.node).collect();
            named.sort();
            let mut listed = group.scheme.nodes();
            listed.sort();
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
    fn a_rotating_group_takes_the_first_that_can(view in sound_view()) {
        let plan = plan(&view);
        for (group, decision) in view.groups.iter().zip(&plan.decisions) {
            let (Scheme::RotatingStandby { .. }, Some(owner), Some(_)) = (&group.scheme, &decision.owner, decision.cause) else { continue };
            let waiting = group.queue.iter().take_while(|node| *node != owner);
            for earlier in waiting.filter(|node| group.scheme.lists(node)) {
                // Followers may hinder a node; one that must not be met may leave it in the same plan.
                let hindered = !group.apart_from.is_empty()
                    || view.groups.iter().any(|one| one.with.contains(&group.name) || one.apart_from.contains(&group.name));
                let told = decision.candidates.iter().find(|one| one.node == *earlier).unwrap();
                prop_assert!(hindered || matches!(told.verdict, Verdict::Vetoed(_)), "{earlier} before {owner}: {decision:?}");
            }
        }
    }

    #[test]
    fn time_alone_moves_a_group_only_when_the_plan_said_so(view in view()) {
        let moves = |later: Duration| {
            let mut view = carried_out(&view, &plan(&view));
            for group in &mut view.groups {
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
        match plan(&view).again_in {
            // Longer than any return that these views wait for.
            None => prop_assert!(!moves(Duration::from_secs(60))),
            Some(wait) => {
                prop_assert!(wait > Duration::ZERO);
                prop_assert!(!moves(wait - Duration::from_nanos(1)));
                prop_assert!(moves(wait));
            }
        }
    }

    #[test]
    fn who_carries_a_group_of_another_home_is_marked(view in view()) {
        let plan = plan(&view);
        for node in &view.nodes {
            let foreign = view.groups.iter().zip(&plan.decisions).any(|(group, decision)| {
                let Scheme::MutualTakeover { home, .. } = &group.scheme else { return false };
                decision.owner.as_ref() == Some(&node.name) && *home != node.name
            });
            let marked = plan.degraded.iter().any(|mark| mark.node == node.name);
            prop_assert_eq!(marked, foreign && node.presence != Presence::Lost);
        }
        prop_assert_eq!(owners(&view).len(), plan.decisions.len());
    }
}
