//! Everything that a moment of the cluster consists of.
//!
//! Times are never absolute. What ends is kept as the ticks that are left, what is past as the ticks since, neither further
//! than it can matter. So the states are finitely many without a bound on time.

use crate::log::{Entry, Log};

/// Voters: where leaders run, with their votes on disk.
pub const VOTERS: usize = 3;
/// Members: who may own the group.
pub const MEMBERS: usize = 2;
/// More leaderships than any scope allows.
pub const TERMS: usize = 3;
/// More lives of a daemon than any scope allows.
pub const LIVES: usize = 2;

/// Number of ticks.
pub type Ticks = u8;
/// The number of a voter or of a member.
pub type Id = usize;

/// A moment of the cluster.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct State {
    /// The engines of all hosts, with the leaders that run beside them.
    pub voters: [Voter; VOTERS],
    /// The hosts that may own the group, but for their engines.
    pub members: [Member; MEMBERS],
    /// What a majority has stored.
    pub log: Log,
    /// What the leader of each term has proposed, and no majority has stored yet.
    pub proposed: [Option<Entry>; TERMS + 1],
    /// What members have said and anybody may hear, once, often, late or never.
    pub said: [Said; MEMBERS],
    /// Faults that the scope still allows.
    pub left: Left,
}

/// Faults that may still happen.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Left {
    /// Crashes of a member's daemon.
    pub member_crashes: u8,
    /// Crashes of a voter, and of the leader on it.
    pub voter_crashes: u8,
    /// Ticks that a clock misses, or counts twice.
    pub drifts: u8,
}

/// What one member has said so far. A later word contains the earlier one, so the highest epochs are enough.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Said {
    /// To the former owner: everything is in place here, under this epoch.
    pub prepared: u8,
    /// To the new owner: shut for good up to this epoch.
    pub released: u8,
    /// The same to the leader with every renewal, for each life of the daemon.
    pub report: [u8; LIVES],
}

/// A voter.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Voter {
    /// The highest term that it has voted in or taken entries from.
    pub term: u8,
    /// What its disk says of that.
    pub disk_term: u8,
    /// Where it leads.
    pub leader: Option<Leader>,
    /// Since it last took something from a leader. Only the mistake that reads it keeps it.
    pub unheard: Ticks,
}

/// What a member holds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Member {
    /// Which life of the daemon.
    pub life: u8,
    /// How many entries it has applied.
    pub applied: u8,
    /// A grant on its way.
    pub grant: Option<Grant>,
    /// How long its lease runs, by its own clock.
    pub lease: Ticks,
    /// How long the kernel's gate stays open, by the same clock.
    pub gate: Ticks,
    /// A deadline that is decided on and not written yet: the daemon does nothing else before.
    pub writing: Option<Ticks>,
    /// Whether this life opened the gate and goes on behind it.
    pub held: bool,
    /// Whether the daemon knows of a deadline in the kernel that it has not taken back.
    pub touched: bool,
    /// Never opens again up to this epoch.
    pub sealed: u8,
    /// The epoch under which the new owner said that it is prepared.
    pub heard_prepared: u8,
    /// Up to which epoch the other member said that it shut.
    pub heard_released: u8,
}

/// A grant on its way, to the life that asked for it. A later one takes its place: the earlier is lost then.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Grant {
    /// Ticks that are left of the lease: send time of the ask + duration, seen from now.
    pub left: Ticks,
    /// Counts once so many entries are applied.
    pub index: u8,
}

/// What a leader knows, in memory alone.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Leader {
    /// Its term.
    pub term: u8,
    /// Ticks since the request was sent that a majority has acknowledged last. As many as a grant has, or more: no quorum.
    pub acked: Ticks,
    /// An acknowledgement on its way: ticks since its request was sent.
    pub ack: Option<Ticks>,
    /// How long it takes nothing away yet.
    pub hold: Ticks,
    /// How long each member may hold a lease.
    pub records: [Ticks; MEMBERS],
    /// The life that was granted last.
    pub granted: [u8; MEMBERS],
    /// How many entries there were with its own first one, once that is stored.
    pub own_entry: Option<u8>,
    /// The decision on its way: nothing is granted to whom it concerns.
    pub deciding: Option<Entry>,
    /// The last of its decisions that concerns each member.
    pub concerned: [u8; MEMBERS],
    /// A record was seen to have ended. Only the mistake of deciding later uses it.
    pub checked: bool,
}

impl Leader {
    /// A leadership that begins now.
    #[must_use]
    pub fn new(term: u8, no_quorum: Ticks, hold: Ticks) -> Self {
        Self {
            term,
            acked: no_quorum,
            ack: None,
            hold,
            records: [0; MEMBERS],
            granted: [0; MEMBERS],
            own_entry: None,
            deciding: None,
            concerned: [0; MEMBERS],
            checked: false,
        }
    }

    /// Whether nothing that a member was granted can run any more.
    #[must_use]
    pub fn has_ended(&self, member: Id) -> bool {
        self.hold == 0 && self.records[member] == 0
    }

    /// Whether a member has said, in the life that was granted last, that it never opens again up to `epoch`. A leader may have
    /// heard whatever was said.
    #[must_use]
    pub fn has_released(&self, said: &[Said; MEMBERS], member: Id, epoch: u8) -> bool {
        let life = usize::from(self.granted[member]);
        self.hold == 0 && said[member].report[life] >= epoch
    }

    /// Whether nothing is granted to a member, because something is being decided about it.
    #[must_use]
    pub fn is_deciding_about(&self, member: Id) -> bool {
        self.deciding.is_some_and(|entry| entry.concerns(member))
    }
}

impl Member {
    /// Whether nothing passes here as far as the daemon knows.
    #[must_use]
    pub fn is_shut(&self) -> bool {
        !self.held && !self.touched
    }
}
