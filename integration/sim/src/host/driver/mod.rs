//! The daemon: one task owns the core and executes its commands in order, as the real driver does.
//!
//! | module | subject |
//! | --- | --- |
//! | this one | the loop, and where a fault may strike in the middle of it |
//! | `start` | from `exec` to the loop, and the end where the disk fails |
//! | `execute` | what becomes of each command |

mod execute;
mod start;

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use had_consensus::Consensus;
use had_core::ids::{LeaderId, ProposalId};
use had_core::node::Node;
use had_core::ports::{Command, Event, ProposeError};
use had_core::state::{Configuration, Entry};
use had_core::time::{BootTime, MonoTime, Now, RawTime, WallTime};
use openraft_rt::AsyncRuntime;
use tokio::sync::mpsc;

use super::Interrupt;
use super::addresses::{Key, of_node};
use crate::check;
use crate::cluster::Cluster;
use crate::runtime::{SimInstant, SimRuntime, after, here};

pub(crate) use execute::begins_a_move;

/// From `exec` to the first line that matters.
const START_UP_US: std::ops::Range<u64> = 500..6_000;
/// Where `CLOCK_REALTIME` begins: 2026. For people only.
const YEAR_2026_NS: u64 = 1_767_225_600_000_000_000;

/// One life of a daemon, from its start to its end.
pub(super) async fn daemon(cluster: Rc<Cluster>, host: usize) {
    let start_up = cluster.takes(START_UP_US);
    SimRuntime::sleep(start_up).await;
    if let Some((driver, inbox)) = start::start(&cluster, host).await {
        driver.run(inbox).await;
    }
}

struct Driver {
    cluster: Rc<Cluster>,
    host: usize,
    node: Node,
    consensus: Rc<Consensus<SimRuntime>>,
    /// The configuration that gate and addresses follow.
    known: Option<Arc<Configuration>>,
    /// The addresses that it may have to put up.
    mine: BTreeSet<Key>,
    /// What the clocks said when it last thought.
    read: Now,
    /// Entries of its present leadership whose outcome it has not heard.
    on_their_way: BTreeMap<ProposalId, (LeaderId, Entry)>,
}

/// The clocks of the running node. `boot` is read first, as the daemon does.
fn clocks() -> Now {
    here(|now, clocks| Now {
        boot: BootTime(clocks.boot.read(now)),
        mono: MonoTime(clocks.mono.read(now)),
        raw: RawTime(clocks.raw.read(now)),
        wall: WallTime(YEAR_2026_NS + now),
    })
}

impl Driver {
    async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Event>) {
        loop {
            let deadline = SimInstant(self.node.next_deadline(clocks()).0);
            let mut events = match SimRuntime::timeout_at(deadline, inbox.recv()).await {
                Ok(Some(event)) => vec![event],
                Ok(None) => return,
                Err(_) => Vec::new(),
            };
            events.extend(std::iter::from_fn(|| inbox.try_recv().ok()));
            let now = self.read_clocks().await;
            for event in &events {
                if let Event::Proposed { proposal, outcome } = event
                    && *outcome == Err(ProposeError::Refused)
                {
                    self.on_their_way.remove(proposal);
                }
            }
            self.adopt(&events);
            self.read = now;
            let commands = self.node.handle(now, events);
            self.cluster.hosts[self.host].speaks_as(self.node.sender());
            if self.cluster.hosts[self.host].takes_the_question() {
                self.show(now);
            }
            for command in commands {
                if begins_a_move(&command) {
                    self.cluster.steps.a_move_begins();
                }
                if self.cluster.takes_step(self.host) {
                    yield_once().await;
                }
                self.pause_point().await;
                if command == Command::Exit {
                    return self.exit().await;
                }
                self.execute(command);
            }
        }
    }

    /// A daemon can be stopped between reading one clock and the next, and before it acts on what it read.
    async fn read_clocks(&self) -> Now {
        let first = clocks();
        self.pause_point().await;
        let rest = clocks();
        self.pause_point().await;
        Now {
            boot: first.boot,
            ..rest
        }
    }

    /// Where a fault may strike in the middle of an event.
    async fn pause_point(&self) {
        let interrupt = self.cluster.hosts[self.host].take_interrupt();
        let Some(interrupt) = interrupt else { return };
        match interrupt {
            Interrupt::Freeze(length) => self.cluster.freeze(self.host, length),
            Interrupt::Kill(later) => {
                // Stands still until the kill, which cannot come from its own task.
                self.cluster
                    .kernel
                    .set_stopped(self.cluster.hosts[self.host].node, true);
                let (cluster, host) = (Rc::clone(&self.cluster), self.host);
                after(Duration::ZERO, move || {
                    cluster.note_at(host, "daemon killed in the middle of an event".into());
                    cluster.kill_and_restart(host, later);
                });
            }
        }
        yield_once().await;
    }

    /// A new configuration reaches gate and addresses before the core acts on it.
    fn adopt(&mut self, events: &[Event]) {
        for event in events {
            let Event::Applied { state, .. } = event else {
                continue;
            };
            let Some(spec) = state.spec() else { continue };
            let mine = of_node(spec, &self.cluster.hosts[self.host].known_as(), state);
            if state.config != self.known || mine != self.mine {
                self.cluster.configure(self.host, spec, &mine);
            }
            self.known.clone_from(&state.config);
            self.mine = mine;
        }
    }

    /// What an operator who asks here would be shown.
    fn show(&self, now: Now) {
        let status = self.node.status(now);
        let (state, _) = self.node.state();
        if status.quorate
            && let Some(spec) = state.spec()
        {
            self.cluster.expect(check::marks(spec, state, &status));
        }
    }

    async fn exit(self) {
        self.cluster
            .note_at(self.host, "daemon ends as asked".into());
        self.cluster.let_go_of_everything(self.host);
        self.consensus.shutdown().await;
        let (cluster, host) = (Rc::clone(&self.cluster), self.host);
        after(Duration::ZERO, move || cluster.end_daemon(host));
        std::future::pending::<()>().await;
    }
}

/// Lets other tasks run; where the node was stopped meanwhile, returns only when it goes on.
async fn yield_once() {
    let mut yielded = false;
    poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
