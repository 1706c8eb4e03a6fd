//! What a loss would mean.

use had_policies::names::NodeName;
use had_policies::{FateState, Outage, Presence, Scenario, Seats, forecast, plan};
use proptest::prelude::*;

use super::generate::{NODES, name, view};

fn seats(witness: bool, leader: Option<usize>) -> Seats {
    let mut voters: Vec<NodeName> = (0..NODES).map(name).collect();
    if witness {
        voters.push("w1".into());
    }
    Seats {
        voters,
        leader: leader.map(name),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 3_000, ..ProptestConfig::default() })]

    #[test]
    fn a_forecast_is_what_the_planner_would_decide(
        view in view(),
        lost in prop::collection::vec(0..NODES, 1..=NODES),
        witness in any::<bool>(),
        leader in prop::option::of(0..NODES),
    ) {
        let lost: Vec<NodeName> = lost.into_iter().map(name).collect();
        let seats = seats(witness, leader);
        let told = forecast(&view, &seats, &Scenario::Lose(lost.clone())).unwrap();
        let mut after = view.clone();
        for node in after.nodes.iter_mut().filter(|node| lost.contains(&node.name)) {
            node.presence = Presence::Lost;
        }
        for group in &mut after.groups {
            group.queue.retain(|node| !lost.contains(node));
            group.pinned = group.pinned.take().filter(|pin| !lost.contains(pin));
        }
        let left = after.nodes.iter().filter(|node| node.presence != Presence::Lost).count() + usize::from(witness);
        prop_assert_eq!(told.goes_on.is_empty(), 2 * left <= seats.voters.len());
        prop_assert_eq!(told.groups.len(), view.groups.len());
        let plan = plan(&after);
        for (fate, decision) in told.groups.iter().zip(&plan.decisions) {
            let gone = |node: &NodeName| after.presence(node) == Presence::Lost;
            prop_assert!(!fate.after.as_ref().is_some_and(gone));
            prop_assert_eq!(fate.after.is_some(), matches!(fate.state, FateState::Runs | FateState::Keeps));
            if fate.before.is_some() && fate.before == fate.after {
                prop_assert_eq!(fate.outage, Outage::None);
            }
            if told.goes_on.is_empty() {
                prop_assert!(matches!(fate.state, FateState::NoQuorum | FateState::Keeps));
            } else {
                prop_assert_eq!(&fate.after, &decision.owner.clone().filter(|node| !gone(node)));
            }
        }
    }

    #[test]
    fn a_split_goes_on_with_at_most_one_part(
        view in view(),
        sides in prop::collection::vec(0..3_usize, NODES + 1),
    ) {
        let seats = seats(true, Some(0));
        let mut parts: Vec<Vec<NodeName>> = vec![Vec::new(); 3];
        for (voter, side) in seats.voters.iter().zip(sides) {
            parts[side].push(voter.clone());
        }
        parts.retain(|part| !part.is_empty());
        let several = parts.len() > 1;
        match forecast(&view, &seats, &Scenario::Split(parts.clone())) {
            Err(refused) => prop_assert!(!several, "{refused}"),
            Ok(told) => {
                let whole = parts.iter().any(|part| told.goes_on.iter().all(|node| part.contains(node)));
                prop_assert!(several && whole);
                prop_assert!(told.goes_on.is_empty() || 2 * told.goes_on.len() > seats.voters.len());
            }
        }
    }
}
