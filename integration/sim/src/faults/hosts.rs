//! What befalls hosts, their clocks, their disks and their daemons.

use std::rc::Rc;
use std::time::Duration;

use had_core::ports::Event;

use super::Fate;
use crate::host::Interrupt;
use crate::runtime::{Rate, after};

/// Holders' clocks may be slewed by so much (chrony's bound), slower or faster.
const SLEW_PPM: u64 = 80_000;
/// Beyond every margin, where the story asks for it: a lease takes twice its time.
const BENT_PPM: u64 = 500_000;
/// How often a daemon that was asked to end is looked at.
const LOOK: Duration = Duration::from_millis(50);

impl Fate {
    /// `kill -9`, sometimes in the middle of an event, and a start some time later.
    pub(super) fn kill(&mut self) -> bool {
        let (host, away, within) = (self.victim(), self.away(), self.dice.chance(400));
        if !self.cluster.hosts[host].is_up() {
            return false;
        }
        let text = format!(
            "{}'s daemon is killed, back after {away:?}",
            self.name(host)
        );
        self.cluster.fault(&text);
        if within {
            self.cluster.hosts[host].interrupt(Interrupt::Kill(away));
        } else {
            self.cluster.kill_and_restart(host, away);
        }
        true
    }

    pub(super) fn power_loss(&mut self) -> bool {
        let (host, away) = (self.victim(), self.away());
        if !self.cluster.hosts[host].is_powered() {
            return false;
        }
        self.cluster
            .fault(&format!("{} loses its power for {away:?}", self.name(host)));
        self.cluster.power_off(host);
        let cluster = Rc::clone(&self.cluster);
        after(away, move || cluster.power_on(host));
        true
    }

    pub(super) fn freeze(&mut self) -> bool {
        let (host, length, within) = (self.victim(), self.length(), self.dice.chance(500));
        if !self.cluster.hosts[host].is_up() {
            return false;
        }
        let where_to = if within {
            " in the middle of an event"
        } else {
            ""
        };
        self.cluster.fault(&format!(
            "{}'s daemon freezes for {length:?}{where_to}",
            self.name(host)
        ));
        if within {
            self.cluster.hosts[host].interrupt(Interrupt::Freeze(length));
        } else {
            self.cluster.freeze(host, length);
        }
        true
    }

    /// The guard is killed, or stands still.
    pub(super) fn guard_away(&mut self) -> bool {
        let (host, length, dies) = (self.victim(), self.length(), self.dice.chance(500));
        let name = self.name(host);
        if dies {
            self.cluster.kill_guard(host) && {
                self.cluster.fault(&format!("{name}'s guard is killed"));
                true
            }
        } else {
            self.cluster.freeze_guard(host, length) && {
                let text = format!("{name}'s guard freezes for {length:?}");
                self.cluster.fault(&text);
                true
            }
        }
    }

    pub(super) fn suspend(&mut self) -> bool {
        let (host, length) = (self.victim(), self.length());
        if !self.cluster.hosts[host].is_powered() {
            return false;
        }
        self.cluster
            .fault(&format!("{} is suspended for {length:?}", self.name(host)));
        self.cluster.suspend(host, length);
        true
    }

    /// Slews a host's clocks, within the margins that leases allow for, or beyond them.
    pub(super) fn slew(&mut self) -> bool {
        let host = self.victim();
        let most = if self.bends_clocks {
            BENT_PPM
        } else {
            SLEW_PPM
        };
        let amount = if self.dice.chance(300) {
            most
        } else {
            self.dice.between(0, most + 1)
        };
        let amount = i64::try_from(amount).unwrap_or(0);
        let ppm = if self.dice.chance(700) {
            -amount
        } else {
            amount
        };
        self.cluster.fault(&format!(
            "{}'s clock is slewed by {ppm} ppm",
            self.name(host)
        ));
        self.cluster
            .kernel
            .slew(self.cluster.hosts[host].node, Rate::ppm(ppm));
        true
    }

    /// A hypervisor gives a host no processor for a while; its clocks go on.
    pub(super) fn stall_host(&mut self) -> bool {
        let (host, length) = (self.victim(), self.length());
        if !self.cluster.hosts[host].is_powered() {
            return false;
        }
        self.cluster.fault(&format!(
            "{} stands still as a whole for {length:?}",
            self.name(host)
        ));
        self.cluster.stall(host, length);
        true
    }

    /// SIGTERM: the daemon hands over and ends; it is started again some time after it has.
    pub(super) fn terminate(&mut self) -> bool {
        let (host, away) = (self.victim(), self.away());
        if !self.cluster.hosts[host].is_up() {
            return false;
        }
        self.cluster.fault(&format!(
            "{}'s daemon is asked to end, back {away:?} after it has",
            self.name(host)
        ));
        self.cluster.hosts[host].is_asked_to_leave();
        self.cluster.hosts[host].push(Event::Shutdown);
        start_when_ended(Rc::clone(&self.cluster), host, away);
        true
    }
}

pub(super) fn start_when_ended(cluster: Rc<crate::cluster::Cluster>, host: usize, away: Duration) {
    after(LOOK, move || {
        if cluster.hosts[host].is_running() {
            start_when_ended(cluster, host, away);
        } else {
            after(away, move || cluster.start_daemon(host));
        }
    });
}
