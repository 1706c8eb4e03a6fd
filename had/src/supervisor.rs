//! What a supervisor is told (sd_notify(3)): that the daemon stands, that it ends, and again and again that it is alive.
//!
//! Nothing of it where no supervisor listens: `NOTIFY_SOCKET` and `WATCHDOG_USEC` are not set then.

use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::{MissedTickBehavior, interval};

use crate::operator::LocalOperator;

/// Everything stands: operators are answered, peers are talked to. It says nothing of a majority.
pub fn ready(what: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(what)]);
}

/// A supervisor starts a killed daemon again within milliseconds, so that it goes on within its lease. One that cannot run
/// takes this long to say so, or it would be started dozens of times a second.
const FAILED_START: Duration = Duration::from_secs(1);

/// It cannot run here: where a supervisor will try again, not at once. Everything that it held has been let go.
pub fn hold_back() {
    if std::env::var_os("NOTIFY_SOCKET").is_some() {
        std::thread::sleep(FAILED_START);
    }
}

/// The daemon was asked to end and hands over.
pub fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("handing over")]);
}

/// Whether a supervisor ends this daemon where it hangs.
#[must_use]
pub fn watches() -> bool {
    sd_notify::watchdog_enabled().is_some()
}

/// Tells a watchdog, twice in its time, that the daemon lives: that its driver answers, not merely that a task runs.
pub fn keep_alive(operator: Arc<LocalOperator>) {
    let Some(limit) = sd_notify::watchdog_enabled() else {
        return;
    };
    tokio::spawn(async move {
        let mut beat = interval(limit / 2);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            beat.tick().await;
            if operator.is_alive().await {
                tell(&[NotifyState::Watchdog]);
            }
        }
    });
}

/// How often it is looked what there is to show.
const SHOWN_EVERY: Duration = Duration::from_secs(1);

/// Shows in `systemctl status` what this node owns, when that changes.
pub fn show(operator: Arc<LocalOperator>) {
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        return;
    }
    tokio::spawn(async move {
        let mut shown = String::new();
        let mut beat = interval(SHOWN_EVERY);
        loop {
            beat.tick().await;
            let Ok(line) = operator.owned().await else {
                continue;
            };
            if line != shown {
                tell(&[NotifyState::Status(&line)]);
                shown = line;
            }
        }
    });
}

fn tell(what: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(what) {
        tracing::warn!("the supervisor cannot be told: {error}");
    }
}
