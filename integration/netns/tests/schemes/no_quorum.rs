//! `on_quorum_loss = "keep"`: it goes on without a majority, and says what that means.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use had_netns::forecast::Forecast;
use had_netns::watch::{Watch, pass};
use had_rig::cluster::{SETTLE, Status, vip, vip_of};
use had_rig::{Cluster, ClusterSpec, GroupText, until};

/// The lease of the lab's clusters, and what a busy machine may add.
const LEASE: Duration = Duration::from_millis(300 + 50);
/// Two owners in sight of each other are one within this.
const AGAIN_ONE: Duration = Duration::from_secs(1);

/// One group that keeps, and one that does not; both prefer h1.
fn cluster() -> Result<(Cluster, Watch)> {
    let nodes = ["h1", "h2", "h3"];
    let mut cluster = Cluster::settled(ClusterSpec::of(
        3,
        vec![
            GroupText::idle_standby("web", vip(), &nodes).keeps(),
            GroupText::idle_standby("safe", vip_of(1), &nodes),
        ],
    ))?;
    cluster.runs_on("web", "h1")?;
    let watch = Watch::of(&mut cluster, "web")?;
    Ok((cluster, watch))
}

pub(crate) fn keeps() -> Result<()> {
    let (mut cluster, watch) = cluster()?;
    let safe = Watch::of(&mut cluster, "safe")?;
    let forecast = Forecast::of_losing(&mut cluster, "h1", &["h2", "h3"])?;
    ensure!(forecast.goes_on.is_empty(), "{forecast:#?}");
    let states = ["web", "safe"].map(|group| forecast.fate(group).map(|fate| fate.state.clone()));
    let states = states.into_iter().collect::<Result<Vec<_>>>()?;
    ensure!(states == ["keeps", "no-quorum"], "{forecast:#?}");
    for node in ["h2", "h3"] {
        cluster.lab.power_off(node)?;
    }
    let at = Instant::now();
    forecast.comes_true(&mut cluster)?;
    pass(at, LEASE * 5)?;
    let silence = watch.silence(at)?;
    ensure!(
        silence.to.is_some() && silence.length < LEASE,
        "it did not go on: {silence:?}"
    );
    let late = safe.client.record().answers_after(at + LEASE).len();
    ensure!(late == 0, "safe answered {late} times beyond its lease");
    let says = |status: &Status| status.notices.iter().any(|notice| notice.contains("web"));
    let status = cluster.wait_status("h1", "it says so", SETTLE, says)?;
    println!("{}", status.notices.join("\n"));
    // Nobody renews its gate any more.
    cluster.daemon("h1")?.kill()?;
    let killed = Instant::now();
    let last = watch.falls_silent()?;
    let after = last.saturating_duration_since(killed);
    println!("silent {after:?} after the daemon was killed");
    ensure!(after < LEASE, "it went on for {after:?}");
    // A daemon without a lease starts nothing, whatever its file says.
    cluster.start("h1")?;
    cluster.wait_status("h1", "it answers", SETTLE, |_| true)?;
    pass(Instant::now(), LEASE * 3)?;
    let heard = watch.client.answers_after(last).len();
    ensure!(heard == 0, "{heard} answers of a restarted daemon");
    for node in ["h2", "h3"] {
        cluster.power_on(node)?;
    }
    let owner = cluster.settle()?;
    cluster.answers(&watch.client, &owner).map(|_| ())
}

pub(crate) fn gives_way() -> Result<()> {
    let (mut cluster, watch) = cluster()?;
    let at = cluster.lab.cut_all("h1")?;
    let new = watch.successor(&cluster, "h1", at, SETTLE)?;
    ensure!(new == "h2", "{new} took over");
    // Behind its cut it still serves; nobody sees it.
    let status = cluster.wait_status("h1", "it knows of no majority", SETTLE, |status| {
        !status.quorate
    })?;
    println!("{}", status.notices.join("\n"));
    let healed = cluster.lab.heal("h1")?;
    cluster.runs_on("web", "h2")?;
    // Until it has heard of the other owner it both answers and claims the address.
    let one = until("one owner again", SETTLE, || {
        let answers = watch.client.answers_after(healed);
        let answered = answers.iter().rev().find(|answer| &*answer.who == "h1");
        let frames = watch.wire.frames()?;
        let claimed = frames.iter().rev().find(|frame| frame.host == "h1");
        let last = [
            answered.map(|answer| answer.at),
            claimed.map(|frame| frame.at),
        ];
        let since = last
            .into_iter()
            .flatten()
            .max()
            .map_or(healed, |at| at.max(healed));
        Ok((since.elapsed() > LEASE * 2).then_some(since - healed))
    })?;
    println!("one owner {one:?} after the network was whole");
    ensure!(one < AGAIN_ONE, "two owners for {one:?}");
    let quiet = healed + one;
    watch.is_silent_since(quiet, "h1")?;
    let turns = watch.client.record().turns_after(quiet);
    ensure!(turns == ["h2".into()], "{turns:?}");
    cluster.settle().context("all in order").map(|_| ())
}
