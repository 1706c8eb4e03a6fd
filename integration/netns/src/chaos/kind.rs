//! The kinds of faults.

use std::fmt;

/// What may happen.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, clap::ValueEnum)]
pub enum Kind {
    /// The daemon is killed, and started again after a while, also within its lease.
    Kill,
    /// The daemon is stopped (SIGSTOP) and goes on later.
    Freeze,
    /// Not a frame passes, while the carrier stays.
    Cut,
    /// The host is not heard.
    Mute,
    /// The host hears nothing.
    Deafen,
    /// Frames are lost on cables, either way.
    Loss,
    /// Two hosts do not hear each other; everybody else hears both.
    Bridge,
    /// The hosts fall into two parts; a client hears both.
    Split,
    /// A cable is cut and mended again and again.
    Flap,
    /// The host loses power, and gets it back.
    PowerOff,
    /// The same, and its disk is empty afterwards.
    Wiped,
    /// Processes that want to run all the time.
    Hogs,
    /// `hactl failover`.
    Failover,
    /// `hactl failback`.
    Failback,
    /// `hactl node drain`, later `resume`.
    Drain,
    /// `hactl group stop`, later `start`.
    Stop,
    /// `hactl maintenance on` for a group or all, later `off`.
    Maintenance,
    /// `nft flush ruleset`.
    FlushRules,
    /// What judges packets is detached from the interfaces.
    DetachGate,
    /// An interface is set down, and up again.
    LinkDown,
    /// An interface gets another name, and its own again.
    Rename,
    /// A virtual address is deleted from the interface that has it.
    DeleteAddress,
    /// The clock of all hosts runs faster or slower.
    Slew,
    /// The guard beside a daemon is killed.
    GuardKill,
    /// The guard is stopped, and goes on later.
    GuardFreeze,
}

/// What a fault needs for itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// The daemon's process.
    Daemon,
    /// The guard's process.
    Guard,
    /// The cable and the interface at its end.
    Cable,
    /// What stands in the kernel.
    Gate,
}

impl Kind {
    /// All of them, and how often each comes beside the others.
    pub const ALL: [(Self, u64); 25] = [
        (Self::Kill, 12),
        (Self::Freeze, 12),
        (Self::Cut, 8),
        (Self::Mute, 5),
        (Self::Deafen, 5),
        (Self::Loss, 8),
        (Self::Bridge, 6),
        (Self::Split, 5),
        (Self::Flap, 4),
        (Self::PowerOff, 6),
        (Self::Wiped, 2),
        (Self::Hogs, 4),
        (Self::Failover, 5),
        (Self::Failback, 2),
        (Self::Drain, 4),
        (Self::Stop, 3),
        (Self::Maintenance, 2),
        (Self::FlushRules, 3),
        (Self::DetachGate, 3),
        (Self::LinkDown, 4),
        (Self::Rename, 3),
        (Self::DeleteAddress, 4),
        (Self::Slew, 4),
        (Self::GuardKill, 3),
        (Self::GuardFreeze, 3),
    ];

    /// Whether only root outside of any user namespace can do it: the clock is the machine's, and BPF is not for everybody.
    #[must_use]
    pub fn needs_root(self) -> bool {
        matches!(self, Self::DetachGate | Self::Slew)
    }

    /// Whether it strikes hosts of its own; else it is about the whole cluster, a group, or a pair.
    #[must_use]
    pub fn parts(self) -> &'static [Part] {
        match self {
            // A gate that is taken away from under a daemon is mended by the daemon, within seconds; one that cannot do so, or that
            // needs the gate just then because its lease ends, is not promised anything.
            Self::DetachGate => &[Part::Daemon, Part::Cable, Part::Gate],
            Self::Kill | Self::Freeze => &[Part::Daemon],
            Self::GuardKill | Self::GuardFreeze => &[Part::Guard],
            Self::Cut | Self::Mute | Self::Deafen | Self::Flap | Self::LinkDown | Self::Rename => {
                &[Part::Cable]
            }
            Self::PowerOff | Self::Wiped => &[Part::Daemon, Part::Guard, Part::Cable, Part::Gate],
            Self::FlushRules => &[Part::Gate],
            Self::Loss
            | Self::Bridge
            | Self::Split
            | Self::Hogs
            | Self::Failover
            | Self::Failback
            | Self::Drain
            | Self::Stop
            | Self::Maintenance
            | Self::DeleteAddress
            | Self::Slew => &[],
        }
    }

    /// Within which time, milliseconds, another node serves in the place of one that it strikes alone, at a lease of 300 ms and
    /// while it lasts; where that is promised. Twice what it takes where the owner leads too.
    #[must_use]
    pub fn taken_over_within_ms(self) -> Option<u64> {
        match self {
            Self::Kill | Self::Freeze | Self::Cut | Self::PowerOff | Self::Wiped => Some(1_000),
            _ => None,
        }
    }

    /// Whether the daemon's life ends with it.
    #[must_use]
    pub fn ends_a_life(self) -> bool {
        matches!(self, Self::Kill | Self::PowerOff | Self::Wiped)
    }

    /// Whether two of it at a time would be one.
    #[must_use]
    pub fn is_alone(self) -> bool {
        matches!(self, Self::Hogs | Self::Slew | Self::Split | Self::Wiped)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Kill => "kill",
            Self::Freeze => "freeze",
            Self::Cut => "cut",
            Self::Mute => "mute",
            Self::Deafen => "deafen",
            Self::Loss => "loss",
            Self::Bridge => "bridge",
            Self::Split => "split",
            Self::Flap => "flap",
            Self::PowerOff => "power-off",
            Self::Wiped => "wiped",
            Self::Hogs => "hogs",
            Self::Failover => "failover",
            Self::Failback => "failback",
            Self::Drain => "drain",
            Self::Stop => "stop",
            Self::Maintenance => "maintenance",
            Self::FlushRules => "flush-rules",
            Self::DetachGate => "detach-gate",
            Self::LinkDown => "link-down",
            Self::Rename => "rename",
            Self::DeleteAddress => "delete-address",
            Self::Slew => "slew",
            Self::GuardKill => "guard-kill",
            Self::GuardFreeze => "guard-freeze",
        })
    }
}
