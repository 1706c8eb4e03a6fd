//! Nodes, addresses, and a wire in between that can be frozen.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use had_core::ids::{ClusterId, NodeName, ProcessId, VoterId};
use had_core::message::{Ask, Message, Sender};
use had_core::ports::Via;
use had_core::spec::{NodeSpec, Role};
use had_core::timing::Timing;
use tokio::runtime::Runtime;

use crate::peers::{Inbound, LinkStatus, Peers, PeersError, Ports, Settings};
use crate::tls::Identity;

/// Longest wait for anything: far above what a loaded machine needs.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
pub(super) const PORT: u16 = 7400;
pub(super) const TIMING: Timing = Timing {
    lease: Duration::from_millis(300),
    heartbeat: Duration::from_millis(100),
};

/// A loopback address that nobody else in this run has; other runs differ by their process id.
pub(super) fn address() -> SocketAddr {
    static LAST: AtomicU32 = AtomicU32::new(1);
    let number = LAST.fetch_add(1, Ordering::Relaxed);
    let net = 16 + std::process::id() % 200;
    let [_, _, high, low] = number.to_be_bytes();
    SocketAddr::new(
        Ipv4Addr::new(127, u8::try_from(net).unwrap(), high, low).into(),
        PORT,
    )
}

pub(super) fn spec(name: &str, addresses: &[SocketAddr]) -> NodeSpec {
    NodeSpec {
        name: name.into(),
        role: Role::Member,
        addresses: addresses.to_vec(),
        capacity: 1,
        capacity_is_hard: false,
    }
}

pub(super) fn settings(node: &str, nodes: &[NodeSpec], tls: Option<Arc<Identity>>) -> Settings {
    Settings {
        node: node.into(),
        cluster_name: "web".into(),
        nodes: nodes.to_vec(),
        tls,
        timing: TIMING,
    }
}

pub(super) fn voter(name: &str) -> VoterId {
    VoterId(
        name.bytes()
            .fold(7, |hash, byte| hash * 31 + u64::from(byte)),
    )
}

/// What a node heard.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Said {
    Heard(Sender, Message),
    Asked(Sender, Ask, Via),
}

type Hook = Arc<dyn Fn(&Said) + Send + Sync>;

/// Keeps what was said; answers consensus calls with the caller's name and the body.
pub(super) struct Ear {
    me: Mutex<Sender>,
    said: Mutex<Vec<Said>>,
    hook: Mutex<Option<Hook>>,
}

impl Ear {
    /// Called with everything that is said from now on, on the runtime's thread that brings it.
    pub(super) fn on_said(&self, hook: impl Fn(&Said) + Send + Sync + 'static) {
        *self.hook.lock().unwrap() = Some(Arc::new(hook));
    }

    fn say(&self, said: Said) {
        let hook = self.hook.lock().unwrap().clone();
        if let Some(hook) = hook {
            hook(&said);
        }
        self.said.lock().unwrap().push(said);
    }
}

impl Inbound for Ear {
    fn heard(&self, from: Sender, message: Message) {
        self.say(Said::Heard(from, message));
    }

    fn asked(&self, from: Sender, ask: Ask, via: Via) {
        self.say(Said::Asked(from, ask, via));
    }

    fn consensus(
        &self,
        from: Sender,
        body: Vec<u8>,
    ) -> BoxFuture<'static, Result<Vec<u8>, String>> {
        Box::pin(async move {
            if body == b"fail" {
                return Err("the store is full".to_owned());
            }
            let mut answer = from.node.as_str().as_bytes().to_vec();
            answer.extend(body);
            Ok(answer)
        })
    }

    fn sender(&self) -> Sender {
        self.me.lock().unwrap().clone()
    }
}

/// A node with a runtime of its own; dropped, it is killed with everything it holds.
pub(super) struct Node {
    pub(super) peers: Peers,
    pub(super) ear: Arc<Ear>,
    runtime: Option<Runtime>,
}

impl Node {
    pub(super) fn start(settings: Settings) -> Self {
        Self::start_in(settings, ClusterId(0))
    }

