//! A client of many addresses for hours: what it saw is fetched now and then, and not kept here.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::{INTERVAL, answer, hurry, socket_to};
use crate::host::Host;
use crate::lab::number_of;
use crate::wall::{WallNs, wall_ns};

/// How many asks of an address are remembered for their answers: 16 seconds' worth, and the kernel keeps nothing that
/// waits for a neighbour longer than three.
const REMEMBERED: usize = 1 << 14;

/// One answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Heard {
    /// The ask's number.
    pub sequence: u64,
    /// Before the ask was sent.
    pub asked: WallNs,
    /// After the answer was received.
    pub at: WallNs,
    /// The number of the host that answered: 3 for h3.
    pub host: u8,
}

/// What was seen of one address since the last time.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Seen {
    /// In the order in which they were received.
    pub answers: Vec<Heard>,
    /// How many asks there were, all in all.
    pub asks: u64,
    /// When the last of them was sent.
    pub last_ask: WallNs,
}

/// Asks every address once a millisecond until it is dropped; each has a socket of its own.
pub struct Stream {
    targets: Arc<Vec<Mutex<Target>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

struct Target {
    seen: Seen,
    latest: Option<Heard>,
    sent: Vec<WallNs>,
}

impl Stream {
    /// Starts to ask.
    ///
    /// # Errors
    /// Where a socket cannot be opened.
    pub fn start(host: &Host, addresses: &[SocketAddr]) -> Result<Self> {
        let wanted = addresses.to_vec();
        let sockets = host.call(move || {
            let sockets = wanted.into_iter().map(socket_to);
            sockets.collect::<Result<Vec<_>>>()
        })?;
        let targets: Vec<_> = addresses
            .iter()
            .map(|_| Mutex::new(Target::new()))
            .collect();
        let (targets, stop) = (Arc::new(targets), Arc::new(AtomicBool::new(false)));
        let (shared, stopped) = (targets.clone(), stop.clone());
        let thread = std::thread::Builder::new()
            .name("stream".to_owned())
            .spawn(move || {
                hurry();
                ask(&sockets, &shared, &stopped);
            })
            .context("starting the client")?;
        Ok(Self {
            targets,
            stop,
            thread: Some(thread),
        })
    }

    /// What was seen of the address of this number since the last call; it is forgotten here.
    #[must_use]
    pub fn take(&self, number: usize) -> Seen {
        let mut target = lock(&self.targets[number]);
        let answers = std::mem::take(&mut target.seen.answers);
        Seen {
            answers,
            ..target.seen.clone()
        }
    }

    /// The latest answer from the address of this number.
    #[must_use]
    pub fn latest(&self, number: usize) -> Option<Heard> {
        lock(&self.targets[number]).latest
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Target {
    fn new() -> Self {
        Self {
            seen: Seen::default(),
            latest: None,
            sent: vec![0; REMEMBERED],
        }
    }

    /// The next ask's number.
    fn sends(&mut self) -> u64 {
        let sequence = self.seen.asks;
        self.seen.asks += 1;
        self.seen.last_ask = wall_ns();
        let place = place_of(sequence);
        self.sent[place] = self.seen.last_ask;
        sequence
    }

    fn hears(&mut self, sequence: u64, who: &str) {
        let known = sequence < self.seen.asks && self.seen.asks - sequence <= REMEMBERED as u64;
        let Some(host) = number_of(who).filter(|_| known) else {
            return;
        };
        let heard = Heard {
            sequence,
            asked: self.sent[place_of(sequence)],
            at: wall_ns(),
            host,
        };
        self.seen.answers.push(heard);
        self.latest = Some(heard);
    }
}

/// Where in the memory of asks an ask of this number is.
fn place_of(sequence: u64) -> usize {
    usize::try_from(sequence % REMEMBERED as u64).unwrap_or(0)
}

fn lock(target: &Mutex<Target>) -> MutexGuard<'_, Target> {
    target.lock().unwrap_or_else(PoisonError::into_inner)
}

/// At each full millisecond asks all; fetches answers halfway and before the next.
fn ask(sockets: &[UdpSocket], targets: &[Mutex<Target>], stop: &AtomicBool) {
    let mut next = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        for (socket, target) in sockets.iter().zip(targets) {
            let sequence = lock(target).sends();
            // A refusal (nobody has the address) is what a client sees: an ask without an answer.
            let _ = socket.send(&sequence.to_be_bytes());
        }
        // After a pause of this thread it goes on from now: asks are not made up for.
        next = (next + INTERVAL).max(Instant::now());
        for rest in [INTERVAL / 2, Duration::ZERO] {
            std::thread::sleep((next - rest).saturating_duration_since(Instant::now()));
            for (socket, target) in sockets.iter().zip(targets) {
                while let Some((sequence, who)) = answer(socket) {
                    lock(target).hears(sequence, &who);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_dated_by_its_own_ask() {
        let mut target = Target::new();
        let first = target.sends();
        let asked = target.seen.last_ask;
        for _ in 1..REMEMBERED {
            target.sends();
        }
        target.hears(first, "h3");
        let heard = target.latest.unwrap();
        assert_eq!((heard.asked, heard.host), (asked, 3));
        target.sends();
        target.hears(first, "h3");
        assert_eq!(target.seen.answers.len(), 1, "its ask is forgotten");
    }
}
