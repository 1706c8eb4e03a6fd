//! `had run`: everything put together, in the order in which it can fail without leaving anything half-done.
//!
//! ```text
//!  file ─▶ certificates ─▶ store (lock) ─▶ ports ─▶ gate (shut) ─▶ guard ─▶ addresses (strays gone) ─▶ peers ─▶ driver ─▶ consensus ─▶ socket
//!                                            └─ but for what a killed life was granted ─┘
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::path::Path;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, OnceLock, RwLock};
use std::time::{Duration, Instant};

use had_config::{GatePreference, LoadError, Loaded};
use had_consensus::{Consensus, ENTRIES_A_SNAPSHOT, OpenError, Plants, Replica, Store, System};
use had_core::ids::{ClusterId, GroupName, NodeName, ProcessId, VoterId};
use had_core::lease;
use had_core::message::Sender;
use had_core::node::Node;
use had_core::ports::{Event, Identity};
use had_core::spec::{ClusterSpec, Role};
use had_core::state::State;
use had_core::time::BootTime;
use had_gate::Preference;
use had_net::Net;
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{oneshot, watch};
use tokio::time::sleep;

use crate::cli::Run;
use crate::driver::{CLUSTER_KEY, Deadlines, Driver, Ended, Gates, Inbox, Input, Outlets, Replies};
use crate::inbound::Doorman;
use crate::operator::LocalOperator;
use crate::peers::{self, Peers, Ports};
use crate::transport::PeerTransport;
use crate::{admin, check, clock, guard, http, priority, privileges, supervisor, tls, vips};

/// The name under which the store keeps the name of its node.
const NODE_KEY: &str = "node";
/// The store's count of starts.
const STARTS_KEY: &str = "starts";
/// How long the net task may wait for the gate to cover an interface. The driver answers in microseconds; a driver that
/// does not is stuck, and opens nothing.
const COVER_PATIENCE: Duration = Duration::from_millis(100);

/// How long a former life is waited for, and between two looks.
const FORMER_LIFE_ENDS: Duration = Duration::from_secs(1);
const FORMER_LIFE_PAUSE: Duration = Duration::from_millis(2);

/// How long a daemon whose store has failed goes on, so that it is heard that it released what it owned. A decision takes
/// milliseconds.
const HAND_OVER: Duration = Duration::from_millis(500);

/// Why the daemon does not run, with the exit code of SURFACE.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The file is refused: a supervisor should not try again.
    #[error("{0}")]
    Configuration(String),
    /// It cannot run here now.
    #[error("{0}")]
    Here(String),
}

impl Problem {
    /// The process' exit code.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::Configuration(_) => 78,
            Self::Here(_) => 1,
        }
    }
}

fn here(error: &dyn std::error::Error) -> Problem {
    Problem::Here(with_causes(error))
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let said = cause.to_string();
        // Some errors tell their cause themselves.
        if !text.ends_with(&said) {
            text.push_str(&format!(": {said}"));
        }
        source = cause.source();
    }
    text
}

/// Reads the cluster file, and what the environment says of this host over it.
///
/// # Errors
/// Where it cannot be read, or is refused: with everything that is wrong in it.
pub fn load(path: &Path) -> Result<Loaded, Problem> {
    let mut loaded = had_config::load(path).map_err(|error| match &error {
        LoadError::Read { path, source } => Problem::Here(format!(
            "cannot read the cluster file {}: {source}. Name another with --config or HAD_CONFIG",
            path.display()
        )),
        LoadError::Refused(errors) => Problem::Configuration(errors.to_string()),
    })?;
    // A value that is no text becomes one that is refused, or names no file.
    let text = |text: OsString| text.to_string_lossy().into_owned();
    let variables = std::env::vars_os().map(|(name, value)| (text(name), text(value)));
    let layered = loaded.local.layered(variables);
    loaded.local = layered.map_err(|error| Problem::Configuration(error.to_string()))?;
    Ok(loaded)
}

/// This node's name: as given, or the host's.
///
/// # Errors
/// Where the file does not name it.
pub fn node_name(given: Option<String>, spec: &ClusterSpec) -> Result<NodeName, Problem> {
    let host = || {
        nix::unistd::gethostname()
            .ok()
            .and_then(|name| name.into_string().ok())
    };
    let name = given.or_else(host).unwrap_or_default();
    let node = NodeName::from(name.as_str());
    if spec.node(&node).is_some() {
        return Ok(node);
    }
    let known: Vec<_> = spec.nodes.iter().map(|node| node.name.as_str()).collect();
    let known = known.join(", ");
    Err(Problem::Configuration(format!(
        "the cluster file does not name the node {name:?}; it names {known}. \
         Say which one this is with --node or HAD_NODE"
    )))
}

