//! A host and a peer in network namespaces of their own, joined by a cable, for one story each.
//!
//! ```text
//!  host (the story's thread)          peer
//!  h0 10.9.0.1/24 fd09::1/64 ──veth── p0 10.9.0.2/24 fd09::2/64
//!     guarded: 10.9.0.100, fd09::100 (group 0), 10.9.0.101, fd09::101 (group 1)
//! ```
//! bpffs is mounted in a mount namespace of the story, so nothing stays pinned.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::thread;
use std::time::Duration;

use had_gate::{Footing, Gate, GateError, GuardedGroup, Preference, Settings};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::{geteuid, gettid};

pub(crate) const HOST: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
pub(crate) const PEER: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 2);
pub(crate) const VIPS: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 9, 0, 100), Ipv4Addr::new(10, 9, 0, 101)];
pub(crate) const HOST6: Ipv6Addr = Ipv6Addr::new(0xfd09, 0, 0, 0, 0, 0, 0, 1);
pub(crate) const PEER6: Ipv6Addr = Ipv6Addr::new(0xfd09, 0, 0, 0, 0, 0, 0, 2);
pub(crate) const VIPS6: [Ipv6Addr; 2] = [
    Ipv6Addr::new(0xfd09, 0, 0, 0, 0, 0, 0, 0x100),
    Ipv6Addr::new(0xfd09, 0, 0, 0, 0, 0, 0, 0x101),
];
pub(crate) const HOST_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
pub(crate) const PEER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];

/// No condition that a story awaits takes this long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// What stands under the gate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Tcx,
    Clsact,
    Nft,
}

/// A namespace that lives as long as this, its sockets, or a device in it.
pub(crate) struct Namespace {
    file: File,
    /// A thread that lives in it, as `ip` names namespaces.
    holder: nix::unistd::Pid,
    _release: std::sync::mpsc::Sender<()>,
}

impl Namespace {
    pub(crate) fn new() -> Self {
        let (made, wait) = std::sync::mpsc::channel();
        let (release, released) = std::sync::mpsc::channel::<()>();
        thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            let file = File::open("/proc/thread-self/ns/net").unwrap();
            made.send((file, gettid())).unwrap();
            let _ = released.recv();
        });
        let (file, holder) = wait.recv().unwrap();
        Self {
            file,
            holder,
            _release: release,
        }
    }

    /// Does something inside. Sockets that it returns stay inside.
    pub(crate) fn run<R: Send>(&self, body: impl FnOnce() -> R + Send) -> R {
        let inside = || {
            setns(&self.file, CloneFlags::CLONE_NEWNET).unwrap();
            body()
        };
        thread::scope(|scope| scope.spawn(inside).join()).unwrap()
    }
}

/// What a story has.
pub(crate) struct Lab {
    pub(crate) kind: Kind,
    pub(crate) peer: Namespace,
}

impl Lab {
    /// Opens the gate for the two groups.
    pub(crate) fn open(&self) -> Gate {
        self.open_for(&settings("lab")).unwrap()
    }

    pub(crate) fn open_for(&self, settings: &Settings) -> Result<Gate, GateError> {
        let (preference, footing) = match self.kind {
            Kind::Tcx => (Preference::Bpf, Footing::Newest),
            Kind::Clsact => (Preference::Bpf, Footing::Old),
            Kind::Nft => (Preference::Nft, Footing::Newest),
        };
        Gate::open_on(
            &Settings {
                preference,
                ..settings.clone()
            },
            footing,
        )
    }

    /// How much earlier than asked the gate may shut: nftables counts in ticks (of at most 10 ms) and keeps seven in hand.
    pub(crate) fn margin_ns(&self) -> u64 {
        match self.kind {
            Kind::Tcx | Kind::Clsact => 0,
            Kind::Nft => 73_000_000,
        }
    }
}

pub(crate) fn settings(instance: &str) -> Settings {
    let group = |index: usize| GuardedGroup {
        name: format!("g{index}"),
        addresses: vec![IpAddr::V4(VIPS[index]), IpAddr::V6(VIPS6[index])],
    };
    Settings {
        preference: Preference::Auto,
        instance: instance.into(),
        groups: vec![group(0), group(1)],
    }
}

