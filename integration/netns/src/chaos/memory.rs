//! How much memory daemons and guards hold.
//!
//! A process is compared with itself: what it holds at the end (the middle of its last half minute) with what it held
//! when it was five minutes old. One that died younger is not judged; the plan spares one host, so that one daemon lives as long as
//! the run. What daemons hold at the age of half a minute is told for the first and the last third of the run, so that what a new life
//! finds on its disk is seen too.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::Result;
use had_rig::Cluster;
use had_rig::process::are_seen;

use super::strike::guards;

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(5);
/// The age with which the end is compared.
const GROWN: Duration = Duration::from_secs(300);
/// Younger ones are not judged.
const JUDGED: Duration = Duration::from_secs(360);
/// What is compared is the middle of so much time.
const SPAN: Duration = Duration::from_secs(30);
/// By so much in a hundred it may grow.
const GROWTH: u64 = 5;

/// Samples of every process that lived.
#[derive(Debug)]
pub struct Memory {
    begun: Instant,
    last: Option<Instant>,
    lives: BTreeMap<(String, u32), Life>,
}

#[derive(Debug)]
struct Life {
    born: Instant,
    samples: Vec<(Duration, u64)>,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            begun: Instant::now(),
            last: None,
            lives: BTreeMap::new(),
        }
    }
}

impl Memory {
    /// Looks, where it is time.
    ///
    /// # Errors
    /// Where processes cannot be listed.
    pub fn look(&mut self, cluster: &mut Cluster) -> Result<()> {
        if self.last.is_some_and(|last| last.elapsed() < EVERY) || !are_seen() {
            return Ok(());
        }
        self.last = Some(Instant::now());
        for node in cluster.names() {
            let daemon = cluster.daemon(&node)?.id();
            self.sample(format!("had on {node}"), daemon);
            for guard in guards(cluster, &node)? {
                self.sample(format!("guard on {node}"), guard.as_raw().unsigned_abs());
            }
        }
        Ok(())
    }

    fn sample(&mut self, name: String, pid: u32) {
        let Some(kib) = resident_kib(pid) else {
            return;
        };
        let life = self.lives.entry((name, pid)).or_insert_with(|| Life {
            born: Instant::now(),
            samples: Vec::new(),
        });
        life.samples.push((life.born.elapsed(), kib));
    }

    /// What is to be told, and what is wrong.
    #[must_use]
    pub fn report(&self) -> (Vec<String>, Vec<String>) {
        let (mut told, mut wrong) = (Vec::new(), Vec::new());
        for ((name, pid), life) in &self.lives {
            let Some((grown, end)) = life.growth() else {
                continue;
            };
            let line = format!("{name} ({pid}): {grown} KiB at five minutes, {end} KiB at the end");
            if end * 100 > grown * (100 + GROWTH) {
                wrong.push(format!("memory: {line}: more than {GROWTH} % more"));
            }
            told.push(line);
        }
        let whole = self.begun.elapsed();
        if told.is_empty() && whole > JUDGED {
            wrong.push("memory: nobody lived long enough to be judged".to_owned());
        }
        let third = whole / 3;
        let early = self.young(|born| born - self.begun < third);
        let late = self.young(|born| born - self.begun > third * 2);
        told.push(format!(
            "young lives (half a minute old): {early} in the first third of the run, {late} in the last"
        ));
        (told, wrong)
    }

    /// What daemons held at the age of [`SPAN`], those that were born then.
    fn young(&self, born: impl Fn(Instant) -> bool) -> String {
        let lives = self
            .lives
            .iter()
            .filter(|((name, _), life)| name.starts_with("had") && born(life.born));
        let at = |life: &Life| {
            life.samples
                .iter()
                .find(|(age, _)| *age >= SPAN)
                .map(|(_, kib)| *kib)
        };
        let mut found: Vec<u64> = lives.filter_map(|(_, life)| at(life)).collect();
        let count = found.len();
        match middle(&mut found) {
            Some(kib) => format!("{kib} KiB ({count})"),
            None => "none".to_owned(),
        }
    }
}

impl Life {
    /// What it held when it was grown, and in the end.
    fn growth(&self) -> Option<(u64, u64)> {
        let (end, _) = self.samples.last()?;
        if *end < JUDGED {
            return None;
        }
        let within = |from: Duration| {
            let samples = self.samples.iter();
            let span = samples.filter(|(age, _)| (from..=from + SPAN).contains(age));
            middle(&mut span.map(|(_, kib)| *kib).collect::<Vec<_>>())
        };
        Some((within(GROWN)?, within(*end - SPAN)?))
    }
}

/// Sorts, and returns the middle.
fn middle(values: &mut [u64]) -> Option<u64> {
    values.sort_unstable();
    values.get(values.len().saturating_sub(1) / 2).copied()
}

/// The resident memory of a process; nothing where it has ended.
fn resident_kib(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life(kib: impl Fn(u64) -> u64) -> Memory {
        let samples = (0..=120).map(|count| (EVERY * count, kib(u64::from(count))));
        let life = Life {
            born: Instant::now(),
            samples: samples.collect(),
        };
        Memory {
            lives: BTreeMap::from([(("had on h1".to_owned(), 7), life)]),
            ..Memory::default()
        }
    }

    #[test]
    fn a_life_is_compared_with_itself_at_five_minutes() {
        assert!(life(|count| 10_000 + count).report().1.is_empty());
        assert_eq!(life(|count| 10_000 + 20 * count).report().1.len(), 1);
    }
}