/// The gate's own word for the file's.
#[must_use]
pub fn preference(gate: GatePreference) -> Preference {
    match gate {
        GatePreference::Auto => Preference::Auto,
        GatePreference::Bpf => Preference::Bpf,
        GatePreference::Nft => Preference::Nft,
        GatePreference::None => Preference::None,
    }
}

/// Runs until asked to end.
///
/// # Errors
/// What keeps it from running, or ended it.
pub async fn run(asked: &Run) -> Result<(), Problem> {
    let loaded = load(&asked.config)?;
    for warning in &loaded.warnings {
        tracing::warn!(
            "{}:{}: {}",
            asked.config.display(),
            warning.line,
            warning.message
        );
    }
    let spec = &loaded.configuration.spec;
    let node = node_name(asked.node.clone(), spec)?;
    let identity = loaded
        .local
        .tls
        .as_ref()
        .map(|files| tls::Identity::load(&check::files(files), &node));
    let identity = identity
        .transpose()
        .map_err(|error| {
            let why = with_causes(&error);
            Problem::Here(format!(
                "{why}. `hactl pki issue {node}` writes a certificate and its key"
            ))
        })?
        .map(Arc::new);
    let vips = vips::of(spec, &node, &BTreeSet::new());
    if !vips.is_empty() {
        privileges::needed().map_err(Problem::Here)?;
    }
    let store = open_store(&asked.data_dir, &node)?;
    let sender = sender(&store, &node)?;
    // Before anything is touched: on another node's host, or beside another daemon, it ends here.
    let ports = Ports::bind(&spec.nodes, &node).map_err(|error| here(&error))?;
    if !owns_nothing(spec, &node) {
        forget_the_unknown(spec).await?;
    }
    // A witness owns nothing, so there is nothing to silence, and it may lack the privileges for it.
    let mut gates = Gates::open(
        if owns_nothing(spec, &node) {
            Preference::None
        } else {
            preference(loaded.local.gate)
        },
        format!("{}-{node}", spec.name),
        spec,
    )
    .map_err(|error| here(&error))?;
    let mine = vips.into_iter().map(|(group, ..)| group);
    let (now, lease, empty) = (clock::now().boot, spec.timing.lease, store.is_blank());
    let inherited = gates
        .inherit(&mine.collect(), |until| {
            lease::is_inherited(until, now, lease, empty)
        })
        .map_err(|error| here(&error))?;
    if !inherited.is_empty() {
        let groups: Vec<_> = inherited.keys().map(GroupName::as_str).collect();
        let groups = groups.join(", ");
        tracing::info!("a killed life of this daemon left {groups} open: going on with it");
    }
    priority::lock_memory();
    let parts = Parts {
        loaded,
        node,
        identity,
        store,
        sender,
        ports,
        gates,
        inherited,
    };
    Daemon::start(asked, parts).await?.until_the_end().await
}

/// What this file does not name has no gate from here on: so whatever an earlier life left of it goes while the gate of that life
/// stands.
async fn forget_the_unknown(spec: &ClusterSpec) -> Result<(), Problem> {
    let known: BTreeSet<IpAddr> = vips::all(spec).collect();
    let remover = had_net::Remover::open(&spec.name).map_err(|error| here(&error))?;
    let gone = remover.take_off(|address| !known.contains(&address)).await;
    for address in gone.map_err(|error| here(&error))? {
        tracing::info!("removed {address}, left by an earlier life, which this file does not name");
    }
    Ok(())
}

fn owns_nothing(spec: &ClusterSpec, node: &NodeName) -> bool {
    let own = spec.node(node);
    own.is_some_and(|own| own.role == Role::Witness)
}

