//! A host with `eth0`, and a peer at the other end of its cable, each in a network namespace that ends with the test.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::TryStreamExt;
use had_core::ports::{Event, ResourceStatus};
use had_core::spec::{InterfaceSpec, VipSpec};
use netlink_packet_route::address::AddressAttribute;
use nix::sched::{CloneFlags, setns, unshare};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::addresses::{Connection, Requests};
use crate::decode::{Tag, key_of};
use crate::events::RECEIVE_BUFFER;
use crate::table::{AddressKey, Table};
use crate::{Net, Settings};

/// Nothing here takes longer; the machine may be busy.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
/// The virtual IPs of the stories.
pub(super) const VIP4: &str = "10.77.0.100";
pub(super) const VIP6: &str = "fd00:77::100";

/// The host's namespace (the thread's own) and the peer's.
pub(super) struct World {
    home: File,
    peer: File,
    pub(super) requests: Requests,
    _connection: Connection,
}

/// Tells a story in a new world. One worker runs the adapter, so that the story may block.
pub(super) fn story<F: Future<Output = ()>>(tell: impl FnOnce(World) -> F + Send + 'static) {
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
            timeout(PATIENCE * 2, tell(world))
                .await
                .expect("a story ends in time");
        });
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

fn new_namespace() -> File {
    unshare(CloneFlags::CLONE_NEWNET).expect("run as root, or inside a user namespace");
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

/// The adapter under test, and what it said last.
pub(super) struct Daemon {
    pub(super) net: Net,
    events: mpsc::UnboundedReceiver<Event>,
    ready: BTreeMap<String, Result<(), String>>,
    status: BTreeMap<String, ResourceStatus>,
    claims: VecDeque<(String, String)>,
}

/// The groups `web` (IPv4) and `six` (IPv6), each with the virtual IP `vip`, found by their subnets.
pub(super) fn settings() -> Settings {
    let vip = |group: &str, address: &str, prefix| {
        let address: IpAddr = address.parse().unwrap();
        (
            group.into(),
            "vip".into(),
            VipSpec {
                address,
                prefix,
                interface: InterfaceSpec::BySubnet,
            },
        )
    };
    Settings {
        cluster: "web".into(),
        node: "h1".into(),
        vips: vec![vip("web", VIP4, 24), vip("six", VIP6, 64)],
    }
}

impl Daemon {
    pub(super) async fn start() -> Self {
        Self::start_with(settings(), || (), RECEIVE_BUFFER).await
    }

    pub(super) async fn start_with(
        settings: Settings,
        links: impl Fn() + Send + 'static,
        receive_buffer: i32,
    ) -> Self {
        let (sender, events) = mpsc::unbounded_channel();
        let say = move |event| {
            let _ = sender.send(event);
        };
        let net = Net::start_with(settings, say, links, receive_buffer)
            .await
            .unwrap();
        Self {
            net,
            events,
            ready: BTreeMap::new(),
            status: BTreeMap::new(),
            claims: VecDeque::new(),
        }
    }

    pub(super) fn want(&self, group: &str, up: bool) {
        self.net.want(&group.into(), &"vip".into(), up, false);
    }

    pub(super) fn announce(&self, group: &str, on: bool) {
        self.net.announce(&group.into(), on);
    }

    /// Brings a group's address up and waits until it is.
    pub(super) async fn bring_up(&mut self, group: &str) {
        self.want(group, true);
        self.until("up", |daemon| {
            matches!(daemon.status.get(group), Some(ResourceStatus::Up(_)))
        })
        .await;
    }

    /// Waits until a group's readiness is this.
    pub(super) async fn until_ready(&mut self, group: &str, expected: Result<(), &str>) {
        let expected = expected.map_err(str::to_owned);
        self.until("ready", |daemon| daemon.ready.get(group) == Some(&expected))
            .await;
    }

    /// Waits until a group's address has this status.
    pub(super) async fn until_status(&mut self, group: &str, expected: &ResourceStatus) {
        self.until("status", |daemon| {
            daemon.status.get(group) == Some(expected)
        })
        .await;
    }

    /// The next foreign claim: group and text.
    pub(super) async fn claim(&mut self) -> (String, String) {
        self.until("claim", |daemon| !daemon.claims.is_empty())
            .await;
        self.claims.pop_front().unwrap()
    }

    /// The foreign claims told so far and not taken.
    pub(super) fn claims(&mut self) -> usize {
        while let Ok(event) = self.events.try_recv() {
            self.take(event);
        }
        std::mem::take(&mut self.claims).len()
    }

    /// Whether any resource ever said anything.
    pub(super) fn is_silent_about_resources(&self) -> bool {
        self.status.is_empty()
    }

    async fn until(&mut self, what: &str, fits: impl Fn(&Self) -> bool) {
        while !fits(self) {
            match timeout(PATIENCE, self.events.recv()).await {
                Ok(Some(event)) => self.take(event),
                Ok(None) => panic!("the adapter ended"),
                Err(_) => panic!("{what}: in vain; {:?} {:?}", self.ready, self.status),
            }
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Ready { group, ready, .. } => {
                self.ready.insert(group.to_string(), ready);
            }
            Event::Resource { group, status, .. } => {
                self.status.insert(group.to_string(), status);
            }
            Event::ForeignClaim { group, text } => self.claims.push_back((group.to_string(), text)),
            other => panic!("the adapter has no business to say {other:?}"),
        }
    }
}

/// A raw socket that sees every ARP and neighbour frame at the peer's end.
pub(super) struct Tap(socket2::Socket);

impl Tap {
    /// Opened in the peer's namespace.
    pub(super) fn at_peer(world: &World) -> Self {
        world.at_peer(|| {
            let index = nix::net::if_::if_nametoindex("peer0").unwrap();
            let socket = crate::packet::open_raw(index).unwrap();
            socket.set_nonblocking(false).unwrap();
            Self(socket)
        })
    }

    /// The next frame, or `None` after `patience`.
    pub(super) fn frame(&self, patience: Duration) -> Option<Vec<u8>> {
        use std::io::Read;
        self.0.set_read_timeout(Some(patience)).unwrap();
        let mut buffer = [0; 128];
        match (&self.0).read(&mut buffer) {
            Ok(length) => Some(buffer[..length].to_vec()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            // Told once after the interface was down.
            Err(error) if error.raw_os_error() == Some(libc::ENETDOWN) => None,
            Err(error) => panic!("reading frames at the peer: {error}"),
        }
    }

    /// Sends a frame onto the cable.
    pub(super) fn send(&self, frame: &[u8]) {
        self.0.send(frame).unwrap();
    }
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
