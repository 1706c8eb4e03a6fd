//! A cluster over time.

use had_policies::{Cause, Idle, Scheme, lint, plan};
use proptest::prelude::*;

use super::cluster::{Cluster, Event, takeable};
use super::eligible::{among, owners};
use super::generate::{GROUPS, NODES, sound_view, view};

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        1 => (0..NODES).prop_map(Event::Silent),
        3 => (0..NODES).prop_map(Event::Lost),
        4 => (0..NODES).prop_map(Event::Back),
        1 => (0..NODES).prop_map(Event::Drained),
        2 => (0..NODES).prop_map(Event::Resumed),
        1 => (0..GROUPS).prop_map(Event::Stopped),
        2 => (0..GROUPS).prop_map(Event::Started),
        2 => (0..GROUPS, 0..NODES).prop_map(|(group, node)| Event::Failover(group, node)),
        2 => (1..2_000_u64).prop_map(Event::Later),
    ]
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    prop::collection::vec(event(), 1..30)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn every_plan_on_the_way_passes_the_lint_and_settles(view in view(), events in events()) {
        let mut cluster = Cluster::new(view);
        for event in events {
            let (before, planned) = cluster.settle();
            prop_assert_eq!(lint(&before, &planned), Vec::<String>::new());
            let again = plan(&cluster.view);
            prop_assert!(again.decisions.iter().all(|one| one.cause.is_none()), "{again:?}");
            cluster.happens(event);
        }
    }

    #[test]
    fn a_rotating_group_serves_first_in_first_out(view in view(), events in events()) {
        let mut cluster = Cluster::new(view);
        for event in events {
            let tickets: Vec<Vec<_>> = cluster.view.groups.iter().map(|group| {
                let mine = group.scheme.nodes().into_iter();
                mine.filter_map(|node| Some((cluster.ticket(&group.name, node)?, node.clone()))).collect()
            }).collect();
            let (before, planned) = cluster.settle();
            let after = owners(&cluster.view);
            for (number, group) in before.groups.iter().enumerate() {
                let decision = &planned.decisions[number];
                let followed = before.groups.iter().any(|one| one.with.contains(&group.name));
                let (Scheme::RotatingStandby { .. }, Some(owner), Some(_), false) =
                    (&group.scheme, &decision.owner, decision.cause, followed) else { continue };
                prop_assert_ne!(decision.cause, Some(Cause::Failback));
                let turn = tickets[number].iter().find(|(_, node)| node == owner).map(|(turn, _)| *turn);
                prop_assert!(turn.is_some(), "{owner} did not wait for {}", group.name);
                for (earlier, node) in &tickets[number] {
                    let passed = Some(*earlier) < turn && among(&before, &after, number, node);
                    prop_assert!(!passed, "{node} waited longer than {owner} for {}", group.name);
                }
            }
            cluster.happens(event);
        }
    }

    #[test]
    fn what_was_displaced_runs_again_when_the_displacers_are_gone(view in sound_view(), events in events()) {
        let mut cluster = Cluster::new(view);
        for event in events {
            let (_, planned) = cluster.settle();
            for decision in &planned.decisions {
                let Some(Idle::Displaced { by }) = &decision.idle else { continue };
                // One that follows others runs only where they do, whoever displaces it.
                let free = |group: &&had_policies::GroupView| group.name == decision.group && group.with.is_empty();
                if !cluster.view.groups.iter().any(|group| free(&group)) {
                    continue;
                }
                let mut later = cluster.clone();
                for group in later.view.groups.iter_mut().filter(|group| by.contains(&group.name)) {
                    group.stopped = true;
                    group.maintenance = false;
                }
                let (_, gone) = later.settle();
                let back = gone.decisions.iter().find(|one| one.group == decision.group).unwrap();
                let silent = gone.decisions.iter().any(|one| by.contains(&one.group) && one.owner.is_some());
                // What the displacers leave behind may be taken by others first.
                let taken = gone.decisions.iter().any(|one| one.cause.is_some() && !by.contains(&one.group) && one.group != decision.group);
                prop_assert!(silent || taken || back.owner.is_some(), "{back:?}");
            }
            cluster.happens(event);
        }
    }

    #[test]
    fn nobody_waits_where_a_node_could_take_it(view in view(), events in events()) {
        let mut cluster = Cluster::new(view);
        for event in events {
            let (before, planned) = cluster.settle();
            let after = owners(&cluster.view);
            for (number, decision) in planned.decisions.iter().enumerate() {
                let group = &before.groups[number];
                if decision.owner.is_none() && !group.stopped && !group.maintenance {
                    prop_assert_eq!(takeable(&before, &after, number), None, "{:?}", decision);
                }
            }
            cluster.happens(event);
        }
    }
}
