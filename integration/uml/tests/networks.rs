//! Interfaces of every kind that users have. Each carries a group through a switchover and the loss of its owner's daemon,
//! and the former owner says nothing.
//!
//! What this machine's kernel lacks runs on a kernel of its own, with a lease ten times as long: it has one processor.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use had_netns::watch::{Watch, pass};
use had_rig::binaries::Binaries;
use had_rig::client::SLOWER;
use had_rig::cluster::{GROUP, GroupText, SETTLE};
use had_rig::enter::is_real_root;
use had_rig::lab::CLIENT;
use had_rig::story::{Story, tell};
use had_rig::{Cluster, ClusterSpec, Host, until};
use had_uml::Machine;

/// Set for the program that runs on a kernel of its own.
const INSIDE: &str = "HAD_INSIDE_UML";
/// What the stories need there: cables and switches, the interfaces in question, both gates.
const MODULES: [&str; 9] = [
    "veth",
    "bridge",
    "8021q",
    "bonding",
    "macvlan",
    "sch_ingress",
    "cls_bpf",
    "nf_tables",
    "af_packet",
];
/// A machine's start, and a story at a tenth of the speed.
const ITS_OWN_KERNEL: Duration = Duration::from_secs(240);
/// The group's address, in a network of its own beside that of the peers.
const ADDRESS: [u8; 4] = [10, 88, 0, 100];
const NETWORKD: &str = "/lib/systemd/systemd-networkd";
const NODES: [(&str, u8); 4] = [("h1", 1), ("h2", 2), ("h3", 3), (CLIENT, 50)];

fn main() -> Result<ExitCode> {
    Binaries::build()?;
    let mut stories = vec![
        Story::new("on_a_bridge", bridge),
        Story::new("on_a_macvlan", macvlan),
        Story::new("on_one_of_two_interfaces_of_a_lan_that_both_answer", || {
            two_on_a_lan(&[])
        }),
        Story::new(
            "on_one_of_two_interfaces_of_a_lan_with_strict_reverse_paths",
            || two_on_a_lan(&[("rp_filter", "1"), ("arp_ignore", "1")]),
        ),
        Story::new(
            "check_warns_of_two_interfaces_of_a_lan_with_strict_reverse_paths",
            two_on_a_lan_is_warned_of,
        ),
        Story::new(
            "where_the_host_has_a_single_address_and_no_subnet",
            no_subnet,
        ),
        Story::new(
            "where_the_hosts_own_address_goes_and_comes_back",
            own_address_goes,
        ),
    ];
    // It gives up root for a user of its own, whom a user namespace does not know.
    let as_root = is_real_root()? && std::env::var_os("HAD_RIG_USER").is_none();
    if !as_root {
        println!("not run: systemd-networkd deletes an address: only root can start it");
    } else if Path::new(NETWORKD).exists() && Path::new("/usr/bin/dbus-daemon").exists() {
        stories.push(Story::new(
            "where_networkd_deletes_what_it_does_not_know",
            networkd,
        ));
    } else {
        println!(
            "not run: systemd-networkd deletes an address: it or dbus-daemon is not installed"
        );
    }
    if std::env::var_os(INSIDE).is_some() || Machine::is_possible() {
        stories.push(Story::new("on_a_vlan", || apart("on_a_vlan", vlan)).within(ITS_OWN_KERNEL));
        let bond = || apart("on_a_bond_that_loses_a_leg", bond);
        stories.push(Story::new("on_a_bond_that_loses_a_leg", bond).within(ITS_OWN_KERNEL));
    } else {
        println!("not run: on a VLAN, on a bond: Debian's user-mode-linux is not installed");
    }
    Ok(tell(&stories))
}