fn open_store(directory: &Path, node: &NodeName) -> Result<Store, Problem> {
    std::fs::create_dir_all(directory).map_err(|error| {
        Problem::Here(format!(
            "cannot create the data directory {}: {error}; name another with --data-dir",
            directory.display()
        ))
    })?;
    let voter = random()?.max(1);
    let store = await_store(directory, VoterId(voter)).map_err(|error| {
        let why = with_causes(&error);
        let remedy = match &error {
            _ if error.refusal() == Some(ErrorKind::StorageFull) => "make room there",
            _ if error.refusal() == Some(ErrorKind::ReadOnlyFilesystem) => "mount it for writing",
            _ if error.refusal() == Some(ErrorKind::PermissionDenied) => {
                "may this user write there?"
            }
            OpenError::InUse => "end it, or give this one its own with --data-dir",
            OpenError::Damaged(_) | OpenError::Record { .. } | OpenError::Database(_) => {
                "with an empty one this node joins anew, and the others tell it everything"
            }
            OpenError::Newer { .. } => "run that version, or start with an empty directory",
            OpenError::Directory(_) => "is it a directory that this user may write?",
        };
        Problem::Here(format!(
            "data directory {}: {why}; {remedy}",
            directory.display()
        ))
    })?;
    belongs_to(&store, node, directory)?;
    Ok(store)
}

/// A killed life may still be on its way out: it lets go within milliseconds, or it is no killed one.
fn await_store(directory: &Path, fresh: VoterId) -> Result<Store, OpenError> {
    let since = Instant::now();
    loop {
        match Store::open(directory, fresh) {
            Err(OpenError::InUse) if since.elapsed() < FORMER_LIFE_ENDS => {
                std::thread::sleep(FORMER_LIFE_PAUSE);
            }
            outcome => return outcome,
        }
    }
}

/// A copy of another node's directory would vote in that node's name.
fn belongs_to(store: &Store, node: &NodeName, directory: &Path) -> Result<(), Problem> {
    match store.value(NODE_KEY) {
        None => store
            .set_value(NODE_KEY, node.as_str().as_bytes())
            .map_err(|error| here(&error)),
        Some(owner) if owner == node.as_str().as_bytes() => Ok(()),
        Some(owner) => Err(Problem::Here(format!(
            "the data directory {} was made by the node {}, and this is {node}. \
             Give {node} its own with --data-dir; with an empty one it joins anew",
            directory.display(),
            String::from_utf8_lossy(&owner)
        ))),
    }
}

fn random() -> Result<u64, Problem> {
    getrandom::u64().map_err(|error| Problem::Here(format!("no randomness: {error}")))
}

/// Who this process is: a later life of one data directory has the greater process id.
fn sender(store: &Store, node: &NodeName) -> Result<Sender, Problem> {
    let starts = store.number(STARTS_KEY).unwrap_or(0) + 1;
    store
        .set_number(STARTS_KEY, starts)
        .map_err(|error| here(&error))?;
    let chance = random()? & u64::from(u32::MAX);
    let cluster = match store.number(CLUSTER_KEY) {
        Some(cluster) => ClusterId(cluster),
        None if store.is_blank() => ClusterId(0),
        None => ClusterId::UNKNOWN,
    };
    let process = ProcessId(starts << 32 | chance);
    Ok(Sender {
        node: node.clone(),
        voter: store.voter(),
        process,
        cluster,
    })
}

struct Parts {
    loaded: Loaded,
    node: NodeName,
    identity: Option<Arc<tls::Identity>>,
    store: Store,
    sender: Sender,
    ports: Ports,
    gates: Gates,
    /// What a killed life left open.
    inherited: BTreeMap<GroupName, BootTime>,
}

/// A running daemon.
struct Daemon {
    inbox: Inbox,
    net: Net,
    peers: Peers,
    consensus: Consensus<System>,
    socket: admin::Socket,
    driver: oneshot::Receiver<(Ended, Gates)>,
}

/// What stands of a daemon that is just starting: it is let go where the rest cannot stand.
#[derive(Default)]
struct Begun {
    gates: Option<Gates>,
    net: Option<Net>,
    driver: Option<oneshot::Receiver<(Ended, Gates)>>,
}

impl Begun {
    /// Every gate shut, also what was inherited, then every address off, then the gate away.
    async fn let_go(mut self, inbox: &Inbox) {
        if let Some(gates) = &mut self.gates {
            gates.shut_all();
        }
        if let Some(driver) = self.driver {
            inbox.send(Input::Abort);
            // Every gate is shut when the thread has ended.
            self.gates = driver.await.ok().map(|(_, gates)| gates);
        }
        let clean = match self.net {
            Some(net) => net.shutdown().await,
            None => false,
        };
        if let Some(gates) = self.gates.filter(|_| clean)
            && let Err(error) = gates.remove()
        {
            tracing::warn!("the gate stays: {error}");
        }
    }
}