/// Tells a story on a thread of its own, in namespaces of its own. An ordinary user gets a user namespace first.
pub(crate) fn tell(kind: Kind, story: fn(&Lab)) {
    if !geteuid().is_root() {
        if kind != Kind::Nft {
            eprintln!("not run: BPF is not permitted to an ordinary user");
            return;
        }
        return again_in_user_namespace(None);
    }
    let name = thread::current().name().unwrap_or("story").to_owned();
    let body = move || {
        unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).unwrap();
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(None::<&str>, "/", None::<&str>, private, None::<&str>).unwrap();
        if !in_user_namespace() {
            let none = None::<&str>;
            mount(
                Some("bpf"),
                "/sys/fs/bpf",
                Some("bpf"),
                MsFlags::empty(),
                none,
            )
            .unwrap();
        }
        let lab = Lab {
            kind,
            peer: Namespace::new(),
        };
        lay_cable(&lab);
        crate::wire::await_cable(&lab);
        story(&lab);
    };
    let told = thread::Builder::new()
        .name(name)
        .spawn(body)
        .unwrap()
        .join();
    if let Err(panic) = told {
        std::panic::resume_unwind(panic);
    }
}

/// Whether root here is somebody else outside.
pub(crate) fn in_user_namespace() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap();
    map.split_whitespace().collect::<Vec<_>>() != ["0", "0", "4294967295"]
}

/// Runs the present test again, as root of a new user namespace that `uid` (or this user) makes.
pub(crate) fn again_in_user_namespace(uid: Option<u32>) {
    let test = thread::current()
        .name()
        .expect("the harness names its threads")
        .to_owned();
    let outside = uid.unwrap_or(geteuid().as_raw());
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &test, "--nocapture"]);
    if let Some(uid) = uid {
        command.uid(uid).gid(uid);
    }
    let map = format!("0 {outside} 1");
    // SAFETY: between fork and exec, system calls and writes to files alone; no lock is taken.
    unsafe {
        command.pre_exec(move || {
            nix::sys::prctl::set_dumpable(true)?;
            unshare(CloneFlags::CLONE_NEWUSER)?;
            std::fs::write("/proc/self/uid_map", &map)
        });
    }
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(text.contains("1 passed"), "{text}");
}

fn lay_cable(lab: &Lab) {
    ip("link set lo up");
    ip(&format!(
        "link add h0 mtu 9000 type veth peer name p0 mtu 9000 netns {}",
        lab.peer.holder
    ));
    ip("link set h0 address 02:00:00:00:00:01 up");
    ip("addr add 10.9.0.1/24 dev h0");
    ip("addr add fd09::1/64 dev h0 nodad");
    lab.peer.run(|| {
        ip("link set lo up");
        ip("link set p0 address 02:00:00:00:00:02 up");
        ip("addr add 10.9.0.2/24 dev p0");
        ip("addr add fd09::2/64 dev p0 nodad");
    });
}

/// Brings the guarded addresses up; the gate must stand before.
pub(crate) fn add_vips() {
    for (v4, v6) in VIPS.iter().zip(VIPS6) {
        ip(&format!("addr add {v4}/32 dev h0"));
        ip(&format!("addr add {v6}/128 dev h0 nodad"));
    }
}

/// `ip`, in the namespace of the calling thread.
pub(crate) fn ip(arguments: &str) {
    tool("ip", arguments);
}

pub(crate) fn tool(program: &str, arguments: &str) -> String {
    let output = Command::new(program)
        .args(arguments.split(' '))
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// `CLOCK_BOOTTIME`, nanoseconds.
pub(crate) fn boot_ns() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME).unwrap();
    u64::try_from(Duration::from(now).as_nanos()).unwrap()
}

/// So long from now, on that clock.
pub(crate) fn boot_in(duration: Duration) -> u64 {
    boot_ns() + u64::try_from(duration.as_nanos()).unwrap()
}

/// A deadline that no story reaches.
pub(crate) fn far() -> u64 {
    boot_in(Duration::from_secs(600))
}
