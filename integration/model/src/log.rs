//! The replicated log, and the group's state that follows from it.

use crate::state::{Id, MEMBERS};

/// As many entries as the scopes' bounds on leaderships and moves can give.
const LONGEST: usize = 8;

/// A decision.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Entry {
    /// A leader's first.
    Begin,
    /// The group goes to the other member, if this one still owns it under this epoch.
    Move {
        /// From whom.
        from: u8,
        /// The epoch under which it owns the group.
        epoch: u8,
        /// Whether it is known to have shut, or its lease to have ended: nobody waits for it then.
        released: bool,
    },
    /// A former owner is known to be out of the way.
    Confirm {
        /// Who.
        member: u8,
        /// Under which epoch it owned the group.
        epoch: u8,
    },
}

impl Entry {
    /// The group leaves a member that owns it under this epoch.
    #[must_use]
    pub fn moves(from: Id, epoch: u8, released: bool) -> Self {
        Self::Move {
            from: small(from),
            epoch,
            released,
        }
    }

    /// Nobody waits any more for a member that owned the group under this epoch.
    #[must_use]
    pub fn confirms(member: Id, epoch: u8) -> Self {
        Self::Confirm {
            member: small(member),
            epoch,
        }
    }

    /// Whether a member's lease must not go on without it.
    #[must_use]
    pub fn concerns(self, member: Id) -> bool {
        match self {
            Self::Begin => false,
            Self::Move { .. } => true,
            Self::Confirm { member: of, .. } => usize::from(of) == member,
        }
    }
}

/// Members are two.
fn small(member: Id) -> u8 {
    u8::from(member > 0)
}

/// The committed entries, in their order.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Log {
    entries: [Option<Entry>; LONGEST],
}

impl Log {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> u8 {
        self.iter().fold(0, |count, _| count + 1)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries[0].is_none()
    }

    /// Appends.
    ///
    /// # Panics
    /// Where a scope's bounds allow more entries than there is room for.
    pub fn push(&mut self, entry: Entry) {
        let at = usize::from(self.len());
        self.entries[at] = Some(entry);
    }

    /// An entry by its place.
    #[must_use]
    pub fn get(&self, at: u8) -> Option<Entry> {
        self.entries.get(usize::from(at)).copied().flatten()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = Entry> + '_ {
        self.entries.iter().copied().flatten()
    }

    /// The group after the first `applied` entries.
    #[must_use]
    pub fn group(&self, applied: u8) -> Group {
        let mut group = Group::default();
        for entry in self.iter().take(usize::from(applied)) {
            group.apply(entry);
        }
        group
    }
}

/// What is decided about the group.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Group {
    /// Who owns it.
    pub owner: Id,
    /// Grows with every move.
    pub epoch: u8,
    /// Former owners that may still pass packets, and the epoch under which they owned the group.
    pub unreleased: [Option<u8>; MEMBERS],
}

impl Default for Group {
    fn default() -> Self {
        Self {
            owner: 0,
            epoch: 1,
            unreleased: [None; MEMBERS],
        }
    }
}

impl Group {
    /// Who is waited for, and under which epoch it owned the group.
    pub fn waits_for(&self) -> impl Iterator<Item = (Id, u8)> {
        let all = self.unreleased.into_iter().enumerate();
        all.filter_map(|(member, epoch)| Some((member, epoch?)))
    }

    fn apply(&mut self, entry: Entry) {
        match entry {
            Entry::Begin => {}
            Entry::Move {
                from,
                epoch,
                released,
            } => {
                let former = usize::from(from);
                if (self.owner, self.epoch) != (former, epoch) {
                    return;
                }
                self.unreleased[former] = (!released).then_some(epoch);
                self.owner = 1 - former;
                self.unreleased[self.owner] = None;
                self.epoch += 1;
            }
            Entry::Confirm { member, epoch } => {
                let waited = &mut self.unreleased[usize::from(member)];
                if *waited == Some(epoch) {
                    *waited = None;
                }
            }
        }
    }
}
