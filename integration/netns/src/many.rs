//! Hundreds of groups on three nodes, spread so that each is preferred by as many; one node loses power.

use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, ensure};
use had_rig::cluster::{SETTLE, Status, vip_of};
use had_rig::{Cluster, ClusterSpec, Crowd, GroupText, Pulse, until};
use serde::{Deserialize, Serialize};

use crate::fault::led_for_some_time;
use crate::watch::{logs, pass};

/// What is promised of it, milliseconds: lease + 200 ms.
pub const PROMISED_MS: f64 = 500.0;
/// Groups that are not served by then make a failed trial.
const TAKEOVER: Duration = Duration::from_secs(10);
/// How long is watched beyond the last takeover: late answers of the lost node would come in this time.
const AFTER: Duration = Duration::from_millis(700);
/// The nodes.
const NODES: [&str; 3] = ["h1", "h2", "h3"];

/// What one trial showed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Who lost power.
    pub lost: String,
    /// Who led.
    pub leader: String,
    /// The silence of each lost group, milliseconds.
    pub silences_ms: Vec<f64>,
    /// How late a thread ran that wanted to run every millisecond, at worst: the machine's own share, milliseconds.
    pub noise_ms: f64,
    /// What the daemons did when, milliseconds after the loss: the first and the last group of each step.
    pub steps: Vec<String>,
}

/// One group a number: `g000`, …
fn name(number: u16) -> String {
    format!("g{number:03}")
}

/// The node that a group of this number prefers.
fn home(number: u16) -> usize {
    usize::from(number) % NODES.len()
}

/// A cluster of three with so many groups.
#[must_use]
pub fn spec(groups: u16) -> ClusterSpec {
    let group = |number| {
        let nodes: Vec<&str> = (0..NODES.len())
            .map(|place| NODES[(home(number) + place) % NODES.len()])
            .collect();
        GroupText::idle_standby(&name(number), vip_of(number), &nodes).failback("auto")
    };
    ClusterSpec::of(3, (0..groups).map(group).collect())
}

/// One trial, inside a lab process: every lost address is asked once in `interval`.
///
/// # Errors
/// Where the groups do not come to stand where they belong; where one of them is not served again, is answered by the lost
/// node after its successor, or has several owners.
pub fn measure(groups: u16, interval: Duration) -> Result<Outcome> {
    let mut cluster = Cluster::settled(spec(groups))?;
    at_home(&mut cluster, groups)?;
    let leader = led_for_some_time(&mut cluster, NODES[0])?;
    let lost = (0..NODES.len()).find(|node| NODES[*node] != leader);
    let lost = lost.context("a node that does not lead")?;
    let numbers: Vec<u16> = (0..groups).filter(|number| home(*number) == lost).collect();
    let addresses: Vec<_> = numbers.iter().map(|number| vip_of(*number)).collect();
    let crowd = cluster.crowd(&addresses, interval)?;
    let pulse = Pulse::start()?;
    pass(Instant::now(), AFTER)?;
    let clock = SystemTime::now();
    let at = cluster.lab.power_off(NODES[lost])?;
    served_again(&crowd, &numbers, NODES[lost], at).with_context(|| logs(&cluster))?;
    let noise = pulse.worst_after(at);
    pass(Instant::now(), AFTER)?;
    let silences_ms = silences(&crowd, &numbers, NODES[lost], at)?;
    one_owner_each(&mut cluster, groups, lost)?;
    Ok(Outcome {
        lost: NODES[lost].to_owned(),
        leader,
        silences_ms,
        noise_ms: noise.as_secs_f64() * 1e3,
        steps: steps(&mut cluster, clock)?,
    })
}

/// Every group runs where it belongs.
fn at_home(cluster: &mut Cluster, groups: u16) -> Result<()> {
    let belongs = |status: &Status| {
        let mut numbers = 0..groups;
        numbers.all(|number| status.running_on(&name(number)) == Some(NODES[home(number)]))
    };
    cluster.wait_everywhere("every group at home", SETTLE, belongs)
}

/// Waits until every lost address is answered by somebody else.
fn served_again(crowd: &Crowd, numbers: &[u16], lost: &str, at: Instant) -> Result<()> {
    let is_back = |place: &usize| {
        let latest = crowd.latest(*place);
        latest.is_some_and(|answer| answer.at > at && &*answer.who != lost)
    };
    let mut missing: Vec<usize> = (0..numbers.len()).collect();
    let all = until("every lost group is served again", TAKEOVER, || {
        missing.retain(|place| !is_back(place));
        Ok(missing.is_empty().then_some(()))
    });
    all.with_context(|| {
        let missing: Vec<String> = missing.iter().map(|place| name(numbers[*place])).collect();
        format!("still silent: {}", missing.join(", "))
    })
}

/// The silence of each address; nobody heard the lost node once another had answered.
fn silences(crowd: &Crowd, numbers: &[u16], lost: &str, at: Instant) -> Result<Vec<f64>> {
    let of = |(place, number): (usize, &u16)| {
        let record = crowd.record(place);
        let late = record.overlap_after(at, lost);
        ensure!(
            late == 0,
            "{}: {late} answers of {lost} too late",
            name(*number)
        );
        let silence = record.silence_after(at).context("it was heard")?;
        Ok(silence.length.as_secs_f64() * 1e3)
    };
    numbers.iter().enumerate().map(of).collect()
}

/// Every group runs, the lost node's on the next in its order, and everybody names the same owner.
fn one_owner_each(cluster: &mut Cluster, groups: u16, lost: usize) -> Result<()> {
    let owner = |number| match home(number) {
        home if home == lost => NODES[(lost + 1) % NODES.len()],
        home => NODES[home],
    };
    let belongs = |status: &Status| {
        let mut numbers = 0..groups;
        numbers.all(|number| status.running_on(&name(number)) == Some(owner(number)))
    };
    cluster.wait_everywhere("every group on the next of its nodes", SETTLE, belongs)
}

/// When the daemons' logs speak of groups, after the loss: the first and the last line of each phase on each node.
fn steps(cluster: &mut Cluster, struck: SystemTime) -> Result<Vec<String>> {
    let struck = jiff::Timestamp::try_from(struck).context("a time of day")?;
    let mut steps = Vec::new();
    for node in cluster.alive()? {
        let log = cluster.daemon(&node)?.log();
        for phase in ["was lost", "starting (epoch", "running (epoch"] {
            let times = log
                .lines()
                .filter(|line| line.contains(phase))
                .filter_map(|line| {
                    let at = line
                        .split_whitespace()
                        .next()?
                        .parse::<jiff::Timestamp>()
                        .ok()?;
                    (at > struck).then(|| at.duration_since(struck).as_secs_f64() * 1e3)
                });
            let times: Vec<f64> = times.collect();
            if let (Some(first), Some(last)) = (times.first(), times.last()) {
                let count = times.len();
                steps.push(format!(
                    "{node}: {count} x {phase}: {first:.0} to {last:.0} ms"
                ));
            }
        }
    }
    Ok(steps)
}
