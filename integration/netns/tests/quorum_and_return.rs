//! A majority is lost and comes back; nodes return, with and without their disks.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use had_netns::watch::{Watch, pass};
use had_rig::binaries::Binaries;
use had_rig::cluster::{GROUP, SETTLE};
use had_rig::story::{Story, tell};
use had_rig::{Cluster, ClusterSpec};

/// The lease of the lab's clusters, and what a busy machine may add.
const LEASE: Duration = Duration::from_millis(300 + 50);
/// `hactl`: no quorum.
const NO_QUORUM: i32 = 4;

fn main() -> Result<ExitCode> {
    Binaries::build()?;
    Ok(tell(&[
        Story::new(
            "without_a_majority_the_owner_falls_silent_and_says_why",
            majority_lost,
        ),
        Story::new("a_returning_node_moves_nothing", returns),
        Story::new("failback_auto_brings_the_group_home", returns_home),
        Story::new("a_node_with_an_empty_disk_is_a_voter_again", wiped),
        Story::new("all_restarted_at_once_run_on", all_restarted),
    ]))
}

fn others(cluster: &Cluster, owner: &str) -> Vec<String> {
    cluster
        .names()
        .into_iter()
        .filter(|name| name != owner)
        .collect()
}

fn majority_lost() -> Result<()> {
    let mut cluster = Cluster::settled(ClusterSpec::default())?;
    let owner = cluster.settle()?;
    let watch = Watch::on(&mut cluster, true)?;
    let others = others(&cluster, &owner);
    let at = Instant::now();
    for node in &others {
        cluster.lab.cut_all(node)?;
    }
    let cut = Instant::now();
    pass(cut, LEASE * 3)?;
    for client in std::iter::once(&watch.client).chain(&watch.client6) {
        let late = client.record().answers_after(cut + LEASE).len();
        ensure!(late == 0, "{late} answers beyond the lease");
    }
    let status = cluster.wait_status(&owner, "it says why", SETTLE, |status| !status.quorate)?;
    let group = status.group(GROUP).context("the group")?;
    ensure!(group.state != "running", "it says that it runs");
    let words = format!("{} {}", group.reason, status.notices.join(" "));
    println!("without a majority: {words}");
    ensure!(
        words.contains("quorum") || words.contains("majority"),
        "it does not say why: {words}"
    );
    let refused = cluster.hactl(&owner, &["failover", GROUP])?;
    ensure!(refused.status.code() == Some(NO_QUORUM), "{refused:?}");
    for node in &others {
        cluster.lab.heal(node)?;
    }
    let back = cluster.settle()?;
    cluster.answers(&watch.client, &back)?;
    println!(
        "back on {back} after {:?} without a majority",
        watch.silence(at)?.length
    );
    if back != owner {
        watch.is_safe(at, &owner)?;
    }
    Ok(())
}

/// The owner loses power; when it is back, `home` says whether the group should be there.
fn power_cycle(failback: &'static str, home: bool) -> Result<()> {
    let mut cluster = Cluster::settled(ClusterSpec {
        failback,
        ..ClusterSpec::default()
    })?;
    let owner = cluster.settle()?;
    ensure!(
        owner == "h1",
        "h1 has the highest priority, and {owner} owns"
    );
    let watch = Watch::on(&mut cluster, true)?;
    let at = cluster.lab.power_off(&owner)?;
    let new = watch.successor(&cluster, &owner, at, SETTLE)?;
    ensure!(new == "h2", "h2 is next, and {new} took over");
    cluster.power_on(&owner)?;
    cluster.settle()?;
    let settled = Instant::now();
    if home {
        cluster.answers(&watch.client, &owner)?;
        println!("home again: {:?}", watch.silence(settled)?.length);
        return watch.is_safe(settled, &new);
    }
    // Ten leases: as long as `failback = "auto"` would need five times.
    pass(settled, LEASE * 10)?;
    ensure!(cluster.settle()? == new, "it went back by itself");
    let turns = watch.client.record().turns_after(settled);
    ensure!(turns == [new.as_str().into()], "{turns:?}");
    watch.is_safe(at, &owner)?;
    // And by command it does.
    cluster.command(&new, &["failback", GROUP])?;
    cluster.answers(&watch.client, &owner)?;
    watch.is_safe(settled, &new)
}

fn returns() -> Result<()> {
    power_cycle("manual", false)
}

fn returns_home() -> Result<()> {
    power_cycle("auto", true)
}

fn wiped() -> Result<()> {
    let mut cluster = Cluster::settled(ClusterSpec::default())?;
    let owner = cluster.settle()?;
    let watch = Watch::on(&mut cluster, false)?;
    let others = others(&cluster, &owner);
    let (wiped, other) = (&others[0], &others[1]);
    let at = Instant::now();
    cluster.daemon(wiped)?.kill()?;
    cluster.wipe(wiped)?;
    cluster.start(wiped)?;
    ensure!(cluster.settle()? == owner, "the group moved");
    // Its vote counts: with the other one lost, the owner and it are the majority.
    cluster.lab.power_off(other)?;
    let lost = |status: &had_rig::cluster::Status| {
        status.quorate
            && status.running_on(GROUP) == Some(&owner)
            && status.node(other).is_some_and(|node| node.state == "lost")
    };
    cluster.wait_status(wiped, "the wiped node knows of the loss", SETTLE, lost)?;
    pass(Instant::now(), LEASE * 2)?;
    let turns = watch.client.record().turns_after(at);
    ensure!(turns == [owner.as_str().into()], "{turns:?}");
    let silence = watch.silence(at)?;
    println!("wiped: longest gap {:?}", silence.length);
    ensure!(
        silence.length < LEASE,
        "the owner fell silent for {:?}",
        silence.length
    );
    Ok(())
}

fn all_restarted() -> Result<()> {
    let mut cluster = Cluster::settled(ClusterSpec::default())?;
    let owner = cluster.settle()?;
    let epoch = cluster
        .status(&owner)?
        .context("status")?
        .group(GROUP)
        .context("group")?
        .epoch;
    let watch = Watch::on(&mut cluster, true)?;
    let at = Instant::now();
    for node in cluster.names() {
        cluster.lab.power_off(&node)?;
    }
    for node in cluster.names() {
        cluster.power_on(&node)?;
    }
    let back = cluster.settle()?;
    cluster.answers(&watch.client, &back)?;
    let status = cluster.status(&back)?.context("status")?;
    let now = status.group(GROUP).context("the group")?.epoch;
    println!(
        "restarted: on {back}, silent for {:?}, epoch {epoch} to {now}",
        watch.silence(at)?.length
    );
    ensure!(now >= epoch, "the epoch went back from {epoch} to {now}");
    Ok(())
}
