//! Each fault: how the cluster must stand before it, and how it strikes.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use had_rig::cluster::{GROUP, SETTLE, Status};
use had_rig::{Cluster, ClusterSpec, until};

/// What happens to a cluster.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Fault {
    /// The owner's network is cut without a sign; the owner does not lead.
    OwnerCut,
    /// The owner loses power; it does not lead.
    OwnerOff,
    /// The owner leads and loses power.
    OwnerAndLeader,
    /// A leader that owns nothing loses power.
    LeaderAlone,
    /// An operator moves the group.
    Failover,
    /// The carrier of the owner's first link is lost, a second stands.
    Carrier,
    /// The owner's daemon is killed.
    DaemonKilled,
    /// The owner's daemon is stopped, and goes on after five seconds.
    DaemonFrozen,
    /// The owner's daemon is asked to end.
    Terminated,
    /// The owner's daemon is killed, and started again at once, as its unit does.
    DaemonRestarted,
    /// The owner is drained, its daemon ended and started, the node taken back.
    Upgraded,
}

/// Who stands where when a fault strikes.
#[derive(Clone, Debug)]
pub struct Stand {
    /// Who owns the group.
    pub owner: String,
    /// Who leads.
    pub leader: String,
}

impl Stand {
    /// A node that neither owns nor leads.
    #[must_use]
    pub fn untouched(&self, cluster: &Cluster) -> Option<String> {
        cluster
            .names()
            .into_iter()
            .find(|name| *name != self.owner && *name != self.leader)
    }
}

/// What is promised of a fault, milliseconds; nothing where only safety is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Promise {
    /// The median of the silences.
    pub p50_ms: Option<f64>,
    /// 19 of 20 silences.
    pub most_ms: Option<f64>,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::OwnerCut,
        Self::OwnerOff,
        Self::OwnerAndLeader,
        Self::LeaderAlone,
        Self::Failover,
        Self::Carrier,
        Self::DaemonKilled,
        Self::DaemonFrozen,
        Self::Terminated,
        Self::DaemonRestarted,
        Self::Upgraded,
    ];

    /// What is promised of it at a lease of 300 ms.
    #[must_use]
    pub fn promise(self) -> Promise {
        let most = |ms| Promise {
            p50_ms: None,
            most_ms: Some(ms),
        };
        match self {
            Self::OwnerCut | Self::OwnerOff => Promise {
                p50_ms: Some(350.0),
                most_ms: Some(400.0),
            },
            Self::OwnerAndLeader => most(700.0),
            Self::LeaderAlone | Self::DaemonRestarted => most(5.0),
            Self::Upgraded => most(10.0),
            Self::Failover | Self::Terminated => most(30.0),
            Self::Carrier => most(100.0),
            // Served until the lease ends; then the record has to end, and the successor to begin.
            Self::DaemonKilled | Self::DaemonFrozen => most(150.0),
        }
    }

    /// The cluster that it needs.
    #[must_use]
    pub fn spec(self) -> ClusterSpec {
        let links = if self == Self::Carrier { 2 } else { 1 };
        ClusterSpec {
            links,
            ..ClusterSpec::default()
        }
    }

    /// Whether the group must move.
    #[must_use]
    pub fn moves(self) -> bool {
        !matches!(self, Self::LeaderAlone | Self::DaemonRestarted)
    }

    /// Waits until the cluster stands as this fault needs it.
    ///
    /// # Errors
    /// Where it does not come to stand so.
    pub fn prepare(self, cluster: &mut Cluster) -> Result<Stand> {
        if self == Self::OwnerAndLeader {
            leader_owns(cluster)
        } else {
            leader_apart(cluster)
        }
    }

    /// Strikes. Says when.
    ///
    /// # Errors
    /// Where the kernel, or `hactl`, refuses.
    pub fn strike(self, cluster: &mut Cluster, stand: &Stand) -> Result<Instant> {
        let owner = stand.owner.as_str();
        let now = Instant::now();
        match self {
            Self::OwnerCut => return cluster.lab.cut_all(owner),
            Self::OwnerOff | Self::OwnerAndLeader => return cluster.lab.power_off(owner),
            Self::LeaderAlone => return cluster.lab.power_off(&stand.leader),
            Self::Carrier => return cluster.lab.carrier_down(owner, 0),
            Self::Failover => {
                let to = cluster.names().into_iter().find(|name| name != owner);
                let to = to.context("another node")?;
                cluster.command(owner, &["failover", GROUP, "--to", &to])?;
            }
            Self::DaemonKilled => cluster.daemon(owner)?.kill()?,
            Self::DaemonFrozen => cluster.daemon(owner)?.freeze()?,
            Self::Terminated => cluster.daemon(owner)?.terminate()?,
            Self::DaemonRestarted => {
                cluster.daemon(owner)?.kill()?;
                cluster.start(owner)?;
            }
            Self::Upgraded => {
                cluster.command(owner, &["node", "drain", owner])?;
                cluster.daemon(owner)?.terminate()?;
                cluster.daemon(owner)?.wait(SETTLE)?;
                cluster.start(owner)?;
                until("the node is taken back", SETTLE, || {
                    let resumed = cluster.hactl(owner, &["node", "resume", owner])?;
                    Ok(resumed.status.success().then_some(()))
                })?;
                cluster.is_online(owner)?;
            }
        }
        Ok(now)
    }

    /// What follows the move, where the story goes on: a frozen daemon wakes five seconds after it froze.
    ///
    /// # Errors
    /// Where the daemon has ended instead.
    pub fn aftermath(self, cluster: &mut Cluster, stand: &Stand, at: Instant) -> Result<()> {
        if self == Self::DaemonFrozen {
            crate::watch::pass(at, FROZEN)?;
            cluster.daemon(&stand.owner)?.thaw()?;
            cluster.settle()?;
        }
        Ok(())
    }
}

