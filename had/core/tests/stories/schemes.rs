//! Stories of the four schemes: queues, displacement, groups that go together, maintenance, explanation.

use std::time::Duration;

use had_core::explain::VerdictWord;
use had_core::ids::NodeName;
use had_core::ports::{GroupAction, Reply, Request};
use had_core::spec::{Candidate, ClusterSpec, GroupSpec, OnQuorumLoss, PolicySpec};
use had_core::state::{FEATURE_LEVEL, State};
use had_core::status::GroupCondition;
use had_policies::{Failback, Scenario};

use crate::cluster::Cluster;
use crate::file::{self, group};
use crate::ms;

const LEASE_AND_MORE: Duration = ms(700);

fn three_nodes(groups: Vec<GroupSpec>) -> ClusterSpec {
    ClusterSpec {
        groups,
        ..file::spec(Failback::Manual)
    }
}

fn rotating(name: &str) -> GroupSpec {
    let nodes = ["h1", "h2", "h3"].map(NodeName::from).to_vec();
    group(name, PolicySpec::RotatingStandby { nodes })
}

fn idle(name: &str, nodes: &[&str]) -> GroupSpec {
    let nodes = nodes.iter().zip((1..=200).rev());
    let nodes = nodes.map(|(name, priority)| Candidate {
        name: (*name).into(),
        priority,
    });
    group(
        name,
        PolicySpec::IdleStandby {
            nodes: nodes.collect(),
            failback: Failback::Manual,
        },
    )
}

fn orders() -> GroupSpec {
    group(
        "orders",
        PolicySpec::SimpleFailover {
            primary: "h1".into(),
            backup: "h2".into(),
            displaces: vec!["reports".into()],
            failback: Failback::Auto,
        },
    )
}

fn mutual(name: &str, home: &str, partner: &str) -> GroupSpec {
    group(
        name,
        PolicySpec::MutualTakeover {
            home: home.into(),
            partners: vec![partner.into()],
            failback: Failback::Auto,
        },
    )
}

/// A cluster of which h3 leads and everything runs.
fn running(spec: ClusterSpec) -> Cluster {
    let mut cluster = Cluster::of(spec);
    cluster.lead("h3", 1);
    cluster.run(ms(1_000));
    cluster
}

fn queue(cluster: &Cluster, group: &str) -> Vec<String> {
    let state = cluster.state();
    let queue = &state.groups[&group.into()].queue;
    queue.iter().map(ToString::to_string).collect()
}

fn failover(group: &str, to: Option<&str>) -> Request {
    Request::Failover {
        group: group.into(),
        to: to.map(Into::into),
    }
}

fn act(group: &str, action: GroupAction) -> Request {
    Request::Group {
        group: group.into(),
        action,
    }
}

#[test]
fn a_rotating_group_goes_to_the_node_that_has_waited_longest() {
    let mut cluster = running(three_nodes(vec![rotating("queue")]));
    assert_eq!(cluster.open_of("queue"), ["h1"]);
    assert_eq!(queue(&cluster, "queue"), ["h2", "h3"]);
    cluster.cut("h1");
    cluster.run_until_open_of("queue", "h2", LEASE_AND_MORE);
    assert_eq!(
        queue(&cluster, "queue"),
        ["h3"],
        "a lost node waits nowhere"
    );
    cluster.heal("h1");
    cluster.run(ms(300));
    assert_eq!(
        queue(&cluster, "queue"),
        ["h3", "h1"],
        "it is back behind the others"
    );
    cluster.request(failover("queue", None));
    cluster.run_until_open_of("queue", "h3", ms(20));
    assert_eq!(queue(&cluster, "queue"), ["h1", "h2"]);
    assert_eq!(cluster.overlaps, 0);
}

#[test]
fn an_operators_choice_leaves_the_others_in_their_places_and_pins_nothing() {
    let mut cluster = running(three_nodes(vec![rotating("queue")]));
    cluster.request(failover("queue", Some("h3")));
    cluster.run_until_open_of("queue", "h3", ms(20));
    assert_eq!(queue(&cluster, "queue"), ["h2", "h1"]);
    assert_eq!(cluster.state().groups[&"queue".into()].pinned, None);
}

