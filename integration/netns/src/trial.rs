//! One fault on one fresh cluster, measured.

use std::io::{Read, Seek};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail};
use had_rig::Cluster;
use had_rig::enter::{Ended, Terms, supervise};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::fault::{Fault, Stand};
use crate::watch::{Watch, pass};

/// The longest that one trial may take, the cluster's start and end included.
pub const LIMIT: Duration = Duration::from_secs(60);
/// A takeover that has not come by then is a failed trial.
const TAKEOVER: Duration = Duration::from_secs(10);
/// How long is watched beyond the move: late answers would come in this time.
const AFTER: Duration = Duration::from_millis(700);
/// How much of the daemons' logs before the fault belongs to the trace.
const BEFORE: Duration = Duration::from_millis(100);

/// What one trial showed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// The silence that the client of the IPv4 address saw, milliseconds.
    pub silence_ms: f64,
    /// The silence that the client of the IPv6 address saw, milliseconds.
    pub silence6_ms: f64,
    /// When the last answered ask before it was sent, milliseconds after the fault.
    pub begins_ms: f64,
    /// How late a thread ran that wanted to run every millisecond, at worst: the machine's own share, milliseconds.
    pub noise_ms: f64,
    /// Who answered before.
    pub from: String,
    /// Who answered afterwards.
    pub to: String,
    /// What broke S1, where something did.
    pub unsafe_because: Option<String>,
    /// The daemons' log lines around the fault, in order of time.
    pub trace: Vec<String>,
}

/// Runs one trial in a lab of its own.
///
/// # Errors
/// Where the cluster does not come to stand as it must, or nobody takes over: with all that was said.
pub fn run(fault: Fault, user: Option<u32>) -> Result<Outcome> {
    in_a_lab(&fault.to_string(), user, || measure(fault))
}

/// Runs something in a lab process of its own and returns its value.
///
/// # Errors
/// Where it fails, or takes longer than [`LIMIT`]: with all that was said.
pub fn in_a_lab<T: Serialize + DeserializeOwned>(
    what: &str,
    user: Option<u32>,
    body: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let file = nix::sys::memfd::memfd_create(c"trial", nix::sys::memfd::MFdFlags::MFD_CLOEXEC)?;
    let mut file = std::fs::File::from(file);
    let terms = Terms {
        limit: Some(LIMIT),
        output: Some(file.try_clone()?.into()),
        user,
    };
    let ended = supervise(terms, || {
        println!("{MARK}{}", serde_json::to_string(&body()?)?);
        Ok(ExitCode::SUCCESS)
    })?;
    let mut said = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut said)?;
    let said = String::from_utf8_lossy(&said);
    match (ended, said.lines().find_map(|line| line.strip_prefix(MARK))) {
        (Ended::Exited(0), Some(outcome)) => {
            serde_json::from_str(outcome).context("reading an outcome")
        }
        (ended, _) => bail!("{what}: {ended:?}\n{said}"),
    }
}

/// Begins the line that carries the outcome out of the lab.
const MARK: &str = "OUTCOME ";

/// The trial itself, inside the lab process.
fn measure(fault: Fault) -> Result<Outcome> {
    let mut cluster = Cluster::settled(fault.spec())?;
    let stand = fault.prepare(&mut cluster)?;
    let watch = Watch::on(&mut cluster, true)?;
    let clock = SystemTime::now();
    let at = fault.strike(&mut cluster, &stand)?;
    if fault.moves() {
        watch.successor(&cluster, &stand.owner, at, TAKEOVER)?;
    }
    pass(Instant::now(), AFTER)?;
    let (silence, silence6) = (watch.silence(at)?, watch.silence6(at)?);
    let noise = watch.noise(at);
    fault.aftermath(&mut cluster, &stand, at)?;
    let unsafe_because = watch
        .is_safe(at, &stand.owner)
        .err()
        .map(|error| format!("{error:#}"));
    Ok(Outcome {
        silence_ms: silence.length.as_secs_f64() * 1e3,
        silence6_ms: silence6.length.as_secs_f64() * 1e3,
        begins_ms: match silence.from.checked_duration_since(at) {
            Some(after) => after.as_secs_f64() * 1e3,
            None => -(at - silence.from).as_secs_f64() * 1e3,
        },
        noise_ms: noise.as_secs_f64() * 1e3,
        from: silence.before.as_deref().unwrap_or("nobody").to_owned(),
        to: silence.after.as_deref().unwrap_or("nobody").to_owned(),
        unsafe_because,
        trace: trace(&cluster, &stand, clock, silence.length)?,
    })
}

/// The log lines of all daemons from shortly before the fault to the end of the silence, merged.
fn trace(
    cluster: &Cluster,
    stand: &Stand,
    struck: SystemTime,
    silence: Duration,
) -> Result<Vec<String>> {
    let stamp = |at: SystemTime| jiff::Timestamp::try_from(at).context("a time of day");
    let (start, end) = (stamp(struck - BEFORE)?, stamp(struck + silence + AFTER)?);
    let mut lines = Vec::new();
    for node in cluster.names() {
        for line in cluster.daemon(&node)?.log().lines() {
            let word = line.split_whitespace().next().unwrap_or_default();
            let Ok(at) = word.parse::<jiff::Timestamp>() else {
                continue;
            };
            if at >= start && at <= end {
                let after = at.duration_since(stamp(struck)?).as_secs_f64() * 1e3;
                let text = line[word.len()..].trim().to_owned();
                lines.push((at, format!("{after:8.1} ms  {node}  {text}")));
            }
        }
    }
    lines.sort();
    let head = format!("owner {}, leader {}", stand.owner, stand.leader);
    Ok(std::iter::once(head)
        .chain(lines.into_iter().map(|(_, line)| line))
        .collect())
}