/// Tells a story on a kernel of its own.
fn apart(name: &str, story: fn() -> Result<()>) -> Result<()> {
    if std::env::var_os(INSIDE).is_some() {
        return story();
    }
    let binaries = Binaries::find()?.had;
    let directory = binaries.parent().unwrap_or(Path::new("/"));
    let machine = Machine {
        first: env!("CARGO_BIN_EXE_had-uml").into(),
        modules: MODULES.to_vec(),
        environment: vec![
            (INSIDE, "1".to_owned()),
            ("HAD_BINARIES", directory.display().to_string()),
            (SLOWER, "10".to_owned()),
        ],
        limit: ITS_OWN_KERNEL,
    };
    let ended = machine.run(&std::env::current_exe()?, &["--exact", name])?;
    println!("{}", ended.text);
    ensure!(
        ended.code == 0 && ended.text.contains("1 passed"),
        "it ended with {}",
        ended.code
    );
    Ok(())
}

/// Three nodes without the interface in question, which `furnish` makes on each and on the client.
fn cluster(
    interface: Option<&'static str>,
    furnish: impl Fn(&mut Cluster, &str, u8) -> Result<()>,
) -> Result<Cluster> {
    let group = GroupText::idle_standby(GROUP, ADDRESS.into(), &["h1", "h2", "h3"]);
    let inside = std::env::var_os(INSIDE).is_some();
    let mut cluster = Cluster::new(ClusterSpec {
        lease_ms: if inside { 3_000 } else { 300 },
        ..ClusterSpec::of(3, vec![group.on(interface)])
    })?;
    for (name, number) in NODES {
        furnish(&mut cluster, name, number)?;
    }
    cluster.settle()?;
    Ok(cluster)
}

/// The group moves by command, then its new owner's daemon is killed.
fn carries(cluster: &mut Cluster) -> Result<()> {
    let owner = cluster.settle()?;
    let watch = Watch::of(cluster, GROUP)?;
    cluster.answers(&watch.client, &owner)?;
    let to = if owner == "h2" { "h3" } else { "h2" };
    let moved = Instant::now();
    cluster.insist(&owner, &["failover", GROUP, "--to", to])?;
    cluster.answers(&watch.client, to)?;
    watch.is_safe(moved, &owner)?;
    println!("moved: silent for {:?}", watch.silence(moved)?.length);
    let killed = Instant::now();
    cluster.daemon(to)?.kill()?;
    let next = watch.successor(cluster, to, killed, Duration::from_secs(20))?;
    // Its address is still on its interface, behind the gate.
    pass(Instant::now(), Duration::from_secs(1))?;
    println!(
        "killed: to {next}, silent for {:?}",
        watch.silence(killed)?.length
    );
    watch.is_safe(killed, to)
}

fn host<'a>(cluster: &'a mut Cluster, name: &str) -> Result<&'a mut Host> {
    cluster.lab.host(name)
}

fn each(cluster: &mut Cluster, name: &str, commands: &[String]) -> Result<()> {
    let host = host(cluster, name)?;
    commands
        .iter()
        .try_for_each(|command| host.ip(command).map(drop))
}

fn vlan() -> Result<()> {
    let mut cluster = cluster(None, |cluster, name, number| {
        each(
            cluster,
            name,
            &[
                "link add link eth0 name eth0.5 type vlan id 5".to_owned(),
                format!("address add 10.88.0.{number}/24 dev eth0.5"),
                "link set eth0.5 up".to_owned(),
            ],
        )
    })?;
    carries(&mut cluster)
}

/// Two more cables, of which one carries at a time.
fn bond() -> Result<()> {
    let mut cluster = cluster(Some("bond0"), |cluster, name, number| {
        for leg in ["eth8", "eth9"] {
            cluster.lab.cable(name, 0, leg)?;
        }
        each(
            cluster,
            name,
            &[
                "link add bond0 type bond mode active-backup miimon 20".to_owned(),
                "link set eth8 master bond0".to_owned(),
                "link set eth9 master bond0".to_owned(),
                "link set bond0 up".to_owned(),
                format!("address add 10.88.0.{number}/24 dev bond0"),
            ],
        )
    })?;
    let owner = cluster.settle()?;
    let client = cluster.client()?;
    let leg = host(&mut cluster, &owner)?.call(|| {
        Ok(std::fs::read_to_string(
            "/sys/class/net/bond0/bonding/active_slave",
        )?)
    })?;
    let leg = leg.trim();
    host(&mut cluster, &owner)?.ip(&format!("link set {leg} down"))?;
    cluster.answers(&client, &owner)?;
    ensure!(
        cluster.settle()? == owner,
        "it moved because a leg was lost"
    );
    carries(&mut cluster)
}

