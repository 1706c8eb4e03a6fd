//! What the executor keeps of each node: its clocks, its timers, whether it runs.

use std::collections::BTreeMap;
use std::task::Waker;

use super::clock::{Clock, Rate};
use super::rng::Dice;
use super::task::TaskId;

/// The clocks of one host.
#[derive(Clone, Debug)]
pub struct Clocks {
    /// `CLOCK_BOOTTIME`: goes on in suspend.
    pub boot: Clock,
    /// `CLOCK_MONOTONIC`: slewed together with `boot`, stands still in suspend.
    pub mono: Clock,
    /// `CLOCK_MONOTONIC_RAW`: its own crystal, stands still in suspend.
    pub raw: Clock,
}

impl Clocks {
    /// Three clocks that show true time.
    #[must_use]
    pub fn ideal() -> Self {
        let clock = Clock::new(0, 0, Rate::TRUE);
        Self {
            boot: clock.clone(),
            mono: clock.clone(),
            raw: clock,
        }
    }
}

/// One node of the executor.
#[derive(Debug)]
pub(super) struct NodeSlot {
    pub(super) clocks: Clocks,
    /// How the clocks ran before the suspend, where the host sleeps.
    pub(super) suspended: Option<(Rate, Rate)>,
    /// The process is stopped (SIGSTOP, starved, swapped out).
    pub(super) stopped: bool,
    /// Its process is being torn down: nothing new is spawned.
    pub(super) dying: bool,
    /// Counts the lives of its process.
    pub(super) life: u64,
    /// Tasks that would run if the node did.
    pub(super) held: Vec<TaskId>,
    pub(super) dice: Dice,
    timers: BTreeMap<(u64, u64), Waker>,
    /// The true time of the first timer, until a timer or the clock changes.
    next: Option<Option<u64>>,
}

impl NodeSlot {
    pub(super) fn new(clocks: Clocks, dice: Dice) -> Self {
        Self {
            clocks,
            suspended: None,
            stopped: false,
            dying: false,
            life: 0,
            held: Vec::new(),
            dice,
            timers: BTreeMap::new(),
            next: None,
        }
    }

    pub(super) fn runs(&self) -> bool {
        !self.stopped && self.suspended.is_none()
    }

    /// To be called after any change of the clocks.
    pub(super) fn clocks_changed(&mut self) {
        self.next = None;
    }

    /// When the first timer is due, in true time.
    pub(super) fn next_timer(&mut self) -> Option<u64> {
        if let Some(next) = self.next {
            return next;
        }
        let first = self.timers.keys().next();
        let next = first.and_then(|(deadline, _)| self.clocks.mono.when(*deadline));
        self.next = Some(next);
        next
    }

    pub(super) fn add_timer(&mut self, key: (u64, u64), waker: Waker) {
        if self
            .timers
            .first_key_value()
            .is_none_or(|(first, _)| key < *first)
        {
            self.next = None;
        }
        self.timers.insert(key, waker);
    }

    /// The waker is returned so that it is dropped outside of every borrow.
    pub(super) fn remove_timer(&mut self, key: (u64, u64)) -> Option<Waker> {
        if self
            .timers
            .first_key_value()
            .is_some_and(|(first, _)| *first == key)
        {
            self.next = None;
        }
        self.timers.remove(&key)
    }

    /// The first timer, if it is due at this true time.
    pub(super) fn pop_due(&mut self, now: u64) -> Option<Waker> {
        if self.next_timer()? > now {
            return None;
        }
        self.next = None;
        self.timers.pop_first().map(|(_, waker)| waker)
    }
}
