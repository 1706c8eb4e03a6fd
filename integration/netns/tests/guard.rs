//! The guard beside the daemon: what it takes off when the daemon cannot, what it leaves alone, and what becomes of it when it
//! is killed itself.

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use had_netns::fault::{Fault, Stand};
use had_netns::history;
use had_netns::watch::{Watch, pass};
use had_rig::binaries::Binaries;
use had_rig::cluster::{GROUP, vip, vip6};
use had_rig::story::{Story, tell};
use had_rig::{Cluster, ClusterSpec, Pulse, until};

/// Far above every promise.
const PATIENCE: Duration = Duration::from_secs(10);
/// `nobody`, an ordinary user on every system.
const NOBODY: u32 = 65534;
/// Longer than the lease, the guard's bound and whatever a busy machine adds.
const LONG_AFTER: Duration = Duration::from_secs(2);

/// The lease of the lab's clusters.
const LEASE: Duration = Duration::from_millis(300);
/// After the lease's end the guard's work is done within this (docs/design/0010).
const BOUND: Duration = Duration::from_millis(100);
/// What it takes to list a host's addresses once, from outside.
const LOOK: Duration = Duration::from_millis(50);
/// The kernel wakes the guard, it lists the addresses and takes them off, and it is looked: each may be late.
const STEPS: u32 = 4;

fn main() -> Result<ExitCode> {
    Binaries::build()?;
    Ok(tell(&[
        Story::new(
            "the_guard_outlives_a_killed_daemon_and_takes_its_addresses_off",
            killed,
        ),
        Story::new("the_same_as_an_ordinary_user", killed).as_user(NOBODY),
        Story::new(
            "the_guard_takes_the_addresses_of_a_frozen_daemon_off",
            frozen,
        ),
        Story::new(
            "without_a_gate_the_guard_alone_ends_a_killed_owner",
            without_a_gate,
        ),
        Story::new("a_guard_that_is_killed_or_frozen_is_replaced", replaced),
        Story::new(
            "the_guard_leaves_what_is_in_maintenance_alone",
            in_maintenance,
        ),
        Story::new("one_guard_is_left_after_many_restarts", restarts),
    ]))
}

/// Whether both addresses are on a host.
fn has_addresses(cluster: &mut Cluster, host: &str) -> Result<bool> {
    let shown = cluster.lab.host(host)?.ip("-o address show")?;
    let has = |address: std::net::IpAddr| shown.contains(&format!(" {address}/"));
    let (four, six) = (has(vip()), has(vip6()));
    ensure!(four == six, "one of two addresses: {shown}");
    Ok(four)
}

fn are_off(cluster: &mut Cluster, host: &str) -> Result<()> {
    until("the addresses are off", PATIENCE, || {
        let shown = cluster.lab.host(host)?.ip("-o address show")?;
        let left = [vip(), vip6()]
            .iter()
            .any(|address| shown.contains(&format!(" {address}/")));
        Ok((!left).then_some(()))
    })
}

/// After the daemon could do nothing any more the lease may run for its whole length; then the guard's bound counts.
fn are_off_in_time(cluster: &mut Cluster, host: &str, at: Instant) -> Result<()> {
    let pulse = Pulse::start()?;
    are_off(cluster, host)?;
    let (took, noise) = (at.elapsed(), pulse.worst_after(at));
    println!("off {took:?} after the fault; this machine was late by {noise:?}");
    let most = LEASE + BOUND + LOOK + noise * STEPS;
    ensure!(
        took < most,
        "off only {took:?} after the fault, not within {most:?}"
    );
    Ok(())
}

/// The guards that run on a host, by process number.
fn guards(cluster: &mut Cluster, host: &str) -> Result<Vec<String>> {
    let mut command = Command::new("sh");
    // A bracket, so that it does not find itself.
    command.args([
        "-c",
        "for p in /proc/[0-9]*; do tr '\\0' ' ' < $p/cmdline 2>/dev/null | grep -q '^had guar[d] ' && echo ${p#/proc/}; done; true",
    ]);
    let output = cluster.lab.host(host)?.run(command, PATIENCE)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text.split_whitespace().map(str::to_owned).collect())
}

fn prepared(fault: Fault) -> Result<(Cluster, Stand)> {
    let mut cluster = Cluster::settled(fault.spec())?;
    let stand = fault.prepare(&mut cluster)?;
    ensure!(
        has_addresses(&mut cluster, &stand.owner)?,
        "nothing is there to be taken off"
    );
    Ok((cluster, stand))
}

fn killed() -> Result<()> {
    let (mut cluster, stand) = prepared(Fault::DaemonKilled)?;
    let owner = stand.owner.as_str();
    let watch = Watch::on(&mut cluster, true)?;
    let at = Fault::DaemonKilled.strike(&mut cluster, &stand)?;
    are_off_in_time(&mut cluster, owner, at)?;
    until("the guard has ended", PATIENCE, || {
        Ok(guards(&mut cluster, owner)?.is_empty().then_some(()))
    })?;
    watch.successor(&cluster, owner, at, PATIENCE)?;
    watch.is_safe(at, owner)
}

