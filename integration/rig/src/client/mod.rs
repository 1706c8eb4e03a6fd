//! The client: asks the virtual address every millisecond and notes who answers; or many addresses, less often.

mod crowd;
mod record;
mod stream;

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::{TimeSpec, TimeValLike};

pub use crowd::Crowd;
pub use record::{Answer, PATIENCE, Record, Silence};
pub use stream::{Heard, Seen, Stream};

use crate::host::Host;

/// How often it asks.
pub const INTERVAL: Duration = Duration::from_millis(1);
/// Milliseconds between two asks, for a machine on which a thousand a second leave no time for anything else.
pub const SLOWER: &str = "HAD_RIG_INTERVAL_MS";
/// Two minutes of asks.
const ROOM: usize = 120_000;
/// An ask is its sequence number.
pub(crate) const SEQUENCE_BYTES: usize = 8;
/// Sequence number and name.
const ANSWER_BYTES: usize = 64;

/// Asks until it is dropped. The kernel of its host resolves the address, as any client's would.
pub struct Client {
    record: Arc<Mutex<Record>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Client {
    /// Starts to ask `target`.
    ///
    /// # Errors
    /// Where the socket cannot be opened.
    pub fn start(host: &Host, target: SocketAddr) -> Result<Self> {
        let socket = host.call(move || socket_to(target))?;
        let record = Arc::new(Mutex::new(Record::with_room(ROOM)));
        let stop = Arc::new(AtomicBool::new(false));
        let (shared, stopped) = (record.clone(), stop.clone());
        let thread = std::thread::Builder::new()
            .name("client".to_owned())
            .spawn(move || {
                hurry();
                ask(&socket, &shared, &stopped);
            })
            .context("starting the client")?;
        Ok(Self {
            record,
            stop,
            thread: Some(thread),
        })
    }

    /// What it has seen up to now.
    #[must_use]
    pub fn record(&self) -> Record {
        self.lock().clone()
    }

    /// The answers that came after a moment.
    #[must_use]
    pub fn answers_after(&self, moment: Instant) -> Vec<Answer> {
        self.lock().answers_after(moment).to_vec()
    }

    /// The latest answer.
    #[must_use]
    pub fn latest(&self) -> Option<Answer> {
        self.lock().answers().last().cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A socket in the namespace of the calling thread. It takes answers from the address alone that it asks.
fn socket_to(target: SocketAddr) -> Result<UdpSocket> {
    let any: SocketAddr = if target.is_ipv4() {
        ([0; 4], 0).into()
    } else {
        ([0; 16], 0).into()
    };
    let socket = UdpSocket::bind(any).context("the client's socket")?;
    socket
        .connect(target)
        .with_context(|| format!("asking {target}"))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// One thread: an ask at each full millisecond, answers in between as they come.
fn ask(socket: &UdpSocket, record: &Mutex<Record>, stop: &AtomicBool) {
    let lock = || record.lock().unwrap_or_else(PoisonError::into_inner);
    let slower = std::env::var(SLOWER).ok().and_then(|ms| ms.parse().ok());
    let interval = slower.map_or(INTERVAL, Duration::from_millis);
    let mut next = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        let now = Instant::now();
        if now >= next {
            let sequence = lock().sent(now);
            // A refusal (nobody has the address) is what a client sees: an ask without an answer.
            let _ = socket.send(&sequence.to_be_bytes());
            // After a pause of this thread it goes on from now: asks are not made up for.
            next = (next + interval).max(now);
        }
        let rest = next.saturating_duration_since(Instant::now());
        let pause = TimeSpec::nanoseconds(i64::try_from(rest.as_nanos()).unwrap_or(0));
        let mut waiting = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
        let _ = ppoll(&mut waiting, Some(pause), None);
        while let Some((sequence, who)) = answer(socket) {
            lock().answered(sequence, &who, Instant::now());
        }
    }
}

/// An answer that waits in a socket: the ask's number and who answered.
fn answer(socket: &UdpSocket) -> Option<(u64, String)> {
    let mut bytes = [0; ANSWER_BYTES];
    let length = socket.recv(&mut bytes).ok()?;
    let (sequence, who) = bytes[..length].split_at_checked(SEQUENCE_BYTES)?;
    let sequence = u64::from_be_bytes(sequence.try_into().ok()?);
    Some((sequence, String::from_utf8_lossy(who).into_owned()))
}

/// The instruments come before what they measure: a thread of the client that waits for a processor would look like
/// silence of the cluster. Where it is not permitted (an ordinary user) they take turns like everybody.
pub(crate) fn hurry() {
    let parameters = libc::sched_param { sched_priority: 1 };
    // SAFETY: the call reads the parameters and affects the calling thread alone.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const parameters) };
    let _ = nix::sys::prctl::set_timerslack(1);
}
