//! What befalls the network.

use std::rc::Rc;
use std::time::Duration;

use super::Fate;
use crate::cluster::Cluster;
use crate::runtime::{after, true_time};

/// A stalled connection: TCP's second retransmission comes after 200 + 400 ms.
const STALL_MAX_MS: u64 = 600;

impl Fate {
    /// Cuts links in one of the shapes that networks know, and mends them later.
    pub(super) fn partition(&mut self) -> bool {
        let (host, length) = (self.victim(), self.length());
        let all: Vec<usize> = (0..self.cluster.hosts.len()).collect();
        let others: Vec<usize> = all.iter().copied().filter(|other| *other != host).collect();
        let me = self.name(host);
        let (shape, cuts) = match self.dice.between(0, 8) {
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
        };
        self.cluster
            .fault(&format!("network: {shape} for {length:?}"));
        cut_for(&self.cluster, cuts, length);
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

    /// Loses or delays messages for a while, around one host or everywhere.
    pub(super) fn bad_network(&mut self) -> bool {
        let (host, length) = (self.victim(), self.length());
        let everywhere = self.dice.chance(300);
        let loss = if self.dice.chance(500) {
            self.dice.between(50, 500)
        } else {
            0
        };
        let slower = if loss == 0 {
            self.dice.between(1, 60)
        } else {
            0
        };
        let place = if everywhere {
            "everywhere".to_owned()
        } else {
            format!("around {}", self.name(host))
        };
        self.cluster.fault(&format!(
            "network: {loss} ‰ lost, {slower} ms slower {place} for {length:?}"
        ));
        let hosts = self.cluster.hosts.len();
        let links: Vec<(usize, usize)> = (0..hosts)
            .flat_map(|from| (0..hosts).map(move |to| (from, to)))
            .filter(|(from, to)| everywhere || *from == host || *to == host)
            .collect();
        let cluster = Rc::clone(&self.cluster);
        let set = move |loss, slower| {
            for (from, to) in &links {
                let mut network = cluster.network.borrow_mut();
                network.lose(*from, *to, loss);
                network.slow_down(*from, *to, slower);
            }
        };
        set(loss, Duration::from_millis(slower));
        after(length, move || set(0, Duration::ZERO));
        true
    }

    /// Everything towards one host stands in a queue for a while, and then arrives at once.
    pub(super) fn stall(&mut self) -> bool {
        let host = self.victim();
        let length = Duration::from_millis(self.dice.between(5, STALL_MAX_MS));
        self.cluster.fault(&format!(
            "network: all that is sent to {} arrives {length:?} later, at once",
            self.name(host)
        ));
        let until = true_time() + had_core::time::nanos(length);
        for from in 0..self.cluster.hosts.len() {
            self.cluster.network.borrow_mut().hold(from, host, until);
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
