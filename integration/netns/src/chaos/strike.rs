//! How faults begin and end on the cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use anyhow::{Context, Result};
use had_rig::rules::Rules;
use had_rig::{Cluster, Process};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::clock::Rate;
use super::kind::Kind;
use super::plan::Fault;
use super::scene::{Place, Scene};

/// The interface that bears the addresses, and its name while somebody else names it.
const LINK: &str = "eth0";
const OTHER_NAME: &str = "lan7";

/// Strikes, and remembers what must be undone.
pub struct Striker {
    /// The cluster.
    pub cluster: Cluster,
    scene: Scene,
    groups: Vec<String>,
    places: Vec<Place>,
    rules: Rules,
    /// Hosts whose daemon is to be down.
    down: BTreeSet<String>,
    hogs: Vec<Process>,
    commands: Vec<Process>,
    rate: Option<Rate>,
    /// Which daemons ended by themselves, how.
    pub ended: Vec<String>,
    /// What could not be done, and why, by kind: a guard that does not exist, a host without power.
    pub missed: BTreeMap<String, usize>,
}

/// The name of a host by its number.
#[must_use]
pub fn name(host: u8) -> String {
    format!("h{host}")
}

impl Striker {
    /// For a cluster of this scene.
    #[must_use]
    pub fn new(cluster: Cluster, scene: Scene) -> Self {
        Self {
            cluster,
            scene,
            groups: scene.names(),
            places: scene.places(),
            rules: Rules::default(),
            down: BTreeSet::new(),
            hogs: Vec::new(),
            commands: Vec::new(),
            rate: None,
            ended: Vec::new(),
            missed: BTreeMap::new(),
        }
    }

    /// A fault begins. Who has each address at the moment is asked of `owner`.
    ///
    /// # Errors
    /// Where the kernel refuses what it must not refuse.
    pub fn begin(&mut self, fault: &Fault, owner: impl Fn(usize) -> Option<u8>) -> Result<()> {
        for host in fault.hosts.iter().map(|host| name(*host)) {
            self.begin_on(fault, &host)?;
        }
        let group = self.groups[fault.group].clone();
        let first = name(fault.hosts[0]);
        match fault.kind {
            Kind::Loss | Kind::Bridge | Kind::Split => self.add_rules(fault),
            Kind::Hogs => self.hog(fault.amount),
            Kind::Failover => self.operator(&["failover", &group, "--to", &first]),
            Kind::Failback => self.operator(&["failback", &group]),
            Kind::Drain => self.operator(&["node", "drain", &first]),
            Kind::Stop => self.operator(&["group", "stop", &group]),
            Kind::Maintenance => self.maintenance(fault, "on"),
            Kind::Slew => {
                self.rate.get_or_insert(Rate::now()?);
                Rate::of(fault.amount).set()
            }
            Kind::DeleteAddress => self.delete_address(fault, owner),
            _ => Ok(()),
        }
    }

    /// The part of a fault that strikes each of its hosts.
    fn begin_on(&mut self, fault: &Fault, host: &str) -> Result<()> {
        match fault.kind {
            Kind::Kill => {
                self.down.insert(host.to_owned());
                let outcome = self.cluster.daemon(host)?.kill();
                self.unless_missed(fault.kind, outcome);
            }
            Kind::Freeze => {
                let outcome = self.cluster.daemon(host)?.freeze();
                self.unless_missed(fault.kind, outcome);
            }
            Kind::GuardKill => self.signal_guard(host, Signal::SIGKILL, fault.kind)?,
            Kind::GuardFreeze => self.signal_guard(host, Signal::SIGSTOP, fault.kind)?,
            Kind::Cut | Kind::Flap => {
                self.cluster.lab.cut(host, 0)?;
            }
            Kind::Mute => {
                self.cluster.lab.mute(host, 0)?;
            }
            Kind::Deafen => {
                self.cluster.lab.deafen(host, 0)?;
            }
            Kind::LinkDown => self.cluster.lab.interface_down(host, 0)?,
            Kind::Rename => self.rename(host, LINK, OTHER_NAME)?,
            Kind::PowerOff | Kind::Wiped => {
                self.down.insert(host.to_owned());
                self.cluster.lab.power_off(host)?;
            }
            Kind::FlushRules => self.cluster.lab.host(host)?.flush_rules()?,
            Kind::DetachGate => {
                let outcome = self.cluster.lab.host(host)?.detach_gate().map(|_| ());
                self.unless_missed(fault.kind, outcome);
            }
            _ => {}
        }
        Ok(())
    }

