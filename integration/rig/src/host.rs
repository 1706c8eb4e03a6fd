//! A host: namespaces of its own, processes, addresses.

use std::fs::{self, File};
use std::io::Read;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use nix::sys::stat::fstat;
use nix::unistd::Pid;

use crate::enter::FILES;
use crate::namespace::Namespace;
use crate::netlink::Netlink;
use crate::process::Process;
use crate::responder::Responder;

/// The longest that `ip` may take: it asks the kernel and ends.
const IP: Duration = Duration::from_secs(10);

/// A machine. Switched off, it has no namespace, no process and no interface; its files stay.
pub struct Host {
    name: String,
    files: PathBuf,
    powered: Option<Powered>,
}

struct Powered {
    // In the order of their end: what listens first, the namespace last.
    responder: Option<Responder>,
    processes: Vec<Process>,
    netlink: Netlink,
    namespace: Namespace,
}

impl Host {
    pub(crate) fn new(name: &str) -> Result<Self> {
        let files = Path::new(FILES).join(name);
        fs::create_dir_all(&files).with_context(|| format!("making {}", files.display()))?;
        let mut host = Self {
            name: name.to_owned(),
            files,
            powered: None,
        };
        host.power_on()?;
        Ok(host)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its disk: a directory that stays when the power goes.
    #[must_use]
    pub fn files(&self) -> &Path {
        &self.files
    }

    /// Whether it has power.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.powered.is_some()
    }

