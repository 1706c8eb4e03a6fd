//! `hactl group` and `hactl maintenance`.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use had_netns::forecast::lose;
use had_netns::watch::{Watch, pass};
use had_rig::cluster::{GROUP, SETTLE, Status, vip};
use had_rig::{Cluster, ClusterSpec};

/// Longer than the daemon looks after its addresses by itself (every 3 s).
const LOOKED_AFTER: Duration = Duration::from_secs(4);
/// What was left alone is looked after again within this.
const SOON: Duration = Duration::from_secs(1);

pub(crate) fn stopped() -> Result<()> {
    let mut cluster = Cluster::settled(ClusterSpec::default())?;
    let owner = cluster.settle()?;
    let watch = Watch::on(&mut cluster, false)?;
    cluster.command("h3", &["group", "stop", GROUP])?;
    // It has returned: nobody serves any more.
    let stopped = Instant::now();
    cluster.is_in_state(GROUP, "stopped")?;
    let last = watch.falls_silent()?;
    ensure!(
        last <= stopped + Duration::from_millis(50),
        "answered {:?} later",
        last - stopped
    );
    // Neither a loss nor a return starts it.
    cluster.lab.power_off(&owner)?;
    let lost = |status: &Status| {
        let node = status.node(&owner);
        status.quorate && node.is_some_and(|node| node.state == "lost")
    };
    cluster.wait_everywhere("the loss is known", SETTLE, lost)?;
    cluster.power_on(&owner)?;
    cluster.is_online(&owner)?;
    cluster.is_in_state(GROUP, "stopped")?;
    let heard = watch.client.answers_after(last).len();
    ensure!(heard == 0, "{heard} answers of a stopped group");
    println!("{}", cluster.command("h2", &["group", "start", GROUP])?);
    let status = cluster.status("h2")?.context("a daemon answers")?;
    ensure!(
        status.running_on(GROUP) == Some("h1"),
        "it has returned: {status:#?}"
    );
    cluster.answers(&watch.client, "h1").map(|_| ())
}

/// Somebody else on the network has the address: it cannot be started.
pub(crate) fn cleared() -> Result<()> {
    let mut cluster = Cluster::settled(ClusterSpec {
        ipv6: false,
        ..ClusterSpec::default()
    })?;
    cluster.command("h3", &["group", "stop", GROUP])?;
    cluster.lab.client()?.add_address("eth0", vip(), 24)?;
    cluster.hactl("h3", &["group", "start", GROUP])?;
    let fails = |status: &Status| {
        let group = status.group(GROUP);
        group.is_some_and(|group| group.running_on().is_none() && group.state != "starting")
    };
    let status = cluster.wait_status("h3", "it fails", SETTLE, fails)?;
    println!("{:#?}", status.group(GROUP));
    cluster.lab.client()?.delete_address("eth0", vip(), 24)?;
    let at = Instant::now();
    println!("{}", cluster.command("h3", &["group", "clear", GROUP])?);
    cluster.wait_everywhere("it runs", SETTLE, |status| {
        status.running_on(GROUP).is_some()
    })?;
    let took = at.elapsed();
    ensure!(
        took < Duration::from_secs(5),
        "clear did not forget it: {took:?}"
    );
    Ok(())
}

pub(crate) fn maintenance() -> Result<()> {
    let mut cluster = Cluster::settled(ClusterSpec {
        links: 2,
        failback: "auto",
        ..ClusterSpec::default()
    })?;
    let owner = cluster.settle()?;
    let watch = Watch::on(&mut cluster, false)?;
    let in_maintenance = |on| {
        move |status: &Status| {
            status
                .group(GROUP)
                .is_some_and(|group| group.maintenance == on)
        }
    };
    let begin = Instant::now();
    cluster.command("h3", &["maintenance", "on", GROUP])?;
    cluster.wait_everywhere("in maintenance", SETTLE, in_maintenance(true))?;

    // Watched, not touched.
    let delete = |cluster: &mut Cluster| {
        let host = cluster.lab.host(&owner)?;
        host.delete_address("eth0", vip(), 24)
            .or_else(|_| host.delete_address("eth0", vip(), 32))
    };
    delete(&mut cluster)?;
    let deleted = watch.falls_silent()?;
    pass(deleted, LOOKED_AFTER)?;
    let heard = watch.client.answers_after(deleted).len();
    ensure!(heard == 0, "the address came back: {heard} answers");
    // Neither a cable nor a drain moves it.
    cluster.lab.carrier_down(&owner, 0)?;
    pass(Instant::now(), SOON)?;
    cluster.lab.heal(&owner)?;
    cluster.command("h3", &["node", "drain", &owner])?;
    pass(Instant::now(), SOON)?;
    for node in cluster.names() {
        let status = cluster.status(&node)?.context("a daemon answers")?;
        let group = status.group(GROUP).context("the group")?;
        ensure!(
            group.owner.as_ref() == Some(&owner),
            "{node}: it moved: {group:#?}"
        );
    }
    cluster.command("h3", &["node", "resume", &owner])?;
    let turns = watch.client.record().turns_after(begin);
    ensure!(turns == [owner.as_str().into()], "{turns:?}");

    // Looked after again.
    let off = Instant::now();
    cluster.command("h3", &["maintenance", "off", GROUP])?;
    let back = cluster.answers(&watch.client, &owner)?;
    println!("back {:?} after maintenance", back - off);
    ensure!(back - off < SOON, "only after {:?}", back - off);
    cluster.wait_everywhere("no maintenance", SETTLE, in_maintenance(false))?;
    cluster.runs_on(GROUP, &owner)?;

    // Of everything: an owner that serves goes on, whatever is asked of its node; a lost one is not replaced.
    let all = Instant::now();
    cluster.command("h2", &["maintenance", "on"])?;
    cluster.wait_everywhere("all in maintenance", SETTLE, |status| status.maintenance)?;
    cluster.command("h3", &["node", "drain", &owner])?;
    pass(Instant::now(), SOON)?;
    let turns = watch.client.record().turns_after(all);
    ensure!(turns == [owner.as_str().into()], "{turns:?}");
    let after = Instant::now();
    cluster.command("h2", &["maintenance", "off"])?;
    // Drained it is still: now it counts.
    let new = watch.successor(&cluster, &owner, after, SETTLE)?;
    ensure!(new == "h2", "{new} took over");
    watch.is_safe(after, &owner)?;
    cluster.command("h3", &["node", "resume", &owner])?;
    cluster.answers(&watch.client, &owner)?;

    cluster.command("h2", &["maintenance", "on", GROUP])?;
    cluster.wait_everywhere("in maintenance", SETTLE, in_maintenance(true))?;
    let (forecast, at) = lose(&mut cluster, &[], &owner)?;
    let turns = watch.client.record().turns_after(at);
    ensure!(
        turns.is_empty(),
        "taken over in maintenance: {turns:?}; {forecast:#?}"
    );
    Ok(())
}
