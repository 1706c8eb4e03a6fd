//! One group on this node: its resources, its gate, and what this node says about it.
//!
//! Level-triggered: [`LocalGroup::reconcile`] compares what the applied state and the lease allow with what is done here.
//!
//! ```text
//!            owner, leased                all up, nobody to wait for
//!   Idle ─────────────────▶ Starting ────────────────────────────────▶ Running
//!    ▲                         │  all up, former owner not released       │ ▲
//!    │                         └────────▶ Prepared ──── released ─────────┼─┘
//!    └───────────────────────────────────────────── lease over, moved, unfit
//! ```
//!
//! A group whose gate a killed life of the daemon left open begins as `Starting` with everything wanted, and waits for a
//! lease until the gate ends: within a lease a restart is not seen by anybody.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::ids::{Epoch, GroupName, NodeName, ResourceName};
use crate::message::{GroupReport, Message, NOT_YET_CHECKED, Phase, ResourceReport, ResourceState};
use crate::ports::{Command, Level, ResourceStatus};
use crate::spec::{GroupSpec, OnQuorumLoss, ResourceSpec};
use crate::state::GroupState;
use crate::time::{BootTime, MonoTime, Now, WallTime};
use crate::timing::Timing;

/// How long a node counts as unfit for a group that failed to start there: long enough that the group does not bounce
/// between two nodes that both fail, short enough that a repaired node is a standby again within a minute.
const UNFIT_AFTER_FAILURE: Duration = Duration::from_secs(30);

/// How long it is told that somebody else claims an address, after the last time: a claimant repeats itself within seconds
/// or is gone.
const CLAIM_TOLD: Duration = Duration::from_secs(30);

/// What this node does for one group.
#[derive(Debug)]
pub struct LocalGroup {
    spec: GroupSpec,
    resources: Vec<LocalResource>,
    /// The epoch under which this process opened the gate and holds it still.
    held: Option<Epoch>,
    /// What was last written to the gate, by this process or, where nothing is held, by a killed life before it.
    gate_until: BootTime,
    /// The gate never opens again under this epoch or an earlier one.
    sealed: Epoch,
    /// Why this node gave the group up by itself, and under which epoch.
    given_up: Option<(Epoch, String)>,
    /// The epoch under which the new owner said that it is prepared.
    prepared: Option<Epoch>,
    /// Releases of former owners, heard from themselves.
    releases: BTreeMap<NodeName, Epoch>,
    failed: Option<(String, MonoTime)>,
    /// Why this host can run nothing any more.
    host_failed: Option<String>,
    /// How often failures had been cleared when it was last looked.
    cleared: u64,
    /// Whether nothing of it is touched: an operator takes care of it.
    hands_off: bool,
    /// Since when it waits for another group to be down, and whether that was given up.
    behind: Option<(MonoTime, bool)>,
    announced: bool,
    /// Who else claims one of its addresses, and when that was last heard.
    claimed: Option<(String, MonoTime)>,
    phase: Phase,
    since: WallTime,
    /// What was last said to others, so that a change is said at once.
    said: Vec<(NodeName, Message)>,
    release_not_binding: bool,
}

#[derive(Debug)]
struct LocalResource {
    spec: ResourceSpec,
    wanted: bool,
    status: ResourceStatus,
    ready: Option<Result<(), String>>,
}

/// What [`LocalGroup::reconcile`] needs to know.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// This node.
    pub me: &'a NodeName,
    /// The time.
    pub now: Now,
    /// The end of this node's lease, while it is valid.
    pub lease: Option<BootTime>,
    /// Lease and heartbeat.
    pub timing: Timing,
    /// What was decided about the group.
    pub state: &'a GroupState,
    /// Whether an operator takes care of it himself.
    pub maintenance: bool,
    /// Whom it waits for on this node before it starts.
    pub order: Order<'a>,
}

/// The other groups of this node for which a group waits before it starts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Order<'a> {
    /// One that must be down: they displace each other, or must not meet.
    pub down_first: Option<&'a GroupName>,
    /// One that must run: this group goes with it.
    pub up_first: Option<&'a GroupName>,
    /// One that must not meet this group comes here: this group gives way at once, not when it is asked to.
    pub urgent: bool,
}

impl LocalGroup {
    /// A group of which nothing runs here and whose gate is shut.
    #[must_use]
    pub fn new(spec: GroupSpec, now: WallTime) -> Self {
        let resources = spec
            .resources
            .iter()
            .map(|spec| LocalResource {
                spec: spec.clone(),
                wanted: false,
                status: ResourceStatus::Down,
                ready: None,
            })
            .collect();
        Self {
            spec,
            resources,
            held: None,
            gate_until: BootTime::ZERO,
            sealed: Epoch(0),
            given_up: None,
            prepared: None,
            releases: BTreeMap::new(),
            failed: None,
            host_failed: None,
            cleared: 0,
            hands_off: false,
            behind: None,
            announced: false,
            claimed: None,
            phase: Phase::Idle,
            since: now,
            said: Vec::new(),
            release_not_binding: false,
        }
    }

