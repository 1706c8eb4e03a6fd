//! Commands.

use had_policies::{Cause, Scheme, failback, failover, next, plan};
use proptest::prelude::*;

use super::cluster::{carried_out, returns};
use super::eligible::{alone, among, owners};
use super::generate::{NODES, name, view};

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 6_000, ..ProptestConfig::default() })]

    #[test]
    fn an_operator_moves_only_to_eligible_nodes_and_it_stays_there(view in view(), to in 0..NODES) {
        let view = carried_out(&view, &plan(&view));
        for (number, group) in view.groups.iter().enumerate() {
            let Ok(target) = failover(&view, &group.name, Some(&name(to))) else { continue };
            prop_assert_eq!(&target.node, &name(to));
            prop_assert!(alone(&view, group, &target.node));
            prop_assert!(!group.stopped && !group.maintenance);
            prop_assert!(!target.pin || returns(group));
            let mut moved = view.clone();
            moved.groups[number].owner = Some(target.node.clone());
            moved.groups[number].pinned = target.pin.then(|| target.node.clone());
            moved.groups[number].queue.retain(|node| *node != target.node);
            let decision = &plan(&moved).decisions[number];
            // Another group may come there and displace it.
            let evicted = decision.cause == Some(Cause::Displaced);
            prop_assert!(evicted || decision.owner.as_ref() == Some(&target.node), "{decision:?}");
        }
    }

    #[test]
    fn the_next_in_order_is_where_failover_goes(view in view()) {
        for group in &view.groups {
            let next = next(&view, &group.name);
            prop_assert!(next.iter().all(|node| alone(&view, group, node)));
            prop_assert!(!next.iter().any(|node| group.with.is_empty() && group.owner.as_ref() == Some(node)));
            if let Ok(target) = failover(&view, &group.name, None)
                && group.with.is_empty()
            {
                prop_assert_eq!(Some(&target.node), next.first());
            }
        }
    }

    #[test]
    fn failback_goes_to_an_eligible_node_and_never_rotates(view in view()) {
        let view = carried_out(&view, &plan(&view));
        for (number, group) in view.groups.iter().enumerate() {
            let target = failback(&view, &group.name);
            if let Scheme::RotatingStandby { .. } = &group.scheme {
                let ends_the_pin = target == Ok(None) && group.pinned.is_some();
                prop_assert!(target.is_err() || ends_the_pin);
            }
            let Ok(Some(target)) = target else { continue };
            prop_assert!(among(&view, &owners(&view), number, &target.node) || !group.displaces.is_empty());
            prop_assert!(!target.pin);
        }
    }

    #[test]
    fn a_refusal_says_something(view in view(), to in 0..=NODES) {
        for group in &view.groups {
            for refused in [
                failover(&view, &group.name, Some(&name(to))).err(),
                failover(&view, &group.name, None).err(),
                failback(&view, &group.name).err(),
            ].into_iter().flatten() {
                prop_assert!(refused.0.len() > 10, "{refused}");
            }
        }
    }
}
