//! How busy the machine is that plays all hosts.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// How often it beats: as often as the client asks.
const BEAT: Duration = Duration::from_millis(1);
/// Lateness below this is every machine's, and not kept.
const USUAL: Duration = Duration::from_millis(1);

/// A thread without any priority that wants to run every millisecond, as the daemons do, and notes how late it was.
///
/// What it was late, every daemon on this machine may have been late: hosts of their own would not have been.
pub struct Pulse {
    late: Arc<Mutex<Vec<(Instant, Duration)>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Pulse {
    /// Begins to beat.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub fn start() -> Result<Self> {
        let (late, stop) = (
            Arc::new(Mutex::new(Vec::new())),
            Arc::new(AtomicBool::new(false)),
        );
        let (noted, stopped) = (late.clone(), stop.clone());
        let beat = move || {
            while !stopped.load(Ordering::Relaxed) {
                let due = Instant::now() + BEAT;
                std::thread::sleep(BEAT);
                let (now, late) = (Instant::now(), due.elapsed());
                if late > USUAL {
                    noted
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push((now, late));
                }
            }
        };
        let thread = std::thread::Builder::new()
            .name("pulse".to_owned())
            .spawn(beat)
            .context("a thread")?;
        Ok(Self {
            late,
            stop,
            thread: Some(thread),
        })
    }

    /// The latest that it was since `moment`.
    #[must_use]
    pub fn worst_after(&self, moment: Instant) -> Duration {
        let late = self.late.lock().unwrap_or_else(PoisonError::into_inner);
        let since = late.iter().filter(|(at, _)| *at > moment);
        since.map(|(_, late)| *late).max().unwrap_or_default()
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
