//! simple-failover: the backup first drops what gives way.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use had_netns::forecast::{Outage, lose};
use had_netns::watch::Watch;
use had_rig::cluster::vip_of;
use had_rig::{Cluster, ClusterSpec, GroupText};

/// Orders and reports, which gives way to it; reports may run on `nodes`.
fn cluster(failback: &str, nodes: &[&str]) -> Result<Cluster> {
    Cluster::settled(ClusterSpec::of(
        3,
        vec![
            GroupText::simple_failover("orders", vip_of(0), "h1", "h2")
                .failback(failback)
                .displaces(&["reports"]),
            GroupText::idle_standby("reports", vip_of(1), nodes).failback("auto"),
        ],
    ))
}

/// Both groups, each with its watch.
fn watched(cluster: &mut Cluster) -> Result<(Watch, Watch)> {
    cluster.runs_on("orders", "h1")?;
    cluster.runs_on("reports", "h2")?;
    Ok((
        Watch::of(cluster, "orders")?,
        Watch::of(cluster, "reports")?,
    ))
}

/// `first` was last heard on `node` before `then` was first heard there.
fn one_after_the_other(first: &Watch, then: &Watch, node: &str, since: Instant) -> Result<()> {
    let on_node = |watch: &Watch| {
        let answers = watch.client.answers_after(since);
        answers
            .into_iter()
            .filter(|answer| &*answer.who == node)
            .collect::<Vec<_>>()
    };
    let begins = on_node(then).first().map(|answer| answer.at);
    let begins = begins.with_context(|| format!("{} was heard on {node}", then.group))?;
    // What was asked before the other began may have been answered a moment before it, and be read a moment later.
    let late = on_node(first)
        .into_iter()
        .filter(|answer| answer.asked > begins)
        .count();
    ensure!(
        late == 0,
        "{node} served {} for {late} asks after it served {}",
        first.group,
        then.group
    );
    Ok(())
}

pub(crate) fn displaced() -> Result<()> {
    let mut cluster = cluster("manual", &["h2"])?;
    let (orders, reports) = watched(&mut cluster)?;
    let (forecast, at) = lose(&mut cluster, &[&orders, &reports], "h1")?;
    let fate = forecast.fate("reports")?;
    ensure!(
        fate.state == "displaced" && fate.outage == Outage::Lasting,
        "{fate:?}"
    );
    cluster.runs_on("orders", "h2")?;
    cluster.is_in_state("reports", "displaced")?;
    for node in ["h2", "h3"] {
        let status = cluster.status(node)?.context("a daemon answers")?;
        let reason = &status.group("reports").context("reports")?.reason;
        println!("{node}: reports: {reason}");
        ensure!(
            reason.contains("orders"),
            "it does not say by whom: {reason}"
        );
    }
    one_after_the_other(&reports, &orders, "h2", at)?;

    // Failback is manual: it stays so until an operator asks.
    let back = Instant::now();
    cluster.power_on("h1")?;
    cluster.is_online("h1")?;
    cluster.runs_on("orders", "h2")?;
    let heard = reports.client.answers_after(back).len();
    ensure!(heard == 0, "reports was heard {heard} times beside orders");
    let home = Instant::now();
    cluster.insist("h3", &["failback", "orders"])?;
    cluster.answers(&orders.client, "h1")?;
    cluster.answers(&reports.client, "h2")?;
    cluster.runs_on("orders", "h1")?;
    cluster.runs_on("reports", "h2")?;
    println!(
        "orders is home, silent for {:?}",
        orders.silence(home)?.length
    );
    orders.is_safe(home, "h2")
}

pub(crate) fn moves_aside() -> Result<()> {
    let mut cluster = cluster("auto", &["h2", "h3"])?;
    let (orders, reports) = watched(&mut cluster)?;
    let (forecast, at) = lose(&mut cluster, &[&orders, &reports], "h1")?;
    let fate = forecast.fate("reports")?;
    ensure!(
        fate.state == "runs" && fate.after.as_deref() == Some("h3"),
        "{fate:?}"
    );
    cluster.runs_on("orders", "h2")?;
    cluster.runs_on("reports", "h3")?;
    one_after_the_other(&reports, &orders, "h2", at)?;
    reports.is_safe(at, "h2")?;
    // Orders goes home by itself, and then reports does.
    let back = Instant::now();
    cluster.power_on("h1")?;
    cluster.answers(&orders.client, "h1")?;
    cluster.answers(&reports.client, "h2")?;
    cluster.runs_on("orders", "h1")?;
    cluster.runs_on("reports", "h2")?;
    one_after_the_other(&orders, &reports, "h2", back)?;
    orders.is_safe(back, "h2")?;
    reports.is_safe(back, "h3")
}
