//! What is done here made equal to what is allowed here.

use std::time::Duration;

use super::{LocalGroup, Order, Situation};
use crate::message::Phase;
use crate::ports::{Command, Level, ResourceStatus};
use crate::spec::OnQuorumLoss;
use crate::state::GroupState;
use crate::time::{BootTime, MonoTime, Now};

/// How long it is told that somebody else claims an address, after the last time: a claimant repeats itself within seconds
/// or is gone.
const CLAIM_TOLD: Duration = Duration::from_secs(30);

impl LocalGroup {
    /// Makes what is done here equal to what is allowed here.
    pub fn reconcile(&mut self, situation: Situation<'_>, out: &mut Vec<Command>) {
        if self.awaits_its_lease(situation) {
            return;
        }
        if self.is_inherited() && situation.now.boot >= self.gate_until {
            // What a killed life left has ended: from here on it is shut, and whatever comes, it begins anew.
            self.shut(out);
        }
        // What is on its way when maintenance begins arrives first: half-way it would serve nobody.
        let rests = matches!(self.phase, Phase::Running | Phase::Idle);
        let situation = Situation {
            maintenance: situation.maintenance && (self.hands_off || rests),
            ..situation
        };
        self.hands_off = situation.maintenance;
        if self.told != Some(self.hands_off) {
            self.told = Some(self.hands_off);
            out.push(Command::HandsOff {
                group: self.name().clone(),
                on: self.hands_off,
            });
        }
        if situation.state.cleared != self.cleared {
            self.cleared = situation.state.cleared;
            self.failed = None;
        }
        let owns = situation.state.owner.as_ref() == Some(situation.me)
            && situation.state.epoch > self.sealed;
        match (owns, situation.lease) {
            _ if situation.ends => self.stop(situation.now, out),
            (true, Some(until)) => self.serve(situation, until, out),
            (false, Some(until)) if self.may_go_on(situation) => self.hold_until(until, out),
            (false, _) => self.give_way(situation, out),
            (true, None) if self.keeps_on_at(situation) => {
                // A lease's length ahead at each look, so that a daemon that is killed or frozen still falls silent.
                self.hold_until(situation.now.boot + situation.timing.lease, out);
            }
            // Silent, and left as it is: it goes on when the lease does.
            (true, None) if situation.maintenance => {
                self.shut(out);
                if self.phase == Phase::Running {
                    self.set_phase(Phase::Starting, situation.now);
                }
            }
            (true, None) => self.stop(situation.now, out),
        }
        self.say_changes(situation, out);
    }

    /// Whether what a killed life left is open still, and the first lease will tell whose it is: what was applied before may
    /// be old.
    fn awaits_its_lease(&self, situation: Situation<'_>) -> bool {
        let open = situation.now.boot < self.gate_until;
        let ends = situation.ends || self.host_failed.is_some();
        situation.lease.is_none() && self.is_inherited() && open && !ends
    }

    /// Whether it goes on although the lease is over: what runs here runs on, nothing is started.
    #[must_use]
    pub fn keeps_on(&self) -> bool {
        self.held.is_some() && self.spec.on_quorum_loss == OnQuorumLoss::Keep
    }

    /// As [`LocalGroup::keeps_on`], and it has been served without a pause: one that was silenced stands down.
    fn keeps_on_at(&self, situation: Situation<'_>) -> bool {
        let open = situation.now.boot <= self.gate_until + situation.timing.renewal();
        self.keeps_on() && open
    }

