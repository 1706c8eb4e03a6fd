//! What goes wrong: one seed decides which fault strikes whom, when and for how long.
//!
//! | module | faults |
//! | --- | --- |
//! | `hosts` | daemons killed, frozen and ended; power lost; disks wiped; hosts asleep; clocks slewed |
//! | `partitions` | everything that befalls the network |
//! | `operators` | commands at any moment |
//! | `leaders` | the leader lost alone, again and again |
//! | `ambush` | faults that wait for the one moment at which they hurt most |
//! | `steps` | a fault at one step of what daemons do |

mod ambush;
mod hosts;
mod leaders;
mod operators;
mod partitions;
mod steps;

use std::rc::Rc;
use std::time::Duration;

use openraft_rt::AsyncRuntime;

use crate::cluster::Cluster;
use crate::runtime::{Dice, SimRuntime, true_time};

pub use ambush::{Ambush, Ambushes};
pub use operators::{CommandIds, ask};
pub use steps::{Steps, Strike};

/// Faults last from here…
const SHORTEST_MS: u64 = 10;
/// … doubled up to so many times: 2.56 to 5.12 s, cut to 3 s.
const DOUBLINGS: u64 = 8;
const LONGEST_MS: u64 = 3_000;

/// The one who brings the faults of a run.
#[derive(Debug)]
pub(crate) struct Fate {
    pub(crate) cluster: Rc<Cluster>,
    pub(crate) dice: Dice,
    commands: CommandIds,
}

impl Fate {
    pub(crate) fn new(cluster: Rc<Cluster>, dice: Dice) -> Self {
        Self {
            cluster,
            dice,
            commands: CommandIds::default(),
        }
    }

    /// Brings so many faults until a true time, at any moments.
    pub(crate) async fn strike(mut self, count: u64, until: u64) {
        let from = true_time();
        let mut moments: Vec<u64> = (0..count).map(|_| self.dice.between(from, until)).collect();
        moments.sort_unstable();
        for moment in moments {
            SimRuntime::sleep(Duration::from_nanos(moment - true_time())).await;
            while !self.one_fault() {}
        }
        SimRuntime::sleep(Duration::from_nanos(until.saturating_sub(true_time()))).await;
        self.cease();
    }

    /// One fault; `false` where the one that was drawn cannot be now.
    fn one_fault(&mut self) -> bool {
        match self.dice.between(0, 100) {
            0..14 => self.kill(),
            14..19 => self.power_loss(),
            19..33 => self.freeze(),
            33..36 => self.suspend(),
            36..40 => self.slew(),
            40..43 => self.wipe(),
            43..47 => self.terminate(),
            47..63 => self.partition(),
            63..70 => self.bad_network(),
            70..72 => self.stall(),
            72..75 => self.late_answers(),
            75..88 => self.operator(),
            _ => self.lie_in_wait(),
        }
    }

    /// Ends every fault.
    fn cease(&mut self) {
        let cluster = Rc::clone(&self.cluster);
        cluster.note("faults cease".into());
        cluster.cease();
        cluster.network.borrow_mut().heal();
        for host in 0..cluster.hosts.len() {
            let node = cluster.hosts[host].node;
            cluster.kernel.set_suspended(node, false);
            cluster.kernel.set_stopped(node, false);
            if cluster.hosts[host].is_leaving() {
                cluster.end_daemon(host);
            }
            cluster.power_on(host);
            cluster.start_daemon(host);
        }
    }

    /// A length of time: short and long ones are equally likely.
    fn length(&mut self) -> Duration {
        let base = SHORTEST_MS << self.dice.between(0, DOUBLINGS + 1);
        let micros = self.dice.between(base * 1_000, base * 2_000);
        Duration::from_micros(micros).min(Duration::from_millis(LONGEST_MS))
    }

    /// A host to befall: often the leader or an owner, because there it hurts.
    fn victim(&mut self) -> usize {
        let choice = self.dice.between(0, 100);
        let anybody = self.dice.index(self.cluster.hosts.len());
        match choice {
            0..35 => self.cluster.leading().unwrap_or(anybody),
            35..65 => self.owner().unwrap_or(anybody),
            _ => anybody,
        }
    }

    /// A host whose gate is open.
    fn owner(&mut self) -> Option<usize> {
        let groups = &self.cluster.config.spec.groups;
        let group = groups[self.dice.index(groups.len())].name.clone();
        self.cluster.open_on(&group).first().copied()
    }

    fn name(&self, host: usize) -> String {
        self.cluster.hosts[host].name.to_string()
    }

    /// How long a daemon is away: at once, within an election, or for long.
    fn away(&mut self) -> Duration {
        let micros = match self.dice.between(0, 10) {
            0..2 => self.dice.between(100, 15_000),
            2..6 => self.dice.between(15_000, 120_000),
            6..9 => self.dice.between(120_000, 800_000),
            _ => self.dice.between(800_000, 3_000_000),
        };
        Duration::from_micros(micros)
    }
}
