//! The scenes: what happens, what is seen of it live, and how it is mended.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use had_netns::fault::{Fault, Stand};
use had_netns::watch::pass;
use had_rig::Cluster;
use had_rig::cluster::GROUP;

/// What happens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Scene {
    /// The owner loses power.
    Power,
    /// The owner's network is cut.
    Network,
    /// The owner's daemon freezes, and thaws when another has long taken over.
    Freeze,
    /// An operator moves the group.
    Command,
    /// The leader loses power, the owner is well.
    Leader,
}

/// How long the daemon stays frozen: many leases.
const FROZEN: Duration = Duration::from_secs(2);

impl Scene {
    /// In the order in which they are shown. The command comes before the leader's loss: it moves the group away from the
    /// leader.
    pub(crate) const ALL: [Self; 5] = [
        Self::Power,
        Self::Network,
        Self::Freeze,
        Self::Command,
        Self::Leader,
    ];

    fn fault(self) -> Fault {
        match self {
            Self::Power => Fault::OwnerOff,
            Self::Network => Fault::OwnerCut,
            Self::Freeze => Fault::DaemonFrozen,
            Self::Command => Fault::Failover,
            Self::Leader => Fault::LeaderAlone,
        }
    }

    pub(crate) fn title(self, stand: &Stand) -> String {
        let owner = &stand.owner;
        match self {
            Self::Power => format!("{owner} loses power"),
            Self::Network => format!("{owner}'s network is cut silently"),
            Self::Freeze => format!("{owner}'s daemon freezes"),
            Self::Command => format!("hactl failover {GROUP}"),
            Self::Leader => format!("the leader {} loses power", stand.leader),
        }
    }

    /// What is promised, milliseconds. An owner that leads takes its successor's election with it.
    pub(crate) fn promised_ms(self, stand: &Stand) -> f64 {
        let takeover = matches!(self, Self::Power | Self::Network | Self::Freeze);
        let fault = match self {
            _ if takeover && stand.owner == stand.leader => Fault::OwnerAndLeader,
            // Seen from outside a frozen daemon is a lost one.
            Self::Freeze => Fault::OwnerCut,
            _ => self.fault(),
        };
        fault.promise().most_ms.unwrap_or(f64::INFINITY)
    }

    /// Makes it happen. Says when.
    pub(crate) fn happen(self, cluster: &mut Cluster, stand: &Stand) -> Result<Instant> {
        if self != Self::Command {
            return self.fault().strike(cluster, stand);
        }
        let to = stand.untouched(cluster).context("three nodes")?;
        let at = Instant::now();
        cluster.command(&stand.owner, &["failover", GROUP, "--to", &to])?;
        Ok(at)
    }

    /// Mends it; says what came of it.
    pub(crate) fn mend(
        self,
        cluster: &mut Cluster,
        stand: &Stand,
        at: Instant,
    ) -> Result<Option<String>> {
        let owner = &stand.owner;
        Ok(match self {
            Self::Power => {
                cluster.power_on(owner)?;
                Some(format!("{owner} has power again"))
            }
            Self::Network => {
                cluster.lab.heal(owner)?;
                Some(format!("{owner} is connected again"))
            }
            Self::Freeze => {
                pass(at, FROZEN)?;
                cluster.daemon(owner)?.thaw()?;
                Some(format!(
                    "{owner} wakes after {} s and finds its lease gone",
                    FROZEN.as_secs()
                ))
            }
            Self::Command => None,
            Self::Leader => {
                cluster.power_on(&stand.leader)?;
                Some(format!("{} has power again", stand.leader))
            }
        })
    }
}
