//! What `hactl simulate --json` says of a loss, and whether it comes true.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use had_rig::Cluster;
use had_rig::client::Silence;
use had_rig::cluster::{SETTLE, Status};
use serde::Deserialize;

use crate::fault::led_for_some_time;
use crate::watch::{Watch, pass};

/// What would become of the cluster.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Forecast {
    /// The voters of the part that keeps the majority.
    pub goes_on: Vec<String>,
    /// One sentence.
    pub summary: String,
    /// In the order of the file.
    pub groups: Vec<Fate>,
    /// The nodes that would carry more than their own work.
    pub degraded: Vec<Degraded>,
    /// What else an operator should know.
    pub notes: Vec<String>,
}

/// What would become of a group.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Fate {
    /// The group.
    pub group: String,
    /// Who owns it now.
    pub before: Option<String>,
    /// Who would own it.
    pub after: Option<String>,
    /// `runs`, `displaced`, `stopped`, `no-quorum` or `keeps`.
    pub state: String,
    /// What its clients would see.
    pub outage: Outage,
    /// Why.
    pub why: String,
}

/// How long clients would be without a group.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outage {
    /// They notice nothing.
    None,
    /// For a while.
    UpTo {
        /// To be expected, milliseconds.
        typical_ms: u64,
        /// At most, on a quiet network, milliseconds.
        most_ms: u64,
    },
    /// Until something is repaired.
    Lasting,
}

/// A node that would carry more than its own work.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Degraded {
    /// The node.
    pub node: String,
    /// The groups that would be marked with it.
    pub groups: Vec<String>,
    /// For people.
    pub reason: String,
}

/// What a busy machine may add to a silence beyond the lateness that the pulse saw.
const BUSY: Duration = Duration::from_millis(50);
/// How many steps of a takeover, one after the other, may each be as late as the pulse was at worst: the lease's end, the
/// decision, its commit on another node, the start.
const STEPS: u32 = 4;
/// What nobody notices, on a busy machine.
const UNNOTICED: Duration = Duration::from_millis(150);
/// How long everything must stay as foreseen: a lease, after which the next thing would have happened.
const STAYS: Duration = Duration::from_millis(300);

impl Forecast {
    /// Asks a node what the loss of others would mean.
    ///
    /// # Errors
    /// Where `hactl` says no, or something else than a forecast.
    pub fn of_losing(cluster: &mut Cluster, asked: &str, lost: &[&str]) -> Result<Self> {
        let text = cluster.insist(asked, &["simulate", "--lose", &lost.join(","), "--json"])?;
        serde_json::from_str(&text).with_context(|| format!("reading a forecast: {text}"))
    }

    /// What would become of a group.
    ///
    /// # Errors
    /// Where it is not mentioned.
    pub fn fate(&self, group: &str) -> Result<&Fate> {
        let fate = self.groups.iter().find(|fate| fate.group == group);
        fate.with_context(|| format!("no word of {group} in {self:#?}"))
    }

    /// Waits until every node that is alive says that everything is as it was foreseen, and stays so.
    ///
    /// # Errors
    /// Where it does not become so.
    pub fn comes_true(&self, cluster: &mut Cluster) -> Result<()> {
        let what = format!("as foreseen: {}", self.summary);
        cluster
            .wait_everywhere(&what, SETTLE, |status| self.differences(status).is_empty())
            .with_context(|| format!("{self:#?}"))?;
        pass(Instant::now(), STAYS)?;
        for node in cluster.alive()? {
            let status = cluster.status(&node)?.context("a daemon answers")?;
            let differences = self.differences(&status);
            ensure!(
                differences.is_empty(),
                "{node} saw it come true, and now: {}\n{self:#?}",
                differences.join("; ")
            );
        }
        Ok(())
    }

    /// What is otherwise than foreseen.
    fn differences(&self, status: &Status) -> Vec<String> {
        let mut differences = Vec::new();
        for fate in &self.groups {
            let Some(group) = status.group(&fate.group) else {
                differences.push(format!("{} is gone", fate.group));
                continue;
            };
            let is = match fate.state.as_str() {
                "runs" => status.quorate && group.running_on() == fate.after.as_deref(),
                "no-quorum" | "keeps" => !status.quorate,
                state => status.quorate && group.state == state && group.owner.is_none(),
            };
            if !is {
                let owner = group.owner.as_deref().unwrap_or("nobody");
                differences.push(format!("{} is {} on {owner}", fate.group, group.state));
            }
        }
        for node in &status.nodes {
            let foreseen = self.degraded.iter().any(|one| one.node == node.name);
            if foreseen != node.degraded.is_some() {
                differences.push(format!("{} is degraded: {:?}", node.name, node.degraded));
            }
        }
        differences
    }

    /// What a client saw of a group since the fault is what was foreseen.
    ///
    /// # Errors
    /// Where it waited longer, or a group was heard that should be silent.
    pub fn was_seen(&self, watch: &Watch, at: Instant) -> Result<Silence> {
        let fate = self.fate(&watch.group)?;
        let (silence, noise) = (watch.silence(at)?, watch.noise(at));
        let most = match fate.outage {
            Outage::None => UNNOTICED,
            Outage::UpTo { most_ms, .. } => Duration::from_millis(most_ms) + BUSY,
            Outage::Lasting => {
                ensure!(
                    silence.to.is_none(),
                    "it was heard again: {silence:?}; {fate:?}"
                );
                return Ok(silence);
            }
        };
        let length = silence.length;
        println!(
            "{}: silent for {length:?}, foreseen {:?}",
            fate.group, fate.outage
        );
        ensure!(
            silence.to.is_some() && length <= most + noise * STEPS,
            "{silence:?}, and foreseen was {fate:?} (this machine was late by {noise:?})"
        );
        if let Some(before) = fate.before.as_deref().filter(|_| fate.before != fate.after) {
            watch.is_safe(at, before)?;
        }
        Ok(silence)
    }
}

/// A node loses power. Everything comes as `hactl simulate` said just before, on the nodes and on the wire. Returns what was
/// foreseen, and when it happened.
///
/// # Errors
/// Where anything came otherwise.
pub fn lose(cluster: &mut Cluster, watches: &[&Watch], node: &str) -> Result<(Forecast, Instant)> {
    let alive = cluster.alive()?;
    let asked = alive.iter().find(|one| *one != node);
    let asked = asked.context("another node")?.clone();
    led_for_some_time(cluster, &asked)?;
    let forecast = Forecast::of_losing(cluster, &asked, &[node])?;
    println!("{}", forecast.summary);
    let at = cluster.lab.power_off(node)?;
    forecast
        .comes_true(cluster)
        .with_context(|| format!("{node} lost power"))?;
    for watch in watches {
        forecast.was_seen(watch, at)?;
    }
    Ok((forecast, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forecast_reads_as_it_is_written() {
        let text = r#"{"goes_on":["h2","h3"],"summary":"h1 lost: web moves to h2","groups":[
            {"group":"web","before":"h1","after":"h2","state":"runs","outage":{"up-to":{"typical_ms":310,"most_ms":350}},"why":"-"},
            {"group":"mail","before":"h2","after":"h2","state":"runs","outage":"none","why":"-"}],"degraded":[],"notes":[]}"#;
        let forecast: Forecast = serde_json::from_str(text).unwrap();
        let outage = Outage::UpTo {
            typical_ms: 310,
            most_ms: 350,
        };
        assert_eq!(forecast.fate("web").unwrap().outage, outage);
        assert_eq!(forecast.fate("mail").unwrap().outage, Outage::None);
        assert!(forecast.fate("files").is_err());
    }
}