impl Daemon {
    async fn start(asked: &Run, parts: Parts) -> Result<Self, Problem> {
        let (inbox, inputs) = Inbox::new();
        let mut begun = Begun::default();
        let stood = Self::stand(asked, parts, inbox.clone(), inputs, &mut begun).await;
        if stood.is_err() {
            begun.let_go(&inbox).await;
        }
        stood
    }

    async fn stand(
        asked: &Run,
        parts: Parts,
        inbox: Inbox,
        inputs: Receiver<Input>,
        begun: &mut Begun,
    ) -> Result<Self, Problem> {
        let Parts {
            loaded,
            node,
            identity,
            store,
            sender,
            ports,
            gates,
            inherited,
        } = parts;
        let spec = loaded.configuration.spec.clone();
        let gates = begun.gates.insert(gates);
        if !owns_nothing(&spec, &node) {
            let setup = guard::Setup {
                cluster: spec.name.clone(),
                log_format: asked.log_format,
                realtime: loaded.local.realtime,
                patience: spec.timing.lease / 3,
                directory: asked.data_dir.clone(),
                life: sender.process.0,
            };
            let told = inbox.clone();
            // Before an address is there that it would have to take off.
            gates
                .guard(setup, move |stands| {
                    told.event(Event::Guard(stands));
                })
                .map_err(|error| Problem::Here(format!("no guard can be set up: {error}")))?;
        }
        let net = start_net(&spec, &node, inherited.keys(), &inbox, gates.deadlines()).await?;
        begun.net = Some(net.clone());
        gates.forget_earlier_lives().map_err(|error| here(&error))?;
        let consensus = Arc::new(OnceLock::new());
        let peers_place = Arc::new(OnceLock::new());
        let replies = Replies::default();
        let (applied, watch_applied) = watch::channel(Arc::new(State::default()));
        let (last_event, watch_last_event) = watch::channel(0);
        let rung = gates.rung().to_string();
        let core = Node::new(
            Identity {
                sender: sender.clone(),
                gate: rung.clone(),
                supervised: supervisor::watches(),
            },
            loaded.configuration.clone(),
            &inherited,
            clock::now(),
        );
        let current = Arc::new(RwLock::new(sender));
        let outlets = Outlets {
            inbox: inbox.clone(),
            runtime: Handle::current(),
            net: net.clone(),
            peers: Arc::clone(&peers_place),
            consensus: Arc::clone(&consensus),
            store: store.clone(),
            sender: Arc::clone(&current),
            replies: replies.clone(),
            node: node.clone(),
        };
        let gates = begun.gates.take().expect("they were put there above");
        let driver = Driver::new(core, gates, outlets, inputs, applied, last_event);
        begun.driver = Some(driver.spawn().map_err(|error| here(&error))?);
        let doorman = Doorman {
            inbox: inbox.clone(),
            runtime: Handle::current(),
            consensus: Arc::clone(&consensus),
            sender: current,
        };
        let operator = Arc::new(LocalOperator {
            inbox: inbox.clone(),
            replies,
            applied: watch_applied,
            last_event: watch_last_event,
            node: node.clone(),
        });
        let settings = peers::Settings {
            node: node.clone(),
            cluster_name: spec.name.clone(),
            nodes: spec.nodes.clone(),
            tls: identity,
            timing: spec.timing,
        };
        let peers = Peers::start(settings, ports, Arc::new(doorman), Some(operator.clone()));
        // Both places are filled here and nowhere else.
        let _ = peers_place.set(peers.clone());
        let running = start_consensus(&spec, store, &peers, &inbox).await?;
        let _ = consensus.set(running.clone());
        follow_leadership(&running, &inbox);
        let forward = Arc::new(peers.clone());
        let socket = admin::serve_socket(&asked.socket, operator.clone(), forward).await;
        let socket = socket.map_err(|error| here(&error))?;
        if loaded.local.realtime {
            // Not before: what a start takes would be taken from what is served here. Nor later: metrics stay ordinary.
            priority::take();
        }
        if let Some(address) = loaded.local.http {
            http::serve(address, operator.clone())
                .await
                .map_err(|error| here(&error))?;
        }
        let stands = format!("{node} runs in cluster {} (gate: {rung})", spec.name);
        tracing::info!("{stands}");
        supervisor::ready(&stands);
        supervisor::keep_alive(Arc::clone(&operator));
        supervisor::show(operator);
        Ok(Self {
            inbox,
            net,
            peers,
            consensus: running,
            socket,
            driver: begun.driver.take().expect("it was put there above"),
        })
    }

