//! What can happen next, and how it is told.

use std::fmt;

use crate::log::Entry;
use crate::state::{Id, MEMBERS, Ticks};

/// One step of a history.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// A tick passes.
    Tick(Erring),
    /// A voter takes a leader's heartbeat; its acknowledgement is on its way.
    Acknowledge {
        /// The leader.
        leader: Id,
        /// The other voter.
        by: Id,
    },
    /// The acknowledgement arrives.
    Acknowledged {
        /// The leader.
        leader: Id,
    },
    /// A voter wins an election with another's vote.
    Elect {
        /// The new leader.
        leader: Id,
        /// Who votes for it.
        vote: Id,
    },
    /// A new leader's first entry is stored by a majority, behind what it has of former leaders' entries.
    Begin {
        /// The leader.
        leader: Id,
        /// The other voter that stores it.
        with: Id,
        /// Bits of the terms whose last proposal it has.
        inherits: u8,
    },
    /// A leader sees that a record has ended, and decides later. Only the planted mistake does.
    Check {
        /// The leader.
        leader: Id,
    },
    /// A leader decides: the mark is set, the entry proposed.
    Decide {
        /// The leader.
        leader: Id,
        /// The decision.
        entry: Entry,
    },
    /// A majority has stored a leader's decision.
    Commit {
        /// The leader.
        leader: Id,
        /// The other voter that stores it.
        with: Id,
    },
    /// A leader answers an ask.
    Answer {
        /// The leader.
        leader: Id,
        /// Who asked.
        member: Id,
        /// How long ago.
        age: Ticks,
        /// In which life of its daemon.
        life: u8,
    },
    /// A member gets a grant.
    Receive {
        /// The member.
        member: Id,
    },
    /// A member applies its next entry.
    Apply {
        /// The member.
        member: Id,
    },
    /// A member writes the deadline that it decided on.
    Write {
        /// The member.
        member: Id,
    },
    /// A member compares what it does with what it may do.
    Look {
        /// The member.
        member: Id,
    },
    /// A former owner hears that the new one is prepared.
    HearPrepared {
        /// The former owner.
        member: Id,
    },
    /// A new owner hears that the former one has shut.
    HearReleased {
        /// The new owner.
        member: Id,
    },
    /// A member's daemon is killed and starts again.
    CrashMember {
        /// Whose.
        member: Id,
    },
    /// A voter is killed and starts again.
    CrashVoter {
        /// Which.
        voter: Id,
    },
}

/// Whose clocks err in one tick, as bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Erring {
    /// Members whose clock misses it.
    pub slow_members: u8,
    /// Leaders whose slewed clock misses it.
    pub slow_leaders: u8,
    /// Leaders whose raw clock counts it twice.
    pub fast_leaders: u8,
}

impl Erring {
    /// How many clocks.
    #[must_use]
    pub fn count(self) -> u32 {
        let bits = [self.slow_members, self.slow_leaders, self.fast_leaders];
        bits.into_iter().map(u8::count_ones).sum()
    }
}

/// What a member is called.
#[must_use]
pub fn host(member: Id) -> &'static str {
    ["h1", "h2"][member]
}

/// What a voter is called.
#[must_use]
pub fn voter(voter: Id) -> &'static str {
    ["voter A", "voter B", "voter C"][voter]
}

/// The other member.
#[must_use]
pub fn other(member: Id) -> Id {
    MEMBERS - 1 - member
}

fn names(bits: u8, name: fn(Id) -> &'static str) -> String {
    let set = (0..8).filter(|at| bits & (1 << at) != 0);
    set.map(name).collect::<Vec<_>>().join(" and ")
}

impl fmt::Display for Erring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told = Vec::new();
        for (bits, name, what) in [
            (self.slow_members, host as fn(Id) -> _, "misses it"),
            (self.slow_leaders, voter, "misses it"),
            (self.fast_leaders, voter, "counts it twice"),
        ] {
            if bits != 0 {
                told.push(format!("the clock of {} {what}", names(bits, name)));
            }
        }
        f.write_str(&told.join("; "))
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Tick(erring) if erring.count() == 0 => write!(f, "a tick passes"),
            Self::Tick(erring) => write!(f, "a tick passes: {erring}"),
            Self::Acknowledge { leader, by } => {
                write!(
                    f,
                    "{} acknowledges a heartbeat of {}",
                    voter(by),
                    voter(leader)
                )
            }
            Self::Acknowledged { leader } => {
                write!(f, "{} gets the acknowledgement", voter(leader))
            }
            Self::Elect { leader, vote } => {
                write!(
                    f,
                    "{} is elected with the vote of {}",
                    voter(leader),
                    voter(vote)
                )
            }
            Self::Begin {
                leader,
                with,
                inherits,
            } => {
                write!(
                    f,
                    "the first entry of {} is stored by {} too",
                    voter(leader),
                    voter(with)
                )?;
                if inherits != 0 {
                    write!(f, ", behind what a former leader had proposed")?;
                }
                Ok(())
            }
            Self::Check { leader } => write!(
                f,
                "{} sees that the owner's record has ended",
                voter(leader)
            ),
            Self::Decide { leader, entry } => write!(f, "{} proposes: {entry}", voter(leader)),
            Self::Commit { leader, with } => {
                write!(
                    f,
                    "the decision of {} is stored by {} too: it is committed",
                    voter(leader),
                    voter(with)
                )
            }
            Self::Answer {
                leader,
                member,
                age,
                life,
            } => {
                let ago = if age == 0 {
                    String::new()
                } else {
                    format!(" sent {age} ticks ago")
                };
                let former = if life == 0 { "" } else { " of its second life" };
                write!(
                    f,
                    "{} answers an ask of {}{former}{ago}",
                    voter(leader),
                    host(member)
                )
            }
            Self::Receive { member } => write!(f, "{} gets its grant", host(member)),
            Self::Apply { member } => write!(f, "{} applies its next entry", host(member)),
            Self::Write { member } => write!(f, "{} writes its deadline", host(member)),
            Self::Look { member } => write!(f, "{} looks at its lease", host(member)),
            Self::HearPrepared { member } => write!(
                f,
                "{} hears that {} is prepared",
                host(member),
                host(other(member))
            ),
            Self::HearReleased { member } => write!(
                f,
                "{} hears that {} has shut",
                host(member),
                host(other(member))
            ),
            Self::CrashMember { member } => write!(
                f,
                "the daemon of {} is killed and starts again",
                host(member)
            ),
            Self::CrashVoter { voter: which } => {
                write!(f, "{} is killed and starts again", voter(which))
            }
        }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Begin => write!(f, "a first entry"),
            Self::Move {
                from,
                epoch,
                released,
            } => {
                let from = usize::from(from);
                let how = if released {
                    "which is known to be silent"
                } else {
                    "which is to release it"
                };
                let (to, next) = (host(other(from)), epoch + 1);
                write!(
                    f,
                    "the group goes to {to} (epoch {next}) from {}, {how}",
                    host(from)
                )
            }
            Self::Confirm { member, epoch } => {
                write!(
                    f,
                    "{} is out of the way up to epoch {epoch}",
                    host(usize::from(member))
                )
            }
        }
    }
}
