//! Hundreds of groups at once: `cargo run -p had-netns --bin many -- --runs 10`.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use had_netns::many::{Outcome, PROMISED_MS, measure};
use had_netns::trial;
use had_rig::binaries::Binaries;

/// Takes the power from one of three nodes that own as many groups each, and measures the silence of each lost group.
#[derive(Parser)]
struct Arguments {
    /// How many clusters.
    #[arg(long, default_value_t = 10)]
    runs: usize,
    /// How many groups in each.
    #[arg(long, default_value_t = 300)]
    groups: u16,
    /// How often each lost address is asked, milliseconds.
    #[arg(long, default_value_t = 5)]
    interval_ms: u64,
    /// As this ordinary user, inside a user namespace (only root can choose).
    #[arg(long)]
    user: Option<u32>,
    /// Print what the daemons' logs say of every run.
    #[arg(long)]
    traces: bool,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    Binaries::build()?;
    let interval = Duration::from_millis(arguments.interval_ms);
    println!(
        "{:<7}{:>8}{:>11}{:>11}{:>11}   promised {PROMISED_MS:.0} ms",
        "run", "groups", "p50 ms", "max ms", "late ms"
    );
    let (mut all, mut worst_of_runs, mut sound) = (Vec::new(), Vec::new(), true);
    for run in 1..=arguments.runs {
        let groups = arguments.groups;
        let outcome = trial::in_a_lab("many groups", arguments.user, || measure(groups, interval));
        match outcome {
            Ok(outcome) => {
                let worst = show(run, &outcome, arguments.traces);
                sound &= worst <= PROMISED_MS;
                worst_of_runs.push(worst);
                all.extend(outcome.silences_ms);
            }
            Err(error) => {
                sound = false;
                println!("run {run} failed: {error:#}");
            }
        }
    }
    let (p50, max) = (median(&mut all), all.last().copied().unwrap_or(f64::NAN));
    let of_runs = median(&mut worst_of_runs);
    println!(
        "{} groups in {} runs: p50 {p50:.1} ms, max {max:.1} ms; the slowest group of a run: p50 {of_runs:.1} ms",
        all.len(),
        worst_of_runs.len()
    );
    Ok(if sound {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// One line, and the steps where they are wanted or the promise is broken. Returns the longest silence.
fn show(run: usize, outcome: &Outcome, traces: bool) -> f64 {
    let mut silences = outcome.silences_ms.clone();
    let p50 = median(&mut silences);
    let max = silences.last().copied().unwrap_or(f64::NAN);
    let (lost, leader) = (&outcome.lost, &outcome.leader);
    println!(
        "{run:<7}{:>8}{p50:>11.1}{max:>11.1}{:>11.1}   {lost} lost, {leader} leads",
        silences.len(),
        outcome.noise_ms
    );
    if traces || max > PROMISED_MS {
        outcome.steps.iter().for_each(|step| println!("    {step}"));
    }
    max
}

/// Sorts, and returns the middle.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len().saturating_sub(1) / 2;
    values.get(middle).copied().unwrap_or(f64::NAN)
}
