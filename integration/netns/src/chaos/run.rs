//! A run: batch after batch.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use had_rig::enter::is_real_root;
use had_rig::wall::{ns, wall_ns};
use had_rig::{Cluster, Pulse};

use super::heal::{Due, heal};
use super::kind::Kind;
use super::memory::Memory;
use super::observe::{Findings, Observer};
use super::plan::{Batch, Fault, Plan};
use super::scene::Scene;
use super::strike::Striker;
use super::tally::ms;
use super::verdict::{Played, Verdict};

/// How often daemons are looked after while faults last.
const TICK: Duration = Duration::from_millis(5);

/// What to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// The cluster.
    pub scene: Scene,
    /// For how long.
    pub length: Duration,
    /// Decides the faults.
    pub seed: u64,
    /// The kinds of faults.
    pub kinds: Vec<Kind>,
    /// Tell what happened around the longest silence of a batch where it is longer than this.
    pub explain: Option<Duration>,
}

/// A step of a batch.
enum Step<'a> {
    Begin(&'a Fault),
    End(&'a Fault),
    Flap(&'a Fault, bool),
}

/// Everything of a run.
struct Run {
    striker: Striker,
    observer: Observer,
    memory: Memory,
    verdict: Verdict,
    explain: Option<Duration>,
}

/// Plays it inside a lab process. Says whether every promise was kept.
///
/// # Errors
/// Where the cluster does not come to stand at first, or the lab fails.
pub fn run(options: &Options) -> Result<bool> {
    let kinds = permitted(&options.kinds)?;
    let scene = options.scene;
    let mut plan = Plan::new(options.seed, scene.nodes, scene.names().len(), &kinds);
    let mut cluster = Cluster::settled(scene.spec())?;
    let observer = Observer::new(&mut cluster, scene.places())?;
    println!(
        "{} nodes, {} groups, {} addresses; seed {}; h{} is neither killed nor without power",
        scene.nodes,
        scene.names().len(),
        observer.places.len(),
        options.seed,
        plan.spared()
    );
    let mut run = Run {
        striker: Striker::new(cluster, scene),
        observer,
        memory: Memory::default(),
        verdict: Verdict::default(),
        explain: options.explain,
    };
    let mut number = 0;
    while run.verdict.begun.elapsed() < options.length {
        number += 1;
        if !run.batch(number, &plan.next_batch())? {
            break;
        }
    }
    run.end(number)
}

/// What this user can do of it; says what is left out.
fn permitted(kinds: &[Kind]) -> Result<Vec<Kind>> {
    let root = is_real_root()?;
    let (may, may_not): (Vec<Kind>, Vec<Kind>) =
        kinds.iter().partition(|kind| root || !kind.needs_root());
    for kind in may_not {
        println!("left out: {kind}, which only root can do");
    }
    Ok(may)
}

impl Run {
    /// Plays a batch and judges it. Whether the cluster has healed, so that it can go on.
    fn batch(&mut self, number: usize, batch: &Batch) -> Result<bool> {
        self.rest(batch.pause)?;
        let (begun, pulse, started) = (wall_ns(), Pulse::start()?, Instant::now());
        self.play(batch)
            .with_context(|| format!("batch {number}: {batch}"))?;
        self.verdict
            .chronicle
            .note(format!("batch {number} has ended: {batch}"));
        let memory = &mut self.memory;
        let due = &heal(&mut self.striker, &self.observer, |striker| {
            striker.supervise()?;
            memory.look(&mut striker.cluster)
        })?;
        let noise = pulse.worst_after(started);
        let findings = self.look(due)?;
        let played = Played {
            batch,
            begun,
            due,
            noise,
        };
        let (observer, cluster) = (&self.observer, &self.striker.cluster);
        let (healed, group) = self.verdict.judge(&played, &findings, observer, cluster);
        println!(
            "{:7.1} s  {number:>3}  {batch}: healed after {} ms{}, machine late by {:.1} ms{}",
            self.verdict.begun.elapsed().as_secs_f64(),
            ms(healed),
            if group.is_empty() {
                group
            } else {
                format!(" ({group})")
            },
            noise.as_secs_f64() * 1e3,
            self.longest(&findings)
        );
        self.tell_ended();
        if let Some(why) = &due.failed {
            let text = format!("batch {number} ({batch}) does not heal: {why}");
            let cluster = &self.striker.cluster;
            self.verdict.violate(text, cluster, (due.end, due.end));
        }
        Ok(due.failed.is_none())
    }

    /// The longest silence that nobody decided, in words.
    fn longest(&self, findings: &Findings) -> String {
        let undecided = findings.silences.iter().filter(|(number, silence)| {
            let known = self
                .observer
                .ledger
                .of(&self.observer.places[*number].group);
            !known.is_excused(silence.from, silence.to)
        });
        let Some((number, silence)) = undecided.max_by_key(|(_, silence)| silence.length()) else {
            return String::new();
        };
        let place = &self.observer.places[*number];
        let mut text = format!(
            "; longest silence {} ms ({} of {})",
            ms(silence.length()),
            place.address,
            place.group
        );
        if self
            .explain
            .is_some_and(|least| silence.length() > ns(least))
        {
            let chronicle = &self.verdict.chronicle;
            let lines = chronicle.around(&self.striker.cluster, silence.from, silence.to);
            lines
                .iter()
                .for_each(|line| text += &format!("\n    {line}"));
        }
        text
    }

    /// Daemons that ended by themselves.
    fn tell_ended(&mut self) {
        for ended in std::mem::take(&mut self.striker.ended) {
            println!("           ended by itself: {ended}");
            if ended.contains("panicked") || ended.contains("signal") {
                self.verdict.note(format!("a daemon died: {ended}"));
            }
        }
    }

    /// What was seen, judged by what some node knows of the history.
    fn look(&mut self, due: &Due) -> Result<Findings> {
        let asked = self.striker.somebody()?;
        match self.observer.look(&mut self.striker.cluster, &asked) {
            // Nobody knows the history: the cluster has not healed, and that is told.
            Err(_) if due.failed.is_some() => Ok(Findings::default()),
            findings => findings,
        }
    }

    fn rest(&mut self, pause: Duration) -> Result<()> {
        let start = Instant::now();
        while start.elapsed() < pause {
            self.striker.supervise()?;
            self.memory.look(&mut self.striker.cluster)?;
            std::thread::sleep(TICK);
        }
        Ok(())
    }

    /// Begins and ends every fault at its time.
    fn play(&mut self, batch: &Batch) -> Result<()> {
        let mut steps: Vec<(Duration, Step<'_>)> = Vec::new();
        for fault in &batch.faults {
            let end = fault.begins + fault.lasts;
            steps.push((fault.begins, Step::Begin(fault)));
            if fault.kind == Kind::Flap {
                let period = Duration::from_millis(fault.amount.into());
                let turns = (1_u32..).map(|turn| (fault.begins + period * turn, turn % 2 == 0));
                let turns = turns.take_while(|(at, _)| *at < end);
                steps.extend(turns.map(|(at, cut)| (at, Step::Flap(fault, cut))));
            }
            steps.push((end, Step::End(fault)));
        }
        steps.sort_by_key(|(at, _)| *at);
        let start = Instant::now();
        for (at, step) in steps {
            while start.elapsed() < at {
                self.striker.supervise()?;
                let rest = at.saturating_sub(start.elapsed());
                std::thread::sleep(rest.min(TICK));
            }
            self.take(&step)?;
        }
        Ok(())
    }

    fn take(&mut self, step: &Step<'_>) -> Result<()> {
        match step {
            Step::Begin(fault) => {
                self.verdict.chronicle.note(format!("begins: {fault}"));
                let (observer, missed) = (&self.observer, self.striker.missed());
                self.striker
                    .begin(fault, |number| observer.answers(number))?;
                if self.striker.missed() == missed {
                    *self.verdict.faults.entry(fault.kind).or_default() += 1;
                }
                Ok(())
            }
            Step::End(fault) => {
                self.striker.end(fault)?;
                self.verdict.chronicle.note(format!("ends: {fault}"));
                Ok(())
            }
            Step::Flap(fault, cut) => self.striker.flap(fault, *cut),
        }
    }

    fn end(mut self, batches: usize) -> Result<bool> {
        let lost = self.observer.lost()?;
        if lost > 0 {
            let text = format!("the sniffer lost {lost} frames: it proves nothing");
            self.verdict.note(text);
        }
        let (memory, wrong) = self.memory.report();
        memory.iter().for_each(|line| println!("memory: {line}"));
        wrong.into_iter().for_each(|text| self.verdict.note(text));
        let missed = self.striker.missed.iter();
        missed.for_each(|(what, count)| println!("not done, {count} times: {what}"));
        Ok(self.verdict.report(batches))
    }
}
