//! One seed, from the first boot to the verdict.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use had_consensus::Settings;
use had_core::state::Configuration;
use had_core::time::nanos;

use crate::check::Violation;
use crate::cluster::Cluster;
use crate::faults::{Dark, Fate};
use crate::history::Line;
use crate::plant::Planted;
use crate::runtime::{Dice, Kernel, WORLD};
use crate::spec::configuration;
use crate::story::{Story, latest_end, switch_on};

/// What a run needs to know besides its seed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// So many nodes; by the seed where none is given.
    pub nodes: Option<usize>,
    /// Its length: so many heartbeats of 100 ms.
    pub heartbeats: u64,
    /// What befalls the cluster.
    pub story: Story,
    /// The planted mistake, if any.
    pub planted: Option<Planted>,
}

/// What came of one seed.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// The promise that was broken, if one was.
    pub broken: Option<Violation>,
    /// Equal for equal histories.
    pub hash: u64,
    /// What happened.
    pub history: Vec<Line>,
    /// How many faults there were.
    pub faults: u32,
    /// How many leaders there were.
    pub leaders: usize,
    /// How often a group changed its owner.
    pub moves: u64,
    /// What an open gate had left when it was renewed, where that was least and is watched.
    pub closest: Option<Duration>,
    /// What a pair of faults brought, where that is the story.
    pub dark: Option<Dark>,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seed,
            hash,
            faults,
            leaders,
            moves,
            ..
        } = self;
        write!(
            f,
            "seed {seed}: {faults} faults, {leaders} leaders, {moves} moves, history {hash:016x}"
        )
    }
}

/// Longest time that a test takes with a quiet cluster.
const LONGEST_QUIET: Duration = Duration::from_mins(1);

/// So few that a run takes and restores several snapshots: a node that was away for as many decisions is sent one.
const ENTRIES_A_SNAPSHOT: u64 = 10;

/// Seeds with five nodes: a tenth, since each costs as much as two and a half with three.
const FIVE_NODES_PER_MILLE: u64 = 100;

/// Runs one seed.
#[must_use]
pub fn run(seed: u64, options: Options) -> Outcome {
    let mut dice = Dice::new(seed, 3);
    let nodes = options.nodes.unwrap_or_else(|| {
        if dice.chance(FIVE_NODES_PER_MILLE) {
            5
        } else {
            3
        }
    });
    let config = configuration(nodes, options.story, &mut dice);
    let settings = settings(&config, options.planted);
    let end = latest_end(options.heartbeats);
    let told = |cluster: Rc<Cluster>| {
        let fate = Fate::new(cluster, Dice::new(seed, 4));
        options.story.told(fate, seed, options.heartbeats)
    };
    play(seed, config, settings, options.planted, end, told)
}

fn settings(config: &Configuration, planted: Option<Planted>) -> Settings {
    Settings {
        timing: config.spec.timing,
        cluster_name: config.spec.name.clone(),
        entries_a_snapshot: ENTRIES_A_SNAPSHOT,
        plants: Planted::in_consensus(planted),
    }
}

/// A quiet cluster of this file, and what a test does with it, from the first boot until it has done.
#[must_use]
pub fn quiet<F>(
    seed: u64,
    config: Configuration,
    planted: Option<Planted>,
    told: impl FnOnce(Rc<Cluster>) -> F,
) -> Outcome
where
    F: Future<Output = ()> + 'static,
{
    let settings = settings(&config, planted);
    let told = |cluster: Rc<Cluster>| {
        let done = told(Rc::clone(&cluster));
        async move {
            switch_on(&cluster, &mut Dice::new(seed, 5));
            done.await;
            cluster.end();
        }
    };
    play(seed, config, settings, planted, nanos(LONGEST_QUIET), told)
}

fn play<F>(
    seed: u64,
    config: Configuration,
    settings: Settings,
    planted: Option<Planted>,
    end: u64,
    told: impl FnOnce(Rc<Cluster>) -> F,
) -> Outcome
where
    F: Future<Output = ()> + 'static,
{
    let kernel = Kernel::new(seed);
    let cluster = Cluster::new(Rc::clone(&kernel), seed, config, settings, planted);
    let entered = cluster.enter();
    kernel.within(|| cluster.watch_addresses(seed));
    drop(kernel.spawn(WORLD, told(Rc::clone(&cluster))));
    let judge = Rc::clone(&cluster);
    // A panic ends a daemon; here it is a broken promise, told with what led to it.
    let ran = catch_unwind(AssertUnwindSafe(|| {
        kernel.run_until(end, move || judge.has_ended());
    }));
    match ran {
        Ok(()) => {
            cluster.expect(ended(&cluster));
            kernel.tear_down();
        }
        Err(panic) => cluster.expect(Err(Violation {
            check: "panics",
            text: said(&*panic),
        })),
    }
    drop(entered);
    cluster.outcome(seed)
}

/// Whatever was to happen has: else nothing of what a story looks at in the end was looked at.
fn ended(cluster: &Cluster) -> Result<(), Violation> {
    if cluster.has_ended() {
        return Ok(());
    }
    Err(Violation {
        check: "ends",
        text: "the run does not come to its end".to_owned(),
    })
}

fn said(panic: &(dyn Any + Send)) -> String {
    let owned = panic.downcast_ref::<String>().cloned();
    let text = owned.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    text.unwrap_or_else(|| "something panicked".to_owned())
}

impl Cluster {
    fn outcome(&self, seed: u64) -> Outcome {
        let checks = self.checks.borrow();
        let moves = checks.decided_moves.newest().map_or(0, |(_, state)| {
            state.groups.values().map(|group| group.epoch.0).sum()
        });
        Outcome {
            seed,
            broken: self.broken(),
            hash: self.history.hash(),
            history: self.history.lines(),
            faults: self.faults(),
            leaders: checks.quorum_clock.count(),
            moves,
            closest: checks.no_lapse.closest(),
            dark: self.dark(),
        }
    }
}
