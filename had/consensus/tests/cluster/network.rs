//! Messages that take 200 µs each way and can be lost in silence.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::BoxFuture;
use had_consensus::{CallError, Consensus, System, Transport};
use had_core::ids::{NodeName, VoterId};
use tokio::sync::oneshot;

/// Each way.
pub const DELAY: Duration = Duration::from_micros(200);

#[derive(Clone)]
pub struct Network {
    state: Arc<Mutex<State>>,
    post: Arc<Post>,
}

#[derive(Default)]
struct State {
    running: BTreeMap<VoterId, Consensus<System>>,
    /// Nothing passes from the first to the second.
    cut: BTreeSet<(VoterId, VoterId)>,
}

impl Network {
    pub fn new() -> Self {
        Self {
            state: Arc::default(),
            post: Arc::new(Post::open()),
        }
    }

    pub fn transport(&self, from: VoterId) -> Arc<dyn Transport> {
        Arc::new(Line {
            from,
            network: self.clone(),
        })
    }

    pub fn attach(&self, voter: VoterId, consensus: Consensus<System>) {
        self.state.lock().unwrap().running.insert(voter, consensus);
    }

    pub fn detach(&self, voter: VoterId) {
        self.state.lock().unwrap().running.remove(&voter);
    }

    /// From now on nothing passes between a voter and the others; what is on its way is lost too.
    pub fn isolate(&self, voter: VoterId, others: &[VoterId]) {
        let mut state = self.state.lock().unwrap();
        for other in others {
            state.cut.extend([(voter, *other), (*other, voter)]);
        }
    }

    pub fn heal(&self) {
        self.state.lock().unwrap().cut.clear();
    }

    /// Takes as long as a message one way.
    pub async fn delay(&self) {
        self.post.delay().await;
    }

    async fn carried(&self, from: VoterId, to: VoterId) {
        self.post.delay().await;
        if self.state.lock().unwrap().cut.contains(&(from, to)) {
            std::future::pending().await
        }
    }

    async fn ask(self, from: VoterId, to: VoterId, body: Vec<u8>) -> Result<Vec<u8>, CallError> {
        self.carried(from, to).await;
        let peer = self.state.lock().unwrap().running.get(&to).cloned();
        let peer = peer.ok_or_else(|| CallError::Unreachable("not running".into()))?;
        let answer = peer.serve(from, &body).await;
        self.carried(to, from).await;
        answer.map_err(|error| CallError::Refused(error.to_string()))
    }
}

struct Line {
    from: VoterId,
    network: Network,
}

impl Transport for Line {
    fn call(
        &self,
        to: VoterId,
        _: &NodeName,
        body: Vec<u8>,
        _: Duration,
    ) -> BoxFuture<'static, Result<Vec<u8>, CallError>> {
        self.network.clone().ask(self.from, to, body).boxed()
    }

    fn bulk(
        &self,
        to: VoterId,
        name: &NodeName,
        body: Vec<u8>,
        deadline: Duration,
    ) -> BoxFuture<'static, Result<Vec<u8>, CallError>> {
        self.call(to, name, body, deadline)
    }
}

/// Delays by microseconds, which tokio's timers round up to milliseconds.
struct Post {
    letters: Sender<Letter>,
}

type Letter = (Instant, oneshot::Sender<()>);

impl Post {
    fn open() -> Self {
        let (letters, arriving) = channel();
        std::thread::spawn(move || deliver(&arriving));
        Self { letters }
    }

    async fn delay(&self) {
        let (ready, due) = oneshot::channel();
        self.letters.send((Instant::now() + DELAY, ready)).unwrap();
        due.await.unwrap();
    }
}

fn deliver(arriving: &Receiver<Letter>) {
    let mut due = BinaryHeap::new();
    let mut waiting = BTreeMap::new();
    for number in 0_u64.. {
        let next = due.peek().map_or(
            Duration::from_secs(1),
            |Reverse((at, _)): &Reverse<(Instant, u64)>| {
                at.saturating_duration_since(Instant::now())
            },
        );
        match arriving.recv_timeout(next) {
            Ok((at, ready)) => {
                due.push(Reverse((at, number)));
                waiting.insert(number, ready);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        while due
            .peek()
            .is_some_and(|Reverse((at, _))| *at <= Instant::now())
        {
            let Some(Reverse((_, number))) = due.pop() else {
                break;
            };
            // Nobody waits any more where the caller gave up.
            waiting
                .remove(&number)
                .map(|ready: oneshot::Sender<()>| ready.send(()).ok());
        }
    }
}
