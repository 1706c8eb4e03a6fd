//! A host with `eth0`, and a peer at the other end of its cable, each in a network namespace that ends with the test.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::TryStreamExt;
use netlink_packet_route::address::AddressAttribute;
use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::geteuid;
use tokio::time::timeout;

use crate::addresses::{Connection, Requests};
use crate::decode::{Tag, key_of};
use crate::table::{AddressKey, Table};

/// No story takes longer; the machine may be busy.
const STORY_TIMEOUT: Duration = Duration::from_secs(40);
/// Nor any step that is waited for without giving way.
const STEP_TIMEOUT: Duration = Duration::from_secs(10);

/// The host's namespace (the thread's own) and the peer's.
pub(super) struct World {
    home: File,
    peer: File,
    pub(super) requests: Requests,
    _connection: Connection,
}

/// Tells a story in a new world. One worker runs the adapter, so that the story may block. An ordinary user is root in a
/// user namespace of his own.
pub(super) fn story<F: Future<Output = ()>>(tell: impl FnOnce(World) -> F + Send + 'static) {
    if !geteuid().is_root() {
        return again_in_user_namespace();
    }
    let thread = std::thread::spawn(move || {
        let home = new_namespace();
        let peer = new_namespace();
        setns(&home, CloneFlags::CLONE_NEWNET).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let (requests, connection) = Requests::open(Tag::of("web")).unwrap();
            let world = World {
                home,
                peer,
                requests,
                _connection: connection,
            };
            world.lay_cable();
            timeout(STORY_TIMEOUT, tell(world))
                .await
                .expect("a story ends in time");
        });
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Runs the present test again, as root of a new user namespace. A process of several threads cannot enter one itself.
fn again_in_user_namespace() {
    let thread = std::thread::current();
    let test = thread.name().expect("the harness names its threads");
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]);
    let map = format!("0 {} 1", geteuid());
    // SAFETY: between fork and exec, system calls and a write to a file alone; no lock is taken.
    unsafe {
        command.pre_exec(move || {
            unshare(CloneFlags::CLONE_NEWUSER)?;
            std::fs::write("/proc/self/uid_map", &map)
        });
    }
    let output = command.output().expect("user namespaces are permitted");
    let told = [output.stdout, output.stderr].concat();
    let told = String::from_utf8_lossy(&told);
    assert!(output.status.success(), "{told}");
    assert!(told.contains("1 passed"), "{told}");
}

fn new_namespace() -> File {
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    File::open("/proc/thread-self/ns/net").unwrap()
}

/// One `ip` command in this thread's namespace; the output.
pub(super) fn ip(arguments: &str) -> String {
    let output = Command::new("timeout")
        .args(["10", "ip"])
        .args(arguments.split_whitespace())
        .output()
        .expect("iproute2 and coreutils are installed");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {arguments}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Waits for something that only asking tells.
pub(super) fn until(what: &str, mut happens: impl FnMut() -> bool) {
    let since = Instant::now();
    while !happens() {
        assert!(since.elapsed() < STEP_TIMEOUT, "in vain: {what}");
    }
}

impl World {
    /// `eth0` here with 10.77.0.1 and fd00:77::1, `peer0` there with .2 and ::2.
    pub(super) fn lay_cable(&self) {
        ip(
            "link add eth0 address 02:00:00:00:00:01 type veth peer name peer0 address 02:00:00:00:00:02",
        );
        ip(&format!(
            "link set peer0 netns /proc/{}/fd/{}",
            std::process::id(),
            self.peer_fd()
        ));
        self.at_peer(|| {
            ip("address add 10.77.0.2/24 dev peer0");
            ip("address add fd00:77::2/64 dev peer0 nodad");
            ip("link set peer0 up");
        });
        ip("link set lo up");
        ip("address add 10.77.0.1/24 dev eth0");
        ip("address add fd00:77::1/64 dev eth0 nodad");
        ip("link set eth0 up");
        // Before that, the kernel drops what is sent, without a word.
        until("both ends send", || {
            let is_up =
                |shown: String| shown.contains("state UP") && !shown.contains("qdisc noop ");
            is_up(ip("link show eth0")) && is_up(self.at_peer(|| ip("link show peer0")))
        });
    }

    fn peer_fd(&self) -> i32 {
        use std::os::fd::AsRawFd;
        self.peer.as_raw_fd()
    }

    /// Does something in the peer's namespace. No waiting inside: the thread has to come home.
    pub(super) fn at_peer<T>(&self, act: impl FnOnce() -> T) -> T {
        setns(&self.peer, CloneFlags::CLONE_NEWNET).unwrap();
        let result = act();
        setns(&self.home, CloneFlags::CLONE_NEWNET).unwrap();
        result
    }

    pub(super) async fn table(&self) -> Table {
        self.requests.dump().await.unwrap()
    }

    pub(super) async fn eth0(&self) -> u32 {
        self.table()
            .await
            .link_named("eth0")
            .expect("eth0 is there")
            .index
    }

    /// Whether `eth0` bears our address.
    pub(super) async fn holds(&self, address: &str) -> bool {
        let table = self.table().await;
        table
            .link_named("eth0")
            .is_some_and(|link| table.holds(&key(link.index, address)))
    }

    /// Everything the kernel says about one address.
    pub(super) async fn attributes(&self, key: AddressKey) -> Vec<AddressAttribute> {
        let (connection, handle, _) = rtnetlink::new_connection().unwrap();
        let task = tokio::spawn(connection);
        let all: Vec<_> = handle
            .address()
            .get()
            .execute()
            .try_collect()
            .await
            .unwrap();
        task.abort();
        let found = all.into_iter().find(|message| key_of(message) == Some(key));
        found.expect("the address is there").attributes
    }

    /// Waits for a condition that no event tells.
    pub(super) async fn until_holds(&self, address: &str, holds: bool) {
        while self.holds(address).await != holds {
            tokio::task::yield_now().await;
        }
    }
}

pub(super) fn key(index: u32, address: &str) -> AddressKey {
    AddressKey::host(index, address.parse().unwrap())
}

/// The middle and the worst of some durations, for the record.
pub(super) fn summary(what: &str, mut durations: Vec<Duration>) {
    durations.sort();
    let worst = durations.last().unwrap();
    println!(
        "{what}: p50 {:?}, worst {worst:?} of {}",
        durations[durations.len() / 2],
        durations.len()
    );
}

/// Remembers what happened in which order.
#[derive(Clone, Default)]
pub(super) struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    pub(super) fn note(&self, text: impl Into<String>) {
        self.0.lock().unwrap().push(text.into());
    }

    pub(super) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}