#[test]
fn a_drained_node_gives_its_place_up_and_a_restarted_one_keeps_it() {
    let spec = three_nodes(vec![rotating("queue")]);
    let mut cluster = running(spec.clone());
    cluster.kill("h2");
    cluster.run(ms(50));
    cluster.restart("h2", spec, 2);
    cluster.run(ms(600));
    assert_eq!(
        queue(&cluster, "queue"),
        ["h2", "h3"],
        "it was never declared lost"
    );
    let drain = |drained| Request::Drain {
        node: "h2".into(),
        drained,
    };
    cluster.request(drain(true));
    cluster.run(ms(50));
    assert_eq!(queue(&cluster, "queue"), ["h3"]);
    cluster.request(drain(false));
    cluster.run(ms(50));
    assert_eq!(queue(&cluster, "queue"), ["h3", "h2"]);
}

#[test]
fn the_backup_drops_its_less_important_work_first_and_resumes_it_later() {
    let spec = three_nodes(vec![orders(), idle("reports", &["h2"])]);
    let mut cluster = running(spec);
    assert_eq!(cluster.open_of("orders"), ["h1"]);
    assert_eq!(cluster.open_of("reports"), ["h2"]);
    cluster.cut("h1");
    cluster.run_until_open_of("orders", "h2", LEASE_AND_MORE);
    assert!(cluster.open_of("reports").is_empty());
    let status = cluster.node("h3").status(cluster.now());
    assert_eq!(status.groups[1].state, GroupCondition::Displaced);
    assert!(
        status.groups[1].reason.contains("orders"),
        "{}",
        status.groups[1].reason
    );
    cluster.heal("h1");
    cluster.run_until_open_of("orders", "h1", ms(1_500));
    cluster.run_until_open_of("reports", "h2", ms(100));
    assert_eq!(cluster.overlaps, 0);
}

#[test]
fn an_operators_move_displaces_in_the_same_decision() {
    let spec = three_nodes(vec![orders(), idle("reports", &["h2"])]);
    let mut cluster = running(spec);
    cluster.request(failover("orders", None));
    cluster.run_until_open_of("orders", "h2", ms(30));
    let kinds: Vec<_> = cluster
        .state()
        .events
        .iter()
        .map(|event| event.kind.clone())
        .collect();
    assert_eq!(kinds[kinds.len() - 2..], ["switchover", "displaced"]);
    assert!(cluster.open_of("reports").is_empty());
}

#[test]
fn what_cannot_be_taken_down_does_not_hold_the_important_group_up() {
    let spec = three_nodes(vec![orders(), idle("reports", &["h2"])]);
    let mut cluster = running(spec);
    cluster.stick("reports");
    cluster.request(failover("orders", None));
    cluster.run_until_open_of("orders", "h2", ms(80));
    assert!(cluster.open_of("reports").is_empty());
}

#[test]
fn partners_carry_both_marked_degraded_and_each_goes_home() {
    let spec = three_nodes(vec![
        mutual("mail", "h1", "h2"),
        mutual("files", "h2", "h1"),
    ]);
    let mut cluster = running(spec);
    cluster.cut("h1");
    cluster.run_until_open_of("mail", "h2", LEASE_AND_MORE);
    assert_eq!(cluster.open_of("files"), ["h2"]);
    cluster.run(ms(100));
    let status = cluster.node("h2").status(cluster.now());
    for group in &status.groups {
        let mark = group.degraded.as_ref().expect("both are marked");
        assert!(mark.reason.contains("mail"), "{}", mark.reason);
    }
    assert!(status.nodes[1].degraded.is_some());
    cluster.heal("h1");
    cluster.run_until_open_of("mail", "h1", ms(1_500));
    cluster.run(ms(100));
    let status = cluster.node("h2").status(cluster.now());
    assert!(status.groups.iter().all(|group| group.degraded.is_none()));
    assert!(status.nodes.iter().all(|node| node.degraded.is_none()));
}

#[test]
fn a_follower_goes_with_its_group_and_starts_after_it() {
    let follower = GroupSpec {
        with: vec!["web".into()],
        ..idle("app", &["h3", "h2", "h1"])
    };
    let spec = three_nodes(vec![idle("web", &["h1", "h2", "h3"]), follower]);
    let mut cluster = running(spec);
    assert_eq!(cluster.open_of("app"), ["h1"]);
    cluster.cut("h1");
    cluster.run_until_open_of("app", "h2", LEASE_AND_MORE);
    assert_eq!(cluster.open_of("web"), ["h2"]);
}

