//! The daemon's end of the guard: one thread that spawns it, asks every second whether it stands, and replaces one that does
//! not.

use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use had_core::guard::Charge;
use had_gate::Words;

use super::{PLACES, Said, Told, line, seat};
use crate::cli::LogFormat;

/// How often it is asked whether it stands.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// One that leaves so many questions in a row unanswered is replaced: it answers in a millisecond, and its host may be busy.
/// Questions are counted, not seconds: a daemon that was frozen itself has asked nothing.
const UNANSWERED: u32 = 3;
/// A new one has more time: its program may have to come from a busy disk.
const UNANSWERED_AT_FIRST: u32 = 10;
/// Guards that end at once are started again ever more slowly, up to so many seconds apart.
const SLOWEST: u32 = 60;
/// How long the thread waits until the guard has read what it is told.
const WRITE: Duration = Duration::from_secs(1);

/// Also where another version has taken its place on the disk.
const THIS_PROGRAM: &str = "/proc/self/exe";

/// Whose guard it is.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The cluster, whose mark its addresses bear.
    pub cluster: String,
    /// How it logs.
    pub log_format: LogFormat,
    /// Whether it runs with real-time priority.
    pub realtime: bool,
    /// How long a start waits for it: no longer than a renewal of what a killed life left can wait.
    pub patience: Duration,
    /// Where the daemon keeps its store, and its guard its seat.
    pub directory: PathBuf,
    /// Which life of the daemon it is: a later one has a greater number.
    pub life: u64,
}

/// Hands on what the guard has to know. Dropped at the daemon's end; the guard then ends what is left.
pub struct Keeper {
    orders: Sender<Order>,
    ledger: Words,
}

/// What the keeper's thread is waiting for.
enum Order {
    /// To be told to the guard.
    Tell(Told),
    /// The guard with this process id says that it stands.
    Stands(u32),
    /// The daemon ends.
    End,
}

impl Keeper {
    /// Spawns a guard that watches `charges`, and waits until it stands, but no longer than [`Setup::patience`]. `open` says
    /// of each place of the ledger until when it is open already. `stands` is told whenever it stands or does so no longer,
    /// from another thread. The guard of a former life is gone when this returns, or it is said why it may not be.
    ///
    /// # Errors
    /// Where there is no memory for the ledger, or no thread.
    pub fn start(
        setup: Setup,
        charges: Vec<Charge>,
        open: impl IntoIterator<Item = (usize, u64)>,
        stands: impl Fn(bool) + Send + 'static,
    ) -> io::Result<Self> {
        let (patience, seat, life) = (setup.patience, setup.seat(), setup.life);
        if let Err(error) = seat::announce(&seat, life) {
            tracing::warn!("{} cannot be written: {error}", seat.display());
        }
        let ledger = Words::anonymous(c"had-ledger", PLACES)?;
        let (orders, taken) = channel();
        let (told, first) = channel();
        let post = Post {
            setup,
            ledger: ledger.as_fd().try_clone_to_owned()?,
            charges: watched(charges),
            guard: None,
            failures: 0,
            wait: 0,
            stood: None,
            orders: orders.clone(),
            stands: Box::new(move |is| {
                stands(is);
                // Who waited for the first word has gone on.
                let _ = told.send(is);
            }),
        };
        let keeper = Self { orders, ledger };
        for (place, until) in open {
            keeper.note(place, until);
        }
        thread::Builder::new()
            .name("had-keeper".into())
            .spawn(move || post.keep(&taken))?;
        if first.recv_timeout(patience) != Ok(true) {
            tracing::warn!(
                "no guard stands yet: until one does, what this daemon leaves when it is killed stays on"
            );
            // The new one ends that of a killed life when it comes. It comes too late: what this life is granted must stay.
            match seat::vacate(&seat, life, patience) {
                Ok(false) => {}
                Ok(true) => tracing::info!("the guard of a killed life was ended"),
                Err(error) => tracing::warn!(
                    "a guard of a killed life may be there, and take addresses off once: {}: {error}",
                    seat.display()
                ),
            }
        }
        Ok(keeper)
    }

    /// A group is open until this moment, nanoseconds on `CLOCK_BOOTTIME`; 0 where it is shut.
    pub fn note(&self, place: usize, until_boot_ns: u64) {
        if let Ok(place) = u32::try_from(place)
            && place < PLACES
        {
            self.ledger.store(place, until_boot_ns);
        }
    }

    /// A group that was shut, or whose deadline had passed, was opened.
    pub fn look(&self) {
        self.tell(Told::Look);
    }

    /// Watch these, and no others.
    pub fn charge(&self, charges: Vec<Charge>) {
        self.tell(Told::Charges(watched(charges)));
    }

    fn tell(&self, told: Told) {
        // The thread ends only with the daemon.
        let _ = self.orders.send(Order::Tell(told));
    }
}

impl Setup {
    fn seat(&self) -> PathBuf {
        self.directory.join(seat::FILE)
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let _ = self.orders.send(Order::End);
    }
}

