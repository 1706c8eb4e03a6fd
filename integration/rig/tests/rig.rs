//! The rig itself, against a service whose address the test moves by hand.

use std::net::{IpAddr, SocketAddr};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use had_rig::story::{Story, tell};
use had_rig::wire::Use;
use had_rig::{Client, Lab, LabSpec, until};

const PORT: u16 = 7000;
const SOON: Duration = Duration::from_secs(5);
/// `nobody`, an ordinary user on every system.
const NOBODY: u32 = 65534;

fn main() -> ExitCode {
    tell(&[
        Story::new(
            "every_host_answers_the_client_on_both_families",
            both_families,
        ),
        Story::new("the_same_as_an_ordinary_user", both_families).as_user(NOBODY),
        Story::new("a_silent_cut_keeps_the_carrier", silent_cut),
        Story::new("a_mute_host_hears_and_a_deaf_one_is_heard", one_way),
        Story::new("a_pulled_cable_takes_the_carrier", pulled_cable),
        Story::new("a_silence_is_measured_as_long_as_it_was", silence),
        Story::new("two_owners_are_noticed_by_client_and_wire", two_owners),
        Story::new("nothing_leaves_a_host_without_power", power),
        Story::new("power_failures_work_as_an_ordinary_user", power).as_user(NOBODY),
        Story::new("everything_on_a_host_dies_with_it", nothing_survives),
        Story::new("a_frozen_process_goes_on_when_thawed", frozen),
    ])
}

fn vip() -> IpAddr {
    [10, 77, 0, 100].into()
}

fn at(address: IpAddr) -> SocketAddr {
    (address, PORT).into()
}

/// A lab in which every host answers on the port.
fn lab(spec: LabSpec) -> Result<Lab> {
    let mut lab = Lab::new(spec)?;
    for name in lab.names().map(str::to_owned).collect::<Vec<_>>() {
        lab.host(&name)?.respond(PORT)?;
    }
    Ok(lab)
}

/// Waits until the client hears `who`, after this moment.
fn hears(client: &Client, who: &str) -> Result<()> {
    let start = Instant::now();
    until(&format!("{who} answers"), SOON, || {
        let latest = client
            .latest()
            .filter(|answer| answer.at > start && &*answer.who == who);
        Ok(latest.map(|_| ()))
    })
}

/// Waits until the client has heard nobody for a tenth of a second.
fn hears_nobody(client: &Client) -> Result<()> {
    let quiet = Duration::from_millis(100);
    until("nobody answers", SOON, || {
        let latest = client.latest().context("nobody ever answered")?;
        Ok((latest.at.elapsed() > quiet).then_some(()))
    })
}

fn carrier(lab: &mut Lab, host: &str, link: u8) -> Result<bool> {
    let mut cat = Command::new("cat");
    cat.arg(format!("/sys/class/net/eth{link}/carrier"));
    let output = lab.host(host)?.run(cat, SOON)?;
    ensure!(output.status.success(), "{output:?}");
    Ok(output.stdout == b"1\n")
}

fn both_families() -> Result<()> {
    let mut lab = lab(LabSpec {
        hosts: 3,
        links: 2,
        ..LabSpec::default()
    })?;
    for (address, who) in [("10.77.0.1", "h1"), ("10.77.0.3", "h3"), ("fd77::2", "h2")] {
        let client = Client::start(lab.client()?, at(address.parse()?))?;
        hears(&client, who)?;
    }
    // The second switch is a network of its own.
    let client = Client::start(lab.host("h1")?, at("10.78.0.2".parse()?))?;
    hears(&client, "h2")
}

fn silent_cut() -> Result<()> {
    let mut lab = lab(LabSpec::default())?;
    let client = Client::start(lab.client()?, at("10.77.0.1".parse()?))?;
    hears(&client, "h1")?;
    lab.cut("h1", 0)?;
    hears_nobody(&client)?;
    ensure!(carrier(&mut lab, "h1", 0)?, "the host noticed the cut");
    lab.heal("h1")?;
    hears(&client, "h1")
}

fn one_way() -> Result<()> {
    let mut lab = lab(LabSpec::default())?;
    let of_client = Client::start(lab.client()?, at("10.77.0.1".parse()?))?;
    hears(&of_client, "h1")?;
    // Both know each other's hardware address: what is lost is lost on the way.
    for (fault, mends) in [("mute", "h1"), ("deaf", "h1")] {
        let wire = lab.listen(0, "10.77.0.1".parse()?)?;
        let cut = if fault == "mute" {
            lab.mute("h1", 0)?
        } else {
            lab.deafen("h1", 0)?
        };
        hears_nobody(&of_client)?;
        // A mute host hears the asks and answers them, into the void; a deaf one has nothing to answer.
        let quiet = Instant::now();
        until("the tap has seen some time", SOON, || {
            Ok((quiet.elapsed() > Duration::from_millis(50)).then_some(()))
        })?;
        let answers = wire
            .frames()?
            .iter()
            .filter(|frame| frame.at > cut + Duration::from_millis(20) && frame.how == Use::Packet)
            .count();
        ensure!(
            (answers > 20) == (fault == "mute"),
            "{fault}: {answers} answers on the wire"
        );
        lab.heal("h1")?;
        hears(&of_client, mends)?;
    }
    Ok(())
}

