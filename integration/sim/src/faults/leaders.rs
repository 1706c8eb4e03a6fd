//! The leader lost alone, on a quiet network: what the table of timings promises.

use std::rc::Rc;
use std::time::Duration;

use openraft_rt::AsyncRuntime;

use super::Fate;
use super::partitions::cut_off;
use crate::runtime::{SimRuntime, after, true_time};

/// Everything has run undisturbed for so long before a leader is lost: the record of the last one's loss is closed, and
/// leadership has moved away from owners.
const QUIET: Duration = Duration::from_millis(1_500);
/// How long a leader is away: longer than a record, so that it is declared lost too.
const AWAY_MS: std::ops::Range<u64> = 400..1_200;

impl Fate {
    /// Loses one leader after the other until a true time; none of them owns a group.
    pub(crate) async fn strike_leaders(mut self, until: u64) {
        self.cluster.checks.borrow_mut().no_lapse.watch();
        loop {
            let jitter = Duration::from_micros(self.dice.between(0, 100_000));
            SimRuntime::sleep(QUIET + jitter).await;
            if true_time() >= until {
                break;
            }
            if let Some(leader) = self.leader_without_groups() {
                self.lose(leader);
            }
        }
        self.cease();
    }

    fn leader_without_groups(&self) -> Option<usize> {
        let cluster = &self.cluster;
        let leader = cluster.leading()?;
        let owns = |host| {
            let groups = &cluster.config.spec.groups;
            groups
                .iter()
                .any(|group| cluster.open_on(&group.name).contains(&host))
        };
        (cluster.runs().is_ok() && !owns(leader)).then_some(leader)
    }

    fn lose(&mut self, leader: usize) {
        let away = Duration::from_millis(self.dice.between(AWAY_MS.start, AWAY_MS.end));
        let cluster = Rc::clone(&self.cluster);
        let how = match self.dice.between(0, 4) {
            0 => {
                cluster.kill_and_restart(leader, away);
                "is killed"
            }
            1 => {
                cluster.power_off(leader);
                let cluster = Rc::clone(&cluster);
                after(away, move || cluster.power_on(leader));
                "loses its power"
            }
            2 => {
                cluster.freeze(leader, away);
                "stands still"
            }
            _ => {
                cut_off(&cluster, leader, away);
                "is cut off"
            }
        };
        cluster.fault(&format!(
            "the leader {} {how} for {away:?}",
            self.name(leader)
        ));
    }
}
