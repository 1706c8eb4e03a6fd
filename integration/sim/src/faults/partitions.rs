//! What befalls the network.

use std::rc::Rc;
use std::time::Duration;

use super::Fate;
use crate::cluster::Cluster;
use crate::network::Disorder;
use crate::runtime::{after, true_time};

/// How often it is looked whether another leads: sooner than its first heartbeat is answered…
const SWAP_LOOK: Duration = Duration::from_micros(500);
/// … and for how long at most.
const SWAP_PATIENCE: Duration = Duration::from_millis(600);
/// Of stalls: where the host is not heard either.
const MUTE_PER_MILLE: u64 = 500;
/// Then it is not heard for so much longer: a lease.
const MUTE_LONGER: Duration = Duration::from_millis(300);
/// One flap of a link: as short as a reconvergence, as long as an election.
const FLAP_US: std::ops::Range<u64> = 5_000..150_000;
/// A stalled connection: TCP's second retransmission comes after 200 + 400 ms.
const STALL_MAX_MS: u64 = 600;

impl Fate {
    /// Cuts links in one of the shapes that networks know, and mends them later.
    pub(super) fn partition(&mut self) -> bool {
        let length = self.length();
        let (shape, cuts) = self.shape();
        self.cluster
            .fault(&format!("network: {shape} for {length:?}"));
        cut_for(&self.cluster, cuts, length);
        true
    }

    /// Cuts links, mends them, and cuts them again, several times.
    pub(super) fn flapping(&mut self) -> bool {
        let (shape, cuts) = self.shape();
        let flaps = self.dice.between(3, 12);
        self.cluster
            .fault(&format!("network: {shape}, {flaps} times"));
        let mut at = Duration::ZERO;
        for _ in 0..flaps {
            let mut while_it_lasts =
                || Duration::from_micros(self.dice.between(FLAP_US.start, FLAP_US.end));
            let (down, up) = (while_it_lasts(), while_it_lasts());
            let (cluster, cuts) = (Rc::clone(&self.cluster), cuts.clone());
            after(at, move || {
                if !cluster.has_ceased() {
                    cut_for(&cluster, cuts, down);
                }
            });
            at += down + up;
        }
        true
    }

    /// One of the shapes that networks know: who does not reach whom.
    fn shape(&mut self) -> (String, Vec<(usize, usize)>) {
        let host = self.victim();
        let all: Vec<usize> = (0..self.cluster.hosts.len()).collect();
        let others: Vec<usize> = all.iter().copied().filter(|other| *other != host).collect();
        let me = self.name(host);
        match self.dice.between(0, 8) {
            0 | 1 => (format!("{me} is alone"), both(&[host], &others)),
            2 => (
                format!("{me} hears nobody"),
                others.iter().map(|other| (*other, host)).collect(),
            ),
            3 => (
                format!("nobody hears {me}"),
                others.iter().map(|other| (host, *other)).collect(),
            ),
            4 => {
                let other = *self.dice.pick(&others);
                (
                    format!("{me} does not reach {}", self.name(other)),
                    vec![(host, other)],
                )
            }
            5 => {
                let other = *self.dice.pick(&others);
                (
                    format!("{me} and {} are apart", self.name(other)),
                    both(&[host], &[other]),
                )
            }
            6 => {
                let bridge = *self.dice.pick(&others);
                let rest: Vec<usize> = others
                    .into_iter()
                    .filter(|other| *other != bridge)
                    .collect();
                (
                    format!("{me} reaches only {}", self.name(bridge)),
                    both(&[host], &rest),
                )
            }
            _ => self.split(),
        }
    }

