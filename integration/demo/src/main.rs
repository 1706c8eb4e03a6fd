//! A cluster in one command: three hosts, a switch and a client in namespaces, and what a client sees while hosts lose
//! their power and their network, a daemon freezes, and an operator moves the service.

mod play;
mod scene;
mod screen;
mod strip;
mod table;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Parser;
use had_rig::binaries::Binaries;
use had_rig::cluster::vip;
use had_rig::enter::{enter, is_real_root};
use had_rig::{Cluster, ClusterSpec};

use crate::scene::Scene;
use crate::screen::{Paint, Screen};

/// Shows what a client sees while hosts, networks and daemons fail. Needs root, or a user who may make namespaces.
#[derive(Parser)]
#[command(name = "cargo demo")]
struct Arguments {}

fn main() -> Result<ExitCode> {
    Arguments::parse();
    let screen = Screen::new();
    screen.line(
        Paint::Faint,
        "building had and hactl (some minutes the first time) …",
    );
    Binaries::build()?;
    Ok(enter(move || show(&screen)))
}

/// The demo, inside the lab process. Failure where a promise was broken.
fn show(screen: &Screen) -> Result<ExitCode> {
    let start = Instant::now();
    let mut cluster = Cluster::settled(ClusterSpec::default())?;
    introduce(screen, &mut cluster, start)?;
    let mut results = Vec::new();
    for (number, scene) in Scene::ALL.into_iter().enumerate() {
        results.push(play::play(screen, &mut cluster, number + 1, scene)?);
    }
    table::print(screen, &results);
    let kept = results.iter().all(scene::Shown::is_kept);
    let took = start.elapsed().as_secs_f64();
    let (paint, verdict) = if kept {
        (Paint::Good, "every promise was kept")
    } else {
        (Paint::Bad, "a promise was broken")
    };
    screen.line(
        paint,
        &format!("{verdict}  ({took:.0} s; nothing is left behind)"),
    );
    Ok(if kept {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Who plays.
fn introduce(screen: &Screen, cluster: &mut Cluster, start: Instant) -> Result<()> {
    // Leadership leaves the owner soon; where it does not, the first scene has a longer promise, and says so.
    let owner = match cluster.settle_apart() {
        Ok((owner, _)) => owner,
        Err(_) => cluster.settle()?,
    };
    let status = cluster.status(&owner)?.context("a daemon answers")?;
    let gate = status
        .node(&owner)
        .map(|node| node.gate.clone())
        .unwrap_or_default();
    let leader = status.leader.unwrap_or_default();
    let who = if is_real_root()? {
        "as root"
    } else {
        "as an ordinary user"
    };
    let formed = start.elapsed().as_secs_f64();
    screen.blank();
    screen.line(
        Paint::Strong,
        "three hosts and a client on a switch, in network namespaces",
    );
    screen.line(
        Paint::Faint,
        &format!("{who}, the kernel's gate is {gate}; the cluster formed itself in {formed:.1} s"),
    );
    screen.line(
        Paint::Faint,
        &format!(
            "{owner} owns {}, {leader} leads; heartbeat 100 ms, lease 300 ms; the client asks every millisecond",
            vip()
        ),
    );
    screen.blank();
    Ok(())
}
