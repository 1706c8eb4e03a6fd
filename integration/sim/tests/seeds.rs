//! Whole runs: seeds repeat, promises hold, and a planted mistake is seen and told.

use std::time::Duration;

use had_sim::plant::Planted;
use had_sim::run::{Options, run};
use had_sim::story::{HEARTBEAT, Story};

fn options(heartbeats: u64) -> Options {
    Options {
        nodes: None,
        heartbeats,
        story: Story::Everything,
        planted: None,
    }
}

#[test]
fn the_same_seed_gives_the_same_history_also_on_another_thread_and_another_seed_another_one() {
    let first = run(11, options(200));
    let again = std::thread::spawn(|| run(11, options(200))).join().unwrap();
    assert_eq!(first.hash, again.hash);
    let told = |outcome: &had_sim::run::Outcome| {
        outcome
            .history
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    assert_eq!(told(&first), told(&again));
    assert_ne!(first.hash, run(12, options(200)).hash);
}

#[test]
fn every_promise_is_kept_with_three_nodes_and_with_five() {
    for nodes in [3, 5] {
        for seed in 0..3 {
            let outcome = run(
                seed,
                Options {
                    nodes: Some(nodes),
                    ..options(200)
                },
            );
            assert_eq!(outcome.broken, None, "seed {seed} with {nodes} nodes");
            assert!(outcome.faults >= 18, "{outcome}");
            assert!(outcome.moves > 0, "{outcome}");
        }
    }
}

#[test]
fn a_short_run_has_faults_too_and_heals() {
    for seed in 0..10 {
        let outcome = run(seed, options(60));
        assert_eq!(outcome.broken, None, "seed {seed}");
        assert!(outcome.faults >= 5, "{outcome}");
        let last = outcome.history.last().map_or(0, |line| line.at);
        let lasts = Duration::from_nanos(last);
        assert!(lasts >= HEARTBEAT * 60, "{outcome}: {lasts:?}");
    }
}

#[test]
fn clocks_beyond_the_margins_break_the_promise_and_that_is_seen() {
    let bent = Options {
        story: Story::BentClocks,
        ..options(600)
    };
    let found = (0..20)
        .map(|seed| run(seed, bent))
        .find_map(|run| run.broken);
    let broken = found.expect("one of 20 seeds has two owners");
    assert_eq!(broken.check, "single_owner");
}

#[test]
fn a_quiet_cluster_does_not_notice_that_its_leader_is_lost() {
    let outcome = run(
        0,
        Options {
            story: Story::LeaderAlone,
            ..options(1000)
        },
    );
    assert_eq!(outcome.broken, None);
    assert!(outcome.faults >= 10, "{outcome}");
    assert!(outcome.closest.is_some());
}

#[test]
fn a_new_leader_that_does_not_hold_is_seen_as_two_owners_with_the_history_that_led_to_it() {
    let planted = Options {
        planted: Some(Planted::NewLeaderDoesNotHold),
        ..options(600)
    };
    let found = (0..20).map(|seed| run(seed, planted)).find_map(|outcome| {
        let broken = outcome.broken.clone()?;
        Some((outcome, broken))
    });
    let (outcome, broken) = found.expect("one of 20 seeds finds it");
    assert_eq!(broken.check, "single_owner");
    let last = outcome
        .history
        .iter()
        .rev()
        .find(|line| line.text.starts_with("BROKEN"));
    assert!(last.is_some_and(|line| line.text.contains("single_owner")));
}