    /// A killed life of this daemon left the gate open until then, and the addresses behind it. Nothing is touched before it
    /// is known whose the group is, and nothing is said to be shut before it is.
    #[must_use]
    pub fn inheriting(mut self, until: BootTime) -> Self {
        self.gate_until = until;
        self.hands_off = true;
        self.phase = Phase::Starting;
        for resource in &mut self.resources {
            resource.wanted = true;
        }
        self
    }

    /// Whether it stands on what a killed life left, and must look when that ends.
    #[must_use]
    pub fn is_inherited(&self) -> bool {
        self.held.is_none() && self.gate_until != BootTime::ZERO
    }

    /// Plants the mistake of a release that does not shut the gate.
    pub fn do_not_bind_releases(&mut self) {
        self.release_not_binding = true;
    }

    /// As the file describes it.
    #[must_use]
    pub fn spec(&self) -> &GroupSpec {
        &self.spec
    }

    /// Takes over from the same group under another configuration: what was promised is still promised, and what this host
    /// could start it can still start, until it says otherwise.
    pub fn succeed(&mut self, former: Self) {
        self.sealed = former.sealed;
        self.releases = former.releases;
        self.prepared = former.prepared;
        self.given_up = former.given_up;
        self.cleared = former.cleared;
        self.hands_off = former.hands_off;
        for resource in former.resources {
            if let Some(ready) = resource.ready {
                self.ready(&resource.spec.name, ready);
            }
        }
    }

    /// Another configuration says other things of it, and the same of its resources.
    pub fn respecify(&mut self, spec: GroupSpec) {
        self.spec = spec;
        // Told again to whoever mends its resources, which may have forgotten it with a former configuration. What is
        // inherited is left alone by both from the start.
        self.hands_off &= self.is_inherited();
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &GroupName {
        &self.spec.name
    }

    /// Whether something of it that is not wanted here could not be taken down.
    #[must_use]
    pub fn is_stuck(&self) -> bool {
        let failed = |status: &ResourceStatus| matches!(status, ResourceStatus::Failed(_));
        self.held.is_none()
            && self
                .resources
                .iter()
                .any(|resource| !resource.wanted && failed(&resource.status))
    }

    /// Whether this node passes the group's packets as far as it knows.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.held.is_some()
    }

    /// Whether its gate is shut, and not merely lapsed.
    fn is_shut(&self) -> bool {
        self.held.is_none() && self.gate_until == BootTime::ZERO
    }

    /// Whether nothing of the group is up here.
    #[must_use]
    pub fn is_down(&self) -> bool {
        self.is_shut()
            && self
                .resources
                .iter()
                .all(|resource| !resource.wanted && resource.status == ResourceStatus::Down)
    }

    /// A resource says what it does.
    pub fn resource(&mut self, name: &ResourceName, status: ResourceStatus, now: Now) {
        let starting = self.phase == Phase::Starting;
        if let Some(resource) = self.find(name) {
            if let (true, true, ResourceStatus::Failed(reason)) =
                (starting, resource.wanted, &status)
            {
                let reason = format!("{name} could not be started: {reason}");
                self.failed = Some((reason, now.mono + UNFIT_AFTER_FAILURE));
            }
            if let Some(resource) = self.find(name) {
                resource.status = status;
            }
        }
    }

    /// Whether this host could start a resource.
    pub fn ready(&mut self, name: &ResourceName, ready: Result<(), String>) {
        if let Some(resource) = self.find(name) {
            resource.ready = Some(ready);
        }
    }

    /// This host can run nothing any more, for this reason.
    pub fn host_fails(&mut self, reason: &str) {
        self.host_failed = Some(reason.to_owned());
    }

    fn find(&mut self, name: &ResourceName) -> Option<&mut LocalResource> {
        self.resources
            .iter_mut()
            .find(|resource| resource.spec.name == *name)
    }

    /// The new owner says that everything is in place there.
    pub fn heard_prepared(&mut self, epoch: Epoch) {
        self.prepared = self.prepared.max(Some(epoch));
    }

    /// A former owner says that its gate is shut for good up to this epoch. It says so only after it applied the move, so a
    /// later life of its daemon knows of the move too before its lease counts.
    pub fn heard_released(&mut self, from: NodeName, epoch: Epoch) {
        let heard = self.releases.entry(from).or_default();
        *heard = (*heard).max(epoch);
    }

