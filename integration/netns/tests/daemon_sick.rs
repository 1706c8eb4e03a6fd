//! The owner's daemon is killed, frozen or asked to end; somebody meddles with its address.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use had_netns::fault::{Fault, led_for_some_time};
use had_netns::watch::{Watch, pass};
use had_rig::binaries::Binaries;
use had_rig::cluster::{GROUP, vip};
use had_rig::story::{Story, tell};
use had_rig::{Cluster, ClusterSpec, until};

/// Far above every promise, see `measure`.
const TAKEOVER: Duration = Duration::from_secs(3);
/// Far below the lease: nobody waits for its end.
const GIVEN_UP: Duration = Duration::from_millis(200);
/// `nobody`, an ordinary user on every system.
const NOBODY: u32 = 65534;

fn main() -> Result<ExitCode> {
    Binaries::build()?;
    Ok(tell(&[
        Story::new(
            "a_killed_daemon_falls_silent_and_comes_back_as_standby",
            killed,
        ),
        Story::new(
            "a_frozen_daemon_says_nothing_as_owner_when_it_wakes",
            frozen,
        ),
        Story::new("the_same_behind_the_gate_of_an_ordinary_user", frozen).as_user(NOBODY),
        Story::new(
            "the_gate_outlives_a_daemon_and_its_mount_namespace",
            alone_in_its_mount_namespace,
        ),
        Story::new(
            "a_killed_daemon_that_is_started_at_once_goes_on_as_owner",
            restarted,
        ),
        Story::new("an_upgrade_by_drain_and_resume_loses_nothing", upgraded),
        Story::new("a_daemon_that_is_asked_to_end_hands_over_first", terminated),
        Story::new("an_address_deleted_by_hand_comes_back", deleted),
        Story::new("an_owner_whose_disk_is_full_hands_over", disk_full),
    ]))
}

fn killed() -> Result<()> {
    let mut cluster = Cluster::settled(Fault::DaemonKilled.spec())?;
    let stand = Fault::DaemonKilled.prepare(&mut cluster)?;
    let watch = Watch::on(&mut cluster, true)?;
    let at = Fault::DaemonKilled.strike(&mut cluster, &stand)?;
    let new = watch.successor(&cluster, &stand.owner, at, TAKEOVER)?;
    println!(
        "killed: to {new}, silent for {:?}",
        watch.silence(at)?.length
    );
    // The address is still on the old owner's interface, behind its shut gate.
    pass(at, TAKEOVER / 2)?;
    watch.is_safe(at, &stand.owner)?;
    cluster.start(&stand.owner)?;
    ensure!(cluster.settle()? == new, "it went back by itself");
    watch.is_safe(at, &stand.owner)
}

/// Within the lease: nobody takes over, and whoever asks the address hardly sees it.
fn restarted() -> Result<()> {
    let mut cluster = Cluster::settled(Fault::DaemonRestarted.spec())?;
    let stand = Fault::DaemonRestarted.prepare(&mut cluster)?;
    let epoch = |cluster: &mut Cluster| {
        let status = cluster.status(&stand.leader)?.context("a daemon answers")?;
        Ok::<_, anyhow::Error>(status.group(GROUP).context("the group")?.epoch)
    };
    let before = epoch(&mut cluster)?;
    let watch = Watch::on(&mut cluster, true)?;
    let at = Fault::DaemonRestarted.strike(&mut cluster, &stand)?;
    ensure!(cluster.settle()? == stand.owner, "it moved");
    pass(at, TAKEOVER / 2)?;
    println!("restarted: silent for {:?}", watch.silence(at)?.length);
    ensure!(epoch(&mut cluster)? == before, "it was decided anew");
    let inherits = "a killed life of this daemon left web open: going on with it";
    let log = cluster.daemon(&stand.owner)?.log();
    let status = cluster.status(&stand.owner)?.context("a daemon answers")?;
    // On nftables a restart begins shut.
    let bpf = status
        .node(&stand.owner)
        .is_some_and(|node| node.gate == "bpf");
    ensure!(log.contains(inherits) == bpf, "{log}");
    watch.is_safe(at, &stand.owner)
}

fn upgraded() -> Result<()> {
    let mut cluster = Cluster::settled(Fault::Upgraded.spec())?;
    let stand = Fault::Upgraded.prepare(&mut cluster)?;
    let watch = Watch::on(&mut cluster, true)?;
    let at = Fault::Upgraded.strike(&mut cluster, &stand)?;
    let silence = watch.silence(at)?;
    println!("upgraded: silent for {:?}", silence.length);
    ensure!(silence.length < GIVEN_UP, "{silence:?}");
    ensure!(cluster.settle()? != stand.owner, "it went back by itself");
    watch.is_safe(at, &stand.owner)
}

fn frozen() -> Result<()> {
    let mut cluster = Cluster::settled(Fault::DaemonFrozen.spec())?;
    let stand = Fault::DaemonFrozen.prepare(&mut cluster)?;
    let watch = Watch::on(&mut cluster, true)?;
    let at = Fault::DaemonFrozen.strike(&mut cluster, &stand)?;
    let new = watch.successor(&cluster, &stand.owner, at, TAKEOVER)?;
    println!(
        "frozen: to {new}, silent for {:?}",
        watch.silence(at)?.length
    );
    Fault::DaemonFrozen.aftermath(&mut cluster, &stand, at)?;
    let thawed = at + had_netns::fault::FROZEN;
    watch.is_safe(at, &stand.owner)?;
    watch.is_silent_since(thawed, &stand.owner)?;
    ensure!(cluster.settle()? == new, "it moved when the daemon woke");
    Ok(())
}