#[test]
fn an_operators_move_takes_the_followers_along_also_from_an_owner_that_is_just_lost() {
    let follower = GroupSpec {
        with: vec!["web".into()],
        ..idle("app", &["h3", "h2", "h1"])
    };
    let spec = three_nodes(vec![idle("web", &["h1", "h2", "h3"]), follower]);
    let mut cluster = running(spec);
    cluster.cut("h1");
    cluster.run(ms(280));
    // The record ends while the leader gets no time: the operator is the first whom it hears afterwards.
    cluster.starve("h3", ms(40));
    cluster.request(failover("web", Some("h3")));
    cluster.run(ms(20));
    let events = cluster.state().events;
    let moved = events.iter().filter(|event| event.group.is_some());
    let moves: Vec<_> = moved.map(|event| (event.number, event.at)).collect();
    let [.., (web, at), (app, also)] = moves[..] else {
        panic!("{moves:?}");
    };
    assert_eq!((web + 1, at), (app, also), "not in one entry: {events:?}");
    assert_eq!(cluster.open_of("web"), ["h3"]);
    assert_eq!(cluster.open_of("app"), ["h3"]);
}

#[test]
fn an_operators_move_takes_along_what_is_due_and_all_that_depends_on_it() {
    let mut web = idle("web", &["h1", "h2"]);
    if let PolicySpec::IdleStandby { failback, .. } = &mut web.policy {
        *failback = Failback::Auto;
    }
    let follower = GroupSpec {
        with: vec!["web".into()],
        ..idle("app", &["h1", "h2"])
    };
    let mut cluster = running(three_nodes(vec![web, follower, idle("db", &["h2", "h3"])]));
    cluster.cut("h1");
    cluster.run_until_open_of("app", "h2", LEASE_AND_MORE);
    cluster.heal("h1");
    cluster.run(ms(590));
    // The failback becomes due while the leader gets no time: the operator is the first whom it hears afterwards.
    cluster.starve("h3", ms(40));
    cluster.request(failover("db", Some("h3")));
    cluster.run_until_open_of("app", "h1", ms(30));
    let owner = |state: &State, group: &str| {
        let group = state.groups.get(&group.into());
        group.and_then(|group| group.owner.clone())
    };
    for state in cluster.decided() {
        assert_eq!(owner(state, "web"), owner(state, "app"));
    }
    let moved = |state: &&State| owner(state, "db") == Some("h3".into());
    let first = cluster.decided().find(moved).unwrap();
    assert_eq!(owner(first, "web"), Some("h1".into()), "not in one entry");
}

#[test]
fn a_rotating_group_begins_on_its_first_node_also_where_that_is_the_last_to_say_that_it_can() {
    let spec = three_nodes(vec![rotating("queue")]);
    let mut cluster = Cluster::of(spec.clone());
    cluster.restart_unchecked("h1", spec, 2);
    cluster.lead("h3", 1);
    cluster.run(ms(300));
    assert_eq!(cluster.state().groups[&"queue".into()].owner, None);
    cluster.ready_for("queue", "h1", Ok(()));
    cluster.run_until_open_of("queue", "h1", ms(50));
}

#[test]
fn a_stopped_group_runs_nowhere_until_it_is_started() {
    let mut cluster = running(three_nodes(vec![idle("web", &["h1", "h2"])]));
    cluster.request(act("web", GroupAction::Stop));
    cluster.run(ms(50));
    assert!(cluster.open().is_empty());
    assert!(
        matches!(&cluster.replies[..], [Reply::Done { .. }]),
        "{:?}",
        cluster.replies
    );
    cluster.cut("h1");
    cluster.run(ms(1_000));
    assert!(cluster.open().is_empty());
    cluster.request(act("web", GroupAction::Start));
    cluster.run_until_open("h2", ms(50));
}

