//! What travels between daemons: frames of the core and calls of the consensus.

use std::rc::Rc;
use std::time::Duration;

use futures::future::{BoxFuture, Either, select};
use had_consensus::{CallError, Transport};
use had_core::ids::{NodeName, VoterId};
use had_core::message::{Ask, Message, Sender};
use had_core::ports::{Event, Via};
use openraft_rt::AsyncRuntime;
use tokio::sync::oneshot;

use crate::cluster::{self, Cluster};
use crate::network::Carriage;
use crate::runtime::{SimRuntime, at, spawn_on};

/// Independent connections to a peer: asks and answers travel on all of them.
const PATHS: u64 = 2;
/// A request that is not answered within this share of its deadline goes over the next connection too, as in the daemon…
const HEDGE_SHARE: u32 = 4;
/// … but not sooner than this.
const HEDGE_MIN: Duration = Duration::from_millis(3);
/// From one end of a socket to the other on the same host.
const LOCAL: Duration = Duration::from_micros(20);

/// A connection, as the core carries it: which life of which host, on which path.
fn via(host: usize, path: u64, life: u64) -> Via {
    host as u64 | path << 8 | life << 16
}

fn behind(via: Via) -> (usize, u64, u64) {
    let host = usize::try_from(via & 0xff).expect("a byte");
    (host, via >> 8 & 0xff, via >> 16)
}

/// Where the answer of a call is awaited.
pub type Answered = oneshot::Sender<Result<Vec<u8>, CallError>>;

impl Cluster {
    /// Sends a frame to a peer; an ask on every connection.
    pub(super) fn send_frame(self: &Rc<Self>, from: usize, to: &NodeName, message: &Message) {
        let Some(to) = self.host_of(to) else { return };
        let several = to != from
            && matches!(message, Message::Ask(_))
            && self
                .network
                .borrow_mut()
                .matters_twice(self.kernel.now(), from, to);
        let paths = if several { PATHS } else { 1 };
        for path in 0..paths {
            self.carry(from, to, path, None, message);
        }
    }

    /// Answers on the connection on which the ask came.
    pub(super) fn answer(self: &Rc<Self>, from: usize, on: Via, message: &Message) {
        let (to, path, life) = behind(on);
        self.carry(from, to, path, Some(life), message);
    }

    /// One frame on one path; `life`: only for this life of the daemon there.
    fn carry(
        self: &Rc<Self>,
        from: usize,
        to: usize,
        path: u64,
        life: Option<u64>,
        message: &Message,
    ) {
        let inner = self.hosts[from].inner.borrow();
        let Some(process) = &inner.process else {
            return;
        };
        let on = via(from, path, process.life);
        let sender = process.sender.clone();
        drop(inner);
        let now = self.kernel.now();
        let arrivals = if from == to {
            [Some(now + had_core::time::nanos(LOCAL)), None]
        } else {
            self.network
                .borrow_mut()
                .send(now, from, to, Carriage::Frame)
        };
        for arrival in arrivals.into_iter().flatten() {
            let (cluster, sender, message) = (Rc::clone(self), sender.clone(), message.clone());
            at(arrival, move || {
                cluster.arrive(to, life, sender, message, on)
            });
        }
    }

    fn arrive(
        self: &Rc<Self>,
        to: usize,
        life: Option<u64>,
        from: Sender,
        message: Message,
        on: Via,
    ) {
        self.history.count(self.kernel.now() ^ to as u64);
        let host = &self.hosts[to];
        let present = host
            .inner
            .borrow()
            .process
            .as_ref()
            .map(|process| process.life);
        if present.is_none()
            || life.is_some_and(|life| present != Some(life))
            || self.takes_step(to)
        {
            return;
        }
        match message {
            Message::Ask(ask) => {
                drop(spawn_on(
                    host.node,
                    Rc::clone(self).asked(to, from, ask, on),
                ));
            }
            message => host.push(Event::Heard { from, message }),
        }
    }

    /// The permit is asked for after the ask has arrived.
    async fn asked(self: Rc<Self>, host: usize, from: Sender, ask: Ask, on: Via) {
        let Some(consensus) = self.hosts[host].consensus() else {
            return;
        };
        let permit = consensus.permit().await;
        if let Some(permit) = permit {
            let node = self.hosts[host].node;
            let acked = self
                .kernel
                .clocks(node, |clocks| clocks.mono.was(permit.quorum_acked.0));
            let checks = self.checks.borrow();
            self.expect(
                checks
                    .quorum_clock
                    .permitted(permit.leader, acked.unwrap_or(0)),
            );
        }
        self.hosts[host].push(Event::Asked {
            from,
            ask,
            permit,
            via: on,
        });
    }