fn terminated() -> Result<()> {
    let mut cluster = Cluster::settled(Fault::Terminated.spec())?;
    let stand = Fault::Terminated.prepare(&mut cluster)?;
    let watch = Watch::on(&mut cluster, true)?;
    let at = Fault::Terminated.strike(&mut cluster, &stand)?;
    let new = watch.successor(&cluster, &stand.owner, at, TAKEOVER)?;
    let ended = cluster.daemon(&stand.owner)?.wait(TAKEOVER)?;
    ensure!(ended.code() == Some(0), "the daemon ended with {ended}");
    let silence = watch.silence(at)?;
    println!("terminated: to {new}, silent for {:?}", silence.length);
    ensure!(
        silence.length < Duration::from_millis(250),
        "not handed over: {silence:?}"
    );
    watch.is_safe(at, &stand.owner)
}

fn deleted() -> Result<()> {
    let mut cluster = Cluster::settled(Fault::OwnerCut.spec())?;
    let owner = cluster.settle()?;
    let epoch = |cluster: &mut Cluster| {
        let status = cluster.status(&owner)?.context("a daemon answers")?;
        Ok::<_, anyhow::Error>(status.group(GROUP).context("the group")?.epoch)
    };
    let before = epoch(&mut cluster)?;
    let watch = Watch::on(&mut cluster, false)?;
    let at = Instant::now();
    cluster
        .lab
        .host(&owner)?
        .delete_address("eth0", vip(), 24)?;
    cluster.answers(&watch.client, &owner)?;
    pass(at, Duration::from_millis(200))?;
    let silence = watch.silence(at)?;
    println!("deleted: silent for {:?}", silence.length);
    ensure!(
        silence.length < Duration::from_millis(250),
        "back after {:?}",
        silence.length
    );
    ensure!(epoch(&mut cluster)? == before, "the group moved for it");
    Ok(())
}

/// The owner can remember no decision any more: it gives its group up, and its daemon ends. It does not begin again before
/// there is room.
fn disk_full() -> Result<()> {
    let mut cluster = Cluster::settled(ClusterSpec {
        small_disks: true,
        ..ClusterSpec::default()
    })?;
    let (owner, leader) = cluster.settle_apart()?;
    // A new leader would wait until its predecessor's grants have ended.
    led_for_some_time(&mut cluster, &leader)?;
    let watch = Watch::on(&mut cluster, true)?;
    cluster.fill_disk(&owner, true)?;
    let at = Instant::now();
    // Some decisions still fit into what is free within its file.
    until("its daemon ends", TAKEOVER * 4, || {
        cluster.insist("h3", &["group", "clear", GROUP])?;
        cluster.daemon(&owner)?.ended()
    })?;
    let new = watch.successor(&cluster, &owner, at, TAKEOVER)?;
    let silence = watch.silence(at)?;
    println!("disk full: to {new}, silent for {:?}", silence.length);
    watch.is_safe(at, &owner)?;
    ensure!(silence.length < GIVEN_UP, "{:?}", silence.length);
    let log = cluster.daemon(&owner)?.log();
    let cause = "its data directory cannot be written: I/O error: No space left";
    ensure!(
        log.contains(cause) && log.contains("giving up what this node owns"),
        "{log}"
    );
    cluster.start(&owner)?;
    let status = cluster.daemon(&owner)?.wait(TAKEOVER)?;
    let said = cluster.log_tail(&owner, 1);
    println!("{status}: {said}");
    ensure!(
        status.code() == Some(1) && said.contains("No space left"),
        "{status}: {said}"
    );
    cluster.fill_disk(&owner, false)?;
    cluster.start(&owner)?;
    ensure!(cluster.settle()? == new, "it went back by itself");
    watch.is_safe(at, &owner)
}

/// As `ip netns exec` starts it: with a bpffs that ends with the daemon, and every pin in it.
fn alone_in_its_mount_namespace() -> Result<()> {
    let mut cluster = Cluster::settled(Fault::DaemonKilled.spec())?;
    let (owner, _) = cluster.settle_apart()?;
    cluster.daemon(&owner)?.terminate()?;
    cluster.daemon(&owner)?.wait(TAKEOVER)?;
    let with_its_own_bpffs = "umount -l /sys/fs/bpf; exec \"$0\" \"$@\"";
    let through = ["unshare", "--mount", "sh", "-c", with_its_own_bpffs];
    cluster.start_through(&owner, &through)?;
    cluster.is_online(&owner)?;
    // Refused until it has said what it could run.
    until("it takes the group back", TAKEOVER, || {
        let moved = cluster.hactl("h3", &["failover", GROUP, "--to", &owner])?;
        Ok(moved.status.success().then_some(()))
    })?;
    let watch = Watch::on(&mut cluster, false)?;
    // Nobody takes over: it must fall silent by itself.
    for other in cluster.names().iter().filter(|name| **name != owner) {
        cluster.daemon(other)?.freeze()?;
    }
    let at = Instant::now();
    cluster.daemon(&owner)?.kill()?;
    let last = watch.falls_silent()?;
    println!("silent {:?} after the kill", last - at);
    pass(last, TAKEOVER / 2)?;
    let heard = watch.client.answers_after(last).len();
    ensure!(
        heard == 0,
        "{heard} answers behind a gate that went with its daemon"
    );
    Ok(())
}
