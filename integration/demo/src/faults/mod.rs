//! What a client sees while hosts lose their power and their network, a daemon freezes, and an operator moves the service.

mod play;
mod scene;

use std::time::Instant;

use anyhow::{Context, Result};
use had_rig::cluster::vip;
use had_rig::enter::is_real_root;
use had_rig::{Cluster, ClusterSpec};

use crate::faults::scene::Scene;
use crate::screen::{Paint, Screen};
use crate::table::Row;

/// Shows all of them on one cluster.
pub(crate) fn show(screen: &Screen) -> Result<Vec<Row>> {
    let start = Instant::now();
    let mut cluster = Cluster::settled(ClusterSpec::default())?;
    introduce(screen, &mut cluster, start)?;
    let scenes = Scene::ALL.into_iter().zip(1..);
    scenes
        .map(|(scene, number)| play::play(screen, &mut cluster, number, scene))
        .collect()
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