    /// A call of the consensus leaves. Where it is lost, its caller waits in vain.
    fn call(
        self: &Rc<Self>,
        from: usize,
        to: usize,
        voter: VoterId,
        body: Vec<u8>,
        answer: Answered,
    ) {
        let Some(me) = self.hosts[from].voter() else {
            return;
        };
        let arrival = self
            .network
            .borrow_mut()
            .send(self.kernel.now(), from, to, Carriage::Call)[0];
        let cluster = Rc::clone(self);
        match arrival {
            Some(arrival) => {
                at(arrival, move || {
                    cluster.call_arrives(from, me, to, voter, body, answer)
                });
            }
            None => self.keep_waiting(answer),
        }
    }

    fn call_arrives(
        self: &Rc<Self>,
        from: usize,
        me: VoterId,
        to: usize,
        voter: VoterId,
        body: Vec<u8>,
        answer: Answered,
    ) {
        self.history.count(self.kernel.now() ^ to as u64);
        let host = &self.hosts[to];
        if !host.is_powered() {
            return self.keep_waiting(answer);
        }
        let Some(consensus) = host.consensus() else {
            let refused = Err(CallError::Unreachable("connection refused".into()));
            return self.call_answered(to, from, refused, answer);
        };
        if self.takes_step(to) {
            return self.keep_waiting(answer);
        }
        if host.voter() != Some(voter) {
            let refused = Err(CallError::Refused("another voter lives here".into()));
            return self.call_answered(to, from, refused, answer);
        }
        let cluster = Rc::clone(self);
        drop(spawn_on(host.node, async move {
            let served = consensus.serve(me, &body).await;
            let served = served.map_err(|error| CallError::Refused(error.to_string()));
            cluster.call_answered(to, from, served, answer);
        }));
    }

    fn call_answered(
        self: &Rc<Self>,
        from: usize,
        to: usize,
        result: Result<Vec<u8>, CallError>,
        answer: Answered,
    ) {
        let arrival = self
            .network
            .borrow_mut()
            .send(self.kernel.now(), from, to, Carriage::Call)[0];
        match arrival {
            // Where the caller has given up, the answer is late and goes nowhere.
            Some(arrival) => at(arrival, move || drop(answer.send(result))),
            None => self.keep_waiting(answer),
        }
    }
}

/// The way of one daemon's consensus to its peers.
pub(super) struct SimTransport {
    pub(super) host: usize,
}

/// Sends a request on one connection.
fn attempt(
    host: usize,
    to: VoterId,
    name: &NodeName,
    body: Vec<u8>,
) -> Result<oneshot::Receiver<Result<Vec<u8>, CallError>>, CallError> {
    let cluster = cluster::current();
    let Some(peer) = cluster.host_of_voter(name, to) else {
        return Err(CallError::Unreachable("no such node".into()));
    };
    let (answer, answered) = oneshot::channel();
    cluster.call(host, peer, to, body, answer);
    Ok(answered)
}

impl Transport for SimTransport {
    fn call(
        &self,
        to: VoterId,
        name: &NodeName,
        body: Vec<u8>,
        deadline: Duration,
    ) -> BoxFuture<'static, Result<Vec<u8>, CallError>> {
        let (host, name) = (self.host, name.clone());
        let hedge = (deadline / HEDGE_SHARE).max(HEDGE_MIN);
        Box::pin(async move {
            let mut first = attempt(host, to, &name, body.clone())?;
            let hedges = !cluster::current().network.borrow().keeps_calls_in_order();
            let answered = match SimRuntime::timeout(hedge, &mut first).await {
                Ok(answered) => answered,
                Err(_) if hedges => {
                    let second = attempt(host, to, &name, body)?;
                    match select(first, second).await {
                        Either::Left((answered, _)) | Either::Right((answered, _)) => answered,
                    }
                }
                Err(_) => first.await,
            };
            answered.unwrap_or_else(|_| Err(CallError::Unreachable("connection lost".into())))
        })
    }

    fn bulk(
        &self,
        to: VoterId,
        name: &NodeName,
        body: Vec<u8>,
        deadline: Duration,
    ) -> BoxFuture<'static, Result<Vec<u8>, CallError>> {
        let call = self.call(to, name, body, deadline);
        Box::pin(async move {
            SimRuntime::sleep(Duration::from_millis(2)).await;
            call.await
        })
    }
}
