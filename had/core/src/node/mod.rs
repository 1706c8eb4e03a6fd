//! The node: every event in, every command out.
//!
//! [`Node::handle`] does three things in this order: it notices what passed meanwhile (sleep, a standstill, the end of the
//! lease), takes in what happened, and settles once what follows from all of it. So no event is ever judged on a lease that
//! is over, and a node that has much to hear thinks no oftener for it.

mod facts;
mod forming;
mod groups;
mod hearing;
mod order;
mod shutdown;
mod speaking;
mod telling;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::group::LocalGroup;
use crate::ids::{ClusterId, GroupName, LeaderId, NodeName, RequestId};
use crate::leader::{Counter, Leader, Seen};
use crate::lease::Holder;
use crate::message::{Refusal, Sender};
use crate::peers::Peers;
use crate::plant::Plant;
use crate::ports::{Command, Event, Identity, Leadership, Level, Reply, ResourceStatus};
use crate::stall::{Stall, Stalls, told};
use crate::state::{Configuration, State};
use crate::time::{BootTime, MonoTime, Now, WallTime};
use crate::timing::Timing;

use order::Relations;

/// `CLOCK_BOOTTIME` runs on in suspend, `CLOCK_MONOTONIC` does not; where it gains more than this, there was one.
const SUSPEND: Duration = Duration::from_millis(1);

/// One daemon's view of the cluster, and what it does.
#[derive(Debug)]
pub struct Node {
    me: Sender,
    own: Configuration,
    gate: String,
    supervised: bool,
    /// Whether a guard stands beside this process; `None` where none was set up.
    guarded: Option<bool>,
    stalls: Stalls,
    timing: Timing,
    state: Arc<State>,
    applied: u64,
    /// The leader of the last entry applied, and the first index under it.
    applied_under: Option<(LeaderId, u64)>,
    leadership: Leadership,
    leader: Option<Leader>,
    leader_must_look: bool,
    /// When this process last handed leadership over.
    last_transfer: Option<MonoTime>,
    holder: Holder,
    /// Whether the last look at the clock found a valid lease; the groups act on it.
    leased: bool,
    /// Whether this process has ever held a lease.
    was_leased: bool,
    /// When it was last noticed that the lease had ended.
    lapsed: Option<MonoTime>,
    /// When this node last knew that it saw what the majority sees.
    fresh: WallTime,
    refusal: Option<Refusal>,
    groups: BTreeMap<GroupName, LocalGroup>,
    groups_must_look: bool,
    relations: Relations,
    peers: Peers,
    counter: Counter,
    next_ask: MonoTime,
    next_report: MonoTime,
    next_heartbeat: MonoTime,
    last_form: Option<MonoTime>,
    /// An operator who waits for the cluster to form, and since when.
    forming: Option<(RequestId, MonoTime)>,
    last_seen: Option<Now>,
    awake_since: MonoTime,
    leaving: Option<MonoTime>,
    /// Whether everything is taken down, because it ends.
    takes_down: bool,
    exited: bool,
    plants: Vec<Plant>,
}

impl Node {
    /// A daemon that has just started; `own` is what its file says. Every gate is shut and no address is up, but for the
    /// groups of `inherited`: a killed life of this daemon left their gates open until then, and their addresses as they
    /// are.
    #[must_use]
    pub fn new(
        identity: Identity,
        own: Configuration,
        inherited: &BTreeMap<GroupName, BootTime>,
        now: Now,
    ) -> Self {
        let timing = own.spec.timing;
        let mut node = Self {
            me: identity.sender,
            gate: identity.gate,
            supervised: identity.supervised,
            guarded: None,
            stalls: Stalls::default(),
            timing,
            state: Arc::new(State::default()),
            applied: 0,
            applied_under: None,
            leadership: Leadership::default(),
            leader: None,
            leader_must_look: false,
            last_transfer: None,
            holder: Holder::default(),
            leased: false,
            was_leased: false,
            lapsed: None,
            fresh: now.wall,
            refusal: None,
            groups: BTreeMap::new(),
            groups_must_look: false,
            relations: Relations::default(),
            peers: Peers::default(),
            counter: Counter::default(),
            next_ask: now.mono,
            next_report: now.mono,
            next_heartbeat: now.mono,
            last_form: None,
            forming: None,
            last_seen: None,
            awake_since: MonoTime::ZERO,
            leaving: None,
            takes_down: false,
            exited: false,
            plants: Vec::new(),
            own,
        };
        node.adopt_groups(now, &mut Vec::new());
        node.inherit(inherited);
        node
    }

    /// Plants a mistake, for the simulator's checkers.
    pub fn plant(&mut self, plant: Plant) {
        if plant == Plant::IndexIgnored {
            self.holder.ignore_index();
        }
        if plant == Plant::ReleaseNotBinding {
            self.groups
                .values_mut()
                .for_each(LocalGroup::do_not_bind_releases);
        }
        self.plants.push(plant);
    }

