//! What `hactl explain` and `hactl events` say.

use std::time::SystemTime;

use anyhow::{Context, Result};
use had_rig::Cluster;
use serde::Deserialize;

/// Why a group runs where it runs (the keys that tests look at).
#[derive(Clone, Debug, Deserialize)]
pub struct Explanation {
    /// Whether a moment of the past is explained.
    pub past: bool,
    /// Who may run the group.
    pub owner: Option<String>,
    /// The number of its changes of owner.
    pub epoch: u64,
    /// One or two sentences.
    pub text: String,
    /// Every node that may own it.
    pub candidates: Vec<Candidate>,
}

/// One node that may own a group.
#[derive(Clone, Debug, Deserialize)]
pub struct Candidate {
    /// The node.
    pub node: String,
    /// `owner`, `standby` or `refused`.
    pub verdict: String,
    /// Why.
    pub why: String,
}

/// One line of the cluster's history.
#[derive(Clone, Debug, Deserialize)]
pub struct Event {
    /// Counts up by one.
    pub number: u64,
    /// When the leader proposed it, UTC, to the millisecond.
    pub at: String,
    /// What it is about.
    pub node: Option<String>,
    /// What it is about.
    pub group: Option<String>,
    /// A word for machines: `node-lost`, `takeover`, …
    pub kind: String,
    /// One sentence.
    pub text: String,
}

/// Asks a node why a group runs where it runs, or ran where it ran at a moment.
///
/// # Errors
/// Where `hactl` says no, or something else than an explanation.
pub fn explain(
    cluster: &mut Cluster,
    asked: &str,
    group: &str,
    at: Option<SystemTime>,
) -> Result<Explanation> {
    let at = at.map(jiff::Timestamp::try_from).transpose()?;
    let at = at.map(|at| at.to_string());
    let mut arguments = vec!["explain", group, "--json"];
    if let Some(at) = &at {
        arguments.extend(["--at", at]);
    }
    let text = cluster.insist(asked, &arguments)?;
    serde_json::from_str(&text).with_context(|| format!("reading an explanation: {text}"))
}

/// Asks a node for the cluster's history.
///
/// # Errors
/// Where `hactl` says no, or something else than a history.
pub fn events(cluster: &mut Cluster, asked: &str) -> Result<Vec<Event>> {
    #[derive(Deserialize)]
    struct History {
        events: Vec<Event>,
    }
    let text = cluster.insist(asked, &["events", "--json"])?;
    let history: History =
        serde_json::from_str(&text).with_context(|| format!("reading a history: {text}"))?;
    Ok(history.events)
}

impl Explanation {
    /// What is said of a node.
    #[must_use]
    pub fn candidate(&self, node: &str) -> Option<&Candidate> {
        self.candidates.iter().find(|one| one.node == node)
    }
}
