//! What happens, decided by the seed alone: batches of faults that overlap, with pauses between.

use std::fmt;
use std::time::Duration;

use super::clock::Rate;
use super::dice::Dice;
use super::kind::{Kind, Part};

/// One fault.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// What happens.
    pub kind: Kind,
    /// To which hosts, by number: 1 for h1.
    pub hosts: Vec<u8>,
    /// To which group, by its place in the file.
    pub group: usize,
    /// How much of it: per mille of loss, milliseconds of a flap, processes, a place in a table.
    pub amount: u16,
    /// When it begins, after the beginning of its batch.
    pub begins: Duration,
    /// How long it lasts; nothing for what happens at once.
    pub lasts: Duration,
}

/// Faults whose ends are waited for together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Batch {
    /// How long nothing happens before.
    pub pause: Duration,
    /// In order of their beginning.
    pub faults: Vec<Fault>,
}

/// An endless sequence of batches.
#[derive(Clone, Debug)]
pub struct Plan {
    dice: Dice,
    nodes: u8,
    groups: usize,
    kinds: Vec<(Kind, u64)>,
    spared: u8,
}

/// How often a fault that finds no room beside the others is thrown anew.
const THROWS: usize = 20;

impl Plan {
    /// The sequence of a seed, of these kinds alone.
    #[must_use]
    pub fn new(seed: u64, nodes: u8, groups: usize, kinds: &[Kind]) -> Self {
        let mut dice = Dice::new(seed);
        let spared = 1 + low(dice.between(0, nodes.into()));
        let kinds = Kind::ALL
            .into_iter()
            .filter(|(kind, _)| kinds.contains(kind));
        Self {
            dice,
            nodes,
            groups,
            kinds: kinds.collect(),
            spared,
        }
    }

    /// The host whose daemon is never killed, and which never loses power, so that somebody lives long.
    #[must_use]
    pub fn spared(&self) -> u8 {
        self.spared
    }

    /// The next batch.
    pub fn next_batch(&mut self) -> Batch {
        let pause = Duration::from_millis(self.dice.between(200, 1500));
        let count = match self.dice.between(0, 100) {
            0..50 => 1,
            50..85 => 2,
            _ => 3,
        };
        let mut faults: Vec<Fault> = Vec::new();
        for _ in 0..count {
            let thrown = (0..THROWS).find_map(|_| {
                let fault = self.fault();
                fits(&fault, &faults).then_some(fault)
            });
            faults.extend(thrown);
        }
        faults.sort_by_key(|fault| fault.begins);
        Batch { pause, faults }
    }

    fn fault(&mut self) -> Fault {
        let kind = self.kind();
        let hosts = self.hosts(kind);
        let amount = self.amount(kind);
        let group = self.dice.index(self.groups);
        let begins = Duration::from_millis(self.dice.between(0, 1500));
        let lasts = self.lasts(kind);
        Fault {
            kind,
            hosts,
            group,
            amount,
            begins,
            lasts,
        }
    }

    fn kind(&mut self) -> Kind {
        let all: u64 = self.kinds.iter().map(|(_, weight)| weight).sum();
        let mut throw = self.dice.between(0, all);
        let chosen = self.kinds.iter().find(|(_, weight)| {
            let here = throw < *weight;
            throw = throw.saturating_sub(*weight);
            here
        });
        chosen.map_or(Kind::Kill, |(kind, _)| *kind)
    }

    /// One host, or as many as the kind needs, in any order.
    fn hosts(&mut self, kind: Kind) -> Vec<u8> {
        let mut hosts: Vec<u8> = (1..=self.nodes).collect();
        if kind.ends_a_life() {
            hosts.retain(|host| *host != self.spared);
        }
        for last in (1..hosts.len()).rev() {
            hosts.swap(last, self.dice.index(last + 1));
        }
        let count = match kind {
            Kind::Bridge => 2,
            Kind::Split => usize::try_from(self.dice.between(1, self.nodes.into())).unwrap_or(1),
            Kind::Loss if self.dice.chance(40) => hosts.len(),
            // Now and then a majority at once.
            Kind::Kill | Kind::Freeze | Kind::Cut | Kind::PowerOff if self.dice.chance(10) => 3,
            Kind::Kill | Kind::Freeze | Kind::Cut | Kind::PowerOff if self.dice.chance(15) => 2,
            _ => 1,
        };
        hosts.truncate(count);
        hosts.sort_unstable();
        hosts
    }