    /// Takes in what happened since it was last called, in order, and says what is to be done, in order. Nothing happened
    /// where a deadline has passed. `now` is read after the last of the events came in: an ask that was sent later than
    /// `now` would be granted for longer than the leader waits.
    #[must_use]
    pub fn handle(&mut self, now: Now, events: impl IntoIterator<Item = Event>) -> Vec<Command> {
        let mut out = Vec::new();
        self.notice(now, &mut out);
        for event in events {
            self.take(now, event, &mut out);
        }
        self.settle(now, &mut out);
        out
    }

    /// When [`Node::handle`] must be called again although nothing happens.
    #[must_use]
    pub fn next_deadline(&self, now: Now) -> MonoTime {
        let mut next = self.next_ask.min(self.next_heartbeat);
        if self.leased {
            next = next.min(now.mono + self.holder.until().since(now.boot));
        }
        if let Some(leader) = &self.leader {
            next = next.min(now.mono + leader.next_deadline().since(now.raw));
        }
        next.max(now.mono + Duration::from_micros(100))
    }

    /// Who this daemon is; its cluster is known once the first entries are applied.
    #[must_use]
    pub fn sender(&self) -> &Sender {
        &self.me
    }

    /// The applied state and its index.
    #[must_use]
    pub fn state(&self) -> (&Arc<State>, u64) {
        (&self.state, self.applied)
    }

    /// The end of this node's lease, in the past where it has none.
    #[must_use]
    pub fn lease_until(&self) -> BootTime {
        self.holder.until()
    }

    /// What passed since the last event.
    fn notice(&mut self, now: Now, out: &mut Vec<Command>) {
        if let Some(last) = self.last_seen {
            let still = now.mono.since(last.mono);
            if now.boot.since(last.boot) > still + SUSPEND {
                self.awake_since = now.mono;
                let text = "this host was suspended: earlier acknowledgements are void".to_owned();
                out.push(Command::Log {
                    level: Level::Warn,
                    text,
                });
            }
            if still > self.timing.lease / 2
                && let Some(leader) = &mut self.leader
            {
                leader.stood_still(now.raw);
            }
        }
        self.last_seen = Some(now);
        self.groups_must_look |= self.groups_look_by_time();
        self.check_lease(now, out);
    }

    /// Whether the lease is valid now; groups look again when that changed.
    fn check_lease(&mut self, now: Now, out: &mut Vec<Command>) {
        let valid = self.holder.is_valid(now.boot);
        if valid {
            self.was_leased = true;
            self.fresh = now.wall;
        }
        if self.leased && !valid {
            self.lapsed = Some(now.mono);
            let held = self
                .groups
                .iter()
                .filter(|(_, group)| group.is_held() && !group.keeps_on());
            let held: Vec<_> = held.map(|(name, _)| name.as_str()).collect();
            if !held.is_empty() {
                let held = held.join(", ");
                let text = format!("the lease ended without renewal: standing down with {held}");
                out.push(Command::Log {
                    level: Level::Warn,
                    text,
                });
            }
        }
        if self.leased != valid {
            self.leased = valid;
            // At once, not with the rest: whatever the event brings, what was held under the old lease is over.
            self.reconcile_groups(now, out);
        }
    }

    fn take(&mut self, now: Now, event: Event, out: &mut Vec<Command>) {
        match event {
            Event::Applied {
                index,
                leader,
                state,
            } => {
                let configured = self.state.config != state.config;
                self.tell_news(&state, out);
                self.state = state;
                if self.applied_under.is_none_or(|(under, _)| under != leader) {
                    self.applied_under = Some((leader, index));
                }
                self.applied = self.applied.max(index);
                self.holder.applied(self.applied);
                self.me.cluster = if self.state.cluster.is_blank() {
                    ClusterId::UNKNOWN
                } else {
                    self.state.cluster
                };
                if configured || self.lacks_a_group() {
                    self.adopt_groups(now, out);
                }
                if let Some(lead) = &mut self.leader {
                    lead.applied(index, leader, &self.state);
                }
                self.groups_must_look = true;
                self.leader_must_look = true;
            }
            Event::Leadership(leadership) => self.led_by(now, leadership, out),
            Event::Proposed { proposal, outcome } => {
                if let Some(leader) = &mut self.leader {
                    leader.proposed(proposal, outcome, now.raw);
                }
            }
            Event::Heard { from, message } => self.heard(now, &from, message, out),
            Event::Asked {
                from,
                ask,
                permit,
                via,
            } => self.asked(now, &from, &ask, permit, via, out),
            Event::Resource {
                group,
                resource,
                status,
            } => {
                self.note_resource(now, &group, &resource, status, out);
            }
            Event::Ready {
                group,
                resource,
                ready,
            } => {
                if let Some(group) = self.groups.get_mut(&group) {
                    group.ready(&resource, ready);
                    self.look_and_report(now);
                }
            }
            Event::ForeignClaim { group, text } => {
                out.push(Command::Log {
                    level: Level::Warn,
                    text: format!("{group}: {text}"),
                });
                if let Some(group) = self.groups.get_mut(&group) {
                    group.claimed(text, now.mono, out);
                    self.look_and_report(now);
                }
            }
            Event::Request { request, id, what } => self.requested(now, request, id, &what, out),
            Event::Stalled { stall, woke } => self.stalled(now, stall, woke, out),
            Event::Guard(stands) => {
                self.guarded = Some(stands);
                self.next_report = now.mono;
            }
            Event::StoreFailed(reason) => self.give_everything_up(now, &reason),
            Event::Shutdown => self.begin_to_leave(now, out),
        }
    }

