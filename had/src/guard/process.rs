//! The guard itself: one thread, asleep until a deadline comes near.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::time::Duration;

use had_core::guard::{Daemon, Verdict, judge};
use had_core::ids::GroupName;
use had_core::time::BootTime;
use had_gate::Words;
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::unistd::{dup2_stdin, dup2_stdout};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use super::alarm::Alarm;
use super::seat::Seat;
use super::{Charge, PLACES, Said, Told, line};
use crate::cli::LogFormat;
use crate::{clock, logging, priority};

/// While the daemon lives, the guard looks this often whatever it was told: a daemon may stop between a deadline and its word.
const LOOK_ANYWAY: Duration = Duration::from_secs(1);
/// Before the kernel is asked again to take an address off that it did not.
const RETRY: Duration = Duration::from_millis(50);
/// A guard whose daemon is gone gives up after so many tries: a minute.
const TRIES: u32 = 1200;

/// `had guard`, which nobody but `had run` starts: its socket is standard input, its ledger standard output.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// Names the daemon among those of this host.
    #[arg(long)]
    instance: String,
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
    instance: String,
    cluster: String,
    ledger: Words,
    told: Lines<BufReader<OwnedReadHalf>>,
    saying: OwnedWriteHalf,
    alarm: Alarm,
    daemon: Daemon,
    charges: Vec<Charge>,
    /// What was ended, and at which deadline.
    ended: BTreeMap<GroupName, BootTime>,
    /// How often in a row something could not be ended.
    refused: u32,
    seat: Option<Seat>,
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
            instance: arguments.instance.clone(),
            cluster: arguments.cluster.clone(),
            ledger,
            told: BufReader::new(reading).lines(),
            saying,
            alarm: Alarm::new()?,
            daemon: Daemon::Lives,
            charges: Vec::new(),
            ended: BTreeMap::new(),
            refused: 0,
            seat: None,
        })
    }

    /// Walks the way once that it will have to go on a host without memory to spare, and keeps it in memory.
    async fn rehearse(&self, realtime: bool) {
        if let Err(error) = had_net::take_off(&self.cluster, &BTreeSet::new()).await {
            tracing::warn!("the guard cannot list addresses: {error}");
        }
        priority::lock_memory();
        if realtime {
            priority::follow();
        }
    }

    async fn watch(&mut self) -> io::Result<()> {
        loop {
            let (due, next) = self.judge();
            let next = if due.is_empty() {
                next
            } else if self.end(due).await {
                continue;
            } else {
                Some(clock::boot() + RETRY)
            };
            if self.is_done(next) {
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
    }

    /// What is to be ended now, and when to look again.
    fn judge(&self) -> (Vec<Charge>, Option<BootTime>) {
        let now = clock::boot();
        let watches = self.daemon == Daemon::Lives && !self.charges.is_empty();
        let (mut due, mut next) = (Vec::new(), watches.then(|| now + LOOK_ANYWAY));
        for charge in &self.charges {
            let until = BootTime(self.ledger.load(charge.place));
            match judge(until, self.daemon, now) {
                Verdict::End if self.ended.get(&charge.group) != Some(&until) => {
                    due.push(charge.clone());
                }
                Verdict::Look(at) => next = Some(next.map_or(at, |next| next.min(at))),
                Verdict::End | Verdict::Rest => {}
            }
        }
        (due, next)
    }

    /// Takes off what is due; whether that is done.
    async fn end(&mut self, due: Vec<Charge>) -> bool {
        let now = clock::boot();
        // Read once more, together with what it is compared with later: a group that was just renewed is left alone.
        let due: Vec<(Charge, BootTime)> = due
            .into_iter()
            .map(|charge| {
                let until = BootTime(self.ledger.load(charge.place));
                (charge, until)
            })
            .filter(|(_, until)| judge(*until, self.daemon, now) == Verdict::End)
            .collect();
        let addresses = due.iter().flat_map(|(charge, _)| charge.addresses.clone());
        match had_net::take_off(&self.cluster, &addresses.collect()).await {
            Ok(gone) => {
                self.refused = 0;
                for address in gone {
                    tracing::warn!(
                        "the guard took {address} off: its lease is over, and the daemon did not do so"
                    );
                }
                let ended = due.into_iter().map(|(charge, until)| (charge.group, until));
                self.ended.extend(ended);
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

    /// Whether there is nothing left to watch for.
    fn is_done(&self, next: Option<BootTime>) -> bool {
        self.daemon == Daemon::Gone && (next.is_none() || self.refused >= TRIES)
    }

    async fn hear(&mut self, told: &str) {
        match serde_json::from_str(told) {
            Ok(Told::Charges(charges)) => {
                self.charges = charges;
                self.take_seat();
                self.say_that_it_stands().await;
            }
            Ok(Told::Look) => self.ended.clear(),
            Ok(Told::Ask) => self.say_that_it_stands().await,
            Err(error) => tracing::error!("the daemon told its guard {told:?}: {error}"),
        }
    }

    /// Only once it watches: until then a former guard does.
    fn take_seat(&mut self) {
        if self.seat.is_some() {
            return;
        }
        match Seat::take(&self.instance) {
            Ok(seat) => self.seat = Some(seat),
            Err(error) => tracing::warn!(
                "another guard of {} may be there: its seat cannot be had: {error}",
                self.instance
            ),
        }
    }

    /// A daemon that does not hear it is gone, and the next line tells.
    async fn say_that_it_stands(&mut self) {
        let _ = self.saying.write_all(&line(&Said::Stands)).await;
    }
}
