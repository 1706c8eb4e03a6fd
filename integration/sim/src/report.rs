//! What a person is told.

use std::ops::ControlFlow;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use had_sim::check::Violation;
use had_sim::history::Line;
use had_sim::run::Options;
use had_sim::story::Story;

use crate::crew::Finished;

/// Lines of history that lead up to a broken promise; `--history` prints them all.
const LEAD_UP: usize = 120;

/// The checks of safety.
const SAFETY: [&str; 5] = [
    "single_owner",
    "decided_moves",
    "quorum_clock",
    "fifo",
    "relations",
];

pub(crate) struct Report {
    options: Options,
    history: bool,
    began: Instant,
    seeds: u64,
    faults: u64,
    leaders: u64,
    moves: u64,
    closest: Option<Duration>,
    failed: Vec<u64>,
}

impl Report {
    pub(crate) fn new(options: Options, history: bool) -> Self {
        let began = Instant::now();
        Self {
            options,
            history,
            began,
            seeds: 0,
            faults: 0,
            leaders: 0,
            moves: 0,
            closest: None,
            failed: vec![],
        }
    }

    /// Takes one seed in; a find ends a search for a planted mistake.
    pub(crate) fn take(&mut self, finished: Finished) -> ControlFlow<()> {
        let Finished { outcome, hashes } = finished;
        self.seeds += 1;
        self.faults += u64::from(outcome.faults);
        self.leaders += outcome.leaders as u64;
        self.moves += outcome.moves;
        self.closest = self.closest.into_iter().chain(outcome.closest).min();
        if self.history {
            outcome.history.iter().for_each(|line| println!("{line}"));
        }
        let same = hashes.iter().all(|hash| *hash == outcome.hash);
        if !same {
            println!("seed {}: NOT THE SAME TWICE: {hashes:016x?}", outcome.seed);
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
            self.failed.push(outcome.seed);
            if self.options.planted.is_some() {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    /// A planted mistake is found where safety is broken. That a group does not run, or the engine notices the mistake by
    /// itself, proves no check of safety.
    fn counts(&self, broken: &Violation) -> bool {
        self.options.planted.is_none() || SAFETY.contains(&broken.check)
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
            command += " --story leader-alone";
        }
        command + &format!(" --heartbeats {}", self.options.heartbeats)
    }

    fn planted(&self) -> Option<String> {
        let value = self.options.planted?.to_possible_value()?;
        Some(value.get_name().to_owned())
    }

    /// The last word.
    pub(crate) fn verdict(self) -> ExitCode {
        let Self {
            seeds,
            faults,
            leaders,
            moves,
            ..
        } = self;
        let seconds = self.began.elapsed().as_secs_f64();
        println!(
            "{seeds} seeds of {} heartbeats: {faults} faults, {leaders} leaders, {moves} moves; {seconds:.1} s",
            self.options.heartbeats
        );
        if let Some(closest) = self.closest {
            println!("an open gate had never less than {closest:?} left when it was renewed");
        }
        let found = !self.failed.is_empty();
        match self.planted() {
            Some(planted) if found => {
                println!("the planted mistake {planted} is found, after {seeds} seeds")
            }
            Some(planted) => println!("the planted mistake {planted} is NOT found"),
            None if found => println!(
                "{} seeds break a promise: {:?}",
                self.failed.len(),
                self.failed
            ),
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
