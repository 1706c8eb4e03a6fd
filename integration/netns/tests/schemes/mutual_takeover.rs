//! mutual-takeover: beside one's own work, marked, and home again.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use had_netns::forecast::lose;
use had_netns::watch::Watch;
use had_rig::cluster::{SETTLE, Status, vip_of};
use had_rig::{Cluster, ClusterSpec, GroupText};

/// Mail at home on h1 and files on h2, with these partners of theirs.
fn groups(of_mail: &[&str], of_files: &[&str]) -> [GroupText; 2] {
    let group = |name, number, home, partners: &[&str]| {
        GroupText::mutual_takeover(name, vip_of(number), home, partners).failback("auto")
    };
    [
        group("mail", 0, "h1", of_mail),
        group("files", 1, "h2", of_files),
    ]
}

/// Who is marked: nodes, then groups.
fn marked(status: &Status) -> Vec<&str> {
    let nodes = status.nodes.iter().filter(|node| node.degraded.is_some());
    let groups = status
        .groups
        .iter()
        .filter(|group| group.degraded.is_some());
    nodes
        .map(|node| node.name.as_str())
        .chain(groups.map(|group| group.name.as_str()))
        .collect()
}

/// h1 is lost; mail runs on `heir`, and exactly `marks` are marked. It is back; mail goes home, and the marks with it.
fn there_and_back(cluster: &mut Cluster, heir: &str, marks: &[&str]) -> Result<()> {
    let watches = Watch::all(cluster, &["mail", "files"])?;
    let (mail, files) = (&watches[0], &watches[1]);
    cluster.wait_everywhere("no marks", SETTLE, |status| marked(status).is_empty())?;
    let (forecast, lost) = lose(cluster, &[mail, files], "h1")?;
    cluster.runs_on("mail", heir)?;
    cluster.runs_on("files", "h2")?;
    let foreseen: Vec<&str> = forecast
        .degraded
        .iter()
        .map(|one| one.node.as_str())
        .collect();
    ensure!(foreseen == [heir], "{forecast:#?}");
    cluster.wait_everywhere("the marks", SETTLE, |status| marked(status) == *marks)?;
    let status = cluster.status(heir)?.context("a daemon answers")?;
    let mark = status.node(heir).and_then(|node| node.degraded.clone());
    let mark = mark.context("a mark")?;
    println!("{heir} is degraded since {}: {}", mark.since, mark.reason);
    ensure!(
        mark.reason.contains("mail"),
        "it does not say by what: {mark:?}"
    );

    let back = Instant::now();
    cluster.power_on("h1")?;
    cluster.answers(&mail.client, "h1")?;
    cluster.runs_on("mail", "h1")?;
    cluster.runs_on("files", "h2")?;
    cluster.wait_everywhere("no marks", SETTLE, |status| marked(status).is_empty())?;
    println!("mail is home, silent for {:?}", mail.silence(back)?.length);
    mail.is_safe(back, heir)?;
    let turns = files.client.record().turns_after(lost);
    ensure!(turns == ["h2".into()], "files moved: {turns:?}");
    Ok(())
}

pub(crate) fn both_on_one() -> Result<()> {
    let groups = groups(&["h2"], &["h1"]);
    let mut cluster = Cluster::settled(ClusterSpec::of(3, groups.into()))?;
    there_and_back(&mut cluster, "h2", &["h2", "mail", "files"])?;
    // And the other way round.
    let watch = Watch::of(&mut cluster, "files")?;
    lose(&mut cluster, &[&watch], "h2")?;
    cluster.runs_on("files", "h1")?;
    cluster.power_on("h2")?;
    cluster.answers(&watch.client, "h2")?;
    cluster.runs_on("mail", "h1")
}

/// h2 comes first in the file, and carries 4 of 5 already; h3 has room.
pub(crate) fn by_capacity() -> Result<()> {
    let [mail, files] = groups(&["h2", "h3"], &["h1", "h3"]);
    let mut cluster = Cluster::settled(ClusterSpec {
        capacities: vec![5, 5, 5],
        ..ClusterSpec::of(3, vec![mail.load(2), files.load(4)])
    })?;
    there_and_back(&mut cluster, "h3", &["h3", "mail"])
}
