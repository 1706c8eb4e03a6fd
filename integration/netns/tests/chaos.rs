//! A short chaos: the seeds are fixed, so that the same faults come each time. `cargo chaos` has longer ones.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, ensure};
use had_netns::chaos::clock::Warden;
use had_netns::chaos::kind::Kind;
use had_netns::chaos::run::{Options, run};
use had_netns::chaos::scene::Scene;
use had_rig::binaries::Binaries;
use had_rig::story::{Story, tell};

/// The faults of a run; the last batch's healing comes on top.
const LENGTH: Duration = Duration::from_secs(30);
/// A run, the cluster's start and end, and a busy machine.
const LIMIT: Duration = Duration::from_secs(90);

fn main() -> Result<ExitCode> {
    Binaries::build()?;
    let _warden = Warden::start()?;
    Ok(tell(&[Story::new(
        "half_a_minute_of_chaos_keeps_every_promise",
        half_a_minute,
    )
    .within(LIMIT)]))
}

fn half_a_minute() -> Result<()> {
    let kept = run(&Options {
        scene: Scene {
            nodes: 5,
            gate: "auto",
            realtime: true,
        },
        length: LENGTH,
        seed: 5,
        kinds: Kind::ALL.map(|(kind, _)| kind).to_vec(),
        explain: None,
    })?;
    ensure!(kept, "a promise was broken");
    Ok(())
}
