//! What is wrong with what was seen, and the report.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use had_rig::Cluster;
use had_rig::wall::{WallNs, ns};

use super::heal::{self, Due};
use super::kind::Kind;
use super::observe::{Findings, Observer};
use super::plan::Batch;
use super::silence::Silence;
use super::tally::{Tally, ms};
use super::trace::Chronicle;

/// Shorter silences after the faults are not the cluster's inability to serve: a planned move, a lost datagram.
const SERVED: WallNs = 100_000_000;
/// How a line begins that tells of two owners.
const OVERLAP: &str = "OVERLAP";
/// So many violations are told with all that happened around them.
const TOLD: usize = 3;

/// What came together.
pub struct Verdict {
    /// What was done when.
    pub chronicle: Chronicle,
    /// When it began.
    pub begun: Instant,
    /// How many faults of each kind there were.
    pub faults: BTreeMap<Kind, usize>,
    /// How many sightings were judged.
    pub sightings: usize,
    tally: Tally,
    slowest: (WallNs, String),
    violations: Vec<String>,
}

impl Default for Verdict {
    fn default() -> Self {
        Self {
            chronicle: Chronicle::default(),
            begun: Instant::now(),
            faults: BTreeMap::new(),
            sightings: 0,
            tally: Tally::default(),
            slowest: (0, "nothing".to_owned()),
            violations: Vec::new(),
        }
    }
}

/// A batch that has been played and has healed.
pub struct Played<'a> {
    /// The faults.
    pub batch: &'a Batch,
    /// When the first could begin.
    pub begun: WallNs,
    /// From when on it had to heal.
    pub due: &'a Due,
    /// How late this machine was meanwhile.
    pub noise: Duration,
}

impl Played<'_> {
    /// How long an address may be silent at most while it lasts, where that is promised: one fault that strikes one host.
    fn bound(&self) -> Option<WallNs> {
        let [fault] = self.batch.faults.as_slice() else {
            return None;
        };
        let within = fault.kind.taken_over_within_ms()?;
        let alone = fault.hosts.len() == 1;
        alone.then(|| within * 1_000_000 + ns(self.noise))
    }
}

impl Verdict {
    /// Counts the silences of a batch under its name, and finds what is wrong. How long the slowest group took to heal, and which
    /// it was.
    pub fn judge(
        &mut self,
        played: &Played<'_>,
        findings: &Findings,
        observer: &Observer,
        cluster: &Cluster,
    ) -> (WallNs, String) {
        self.sightings += findings.sightings;
        let (batch, label) = (played.batch, played.batch.label());
        let mut slowest = (0, String::new());
        for (number, silence) in &findings.silences {
            let place = &observer.places[*number];
            let group = &place.group;
            let known = observer.ledger.of(group);
            let under = if known.is_excused(silence.from, silence.to) {
                "(stopped or displaced)"
            } else if silence.to < played.begun {
                "(between faults)"
            } else {
                &label
            };
            self.tally.silence(under, silence.length());
            let excused = known.is_excused(silence.from, silence.to);
            if let Some(bound) = played.bound()
                && !excused
                && silence.to >= played.begun
                && silence.length() > bound
            {
                let (address, long) = (place.address, ms(silence.length()));
                let text = format!("{address} of {group} was silent for {long} ms under {batch}");
                self.violate(text, cluster, (silence.from, silence.to));
            }
            let healed = healed(known.due(played.due.of(group), silence.to), silence);
            if healed > ns(heal::PROMISED) {
                let (address, late) = (place.address, ms(healed));
                let text = format!(
                    "{address} of {group} was silent until {late} ms after {batch} had ended"
                );
                self.violate(text, cluster, (silence.from, silence.to));
            }
            if healed > slowest.0 {
                slowest = (healed, group.clone());
            }
        }
        self.tally.batch(&label, slowest.0);
        if slowest.0 > self.slowest.0 {
            self.slowest = (slowest.0, format!("{} after {batch}", slowest.1));
        }
        self.overlaps(findings, observer, cluster);
        slowest
    }

    /// The first of each address is told.
    fn overlaps(&mut self, findings: &Findings, observer: &Observer, cluster: &Cluster) {
        let mut last = None;
        for (number, overlap) in &findings.overlaps {
            if last.replace(*number) == Some(*number) {
                continue;
            }
            let place = &observer.places[*number];
            let all = findings.overlaps.iter();
            let count = all.filter(|(other, _)| other == number).count();
            let (address, group) = (place.address, &place.group);
            let text = format!("{OVERLAP}: {address} of {group}: {overlap} ({count} times)");
            self.violate(text, cluster, (overlap.old.from, overlap.old.to));
        }
        let turns = findings.turns.iter();
        turns.for_each(|turns| println!("    around it: {turns}"));
    }

    /// Notes what is wrong; the first are told with all that happened around them.
    pub fn violate(&mut self, text: String, cluster: &Cluster, (from, to): (WallNs, WallNs)) {
        println!("VIOLATION: {text}");
        if self.violations.len() < TOLD {
            let lines = self.chronicle.around(cluster, from, to);
            lines.iter().for_each(|line| println!("    {line}"));
        }
        self.violations.push(text);
    }

    /// Notes what is wrong by itself.
    pub fn note(&mut self, wrong: String) {
        self.violations.push(wrong);
    }

    /// Prints the report. Whether every promise was kept.
    #[must_use]
    pub fn report(mut self, batches: usize) -> bool {
        println!("\n{}", self.tally.table());
        let faults: usize = self.faults.values().sum();
        let kinds = self.faults.iter();
        let kinds: Vec<String> = kinds
            .map(|(kind, count)| format!("{kind} {count}"))
            .collect();
        let (seconds, kinds) = (self.begun.elapsed().as_secs_f64(), kinds.join(", "));
        println!("{faults} faults in {batches} batches, {seconds:.0} s: {kinds}");
        let overlaps = self.violations.iter();
        let overlaps = overlaps.filter(|text| text.starts_with(OVERLAP)).count();
        println!(
            "overlaps of owners: {overlaps} (of {} sightings)",
            self.sightings
        );
        println!(
            "slowest to heal: {} ms, {}",
            ms(self.slowest.0),
            self.slowest.1
        );
        if self.violations.is_empty() {
            println!("every promise was kept");
            return true;
        }
        println!("\n{} violations:", self.violations.len());
        self.violations.iter().for_each(|text| println!("  {text}"));
        false
    }
}

/// How long after it was due a group served again, by one silence.
fn healed(due: Option<WallNs>, silence: &Silence) -> WallNs {
    let late = due.map_or(0, |due| silence.to.saturating_sub(due));
    if silence.length() < SERVED { 0 } else { late }
}
