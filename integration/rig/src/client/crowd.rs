//! A client of many addresses: one thread asks all of them, each once in an interval.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use super::record::{Answer, Record};
use super::{INTERVAL, answer, hurry, socket_to};
use crate::host::Host;

/// How many answers are fetched at a time: those of a millisecond.
const AT_ONCE: usize = 128;

/// Asks until it is dropped. Each address has a socket of its own: datagrams that wait for an address to be resolved fill
/// the room of their own socket alone.
pub struct Crowd {
    records: Arc<Mutex<Vec<Record>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Crowd {
    /// Starts to ask every target once in `interval`, evenly spread over it by the millisecond.
    ///
    /// # Errors
    /// Where a socket cannot be opened.
    pub fn start(host: &Host, targets: &[SocketAddr], interval: Duration) -> Result<Self> {
        let addresses = targets.to_vec();
        let sockets = host.call(move || {
            addresses
                .into_iter()
                .map(socket_to)
                .collect::<Result<Vec<_>>>()
        })?;
        let epoll = watch(&sockets).context("watching the crowd's sockets")?;
        let records = Arc::new(Mutex::new(vec![Record::default(); targets.len()]));
        let stop = Arc::new(AtomicBool::new(false));
        let (shared, stopped) = (records.clone(), stop.clone());
        let thread = std::thread::Builder::new()
            .name("crowd".to_owned())
            .spawn(move || {
                hurry();
                ask(&sockets, &epoll, interval, &shared, &stopped);
            })
            .context("starting the crowd")?;
        Ok(Self {
            records,
            stop,
            thread: Some(thread),
        })
    }

    /// What was seen of the target of this number up to now.
    #[must_use]
    pub fn record(&self, number: usize) -> Record {
        self.lock()[number].clone()
    }

    /// The latest answer of the target of this number.
    #[must_use]
    pub fn latest(&self, number: usize) -> Option<Answer> {
        self.lock()[number].answers().last().cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Record>> {
        lock(&self.records)
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn lock(records: &Mutex<Vec<Record>>) -> MutexGuard<'_, Vec<Record>> {
    records.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Readable sockets are told by their place.
fn watch(sockets: &[UdpSocket]) -> nix::Result<Epoll> {
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    for (number, socket) in (0_u64..).zip(sockets) {
        epoll.add(socket, EpollEvent::new(EpollFlags::EPOLLIN, number))?;
    }
    Ok(epoll)
}

/// Every millisecond asks one part of the sockets; fetches answers in between.
fn ask(
    sockets: &[UdpSocket],
    epoll: &Epoll,
    interval: Duration,
    records: &Mutex<Vec<Record>>,
    stop: &AtomicBool,
) {
    let parts = usize::try_from(interval.as_millis()).unwrap_or(1).max(1);
    let mut events = [EpollEvent::empty(); AT_ONCE];
    let (mut part, mut next) = (0, Instant::now());
    while !stop.load(Ordering::Relaxed) {
        let now = Instant::now();
        if now >= next {
            for number in (part..sockets.len()).step_by(parts) {
                let sequence = lock(records)[number].sent(Instant::now());
                // A refusal (nobody has the address) is what a client sees: an ask without an answer.
                let _ = sockets[number].send(&sequence.to_be_bytes());
            }
            part = (part + 1) % parts;
            // After a pause of this thread it goes on from now: asks are not made up for.
            next = (next + INTERVAL).max(now);
        }
        // Whole milliseconds are all that it can wait for; the next part is due within one.
        let timeout = if Instant::now() < next {
            EpollTimeout::from(1_u8)
        } else {
            EpollTimeout::ZERO
        };
        let ready = epoll.wait(&mut events, timeout).unwrap_or(0);
        for event in &events[..ready] {
            let number = usize::try_from(event.data()).unwrap_or(usize::MAX);
            let Some(socket) = sockets.get(number) else {
                continue;
            };
            while let Some((sequence, who)) = answer(socket) {
                lock(records)[number].answered(sequence, &who, Instant::now());
            }
        }
    }
}
