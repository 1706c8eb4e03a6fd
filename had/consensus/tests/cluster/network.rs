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
use tokio::sync::{oneshot, watch};

/// Each way.
pub const DELAY: Duration = Duration::from_micros(200);

#[derive(Clone)]
pub struct Network {
    state: Arc<Mutex<State>>,
    /// Counts the releases of held answers.
    released: Arc<watch::Sender<u64>>,
    post: Arc<Post>,
}

#[derive(Default)]
struct State {
    running: BTreeMap<VoterId, Consensus<System>>,
    /// No request, or no answer, passes from the first to the second.
    requests_lost: BTreeSet<(VoterId, VoterId)>,
    answers_lost: BTreeSet<(VoterId, VoterId)>,
    /// Answers from the first to the second wait.
    answers_held: BTreeSet<(VoterId, VoterId)>,
}

impl Network {
    pub fn new() -> Self {
        Self {
            state: Arc::default(),
            released: Arc::default(),
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
        self.lose_requests(voter, others);
        self.change(voter, others, |state| &mut state.answers_lost);
    }

    /// From now on no request passes between a voter and the others; answers do.
    pub fn lose_requests(&self, voter: VoterId, others: &[VoterId]) {
        self.change(voter, others, |state| &mut state.requests_lost);
    }

    /// From now on answers between a voter and the others wait in the network.
    pub fn hold_answers(&self, voter: VoterId, others: &[VoterId]) {
        self.change(voter, others, |state| &mut state.answers_held);
    }

    /// Delivers the answers of one voter to another.
    pub fn release_answers(&self, from: VoterId, to: VoterId) {
        self.state.lock().unwrap().answers_held.remove(&(from, to));
        self.released.send_modify(|times| *times += 1);
    }

    fn change(
        &self,
        voter: VoterId,
        others: &[VoterId],
        set: impl Fn(&mut State) -> &mut BTreeSet<(VoterId, VoterId)>,
    ) {
        let mut state = self.state.lock().unwrap();
        for other in others {
            set(&mut state).extend([(voter, *other), (*other, voter)]);
        }
    }

    pub fn heal(&self) {
        {
            let mut state = self.state.lock().unwrap();
            state.requests_lost.clear();
            state.answers_lost.clear();
            state.answers_held.clear();
        }
        self.released.send_modify(|times| *times += 1);
    }

    /// Takes as long as a message one way.
    pub async fn delay(&self) {
        self.post.delay().await;
    }

    fn is(
        &self,
        way: (VoterId, VoterId),
        set: impl Fn(&State) -> &BTreeSet<(VoterId, VoterId)>,
    ) -> bool {
        set(&self.state.lock().unwrap()).contains(&way)
    }

    async fn ask(self, from: VoterId, to: VoterId, body: Vec<u8>) -> Result<Vec<u8>, CallError> {
        self.delay().await;
        if self.is((from, to), |state| &state.requests_lost) {
            return std::future::pending().await;
        }
        let peer = self.state.lock().unwrap().running.get(&to).cloned();
        let peer = peer.ok_or_else(|| CallError::Unreachable("not running".into()))?;
        let answer = peer.serve(from, &body).await;
        self.delay().await;
        if self.is((to, from), |state| &state.answers_lost) {
            return std::future::pending().await;
        }
        let mut released = self.released.subscribe();
        let free = released.wait_for(|_| !self.is((to, from), |state| &state.answers_held));
        free.await
            .map_err(|error| CallError::Unreachable(error.to_string()))?;
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
