//! The guard: a small process beside the daemon, which takes the addresses off whose lease has ended. It outlives the daemon
//! and needs nothing of it, so it does so too where the daemon is killed, frozen or starved.
//!
//! ```text
//!  had run ───────────────── spawns ─────────────────▶ had guard
//!    driver ── until when each group is open ──▶ ledger (shared memory) ──▶ watch (had_core::guard) ──▶ addresses off
//!    keeper ── charges; "look"; "are you there?" ──▶ (their socket) ── "I stand" ──▶ keeper
//! ```
//!
//! The ledger is all that a renewal touches: one store. The socket carries what changes seldom, and its end tells the guard
//! that the daemon is gone: then it ends what is left when it is due, and itself. A later life of the daemon brings a guard
//! of its own, which takes the former one's seat before the new daemon touches anything.
//!
//! | module | subject |
//! | --- | --- |
//! | `keeper` | the daemon's end: spawns the guard, sees that it stands, replaces it |
//! | `process` | the guard itself |
//! | `alarm` | wakes it on the clock of the leases |
//! | `seat` | one guard for each instance |

mod alarm;
mod keeper;
pub mod process;
mod seat;

use had_core::guard::Charge;
use serde::{Deserialize, Serialize};

pub use keeper::{Keeper, Setup};

/// Groups that the ledger has room for, as many as a gate guards.
const PLACES: u32 = 4096;

/// What the daemon says, one JSON document a line.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Told {
    /// Watch these, and no others.
    Charges(Vec<Charge>),
    /// A group that was shut is open now: its deadline is in the ledger.
    Look,
    /// Are you there?
    Ask,
}

/// What the guard says, one JSON document a line.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Said {
    /// It watches what it was told to.
    Stands,
}

fn line(word: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(word).expect("words between daemon and guard are plain");
    line.push(b'\n');
    line
}
