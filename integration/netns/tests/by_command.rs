//! An operator moves groups and empties nodes.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use had_netns::watch::{Watch, pass};
use had_rig::binaries::Binaries;
use had_rig::cluster::{GROUP, SETTLE};
use had_rig::story::{Story, tell};
use had_rig::{Cluster, ClusterSpec};

/// Far above the promise, see `measure`.
const SWITCHOVER: Duration = Duration::from_millis(250);

fn main() -> Result<ExitCode> {
    Binaries::build()?;
    Ok(tell(&[
        Story::new("failover_returns_when_the_new_owner_serves", failover),
        Story::new("a_move_against_the_scheme_is_pinned_until_failback", pinned),
        Story::new("a_drained_node_owns_nothing_until_resumed", drain),
        Story::new("what_cannot_be_done_is_refused_with_a_reason", refused),
    ]))
}

/// A cluster, its owner, and a watch on it.
fn watched() -> Result<(Cluster, String, Watch)> {
    watched_with("manual")
}

fn watched_with(failback: &'static str) -> Result<(Cluster, String, Watch)> {
    let mut cluster = Cluster::settled(ClusterSpec {
        failback,
        ..ClusterSpec::default()
    })?;
    let owner = cluster.settle()?;
    let watch = Watch::on(&mut cluster, true)?;
    Ok((cluster, owner, watch))
}

/// The move was quick and clean.
fn was_planned(watch: &Watch, at: Instant, old: &str) -> Result<()> {
    pass(Instant::now(), SWITCHOVER)?;
    let silence = watch.silence(at)?;
    println!("from {old}: silent for {:?}", silence.length);
    ensure!(
        silence.length < SWITCHOVER,
        "silent for {:?}",
        silence.length
    );
    watch.is_safe(at, old)
}

fn failover() -> Result<()> {
    let (mut cluster, owner, watch) = watched()?;
    let at = Instant::now();
    let said = cluster.command("h3", &["failover", GROUP, "--to", "h3"])?;
    println!("{said}");
    // It has returned: the new owner serves already.
    let status = cluster.status("h3")?.context("status")?;
    ensure!(status.running_on(GROUP) == Some("h3"), "{status:?}");
    cluster.answers(&watch.client, "h3")?;
    was_planned(&watch, at, &owner)?;
    let at = Instant::now();
    cluster.command(&owner, &["failback", GROUP])?;
    cluster.answers(&watch.client, "h1")?;
    was_planned(&watch, at, "h3")
}

fn pinned() -> Result<()> {
    let (mut cluster, owner, watch) = watched_with("auto")?;
    ensure!(
        owner == "h1",
        "h1 has the highest priority, and {owner} owns"
    );
    cluster.command("h2", &["failover", GROUP, "--to", "h2"])?;
    let moved = Instant::now();
    let pin = |status: &had_rig::cluster::Status| status.group(GROUP)?.pinned.clone();
    let status = cluster.status("h2")?.context("status")?;
    ensure!(
        pin(&status).as_deref() == Some("h2"),
        "no pin is shown: {status:?}"
    );
    // `auto` would bring it home after two leases.
    pass(moved, Duration::from_millis(300) * 5)?;
    let turns = watch.client.record().turns_after(moved);
    ensure!(turns == ["h2".into()], "{turns:?}");
    cluster.command("h3", &["failback", GROUP])?;
    cluster.answers(&watch.client, "h1")?;
    was_planned(&watch, moved, "h2")?;
    let free = |status: &had_rig::cluster::Status| pin(status).is_none();
    cluster
        .wait_status("h1", "the pin ends", SETTLE, free)
        .map(|_| ())
}

fn drain() -> Result<()> {
    let (mut cluster, owner, watch) = watched()?;
    let at = Instant::now();
    cluster.command(&owner, &["node", "drain", &owner])?;
    let new = watch.successor(&cluster, &owner, at, SETTLE)?;
    was_planned(&watch, at, &owner)?;
    let status = cluster.status(&new)?.context("status")?;
    ensure!(
        status
            .node(&owner)
            .is_some_and(|node| node.state == "drained"),
        "{status:?}"
    );
    // The loss of everybody else does not bring it back to a drained node; its return does not either.
    let refused = cluster.hactl(&new, &["failover", GROUP, "--to", &owner])?;
    ensure!(refused.status.code() == Some(1), "{refused:?}");
    cluster.command(&new, &["node", "resume", &owner])?;
    let resumed = |status: &had_rig::cluster::Status| {
        status
            .node(&owner)
            .is_some_and(|node| node.state == "online")
    };
    cluster.wait_status(&new, "resumed", SETTLE, resumed)?;
    ensure!(cluster.settle()? == new, "it went back by itself");
    Ok(())
}

fn refused() -> Result<()> {
    let (mut cluster, owner, watch) = watched()?;
    let at = Instant::now();
    for (arguments, word) in [
        (&["failover", "nothing"][..], "nothing"),
        (&["failover", GROUP, "--to", "h9"][..], "h9"),
        (&["node", "drain", "h9"][..], "h9"),
    ] {
        let output = cluster.hactl(&owner, arguments)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.code() == Some(1), "{arguments:?}: {output:?}");
        ensure!(
            said.contains(word),
            "{arguments:?} does not say why: {said}"
        );
    }
    let turns = watch.client.record().turns_after(at);
    ensure!(turns == [owner.as_str().into()], "{turns:?}");
    Ok(())
}
