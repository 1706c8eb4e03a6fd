//! What a host must bring for a daemon: what lacks is named, and what is not needed is not asked for.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use had_netns::watch::{Watch, pass};
use had_rig::binaries::Binaries;
use had_rig::cluster::{GROUP, GroupText, SETTLE, Status, vip_of};
use had_rig::story::{Story, tell};
use had_rig::{Cluster, ClusterSpec};

/// An ended daemon takes its addresses down first.
const ENDS: Duration = Duration::from_secs(5);
/// The capabilities that `examples/systemd/had.service` leaves a daemon.
const AS_A_SERVICE: &str = "--bounding-set=-all,+net_admin,+net_raw,+bpf,+perfmon,+ipc_lock,+chown";

fn main() -> Result<ExitCode> {
    Binaries::build()?;
    Ok(tell(&[
        Story::new("check_names_what_a_host_lacks", checked),
        Story::new("a_witness_needs_no_privileges", witness),
        Story::new(
            "the_capabilities_of_the_service_are_enough_for_an_owner",
            as_a_service,
        ),
        Story::new(
            "a_killed_owner_that_comes_back_as_a_witness_says_nothing",
            came_back_as_a_witness,
        ),
        Story::new("a_copy_of_another_nodes_disk_is_refused", copied),
        Story::new(
            "a_daemon_under_the_name_of_another_host_touches_nothing",
            under_another_name,
        ),
        Story::new(
            "a_node_that_restarts_knows_what_it_could_run_of_a_group_that_was_added",
            a_group_is_added,
        ),
        Story::new(
            "an_owner_without_privileges_says_so_and_does_not_start",
            without_privileges,
        ),
    ]))
}

/// Everything that is said of these things begins with a word.
fn says(said: &str, grade: &str, parts: &[&str]) -> Result<()> {
    let line = said
        .lines()
        .find(|line| line.starts_with(grade) && parts.iter().all(|part| line.contains(part)));
    line.map(drop)
        .with_context(|| format!("no line says {grade} {parts:?}:\n{said}"))
}

fn checked() -> Result<()> {
    let mut cluster = Cluster::settled(ClusterSpec::default())?;
    let (good, said) = cluster.check_host("h1", "h1")?;
    ensure!(!good, "it runs already, and nothing is wrong: {said}");
    says(
        &said,
        "ERROR",
        &["port 10.77.0.1:7400", "does had run already?"],
    )?;
    end(&mut cluster, "h1")?;
    let (good, said) = cluster.check_host("h1", "h1")?;
    ensure!(good, "{said}");
    says(&said, "ok", &["gate", "works here"])?;
    says(&said, "ok", &["tls", "fit"])?;
    says(&said, "ok", &[GROUP, "can go on eth0"])?;
    says(&said, "ok", &["peer h2", "answers"])?;
    let (good, said) = cluster.check_host("h1", "h2")?;
    ensure!(!good, "h1 is not h2: {said}");
    says(&said, "ERROR", &["tls", "h2"])?;
    says(
        &said,
        "ERROR",
        &["port 10.77.0.2:7400", "does not have the address"],
    )?;
    end(&mut cluster, "h2")?;
    cluster.lab.cut("h3", 0)?;
    let (_, said) = cluster.check_host("h1", "h1")?;
    says(
        &said,
        "warning",
        &["peer h2", "no daemon listens there yet"],
    )?;
    says(&said, "ERROR", &["peer h3", "no answer within a second"])?;
    cluster.lab.carrier_down("h1", 0)?;
    let (good, said) = cluster.check_host("h1", "h1")?;
    ensure!(!good, "{said}");
    says(&said, "ERROR", &[GROUP, "eth0 has no carrier"])
}

fn end(cluster: &mut Cluster, node: &str) -> Result<()> {
    cluster.daemon(node)?.terminate()?;
    cluster.daemon(node)?.wait(ENDS).map(drop)
}

/// Nothing but votes is asked of it, and no capability does it need.
fn witness() -> Result<()> {
    let mut cluster = Cluster::settled(ClusterSpec {
        witness: true,
        ..ClusterSpec::default()
    })?;
    end(&mut cluster, "h3")?;
    cluster.start_through("h3", &["setpriv", "--bounding-set=-all"])?;
    cluster.is_online("h3")?;
    // It votes: with it alone there is a majority.
    cluster.lab.power_off("h1")?;
    cluster.runs_on(GROUP, "h2")
}

fn as_a_service() -> Result<()> {
    let mut cluster = Cluster::settled(ClusterSpec {
        failback: "auto",
        ..ClusterSpec::default()
    })?;
    let gate = |status: &Status| status.node("h1").map(|node| node.gate.clone());
    let before = cluster.status("h1")?.as_ref().and_then(gate);
    end(&mut cluster, "h1")?;
    cluster.start_through("h1", &["setpriv", AS_A_SERVICE])?;
    cluster.runs_on(GROUP, "h1")?;
    let client = cluster.client()?;
    cluster.answers(&client, "h1")?;
    // The best that there is here: BPF for root, nftables in a user namespace.
    cluster.wait_everywhere("it has the same gate", SETTLE, |status| {
        gate(status) == before && before.as_deref() != Some("none")
    })?;
    cluster.insist("h1", &["failover", GROUP, "--to", "h2"])?;
    cluster.answers(&client, "h2").map(drop)
}

