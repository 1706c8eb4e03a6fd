//! `hactl explain`: the same from every node, now and for an earlier moment.

use std::time::SystemTime;

use anyhow::{Context, Result, ensure};
use had_netns::forecast::lose;
use had_netns::history::explain;
use had_netns::watch::Watch;
use had_rig::{Cluster, ClusterSpec};

/// What every node that is alive says of the owner of `web`, at a moment or now.
fn owner(cluster: &mut Cluster, at: Option<SystemTime>) -> Result<(String, u64)> {
    let mut said = Vec::new();
    for node in cluster.alive()? {
        let explanation = explain(cluster, &node, "web", at)?;
        ensure!(explanation.past == at.is_some(), "{node}: {explanation:?}");
        println!("{node}: {}", explanation.text);
        ensure!(!explanation.text.is_empty(), "{node}: {explanation:?}");
        let owner = explanation.owner.clone().context("an owner")?;
        // Judged are all three, also then.
        let verdict = explanation
            .candidate(&owner)
            .map(|one| one.verdict.as_str());
        ensure!(verdict == Some("owner"), "{node}: {explanation:#?}");
        ensure!(
            explanation.candidates.len() == 3,
            "{node}: {explanation:#?}"
        );
        said.push((owner, explanation.epoch));
    }
    said.dedup();
    ensure!(said.len() == 1, "several owners are named: {said:?}");
    said.pop().context("somebody is alive")
}

pub(crate) fn everywhere() -> Result<()> {
    let mut cluster = Cluster::settled(ClusterSpec::default())?;
    let watch = Watch::on(&mut cluster, false)?;
    let first = owner(&mut cluster, None)?;
    ensure!(first.0 == "h1", "{first:?}");
    let before = SystemTime::now();
    lose(&mut cluster, &[&watch], "h1")?;
    let second = owner(&mut cluster, None)?;
    ensure!(second.0 == "h2" && second.1 > first.1, "{second:?}");
    ensure!(
        owner(&mut cluster, Some(before))? == first,
        "another owner was there before"
    );
    let refused = explain(&mut cluster, "h3", "web", None)?;
    let refused = refused.candidate("h1").context("h1 is judged")?;
    ensure!(
        refused.verdict == "refused" && refused.why.contains("lost"),
        "{refused:?}"
    );

    // A node that was away when it happened knows it all the same, and so does everybody after another move.
    cluster.power_on("h1")?;
    cluster.settle()?;
    let between = SystemTime::now();
    cluster.insist("h1", &["failover", "web", "--to", "h3"])?;
    cluster.runs_on("web", "h3")?;
    let third = owner(&mut cluster, None)?;
    ensure!(third.0 == "h3", "{third:?}");
    ensure!(
        owner(&mut cluster, Some(between))? == second,
        "between the moves"
    );
    ensure!(
        owner(&mut cluster, Some(before))? == first,
        "before both moves"
    );
    Ok(())
}
