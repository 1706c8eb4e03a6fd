//! Three voters on real files and the real clock: what the rest of the program relies on.

#![allow(clippy::unwrap_used, reason = "tests")]

mod cluster;

use std::time::Duration;

use cluster::{Cluster, within};
use had_consensus::{
    Consensus, FormError, ReplaceError, ServeError, StartError, Store, System, TransferError,
};
use had_core::ids::{LeaderId, VoterId};
use had_core::ports::ProposeError;
use had_core::time::MonoTime;

/// Twice the usual, since the machine may be busy.
const LEASE: Duration = Duration::from_millis(600);

fn now() -> MonoTime {
    <System as had_consensus::Runtime>::mono_now()
}

/// Waits until this voter sees the leadership of another than `not`.
async fn follows_another(consensus: &Consensus<System>, not: LeaderId) -> LeaderId {
    let mut leadership = consensus.leadership();
    let wait = async {
        loop {
            let seen = leadership.changed().await.unwrap();
            if let Some(leader) = seen.leader.filter(|leader| *leader != not) {
                return leader;
            }
        }
    };
    within("another leader", wait).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_forms_and_applies_the_same_everywhere() {
    let (cluster, permit) = Cluster::formed(3, LEASE).await;
    let first = cluster.write(permit.leader, b"one ").await;
    let second = cluster.write(permit.leader, b"two").await;
    assert!(second > first);
    for voter in cluster.voters() {
        let state = cluster.members[&voter].recorder.applied(second).await;
        assert_eq!(state.payloads, [b"one ".to_vec(), b"two".to_vec()]);
        assert_eq!(state.voters, cluster.names());
        assert_eq!(state.leader, Some(permit.leader));
        let leadership = cluster.consensus(voter).leadership().current();
        assert_eq!(leadership.leader, Some(permit.leader));
        assert_eq!(leadership.leads, voter == permit.leader.voter);
        assert_eq!(leadership.voters, cluster.names());
    }
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_is_formed_once_and_by_its_own_voters() {
    let (cluster, _) = Cluster::formed(1, LEASE).await;
    let again = cluster.member(1).consensus().form(cluster.names()).await;
    assert_eq!(again, Err(FormError::NotBlank));
    let other = Cluster::blank(1, LEASE).await;
    let among = other
        .member(1)
        .consensus()
        .form([(VoterId(2), "h2".into())].into())
        .await;
    assert_eq!(among, Err(FormError::NotAmong));
    cluster.stop_all().await;
    other.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_voters_may_form_the_same_cluster_at_once() {
    let cluster = Cluster::blank(3, LEASE).await;
    for voter in cluster.voters() {
        // One that was asked for its vote already is part of the cluster, and says so.
        match cluster.consensus(voter).form(cluster.names()).await {
            Ok(()) | Err(FormError::NotBlank) => {}
            Err(error) => panic!("{error}"),
        }
    }
    let permit = cluster.permit(cluster.voters()).await;
    let index = cluster.write(permit.leader, b"agreed").await;
    for voter in cluster.voters() {
        let state = cluster.members[&voter].recorder.applied(index).await;
        assert_eq!(state.payloads, [b"agreed".to_vec()]);
    }
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_permit_says_when_the_acknowledged_quorum_was_asked() {
    let (cluster, permit) = Cluster::formed(3, LEASE).await;
    let leader = cluster.consensus(permit.leader.voter);
    let permit = cluster.permit(vec![permit.leader.voter]).await;
    let age = now().since(permit.quorum_acked);
    assert!(age < cluster.settings.timing.election_max() * 2, "{age:?}");
    assert!(permit.quorum_acked < now());
    // One answer makes the quorum; the other follower's comes when it comes.
    let both = async {
        while leader.peer_acks().len() < 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        leader.peer_acks()
    };
    let acks = within("both answers", both).await;
    assert!(acks.values().all(|ack| *ack <= now()));
    for follower in cluster.others(permit.leader.voter) {
        assert_eq!(cluster.consensus(follower).permit().await, None);
        assert!(cluster.consensus(follower).peer_acks().is_empty());
    }
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_isolated_leader_leads_on_but_permits_and_accepts_nothing() {
    let (cluster, before) = Cluster::formed(3, LEASE).await;
    let old = before.leader.voter;
    let others = cluster.others(old);
    cluster.network.isolate(old, &others);
    let cut = now();
    let after = cluster.permit(others).await;
    assert_ne!(after.leader, before.leader);
    // One election timeout after the last answer the old leader must have stopped to permit.
    let bound = cluster.settings.timing.election_max();
    tokio::time::sleep(bound.saturating_sub(now().since(cut))).await;
    assert_eq!(cluster.consensus(old).permit().await, None);
    assert!(
        cluster.consensus(old).leadership().current().leads,
        "the flag alone permits nothing"
    );
    let refused = cluster
        .consensus(old)
        .propose(before.leader, b"lost".to_vec())
        .await;
    assert_eq!(refused, Err(ProposeError::Refused));
    let index = cluster.write(after.leader, b"kept").await;
    cluster.network.heal();
    let state = cluster.members[&old].recorder.applied(index).await;
    assert_eq!(state.payloads, [b"kept".to_vec()]);
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proposal_cut_off_half_way_has_an_unknown_outcome() {
    // Long, since it must still stand when a busy machine comes to the proposal.
    let (cluster, before) = Cluster::formed(3, LEASE * 4).await;
    let old = before.leader.voter;
    let others = cluster.others(old);
    cluster.write(before.leader, b"first").await;
    cluster.network.isolate(old, &others);
    // Its lease still stands, so the entry enters its log; no majority ever has it.
    let proposing = cluster
        .consensus(old)
        .propose(before.leader, b"half-way".to_vec());
    let healing = async {
        let after = cluster.permit(others.clone()).await;
        cluster.write(after.leader, b"second").await;
        cluster.network.heal();
    };
    let (outcome, ()) = within("the outcome", futures::future::join(proposing, healing)).await;
    assert_eq!(outcome, Err(ProposeError::Unknown));
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leadership_is_handed_over_and_the_former_leadership_writes_nothing() {
    let (cluster, before) = Cluster::formed(3, LEASE).await;
    cluster.write(before.leader, b"first").await;
    let (old, to) = (before.leader.voter, cluster.others(before.leader.voter)[0]);
    let leader = cluster.consensus(old);
    assert_eq!(
        leader.transfer(old).await,
        Err(TransferError::NoOtherVoter(old))
    );
    assert_eq!(
        leader.transfer(VoterId(77)).await,
        Err(TransferError::NoOtherVoter(VoterId(77)))
    );
    leader.transfer(to).await.unwrap();
    let after = follows_another(leader, before.leader).await;
    assert_eq!(after.voter, to);
    assert_eq!(leader.permit().await, None);
    let stale = cluster
        .consensus(old)
        .propose(before.leader, b"stale".to_vec())
        .await;
    assert_eq!(stale, Err(ProposeError::Refused));
    let stale = cluster
        .consensus(to)
        .propose(before.leader, b"stale".to_vec())
        .await;
    assert_eq!(
        stale,
        Err(ProposeError::Refused),
        "under another leadership of another voter"
    );
    let index = cluster.write(after, b"second").await;
    let state = cluster.members[&old].recorder.applied(index).await;
    assert_eq!(state.payloads, [b"first".to_vec(), b"second".to_vec()]);
    assert_eq!(leader.transfer(to).await, Err(TransferError::NotLeader));
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_with_an_empty_disk_takes_its_former_voters_place() {
    let (mut cluster, permit) = Cluster::formed(3, LEASE).await;
    let leader = permit.leader.voter;
    cluster.write(permit.leader, b"before").await;
    let lost = cluster.others(leader)[1];
    let name = cluster.members[&lost].name.clone();
    cluster.stop(lost).await;
    cluster.members.remove(&lost);
    let new = VoterId(9);
    cluster.add(new, name.as_str()).await;
    let replace = |old| {
        cluster
            .consensus(leader)
            .replace_voter(old, new, name.clone())
    };
    within("the replacement", replace(Some(lost)))
        .await
        .unwrap();
    within("the same again", replace(Some(lost))).await.unwrap();
    let index = cluster.write(permit.leader, b"after").await;
    let state = cluster.members[&new].recorder.applied(index).await;
    assert_eq!(state.payloads, [b"before".to_vec(), b"after".to_vec()]);
    assert_eq!(state.voters, cluster.names());
    let follower = cluster.others(leader)[0];
    let refused = cluster
        .consensus(follower)
        .replace_voter(None, VoterId(10), "h4".into())
        .await;
    assert_eq!(refused, Err(ReplaceError::NotLeader));
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_away_for_long_comes_back_through_a_snapshot() {
    let (mut cluster, permit) = Cluster::formed(3, LEASE).await;
    let away = cluster.others(permit.leader.voter)[0];
    cluster.stop(away).await;
    let mut leader = permit.leader;
    let mut index = 0;
    for number in 0..1_300_u32 {
        // The machine may be so busy that leadership changes on the way.
        let written = cluster
            .consensus(leader.voter)
            .propose(leader, number.to_le_bytes().into());
        match written.await {
            Ok(at) => index = at,
            Err(_) => leader = cluster.permit(cluster.others(away)).await.leader,
        }
    }
    cluster.start(away).await;
    let state = cluster.members[&away].recorder.applied(index).await;
    assert!(state.restored > 0, "it was sent entry by entry");
    let expected = cluster.members[&leader.voter].recorder.applied(index).await;
    assert_eq!(state.payloads.concat(), expected.payloads.concat());
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_alone_keeps_vote_log_and_what_was_committed() {
    let (mut cluster, permit) = Cluster::formed(3, LEASE).await;
    let index = cluster.write(permit.leader, b"kept").await;
    let leader = permit.leader.voter;
    for member in cluster.members.values() {
        member.recorder.applied(index).await;
    }
    // The leader first, so that it knows of no other.
    let others = cluster.others(leader);
    cluster.stop(leader).await;
    for voter in &others {
        cluster.stop(*voter).await;
    }
    cluster.network.isolate(leader, &others);
    cluster.start(leader).await;
    let state = cluster.members[&leader].recorder.state();
    assert_eq!(
        (state.index, state.payloads),
        (index, vec![b"kept".to_vec()])
    );
    assert_eq!(state.voters, cluster.names());
    let leadership = cluster.consensus(leader).leadership();
    assert!(
        !leadership.current().leads,
        "it does not lead on under its old vote"
    );
    assert_eq!(leadership.current().leader, None);
    assert_eq!(cluster.consensus(leader).permit().await, None);
    for voter in others {
        cluster.start(voter).await;
    }
    cluster.network.heal();
    let after = cluster.permit(cluster.voters()).await;
    assert!(after.leader > permit.leader, "its vote was kept");
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sole_voter_acknowledges_itself_now() {
    let (cluster, _) = Cluster::formed(1, LEASE).await;
    tokio::time::sleep(LEASE).await;
    let before = now();
    let permit = cluster.member(1).consensus().permit().await.unwrap();
    assert!(before <= permit.quorum_acked && permit.quorum_acked <= now());
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_in_anothers_name_is_refused() {
    let cluster = Cluster::blank(2, LEASE).await;
    let spy = std::sync::Arc::new(Spy::default());
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), VoterId(3)).unwrap();
    let voter = Consensus::<System>::start(
        cluster.settings.clone(),
        VoterId(3),
        store,
        spy.clone(),
        cluster::machine::Recorder::default(),
    );
    let voter = voter.await.unwrap();
    let voters = [(VoterId(1), "h1".into()), (VoterId(3), "h3".into())];
    voter.form(voters.into()).await.unwrap();
    let request = within("a request", spy.seen()).await;
    let refused = cluster
        .member(1)
        .consensus()
        .serve(VoterId(2), &request)
        .await
        .unwrap_err();
    assert!(matches!(
        refused,
        ServeError::Impostor {
            sender: VoterId(2),
            speaker: VoterId(3)
        }
    ));
    cluster
        .member(1)
        .consensus()
        .serve(VoterId(3), &request)
        .await
        .unwrap();
    let unreadable = cluster
        .member(1)
        .consensus()
        .serve(VoterId(3), b"\xff\xff")
        .await
        .unwrap_err();
    assert!(matches!(unreadable, ServeError::Unreadable(_)));
    voter.shutdown().await;
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_of_another_voter_is_refused() {
    let cluster = Cluster::blank(0, LEASE).await;
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), VoterId(3)).unwrap();
    let started = Consensus::<System>::start(
        cluster.settings.clone(),
        VoterId(4),
        store,
        cluster.network.transport(VoterId(4)),
        cluster::machine::Recorder::default(),
    );
    assert!(matches!(
        started.await.unwrap_err(),
        StartError::OtherVoter(VoterId(3))
    ));
}

/// Keeps the last request, and answers none.
#[derive(Default)]
struct Spy(tokio::sync::watch::Sender<Vec<u8>>);

impl Spy {
    async fn seen(&self) -> Vec<u8> {
        self.0
            .subscribe()
            .wait_for(|body| !body.is_empty())
            .await
            .unwrap()
            .clone()
    }
}

impl had_consensus::Transport for Spy {
    fn call(
        &self,
        _: VoterId,
        _: &had_core::ids::NodeName,
        body: Vec<u8>,
        _: Duration,
    ) -> futures::future::BoxFuture<'static, Result<Vec<u8>, had_consensus::CallError>> {
        self.0.send_replace(body);
        Box::pin(std::future::pending())
    }

    fn bulk(
        &self,
        to: VoterId,
        name: &had_core::ids::NodeName,
        body: Vec<u8>,
        deadline: Duration,
    ) -> futures::future::BoxFuture<'static, Result<Vec<u8>, had_consensus::CallError>> {
        self.call(to, name, body, deadline)
    }
}
