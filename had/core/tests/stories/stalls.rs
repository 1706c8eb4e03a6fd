//! A daemon that did not run for a while, and what the cluster tells of it.

use had_core::ports::Event;
use had_core::stall::{Cause, Stall};
use had_core::status::Rung;
use had_policies::Failback;

use crate::cluster::Cluster;
use crate::ms;

fn stalls(cluster: &Cluster, name: &str) -> Vec<(String, String)> {
    let (state, _) = cluster.node(name).state();
    let of_stalls = state
        .events
        .iter()
        .filter(|event| Cause::ALL.iter().any(|cause| cause.word() == event.kind));
    let told = of_stalls.map(|event| (event.kind.clone(), event.text.clone()));
    told.collect()
}

fn stall(cluster: &mut Cluster, name: &str, lasted: u64, cause: Cause) {
    let lasted = ms(lasted);
    let stall = Stall { lasted, cause };
    let woke = cluster.now().mono;
    cluster.event(name, Event::Stalled { stall, woke });
}

#[test]
fn every_node_hears_once_of_a_daemon_that_was_frozen() {
    let mut cluster = Cluster::running(Failback::Manual);
    stall(&mut cluster, "h2", 2_812, Cause::Frozen);
    cluster.run(ms(2_000));
    for node in ["h1", "h2", "h3"] {
        assert_eq!(
            stalls(&cluster, node),
            [("frozen".to_owned(), "h2 was frozen 2.8 s".to_owned())]
        );
    }
    stall(&mut cluster, "h2", 150, Cause::Starved);
    cluster.run(ms(500));
    // Another leader knows which ones were told already.
    cluster.lead("h2", 2);
    cluster.run(ms(2_000));
    let kinds: Vec<_> = stalls(&cluster, "h1")
        .into_iter()
        .map(|(kind, _)| kind)
        .collect();
    assert_eq!(kinds, ["frozen", "starved"]);
    let counts = cluster.node("h2").status(cluster.now()).stalls;
    assert_eq!(
        (
            counts[&Cause::Frozen].times,
            counts[&Cause::Frozen].longest_ms
        ),
        (1, 2_812)
    );
}

#[test]
fn what_costs_no_lease_is_nobodys_concern() {
    let mut cluster = Cluster::running(Failback::Manual);
    stall(&mut cluster, "h2", 99, Cause::Starved);
    cluster.run(ms(1_000));
    assert!(stalls(&cluster, "h1").is_empty());
    assert!(cluster.node("h2").status(cluster.now()).stalls.is_empty());
}

/// The lease is looked at first: what it cost is part of what is told.
#[test]
fn an_owner_that_slept_through_its_lease_says_that_it_stood_down() {
    let mut cluster = Cluster::running(Failback::Manual);
    let woke = cluster.now().mono;
    cluster.cut("h1");
    cluster.run_until_open("h2", ms(700));
    let stall = Stall {
        lasted: ms(700),
        cause: Cause::Paused,
    };
    cluster.event("h1", Event::Stalled { stall, woke });
    cluster.heal("h1");
    cluster.run(ms(2_000));
    let text = "h1 was paused 0.7 s; its lease ended meanwhile, and it stood down".to_owned();
    assert_eq!(stalls(&cluster, "h3"), [("paused".to_owned(), text)]);
    assert_eq!(cluster.overlaps, 0);
}

/// What goes on for an hour is told now and then, and what cost a lease always.
#[test]
fn a_daemon_that_stalls_all_the_time_does_not_fill_the_history() {
    let mut cluster = Cluster::running(Failback::Manual);
    for _ in 0..20 {
        stall(&mut cluster, "h2", 150, Cause::Starved);
        cluster.run(ms(500));
    }
    assert_eq!(stalls(&cluster, "h1").len(), 1);
    let counts = cluster.node("h2").status(cluster.now()).stalls;
    assert_eq!(counts[&Cause::Starved].times, 20);
}

#[test]
fn a_guard_is_one_of_the_rungs_while_it_stands_and_is_missed_when_it_does_not() {
    let mut cluster = Cluster::running(Failback::Manual);
    let rungs = |cluster: &Cluster| {
        cluster.node("h3").status(cluster.now()).groups[0]
            .rungs
            .clone()
    };
    assert_eq!(rungs(&cluster), [Rung::BpfGate, Rung::Daemon]);
    cluster.event("h1", Event::Guard(true));
    cluster.run(ms(200));
    assert_eq!(rungs(&cluster), [Rung::BpfGate, Rung::Daemon, Rung::Guard]);
    cluster.event("h1", Event::Guard(false));
    cluster.run(ms(200));
    assert_eq!(rungs(&cluster), [Rung::BpfGate, Rung::Daemon]);
    let notices = cluster.node("h3").status(cluster.now()).notices;
    assert!(
        notices[0].starts_with("h1's guard does not stand"),
        "{notices:?}"
    );
}
