//! What goes wrong: one seed decides which fault strikes whom, when and for how long.
//!
//! | module | faults |
//! | --- | --- |
//! | `hosts` | daemons killed, frozen and ended, and their guards; power lost; hosts asleep and stalled; clocks slewed |
//! | `disks` | disks full, failing and lost; a host started under another's name |
//! | `files` | other cluster files, at any moment |
//! | `partitions` | everything that befalls the network |
//! | `operators` | commands at any moment |
//! | `leaders` | the leader lost alone, again and again |
//! | `ambush` | faults that wait for the one moment at which they hurt most |
//! | `pairs` | two faults of two kinds, every pair in its turn |
//! | `steps` | a fault at one step of what daemons do |

mod ambush;
mod disks;
mod files;
mod hosts;
mod leaders;
mod operators;
mod pairs;
mod partitions;
mod steps;

use std::rc::Rc;
use std::time::Duration;

use had_core::ids::GroupName;
use openraft_rt::AsyncRuntime;

use crate::cluster::Cluster;
use crate::plant::Planted;
use crate::runtime::{Dice, SimRuntime, true_time};

pub use ambush::{Ambush, Ambushes};
pub use operators::{CommandIds, ask};
pub use pairs::{Dark, pairs};
pub use steps::{Steps, Strike};

/// Faults last from here…
const SHORTEST_MS: u64 = 10;
/// … doubled up to so many times: 2.56 to 5.12 s, cut to 3 s.
const DOUBLINGS: u64 = 8;
const LONGEST_MS: u64 = 3_000;
/// Where a mistake is planted that shows under one fault: how many faults are of it.
const FAVOURED_PER_MILLE: u64 = 400;
/// Where clocks are bent: how many faults do it.
const BENT_PER_MILLE: u64 = 250;

/// The one who brings the faults of a run.
#[derive(Debug)]
pub(crate) struct Fate {
    pub(crate) cluster: Rc<Cluster>,
    pub(crate) dice: Dice,
    commands: CommandIds,
    /// How many files there were besides the first.
    files: u32,
    /// Clocks are slewed beyond the margins, and often.
    pub(crate) bends_clocks: bool,
}

impl Fate {
    pub(crate) fn new(cluster: Rc<Cluster>, dice: Dice) -> Self {
        Self {
            cluster,
            dice,
            commands: CommandIds::default(),
            files: 0,
            bends_clocks: false,
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
        if self.bends_clocks && self.dice.chance(BENT_PER_MILLE) {
            return self.slew();
        }
        if let Some(planted) = self.cluster.planted
            && self.dice.chance(FAVOURED_PER_MILLE)
            && let Some(struck) = self.favoured(planted)
        {
            return struck;
        }
        match self.dice.between(0, 1_000) {
            0..105 => self.kill(),
            105..120 => self.guard_away(),
            120..165 => self.power_loss(),
            165..290 => self.freeze(),
            290..310 => self.stall_host(),
            310..335 => self.suspend(),
            335..370 => self.slew(),
            370..390 => self.wipe(),
            390..395 => self.same_name(),
            395..405 => self.amnesia(),
            405..440 => self.disk_trouble(),
            440..470 => self.terminate(),
            470..500 => self.another_file(),
            500..630 => self.partition(),
            630..650 => self.flapping(),
            650..660 => self.swap(),
            660..710 => self.bad_network(),
            710..740 => self.stall(),
            740..770 => self.late_answers(),
            770..880 => self.operator(),
            _ => self.lie_in_wait(),
        }
    }

    /// Some mistakes show only under one of the rarer faults: it strikes more often where they are planted.
    fn favoured(&mut self, planted: Planted) -> Option<bool> {
        match planted {
            Planted::LeaseCountedFromReceipt => Some(self.stall()),
            Planted::LeaseLengthChangedAtOnce => Some(self.another_file()),
            Planted::VoteWrittenAfterItWasSent => Some(self.swap()),
            Planted::WipedVotesUnderItsOldId => Some(self.amnesia()),
            Planted::SameNameTwice => Some(self.same_name()),
            Planted::LedgerNotSeeded | Planted::InheritedUncharged => Some(self.kill()),
            _ => None,
        }
    }

    /// Ends every fault.
    fn cease(&mut self) {
        let cluster = Rc::clone(&self.cluster);
        cluster.note("faults cease".into());
        cluster.cease();
        cluster.network.borrow_mut().heal();
        for host in 0..cluster.hosts.len() {
            if cluster.hosts[host].has_alias() {
                cluster.power_off(host);
                cluster.is_another(host, None);
            }
            cluster.wake(host);
            cluster.hosts[host].disk.set_trouble(None);
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
        let group = self.group();
        self.cluster.open_on(&group).first().copied()
    }

    /// Any group.
    fn group(&mut self) -> GroupName {
        let committed = self.cluster.committed();
        let groups = &committed.spec.groups;
        groups[self.dice.index(groups.len())].name.clone()
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