    /// Starts a process; its output goes to `<name>.log` among the host's files, behind what is there.
    ///
    /// # Errors
    /// Where the host is off or the program cannot be started.
    pub fn spawn(&mut self, name: &str, mut command: Command) -> Result<Process> {
        let log = self.files.join(format!("{name}.log"));
        let file = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .with_context(|| format!("opening {}", log.display()))?;
        command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file);
        let title = format!("{name} on {}", self.name);
        let powered = self.powered_mut()?;
        let text = format!("starting {title}: {command:?}");
        let child = powered
            .namespace
            .call(move || command.spawn().context(text))?;
        let process = Process::new(title, log, child);
        powered.processes.push(process.clone());
        Ok(process)
    }

    /// Runs a command to its end and returns what it wrote.
    ///
    /// # Errors
    /// Where the host is off, the program cannot be started, or has not ended within `limit` (then it is killed).
    pub fn run(&mut self, mut command: Command, limit: Duration) -> Result<Output> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let title = format!("{command:?} on {}", self.name);
        let powered = self.powered_mut()?;
        let text = format!("starting {title}");
        let mut child = powered
            .namespace
            .call(move || command.spawn().context(text))?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let reader = std::thread::spawn(move || read_all(stdout));
        let errors = std::thread::spawn(move || read_all(stderr));
        let process = Process::new(title.clone(), PathBuf::new(), child);
        let status = process.wait(limit).inspect_err(|_| drop(process.kill()))?;
        let joined = |thread: std::thread::JoinHandle<Vec<u8>>| {
            thread
                .join()
                .map_err(|_| anyhow!("reading the output of {title}"))
        };
        Ok(Output {
            status,
            stdout: joined(reader)?,
            stderr: joined(errors)?,
        })
    }

    /// Runs something on a thread inside the host's namespaces: sockets opened there belong to the host.
    ///
    /// # Errors
    /// Where the host is off, and what `what` fails with.
    pub fn call<T: Send + 'static>(
        &self,
        what: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.powered()?.namespace.call(what)
    }

    /// The processes that run here, with their command lines, in the numbers of the lab process: those started through
    /// [`Host::spawn`], and what they started. None where the host is off, or they cannot be told
    /// ([`crate::process::are_seen`]).
    ///
    /// # Errors
    /// Where `/proc` cannot be read.
    pub fn processes(&self) -> Result<Vec<(Pid, Vec<String>)>> {
        let (Ok(powered), true) = (self.powered(), crate::process::are_seen()) else {
            return Ok(vec![]);
        };
        let network = fstat(powered.namespace.network())?.st_ino;
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").context("listing processes")? {
            let path = entry?.path();
            let number = path
                .file_name()
                .and_then(|name| name.to_str()?.parse().ok());
            // One that ends meanwhile, or is not ours to look at, is none.
            let (Some(number), Ok(link)) = (number, fs::metadata(path.join("ns/net"))) else {
                continue;
            };
            let line = fs::read(path.join("cmdline")).unwrap_or_default();
            if link.ino() == network && !line.is_empty() {
                let words = line
                    .split(|byte| *byte == 0)
                    .filter(|word| !word.is_empty());
                let words = words.map(|word| String::from_utf8_lossy(word).into_owned());
                found.push((Pid::from_raw(number), words.collect()));
            }
        }
        Ok(found)
    }

    /// Starts what answers under every address of this host, as long as it has power: the service.
    ///
    /// # Errors
    /// Where the host is off or the port is taken.
    pub fn respond(&mut self, port: u16) -> Result<()> {
        let responder = Responder::start(self, port)?;
        self.powered_mut()?.responder = Some(responder);
        Ok(())
    }

    /// Adds an address, as a person would with `ip address add`.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn add_address(&mut self, link: &str, address: IpAddr, prefix: u8) -> Result<()> {
        self.netlink()?.add_address(link, address, prefix)
    }

    /// Removes an address, as a person would with `ip address del`; an IPv4 one whatever its prefix.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn delete_address(&mut self, link: &str, address: IpAddr, prefix: u8) -> Result<()> {
        self.netlink()?.delete_address(link, address, prefix)
    }

    /// Runs `ip` as a person would, such as `link add eth0.5 link eth0 type vlan id 5`. What it wrote.
    ///
    /// # Errors
    /// Where it fails: with what it said.
    pub fn ip(&mut self, arguments: &str) -> Result<String> {
        let mut command = Command::new("ip");
        command.args(arguments.split_whitespace());
        let output = self.run(command, IP)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let said = text(&output.stderr);
        ensure!(
            output.status.success(),
            "ip {arguments} on {}: {said}",
            self.name
        );
        Ok(text(&output.stdout))
    }

    pub(crate) fn netlink(&mut self) -> Result<&mut Netlink> {
        Ok(&mut self.powered_mut()?.netlink)
    }

    pub(crate) fn namespace(&self) -> Result<&Namespace> {
        Ok(&self.powered()?.namespace)
    }

    pub(crate) fn power_on(&mut self) -> Result<()> {
        let namespace = Namespace::new(&self.name)?;
        let mut netlink = namespace.call(Netlink::open)?;
        netlink.set_up("lo", true)?;
        self.powered = Some(Powered {
            responder: None,
            processes: Vec::new(),
            netlink,
            namespace,
        });
        Ok(())
    }

    /// Kills everything that runs. The cables must be cut before, so that nothing leaves on the way.
    pub(crate) fn kill_all(&mut self) -> Result<()> {
        let powered = self.powered_mut()?;
        powered.namespace.kill()?;
        powered.responder = None;
        powered.processes.iter().try_for_each(Process::reap)
    }

    /// Lets go of the namespace of a host on which nothing runs any more.
    pub(crate) fn power_off(&mut self) {
        self.powered = None;
    }

    fn powered(&self) -> Result<&Powered> {
        self.powered
            .as_ref()
            .ok_or_else(|| anyhow!("{} is off", self.name))
    }

    fn powered_mut(&mut self) -> Result<&mut Powered> {
        self.powered
            .as_mut()
            .ok_or_else(|| anyhow!("{} is off", self.name))
    }
}

impl Drop for Powered {
    fn drop(&mut self) {
        // A namespace waits at its end for children that nobody has reaped.
        let _ = self.namespace.kill();
        for process in &self.processes {
            let _ = process.reap();
        }
    }
}

fn read_all(source: Option<impl Read>) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A process that is killed half-way leaves what it wrote; that is all there is to read.
    let _ = source.map(|mut source| source.read_to_end(&mut bytes));
    bytes
}
