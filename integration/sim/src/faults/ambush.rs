//! Faults that wait for the one moment at which they hurt most: between a decision and its commit, between "shut" and
//! "released", between a permit and its answer.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use had_core::message::Message;
use had_core::ports::Command;
use had_core::state::Step;
use had_core::time::BootTime;

use super::Fate;
use crate::cluster::Cluster;
use crate::host::{Interrupt, begins_a_move};
use crate::runtime::after;

/// What is waited for, and what happens then.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ambush {
    /// A leader proposes to move a group: it is killed a moment later and is back after this long.
    LeaderDiesDeciding {
        /// Between the proposal and the kill.
        moment: Duration,
        /// Until its daemon is started again.
        back: Duration,
    },
    /// A former owner has shut its gate: its daemon is killed before it can say so.
    OwnerDiesReleasing {
        /// Until its daemon is started again.
        back: Duration,
    },
    /// A former owner has shut its gate: its daemon stands still before it can say so.
    OwnerFreezesReleasing {
        /// For this long.
        length: Duration,
    },
    /// A new owner has everything up behind its shut gate, and says so: its daemon is killed.
    StandbyDiesPrepared {
        /// Until its daemon is started again.
        back: Duration,
    },
    /// A leader writes another configuration: it is killed a moment later and is back after this long.
    LeaderDiesConfiguring {
        /// Between the proposal and the kill.
        moment: Duration,
        /// Until its daemon is started again.
        back: Duration,
    },
    /// A leader is about to answer an ask: it stands still before the answer leaves.
    LeaderFreezesAnswering {
        /// For this long.
        length: Duration,
    },
}

/// The ambushes that are laid.
#[derive(Debug, Default)]
pub struct Ambushes(RefCell<Vec<Ambush>>);

impl Ambush {
    fn waits_for(self, command: &Command) -> bool {
        match self {
            Self::LeaderDiesDeciding { .. } => begins_a_move(command),
            Self::OwnerDiesReleasing { .. } | Self::OwnerFreezesReleasing { .. } => {
                matches!(command, Command::Gate { until, .. } if *until == BootTime::ZERO)
            }
            Self::StandbyDiesPrepared { .. } => {
                matches!(
                    command,
                    Command::Send {
                        message: Message::Prepared { .. },
                        ..
                    }
                )
            }
            Self::LeaderDiesConfiguring { .. } => configures(command),
            Self::LeaderFreezesAnswering { .. } => {
                matches!(
                    command,
                    Command::Answer {
                        message: Message::Answer(_),
                        ..
                    }
                )
            }
        }
    }
}

fn configures(command: &Command) -> bool {
    let Command::Propose { entry, .. } = command else {
        return false;
    };
    let mut steps = entry.steps.iter();
    steps.any(|step| matches!(step, Step::Configure { .. }))
}

impl Cluster {
    /// A daemon is about to execute a command: whoever waits for it strikes.
    pub fn ambush(self: &Rc<Self>, host: usize, command: &Command) {
        let sprung = {
            let mut ambushes = self.ambushes.0.borrow_mut();
            if ambushes.is_empty() || self.has_ceased() {
                return;
            }
            let place = ambushes.iter().position(|ambush| ambush.waits_for(command));
            place.map(|place| ambushes.remove(place))
        };
        let Some(ambush) = sprung else { return };
        self.note_at(host, format!("ambush: {ambush:?}"));
        match ambush {
            Ambush::LeaderDiesDeciding { moment, back }
            | Ambush::LeaderDiesConfiguring { moment, back } => {
                let cluster = Rc::clone(self);
                after(moment, move || {
                    if !cluster.has_ceased() && cluster.hosts[host].is_up() {
                        cluster.note_at(host, format!("daemon killed, back after {back:?}"));
                        cluster.kill_and_restart(host, back);
                    }
                });
            }
            Ambush::OwnerDiesReleasing { back } | Ambush::StandbyDiesPrepared { back } => {
                self.hosts[host].interrupt(Interrupt::Kill(back));
            }
            Ambush::OwnerFreezesReleasing { length }
            | Ambush::LeaderFreezesAnswering { length } => {
                self.hosts[host].interrupt(Interrupt::Freeze(length));
            }
        }
    }
}

impl Fate {
    /// Lays an ambush.
    pub(super) fn lie_in_wait(&mut self) -> bool {
        let micros =
            |low, high, fate: &mut Self| Duration::from_micros(fate.dice.between(low, high));
        let ambush = match self.dice.between(0, 14) {
            0..6 => Ambush::LeaderDiesDeciding {
                moment: micros(0, 1_500, self),
                back: micros(100, 60_000, self),
            },
            6..8 => Ambush::OwnerDiesReleasing { back: self.away() },
            8..10 => Ambush::StandbyDiesPrepared { back: self.away() },
            10..12 => Ambush::OwnerFreezesReleasing {
                length: self.length(),
            },
            _ => Ambush::LeaderFreezesAnswering {
                length: self.length(),
            },
        };
        self.cluster.fault(&format!("laid: {ambush:?}"));
        self.lay(ambush);
        true
    }

    pub(super) fn lay(&self, ambush: Ambush) {
        self.cluster.ambushes.0.borrow_mut().push(ambush);
    }
}
