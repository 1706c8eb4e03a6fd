//! What befalls the cluster of one run, from the first boot to the last look.

use std::rc::Rc;
use std::time::Duration;

use clap::ValueEnum;
use had_core::time::nanos;
use openraft_rt::AsyncRuntime;

use crate::check::{Violation, heals};
use crate::cluster::Cluster;
use crate::faults::Fate;
use crate::host::Host;
use crate::runtime::{Dice, SimRuntime, after, true_time};

/// The interval that users rely on.
pub const HEARTBEAT: Duration = Duration::from_millis(100);
/// The lease that goes with it.
pub const LEASE: Duration = Duration::from_millis(300);
/// All hosts are switched on within this time.
const SWITCHED_ON_NS: u64 = 50_000_000;
/// Within this time after the faults have ceased, and after the first boot, every group runs.
pub const HEALING: Duration = Duration::from_secs(5);
/// A planned move may be under way just when it is looked: then it is looked again, so often.
const LOOKS: u32 = 20;
/// One fault in so many heartbeats: 54 in the usual 600.
const HEARTBEATS_A_FAULT: u64 = 11;
/// Faults strike for so long at least, also in a short run: longer than a lease, an election and a takeover.
const SHORTEST_STRIKE: Duration = Duration::from_secs(2);
/// The cluster's own way to the end of a run after its last fault, and as much again: then something hangs.
const LONGEST_END: Duration = Duration::from_secs(20);

/// Which faults a run meets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum)]
pub enum Story {
    /// Every fault at any moment; then they cease, and the cluster must heal.
    #[default]
    Everything,
    /// A quiet cluster that loses its leader, and nothing else, again and again: no gate may lapse.
    LeaderAlone,
    /// An otherwise quiet cluster that meets two faults of two kinds, every pair in its turn, by the seed. What is told at the end
    /// is how long groups were dark.
    Pairs,
    /// Everything, with clocks slewed beyond the margins: promises are broken, and that must be seen.
    BentClocks,
}

/// When a run must be over at the latest.
pub(crate) fn latest_end(heartbeats: u64) -> u64 {
    heartbeats * nanos(HEARTBEAT) + nanos(LONGEST_END)
}

impl Story {
    /// As the command line has it.
    ///
    /// # Panics
    /// Never: every story can be named.
    #[must_use]
    pub fn name(self) -> String {
        let value = self.to_possible_value().expect("no story is skipped");
        value.get_name().to_owned()
    }

    /// Boots, forms, suffers, heals. It lasts for so many heartbeats, or longer where faults would have no time.
    pub(crate) async fn told(self, mut fate: Fate, seed: u64, heartbeats: u64) {
        let cluster = Rc::clone(&fate.cluster);
        fate.bends_clocks = self == Self::BentClocks;
        switch_on(&cluster, &mut fate.dice);
        runs_within(&cluster, HEALING).await;
        cluster.note("everything runs".into());
        look_at_pairs(&cluster);
        let end = heartbeats * nanos(HEARTBEAT);
        let until = end.saturating_sub(nanos(HEALING + HEARTBEAT * LOOKS));
        let until = until.max(true_time() + nanos(SHORTEST_STRIKE));
        match self {
            Self::Everything | Self::BentClocks => {
                fate.strike(heartbeats / HEARTBEATS_A_FAULT, until).await
            }
            Self::LeaderAlone => fate.strike_leaders(until).await,
            Self::Pairs => fate.strike_a_pair(seed).await,
        }
        SimRuntime::sleep(HEALING).await;
        runs_within(&cluster, HEARTBEAT * LOOKS / 2).await;
        shows_what_is_so(&cluster).await;
        cluster.note("everything runs, to the end".into());
        cluster.end();
    }
}

/// Looks at the pairs of groups once a heartbeat, from here on.
fn look_at_pairs(cluster: &Rc<Cluster>) {
    let cluster = Rc::clone(cluster);
    after(HEARTBEAT, move || {
        cluster.look_at_pairs();
        look_at_pairs(&cluster);
    });
}

/// Every daemon is asked what it shows an operator.
async fn shows_what_is_so(cluster: &Rc<Cluster>) {
    cluster.hosts.iter().for_each(Host::ask_to_show);
    SimRuntime::sleep(HEARTBEAT).await;
    if let Some(silent) = cluster.hosts.iter().find(|host| !host.has_shown()) {
        let text = format!("{} shows an operator nothing", silent.name);
        cluster.expect(Err(Violation {
            check: "relations",
            text,
        }));
    }
}

/// Boots every host, in any order.
pub(crate) fn switch_on(cluster: &Rc<Cluster>, dice: &mut Dice) {
    for host in 0..cluster.hosts.len() {
        let (cluster, delay) = (Rc::clone(cluster), dice.between(0, SWITCHED_ON_NS));
        after(Duration::from_nanos(delay), move || cluster.power_on(host));
    }
}

/// Waits until every group runs.
pub(crate) async fn runs_within(cluster: &Rc<Cluster>, time: Duration) {
    let limit = true_time() + nanos(time);
    while cluster.runs().is_err() {
        if true_time() >= limit {
            return cluster.expect(cluster.runs());
        }
        SimRuntime::sleep(HEARTBEAT / 10).await;
    }
}

impl Cluster {
    /// Whether every group runs that can.
    ///
    /// # Errors
    /// Which does not.
    pub fn runs(&self) -> Result<(), Violation> {
        let nothing = || Violation {
            check: "heals",
            text: "no cluster was formed".into(),
        };
        self.stand(heals).ok_or_else(nothing)?
    }
}
