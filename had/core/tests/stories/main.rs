//! Stories of the core, told on nodes in memory.
#![allow(
    clippy::cast_possible_truncation,
    clippy::unwrap_used,
    reason = "tests"
)]

mod cluster;
mod file;
mod schemes;
mod stalls;

use std::time::Duration;

use cluster::Cluster;
use had_core::ids::{ClusterId, Epoch, VoterId};
use had_core::message::ResourceState;
use had_core::ports::{Event, Reply, Request, ResourceStatus};
use had_core::spec::Role;
use had_core::status::GroupCondition;
use had_core::time::BootTime;
use had_policies::Failback;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn the_highest_priority_takes_the_group_at_the_first_start() {
    let mut cluster = Cluster::new(Failback::Manual);
    cluster.lead("h3", 1);
    cluster.run_until_open("h1", ms(50));
    cluster.run(ms(2_000));
    assert_eq!(cluster.open(), ["h1"]);
    let status = cluster.node("h2").status(cluster.now());
    assert_eq!(status.groups[0].state, GroupCondition::Running);
    assert_eq!(status.groups[0].next, ["h2".into(), "h3".into()]);
}

#[test]
fn a_cold_cluster_waits_two_leases_for_its_missing_nodes() {
    let mut cluster = Cluster::new(Failback::Manual);
    cluster.kill("h1");
    cluster.lead("h3", 1);
    cluster.run(ms(590));
    assert!(cluster.open().is_empty());
    cluster.run_until_open("h2", ms(50));
}

#[test]
fn a_silent_owner_is_succeeded_when_its_record_has_ended_and_never_overlaps() {
    let mut cluster = Cluster::running(Failback::Manual);
    cluster.run(ms(1_000));
    cluster.cut("h1");
    let took = cluster.run_until_open("h2", ms(350));
    assert!(took > ms(280), "{took:?}: the record cannot have ended");
    assert_eq!(cluster.overlaps, 0);
}

#[test]
fn an_owner_that_hears_nobody_is_succeeded_though_it_is_heard() {
    let mut cluster = Cluster::running(Failback::Manual);
    cluster.run(ms(1_000));
    cluster.lead("h2", 2);
    cluster.run(ms(1_000));
    assert_eq!(cluster.open(), ["h1"]);
    cluster.deafen("h1");
    // Half a lease until nothing is granted any more, and the record of the last grant.
    let took = cluster.run_until_open("h2", ms(520));
    assert!(took > ms(400), "{took:?}: its record cannot have ended");
    assert_eq!(cluster.overlaps, 0);
}

/// Empty, and once an interrupted change has left a vote on it; never one of another cluster.
#[test]
fn a_disk_that_does_not_know_its_cluster_is_taken_in_as_a_new_voter() {
    for (cluster_id, is_taken) in [
        (ClusterId(0), true),
        (ClusterId::UNKNOWN, true),
        (ClusterId(99), false),
    ] {
        let mut cluster = Cluster::running(Failback::Manual);
        let spec = cluster.state().spec().unwrap().clone();
        cluster.kill("h2");
        cluster.run(ms(1_000));
        // No voter, so it is told no decision.
        cluster.deafen_to_decisions("h2");
        cluster.restart_on_disk("h2", spec, 2, (VoterId(12), cluster_id));
        cluster.run(ms(1_000));
        let replaced = cluster.replaced.contains(&("h2".into(), VoterId(12)));
        assert_eq!(replaced, is_taken, "{cluster_id}");
    }
}

#[test]
fn a_node_that_returns_changes_nothing_where_failback_is_manual() {
    let mut cluster = Cluster::running(Failback::Manual);
    cluster.cut("h1");
    cluster.run_until_open("h2", ms(700));
    cluster.heal("h1");
    cluster.run(ms(3_000));
    assert_eq!(cluster.open(), ["h2"]);
    assert_eq!(cluster.overlaps, 0);
}

#[test]
fn a_node_that_returns_gets_its_group_back_after_two_leases_where_failback_is_auto() {
    let mut cluster = Cluster::running(Failback::Auto);
    cluster.cut("h1");
    cluster.run_until_open("h2", ms(700));
    cluster.heal("h1");
    let took = cluster.run_until_open("h1", ms(900));
    assert!(took > ms(600), "{took:?}: not stable for two leases");
    assert_eq!(cluster.overlaps, 0);
}

#[test]
fn an_operator_moves_the_group_without_overlap_and_without_a_pause() {
    let mut cluster = Cluster::running(Failback::Manual);
    cluster.request(Request::Failover {
        group: "web".into(),
        to: Some("h3".into()),
    });
    let took = cluster.run_until_open("h3", ms(10));
    assert!(took <= ms(5), "{took:?}");
    cluster.run(ms(100));
    assert!(
        matches!(&cluster.replies[..], [Reply::Done { .. }]),
        "{:?}",
        cluster.replies
    );
    assert_eq!(cluster.overlaps, 0);
}

