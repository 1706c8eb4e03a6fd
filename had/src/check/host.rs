//! What one node of the file needs of the host that it shall run on. Everything is tried, and nothing is changed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use had_config::Loaded;
use had_core::ids::NodeName;
use had_core::spec::{NodeSpec, Role};
use had_gate::{Preference, Rung};
use nix::sys::statvfs::statvfs;
use nix::unistd::{AccessFlags, access};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::files;
use crate::tls::Identity;
use crate::{daemon, privileges, vips};

/// A peer on a LAN answers in a millisecond.
const PEER_ANSWERS: Duration = Duration::from_secs(1);
/// Less room than this and the next decision may not be kept: some snapshots and the log, with a reserve.
const ROOM_NEEDED: u64 = 16 << 20;
/// Less than this is worth a word: something else fills the file system.
const ROOM_WISHED: u64 = 128 << 20;
/// `adjtimex` says that nobody disciplines the clock (adjtimex(2)).
const TIME_ERROR: i32 = 5;

/// How serious a finding is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Grade {
    Good,
    Doubtful,
    Bad,
}

/// One thing that was tried.
#[derive(Debug)]
pub(super) struct Finding {
    what: String,
    pub(super) grade: Grade,
    text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.grade {
            Grade::Good => "ok     ",
            Grade::Doubtful => "warning",
            Grade::Bad => "ERROR  ",
        };
        write!(f, "{mark}  {}: {}", self.what, self.text)
    }
}

/// Collects what is tried.
#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn note(&mut self, what: impl Into<String>, grade: Grade, text: impl Into<String>) {
        let (what, text) = (what.into(), text.into());
        self.0.push(Finding { what, grade, text });
    }

    fn outcome(&mut self, what: impl Into<String>, outcome: Result<String, String>) {
        match outcome {
            Ok(text) => self.note(what, Grade::Good, text),
            Err(text) => self.note(what, Grade::Bad, text),
        }
    }
}

/// Everything that can be tried while the daemon does not run.
pub(super) async fn look(loaded: &Loaded, node: &NodeName, data_dir: &Path) -> Vec<Finding> {
    let mut found = Findings::default();
    let spec = &loaded.configuration.spec;
    let Some(own) = spec.node(node) else {
        return found.0;
    };
    if let Some(tls) = &loaded.local.tls {
        let outcome = Identity::load(&files(tls), node);
        let outcome = outcome.map(|_| "certificate, key and authority fit".to_owned());
        found.outcome("tls", outcome.map_err(|error| error.to_string()));
    }
    // A witness owns nothing: it needs no privileges, and carries no address.
    if own.role == Role::Member {
        let may = "addresses can be put on and announced".to_owned();
        found.outcome("privileges", privileges::needed().map(|()| may));
        gate(loaded, &mut found);
        addresses(loaded, node, &mut found).await;
        reverse_paths(&mut found);
    }
    ports(loaded, own, &mut found);
    room(data_dir, &mut found);
    clock(&mut found);
    peers(&spec.nodes, node, &mut found).await;
    found.0
}

fn gate(loaded: &Loaded, found: &mut Findings) {
    let wanted = daemon::preference(loaded.local.gate);
    let fits = |rung: Rung| match wanted {
        Preference::Auto => rung != Rung::None,
        Preference::Bpf => rung == Rung::Bpf,
        Preference::Nft => rung == Rung::Nft,
        Preference::None => rung == Rung::None,
    };
    let mut reasons = Vec::new();
    let rungs = had_gate::probe().into_iter();
    for (rung, outcome) in rungs.filter(|(rung, _)| fits(*rung)) {
        match outcome {
            Ok(()) if rung == Rung::None => {
                let text = "none, as the file says: a frozen daemon can leave two owners";
                return found.note("gate", Grade::Doubtful, text);
            }
            Ok(()) => return found.note("gate", Grade::Good, format!("{rung} works here")),
            Err(why) => reasons.push(format!("{rung}: {why}")),
        }
    }
    found.note("gate", Grade::Bad, reasons.join("; "));
}

/// The virtual addresses that this node may carry, each with its interface.
async fn addresses(loaded: &Loaded, node: &NodeName, found: &mut Findings) {
    let spec = &loaded.configuration.spec;
    let settings = had_net::Settings {
        cluster: spec.name.clone(),
        node: node.clone(),
        vips: vips::of(spec, node, &BTreeSet::new()),
        inherited: BTreeSet::new(),
    };
    match had_net::survey(&settings).await {
        Ok(outcomes) => {
            for ((group, _, vip), outcome) in settings.vips.iter().zip(outcomes) {
                let what = format!("{group} {}", vip.address);
                found.outcome(
                    what,
                    outcome.map(|interface| format!("can go on {interface}")),
                );
            }
        }
        Err(error) => found.note("interfaces", Grade::Bad, error.to_string()),
    }
}