    pub(super) fn start_in(settings: Settings, cluster: ClusterId) -> Self {
        static PROCESS: AtomicU32 = AtomicU32::new(1);
        // Each a start of its own, as the data directory counts them.
        let process = ProcessId(u64::from(PROCESS.fetch_add(1, Ordering::Relaxed)) << 32);
        let voter = voter(settings.node.as_str());
        let me = Sender {
            node: settings.node.clone(),
            voter,
            process,
            cluster,
        };
        let ear = Arc::new(Ear {
            me: Mutex::new(me),
            said: Mutex::default(),
            hook: Mutex::default(),
        });
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let peers = runtime
            .block_on(async {
                let ports = Ports::bind(&settings.nodes, &settings.node)?;
                Ok::<_, PeersError>(Peers::start(settings, ports, Arc::clone(&ear) as _, None))
            })
            .unwrap();
        Self {
            peers,
            ear,
            runtime: Some(runtime),
        }
    }

    pub(super) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.as_ref().unwrap().block_on(future)
    }

    pub(super) fn said(&self) -> Vec<Said> {
        self.ear.said.lock().unwrap().clone()
    }

    pub(super) fn forget(&self) {
        self.ear.said.lock().unwrap().clear();
    }

    pub(super) fn join(&self, cluster: ClusterId) {
        self.ear.me.lock().unwrap().cluster = cluster;
    }

    pub(super) fn link(&self, peer: &str, index: usize) -> LinkStatus {
        let links = self.peers.links();
        links
            .into_iter()
            .find(|link| link.peer == NodeName::from(peer) && link.link == index)
            .unwrap()
    }

    /// Until a link stands with a measured round trip: then a stream that this node opened works both ways.
    pub(super) fn wait_link(&self, peer: &str, index: usize) {
        eventually(&format!("link {index} to {peer}"), || {
            let link = self.link(peer, index);
            link.connected && link.round_trip.is_some()
        });
    }

    pub(super) fn wait_problem(&self, peer: &str, words: &str) {
        eventually(&format!("the problem \"{words}\""), || {
            self.link(peer, 0)
                .problem
                .is_some_and(|problem| problem.contains(words))
        });
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Waits for a condition; how long it took.
pub(super) fn eventually(what: &str, mut condition: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !condition() {
        assert!(
            start.elapsed() < PATIENCE,
            "{what} did not come within {PATIENCE:?}"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
    start.elapsed()
}

/// Passes connections on, until it is told to drop what flows on those that stand (they stay open, half-open), to accept
/// new ones and say nothing, or to hold everything for a while.
pub(super) struct Wire {
    pub(super) mute: Arc<AtomicBool>,
    pub(super) held: Arc<AtomicBool>,
    generation: Arc<AtomicU32>,
}

impl Wire {
    pub(super) fn new(at: SocketAddr, to: SocketAddr) -> Self {
        let wire = Self {
            mute: Arc::default(),
            held: Arc::default(),
            generation: Arc::default(),
        };
        let listener = TcpListener::bind(at).unwrap();
        let (mute, held) = (Arc::clone(&wire.mute), Arc::clone(&wire.held));
        let generation = Arc::clone(&wire.generation);
        std::thread::spawn(move || {
            for caller in listener.incoming() {
                let caller = caller.unwrap();
                let here = generation.load(Ordering::SeqCst);
                if mute.load(Ordering::SeqCst) {
                    // Kept open for the rest of the test.
                    std::thread::spawn(move || std::io::copy(&mut &caller, &mut std::io::sink()));
                } else if let Ok(callee) = TcpStream::connect(to) {
                    relay(&caller, &callee, here, &generation, &held);
                    relay(&callee, &caller, here, &generation, &held);
                }
            }
        });
        wire
    }

    /// From now on nothing flows on the connections that stand; new ones are passed on.
    pub(super) fn freeze_standing(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
    }
}

fn relay(
    from: &TcpStream,
    to: &TcpStream,
    here: u32,
    generation: &Arc<AtomicU32>,
    held: &Arc<AtomicBool>,
) {
    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    from.set_nodelay(true).unwrap();
    let (generation, held) = (Arc::clone(generation), Arc::clone(held));
    std::thread::spawn(move || {
        let mut buffer = [0; 16384];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            if generation.load(Ordering::SeqCst) != here {
                continue;
            }
            while held.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(1));
            }
            if to.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        if generation.load(Ordering::SeqCst) == here {
            // The other direction may be over already.
            let _ = to.shutdown(Shutdown::Both);
        }
    });
}
