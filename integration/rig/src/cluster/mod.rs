//! The real binaries as a cluster: a file, certificates, a daemon on every host, `hactl`.

mod group;
mod pki;
mod spec;
mod status;
mod waiting;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, ExitStatus, Output};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::mount::{MsFlags, mount};

pub use group::{GroupText, vip_of};
pub use spec::{ClusterSpec, GROUP, vip, vip6};
pub use status::{Degraded, Group, Node, Status};

use crate::binaries::Binaries;
use crate::lab::{Lab, LabSpec};
use crate::process::Process;
use crate::wait::until;
use crate::wire::Wire;
use crate::{Client, Crowd, Host, Stream};

/// Where every host finds its own files: its part of the lab's tmpfs, under one name, so that one `cluster.toml` serves all.
const HOME: &str = "/run/host";
/// The service behind the virtual address.
pub const SERVICE: u16 = 7000;
/// A cluster that has not formed, placed its groups or healed by then will not; some 20 times what it takes.
pub const SETTLE: Duration = Duration::from_secs(20);
/// The longest that `hactl` may take: it has its own, shorter, limits.
const COMMAND: Duration = Duration::from_secs(15);

/// A lab whose hosts run `had`, with a service behind the virtual address.
pub struct Cluster {
    /// The network, for faults.
    pub lab: Lab,
    spec: ClusterSpec,
    binaries: Binaries,
    daemons: BTreeMap<String, Process>,
}

impl Cluster {
    /// Builds the lab, writes the files and starts every daemon; does not wait for them.
    ///
    /// # Errors
    /// Where the lab cannot be built or a daemon cannot be started.
    pub fn new(spec: ClusterSpec) -> Result<Self> {
        fs::create_dir_all(HOME).context("making the hosts' home")?;
        let lab = Lab::new(LabSpec {
            hosts: spec.nodes,
            links: spec.links,
            networks: spec.networks(),
        })?;
        let binaries = Binaries::find()?;
        let mut cluster = Self {
            lab,
            spec,
            binaries,
            daemons: BTreeMap::new(),
        };
        cluster.write_files()?;
        for name in cluster.names() {
            cluster.furnish(&name)?;
            cluster.start(&name)?;
        }
        Ok(cluster)
    }

    /// As [`Cluster::new`], and waits until every node is online and every group runs.
    ///
    /// # Errors
    /// Also where that takes longer than [`SETTLE`].
    pub fn settled(spec: ClusterSpec) -> Result<Self> {
        let mut cluster = Self::new(spec)?;
        cluster.settle()?;
        Ok(cluster)
    }