/// Several interfaces in one network answer for each other's addresses; where reverse paths are checked strictly, what
/// arrives by the wrong one is dropped (`rp_filter` and `arp_ignore` in the kernel's ip-sysctl).
fn reverse_paths(found: &mut Findings) {
    let setting = |key: &str| {
        let path = format!("/proc/sys/net/ipv4/conf/all/{key}");
        std::fs::read_to_string(path).map(|text| text.trim().to_owned())
    };
    let strict = setting("rp_filter").is_ok_and(|value| value == "1");
    let all_answer = setting("arp_ignore").is_ok_and(|value| value == "0");
    let Some((one, other, network)) = shared_network().filter(|_| strict && all_answer) else {
        return;
    };
    found.note(
        format!("network {network}"),
        Grade::Doubtful,
        format!(
            "{one} and {other} are both in it, and reverse paths are checked strictly: what arrives by the other one is dropped; \
             write net.ipv4.conf.all.arp_ignore = 1 into /etc/sysctl.d, or net.ipv4.conf.all.rp_filter = 2"
        ),
    );
}

/// Two interfaces of this host that have an address in one IPv4 network, and which.
fn shared_network() -> Option<(String, String, String)> {
    let addresses = nix::ifaddrs::getifaddrs().ok()?;
    let mut seen: BTreeMap<(u32, u32), String> = BTreeMap::new();
    for one in addresses {
        let v4 = |address: Option<nix::sys::socket::SockaddrStorage>| {
            Some(address?.as_sockaddr_in()?.ip().to_bits())
        };
        let (Some(address), Some(mask)) = (v4(one.address), v4(one.netmask)) else {
            continue;
        };
        // A single address is in no network.
        if mask == u32::MAX {
            continue;
        }
        let name = one.interface_name;
        let network = (address & mask, mask);
        match seen.get(&network) {
            Some(other) if *other != name => {
                let first = Ipv4Addr::from_bits(network.0);
                let network = format!("{first}/{}", mask.count_ones());
                return Some((other.clone(), name, network));
            }
            _ => {
                seen.insert(network, name);
            }
        }
    }
    None
}

fn ports(loaded: &Loaded, own: &NodeSpec, found: &mut Findings) {
    let http = loaded.local.http.as_ref();
    for address in own.addresses.iter().chain(http) {
        let outcome = TcpListener::bind(address).map(|_| "can be listened on".to_owned());
        let outcome = outcome.map_err(|error| match error.kind() {
            ErrorKind::AddrInUse => {
                "another process listens there (does had run already?)".to_owned()
            }
            ErrorKind::AddrNotAvailable => {
                "this host does not have the address: is this the right node, is its interface up?"
                    .to_owned()
            }
            _ => error.to_string(),
        });
        found.outcome(format!("port {address}"), outcome);
    }
}

/// The data directory, or where it will be made.
fn room(data_dir: &Path, found: &mut Findings) {
    let what = format!("data directory {}", data_dir.display());
    let data_dir = &std::path::absolute(data_dir).unwrap_or_else(|_| data_dir.to_owned());
    let Some(there) = data_dir.ancestors().find(|path| path.exists()) else {
        return found.note(what, Grade::Bad, "no folder above it exists");
    };
    if let Err(error) = access(there, AccessFlags::W_OK | AccessFlags::X_OK) {
        let text = format!("{} cannot be written to: {error}", there.display());
        return found.note(what, Grade::Bad, text);
    }
    let free = match statvfs(there) {
        Ok(system) => system.blocks_available() * system.fragment_size(),
        Err(error) => return found.note(what, Grade::Bad, error.to_string()),
    };
    let grade = match free {
        ..ROOM_NEEDED => Grade::Bad,
        ROOM_NEEDED..ROOM_WISHED => Grade::Doubtful,
        ROOM_WISHED.. => Grade::Good,
    };
    found.note(what, grade, format!("{} MiB free", free >> 20));
}

/// Leases are counted on clocks that nobody sets, so a wrong time of day endangers nothing but the reading of logs.
fn clock(found: &mut Findings) {
    // SAFETY: all zero is a valid timex: modes 0 only reads, and the kernel fills the rest in.
    let mut time: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a timex of this function.
    let state = unsafe { libc::adjtimex(&raw mut time) };
    match state {
        TIME_ERROR => found.note(
            "clock",
            Grade::Doubtful,
            "nobody keeps its time of day (NTP): times in logs and events will differ between nodes; leases do not depend on it",
        ),
        0.. => found.note("clock", Grade::Good, "kept in time"),
        _ => found.note("clock", Grade::Doubtful, std::io::Error::last_os_error().to_string()),
    }
}

/// Every address of every other node, all at once.
async fn peers(nodes: &[NodeSpec], node: &NodeName, found: &mut Findings) {
    let mut asked = JoinSet::new();
    for peer in nodes.iter().filter(|peer| peer.name != *node) {
        for address in &peer.addresses {
            let (name, address) = (peer.name.clone(), *address);
            asked.spawn(async move { (name, address, reach(address).await) });
        }
    }
    let mut answers = asked.join_all().await;
    answers.sort_by(|one, other| (&one.0, one.1).cmp(&(&other.0, other.1)));
    for (name, address, (grade, text)) in answers {
        found.note(format!("peer {name} {address}"), grade, text);
    }
}

async fn reach(address: SocketAddr) -> (Grade, String) {
    match timeout(PEER_ANSWERS, TcpStream::connect(address)).await {
        Ok(Ok(_)) => (Grade::Good, "answers".to_owned()),
        Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => (
            Grade::Doubtful,
            "its host answers, and no daemon listens there yet".to_owned(),
        ),
        Ok(Err(error)) => (Grade::Bad, error.to_string()),
        Err(_) => (
            Grade::Bad,
            "no answer within a second: is it up, does a firewall drop TCP to this port?"
                .to_owned(),
        ),
    }
}
