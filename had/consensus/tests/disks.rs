//! Disks that fail or are slow: what was not stored is never answered, and nobody waits for a disk but who must.

#![allow(clippy::unwrap_used, reason = "tests")]

mod cluster;

use std::io::{Error, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cluster::machine::Recorder;
use cluster::{Cluster, within};
use had_consensus::{Consensus, ServeError, Store, System};
use had_core::ids::VoterId;
use had_core::ports::ProposeError;
use redb::StorageBackend;
use redb::backends::InMemoryBackend;

const LEASE: Duration = Duration::from_millis(600);

/// What a disk does from now on.
#[derive(Debug, Default, Clone)]
struct Switch(Arc<Mode>);

#[derive(Debug, Default)]
struct Mode {
    full: AtomicBool,
    slow: AtomicBool,
}

/// One fsync of a slow disk: many heartbeats long.
const SLOW_SYNC: Duration = Duration::from_millis(150);

impl Switch {
    fn check(&self) -> Result<(), Error> {
        if self.0.full.load(Ordering::SeqCst) {
            return Err(Error::from(ErrorKind::StorageFull));
        }
        Ok(())
    }
}

#[derive(Debug)]
struct TestDisk {
    inner: InMemoryBackend,
    switch: Switch,
}

impl StorageBackend for TestDisk {
    fn len(&self) -> Result<u64, Error> {
        self.inner.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), Error> {
        self.inner.read(offset, out)
    }

    fn set_len(&self, len: u64) -> Result<(), Error> {
        self.switch.check()?;
        self.inner.set_len(len)
    }

    fn sync_data(&self) -> Result<(), Error> {
        self.switch.check()?;
        if self.switch.0.slow.load(Ordering::SeqCst) {
            std::thread::sleep(SLOW_SYNC);
        }
        self.inner.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), Error> {
        self.switch.check()?;
        self.inner.write(offset, data)
    }
}

async fn on(disk: TestDisk, voter: VoterId, cluster: &mut Cluster) -> Recorder {
    let recorder = Recorder::default();
    let store = Store::with_backend(disk, voter).unwrap();
    let transport = cluster.network.transport(voter);
    let settings = cluster.settings.clone();
    let consensus = Consensus::<System>::start(settings, voter, store, transport, recorder.clone());
    let consensus = consensus.await.unwrap();
    cluster.network.attach(voter, consensus.clone());
    let member = cluster::Member {
        voter,
        name: "h9".into(),
        directory: tempfile::tempdir().unwrap(),
        recorder: recorder.clone(),
        consensus: Some(consensus),
    };
    cluster.members.insert(voter, member);
    recorder
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_whose_disk_is_full_ends_and_the_others_go_on() {
    let mut cluster = Cluster::blank(2, LEASE).await;
    let (switch, voter) = (Switch::default(), VoterId(9));
    let disk = TestDisk {
        inner: InMemoryBackend::new(),
        switch: switch.clone(),
    };
    let recorder = on(disk, voter, &mut cluster).await;
    let consensus = cluster.consensus(voter).clone();
    consensus.form(cluster.names()).await.unwrap();
    let permit = cluster.permit(cluster.voters()).await;
    if permit.leader.voter != voter {
        cluster
            .consensus(permit.leader.voter)
            .transfer(voter)
            .await
            .unwrap();
    }
    let permit = cluster.permit(vec![voter]).await;
    let index = cluster.write(permit.leader, b"stored").await;
    recorder.applied(index).await;

    switch.0.full.store(true, Ordering::SeqCst);
    let outcome = within(
        "an outcome",
        consensus.propose(permit.leader, b"lost".to_vec()),
    )
    .await;
    // The others have it, so it may well be applied; this node's own disk has not.
    assert!(
        matches!(outcome, Ok(_) | Err(ProposeError::Unknown)),
        "{outcome:?}"
    );
    let failure = within("the failure", consensus.failed()).await;
    assert!(!failure.0.is_empty());
    assert_eq!(consensus.permit().await, None);
    let refused = consensus.propose(permit.leader, b"more".to_vec()).await;
    assert_eq!(refused, Err(ProposeError::Unknown));
    let asked = consensus.serve(VoterId(1), b"").await;
    assert!(matches!(asked, Err(ServeError::Unreadable(_))));

    let after = cluster.permit(cluster.others(voter)).await;
    assert_ne!(after.leader, permit.leader);
    cluster.write(after.leader, b"goes on").await;
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_whose_disk_is_full_ends_and_grants_no_vote() {
    let mut cluster = Cluster::blank(2, LEASE).await;
    let (switch, voter) = (Switch::default(), VoterId(9));
    let disk = TestDisk {
        inner: InMemoryBackend::new(),
        switch: switch.clone(),
    };
    on(disk, voter, &mut cluster).await;
    cluster
        .member(1)
        .consensus()
        .form(cluster.names())
        .await
        .unwrap();
    let mut permit = cluster.permit(cluster.voters()).await;
    if permit.leader.voter == voter {
        cluster.consensus(voter).transfer(VoterId(1)).await.unwrap();
        permit = cluster.permit(vec![VoterId(1)]).await;
    }
    let leader = permit.leader.voter;
    switch.0.full.store(true, Ordering::SeqCst);
    cluster.write(permit.leader, b"stored by two").await;
    let consensus = cluster.consensus(voter).clone();
    within("the failure", consensus.failed()).await;

    // With the leader gone too, one voter is left: it must not be elected by one that stores nothing.
    let other = cluster
        .others(leader)
        .into_iter()
        .find(|other| *other != voter)
        .unwrap();
    cluster.network.isolate(leader, &[other, voter]);
    let election = cluster.settings.timing.election_max() * 6;
    let elected = tokio::time::timeout(election, cluster.permit(vec![other])).await;
    assert!(elected.is_err(), "{elected:?}");
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_whose_disk_is_slow_goes_on_to_permit() {
    let mut cluster = Cluster::blank(2, LEASE * 2).await;
    let (switch, voter) = (Switch::default(), VoterId(9));
    let disk = TestDisk {
        inner: InMemoryBackend::new(),
        switch: switch.clone(),
    };
    let recorder = on(disk, voter, &mut cluster).await;
    let leader = cluster.consensus(voter).clone();
    leader.form(cluster.names()).await.unwrap();
    let permit = cluster.permit(cluster.voters()).await;
    if permit.leader.voter != voter {
        cluster
            .consensus(permit.leader.voter)
            .transfer(voter)
            .await
            .unwrap();
    }
    let permit = cluster.permit(vec![voter]).await;
    cluster.write(permit.leader, b"first").await;

    switch.0.slow.store(true, Ordering::SeqCst);
    let began = std::time::Instant::now();
    // The others have each entry at once, but one fsync after the other is under way here.
    for number in 0..4_u8 {
        let (leader, under) = (leader.clone(), permit.leader);
        tokio::spawn(async move { leader.propose(under, vec![number]).await });
    }
    let mut permits = 0;
    while began.elapsed() < SLOW_SYNC * 4 {
        assert!(
            leader.permit().await.is_some(),
            "after {:?}",
            began.elapsed()
        );
        permits += 1;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(permits > 20, "each was answered at once: {permits}");
    switch.0.slow.store(false, Ordering::SeqCst);
    let index = cluster.write(permit.leader, b"last").await;
    recorder.applied(index).await;
    cluster.stop_all().await;
}