#[test]
fn a_former_owner_goes_on_until_the_new_one_is_prepared() {
    let mut cluster = Cluster::running(Failback::Manual);
    cluster.kill("h2");
    cluster.request(Request::Failover {
        group: "web".into(),
        to: Some("h2".into()),
    });
    cluster.run(ms(100));
    assert_eq!(cluster.open(), ["h1"], "h2 died before it could prepare");
    cluster.run(ms(1_000));
    assert_eq!(cluster.open().len(), 1);
    assert_eq!(cluster.overlaps, 0);
}

#[test]
fn an_owner_whose_carrier_is_lost_gives_way_at_once() {
    let mut cluster = Cluster::running(Failback::Manual);
    cluster.run(ms(1_000));
    cluster.ready("h1", Err("interface eth0 has no carrier"));
    let took = cluster.run_until_open("h2", ms(30));
    assert!(took < ms(20), "{took:?}");
    assert_eq!(cluster.overlaps, 0);
}

#[test]
fn an_owner_that_can_remember_nothing_any_more_hands_over_at_once() {
    let mut cluster = Cluster::running(Failback::Manual);
    cluster.run(ms(1_000));
    cluster.event("h1", Event::StoreFailed("the disk is full".into()));
    // Its engine is dead: it hears of no decision from here on.
    cluster.deafen_to_decisions("h1");
    let took = cluster.run_until_open("h2", ms(30));
    assert!(took < ms(20), "{took:?}");
    assert_eq!(cluster.overlaps, 0);
    let status = cluster.node("h3").status(cluster.now());
    assert!(
        !status.groups[0].next.contains(&"h1".into()),
        "{:?}",
        status.groups[0].next
    );
}

#[test]
fn an_owner_that_its_new_file_makes_a_witness_gives_way_before_the_others_have_that_file() {
    let mut cluster = Cluster::running(Failback::Manual);
    cluster.run(ms(1_000));
    let mut spec = file::spec(Failback::Manual);
    spec.nodes[0].role = Role::Witness;
    cluster.restart("h1", spec, 2);
    cluster.run_until_open("h2", ms(700));
    cluster.run(ms(1_000));
    assert_eq!(cluster.open(), ["h2"]);
    assert_eq!(cluster.overlaps, 0);
}

#[test]
fn an_operators_move_that_does_not_last_is_said_not_to_have_come_true() {
    let mut cluster = Cluster::running(Failback::Manual);
    cluster.break_starts("h2");
    cluster.request(Request::Failover {
        group: "web".into(),
        to: Some("h2".into()),
    });
    cluster.run(ms(500));
    let [Reply::Refused(why)] = &cluster.replies[..] else {
        panic!("{:?}", cluster.replies)
    };
    assert!(
        why.starts_with("web was moved to h2 and did not stay there (vip could not be started"),
        "{why}"
    );
    assert_ne!(cluster.open(), ["h2"]);
    assert_eq!(cluster.overlaps, 0);
}

#[test]
fn a_restarted_owner_keeps_its_group_while_it_still_checks_what_it_could_start() {
    let mut cluster = Cluster::running(Failback::Manual);
    cluster.restart_unchecked("h1", file::spec(Failback::Manual), 2);
    cluster.run(ms(1_000));
    assert_eq!(cluster.open(), ["h1"]);
    let web = &cluster.state().groups[&"web".into()];
    assert_eq!(
        (web.owner.clone(), web.epoch),
        (Some("h1".into()), Epoch(1))
    );
    cluster.ready("h1", Err("eth0 has no carrier"));
    cluster.run_until_open("h2", ms(50));
}

#[test]
fn a_killed_owner_that_is_back_within_its_lease_is_open_all_the_time() {
    let mut cluster = Cluster::running(Failback::Manual);
    cluster.run(ms(1_000));
    cluster.kill("h1");
    cluster.run(ms(150));
    cluster.restart_inheriting("h1", file::spec(Failback::Manual), 2);
    for _ in 0..200 {
        cluster.run(ms(5));
        assert_eq!(cluster.open(), ["h1"]);
    }
    assert_eq!(cluster.state().groups[&"web".into()].epoch, Epoch(1));
}

