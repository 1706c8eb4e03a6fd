//! Random faults on the real binaries: `cargo chaos --minutes 5 --seed 1`.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Parser;
use had_netns::chaos::clock::Warden;
use had_netns::chaos::kind::Kind;
use had_netns::chaos::run::{Options, run};
use had_netns::chaos::scene::Scene;
use had_netns::chaos::steady::{Condition, steady};
use had_rig::binaries::Binaries;
use had_rig::enter::{Ended, Terms, supervise};

/// Strikes a cluster with random faults and looks whether two nodes ever own an address, whether every group serves again, and how long
/// its clients wait. Needs root, or a user who may make namespaces.
#[derive(Parser)]
#[command(name = "cargo chaos")]
struct Arguments {
    /// For how long.
    #[arg(long, default_value_t = 5.0)]
    minutes: f64,
    /// Decides which faults happen when, to whom, and for how long.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many nodes.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(3..=5))]
    nodes: u8,
    /// Only faults of these kinds (a comma between).
    #[arg(long, value_delimiter = ',')]
    only: Vec<Kind>,
    /// Instead of faults a condition that lasts: none, loss=PERCENT (each cable, either way), sent-loss=PERCENT (what nodes send), hogs.
    #[arg(long)]
    steady: Option<Condition>,
    /// Daemons take no real-time priority.
    #[arg(long)]
    no_realtime: bool,
    /// `gate` of the cluster; with none, overlaps are to be expected.
    #[arg(long, default_value = "auto", value_parser = ["auto", "bpf", "nft", "none"])]
    gate: String,
    /// Tell what happened around a batch's longest silence where it is longer than so many milliseconds.
    #[arg(long)]
    explain_ms: Option<u64>,
    /// As this ordinary user, inside a user namespace (only root can choose).
    #[arg(long)]
    user: Option<u32>,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    ensure!(
        arguments.minutes > 0.0,
        "--minutes must be more than nothing"
    );
    Binaries::build()?;
    let _warden = Warden::start()?;
    let terms = Terms {
        user: arguments.user,
        ..Terms::default()
    };
    let all: Vec<String> = std::env::args().skip(1).collect();
    let ended = supervise(terms, || {
        let kept = play(&arguments)?;
        if !kept {
            println!("the same again: cargo chaos {}", all.join(" "));
        }
        Ok(if kept {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    })?;
    Ok(match ended {
        Ended::Exited(code) => ExitCode::from(code),
        Ended::Killed(_) | Ended::TimedOut => ExitCode::FAILURE,
    })
}

/// The run, inside the lab process.
fn play(arguments: &Arguments) -> Result<bool> {
    let gate = match arguments.gate.as_str() {
        "bpf" => "bpf",
        "nft" => "nft",
        "none" => "none",
        _ => "auto",
    };
    let scene = Scene {
        nodes: arguments.nodes,
        gate,
        realtime: !arguments.no_realtime,
    };
    let length = Duration::from_secs_f64(arguments.minutes * 60.0);
    if let Some(condition) = arguments.steady {
        return steady(scene, condition, length);
    }
    let all = Kind::ALL.map(|(kind, _)| kind);
    let kinds = if arguments.only.is_empty() {
        all.to_vec()
    } else {
        arguments.only.clone()
    };
    run(&Options {
        scene,
        length,
        seed: arguments.seed,
        kinds,
        explain: arguments.explain_ms.map(Duration::from_millis),
    })
}
