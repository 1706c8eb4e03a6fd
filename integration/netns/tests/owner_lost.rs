//! The owner, the leader or a cable is lost.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use had_netns::fault::{Fault, Stand};
use had_netns::watch::{Watch, logs, pass};
use had_rig::binaries::Binaries;
use had_rig::cluster::{GROUP, Status};
use had_rig::story::{Story, tell};
use had_rig::{Cluster, ClusterSpec, Lab};

/// Far above every promise: whether they are kept is measured by `measure`, on a quiet machine.
const TAKEOVER: Duration = Duration::from_secs(3);
/// The lease of the lab's clusters, and what a busy machine may add.
const LEASE: Duration = Duration::from_millis(300 + 50);
/// `nobody`, an ordinary user on every system.
const NOBODY: u32 = 65534;

fn main() -> Result<ExitCode> {
    Binaries::build()?;
    Ok(tell(&[
        Story::new("the_owner_is_cut_silently_and_heals", owner_cut),
        Story::new("the_same_as_an_ordinary_user", owner_cut).as_user(NOBODY),
        Story::new("a_mute_owner_is_replaced", || one_way(Lab::mute)),
        Story::new("a_deaf_owner_is_replaced", || one_way(Lab::deafen)),
        Story::new("the_owner_loses_power_and_comes_back", owner_off),
        Story::new("the_carrier_is_lost_and_a_second_link_stands", carrier),
        Story::new("the_leader_alone_is_lost_and_nobody_notices", leader_alone),
        Story::new("owner_and_leader_are_one_and_lost", owner_leads),
        Story::new("owner_and_leader_of_five_are_lost_together", two_of_five),
    ]))
}

/// A fault on a fresh cluster up to the successor's first answer: who it was, and what to go on with.
fn struck(fault: Fault) -> Result<(Cluster, Watch, Stand, Instant, String)> {
    let mut cluster = Cluster::settled(fault.spec())?;
    let stand = fault.prepare(&mut cluster)?;
    let watch = Watch::on(&mut cluster, true)?;
    let at = fault.strike(&mut cluster, &stand)?;
    let new = watch.successor(&cluster, &stand.owner, at, TAKEOVER)?;
    let silence = watch.silence(at)?;
    println!(
        "{fault}: {} to {new}, silent for {:?}",
        stand.owner, silence.length
    );
    ensure!(silence.length < TAKEOVER, "silent for {:?}", silence.length);
    Ok((cluster, watch, stand, at, new))
}

/// After everything is mended: one owner, still the new one (failback is manual), and never two in between.
fn ends_well(
    cluster: &mut Cluster,
    watch: &Watch,
    stand: &Stand,
    at: Instant,
    new: &str,
) -> Result<()> {
    let owner = cluster.settle()?;
    ensure!(
        owner == new,
        "it went back to {owner} by itself\n{}",
        logs(cluster)
    );
    cluster.answers(&watch.client, new)?;
    watch.is_safe(at, &stand.owner)
}

fn owner_cut() -> Result<()> {
    let (mut cluster, watch, stand, at, new) = struck(Fault::OwnerCut)?;
    pass(at, LEASE * 2)?;
    watch.is_silent_since(at + LEASE, &stand.owner)?;
    cluster.lab.heal(&stand.owner)?;
    ends_well(&mut cluster, &watch, &stand, at, &new)
}

/// The owner is not heard any more, or hears nothing any more. Either way there are never two, and one goes on.
fn one_way(break_it: fn(&mut Lab, &str, u8) -> Result<Instant>) -> Result<()> {
    let mut cluster = Cluster::settled(ClusterSpec::default())?;
    let stand = Fault::OwnerCut.prepare(&mut cluster)?;
    let watch = Watch::on(&mut cluster, true)?;
    let at = break_it(&mut cluster.lab, &stand.owner, 0)?;
    let new = watch.successor(&cluster, &stand.owner, at, TAKEOVER)?;
    println!(
        "{} to {new}, silent for {:?}",
        stand.owner,
        watch.silence(at)?.length
    );
    pass(at, TAKEOVER)?;
    watch.is_safe(at, &stand.owner)?;
    cluster.lab.heal(&stand.owner)?;
    ends_well(&mut cluster, &watch, &stand, at, &new)
}

fn owner_off() -> Result<()> {
    let (mut cluster, watch, stand, at, new) = struck(Fault::OwnerOff)?;
    cluster.power_on(&stand.owner)?;
    ends_well(&mut cluster, &watch, &stand, at, &new)
}

fn carrier() -> Result<()> {
    let (mut cluster, watch, stand, at, new) = struck(Fault::Carrier)?;
    let owner = &stand.owner;
    // It still hears the others over its second link.
    let informed = |status: &Status| status.quorate && status.running_on(GROUP) == Some(&new);
    cluster.wait_status(owner, "it knows who took over", TAKEOVER, informed)?;
    cluster.lab.heal(owner)?;
    ends_well(&mut cluster, &watch, &stand, at, &new)
}

fn leader_alone() -> Result<()> {
    let mut cluster = Cluster::settled(ClusterSpec::default())?;
    let stand = Fault::LeaderAlone.prepare(&mut cluster)?;
    let watch = Watch::on(&mut cluster, true)?;
    let at = Fault::LeaderAlone.strike(&mut cluster, &stand)?;
    let owner = stand.owner.as_str();
    let led = cluster.wait_status(owner, "another leads", TAKEOVER, |status| {
        status.quorate
            && status
                .leader
                .as_ref()
                .is_some_and(|leader| *leader != stand.leader)
    })?;
    pass(at, LEASE * 3)?;
    let (silence, turns) = (watch.silence(at)?, watch.client.record().turns_after(at));
    println!(
        "{} to {:?}, longest gap {:?}",
        stand.leader, led.leader, silence.length
    );
    ensure!(turns == [owner.into()], "the group moved: {turns:?}");
    ensure!(
        silence.length < Duration::from_millis(150),
        "a gap of {:?}",
        silence.length
    );
    cluster.power_on(&stand.leader)?;
    ensure!(cluster.settle()? == owner, "the group moved at the return");
    ensure!(
        watch.client.record().turns_after(at) == [owner.into()],
        "another answered"
    );
    Ok(())
}

fn owner_leads() -> Result<()> {
    let (mut cluster, watch, stand, at, new) = struck(Fault::OwnerAndLeader)?;
    cluster.power_on(&stand.owner)?;
    ends_well(&mut cluster, &watch, &stand, at, &new)
}

fn two_of_five() -> Result<()> {
    let mut cluster = Cluster::settled(ClusterSpec {
        nodes: 5,
        ..ClusterSpec::default()
    })?;
    let (owner, leader) = cluster.settle_apart()?;
    let watch = Watch::on(&mut cluster, true)?;
    let at = cluster.lab.cut_all(&owner)?;
    cluster.lab.cut_all(&leader)?;
    let new = watch.successor(&cluster, &owner, at, TAKEOVER)?;
    ensure!(new != leader, "the cut leader answers");
    let silence = watch.silence(at)?;
    println!(
        "{owner} and {leader} of five: to {new}, silent for {:?}",
        silence.length
    );
    cluster.lab.heal(&owner)?;
    cluster.lab.heal(&leader)?;
    ends_well(&mut cluster, &watch, &Stand { owner, leader }, at, &new)
}