    /// Why this node could not run the group now; `None` where it could, or has not found out yet.
    #[must_use]
    pub fn unfit(&self, now: MonoTime) -> Option<String> {
        self.not_ready().or_else(|| self.banned(now))
    }

    /// What is missing here.
    fn not_ready(&self) -> Option<String> {
        let missing = |resource: &LocalResource| resource.ready.clone()?.err();
        let missing = || self.resources.iter().find_map(missing);
        self.host_failed.clone().or_else(missing)
    }

    /// What failed here not long ago.
    fn banned(&self, now: MonoTime) -> Option<String> {
        let failed = self.failed.as_ref().filter(|(_, until)| now < *until);
        failed.map(|(why, _)| why.clone())
    }

    /// Whether every resource has said whether it could start here.
    #[must_use]
    pub fn readiness_known(&self) -> bool {
        self.resources
            .iter()
            .all(|resource| resource.ready.is_some())
    }

    /// Makes what is done here equal to what is allowed here.
    pub fn reconcile(&mut self, situation: Situation<'_>, out: &mut Vec<Command>) {
        // Whose it is, the first lease tells: what was applied before may be old.
        let open = situation.now.boot < self.gate_until;
        if situation.lease.is_none() && self.is_inherited() && open {
            return;
        }
        // What is on its way when maintenance begins arrives first: half-way it would serve nobody.
        let rests = matches!(self.phase, Phase::Running | Phase::Idle);
        let situation = Situation {
            maintenance: situation.maintenance && (self.hands_off || rests),
            ..situation
        };
        if self.hands_off != situation.maintenance {
            self.hands_off = situation.maintenance;
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

    /// What this node does with the group.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// What others must hear from this node about the group, for as long as the state stands.
    fn to_say(&self, situation: Situation<'_>) -> Vec<(NodeName, Message)> {
        let (group, state) = (self.name(), situation.state);
        if self.phase == Phase::Prepared {
            let epoch = state.epoch;
            let waited_for = state.unreleased.keys().filter(|node| *node != situation.me);
            return waited_for
                .map(|node| {
                    (
                        node.clone(),
                        Message::Prepared {
                            group: group.clone(),
                            epoch,
                        },
                    )
                })
                .collect();
        }
        match (&state.owner, state.unreleased.get(situation.me)) {
            (Some(owner), Some(epoch))
                if owner != situation.me && self.is_shut() && self.sealed >= *epoch =>
            {
                vec![(
                    owner.clone(),
                    Message::Released {
                        group: group.clone(),
                        epoch: *epoch,
                    },
                )]
            }
            _ => Vec::new(),
        }
    }

    fn say_changes(&mut self, situation: Situation<'_>, out: &mut Vec<Command>) {
        let to_say = self.to_say(situation);
        if to_say != self.said {
            self.said = to_say;
            self.say_again(out);
        }
    }

    /// Says again what was said: a message may have been lost.
    pub fn say_again(&self, out: &mut Vec<Command>) {
        for (to, message) in &self.said {
            out.push(Command::Send {
                to: to.clone(),
                message: message.clone(),
            });
        }
    }

    /// What this node reports about the group.
    #[must_use]
    pub fn report(&self, state: &GroupState, now: MonoTime) -> GroupReport {
        let unknown = || (!self.readiness_known()).then(|| NOT_YET_CHECKED.to_owned());
        GroupReport {
            epoch: state.epoch,
            phase: self.phase,
            since: self.since,
            not_ready: self.not_ready().or_else(unknown),
            banned: self.banned(now),
            claimed: self
                .claimed
                .as_ref()
                .filter(|(_, until)| now < *until)
                .map(|(text, _)| text.clone()),
            released: (self.is_shut() && self.sealed > Epoch(0)).then_some(self.sealed),
            given_up: self
                .given_up
                .as_ref()
                .filter(|(epoch, _)| *epoch == state.epoch)
                .map(|(_, reason)| reason.clone()),
            resources: self.resources.iter().map(LocalResource::report).collect(),
        }
    }
}

impl LocalResource {
    fn report(&self) -> ResourceReport {
        let (state, detail) = match (&self.status, self.wanted) {
            (ResourceStatus::Up(detail), _) => (ResourceState::Running, detail.clone()),
            (ResourceStatus::Failed(reason), _) => (ResourceState::Failed, reason.clone()),
            (ResourceStatus::Down, true) => (ResourceState::Starting, String::new()),
            (ResourceStatus::Down, false) => (ResourceState::Stopped, String::new()),
        };
        ResourceReport {
            name: self.spec.name.clone(),
            state,
            detail,
        }
    }
}
