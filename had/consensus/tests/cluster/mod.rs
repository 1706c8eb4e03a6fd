//! Voters in one process, on tokio and redb files, with a network of 200 µs between them that can be cut.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "shared by tests and an example"
)]

pub mod machine;
pub mod network;

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use had_consensus::{Consensus, ENTRIES_A_SNAPSHOT, Plants, Settings, Store, System};
use had_core::ids::{LeaderId, NodeName, VoterId};
use had_core::ports::Permit;
use had_core::timing::Timing;
use tempfile::TempDir;

use machine::Recorder;
use network::Network;

/// Longer than anything that a test waits for, also on a machine that is busy with other work.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// One voter, running or stopped.
pub struct Member {
    pub voter: VoterId,
    pub name: NodeName,
    pub directory: TempDir,
    pub recorder: Recorder,
    pub consensus: Option<Consensus<System>>,
}

impl Member {
    /// Of a running one.
    pub fn consensus(&self) -> &Consensus<System> {
        self.consensus.as_ref().unwrap()
    }
}

/// Voters 1 to n, on nodes h1 to hn.
pub struct Cluster {
    pub network: Network,
    pub settings: Settings,
    pub members: BTreeMap<VoterId, Member>,
}

pub fn settings(lease: Duration) -> Settings {
    let timing = Timing {
        lease,
        heartbeat: lease / 3,
    };
    Settings {
        timing,
        cluster_name: "test".into(),
        entries_a_snapshot: ENTRIES_A_SNAPSHOT,
        plants: Plants::default(),
    }
}

impl Cluster {
    /// Started and not formed.
    pub async fn blank(voters: u64, lease: Duration) -> Self {
        let network = Network::new();
        let mut cluster = Self {
            network,
            settings: settings(lease),
            members: BTreeMap::new(),
        };
        for number in 1..=voters {
            cluster.add(VoterId(number), &format!("h{number}")).await;
        }
        cluster
    }

    /// Formed, with a leader that may act.
    pub async fn formed(voters: u64, lease: Duration) -> (Self, Permit) {
        let cluster = Self::blank(voters, lease).await;
        cluster
            .member(1)
            .consensus()
            .form(cluster.names())
            .await
            .unwrap();
        let permit = cluster.permit(cluster.voters()).await;
        (cluster, permit)
    }

    /// A new voter with an empty disk.
    pub async fn add(&mut self, voter: VoterId, name: &str) {
        let member = Member {
            voter,
            name: name.into(),
            directory: tempfile::tempdir().unwrap(),
            recorder: Recorder::default(),
            consensus: None,
        };
        self.members.insert(voter, member);
        self.start(voter).await;
    }

    pub async fn start(&mut self, voter: VoterId) {
        let member = self.members.get_mut(&voter).unwrap();
        let store = Store::open(member.directory.path(), voter).unwrap();
        member.recorder = Recorder::default();
        let transport = self.network.transport(voter);
        let settings = self.settings.clone();
        let machine = member.recorder.clone();
        let consensus = Consensus::start(settings, voter, store, transport, machine)
            .await
            .unwrap();
        self.network.attach(voter, consensus.clone());
        member.consensus = Some(consensus);
    }

    pub async fn stop(&mut self, voter: VoterId) {
        self.network.detach(voter);
        let consensus = self
            .members
            .get_mut(&voter)
            .unwrap()
            .consensus
            .take()
            .unwrap();
        consensus.shutdown().await;
    }

    pub async fn stop_all(mut self) {
        for voter in self.voters() {
            if self.members[&voter].consensus.is_some() {
                self.stop(voter).await;
            }
        }
    }

    pub fn member(&self, voter: u64) -> &Member {
        &self.members[&VoterId(voter)]
    }

    pub fn consensus(&self, voter: VoterId) -> &Consensus<System> {
        self.members[&voter].consensus()
    }

    pub fn voters(&self) -> Vec<VoterId> {
        self.members.keys().copied().collect()
    }

    pub fn others(&self, voter: VoterId) -> Vec<VoterId> {
        self.voters()
            .into_iter()
            .filter(|other| *other != voter)
            .collect()
    }

    pub fn names(&self) -> BTreeMap<VoterId, NodeName> {
        self.members
            .iter()
            .map(|(voter, member)| (*voter, member.name.clone()))
            .collect()
    }

    /// Waits until one of these may act.
    pub async fn permit(&self, among: Vec<VoterId>) -> Permit {
        let ask = async {
            loop {
                for voter in &among {
                    if let Some(permit) = self.consensus(*voter).permit().await {
                        return permit;
                    }
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        within("a permit", ask).await
    }

    /// Proposes under a leadership until it is accepted: right after an election it may be refused for a moment.
    pub async fn write(&self, leader: LeaderId, payload: &[u8]) -> u64 {
        let write = async {
            loop {
                let consensus = self.consensus(leader.voter);
                if let Ok(index) = consensus.propose(leader, payload.to_vec()).await {
                    return index;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        within("a commit", write).await
    }
}

/// Awaits, but not for ever.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what} did not come within {PATIENCE:?}"),
    }
}
