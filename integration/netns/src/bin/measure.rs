//! The figures of the promises, from one command: `cargo run -p had-netns --bin measure -- --runs 20`.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use clap::Parser;
use had_netns::fault::Fault;
use had_netns::figures::{Figures, is_outlier};
use had_netns::trial::{self, Outcome};
use had_rig::binaries::Binaries;

/// Strikes fresh clusters with faults and measures what a client saw.
#[derive(Parser)]
struct Arguments {
    /// How many clusters a fault.
    #[arg(long, default_value_t = 20)]
    runs: usize,
    /// Only this fault (may be repeated).
    #[arg(long)]
    fault: Vec<Fault>,
    /// As this ordinary user, inside a user namespace (only root can choose).
    #[arg(long)]
    user: Option<u32>,
    /// Print the trace of every run, not of the outliers alone.
    #[arg(long)]
    traces: bool,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    Binaries::build()?;
    let faults = if arguments.fault.is_empty() {
        &Fault::ALL[..]
    } else {
        &arguments.fault
    };
    println!(
        "{:<18}{:<6}{:>5}{:>11}{:>11}{:>11}   promised (p50 / 19 of 20)",
        "fault", "", "runs", "p50 ms", "19/20 ms", "max ms"
    );
    let mut sound = true;
    for fault in faults {
        sound &= series(*fault, &arguments);
    }
    Ok(if sound {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What is looked at of a run, milliseconds.
type Silence = fn(&Outcome) -> f64;

/// All runs of one fault; whether every promise was kept.
fn series(fault: Fault, arguments: &Arguments) -> bool {
    let start = Instant::now();
    let (mut outcomes, mut remarks) = (Vec::new(), Vec::new());
    let mut sound = true;
    for run in 1..=arguments.runs {
        match trial::run(fault, arguments.user) {
            Ok(outcome) => {
                sound &= outcome.unsafe_because.is_none();
                if arguments.traces || is_outlier(fault, &outcome) {
                    let why = outcome.unsafe_because.as_deref().unwrap_or("");
                    let (ms, ms6) = (outcome.silence_ms, outcome.silence6_ms);
                    let (from, to) = (&outcome.from, &outcome.to);
                    let trace = outcome.trace.join("\n    ");
                    remarks.push(format!(
                        "run {run}: {ms:.1} ms (IPv6 {ms6:.1} ms), beginning {:.1} ms after the fault, {from} to {to} (this machine was late by {:.1} ms) {why}\n    {trace}",
                        outcome.begins_ms, outcome.noise_ms
                    ));
                }
                outcomes.push(outcome);
            }
            Err(error) => {
                sound = false;
                remarks.push(format!("run {run} failed: {error:#}"));
            }
        }
    }
    let of_both: [(&str, Silence); 2] = [
        ("IPv4", |outcome| outcome.silence_ms),
        ("IPv6", |outcome| outcome.silence6_ms),
    ];
    for (family, silence) in of_both {
        let Some(figures) = Figures::of(outcomes.iter().map(silence)) else {
            continue;
        };
        let promise = fault.promise();
        let word = |ms: Option<f64>| ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.0}"));
        let (p50, most, max) = (figures.p50_ms, figures.most_ms, figures.max_ms);
        println!(
            "{fault:<18}{family:<6}{:>5}{p50:>11.1}{most:>11.1}{max:>11.1}   {} / {}   ({:.0} s)",
            figures.runs,
            word(promise.p50_ms),
            word(promise.most_ms),
            start.elapsed().as_secs_f64()
        );
        let broken = figures.broken(fault);
        broken.iter().for_each(|line| println!("  BROKEN: {line}"));
        sound &= broken.is_empty();
    }
    remarks.iter().for_each(|remark| println!("  {remark}"));
    sound
}
