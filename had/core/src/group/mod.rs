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
//!
//! | module | subject |
//! | --- | --- |
//! | this one | what is known: of its resources, of others, of what failed |
//! | `acting` | what is done about it |
//! | `saying` | what others hear |

mod acting;
mod saying;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::ids::{Epoch, GroupName, NodeName, ResourceName};
use crate::message::{Message, Phase};
use crate::ports::ResourceStatus;
use crate::spec::{GroupSpec, ResourceSpec};
use crate::state::GroupState;
use crate::time::{BootTime, MonoTime, Now, WallTime};
use crate::timing::Timing;

/// How long a node counts as unfit for a group that failed to start there: long enough that the group does not bounce
/// between two nodes that both fail, short enough that a repaired node is a standby again within a minute.
const UNFIT_AFTER_FAILURE: Duration = Duration::from_secs(30);

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
    /// Whether who mends its resources was told so; `None` where it may have forgotten.
    told: Option<bool>,
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
    /// Whether everything is taken down here, because the daemon ends.
    pub ends: bool,
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
            told: Some(false),
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
        // Its adapter leaves it alone; the guard beside this process watches it, and must hear what becomes of it.
        self.told = None;
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
        self.told = None;
        for resource in former.resources {
            if let Some(ready) = resource.ready {
                self.ready(&resource.spec.name, ready);
            }
        }
    }

    /// Another configuration says other things of it, and the same of its resources. Who mends them is told anew whether to
    /// leave them alone: it may have forgotten it with a former configuration.
    pub fn respecify(&mut self, spec: GroupSpec) {
        self.spec = spec;
        self.told = None;
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
        // Nothing was started yet that could have failed.
        let inherited = self.is_inherited();
        if let Some(resource) = self.find(name) {
            if let (true, true, ResourceStatus::Failed(reason)) =
                (starting && !inherited, resource.wanted, &status)
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

    /// What this node does with the group.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }
}