    fn amount(&mut self, kind: Kind) -> u16 {
        let (low, high) = match kind {
            Kind::Loss => (10, 201),
            Kind::Flap => (20, 250),
            Kind::Hogs => (2, 9),
            _ => (0, 1000),
        };
        u16::try_from(self.dice.between(low, high)).unwrap_or(0)
    }

    /// Most last about as long as a lease, where the races are; some for seconds.
    fn lasts(&mut self, kind: Kind) -> Duration {
        let long = self.dice.chance(35);
        let ms = match kind {
            Kind::Failover
            | Kind::Failback
            | Kind::FlushRules
            | Kind::DetachGate
            | Kind::DeleteAddress
            | Kind::GuardKill => 0,
            Kind::PowerOff | Kind::Wiped => self.dice.between(200, 5000),
            Kind::Hogs | Kind::Slew | Kind::Loss | Kind::Flap | Kind::Drain => {
                self.dice.between(1000, 5000)
            }
            _ if long => self.dice.between(1000, 5000),
            _ => self.dice.between(5, 900),
        };
        Duration::from_millis(ms)
    }
}

/// Whether a fault takes nothing that another of its batch needs for itself. The whole batch counts, whenever each lasts: what is
/// begun again just before the other strikes has not yet come to rest.
fn fits(fault: &Fault, others: &[Fault]) -> bool {
    let clashes = |other: &Fault| {
        let hosts = fault.hosts.iter().any(|host| other.hosts.contains(host));
        let part = |part: &Part| other.kind.parts().contains(part);
        (hosts && fault.kind.parts().iter().any(part))
            || (fault.kind == other.kind && fault.kind.is_alone())
    };
    !others.iter().any(clashes)
}

impl Batch {
    /// What it is counted under.
    #[must_use]
    pub fn label(&self) -> String {
        let mut kinds: Vec<Kind> = self.faults.iter().map(|fault| fault.kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        match &kinds[..] {
            [] => "nothing".to_owned(),
            [one] => one.to_string(),
            [one, other] => format!("{one} + {other}"),
            _ => "several".to_owned(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        let hosts: Vec<String> = self.hosts.iter().map(|host| format!("h{host}")).collect();
        match self.kind {
            Kind::Hogs => write!(f, " {}", self.amount)?,
            Kind::Slew => {}
            Kind::DeleteAddress | Kind::Failback | Kind::Stop | Kind::Maintenance => {
                write!(f, " (group {})", self.group + 1)?;
            }
            _ => write!(f, " {}", hosts.join(","))?,
        }
        if self.kind == Kind::Slew {
            write!(f, " {:+.1} per mille", Rate::of(self.amount).per_mille())?;
        }
        if self.kind == Kind::Loss {
            write!(f, " {:.1} %", f64::from(self.amount) / 10.0)?;
        }
        if !self.lasts.is_zero() {
            write!(f, " {:.2} s", self.lasts.as_secs_f64())?;
        }
        Ok(())
    }
}

impl fmt::Display for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults: Vec<String> = self.faults.iter().map(ToString::to_string).collect();
        f.write_str(&faults.join(" + "))
    }
}

fn low(number: u64) -> u8 {
    u8::try_from(number).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(seed: u64) -> Plan {
        Plan::new(seed, 5, 8, &Kind::ALL.map(|(kind, _)| kind))
    }

    fn batches(seed: u64) -> Vec<Batch> {
        let mut plan = plan(seed);
        (0..200).map(|_| plan.next_batch()).collect()
    }

    #[test]
    fn a_seed_decides_everything() {
        assert_eq!(batches(7), batches(7));
        assert_ne!(batches(7), batches(8));
    }

    #[test]
    fn every_kind_comes_and_faults_keep_out_of_each_others_way() {
        let all: Vec<Fault> = batches(1)
            .into_iter()
            .flat_map(|batch| batch.faults)
            .collect();
        for (kind, _) in Kind::ALL {
            assert!(all.iter().any(|fault| fault.kind == kind), "{kind}");
        }
        for batch in batches(2) {
            for (place, fault) in batch.faults.iter().enumerate() {
                assert!(fits(fault, &batch.faults[..place]), "{batch}");
            }
        }
    }

    #[test]
    fn one_host_lives_through_all_of_it() {
        let plan = plan(3);
        let ends = |fault: &Fault| fault.kind.ends_a_life() && fault.hosts.contains(&plan.spared());
        assert!(!batches(3).iter().flat_map(|batch| &batch.faults).any(ends));
    }
}