#[test]
fn a_later_life_without_a_lease_stands_down_when_what_it_inherited_ends() {
    let mut cluster = Cluster::running(Failback::Manual);
    cluster.run(ms(1_000));
    cluster.kill("h1");
    cluster.run(ms(50));
    cluster.cut("h1");
    cluster.restart_inheriting("h1", file::spec(Failback::Manual), 2);
    cluster.run(ms(100));
    assert_eq!(cluster.open(), ["h1"], "its former life's lease runs on");
    cluster.run_until_open("h2", ms(300));
    cluster.run(ms(300));
    let web = &cluster.node("h1").status(cluster.now()).groups[0];
    assert_eq!(web.resources[0].state, ResourceState::Stopped);
    assert_eq!(cluster.overlaps, 0);
}

/// The group was moved while the daemon was away: what is left open is shut before anybody is told that it is.
#[test]
fn a_later_life_gives_up_what_was_moved_meanwhile_and_says_so_when_it_is_shut() {
    let mut cluster = Cluster::running(Failback::Manual);
    cluster.run(ms(1_000));
    cluster.kill("h1");
    cluster.request(Request::Failover {
        group: "web".into(),
        to: Some("h2".into()),
    });
    cluster.run(ms(50));
    assert_eq!(cluster.open(), ["h1"], "nobody has released it");
    cluster.restart_inheriting("h1", file::spec(Failback::Manual), 2);
    let took = cluster.run_until_open("h2", ms(300));
    assert!(took < ms(100), "{took:?}: it did not say that it released");
    assert_eq!(cluster.overlaps, 0);
}

#[test]
fn what_is_inherited_in_maintenance_is_left_alone_and_goes_on() {
    let mut cluster = Cluster::running(Failback::Manual);
    cluster.request(Request::Maintenance {
        group: None,
        on: true,
    });
    cluster.run(ms(1_000));
    cluster.kill("h1");
    cluster.run(ms(50));
    cluster.restart_inheriting("h1", file::spec(Failback::Manual), 2);
    for _ in 0..100 {
        cluster.run(ms(5));
        assert_eq!(cluster.open(), ["h1"]);
        assert!(cluster.leaves_alone("h1", "web"));
    }
    cluster.request(Request::Maintenance {
        group: None,
        on: false,
    });
    cluster.run(ms(100));
    assert!(!cluster.leaves_alone("h1", "web"));
    assert_eq!(cluster.open(), ["h1"]);
}

/// An operator took the address off meanwhile: nothing renews what was inherited, and a deadline that has passed must not
/// stand there as if the lease had ended a moment ago, for then nothing would ever be put on again.
#[test]
fn what_was_inherited_and_is_not_served_is_shut_when_it_ends() {
    let mut cluster = Cluster::running(Failback::Manual);
    cluster.request(Request::Maintenance {
        group: None,
        on: true,
    });
    cluster.run(ms(1_000));
    cluster.kill("h1");
    cluster.run(ms(50));
    cluster.restart_inheriting("h1", file::spec(Failback::Manual), 2);
    let taken_off = Event::Resource {
        group: "web".into(),
        resource: "vip".into(),
        status: ResourceStatus::Down,
    };
    cluster.event("h1", taken_off);
    cluster.run(ms(50));
    assert_ne!(cluster.gate("h1", "web"), BootTime::ZERO);
    cluster.run(ms(500));
    assert_eq!(cluster.gate("h1", "web"), BootTime::ZERO);
    assert!(cluster.leaves_alone("h1", "web"));
}

/// It had not heard yet whose the group is: nothing is waited for, and nothing is left.
#[test]
fn a_later_life_that_is_asked_to_end_at_once_takes_down_what_it_inherited() {
    let mut cluster = Cluster::running(Failback::Manual);
    cluster.run(ms(1_000));
    cluster.kill("h1");
    cluster.run(ms(50));
    cluster.cut("h1");
    cluster.restart_inheriting("h1", file::spec(Failback::Manual), 2);
    cluster.event("h1", Event::Shutdown);
    cluster.run(ms(700));
    assert!(cluster.exited.contains(&"h1".into()));
    assert!(!cluster.leaves_alone("h1", "web"));
    assert_ne!(cluster.open(), ["h1"]);
    assert_eq!(cluster.overlaps, 0);
}

#[test]
fn a_configuration_that_comes_in_maintenance_leaves_nothing_stuck() {
    let mut cluster = Cluster::running(Failback::Manual);
    let maintenance = |on| Request::Maintenance { group: None, on };
    cluster.request(maintenance(true));
    cluster.run(ms(1_000));
    let mut other = file::spec(Failback::Manual);
    other.groups[0].load = 2;
    for name in ["h1", "h2", "h3"] {
        cluster.restart_with_file(name, other.clone(), "two", 2);
    }
    cluster.run(ms(1_500));
    let load = |cluster: &Cluster| cluster.state().spec().unwrap().groups[0].load;
    assert_eq!(load(&cluster), 2);
    cluster.request(maintenance(false));
    cluster.run(ms(1_000));
    assert!(
        ["h1", "h2", "h3"]
            .iter()
            .all(|name| !cluster.leaves_alone(name, "web"))
    );
    assert_eq!(cluster.open().len(), 1);
    assert_eq!(cluster.overlaps, 0);
}

