//! A process on a host.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::wait::until;

/// How long a killed process may take to end: the kernel's work alone, but on a busy machine.
const END: Duration = Duration::from_secs(10);

/// Whether `/proc` shows processes under the numbers by which this process may name them. Not so for an ordinary user inside a container,
/// see [`crate::enter`].
#[must_use]
pub fn are_seen() -> bool {
    let own = fs::read_link("/proc/self").ok();
    own.is_some_and(|link| link.as_os_str() == std::process::id().to_string().as_str())
}

/// A process on a host, with its output in a file. Copies name the same process.
#[derive(Clone, Debug)]
pub struct Process {
    name: String,
    log: PathBuf,
    child: Arc<Mutex<Child>>,
}

impl Process {
    pub(crate) fn new(name: String, log: PathBuf, child: Child) -> Self {
        Self {
            name,
            log,
            child: Arc::new(Mutex::new(child)),
        }
    }

    /// Ends it without a chance to say anything.
    ///
    /// # Errors
    /// Where it had ended before, or does not end.
    pub fn kill(&self) -> Result<()> {
        self.signal(Signal::SIGKILL)?;
        self.wait(END).map(|_| ())
    }

    /// Asks it to end (SIGTERM).
    ///
    /// # Errors
    /// Where it had ended before.
    pub fn terminate(&self) -> Result<()> {
        self.signal(Signal::SIGTERM)
    }

    /// Stops it as if its processor never came round again (SIGSTOP).
    ///
    /// # Errors
    /// Where it had ended before.
    pub fn freeze(&self) -> Result<()> {
        self.signal(Signal::SIGSTOP)
    }

    /// Lets it go on (SIGCONT).
    ///
    /// # Errors
    /// Where it had ended before.
    pub fn thaw(&self) -> Result<()> {
        self.signal(Signal::SIGCONT)
    }

    /// Its number, in the process namespace of the lab process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.lock().id()
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// Where it has not ended within `limit`.
    pub fn wait(&self, limit: Duration) -> Result<ExitStatus> {
        until(&format!("{} ends", self.name), limit, || self.ended())
    }

    /// How it ended, where it has.
    ///
    /// # Errors
    /// Where the kernel does not say.
    pub fn ended(&self) -> Result<Option<ExitStatus>> {
        self.lock()
            .try_wait()
            .with_context(|| format!("looking after {}", self.name))
    }

    /// Where its output goes.
    #[must_use]
    pub fn log_file(&self) -> &Path {
        &self.log
    }

    /// Its output up to now.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read(&self.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// Reaps it after its host was killed.
    pub(crate) fn reap(&self) -> Result<()> {
        self.wait(END).map(|_| ())
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let mut child = self.lock();
        // Under the lock and not yet waited for: the number still names this process.
        ensure!(
            child.try_wait()?.is_none(),
            "{} ended before {signal}",
            self.name
        );
        let pid = Pid::from_raw(i32::try_from(child.id()).context("a process number")?);
        kill(pid, signal).with_context(|| format!("{signal} to {}", self.name))
    }

    fn lock(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