#[test]
fn nothing_moves_in_maintenance_and_what_was_due_moves_afterwards() {
    let mut cluster = running(three_nodes(vec![idle("web", &["h1", "h2"])]));
    let maintenance = |on| Request::Maintenance { group: None, on };
    cluster.request(maintenance(true));
    cluster.run(ms(20));
    cluster.ready("h1", Err("no carrier"));
    cluster.run(ms(500));
    assert_eq!(cluster.open(), ["h1"], "an operator takes care of it");
    cluster.request(failover("web", None));
    cluster.run(ms(20));
    assert!(
        matches!(cluster.replies.last(), Some(Reply::Refused(why)) if why.contains("maintenance")),
        "{:?}",
        cluster.replies
    );
    cluster.request(maintenance(false));
    cluster.run_until_open("h2", ms(100));
    assert_eq!(cluster.overlaps, 0);
}

#[test]
fn a_group_that_keeps_goes_on_without_a_majority_and_gives_way_when_it_hears_of_another() {
    let keeps = GroupSpec {
        on_quorum_loss: OnQuorumLoss::Keep,
        ..idle("web", &["h1", "h2"])
    };
    let mut cluster = running(three_nodes(vec![keeps]));
    cluster.cut("h1");
    cluster.run(ms(1_500));
    assert_eq!(cluster.open(), ["h1", "h2"], "as the file asks");
    let status = cluster.node("h1").status(cluster.now());
    assert!(
        status
            .notices
            .iter()
            .any(|notice| notice.contains("another node may serve it"))
    );
    cluster.heal("h1");
    cluster.run(ms(300));
    assert_eq!(cluster.open(), ["h2"]);
    cluster.cut("h2");
    cluster.kill("h2");
    cluster.run(ms(310));
    assert!(
        !cluster.open().contains(&"h2"),
        "a dead daemon still falls silent"
    );
}

#[test]
fn every_node_explains_the_present_and_the_past() {
    let mut cluster = running(three_nodes(vec![idle("web", &["h1", "h2", "h3"])]));
    let before = cluster.now().wall;
    cluster.run(ms(100));
    cluster.request(failover("web", Some("h3")));
    cluster.run_until_open("h3", ms(30));
    cluster.run(ms(100));
    for name in ["h1", "h2", "h3"] {
        let explain = |at| cluster.node(name).explain(cluster.now(), &"web".into(), at);
        let present = explain(None).unwrap();
        assert_eq!(present.owner, Some("h3".into()));
        assert!(present.text.contains("operator"), "{}", present.text);
        let owners = present
            .candidates
            .iter()
            .filter(|line| line.verdict == VerdictWord::Owner);
        assert_eq!(owners.count(), 1);
        let past = explain(Some(before)).unwrap();
        assert_eq!((past.owner, past.past), (Some("h1".into()), true));
        assert_eq!(past.candidates.len(), 3);
    }
    let unknown = cluster
        .node("h1")
        .explain(cluster.now(), &"wbe".into(), None);
    assert_eq!(
        unknown.unwrap_err(),
        "there is no group wbe; the groups are: web"
    );
}

#[test]
fn a_forecast_comes_true() {
    let spec = three_nodes(vec![
        orders(),
        idle("reports", &["h2", "h3"]),
        rotating("queue"),
    ]);
    let mut cluster = running(spec);
    let lose = Scenario::Lose(vec!["h1".into()]);
    let forecast = cluster.node("h2").forecast(cluster.now(), &lose).unwrap();
    cluster.cut("h1");
    cluster.run(ms(1_000));
    for fate in &forecast.groups {
        let after: Vec<_> = fate.after.iter().map(NodeName::as_str).collect();
        assert_eq!(cluster.open_of(fate.group.as_str()), after, "{fate:?}");
    }
}

#[test]
fn a_cluster_of_another_feature_level_is_not_read() {
    let cluster = running(three_nodes(vec![idle("web", &["h1"])]));
    let mut state = cluster.state();
    assert_eq!(state.level, FEATURE_LEVEL);
    state.readable().unwrap();
    state.level += 1;
    assert!(
        state
            .readable()
            .unwrap_err()
            .contains("upgrade had on this node")
    );
}

/// The move was on its way when a file was decided that does not list its node.
#[test]
fn a_node_that_is_given_what_the_file_does_not_list_it_for_lets_it_go() {
    let mut cluster = running(three_nodes(vec![idle("web", &["h1", "h2"])]));
    assert_eq!(cluster.open(), ["h1"]);
    cluster.decide(|state| {
        let web = state.groups.get_mut(&"web".into()).unwrap();
        web.unreleased.insert("h1".into(), web.epoch);
        web.unreleased.insert("h3".into(), web.epoch.next());
        web.owner = Some("h2".into());
        web.epoch = web.epoch.next().next();
    });
    cluster.run(ms(1_000));
    assert_eq!(cluster.open(), ["h2"]);
    assert_eq!(cluster.overlaps, 0);
}