#[test]
fn the_only_fit_node_gets_a_second_start_under_a_new_epoch() {
    let mut cluster = Cluster::running(Failback::Manual);
    cluster.run(ms(1_000));
    cluster.ready("h2", Err("interface eth0 is missing"));
    cluster.ready("h3", Err("interface eth0 is missing"));
    cluster.ready("h1", Err("interface eth0 has no carrier"));
    cluster.run(ms(100));
    assert!(cluster.open().is_empty());
    cluster.ready("h1", Ok(()));
    cluster.run_until_open("h1", ms(50));
    let status = cluster.node("h1").status(cluster.now());
    assert_eq!(status.groups[0].epoch.0, 2);
}

#[test]
fn without_a_quorum_the_owner_is_silent_within_the_lease_and_says_why() {
    let mut cluster = Cluster::running(Failback::Manual);
    cluster.run(ms(1_000));
    for name in ["h2", "h3", "h1"] {
        cluster.cut(name);
    }
    cluster.run(ms(280));
    assert!(cluster.open().is_empty());
    cluster.run(ms(500));
    let status = cluster.node("h1").status(cluster.now());
    assert!(!status.quorate);
    assert_eq!(status.groups[0].state, GroupCondition::Unknown);
    assert_eq!(status.groups[0].owner, None);
    assert!(
        status.notices[0].contains("h2, h3 cannot be heard"),
        "{:?}",
        status.notices
    );
}

#[test]
fn a_new_leader_takes_nothing_before_a_lease_has_passed() {
    let mut cluster = Cluster::running(Failback::Manual);
    cluster.run(ms(1_000));
    cluster.cut("h1");
    cluster.kill("h3");
    cluster.lead("h2", 2);
    let took = cluster.run_until_open("h2", ms(700));
    assert!(took > ms(300), "{took:?}");
    assert_eq!(cluster.overlaps, 0);
}

#[test]
fn a_drained_node_is_emptied_and_takes_nothing_over() {
    let mut cluster = Cluster::running(Failback::Manual);
    cluster.request(Request::Drain {
        node: "h1".into(),
        drained: true,
    });
    cluster.run_until_open("h2", ms(20));
    cluster.run(ms(100));
    assert!(
        matches!(&cluster.replies[..], [Reply::Done { .. }]),
        "{:?}",
        cluster.replies
    );
    cluster.cut("h2");
    cluster.run_until_open("h3", ms(700));
    assert_eq!(cluster.overlaps, 0);
}

#[test]
fn a_daemon_that_is_asked_to_end_hands_over_first() {
    let mut cluster = Cluster::running(Failback::Manual);
    cluster.event("h1", Event::Shutdown);
    cluster.run_until_open("h2", ms(20));
    cluster.run(ms(200));
    assert!(cluster.exited.contains(&"h1".into()));
    assert_eq!(cluster.overlaps, 0);
}

#[test]
fn the_last_daemon_takes_its_groups_down_and_ends() {
    let mut cluster = Cluster::running(Failback::Manual);
    cluster.request(Request::Drain {
        node: "h2".into(),
        drained: true,
    });
    cluster.run(ms(50));
    cluster.request(Request::Drain {
        node: "h3".into(),
        drained: true,
    });
    cluster.run(ms(50));
    cluster.event("h1", Event::Shutdown);
    cluster.run(ms(200));
    assert!(cluster.exited.contains(&"h1".into()));
    assert!(cluster.open().is_empty());
}

#[test]
fn a_leader_whose_first_entry_is_applied_before_it_knows_that_it_leads_grants_all_the_same() {
    let mut cluster = Cluster::new(Failback::Manual);
    cluster.lead_unnoticed("h3", 1);
    cluster.run(ms(5));
    cluster.tell_leadership();
    cluster.run_until_open("h1", ms(50));
}

#[test]
fn a_leader_that_is_refused_by_the_consensus_does_not_try_without_pause() {
    let mut cluster = Cluster::running(Failback::Manual);
    cluster.run(ms(1_000));
    cluster.refuse_proposals();
    cluster.cut("h1");
    cluster.run(ms(1_000));
    let proposed = cluster.refused;
    assert!(
        (10..100).contains(&proposed),
        "{proposed} proposals within 700 ms"
    );
}
