//! Power, boots, and the lives of the daemon.

use std::rc::Rc;
use std::time::Duration;

use super::driver;
use crate::cluster::Cluster;
use crate::plant::Planted;
use crate::runtime::{Clock, Clocks, Dice, Rate, after, spawn_on};

/// Crystals: a clock that nobody slews is off by so much.
const CRYSTAL_PPM: u64 = 200;
/// What the supervisor waits before it starts a daemon again that has failed (`RestartSec`).
const BETWEEN_STARTS: Duration = Duration::from_millis(100);
/// How long a host has run already when a run begins, at most.
const UPTIME_NS: u64 = 100_000_000_000;

/// The clocks of a host that boots now.
pub fn booted(now: u64, dice: &mut Dice) -> Clocks {
    let uptime = dice.between(0, UPTIME_NS);
    let crystal = |dice: &mut Dice| {
        let ppm = i64::try_from(dice.between(0, 2 * CRYSTAL_PPM + 1)).unwrap_or(0);
        Rate::ppm(ppm - i64::try_from(CRYSTAL_PPM).unwrap_or(0))
    };
    let slewed = Clock::new(now, uptime, crystal(dice));
    Clocks {
        boot: slewed.clone(),
        mono: slewed,
        raw: Clock::new(now, uptime, crystal(dice)),
    }
}

impl Cluster {
    /// Boots a host and starts its daemon.
    pub fn power_on(self: &Rc<Self>, host: usize) {
        if self.hosts[host].inner.borrow().powered {
            return;
        }
        self.note_at(host, "boots".into());
        let clocks = booted(self.kernel.now(), &mut self.dice.borrow_mut());
        self.kernel.reboot(self.hosts[host].node, clocks);
        self.hosts[host].inner.borrow_mut().powered = true;
        self.start_daemon(host);
    }

    /// Takes a host's power away. Its kernel's memory is gone, and what its disk had not synced.
    pub fn power_off(&self, host: usize) {
        self.end_daemon(host);
        let place = &self.hosts[host];
        {
            let mut inner = place.inner.borrow_mut();
            inner.powered = false;
            inner.stalled = false;
            inner.gates.clear();
            inner.addresses.clear();
            inner.guarded.clear();
            inner.guards.clear();
        }
        self.kernel.set_suspended(place.node, false);
        {
            let checks = &mut self.checks.borrow_mut();
            checks.single_owner.power_lost(host);
            checks.guarded.power_lost(host);
        }
        place.disk.power_lost(&mut self.dice.borrow_mut());
    }

    /// Starts the daemon of a host that has power and none.
    pub fn start_daemon(self: &Rc<Self>, host: usize) {
        let place = &self.hosts[host];
        {
            let mut inner = place.inner.borrow_mut();
            if !inner.powered || inner.running {
                return;
            }
            inner.running = true;
            inner.leaving = false;
            inner.lives += 1;
            inner.applied = 0;
        }
        self.note_at(host, "daemon starts".into());
        drop(spawn_on(place.node, driver::daemon(Rc::clone(self), host)));
    }

    /// Ends the daemon where it stands. The gates stay as they are: they are in the kernel.
    pub fn end_daemon(&self, host: usize) {
        let place = &self.hosts[host];
        place.disk.process_died();
        self.kernel.kill(place.node);
        let process = {
            let mut inner = place.inner.borrow_mut();
            self.kernel.set_stopped(place.node, inner.stalled);
            inner.running = false;
            inner.interrupt = None;
            inner.process.take()
        };
        drop(process);
    }

    /// Kills the daemon, and starts it again later.
    pub fn kill_and_restart(self: &Rc<Self>, host: usize, later: Duration) {
        self.end_daemon(host);
        if self.planted == Some(Planted::UnpinnedGate) {
            for (group, _) in self.guarded_here(host) {
                self.fall_open(host, &group);
            }
        }
        let cluster = Rc::clone(self);
        after(later, move || cluster.start_daemon(host));
    }

    /// Ends a daemon that cannot go on, and lets the supervisor start it again.
    pub(super) fn end_and_start_again(self: &Rc<Self>, host: usize) {
        let cluster = Rc::clone(self);
        // A daemon cannot be ended from within its own task.
        after(Duration::ZERO, move || {
            cluster.end_daemon(host);
            let world = Rc::clone(&cluster);
            after(BETWEEN_STARTS, move || world.start_daemon(host));
        });
    }

    /// Stops the daemon as SIGSTOP does, and lets it go on later.
    pub fn freeze(self: &Rc<Self>, host: usize, length: Duration) {
        self.note_at(host, format!("daemon stands still for {length:?}"));
        let (node, life) = (self.hosts[host].node, self.hosts[host].inner.borrow().lives);
        self.kernel.set_stopped(node, true);
        let cluster = Rc::clone(self);
        after(length, move || {
            let inner = cluster.hosts[host].inner.borrow();
            if inner.lives == life && !inner.stalled {
                cluster.note_at(host, "daemon goes on".into());
                cluster.kernel.set_stopped(node, false);
            }
        });
    }

    /// Suspends a host, and wakes it later.
    pub fn suspend(self: &Rc<Self>, host: usize, length: Duration) {
        if !self.hosts[host].is_powered() {
            return;
        }
        self.note_at(host, format!("sleeps for {length:?}"));
        let node = self.hosts[host].node;
        self.kernel.set_suspended(node, true);
        let cluster = Rc::clone(self);
        after(length, move || {
            cluster.note_at(host, "wakes".into());
            cluster.kernel.set_suspended(node, false);
        });
    }

    /// Lets a whole host stand still, as a hypervisor does that gives it no processor, and go on later. Its clocks go on.
    pub fn stall(self: &Rc<Self>, host: usize, length: Duration) {
        if !self.hosts[host].is_powered() {
            return;
        }
        self.note_at(host, format!("stands still as a whole for {length:?}"));
        let node = self.hosts[host].node;
        self.set_stalled(host, true);
        self.kernel.set_stopped(node, true);
        let cluster = Rc::clone(self);
        after(length, move || {
            if cluster.hosts[host].inner.borrow().stalled {
                cluster.note_at(host, "goes on as a whole".into());
                cluster.set_stalled(host, false);
                cluster.kernel.set_stopped(node, false);
            }
        });
    }

    fn set_stalled(&self, host: usize, stalled: bool) {
        self.hosts[host].inner.borrow_mut().stalled = stalled;
    }

    /// Whether a host has power and runs, whatever its daemon does.
    #[must_use]
    pub fn stands(&self, host: usize) -> bool {
        let place = &self.hosts[host];
        let inner = place.inner.borrow();
        inner.powered && !inner.stalled && !self.kernel.is_suspended(place.node)
    }

    /// Whatever makes a host or its daemon stand still is over.
    pub(crate) fn wake(&self, host: usize) {
        let node = self.hosts[host].node;
        self.set_stalled(host, false);
        self.kernel.set_suspended(node, false);
        self.kernel.set_stopped(node, false);
    }
}