/// And the daemon that wakes does not put them back; every node's history says how long it was frozen.
fn frozen() -> Result<()> {
    let (mut cluster, stand) = prepared(Fault::DaemonFrozen)?;
    let owner = stand.owner.as_str();
    let watch = Watch::on(&mut cluster, true)?;
    let at = Fault::DaemonFrozen.strike(&mut cluster, &stand)?;
    are_off_in_time(&mut cluster, owner, at)?;
    watch.successor(&cluster, owner, at, PATIENCE)?;
    Fault::DaemonFrozen.aftermath(&mut cluster, &stand, at)?;
    for node in cluster.names() {
        until("the history tells of it", PATIENCE, || {
            let events = history::events(&mut cluster, &node)?;
            let told = events.iter().find(|event| event.kind == "frozen");
            let told = told.map(|event| event.text.clone());
            Ok(told.filter(|text| text.starts_with(&format!("{owner} was frozen "))))
        })?;
    }
    ensure!(!has_addresses(&mut cluster, owner)?, "they are back");
    watch.is_safe(at, owner)
}

/// Nothing in the kernel ends the lease here: the address goes with the guard's work, and nobody answers twice for long.
fn without_a_gate() -> Result<()> {
    let mut cluster = Cluster::settled(ClusterSpec {
        gate: "none",
        ..ClusterSpec::default()
    })?;
    let (owner, _) = cluster.settle_apart()?;
    let watch = Watch::on(&mut cluster, true)?;
    // Nobody takes over, so that whoever answers is the killed one.
    for other in cluster.names().iter().filter(|name| **name != owner) {
        cluster.daemon(other)?.freeze()?;
    }
    let at = Instant::now();
    cluster.daemon(&owner)?.kill()?;
    let last = watch.falls_silent()?;
    println!("silent {:?} after the kill", last - at);
    are_off_in_time(&mut cluster, &owner, at)
}

fn replaced() -> Result<()> {
    let (mut cluster, stand) = prepared(Fault::DaemonKilled)?;
    let owner = stand.owner.as_str();
    for signal in ["KILL", "STOP"] {
        let before = guards(&mut cluster, owner)?;
        let [guard] = before.as_slice() else {
            anyhow::bail!("guards: {before:?}");
        };
        let mut command = Command::new("sh");
        command.args(["-c", &format!("kill -{signal} {guard}")]);
        cluster.lab.host(owner)?.run(command, PATIENCE)?;
        until("another guard stands", PATIENCE, || {
            let now = guards(&mut cluster, owner)?;
            Ok((now.len() == 1 && now != before).then_some(()))
        })?;
        cluster.wait_status(owner, "it is in the status", PATIENCE, |status| {
            let group = status.group(GROUP);
            group.is_some_and(|group| group.rungs.iter().any(|rung| rung == "guard"))
        })?;
    }
    Fault::DaemonKilled.strike(&mut cluster, &stand)?;
    are_off(&mut cluster, owner)
}

fn in_maintenance() -> Result<()> {
    let (mut cluster, stand) = prepared(Fault::DaemonKilled)?;
    let owner = stand.owner.as_str();
    cluster.command(owner, &["maintenance", "on", GROUP])?;
    // Decided is not yet known everywhere.
    cluster.wait_status(owner, "it knows", PATIENCE, |status| {
        let group = status.group(GROUP);
        group.is_some_and(|group| group.maintenance)
    })?;
    Fault::DaemonKilled.strike(&mut cluster, &stand)?;
    until("the guard has ended", PATIENCE, || {
        Ok(guards(&mut cluster, owner)?.is_empty().then_some(()))
    })?;
    pass(Instant::now(), LONG_AFTER)?;
    ensure!(has_addresses(&mut cluster, owner)?, "they were touched");
    Ok(())
}

/// Each life brings its own, and it takes the former one's place.
fn restarts() -> Result<()> {
    let (mut cluster, stand) = prepared(Fault::DaemonRestarted)?;
    let watch = Watch::on(&mut cluster, true)?;
    let at = Instant::now();
    for _ in 0..5 {
        Fault::DaemonRestarted.strike(&mut cluster, &stand)?;
        let owner = cluster.settle()?;
        ensure!(owner == stand.owner, "it moved to {owner}");
    }
    pass(at, LONG_AFTER)?;
    let left = guards(&mut cluster, &stand.owner)?;
    ensure!(left.len() == 1, "guards: {left:?}");
    ensure!(
        has_addresses(&mut cluster, &stand.owner)?,
        "a former guard took them off"
    );
    println!("silent for {:?}", watch.silence(at)?.length);
    watch.is_safe(at, &stand.owner)
}