fn bridge() -> Result<()> {
    let mut cluster = cluster(Some("br0"), |cluster, name, number| {
        cluster.lab.cable(name, 0, "eth8")?;
        each(
            cluster,
            name,
            &[
                "link add br0 type bridge".to_owned(),
                "link set eth8 master br0".to_owned(),
                "link set eth8 up".to_owned(),
                "link set br0 up".to_owned(),
                format!("address add 10.88.0.{number}/24 dev br0"),
            ],
        )
    })?;
    carries(&mut cluster)
}

fn macvlan() -> Result<()> {
    let mut cluster = cluster(Some("mv0"), |cluster, name, number| {
        let mac = format!("02:10:00:00:90:{number:02x}");
        each(
            cluster,
            name,
            &[
                format!("link add link eth0 name mv0 address {mac} type macvlan mode bridge"),
                "link set mv0 up".to_owned(),
                format!("address add 10.88.0.{number}/24 dev mv0"),
            ],
        )
    })?;
    carries(&mut cluster)
}

/// Linux answers for any of its addresses on any of its interfaces, so the gate judges on all of them. Where reverse paths are
/// checked strictly, each must answer for its own alone: else what arrives by the other is dropped, also without us.
fn two_on_a_lan(settings: &'static [(&'static str, &'static str)]) -> Result<()> {
    let mut cluster = cluster(Some("eth8"), |cluster, name, number| {
        host(cluster, name)?.call(move || {
            for (key, value) in settings {
                std::fs::write(format!("/proc/sys/net/ipv4/conf/all/{key}"), value)?;
            }
            Ok(())
        })?;
        for (leg, own) in [("eth8", number), ("eth9", number + 100)] {
            cluster.lab.cable(name, 0, leg)?;
            each(
                cluster,
                name,
                &[
                    format!("link set {leg} up"),
                    format!("address add 10.88.0.{own}/24 dev {leg}"),
                ],
            )?;
        }
        Ok(())
    })?;
    carries(&mut cluster)
}

/// What `had check --host` says where both answer and reverse paths are checked strictly.
fn two_on_a_lan_is_warned_of() -> Result<()> {
    let mut cluster = Cluster::new(ClusterSpec::default())?;
    for (leg, own) in [("eth8", 1), ("eth9", 101)] {
        cluster.lab.cable("h1", 0, leg)?;
        let own = format!("address add 10.88.0.{own}/24 dev {leg}");
        each(&mut cluster, "h1", &[own])?;
    }
    let warning = "network 10.88.0.0/24: eth8 and eth9 are both in it";
    let (_, said) = cluster.check_host("h1", "h1")?;
    ensure!(!said.contains(warning), "{said}");
    host(&mut cluster, "h1")?.call(|| {
        Ok(std::fs::write(
            "/proc/sys/net/ipv4/conf/all/rp_filter",
            "1",
        )?)
    })?;
    let (_, said) = cluster.check_host("h1", "h1")?;
    ensure!(said.contains(warning), "{said}");
    Ok(())
}

/// As rented machines have it: an address of 32 bits and routes to everything else. No subnet holds the virtual address, so
/// the file names the interface.
fn no_subnet() -> Result<()> {
    let mut cluster = cluster(Some("eth8"), |cluster, name, number| {
        cluster.lab.cable(name, 0, "eth8")?;
        each(
            cluster,
            name,
            &[
                "link set eth8 up".to_owned(),
                format!("address add 10.88.0.{number}/32 dev eth8"),
                "route add 10.88.0.0/24 dev eth8 scope link".to_owned(),
            ],
        )
    })?;
    carries(&mut cluster)
}

