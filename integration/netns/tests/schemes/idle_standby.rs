//! idle-standby: the highest priority that lives.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use had_netns::forecast::lose;
use had_netns::watch::Watch;
use had_rig::cluster::vip_of;
use had_rig::{Cluster, ClusterSpec, GroupText};

/// Two leases: what `failback = "auto"` waits.
const AUTO: Duration = Duration::from_millis(600);
/// What the file of [`failbacks`] says of `later`.
const LATER: Duration = Duration::from_secs(3);
/// What a busy machine may add to it.
const BUSY: Duration = Duration::from_secs(1);

/// h1 is next again once it is back, before h4, which never was.
pub(crate) fn three_losses() -> Result<()> {
    let mut cluster = Cluster::settled(ClusterSpec {
        nodes: 5,
        ..ClusterSpec::default()
    })?;
    let watch = Watch::on(&mut cluster, true)?;
    for (lost, heir, back) in [
        ("h1", "h2", None),
        ("h2", "h3", Some("h1")),
        ("h3", "h1", None),
    ] {
        let (_, at) = lose(&mut cluster, &[&watch], lost)?;
        cluster.runs_on("web", heir)?;
        let turns = watch.client.record().turns_after(at);
        ensure!(
            turns == [heir.into()],
            "{lost} was lost, and {turns:?} answered"
        );
        if let Some(back) = back {
            cluster.power_on(back)?;
            cluster.is_online(back)?;
        }
    }
    for node in ["h2", "h3"] {
        cluster.power_on(node)?;
    }
    ensure!(cluster.settle()? == "h1", "it moved when all were back");
    Ok(())
}

pub(crate) fn failbacks() -> Result<()> {
    let order = ["h1", "h2", "h3"];
    let groups = [
        ("stays", 0, "manual"),
        ("soon", 1, "auto"),
        ("later", 2, "3s"),
    ];
    let mut cluster = Cluster::settled(ClusterSpec::of(
        3,
        groups
            .map(|(name, number, when)| {
                GroupText::idle_standby(name, vip_of(number), &order).failback(when)
            })
            .into(),
    ))?;
    let watches = Watch::all(&mut cluster, &["stays", "soon", "later"])?;
    let [stays, soon, later] = &watches[..] else {
        unreachable!("three groups are watched");
    };
    lose(&mut cluster, &[stays, soon, later], "h1")?;
    for group in ["stays", "soon", "later"] {
        cluster.runs_on(group, "h2")?;
    }

    let on = Instant::now();
    cluster.power_on("h1")?;
    let home = cluster.answers(&soon.client, "h1")?;
    ensure!(home - on >= AUTO, "auto did not wait: {:?}", home - on);
    println!("soon is home {:?} after the power was back", home - on);
    // A break: the daemon is another one, and has been there for no time at all.
    cluster.daemon("h1")?.kill()?;
    let again = Instant::now();
    cluster.start("h1")?;
    cluster.is_online("h1")?;
    let online = Instant::now();
    let home = cluster.answers(&later.client, "h1")?;
    println!("later is home {:?} after a new start", home - again);
    ensure!(
        home - again >= LATER,
        "it did not count from scratch: {:?}",
        home - again
    );
    ensure!(
        home - online <= LATER + BUSY,
        "only after {:?}",
        home - online
    );

    cluster.runs_on("stays", "h2")?;
    let turns = stays.client.record().turns_after(on);
    ensure!(turns == ["h2".into()], "{turns:?}");
    let at = Instant::now();
    cluster.insist("h3", &["failback", "stays"])?;
    cluster.answers(&stays.client, "h1")?;
    for (watch, since) in [(stays, at), (later, online)] {
        watch.is_safe(since, "h2")?;
    }
    Ok(())
}