/// How long a frozen daemon stays so.
pub const FROZEN: Duration = Duration::from_secs(5);

/// What is promised is promised of a leader that has led for longer than a lease; a second lease lets a cluster that was
/// just formed come to rest.
const LED: Duration = Duration::from_millis(600);

/// Waits until one node has led for some time, as `asked` says; says which.
///
/// # Errors
/// Where nobody does within [`SETTLE`].
pub fn led_for_some_time(cluster: &mut Cluster, asked: &str) -> Result<String> {
    let mut before = None;
    until("one leader leads for some time", SETTLE, || {
        let led = |status: &Status| status.quorate && status.leader.is_some();
        let now = cluster
            .wait_status(asked, "somebody leads", SETTLE, led)?
            .leader;
        if now == before {
            return Ok(now);
        }
        before = now;
        crate::watch::pass(Instant::now(), LED)?;
        Ok(None)
    })
}

/// Waits until somebody other than the owner has led for some time.
fn leader_apart(cluster: &mut Cluster) -> Result<Stand> {
    until("one leader leads for some time", SETTLE, || {
        let (owner, leader) = cluster.settle_apart()?;
        let same = led_for_some_time(cluster, &owner)? == leader
            && cluster.settle_apart()? == (owner.clone(), leader.clone());
        Ok(same.then_some(Stand { owner, leader }))
    })
}

/// Makes the leader the owner. Leadership leaves owners, but at most once a minute: so the group follows it until it stays.
fn leader_owns(cluster: &mut Cluster) -> Result<Stand> {
    let (mut owner, mut leader) = cluster.settle_apart()?;
    for _ in 0..3 {
        // Refused for a moment after a change of leader, until the owner has renewed its lease with the new one.
        let to = ["failover", GROUP, "--to", &leader];
        until("the move to the leader is taken", SETTLE, || {
            Ok(cluster.hactl(&owner, &to)?.status.success().then_some(()))
        })?;
        let status = cluster.wait_status(&leader, "the leader owns", SETTLE, |status| {
            status.is_settled()
        })?;
        owner = status
            .running_on(GROUP)
            .context("the group runs")?
            .to_owned();
        leader = status.leader.context("somebody leads")?;
        if owner == leader {
            return Ok(Stand { owner, leader });
        }
    }
    ensure!(owner == leader, "leadership leaves the owner each time");
    Ok(Stand { owner, leader })
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::OwnerCut => "owner-cut",
            Self::OwnerOff => "owner-off",
            Self::OwnerAndLeader => "owner-and-leader",
            Self::LeaderAlone => "leader-alone",
            Self::Failover => "failover",
            Self::Carrier => "carrier",
            Self::DaemonKilled => "daemon-killed",
            Self::DaemonFrozen => "daemon-frozen",
            Self::Terminated => "terminated",
            Self::DaemonRestarted => "daemon-restarted",
            Self::Upgraded => "upgraded",
        })
    }
}
