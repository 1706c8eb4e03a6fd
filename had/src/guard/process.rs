//! The guard itself: one thread, asleep until a deadline comes near.

use std::fs::File;
use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use had_core::guard::{Charge, Daemon, Due, Watch};
use had_core::time::BootTime;
use had_gate::Words;
use had_net::Remover;
use nix::sys::prctl;
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::unistd::{dup2_stdin, dup2_stdout};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use super::alarm::Alarm;
use super::seat::{Seat, Unseated};
use super::{PLACES, Said, Told, line};
use crate::cli::LogFormat;
use crate::{clock, logging, priority};

/// While the daemon lives, the guard looks this often whatever it was told: a daemon may stop between a deadline and its word.
const LOOK_ANYWAY: Duration = Duration::from_secs(1);
/// Before the kernel is asked again to take an address off that it did not.
const RETRY: Duration = Duration::from_millis(50);
/// A guard whose daemon is gone gives up after so many tries: a minute.
const TRIES: u32 = 1200;

/// As `ps` and `top` show it.
const NAME: &std::ffi::CStr = c"had-guard";

/// `had guard`, which nobody but `had run` starts: its socket is standard input, its ledger standard output.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// The file whose lock says that it is the guard.
    #[arg(long)]
    seat: PathBuf,
    /// Which life of the daemon it belongs to.
    #[arg(long)]
    life: u64,
    /// The cluster, whose mark its addresses bear.
    #[arg(long)]
    cluster: String,
    /// As `had run`.
    #[arg(long, value_enum)]
    log_format: LogFormat,
    /// Run with real-time priority, as its daemon.
    #[arg(long)]
    realtime: bool,
}

/// Runs until the daemon is gone and nothing of it is left.
///
/// # Errors
/// Where it was not started by a daemon, or cannot watch.
pub fn run(arguments: &Arguments) -> io::Result<()> {
    outlive_the_daemon()?;
    // The keeper's thread has real-time priority; the guard takes it when it has rehearsed.
    priority::begin_ordinary();
    prctl::set_name(NAME)?;
    logging::start(arguments.log_format);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut guard = Guard::new(arguments)?;
        guard.rehearse(arguments.realtime).await;
        guard.watch().await
    })
}

/// Signals meant for the daemon's terminal or its supervisor's whole group of processes must not end its guard.
fn outlive_the_daemon() -> io::Result<()> {
    nix::unistd::setsid()?;
    for ignored in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        // SAFETY: ignoring a signal installs no handler.
        unsafe { signal(ignored, SigHandler::SigIgn) }?;
    }
    Ok(())
}

struct Guard {
    seat_file: PathBuf,
    life: u64,
    cluster: String,
    ledger: Rc<Words>,
    told: Lines<BufReader<OwnedReadHalf>>,
    saying: OwnedWriteHalf,
    alarm: Alarm,
    daemon: Daemon,
    watch: Watch,
    /// Stands before it is needed: a host without memory to spare may not give it then.
    remover: Option<Remover>,
    /// How often in a row something could not be ended.
    refused: u32,
    seat: Option<Seat>,
    /// A later life's guard watches.
    superseded: bool,
}

impl Guard {
    fn new(arguments: &Arguments) -> io::Result<Self> {
        let socket = io::stdin().as_fd().try_clone_to_owned()?;
        let ledger = Words::map(io::stdout().as_fd().try_clone_to_owned()?, PLACES)?;
        // Nothing that is written or read by mistake may reach the ledger or the daemon.
        let nothing = File::options().read(true).write(true).open("/dev/null")?;
        dup2_stdin(&nothing)?;
        dup2_stdout(&nothing)?;
        let stream = StdUnixStream::from(socket);
        stream.set_nonblocking(true)?;
        let (reading, saying) = UnixStream::from_std(stream)?.into_split();
        Ok(Self {
            seat_file: arguments.seat.clone(),
            life: arguments.life,
            cluster: arguments.cluster.clone(),
            ledger: Rc::new(ledger),
            told: BufReader::new(reading).lines(),
            saying,
            alarm: Alarm::new()?,
            daemon: Daemon::Lives,
            watch: Watch::default(),
            remover: None,
            refused: 0,
            seat: None,
            superseded: false,
        })
    }