    /// Whether it waits for another group of this node.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.behind.is_some()
    }

    /// This node owns the group and may act.
    fn serve(&mut self, situation: Situation<'_>, until: BootTime, out: &mut Vec<Command>) {
        let epoch = situation.state.epoch;
        if situation.maintenance && !self.all_up() {
            // Neither started nor given up: what runs here is an operator's care.
            if self.held.is_some() {
                self.hold_until(until, out);
            } else if self.phase != Phase::Idle {
                self.set_phase(Phase::Starting, situation.now);
            }
            return;
        }
        let unfit = self.unfit(situation.now.mono);
        if let Some(reason) = unfit.filter(|_| !situation.maintenance) {
            self.given_up = Some((epoch, reason.clone()));
            out.push(Command::Log {
                level: Level::Warn,
                text: format!("{} is given up here (epoch {epoch}): {reason}", self.name()),
            });
            self.stop(situation.now, out);
            self.sealed = self.sealed.max(epoch);
            return;
        }
        if self.held.is_some() {
            // Held without a break, perhaps since before the group was moved away and back: nobody else has opened, unless
            // the group keeps on without a majority and its file allows a second owner.
            self.held = Some(epoch);
            self.hold_until(until, out);
            self.set_phase(Phase::Running, situation.now);
            return;
        }
        let probe = situation.state.unreleased.is_empty();
        let begun = self.resources.iter().any(|resource| resource.wanted);
        let turn = begun || self.is_its_turn(situation, out);
        if !turn || !self.start_resources(probe, out) {
            self.set_phase(Phase::Starting, situation.now);
        } else if self.everybody_released(situation.state) {
            self.behind = None;
            self.held = Some(epoch);
            self.hold_until(until, out);
            self.announce(true, out);
            self.set_phase(Phase::Running, situation.now);
        } else {
            self.set_phase(Phase::Prepared, situation.now);
        }
    }

    /// Whether the groups of this node that come first are down, or up. One that does not get down in time is not waited
    /// for: nothing but order is at stake between groups that share no exclusive resource.
    fn is_its_turn(&mut self, situation: Situation<'_>, out: &mut Vec<Command>) -> bool {
        let Order {
            down_first,
            up_first,
            urgent: _,
        } = situation.order;
        if up_first.is_some() {
            return false;
        }
        let Some(other) = down_first else {
            self.behind = None;
            return true;
        };
        let now = situation.now.mono;
        let (since, given_up) = *self.behind.get_or_insert((now, false));
        let overdue = now.since(since) >= situation.timing.heartbeat;
        if overdue && !given_up {
            self.behind = Some((since, true));
            out.push(Command::Log {
                level: Level::Warn,
                text: format!(
                    "{other} does not get down for {}, which starts all the same",
                    self.name()
                ),
            });
        }
        overdue
    }

    fn everybody_released(&self, state: &GroupState) -> bool {
        state.unreleased.iter().all(|(node, epoch)| {
            self.releases
                .get(node)
                .is_some_and(|released| released >= epoch)
        })
    }

    /// Brings resources up in order, each when the one before it is up. Whether all are.
    fn start_resources(&mut self, probe: bool, out: &mut Vec<Command>) -> bool {
        let group = self.spec.name.clone();
        for resource in &mut self.resources {
            if !resource.wanted {
                resource.wanted = true;
                // What it said before was the answer to another wish.
                resource.status = ResourceStatus::Down;
                let (group, spec) = (group.clone(), resource.spec.clone());
                out.push(Command::Resource {
                    group,
                    resource: spec,
                    up: true,
                    probe,
                });
            }
            if !matches!(resource.status, ResourceStatus::Up(_)) {
                return false;
            }
        }
        true
    }

    /// A former owner goes on behind the gate that it already holds until the new owner is prepared.
    fn may_go_on(&self, situation: Situation<'_>) -> bool {
        let state = situation.state;
        self.held.is_some()
            && !situation.order.urgent
            && self.unfit(situation.now.mono).is_none()
            && state.owner.is_some()
            && state.unreleased.contains_key(situation.me)
            && self.prepared < Some(state.epoch)
    }

    /// The group is somebody else's: shut, and never open again under the epochs so far.
    fn give_way(&mut self, situation: Situation<'_>, out: &mut Vec<Command>) {
        if self.release_not_binding && self.held.is_some() {
            // Planted: it says that it released, and goes on until its gate ends by itself.
            self.held = None;
            self.gate_until = BootTime::ZERO;
        }
        self.sealed = self.sealed.max(situation.state.epoch);
        self.stop(situation.now, out);
    }

    /// Shuts, then takes everything down.
    pub fn stop(&mut self, now: Now, out: &mut Vec<Command>) {
        self.behind = None;
        self.shut(out);
        for resource in self
            .resources
            .iter_mut()
            .rev()
            .filter(|resource| resource.wanted)
        {
            resource.wanted = false;
            let (group, spec) = (self.spec.name.clone(), resource.spec.clone());
            out.push(Command::Resource {
                group,
                resource: spec,
                up: false,
                probe: false,
            });
        }
        let phase = if self.is_down() {
            Phase::Idle
        } else {
            Phase::Stopping
        };
        self.set_phase(phase, now);
    }

    /// Nothing passes from here on.
    fn shut(&mut self, out: &mut Vec<Command>) {
        if self.held.take().is_some() || self.gate_until != BootTime::ZERO {
            self.gate_until = BootTime::ZERO;
            out.push(Command::Gate {
                group: self.spec.name.clone(),
                until: BootTime::ZERO,
            });
        }
        self.announce(false, out);
    }

    fn all_up(&self) -> bool {
        self.resources
            .iter()
            .all(|resource| resource.wanted && matches!(resource.status, ResourceStatus::Up(_)))
    }

    fn hold_until(&mut self, until: BootTime, out: &mut Vec<Command>) {
        if until > self.gate_until {
            self.gate_until = until;
            out.push(Command::Gate {
                group: self.spec.name.clone(),
                until,
            });
        }
    }

    fn announce(&mut self, on: bool, out: &mut Vec<Command>) {
        if self.announced != on {
            self.announced = on;
            out.push(Command::Announce {
                group: self.spec.name.clone(),
                on,
            });
        }
    }

    /// Somebody else claims an address: remember it, and tell the network again where it is, where this node may.
    pub fn claimed(&mut self, text: String, now: MonoTime, out: &mut Vec<Command>) {
        self.claimed = Some((text, now + CLAIM_TOLD));
        if self.held.is_some() {
            out.push(Command::Announce {
                group: self.spec.name.clone(),
                on: true,
            });
        }
    }

    fn set_phase(&mut self, phase: Phase, now: Now) {
        if self.phase != phase {
            self.phase = phase;
            self.since = now.wall;
        }
    }
}
