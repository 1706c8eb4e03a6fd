//! What a person is told.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::time::Instant;

use clap::ValueEnum;
use had_sim::check::Violation;
use had_sim::faults::Dark;
use had_sim::history::Line;
use had_sim::run::{Options, Outcome};
use had_sim::story::Story;

use crate::crew::Finished;
use crate::progress::Tally;

/// Lines of history that lead up to a broken promise; `--history` prints them all.
const LEAD_UP: usize = 120;

pub(crate) struct Report {
    options: Options,
    history: bool,
    repeat: u32,
    began: Instant,
    /// What was counted, also before this process; without the time since it began.
    tally: Tally,
}

impl Report {
    pub(crate) fn new(options: Options, history: bool, repeat: u32, tally: Tally) -> Self {
        Self {
            options,
            history,
            repeat,
            began: Instant::now(),
            tally,
        }
    }

    /// What was counted so far.
    pub(crate) fn tally(&self) -> Tally {
        let mut tally = self.tally.clone();
        tally.took += self.began.elapsed();
        tally
    }

    fn count(&mut self, outcome: &Outcome) {
        let tally = &mut self.tally;
        tally.seeds += 1;
        tally.faults += u64::from(outcome.faults);
        // What was broken early has had less time for faults.
        let faults = outcome.broken.is_none().then_some(outcome.faults);
        tally.fewest = tally.fewest.into_iter().chain(faults).min();
        tally.leaders += outcome.leaders as u64;
        tally.moves += outcome.moves;
        if let Some(Dark { kinds, longest }) = outcome.dark {
            let pair = format!("{} | {}", kinds.0, kinds.1);
            let longest = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
            tally.dark.entry(pair).or_default().push(longest);
        }
        tally.closest = tally.closest.into_iter().chain(outcome.closest).min();
    }

    /// Takes one seed in; a find ends a search for a planted mistake.
    pub(crate) fn take(&mut self, finished: Finished) -> ControlFlow<()> {
        let Finished { outcome, hashes } = finished;
        self.count(&outcome);
        if self.history {
            outcome.history.iter().for_each(|line| println!("{line}"));
        }
        let same = hashes.iter().all(|hash| *hash == outcome.hash);
        if !same {
            println!("seed {}: NOT THE SAME TWICE: {hashes:016x?}", outcome.seed);
            println!("again: {}", self.command(outcome.seed));
        }
        let broken = outcome.broken.as_ref().filter(|broken| self.counts(broken));
        if let Some(broken) = broken {
            if !self.history {
                lead_up(&outcome.history);
            }
            println!("{outcome}");
            println!("seed {} breaks {broken}", outcome.seed);
            println!("again: {}", self.command(outcome.seed));
        } else if self.history || hashes.len() > 1 {
            println!("{outcome}");
        }
        if !same || broken.is_some() {
            self.tally.failed.push(outcome.seed);
            if self.options.planted.is_some() {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    /// A planted mistake is found where a check sees it that it was planted for.
    fn counts(&self, broken: &Violation) -> bool {
        let planted = self.options.planted;
        planted.is_none_or(|planted| planted.proves().contains(&broken.check))
    }

    fn command(&self, seed: u64) -> String {
        let mut command = format!("cargo sim --seeds {seed}..{} --history", seed + 1);
        if let Some(planted) = self.planted() {
            command += &format!(" --plant {planted}");
        }
        if let Some(nodes) = self.options.nodes {
            command += &format!(" --nodes {nodes}");
        }
        if self.options.story != Story::default() {
            command += &format!(" --story {}", self.options.story.name());
        }
        if self.repeat > 1 {
            command += &format!(" --repeat {}", self.repeat);
        }
        command + &format!(" --heartbeats {}", self.options.heartbeats)
    }

    fn planted(&self) -> Option<String> {
        let value = self.options.planted?.to_possible_value()?;
        Some(value.get_name().to_owned())
    }

    /// The last word.
    pub(crate) fn verdict(self) -> ExitCode {
        let Tally {
            seeds,
            faults,
            fewest,
            leaders,
            moves,
            closest,
            failed,
            took,
            dark,
        } = self.tally();
        let fewest = fewest.map_or_else(String::new, |fewest| format!(" (at least {fewest} each)"));
        println!(
            "{seeds} seeds of {} heartbeats: {faults} faults{fewest}, {leaders} leaders, {moves} moves; {:.1} s",
            self.options.heartbeats,
            took.as_secs_f64()
        );
        if let Some(closest) = closest {
            println!("an open gate had never less than {closest:?} left when it was renewed");
        }
        tell_dark(dark);
        let found = !failed.is_empty();
        match self.planted() {
            Some(planted) if found => {
                println!("the planted mistake {planted} is found, after {seeds} seeds")
            }
            Some(planted) => println!("the planted mistake {planted} is NOT found"),
            None if found => println!("{} seeds break a promise: {failed:?}", failed.len()),
            None => println!("every promise is kept"),
        }
        if found == self.options.planted.is_some() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

fn lead_up(history: &[Line]) {
    let skipped = history.len().saturating_sub(LEAD_UP);
    if skipped > 0 {
        println!("… {skipped} earlier lines");
    }
    history[skipped..]
        .iter()
        .for_each(|line| println!("{line}"));
}

/// How long groups were dark under each pair of faults: a table that a document can hold.
fn tell_dark(pairs: BTreeMap<String, Vec<u64>>) {
    if pairs.is_empty() {
        return;
    }
    println!("| one fault | and another | runs | dark, ms: median | longest |");
    println!("| --- | --- | --- | --- | --- |");
    for (pair, mut times) in pairs {
        times.sort_unstable();
        let (runs, longest) = (times.len(), times.last().copied().unwrap_or(0));
        let median = times.get(runs / 2).copied().unwrap_or(0);
        println!("| {pair} | {runs} | {median} | {longest} |");
    }
}
