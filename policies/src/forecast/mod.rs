//! What a loss would mean, told before it happens.
//!
//! `sides` finds who is left on the side of the majority, `fates` lets the planner decide there, `words` tells it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::degraded::Degraded;
use crate::names::{GroupName, NodeName};
use crate::operator::Refused;
use crate::view::View;

mod fates;
mod sides;
mod words;

/// Who votes, and who leads.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Seats {
    /// Members and witnesses.
    pub voters: Vec<NodeName>,
    /// Who leads now; `None` where that is not known, as for a file.
    pub leader: Option<NodeName>,
}

/// What is supposed to happen.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scenario {
    /// These nodes are lost at once.
    Lose(Vec<NodeName>),
    /// The network falls into these parts.
    Split(Vec<Vec<NodeName>>),
}

/// What would become of the cluster.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Forecast {
    /// The voters of the part that keeps the majority; empty where none does.
    pub goes_on: Vec<NodeName>,
    /// One sentence: "h1 lost: web moves to h2".
    pub summary: String,
    /// One for each group, in the order of the view.
    pub groups: Vec<Fate>,
    /// The nodes that would carry a mutual-takeover group of another home.
    pub degraded: Vec<Degraded>,
    /// What else an operator should know, a sentence each.
    pub notes: Vec<String>,
}

/// What would become of a group.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Fate {
    /// The group.
    pub group: GroupName,
    /// Who owns it now.
    pub before: Option<NodeName>,
    /// Who would own it.
    pub after: Option<NodeName>,
    /// How it would be there.
    pub state: FateState,
    /// What its clients would see.
    pub outage: Outage,
    /// The planner's reason.
    pub why: String,
}

/// How a group would be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FateState {
    /// It runs.
    Runs,
    /// It gives way to another group, and has no other place.
    Displaced,
    /// It has no owner: no node can take it, or an operator stopped it.
    Stopped,
    /// It is in maintenance: nobody takes it over from a lost owner.
    Maintenance,
    /// No part of the cluster has a majority: it stops at the lease's end.
    NoQuorum,
    /// Its owner goes on without a majority (`on_quorum_loss = "keep"`), and nobody else has it.
    Keeps,
}

/// How long clients would be without a group.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outage {
    /// They notice nothing.
    None,
    /// For a while.
    UpTo {
        /// To be expected.
        #[serde(rename = "typical_ms", with = "millis")]
        typical: Duration,
        /// At most, on a quiet network.
        #[serde(rename = "most_ms", with = "millis")]
        most: Duration,
    },
    /// Until something is repaired; of a group that is kept: for those who cannot reach it.
    Lasting,
}

/// Durations as whole milliseconds.
mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_millis)
    }
}

/// Tells what a loss or a split would mean, by the planner's own decisions.
///
/// # Errors
/// Where the scenario names nobody, an unknown node, or puts a node into two parts or none.
pub fn forecast(view: &View, seats: &Seats, scenario: &Scenario) -> Result<Forecast, Refused> {
    let sides = sides::of(view, seats, scenario)?;
    let outcome = if sides.goes_on.is_empty() {
        fates::without_majority(view, &sides)
    } else {
        fates::with_majority(view, seats, &sides)
    };
    Ok(Forecast {
        summary: words::summary(view, scenario, &sides, &outcome.groups),
        notes: words::notes(view, seats, &sides, &outcome.groups),
        goes_on: sides.goes_on,
        groups: outcome.groups,
        degraded: outcome.degraded,
    })
}