fn pulled_cable() -> Result<()> {
    let mut lab = lab(LabSpec {
        hosts: 2,
        links: 2,
        ..LabSpec::default()
    })?;
    ensure!(carrier(&mut lab, "h1", 0)?, "no carrier at first");
    lab.carrier_down("h1", 0)?;
    until("the carrier goes", SOON, || {
        Ok((!carrier(&mut lab, "h1", 0)?).then_some(()))
    })?;
    ensure!(carrier(&mut lab, "h1", 1)?, "the other link went too");
    lab.heal("h1")?;
    until("the carrier comes back", SOON, || {
        Ok(carrier(&mut lab, "h1", 0)?.then_some(()))
    })
}

fn silence() -> Result<()> {
    let mut lab = lab(LabSpec::default())?;
    let client = Client::start(lab.client()?, at("10.77.0.1".parse()?))?;
    hears(&client, "h1")?;
    let cut = lab.cut("h1", 0)?;
    until("a time passes", SOON, || {
        Ok((cut.elapsed() > Duration::from_millis(200)).then_some(()))
    })?;
    let healed = lab.heal("h1")?;
    hears(&client, "h1")?;
    let silence = client.record().silence_after(cut).context("no silence")?;
    let (was, measured) = (healed - cut, silence.length);
    ensure!(
        measured + Duration::from_millis(20) > was && measured < was + Duration::from_millis(50),
        "{measured:?} measured of a cut of {was:?}"
    );
    Ok(())
}

fn two_owners() -> Result<()> {
    let mut lab = lab(LabSpec::default())?;
    lab.host("h1")?.add_address("eth0", vip(), 24)?;
    let wire = lab.listen(0, vip())?;
    let client = Client::start(lab.client()?, at(vip()))?;
    hears(&client, "h1")?;
    let start = Instant::now();
    // Moved as it should be: the cable of the old owner first. The client's cache knows the old one until it asks again,
    // which a lab without announcements hastens by a new client machine.
    lab.host("h2")?.add_address("eth0", vip(), 24)?;
    let second = Client::start(lab.host("h3")?, at(vip()))?;
    until("both answered somebody", SOON, || {
        let frames = wire.frames()?;
        let used = |host| {
            frames
                .iter()
                .any(|frame| frame.host == host && frame.at > start)
        };
        Ok((used("h1") && used("h2")).then_some(()))
    })?;
    ensure!(
        !wire.overlap_after(start, "h1")?.is_empty(),
        "the wire saw no second owner"
    );
    drop(second);
    Ok(())
}

fn power() -> Result<()> {
    let mut lab = lab(LabSpec::default())?;
    lab.host("h1")?.add_address("eth0", vip(), 24)?;
    let client = Client::start(lab.client()?, at(vip()))?;
    hears(&client, "h1")?;
    let wire = lab.listen(0, vip())?;
    let off = lab.power_off("h1")?;
    ensure!(!lab.host("h1")?.is_on(), "it still runs");
    hears_nobody(&client)?;
    let record = client.record();
    let late = record.answers_after(off + Duration::from_millis(5)).len();
    ensure!(late == 0, "{late} answers without power");
    drop(wire);
    lab.power_on("h1")?;
    lab.host("h1")?.respond(PORT)?;
    let own = Client::start(lab.client()?, at("10.77.0.1".parse()?))?;
    hears(&own, "h1")?;
    ensure!(
        client.latest().is_some_and(|answer| answer.at < off + SOON),
        "addresses outlived it"
    );
    // Again, with everything new.
    lab.power_off("h1")?;
    hears_nobody(&own)
}

fn nothing_survives() -> Result<()> {
    let mut lab = lab(LabSpec::default())?;
    // A child that leaves its session and its parent, as a service may.
    let mut shell = Command::new("sh");
    shell.args([
        "-c",
        "setsid sh -c 'echo $$ >alive; sleep 1000' & sleep 1000",
    ]);
    let host = lab.host("h1")?;
    shell.current_dir(host.files());
    let alive = host.files().join("alive");
    let process = host.spawn("service", shell)?;
    until("the service runs", SOON, || {
        Ok(alive.exists().then_some(()))
    })?;
    let sleepers = || {
        let processes = std::fs::read_dir("/proc")?.filter_map(Result::ok);
        let names =
            processes.filter_map(|one| std::fs::read_to_string(one.path().join("comm")).ok());
        Ok::<_, std::io::Error>(names.filter(|name| name.trim() == "sleep").count())
    };
    until("both sleep", SOON, || Ok((sleepers()? == 2).then_some(())))?;
    lab.power_off("h1")?;
    ensure!(process.ended()?.is_some(), "the process runs on");
    ensure!(sleepers()? == 0, "a descendant survived");
    Ok(())
}

fn frozen() -> Result<()> {
    let mut lab = lab(LabSpec::default())?;
    let host = lab.host("h1")?;
    let mut shell = Command::new("sh");
    shell.args(["-c", "while :; do echo tick; sleep 0.01; done"]);
    let process = host.spawn("ticker", shell)?;
    let ticks = || process.log().lines().count();
    until("it ticks", SOON, || Ok((ticks() > 2).then_some(())))?;
    process.freeze()?;
    let (start, before) = (Instant::now(), ticks());
    until("a time", SOON, || {
        Ok((start.elapsed() > Duration::from_millis(100)).then_some(()))
    })?;
    ensure!(ticks() <= before + 1, "it ran while it was frozen");
    process.thaw()?;
    until("it goes on", SOON, || {
        Ok((ticks() > before + 3).then_some(()))
    })?;
    process.kill()
}