    /// Walks the way once that it will have to go on a host without memory to spare, and keeps it in memory.
    async fn rehearse(&mut self, realtime: bool) {
        let remover = Remover::open(&self.cluster);
        let rehearsed = match &remover {
            Ok(remover) => remover.rehearse().await,
            Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
        };
        match rehearsed {
            Ok(()) => self.remover = remover.ok(),
            Err(error) => tracing::warn!("the guard cannot list addresses: {error}"),
        }
        priority::lock_memory();
        if realtime {
            priority::follow();
        }
    }

    async fn watch(&mut self) -> io::Result<()> {
        while !self.superseded {
            let (due, next) = self.judge();
            let next = if due.is_empty() {
                next
            } else if self.end(due).await {
                continue;
            } else {
                Some(clock::boot() + RETRY)
            };
            if self.is_done(next) {
                if self.refused >= TRIES {
                    tracing::error!("the guard gives up: addresses stay on behind their gate");
                }
                return Ok(());
            }
            self.alarm.set(next)?;
            tokio::select! {
                told = self.told.next_line(), if self.daemon == Daemon::Lives => match told {
                    Ok(Some(told)) => self.hear(&told).await,
                    Ok(None) | Err(_) => self.daemon = Daemon::Gone,
                },
                _ = self.alarm.rings() => {}
            }
        }
        Ok(())
    }

    /// What is to be ended now, and when to look again.
    fn judge(&self) -> (Vec<Due>, Option<BootTime>) {
        let now = clock::boot();
        let (due, next) = self.watch.look(self.reads(), self.daemon, now);
        let watches = self.daemon == Daemon::Lives && !self.watch.is_idle();
        let anyway = watches.then(|| now + LOOK_ANYWAY);
        (due, next.into_iter().chain(anyway).min())
    }

    fn reads(&self) -> impl Fn(&Charge) -> BootTime {
        |charge| BootTime(self.ledger.load(charge.place))
    }

    /// Takes off what is due; whether that is done.
    async fn end(&mut self, due: Vec<Due>) -> bool {
        let ledger = Rc::clone(&self.ledger);
        // Read once more, at the last moment: a group that was just renewed is left alone.
        let still_due = |address| {
            due.iter().any(|due| {
                due.charge.addresses.contains(&address)
                    && BootTime(ledger.load(due.charge.place)) == due.until
            })
        };
        match self.take_off(still_due).await {
            Ok(gone) => {
                self.refused = 0;
                // First: whoever reads the log may hang.
                due.into_iter().for_each(|due| self.watch.has_ended(due));
                for address in gone {
                    tracing::warn!(
                        "the guard took {address} off: its lease is over, and the daemon did not do so"
                    );
                }
                true
            }
            Err(error) => {
                if self.refused == 0 {
                    tracing::error!("the guard cannot take addresses off: {error}");
                }
                self.refused += 1;
                false
            }
        }
    }

    /// One that failed is opened anew the next time.
    async fn take_off(&mut self, is_due: impl Fn(IpAddr) -> bool) -> io::Result<Vec<IpAddr>> {
        let remover = match self.remover.take() {
            Some(remover) => remover,
            None => Remover::open(&self.cluster)?,
        };
        let gone = remover.take_off(is_due).await?;
        self.remover = Some(remover);
        Ok(gone)
    }

    /// Whether there is nothing left to watch for.
    fn is_done(&self, next: Option<BootTime>) -> bool {
        self.daemon == Daemon::Gone && (next.is_none() || self.refused >= TRIES)
    }

    async fn hear(&mut self, told: &str) {
        match serde_json::from_str(told) {
            Ok(Told::Charges(charges)) => {
                self.watch.charge(charges);
                if self.has_seat() {
                    self.say_that_it_stands().await;
                } else {
                    self.superseded = true;
                }
            }
            // The next look reads the ledger.
            Ok(Told::Look) => {}
            Ok(Told::Ask) => self.say_that_it_stands().await,
            Err(error) => tracing::error!("the daemon told its guard {told:?}: {error}"),
        }
    }

    /// Takes the seat once it watches: until then a former guard does. Not where a later life has begun.
    fn has_seat(&mut self) -> bool {
        if self.seat.is_some() {
            return true;
        }
        match Seat::take(&self.seat_file, self.life) {
            Ok(seat) => self.seat = Some(seat),
            Err(Unseated::Superseded) => return false,
            Err(error) => tracing::warn!("{}: {error}", self.seat_file.display()),
        }
        true
    }

    /// A daemon that does not hear it is gone, and the next line tells.
    async fn say_that_it_stands(&mut self) {
        let _ = self.saying.write_all(&line(&Said::Stands)).await;
    }
}
