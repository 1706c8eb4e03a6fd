//! A whole search, and what it found.

use std::time::{Duration, Instant};

use stateright::{Checker, Expectation, HasDiscoveries, Model};

use crate::action::Action;
use crate::model::SINGLE_OWNER;
use crate::plant::Plant;
use crate::rules::Protocol;
use crate::scope::Scope;

/// What a search found.
#[derive(Debug)]
pub struct Found {
    /// States that were reached, each as often as it was.
    pub states: usize,
    /// Different ones.
    pub unique: usize,
    /// How many steps away from the beginning it went; with several threads not the same each time.
    pub depth: usize,
    /// How long it took.
    pub took: Duration,
    /// Whether nothing is left that was not looked at.
    pub whole: bool,
    /// How the promise is broken: one of the shortest ways.
    pub broken: Option<Vec<Action>>,
    /// What was never possible although it should be.
    pub missing: Vec<&'static str>,
    /// What was.
    pub possible: Vec<&'static str>,
}

/// Searches a scope whole, with the rules as they are.
#[must_use]
pub fn whole(scope: Scope, threads: usize) -> Found {
    search(Protocol::new(scope, None), threads)
}

/// Searches for what a mistake breaks. One thread goes by the number of steps, so that what it finds is short.
#[must_use]
pub fn planted(plant: Plant) -> Found {
    search(Protocol::new(plant.scope(), Some(plant)), 1)
}

fn search(protocol: Protocol, threads: usize) -> Found {
    let began = Instant::now();
    // No bound on depth, states or time: it ends when everything was looked at, or the promise is broken.
    let checker = protocol
        .checker()
        .threads(threads)
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    let broken = checker.discovery(SINGLE_OWNER);
    let asked = protocol.properties();
    let asked = asked
        .iter()
        .filter(|property| matches!(property.expectation, Expectation::Sometimes));
    let discoveries = checker.discoveries();
    let (possible, missing) = asked
        .map(|property| property.name)
        .partition(|name| discoveries.contains_key(name));
    Found {
        states: checker.state_count(),
        unique: checker.unique_state_count(),
        depth: checker.max_depth(),
        took: began.elapsed(),
        whole: checker.is_done() && broken.is_none(),
        broken: broken.map(stateright::Path::into_actions),
        missing,
        possible,
    }
}