    /// A fault ends.
    ///
    /// # Errors
    /// Where the kernel refuses what it must not refuse.
    pub fn end(&mut self, fault: &Fault) -> Result<()> {
        for host in fault.hosts.iter().map(|host| name(*host)) {
            self.end_on(fault, &host)?;
        }
        let group = self.groups[fault.group].clone();
        let first = name(fault.hosts[0]);
        match fault.kind {
            Kind::Loss | Kind::Bridge | Kind::Split => self.remove_rules(fault),
            Kind::Hogs => self.hogs.drain(..).try_for_each(|hog| hog.kill()),
            Kind::Drain => self.operator(&["node", "resume", &first]),
            Kind::Stop => self.operator(&["group", "start", &group]),
            Kind::Maintenance => self.maintenance(fault, "off"),
            Kind::Slew => self.rate.take().map_or(Ok(()), Rate::set),
            _ => Ok(()),
        }
    }

    fn end_on(&mut self, fault: &Fault, host: &str) -> Result<()> {
        match fault.kind {
            Kind::Kill => {
                self.down.remove(host);
                self.cluster.start(host)?;
            }
            Kind::Freeze => {
                let outcome = self.cluster.daemon(host)?.thaw();
                self.unless_missed(fault.kind, outcome);
            }
            Kind::GuardFreeze => self.signal_guard(host, Signal::SIGCONT, fault.kind)?,
            Kind::Cut | Kind::Mute | Kind::Deafen | Kind::Flap => {
                self.cluster.lab.heal(host)?;
            }
            Kind::LinkDown => self.cluster.lab.interface_up(host, 0)?,
            Kind::Rename => self.rename(host, OTHER_NAME, LINK)?,
            Kind::PowerOff | Kind::Wiped => {
                if fault.kind == Kind::Wiped {
                    self.cluster.wipe(host)?;
                }
                self.down.remove(host);
                self.cluster.power_on(host)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// In the middle of a flap: cuts or mends.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn flap(&mut self, fault: &Fault, cut: bool) -> Result<()> {
        for host in fault.hosts.iter().map(|host| name(*host)) {
            if cut {
                self.cluster.lab.cut(&host, 0)?;
            } else {
                self.cluster.lab.heal(&host)?;
            }
        }
        Ok(())
    }

    /// Starts again the daemons that ended by themselves, as their unit does.
    ///
    /// # Errors
    /// Where one cannot be started.
    pub fn supervise(&mut self) -> Result<()> {
        for node in self.cluster.names() {
            if self.down.contains(&node) {
                continue;
            }
            if let Some(status) = self.cluster.daemon(&node)?.ended()? {
                let last = self.cluster.log_tail(&node, 1);
                self.ended.push(format!("{node}: {status}: {last}"));
                self.cluster.start(&node)?;
            }
        }
        Ok(())
    }

    /// How many faults could not strike so far.
    #[must_use]
    pub fn missed(&self) -> usize {
        self.missed.values().sum()
    }

    /// Whether every command of the operator has ended; those that have are forgotten.
    ///
    /// # Errors
    /// Where the kernel does not say.
    pub fn commands_ended(&mut self) -> Result<bool> {
        let mut running = Vec::new();
        for command in self.commands.drain(..) {
            if command.ended()?.is_none() {
                running.push(command);
            }
        }
        self.commands = running;
        Ok(self.commands.is_empty())
    }

    /// A node whose daemon is meant to run.
    ///
    /// # Errors
    /// Where there is none.
    pub fn somebody(&self) -> Result<String> {
        let names = self.cluster.names().into_iter();
        let mut up = names.filter(|node| !self.down.contains(node));
        up.next().context("every daemon is down")
    }

    /// As many of every thousand frames lost on every host's cable until the end: either way, or only what the hosts send.
    ///
    /// # Errors
    /// Where `nft` refuses.
    pub fn lose_everywhere(&mut self, per_mille: u16, either_way: bool) -> Result<()> {
        let lost = if either_way {
            &mut self.rules.loss_per_mille
        } else {
            &mut self.rules.sent_loss_per_mille
        };
        lost.extend(
            self.cluster
                .names()
                .into_iter()
                .map(|node| (node, per_mille)),
        );
        self.cluster.lab.rule(0, &self.rules)
    }

    /// Starts processes that want to run all the time.
    ///
    /// # Errors
    /// Where one cannot be started.
    pub fn hog(&mut self, processes: u16) -> Result<()> {
        for _ in 0..processes {
            let mut command = Command::new("sh");
            command.args(["-c", "while :; do :; done"]);
            let hog = self.cluster.lab.client()?.spawn("hog", command)?;
            self.hogs.push(hog);
        }
        Ok(())
    }

    /// Begins a command on some node that is meant to run; nobody waits for it.
    fn operator(&mut self, arguments: &[&str]) -> Result<()> {
        let node = self.somebody()?;
        let command = self.cluster.begin(&node, arguments)?;
        self.commands.push(command);
        Ok(())
    }

    /// For one group, or for all of them.
    fn maintenance(&mut self, fault: &Fault, word: &str) -> Result<()> {
        let group = self.groups[fault.group].clone();
        if fault.amount.is_multiple_of(2) {
            self.operator(&["maintenance", word])
        } else {
            self.operator(&["maintenance", word, &group])
        }
    }

    /// Deletes an address of the group on the host that answers there.
    fn delete_address(&mut self, fault: &Fault, owner: impl Fn(usize) -> Option<u8>) -> Result<()> {
        let group = &self.groups[fault.group];
        let all = self.places.iter().enumerate();
        let ours: Vec<_> = all.filter(|(_, place)| place.group == *group).collect();
        let (number, place) = ours[usize::from(fault.amount) % ours.len()];
        let address = place.address;
        let Some(host) = owner(number).map(name) else {
            self.miss(fault.kind, "nobody has it");
            return Ok(());
        };
        let prefix = if address.is_ipv4() { 32 } else { 128 };
        let host = self.cluster.lab.host(&host)?;
        let outcome = host.delete_address(LINK, address, prefix);
        self.unless_missed(fault.kind, outcome);
        Ok(())
    }

    fn add_rules(&mut self, fault: &Fault) -> Result<()> {
        for host in fault.hosts.iter().map(|host| name(*host)) {
            if fault.kind == Kind::Loss {
                self.rules.loss_per_mille.insert(host, fault.amount);
            }
        }
        self.rules.unheard.extend(self.unheard(fault));
        self.cluster.lab.rule(0, &self.rules)
    }

    fn remove_rules(&mut self, fault: &Fault) -> Result<()> {
        for host in fault.hosts.iter().map(|host| name(*host)) {
            if fault.kind == Kind::Loss {
                self.rules.loss_per_mille.remove(&host);
            }
        }
        for pair in self.unheard(fault) {
            self.rules.unheard.remove(&pair);
        }
        self.cluster.lab.rule(0, &self.rules)
    }

    /// Who does not hear whom.
    fn unheard(&self, fault: &Fault) -> Vec<(String, String)> {
        let others = (1..=self.scene.nodes).filter(|host| !fault.hosts.contains(host));
        let pairs: Vec<(u8, u8)> = match fault.kind {
            Kind::Bridge => vec![(fault.hosts[0], fault.hosts[1])],
            Kind::Split => others
                .flat_map(|other| fault.hosts.iter().map(move |host| (*host, other)))
                .collect(),
            _ => vec![],
        };
        let both = pairs.iter().flat_map(|(a, b)| [(*a, *b), (*b, *a)]);
        both.map(|(from, to)| (name(from), name(to))).collect()
    }

    fn rename(&mut self, host: &str, from: &str, to: &str) -> Result<()> {
        let host = self.cluster.lab.host(host)?;
        host.ip(&format!("link set dev {from} name {to}")).map(drop)
    }

    fn signal_guard(&mut self, host: &str, signal: Signal, kind: Kind) -> Result<()> {
        let guards = guards(&mut self.cluster, host)?;
        if guards.is_empty() {
            self.miss(kind, "there is no guard");
        }
        for guard in guards {
            // One that has ended meanwhile is none.
            let _ = kill(guard, signal);
        }
        Ok(())
    }

    fn unless_missed(&mut self, kind: Kind, outcome: Result<()>) {
        if let Err(error) = outcome {
            self.miss(kind, &format!("{error:#}"));
        }
    }

    fn miss(&mut self, kind: Kind, why: &str) {
        *self.missed.entry(format!("{kind}: {why}")).or_default() += 1;
    }
}

impl Drop for Striker {
    fn drop(&mut self) {
        if let Some(rate) = self.rate.take() {
            // The clock's warden does it again when this process has ended.
            let _ = rate.set();
        }
    }
}

/// The guards beside the daemon of a host: `had guard …`.
///
/// # Errors
/// Where processes cannot be listed.
pub fn guards(cluster: &mut Cluster, host: &str) -> Result<Vec<Pid>> {
    let processes = cluster.lab.host(host)?.processes()?;
    let is_guard = |words: &[String]| {
        let mut words = words.iter();
        let program = words.next().is_some_and(|word| word.ends_with("had"));
        program && words.next().is_some_and(|word| word == "guard")
    };
    let guards = processes.into_iter().filter(|(_, words)| is_guard(words));
    Ok(guards.map(|(pid, _)| pid).collect())
}