#[test]
fn the_committed_file_rules_what_happens_without_a_majority() {
    let keeps = GroupSpec {
        on_quorum_loss: OnQuorumLoss::Keep,
        ..idle("web", &["h1", "h2"])
    };
    let mut cluster = running(three_nodes(vec![idle("web", &["h1", "h2"])]));
    cluster.kill("h1");
    cluster.run(ms(20));
    cluster.restart("h1", three_nodes(vec![keeps]), 2);
    cluster.run(ms(500));
    cluster.request(failover("web", Some("h1")));
    cluster.run_until_open("h1", ms(50));
    cluster.cut("h1");
    cluster.run(ms(1_000));
    assert_eq!(
        cluster.open(),
        ["h2"],
        "its own file says otherwise, and does not rule"
    );
    assert_eq!(cluster.overlaps, 0);
}

#[test]
fn what_is_on_its_way_arrives_before_maintenance_takes_hold() {
    let mut cluster = running(three_nodes(vec![idle("web", &["h1", "h2"])]));
    cluster.cut("h1");
    while cluster.state().groups[&"web".into()].owner != Some("h2".into()) {
        cluster.run(Duration::from_micros(500));
    }
    cluster.request(Request::Maintenance {
        group: Some("web".into()),
        on: true,
    });
    cluster.run_until_open("h2", ms(50));
    cluster.run(ms(200));
    let status = cluster.node("h2").status(cluster.now());
    assert_eq!(status.groups[0].state, GroupCondition::Running);
    assert!(status.groups[0].maintenance);
}

#[test]
fn two_groups_that_change_places_do_not_wait_for_one_another() {
    let spec = three_nodes(vec![orders(), idle("reports", &["h2", "h1"])]);
    let mut cluster = running(spec);
    assert_eq!(cluster.open_of("reports"), ["h2"]);
    cluster.request(failover("orders", None));
    let took = cluster.run_until_open_of("orders", "h2", ms(100));
    assert!(took < ms(50), "{took:?}");
    cluster.run_until_open_of("reports", "h1", ms(50));
    assert_eq!(cluster.overlaps, 0);
}

#[test]
fn a_daemon_ends_at_once_also_in_maintenance() {
    let mut cluster = running(three_nodes(vec![idle("web", &["h1", "h2"])]));
    cluster.request(Request::Maintenance {
        group: None,
        on: true,
    });
    cluster.run(ms(50));
    cluster.event("h1", had_core::ports::Event::Shutdown);
    cluster.run(ms(500));
    assert!(cluster.exited.contains(&"h1".into()));
    assert!(cluster.open().is_empty());
}

#[test]
fn maintenance_of_the_cluster_is_not_ended_for_one_group() {
    let mut cluster = running(three_nodes(vec![idle("web", &["h1", "h2"])]));
    let maintenance = |group: Option<&str>, on| Request::Maintenance {
        group: group.map(Into::into),
        on,
    };
    cluster.request(maintenance(None, true));
    cluster.run(ms(20));
    cluster.request(maintenance(Some("web"), false));
    cluster.run(ms(20));
    assert!(matches!(cluster.replies.last(), Some(Reply::Refused(_))));
    cluster.request(maintenance(None, false));
    cluster.run(ms(20));
    assert!(!cluster.state().in_maintenance(&"web".into()));
}

#[test]
fn a_lost_owner_in_maintenance_is_said_not_to_run() {
    let mut cluster = running(three_nodes(vec![idle("web", &["h1", "h2"])]));
    cluster.request(Request::Maintenance {
        group: None,
        on: true,
    });
    cluster.run(ms(50));
    cluster.cut("h1");
    cluster.run(ms(1_000));
    assert!(cluster.open().is_empty());
    let status = cluster.node("h2").status(cluster.now());
    assert_eq!(status.groups[0].state, GroupCondition::Stopped);
    assert_eq!(status.groups[0].owner, None);
    assert!(
        status.groups[0].reason.contains("h1 is lost"),
        "{}",
        status.groups[0].reason
    );
}
