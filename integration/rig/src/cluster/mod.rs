//! The real binaries as a cluster: a file, certificates, a daemon on every host, `hactl`.

mod pki;
mod spec;
mod status;
mod waiting;

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::mount::{MsFlags, mount};

pub use spec::{ClusterSpec, GROUP, vip, vip6};
pub use status::{Group, Node, Status};

use crate::binaries::Binaries;
use crate::lab::{Lab, LabSpec};
use crate::process::Process;
use crate::wait::until;
use crate::wire::Wire;
use crate::{Client, Host};

/// Where every host finds its own files: its part of the lab's tmpfs, under one name, so that one `cluster.toml` serves all.
const HOME: &str = "/run/host";
/// The service behind the virtual address.
const SERVICE: u16 = 7000;
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
        let mut command = Command::new(&self.binaries.had);
        command
            .arg("run")
            .args(["--config", &format!("{HOME}/cluster.toml"), "--node", node]);
        command.args(["--data-dir", &format!("{HOME}/data")]);
        command.args(["--socket", &format!("{HOME}/had.sock")]);
        command.env("NO_COLOR", "1").env("RUST_BACKTRACE", "1");
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

    /// A client of the virtual address that has had its first answer.
    ///
    /// # Errors
    /// Where nobody answers within [`SETTLE`].
    pub fn client(&mut self) -> Result<Client> {
        self.client_of((vip(), SERVICE).into())
    }

    /// A client of the virtual IPv6 address that has had its first answer.
    ///
    /// # Errors
    /// Where nobody answers within [`SETTLE`].
    pub fn client6(&mut self) -> Result<Client> {
        self.client_of((vip6(), SERVICE).into())
    }

    /// A tap on everything that leaves a host in the name of the virtual address.
    ///
    /// # Errors
    /// Where it cannot be opened.
    pub fn wire(&self) -> Result<Wire> {
        self.lab.listen(0, vip())
    }

    fn client_of(&mut self, target: SocketAddr) -> Result<Client> {
        let client = Client::start(self.lab.client()?, target)?;
        until("the first answer", SETTLE, || {
            Ok(client.latest().map(|_| ()))
        })?;
        Ok(client)
    }

    fn write_files(&mut self) -> Result<()> {
        let file = self.spec.file(HOME);
        let authority = pki::Authority::new()?;
        for name in self.names() {
            let files = self.lab.host(&name)?.files().to_owned();
            let identity = authority.issue(&name)?;
            fs::write(files.join("cluster.toml"), &file)?;
            fs::write(files.join("ca.pem"), authority.certificate())?;
            fs::write(files.join("node.pem"), identity.certificate)?;
            fs::write(files.join("node.key"), identity.key)?;
        }
        Ok(())
    }

    /// What a host has after each start: its files in their place, and the service.
    fn furnish(&mut self, node: &str) -> Result<()> {
        let host: &mut Host = self.lab.host(node)?;
        let files = host.files().to_owned();
        host.call(move || {
            let none: Option<&str> = None;
            mount(Some(&files), HOME, none, MsFlags::MS_BIND, none).context("placing the files")
        })?;
        host.respond(SERVICE)
    }
}