    /// The names of the nodes.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.spec.names().collect()
    }

    /// The daemon of a node, running or not.
    ///
    /// # Errors
    /// Where it was never started.
    pub fn daemon(&self, node: &str) -> Result<&Process> {
        self.daemons
            .get(node)
            .with_context(|| format!("no daemon on {node}"))
    }

    /// Starts the daemon of a node.
    ///
    /// # Errors
    /// Where the host is off or the program is missing.
    pub fn start(&mut self, node: &str) -> Result<()> {
        self.start_through(node, &[])
    }

    /// Starts the daemon of a node through another program, such as one that takes privileges away.
    ///
    /// # Errors
    /// As [`Cluster::start`].
    pub fn start_through(&mut self, node: &str, through: &[&str]) -> Result<()> {
        let had = self.binaries.had.as_os_str();
        let mut words = through.iter().map(OsStr::new).chain([had]);
        let mut command = Command::new(words.next().unwrap_or(had));
        command.args(words).arg("run");
        command.args(["--config", &format!("{HOME}/cluster.toml"), "--node", node]);
        command.args(["--data-dir", &format!("{HOME}/data")]);
        command.args(["--socket", &format!("{HOME}/had.sock")]);
        command.env("NO_COLOR", "1").env("RUST_BACKTRACE", "1");
        command.envs(self.spec.environment.iter().copied());
        let daemon = self.lab.host(node)?.spawn("had", command)?;
        self.daemons.insert(node.to_owned(), daemon);
        Ok(())
    }

    /// Gives a host its power back, and everything that starts with it.
    ///
    /// # Errors
    /// Where the host runs.
    pub fn power_on(&mut self, node: &str) -> Result<()> {
        self.lab.power_on(node)?;
        self.furnish(node)?;
        self.start(node)
    }

    /// Empties the disk of a node, whose daemon must have ended.
    ///
    /// # Errors
    /// Where the daemon runs.
    pub fn wipe(&mut self, node: &str) -> Result<()> {
        ensure!(
            self.daemon(node)?.ended()?.is_some(),
            "the daemon of {node} runs"
        );
        let data = self.lab.host(node)?.files().join("data");
        fs::remove_dir_all(&data).with_context(|| format!("emptying {}", data.display()))
    }

    /// Fills the disk of a node, or makes room on it again.
    ///
    /// # Errors
    /// Where the host is off, or its disk takes whatever is written.
    pub fn fill_disk(&mut self, node: &str, full: bool) -> Result<()> {
        ensure!(
            self.spec.small_disks,
            "the disks of this cluster are not small"
        );
        self.lab.host(node)?.call(move || {
            let ballast = format!("{HOME}/data/ballast");
            if !full {
                return fs::remove_file(&ballast).context("making room");
            }
            let mut file = fs::File::create(&ballast)?;
            // Far more than fits.
            for _ in 0..1 << 16 {
                match file.write_all(&[1; 4096]) {
                    Err(error) if error.kind() == ErrorKind::StorageFull => return Ok(()),
                    written => written?,
                }
            }
            bail!("the disk does not get full")
        })
    }

    /// Runs `had check --host` on a node, for the node of this name. Whether it finds nothing wrong, and what it says.
    ///
    /// # Errors
    /// Where the host is off, or it does not end in time.
    pub fn check_host(&mut self, host: &str, node: &str) -> Result<(bool, String)> {
        let (file, data) = (format!("{HOME}/cluster.toml"), format!("{HOME}/data"));
        let asked = [
            "check",
            "--host",
            "--node",
            node,
            "--config",
            &file,
            "--data-dir",
            &data,
        ];
        let (status, said) = self.run_had(host, &asked)?;
        Ok((status.success(), said))
    }

    /// Runs the daemon's program on a host until it ends by itself. How it ended, and what it said.
    ///
    /// # Errors
    /// Where the host is off, or it does not end in time.
    pub fn run_had(&mut self, host: &str, arguments: &[&str]) -> Result<(ExitStatus, String)> {
        let mut command = Command::new(&self.binaries.had);
        command.args(arguments);
        let output = self.lab.host(host)?.run(command, COMMAND)?;
        let said = [output.stdout, output.stderr].concat();
        Ok((output.status, String::from_utf8_lossy(&said).into_owned()))
    }

    /// Writes more into the file of every node, which it reads at its next start.
    ///
    /// # Errors
    /// Where a file cannot be written.
    pub fn append_to_files(&mut self, text: &str) -> Result<()> {
        for name in self.names() {
            let file = self.lab.host(&name)?.files().join("cluster.toml");
            let mut file = fs::File::options().append(true).open(file)?;
            file.write_all(text.as_bytes())?;
        }
        Ok(())
    }

    /// Runs `hactl` on a node.
    ///
    /// # Errors
    /// Where the host is off, or `hactl` does not end in time; not where it says no.
    pub fn hactl(&mut self, node: &str, arguments: &[&str]) -> Result<Output> {
        let mut command = Command::new(&self.binaries.hactl);
        command
            .args(["--socket", &format!("{HOME}/had.sock")])
            .args(arguments);
        self.lab.host(node)?.run(command, COMMAND)
    }

    /// Runs `hactl` on a node and takes nothing but success.
    ///
    /// # Errors
    /// Also where it says no: with what it said.
    pub fn command(&mut self, node: &str, arguments: &[&str]) -> Result<String> {
        let output = self.hactl(node, arguments)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if !output.status.success() {
            bail!(
                "hactl {arguments:?} on {node}: {}: {}",
                output.status,
                text(&output.stderr)
            );
        }
        Ok(text(&output.stdout))
    }

    /// A client of the first group's address that has had its first answer.
    ///
    /// # Errors
    /// Where nobody answers within [`SETTLE`].
    pub fn client(&mut self) -> Result<Client> {
        self.client_of(self.first_group().address())
    }

    /// A client of the virtual IPv6 address that has had its first answer.
    ///
    /// # Errors
    /// Where nobody answers within [`SETTLE`].
    pub fn client6(&mut self) -> Result<Client> {
        self.client_of(vip6())
    }

    /// A client of an address that has had its first answer.
    ///
    /// # Errors
    /// Where nobody answers within [`SETTLE`].
    pub fn client_of(&mut self, address: IpAddr) -> Result<Client> {
        let client = Client::start(self.lab.client()?, (address, SERVICE).into())?;
        until("the first answer", SETTLE, || {
            Ok(client.latest().map(|_| ()))
        })?;
        Ok(client)
    }

    /// A client of many addresses, from each of which it has had its first answer.
    ///
    /// # Errors
    /// Where one of them does not answer within [`SETTLE`].
    pub fn crowd(&mut self, addresses: &[IpAddr], interval: Duration) -> Result<Crowd> {
        let targets = addresses.iter().map(|address| (*address, SERVICE).into());
        let targets: Vec<SocketAddr> = targets.collect();
        let crowd = Crowd::start(self.lab.client()?, &targets, interval)?;
        until("the first answers", SETTLE, || {
            let answered = (0..targets.len()).all(|number| crowd.latest(number).is_some());
            Ok(answered.then_some(()))
        })?;
        Ok(crowd)
    }

    /// A client that asks all these addresses every millisecond.
    ///
    /// # Errors
    /// Where its sockets cannot be opened.
    pub fn stream(&mut self, addresses: &[IpAddr]) -> Result<Stream> {
        let targets = addresses.iter().map(|address| (*address, SERVICE).into());
        let targets: Vec<SocketAddr> = targets.collect();
        Stream::start(self.lab.client()?, &targets)
    }

    /// Starts `hactl` on a node and does not wait for it.
    ///
    /// # Errors
    /// Where the host is off.
    pub fn begin(&mut self, node: &str, arguments: &[&str]) -> Result<Process> {
        let mut command = Command::new(&self.binaries.hactl);
        command.args(["--socket", &format!("{HOME}/had.sock")]);
        command.args(arguments);
        self.lab.host(node)?.spawn("hactl", command)
    }

    /// A tap on everything that leaves a host in the name of the first group's address.
    ///
    /// # Errors
    /// Where it cannot be opened.
    pub fn wire(&self) -> Result<Wire> {
        self.wire_of(self.first_group().address())
    }

    /// A tap on everything that leaves a host in the name of an address.
    ///
    /// # Errors
    /// Where it cannot be opened.
    pub fn wire_of(&self, address: IpAddr) -> Result<Wire> {
        self.lab.listen(0, address)
    }

    /// The address of a group.
    ///
    /// # Errors
    /// Where the spec has no such group.
    pub fn address_of(&self, group: &str) -> Result<IpAddr> {
        let groups = self.spec.groups();
        let found = groups.iter().find(|one| one.name() == group);
        found
            .map(GroupText::address)
            .with_context(|| format!("there is no group {group}"))
    }

    /// The first group of the file.
    fn first_group(&self) -> GroupText {
        self.spec.groups().swap_remove(0)
    }

    fn write_files(&mut self) -> Result<()> {
        let file = self.spec.file(HOME);
        let authority = pki::Authority::new()?;
        for name in self.names() {
            let files = self.lab.host(&name)?.files().to_owned();
            // A lab process that has had a cluster before has its disks still: this one is new.
            let data = files.join("data");
            if data.exists() {
                fs::remove_dir_all(&data)
                    .with_context(|| format!("emptying {}", data.display()))?;
            }
            let identity = authority.issue(&name)?;
            fs::write(files.join("cluster.toml"), &file)?;
            fs::write(files.join("ca.pem"), authority.certificate())?;
            fs::write(files.join("node.pem"), identity.certificate)?;
            fs::write(files.join("node.key"), identity.key)?;
            let ours = fs::Permissions::from_mode(0o600);
            fs::set_permissions(files.join("node.key"), ours)?;
        }
        Ok(())
    }

    /// What a host has after each start: its files in their place, and the service.
    fn furnish(&mut self, node: &str) -> Result<()> {
        let small_disk = self.spec.small_disks;
        let host: &mut Host = self.lab.host(node)?;
        let files = host.files().to_owned();
        host.call(move || {
            let none: Option<&str> = None;
            mount(Some(&files), HOME, none, MsFlags::MS_BIND, none).context("placing the files")?;
            if small_disk {
                let (data, size) = (format!("{HOME}/data"), Some("size=16m"));
                fs::create_dir_all(&data)?;
                mount(
                    Some("tmpfs"),
                    data.as_str(),
                    Some("tmpfs"),
                    MsFlags::empty(),
                    size,
                )
                .context("giving it a small disk")?;
            }
            Ok(())
        })?;
        host.respond(SERVICE)
    }
}