/// Its owner serves on, and no gate is left that would silence the address here.
fn under_another_name() -> Result<()> {
    let mut cluster = Cluster::settled(ClusterSpec {
        tls: false,
        ..ClusterSpec::default()
    })?;
    cluster.runs_on(GROUP, "h1")?;
    let watch = Watch::on(&mut cluster, false)?;
    let at = Instant::now();
    let asked = [
        "run",
        "--config",
        "/run/host/cluster.toml",
        "--node",
        "h2",
        "--data-dir",
    ];
    let asked = [
        &asked[..],
        &["/run/host/other", "--socket", "/run/host/other.sock"],
    ]
    .concat();
    let (status, said) = cluster.run_had("h1", &asked)?;
    println!("{status}: {said}");
    ensure!(
        status.code() == Some(1) && said.contains("is it the right node name?"),
        "{status}: {said}"
    );
    pass(Instant::now(), Duration::from_millis(500))?;
    let silence = watch.silence(at)?.length;
    ensure!(silence < Duration::from_millis(150), "{silence:?}");
    cluster.answers(&watch.client, "h1").map(drop)
}

/// The log that a restart reads tells of the file without the group first.
fn a_group_is_added() -> Result<()> {
    let group = |name, number| GroupText::idle_standby(name, vip_of(number), &["h1", "h2", "h3"]);
    let mut cluster = Cluster::settled(ClusterSpec::of(3, vec![group(GROUP, 0)]))?;
    let more = group("more", 1);
    cluster.append_to_files(&more.text())?;
    for node in ["h3", "h2", "h1"] {
        end(&mut cluster, node)?;
        cluster.start(node)?;
        cluster.is_online(node)?;
    }
    let ready = |status: &Status| {
        let more = status.group("more");
        more.is_some_and(|more| more.owner.is_some() && more.next.len() == 2)
    };
    cluster.wait_everywhere("everybody could run the new group", SETTLE, ready)?;
    for _ in 0..5 {
        end(&mut cluster, "h3")?;
        cluster.start("h3")?;
        cluster.wait_everywhere("everybody could run it after a restart", SETTLE, ready)?;
    }
    // Its owner is killed and back within the lease: what the log tells first takes the address away.
    let runs_on = |cluster: &mut Cluster| {
        cluster.settle()?;
        let status = cluster.status("h3")?.context("a daemon answers")?;
        let owner = status.running_on("more").context("it runs")?;
        Ok::<_, anyhow::Error>(owner.to_owned())
    };
    let owner = runs_on(&mut cluster)?;
    let client = cluster.client_of(vip_of(1))?;
    cluster.daemon(&owner)?.kill()?;
    cluster.start(&owner)?;
    let owner = runs_on(&mut cluster)?;
    cluster.answers(&client, &owner).map(drop)
}

/// Under a supervisor it takes its time to fail, or it would be started dozens of times a second.
fn without_privileges() -> Result<()> {
    let mut cluster = Cluster::settled(ClusterSpec::default())?;
    end(&mut cluster, "h3")?;
    for (supervisor, least) in [(None, 0), (Some("NOTIFY_SOCKET=/run/nobody"), 1)] {
        let through = ["setpriv", "--bounding-set=-net_raw", "env"];
        let through: Vec<&str> = through.into_iter().chain(supervisor).collect();
        let at = Instant::now();
        cluster.start_through("h3", &through)?;
        let status = cluster.daemon("h3")?.wait(ENDS)?;
        let said = cluster.log_tail("h3", 1);
        println!("{status}: {said}");
        let why = "CAP_NET_RAW is missing to announce addresses: run this as root";
        ensure!(
            status.code() == Some(1) && said.contains(why),
            "{status}: {said}"
        );
        ensure!(
            at.elapsed() >= Duration::from_secs(least),
            "{:?}",
            at.elapsed()
        );
    }
    cluster.start("h3")?;
    cluster.is_online("h3")
}

fn copied() -> Result<()> {
    let mut cluster = Cluster::settled(ClusterSpec::default())?;
    for node in ["h2", "h3"] {
        end(&mut cluster, node)?;
    }
    let [from, to] = ["h2", "h3"].map(|node| {
        let host = cluster.lab.host(node);
        host.map(|host| host.files().join("data"))
    });
    let (from, to) = (from?, to?);
    for entry in std::fs::read_dir(&from)? {
        let entry = entry?;
        std::fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    cluster.start("h3")?;
    let status = cluster.daemon("h3")?.wait(ENDS)?;
    let said = cluster.log_tail("h3", 1);
    println!("{said}");
    ensure!(
        status.code() == Some(1) && said.contains("was made by the node h2, and this is h3"),
        "{status}: {said}"
    );
    cluster.start("h2")?;
    cluster.is_online("h2")
}

/// Its address is still on its interface, behind the shut gate of its former life: a witness needs no gate, and takes that
/// one down only after the address.
fn came_back_as_a_witness() -> Result<()> {
    let mut cluster = Cluster::settled(ClusterSpec::default())?;
    cluster.runs_on(GROUP, "h1")?;
    let watch = Watch::on(&mut cluster, true)?;
    let at = Instant::now();
    cluster.daemon("h1")?.kill()?;
    let new = watch.successor(&cluster, "h1", at, SETTLE)?;
    let file = cluster.lab.host("h1")?.files().join("cluster.toml");
    let text = std::fs::read_to_string(&file)?;
    let own = "addresses = [\"10.77.0.1:7400\"]\n";
    let as_witness = text
        .replace("{ name = \"h1\", priority = 199 }, ", "")
        .replace(own, &format!("{own}role = \"witness\"\n"));
    ensure!(as_witness.matches("witness").count() == 1, "{text}");
    std::fs::write(&file, as_witness)?;
    cluster.start("h1")?;
    cluster.is_online("h1")?;
    pass(Instant::now(), Duration::from_secs(1))?;
    watch.is_safe(at, "h1")?;
    cluster.runs_on(GROUP, &new)
}
