//! What daemons do, step by step: a command executed, an entry applied, a message delivered. One of these steps can be the
//! last of whoever takes it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use crate::cluster::Cluster;
use crate::runtime::after;

/// Whom a step ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Strike {
    /// The daemon that takes the step.
    Taker,
    /// The daemon that takes the step, with its host's power.
    TakersHost,
    /// The leader's daemon, whoever takes the step.
    Leader,
    /// Every daemon.
    All,
}

/// Counts steps, and waits for one of them.
#[derive(Debug, Default)]
pub struct Steps {
    /// Not counted before a leader proposes a move.
    held: Cell<bool>,
    taken: Cell<u64>,
    waits: Cell<Option<Waits>>,
    struck: RefCell<Vec<usize>>,
}

/// For one step.
#[derive(Clone, Copy, Debug)]
struct Waits {
    step: u64,
    strike: Strike,
    back: Duration,
}

impl Steps {
    /// Counts from here on, or from when a leader proposes a move.
    pub fn count(&self, from_a_proposal: bool) {
        self.held.set(from_a_proposal);
        self.taken.set(0);
    }

    /// How many there were.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.taken.get()
    }

    /// Strikes at this step, the first being 0; what it ends is back so much later.
    pub fn strike(&self, step: u64, strike: Strike, back: Duration) {
        self.waits.set(Some(Waits { step, strike, back }));
    }

    /// The hosts that were struck; none where the step has not come.
    #[must_use]
    pub fn struck(&self) -> Vec<usize> {
        self.struck.borrow().clone()
    }

    /// A leader proposes a move.
    pub(crate) fn a_move_begins(&self) {
        self.held.set(false);
    }

    fn take(&self) -> Option<Waits> {
        if self.held.get() {
            return None;
        }
        let step = self.taken.get();
        self.taken.set(step + 1);
        let waits = self.waits.get().filter(|waits| waits.step == step)?;
        self.waits.set(None);
        Some(waits)
    }
}

impl Cluster {
    /// A daemon is about to take a step. Whether it will not: it stands still from here on, until it is ended.
    pub fn takes_step(self: &Rc<Self>, host: usize) -> bool {
        let Some(Waits { strike, back, .. }) = self.steps.take() else {
            return false;
        };
        let victims: Vec<usize> = match strike {
            Strike::Taker | Strike::TakersHost => vec![host],
            Strike::Leader => self.leading().into_iter().collect(),
            Strike::All => (0..self.hosts.len()).collect(),
        };
        self.note_at(
            host,
            format!("STRIKE at this step: {strike:?}, back after {back:?}"),
        );
        self.steps.struck.borrow_mut().clone_from(&victims);
        for victim in &victims {
            self.kernel.set_stopped(self.hosts[*victim].node, true);
        }
        let ends = victims.contains(&host);
        let cluster = Rc::clone(self);
        // A daemon cannot be ended from within its own task.
        after(Duration::ZERO, move || {
            for victim in victims {
                if strike == Strike::TakersHost {
                    cluster.power_off(victim);
                    let cluster = Rc::clone(&cluster);
                    after(back, move || cluster.power_on(victim));
                } else {
                    cluster.kill_and_restart(victim, back);
                }
            }
        });
        ends
    }
}