    /// Waits for signals and for the driver, then takes everything down in order.
    async fn until_the_end(mut self) -> Result<(), Problem> {
        let mut terminate = signal(SignalKind::terminate()).map_err(|error| here(&error))?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| here(&error))?;
        let mut asked = false;
        let (ended, gates) = loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                failure = self.consensus.failed() => {
                    tracing::error!("{failure}: giving up what this node owns");
                    self.inbox.event(Event::StoreFailed(failure.to_string()));
                    sleep(HAND_OVER).await;
                    self.inbox.send(Input::Abort);
                    // Every gate is shut when the thread has ended.
                    drop((&mut self.driver).await);
                    self.net.shutdown().await;
                    return Err(Problem::Here(failure.to_string()));
                }
                ended = &mut self.driver => {
                    match ended {
                        Ok(ended) => break ended,
                        Err(_) => {
                            self.net.shutdown().await;
                            return Err(Problem::Here("the driver's thread died".to_owned()));
                        }
                    }
                }
            }
            let next = if asked {
                Input::Abort
            } else {
                supervisor::stopping();
                Input::Event(Event::Shutdown)
            };
            self.inbox.send(next);
            asked = true;
        };
        drop(self.socket);
        // The addresses first: nothing of ours may be there when the gate goes.
        let clean = self.net.shutdown().await;
        self.peers.shutdown();
        self.consensus.shutdown().await;
        match ended {
            Ended::AsAsked if !clean => {
                tracing::warn!("ended; the gate stays shut over what may be left");
                Ok(())
            }
            Ended::AsAsked => {
                gates.remove().map_err(|error| here(&error))?;
                tracing::info!("ended as asked");
                Ok(())
            }
            Ended::Aborted => Ok(()),
            Ended::GateFailed(why) => Err(Problem::Here(why)),
        }
    }
}

async fn start_net(
    spec: &ClusterSpec,
    node: &NodeName,
    inherited: impl Iterator<Item = &GroupName>,
    inbox: &Inbox,
    deadlines: Deadlines,
) -> Result<Net, Problem> {
    let settings = had_net::Settings {
        cluster: spec.name.clone(),
        node: node.clone(),
        vips: vips::of(spec, node, &BTreeSet::new()),
        inherited: inherited.cloned().collect(),
    };
    let (events, links) = (inbox.clone(), inbox.clone());
    let cover = move || {
        let (done, waiting) = std::sync::mpsc::channel();
        links.send(Input::Cover(done));
        if waiting.recv_timeout(COVER_PATIENCE).is_err() {
            tracing::warn!("the gate has not covered a new interface yet");
        }
    };
    let leave = move |group: &GroupName| deadlines.leave(group);
    Net::start(settings, move |event| events.event(event), cover, leave)
        .await
        .map_err(|error| here(&error))
}

async fn start_consensus(
    spec: &ClusterSpec,
    store: Store,
    peers: &Peers,
    inbox: &Inbox,
) -> Result<Consensus<System>, Problem> {
    let settings = had_consensus::Settings {
        timing: spec.timing,
        cluster_name: spec.name.clone(),
        entries_a_snapshot: ENTRIES_A_SNAPSHOT,
        plants: Plants::default(),
    };
    let deliver = inbox.clone();
    let machine = Replica::new(move |event| deliver.event(event));
    let voter = store.voter();
    let transport = Arc::new(PeerTransport(peers.clone()));
    Consensus::start(settings, voter, store, transport, machine)
        .await
        .map_err(|error| here(&error))
}

fn follow_leadership(consensus: &Consensus<System>, inbox: &Inbox) {
    let (mut watch, inbox) = (consensus.leadership(), inbox.clone());
    tokio::spawn(async move {
        while let Some(leadership) = watch.changed().await {
            inbox.event(Event::Leadership(leadership));
        }
    });
}