    /// What a standstill cost was noticed when the node ran again, before anything else.
    fn stalled(&mut self, now: Now, stall: Stall, woke: MonoTime, out: &mut Vec<Command>) {
        if !Stall::matters(stall.lasted, &self.timing) {
            return;
        }
        let lapsed = self.lapsed.is_some_and(|lapsed| lapsed >= woke);
        self.stalls.note(stall, lapsed);
        let text = format!("this daemon was {}", told(stall, lapsed));
        out.push(Command::Log {
            level: Level::Warn,
            text,
        });
        self.look_and_report(now);
    }

    fn note_resource(
        &mut self,
        now: Now,
        group: &GroupName,
        resource: &crate::ids::ResourceName,
        status: ResourceStatus,
        out: &mut Vec<Command>,
    ) {
        let Some(local) = self.groups.get_mut(group) else {
            return;
        };
        if let ResourceStatus::Failed(reason) = &status {
            let text = format!("{group}: {resource} failed: {reason}");
            out.push(Command::Log {
                level: Level::Warn,
                text,
            });
        }
        local.resource(resource, status, now);
        self.look_and_report(now);
    }

    /// Something about this node's groups changed: they look again, and the leader hears of it at once.
    fn look_and_report(&mut self, now: Now) {
        self.groups_must_look = true;
        self.next_report = now.mono;
        self.next_ask = self.next_ask.min(now.mono);
    }

    fn led_by(&mut self, now: Now, leadership: Leadership, out: &mut Vec<Command>) {
        let leads = leadership.leader.filter(|_| leadership.leads);
        if self.leader.as_ref().map(Leader::id) != leads {
            if let Some(former) = self.leader.take() {
                self.last_transfer = former.last_transfer();
                let leader = self.state_name(&leadership);
                for request in former.into_waiting() {
                    let reply = Reply::NotLeader(leader.clone());
                    out.push(Command::Reply { request, reply });
                }
            }
            if let Some(id) = leads {
                // Its own first entry may have been applied before this was told.
                let own_entry = self
                    .applied_under
                    .filter(|(under, _)| *under == id)
                    .map(|(_, index)| index);
                let mut leader = Leader::new(
                    id,
                    self.timing,
                    !self.was_leased,
                    own_entry,
                    self.last_transfer,
                    now,
                );
                for plant in &self.plants {
                    plant.apply(&mut leader);
                }
                if self.plants.contains(&Plant::HoldShortened) {
                    let full = self.timing.grant_max();
                    let waited = full.saturating_sub(self.holder.until().since(now.boot));
                    let lapsed = now.boot.since(self.holder.until());
                    leader.records_mut().shorten_hold(waited + lapsed);
                }
                self.leader = Some(leader);
                let text = format!("this node leads (term {})", id.term);
                out.push(Command::Log {
                    level: Level::Info,
                    text,
                });
            }
        }
        if self.leadership.leader != leadership.leader {
            // Ask the new leader at once, and tell it everything.
            self.holder.asks_another();
            self.next_ask = now.mono;
            self.next_report = now.mono;
        }
        self.leadership = leadership;
        self.leader_must_look = true;
    }

    fn state_name(&self, leadership: &Leadership) -> Option<NodeName> {
        let voter = leadership.leader?.voter;
        self.state
            .name_of(voter)
            .or_else(|| leadership.voters.get(&voter))
            .cloned()
    }

    /// The name of the leader that this node follows.
    #[must_use]
    pub fn leader_name(&self) -> Option<NodeName> {
        self.state_name(&self.leadership)
    }

    fn seen(&self, now: Now) -> Seen<'_> {
        Seen {
            me: &self.me,
            state: &self.state,
            applied: self.applied,
            peers: &self.peers,
            own: &self.own,
            now,
            awake_since: self.awake_since,
        }
    }

    /// Everything that follows.
    fn settle(&mut self, now: Now, out: &mut Vec<Command>) {
        self.check_lease(now, out);
        if std::mem::take(&mut self.groups_must_look) {
            self.reconcile_groups(now, out);
        }
        self.lead(now, out);
        self.form(now, out);
        self.answer_forming(now, out);
        self.speak(now, out);
        self.leave_when_done(now, out);
    }

    fn lead(&mut self, now: Now, out: &mut Vec<Command>) {
        let Some(mut leader) = self.leader.take() else {
            return;
        };
        let due = leader.is_due(now.raw);
        if std::mem::take(&mut self.leader_must_look) || due {
            let mut counter = std::mem::take(&mut self.counter);
            leader.lead(self.seen(now), &mut counter, out);
            if self.leaving.is_some() {
                leader.leave(self.seen(now), out);
            }
            self.counter = counter;
        }
        self.leader = Some(leader);
    }
}