    /// The leader is cut off until the others have elected another. Then that one is cut off, and its voters' daemons are
    /// killed and back at once: they must not follow the former leader, which they hear again.
    pub(super) fn swap(&mut self) -> bool {
        let Some(former) = self.cluster.leading() else {
            return false;
        };
        let back = Duration::from_micros(self.dice.between(100, 10_000));
        let alone = Duration::from_millis(self.dice.between(100, 600));
        let cluster = Rc::clone(&self.cluster);
        cluster.fault(&format!(
            "network: {} is alone until another leads, then that one is; its voters are killed, back after {back:?}",
            self.name(former)
        ));
        swap_when_another_leads(cluster, former, back, alone, SWAP_PATIENCE);
        true
    }

    /// Two sides, or nobody with anybody.
    fn split(&mut self) -> (String, Vec<(usize, usize)>) {
        let mut all: Vec<usize> = (0..self.cluster.hosts.len()).collect();
        if self.dice.chance(200) {
            let cuts = all
                .iter()
                .flat_map(|from| all.iter().map(|to| (*from, *to)));
            return (
                "everybody is alone".into(),
                cuts.filter(|(from, to)| from != to).collect(),
            );
        }
        self.dice.shuffle(&mut all);
        let (left, right) = all.split_at(all.len() / 2);
        let names = |side: &[usize]| {
            side.iter()
                .map(|host| self.name(*host))
                .collect::<Vec<_>>()
                .join(" ")
        };
        (
            format!("{} | {}", names(left), names(right)),
            both(left, right),
        )
    }

    /// Loses, delays, doubles or disorders messages for a while, around one host or everywhere.
    pub(super) fn bad_network(&mut self) -> bool {
        let (host, length) = (self.victim(), self.length());
        let everywhere = self.dice.chance(300);
        let loss = if self.dice.chance(500) {
            self.dice.between(50, 500)
        } else {
            0
        };
        let slower = if loss == 0 && self.dice.chance(600) {
            self.dice.between(1, 60)
        } else {
            0
        };
        // Neither lost nor late as such: over another connection, now and then twice, in any order.
        let disorder = if loss == 0 && slower == 0 {
            Disorder {
                twice_per_mille: self.dice.between(50, 500),
                up_to: Duration::from_millis(self.dice.between(1, 60)),
            }
        } else {
            Disorder::default()
        };
        let place = if everywhere {
            "everywhere".to_owned()
        } else {
            format!("around {}", self.name(host))
        };
        self.cluster.fault(&format!(
            "network: {loss} ‰ lost, {slower} ms slower, {} ‰ twice and up to {:?} apart {place} for {length:?}",
            disorder.twice_per_mille, disorder.up_to
        ));
        let hosts = self.cluster.hosts.len();
        let links: Vec<(usize, usize)> = (0..hosts)
            .flat_map(|from| (0..hosts).map(move |to| (from, to)))
            .filter(|(from, to)| everywhere || *from == host || *to == host)
            .collect();
        let cluster = Rc::clone(&self.cluster);
        let set = move |loss, slower, disorder| {
            for (from, to) in &links {
                let mut network = cluster.network.borrow_mut();
                network.lose(*from, *to, loss);
                network.slow_down(*from, *to, slower);
                network.disorder(*from, *to, disorder);
            }
        };
        set(loss, Duration::from_millis(slower), disorder);
        after(length, move || {
            set(0, Duration::ZERO, Disorder::default());
        });
        true
    }

    /// Everything towards one host stands in a queue for a while, and then arrives at once; sometimes nothing leaves it
    /// meanwhile, so that what arrives is the last that it hears: old grants too.
    pub(super) fn stall(&mut self) -> bool {
        let host = self.victim();
        let length = Duration::from_millis(self.dice.between(5, STALL_MAX_MS));
        let mute = self.dice.chance(MUTE_PER_MILLE);
        let and = if mute {
            ", and nobody hears it meanwhile"
        } else {
            ""
        };
        self.cluster.fault(&format!(
            "network: all that is sent to {} arrives {length:?} later, at once{and}",
            self.name(host)
        ));
        let until = true_time() + had_core::time::nanos(length);
        let others: Vec<usize> = (0..self.cluster.hosts.len())
            .filter(|other| *other != host)
            .collect();
        for from in &others {
            self.cluster.network.borrow_mut().hold(*from, host, until);
        }
        if mute {
            let cuts = others.iter().map(|other| (host, *other)).collect();
            cut_for(&self.cluster, cuts, length + MUTE_LONGER);
        }
        true
    }
}

