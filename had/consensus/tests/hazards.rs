//! What the engine would get wrong if it were let: each bug is planted and seen, and is not there without.

#![allow(clippy::unwrap_used, reason = "tests")]

mod cluster;

use std::collections::BTreeMap;
use std::time::Duration;

use cluster::{Cluster, within};
use had_consensus::{Plants, Runtime, System};
use had_core::ids::{LeaderId, NodeName, VoterId};
use had_core::ports::Permit;
use had_core::time::MonoTime;

const LEASE: Duration = Duration::from_millis(600);

async fn planted(plants: Plants) -> (Cluster, LeaderId) {
    let mut cluster = Cluster::blank(0, LEASE).await;
    cluster.settings.plants = plants;
    for number in 1..=3 {
        cluster.add(VoterId(number), &format!("h{number}")).await;
    }
    cluster
        .member(1)
        .consensus()
        .form(cluster.names())
        .await
        .unwrap();
    let permit = cluster.permit(cluster.voters()).await;
    settled(&cluster, permit.leader).await;
    (cluster, permit.leader)
}

/// Waits until an entry is applied everywhere, and no append is on its way.
async fn settled(cluster: &Cluster, leader: LeaderId) {
    let index = cluster.write(leader, b"first").await;
    for member in cluster.members.values() {
        member.recorder.applied(index).await;
    }
    tokio::time::sleep(LEASE / 20).await;
}

/// An entry of a leader is answered by both others; the answers wait in the network while another is elected, and
/// arrive one after the other. What the old leader permits then, and when the new one began.
async fn late_answers(plants: Plants) -> (Option<Permit>, MonoTime) {
    let (cluster, old) = planted(plants).await;
    let others = cluster.others(old.voter);
    cluster.network.hold_answers(old.voter, &others);
    let leader = cluster.consensus(old.voter).clone();
    let proposing = tokio::spawn({
        let leader = leader.clone();
        async move { leader.propose(old, b"answered late".to_vec()).await }
    });
    tokio::time::sleep(LEASE / 12).await;
    cluster.network.lose_requests(old.voter, &others);
    for other in &others {
        // They elect each other; nothing between the two is held.
        cluster.network.release_answers(old.voter, *other);
    }
    cluster.permit(others.clone()).await;
    let began = System::mono_now();
    tokio::time::sleep(LEASE / 2).await;
    assert_eq!(
        leader.permit().await,
        None,
        "no answer has arrived since long"
    );
    cluster.network.release_answers(others[0], old.voter);
    tokio::time::sleep(LEASE / 60).await;
    cluster.network.release_answers(others[1], old.voter);
    // A permit may name an older acknowledgement than the one it rests on, so the newest named counts.
    let mut permit: Option<Permit> = None;
    let released = System::mono_now();
    while System::mono_now().since(released) < LEASE / 4 {
        let next = leader.permit().await;
        permit = permit
            .into_iter()
            .chain(next)
            .max_by_key(|permit| permit.quorum_acked);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    proposing.abort();
    cluster.stop_all().await;
    (permit, began)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_pipelined_appends_an_old_answer_passes_for_a_new_one() {
    let (permit, began) = late_answers(Plants {
        pipelined_append: true,
        ..Plants::default()
    })
    .await;
    let permit = permit.expect("the planted bug shows");
    assert!(permit.quorum_acked > began, "two leaders permit at once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_unary_appends_an_old_answer_permits_nothing() {
    let (permit, _) = late_answers(Plants::default()).await;
    assert_eq!(permit, None);
}

/// Restarts the leader alone; whether it leads at once under the leadership that it had.
async fn restarted(plants: Plants) -> bool {
    let (mut cluster, old) = planted(plants).await;
    cluster.stop(old.voter).await;
    cluster.start(old.voter).await;
    let mut leadership = cluster.consensus(old.voter).leadership();
    let first = within("a leader", async {
        loop {
            let seen = leadership.changed().await.unwrap();
            if seen.leader.is_some() {
                return seen;
            }
        }
    });
    let first = first.await;
    cluster.stop_all().await;
    first.leads && first.leader == Some(old)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_leader_restore_a_restarted_leader_leads_under_its_old_vote() {
    assert!(
        restarted(Plants {
            leader_restore: true,
            ..Plants::default()
        })
        .await
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_leader_restore_a_restarted_leader_waits_for_an_election() {
    assert!(!restarted(Plants::default()).await);
}

/// openraft leaves a change of voters half done when its leader is lost; the next leader here finishes it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_voters_whose_leader_is_lost_half_way_is_finished_by_the_next() {
    let (cluster, permit) = Cluster::formed(5, LEASE).await;
    let old = permit.leader.voter;
    let others = cluster.others(old);
    settled(&cluster, permit.leader).await;
    let (removed, kept) = (others[0], others[1]);
    // The entry reaches the others, its commit never reaches the leader.
    cluster.network.hold_answers(old, &others);
    let leader = cluster.consensus(old).clone();
    let name = cluster.members[&kept].name.clone();
    let replacing =
        tokio::spawn(async move { leader.replace_voter(Some(removed), kept, name).await });
    tokio::time::sleep(LEASE / 12).await;
    cluster.network.isolate(old, &others);
    let left: BTreeMap<VoterId, NodeName> = cluster
        .names()
        .into_iter()
        .filter(|(voter, _)| *voter != removed)
        .collect();
    let finished = async {
        loop {
            let after = cluster.permit(others.clone()).await.leader.voter;
            let seen = cluster.consensus(after).leadership().current();
            if seen.leads && seen.voters == left {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    within("the end of the change", finished).await;
    replacing.abort();
    cluster.network.heal();
    cluster.stop_all().await;
}