fn watched(mut charges: Vec<Charge>) -> Vec<Charge> {
    charges.retain(|charge| charge.place < PLACES);
    charges
}

/// The thread's own things.
struct Post {
    setup: Setup,
    ledger: OwnedFd,
    charges: Vec<Charge>,
    guard: Option<Running>,
    /// Guards in a row that never stood.
    failures: u32,
    /// Looks that pass before the next is spawned.
    wait: u32,
    /// What was last said of it.
    stood: Option<bool>,
    stands: Box<dyn Fn(bool) + Send>,
    orders: Sender<Order>,
}

struct Running {
    child: Child,
    stream: UnixStream,
    /// Questions since its last answer.
    unanswered: u32,
    has_stood: bool,
}

impl Post {
    fn keep(mut self, orders: &Receiver<Order>) {
        let mut next = Instant::now();
        loop {
            if Instant::now() >= next {
                next = Instant::now() + ASK_EVERY;
                self.look_after();
            }
            let wait = next.saturating_duration_since(Instant::now());
            match orders.recv_timeout(wait) {
                Ok(Order::Tell(told)) => {
                    if let Told::Charges(charges) = &told {
                        self.charges.clone_from(charges);
                    }
                    self.tell(&told);
                }
                Ok(Order::Stands(process)) => self.hear(process),
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Order::End) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// The guard answered. The last word of one that was replaced is no news.
    fn hear(&mut self, process: u32) {
        if let Some(guard) = self
            .guard
            .as_mut()
            .filter(|guard| guard.child.id() == process)
        {
            guard.unanswered = 0;
            guard.has_stood = true;
            self.failures = 0;
            self.say(true);
        }
    }

    /// Asks the guard whether it stands; one that is gone or does not answer is replaced.
    fn look_after(&mut self) {
        if let Some(guard) = &mut self.guard {
            let gone = !matches!(guard.child.try_wait(), Ok(None));
            let patience = if guard.has_stood {
                UNANSWERED
            } else {
                UNANSWERED_AT_FIRST
            };
            if gone || guard.unanswered >= patience {
                let what = if gone { "is gone" } else { "does not answer" };
                tracing::warn!("the guard {what}: another takes its place");
                self.dismiss();
            }
        }
        if let Some(guard) = &mut self.guard {
            guard.unanswered += 1;
            return self.tell(&Told::Ask);
        }
        if self.wait > 0 {
            self.wait -= 1;
            return;
        }
        match self.spawn() {
            Ok(guard) => self.guard = Some(guard),
            Err(error) => {
                tracing::warn!("no guard can be started: {error}");
                self.failed();
                self.say(false);
            }
        }
        self.tell(&Told::Charges(self.charges.clone()));
    }

    fn dismiss(&mut self) {
        self.say(false);
        if let Some(mut guard) = self.guard.take() {
            if !guard.has_stood {
                self.failed();
            }
            // It may have ended by itself.
            let _ = guard.child.kill();
            let _ = guard.child.wait();
        }
    }

    /// The next one waits twice as long.
    fn failed(&mut self) {
        self.failures += 1;
        self.wait = 2_u32.saturating_pow(self.failures).min(SLOWEST);
    }

    fn say(&mut self, stands: bool) {
        if self.stood != Some(stands) {
            self.stood = Some(stands);
            (self.stands)(stands);
        }
    }

    /// A guard that cannot be told in time is replaced at the next look.
    fn tell(&mut self, told: &Told) {
        if let Some(guard) = &mut self.guard
            && let Err(error) = guard.stream.write_all(&line(told))
        {
            tracing::debug!("the guard could not be told: {error}");
            self.dismiss();
        }
    }

    /// The guard is this very program.
    fn spawn(&self) -> io::Result<Running> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_write_timeout(Some(WRITE))?;
        let reading = BufReader::new(ours.try_clone()?);
        let ledger = self.ledger.try_clone()?;
        let Setup {
            cluster,
            log_format,
            realtime,
            ..
        } = &self.setup;
        let format = log_format.to_possible_value();
        let format = format.as_ref().map_or("text", |format| format.get_name());
        let mut child = Command::new(THIS_PROGRAM)
            .arg0("had")
            .args(["guard", "--cluster", cluster, "--log-format", format])
            .arg("--seat")
            .arg(self.setup.seat())
            .args([seat::LIFE, &self.setup.life.to_string()])
            .args(realtime.then_some("--realtime"))
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::from(ledger))
            .spawn()?;
        let (process, orders) = (child.id(), self.orders.clone());
        let listens = thread::Builder::new()
            .name("had-guard-says".into())
            .spawn(move || {
                // Ends with the guard.
                for said in reading.lines().map_while(Result::ok) {
                    if let Ok(Said::Stands) = serde_json::from_str(&said)
                        && orders.send(Order::Stands(process)).is_err()
                    {
                        return;
                    }
                }
            });
        if let Err(error) = listens {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
            return Err(error);
        }
        Ok(Running {
            child,
            stream: ours,
            unanswered: 0,
            has_stood: false,
        })
    }
}