/// A DHCP client that lost its lease takes the interface's primary address off, and with it the kernel takes those that are
/// secondary to it (`promote_secondaries` 0). Ours is not.
fn own_address_goes() -> Result<()> {
    let mut cluster = cluster(None, |cluster, name, number| {
        cluster.lab.cable(name, 0, "eth8")?;
        each(
            cluster,
            name,
            &[
                "link set eth8 up".to_owned(),
                format!("address add 10.88.0.{number}/24 dev eth8"),
            ],
        )
    })?;
    let owner = cluster.settle()?;
    let client = cluster.client()?;
    let number = owner.trim_start_matches('h').to_owned();
    let machine = host(&mut cluster, &owner)?;
    machine.ip(&format!("address delete 10.88.0.{number}/24 dev eth8"))?;
    let shown = machine.ip("address show dev eth8")?;
    ensure!(shown.contains("10.88.0.100/32"), "it went along: {shown}");
    machine.ip(&format!("address add 10.88.0.{number}/24 dev eth8"))?;
    cluster.answers(&client, &owner)?;
    ensure!(cluster.settle()? == owner, "it moved");
    carries(&mut cluster)
}

/// `networkctl reconfigure` takes off every address that is not in its files, ours too. It is back in milliseconds.
fn networkd() -> Result<()> {
    let mut cluster = cluster(Some("eth8"), |cluster, name, number| {
        cluster.lab.cable(name, 0, "eth8")?;
        let own = format!("address add 10.88.0.{number}/24 dev eth8");
        each(cluster, name, &["link set eth8 up".to_owned(), own])
    })?;
    let owner = cluster.settle()?;
    let number = owner.trim_start_matches('h').to_owned();
    // Without a writable /sys it does not wait for udev.
    shell(
        &mut cluster,
        &owner,
        &format!(
            "mount -o remount,ro /sys && mkdir -p /run/systemd/netif /run/systemd/network /run/dbus \
             && chown systemd-network /run/systemd/netif \
             && printf '[Match]\nName=eth8\n[Network]\nAddress=10.88.0.{number}/24\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n' \
             > /run/systemd/network/10-eth8.network && dbus-daemon --system --fork --nopidfile"
        ),
    )?;
    // From now on it is networkd's to put on.
    let machine = host(&mut cluster, &owner)?;
    machine.ip(&format!("address delete 10.88.0.{number}/24 dev eth8"))?;
    machine.spawn("networkd", Command::new(NETWORKD))?;
    let asked = |cluster: &mut Cluster, what: &str| {
        shell(cluster, &owner, &format!("networkctl {what} eth8"))
    };
    until("networkd knows the interface", SETTLE, || {
        let said = asked(&mut cluster, "status")?;
        Ok(said.contains("(configured)").then_some(()))
    })?;
    let mut monitor = Command::new("ip");
    monitor.args(["-4", "-o", "monitor", "address"]);
    let monitor = host(&mut cluster, &owner)?.spawn("monitor", monitor)?;
    let watch = Watch::of(&mut cluster, GROUP)?;
    let at = Instant::now();
    asked(&mut cluster, "reconfigure")?;
    until("it is deleted, and back", SETTLE, || {
        let told = monitor.log();
        let mut lines = told.lines().filter(|line| line.contains("10.88.0.100/32"));
        let deleted = lines.any(|line| line.starts_with("Deleted"));
        let back = lines.any(|line| !line.starts_with("Deleted"));
        Ok((deleted && back).then_some(()))
    })?;
    cluster.answers(&watch.client, &owner)?;
    println!("reconfigured: silent for {:?}", watch.silence(at)?.length);
    ensure!(cluster.settle()? == owner, "it moved");
    Ok(())
}

/// Runs a line of shell on a host and takes nothing but success.
fn shell(cluster: &mut Cluster, name: &str, line: &str) -> Result<String> {
    let mut command = Command::new("sh");
    command.args(["-c", line]);
    let output = host(cluster, name)?.run(command, SETTLE)?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    ensure!(output.status.success(), "{line}: {said}");
    Ok(said)
}