impl Fate {
    /// What an engine must not fall for: the leader writes an entry, its peers' answers stand in a queue, it is cut off, the
    /// others elect another, and only then do the old answers come, from one peer after the other.
    pub(super) fn late_answers(&mut self) -> bool {
        let Some(leader) = self.cluster.leading() else {
            return false;
        };
        let length = Duration::from_millis(self.dice.between(150, STALL_MAX_MS));
        let others: Vec<usize> = (0..self.cluster.hosts.len())
            .filter(|host| *host != leader)
            .collect();
        let text = format!(
            "network: answers to {}, which is cut off, come {length:?} later",
            self.name(leader)
        );
        self.cluster.fault(&text);
        for other in &others {
            let stagger = Duration::from_millis(self.dice.between(0, 120));
            let until = true_time() + had_core::time::nanos(length + stagger);
            self.cluster
                .network
                .borrow_mut()
                .hold(*other, leader, until);
        }
        let drained = self.cluster.hosts[*self.dice.pick(&others)].name.clone();
        self.drain_for_a_while(&drained, Some(leader));
        let cut = Duration::from_micros(self.dice.between(500, 12_000));
        let (cluster, cuts) = (
            Rc::clone(&self.cluster),
            others.iter().map(|other| (leader, *other)).collect(),
        );
        after(cut, move || {
            if !cluster.has_ceased() {
                cut_for(&cluster, cuts, length + Duration::from_millis(150));
            }
        });
        true
    }
}

/// Cuts links now, and mends them later.
fn cut_for(cluster: &Rc<Cluster>, cuts: Vec<(usize, usize)>, length: Duration) {
    for (from, to) in &cuts {
        cluster.network.borrow_mut().cut(*from, *to);
    }
    let cluster = Rc::clone(cluster);
    after(length, move || {
        for (from, to) in &cuts {
            cluster.network.borrow_mut().mend(*from, *to);
        }
    });
}

/// Cuts a host off from all others, and mends that later.
pub(super) fn cut_off(cluster: &Rc<Cluster>, host: usize, length: Duration) {
    let others: Vec<usize> = (0..cluster.hosts.len())
        .filter(|other| *other != host)
        .collect();
    cut_for(cluster, both(&[host], &others), length);
}

fn both(left: &[usize], right: &[usize]) -> Vec<(usize, usize)> {
    left.iter()
        .flat_map(|one| {
            right
                .iter()
                .flat_map(|other| [(*one, *other), (*other, *one)])
        })
        .collect()
}

/// Cuts the former leader off for one look after the other, until another leads or patience ends.
fn swap_when_another_leads(
    cluster: Rc<Cluster>,
    former: usize,
    back: Duration,
    alone: Duration,
    patience: Duration,
) {
    if cluster.has_ceased() {
        return;
    }
    match cluster.leading().filter(|leader| *leader != former) {
        None if patience.is_zero() => {}
        None => {
            cut_off(&cluster, former, SWAP_LOOK);
            after(SWAP_LOOK, move || {
                let patience = patience.saturating_sub(SWAP_LOOK);
                swap_when_another_leads(cluster, former, back, alone, patience);
            });
        }
        Some(leader) => {
            cut_off(&cluster, leader, alone);
            let others = (0..cluster.hosts.len()).filter(|host| *host != former && *host != leader);
            for voter in others.filter(|voter| cluster.hosts[*voter].is_up()) {
                cluster.note_at(voter, format!("daemon killed, back after {back:?}"));
                cluster.kill_and_restart(voter, back);
            }
        }
    }
}
