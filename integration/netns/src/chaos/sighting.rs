//! What was seen of an address, and whether it proves two owners.
//!
//! A sighting says that a host acted as the owner of an address at some moment of `from..=to`: for a client's answer between the
//! sending of the ask and the receipt of the answer, for a frame at the kernel's stamp of its sending.
//!
//! The committed history says which host owned the group under which epoch, and when the leader proposed that. A sighting needs an
//! epoch: one that its host owned, proposed before the sighting ended, and not older than the epoch of any sighting *that had ended
//! before this one began*. The oldest that fits is taken, which leaves most room to what follows. Where none fits, a former owner
//! acted after a newer one: an **overlap**.
//!
//! Noise raises none: a sighting that is late, or whose order to another cannot be told, is only longer, and forbids less. Noise hides none
//! that a frame shows: its stamp is taken in the sender's own context. Two moves that lead away and back are none, since the
//! history has both. What the rule does not see: an overlap at which only one of the two was seen at all.

use std::collections::BTreeMap;
use std::fmt;

use had_rig::wall::WallNs;

/// How a host acted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum How {
    /// It answered a client.
    Answer,
    /// It claimed the address: ARP, or a neighbour advertisement.
    Claim,
    /// It sent a packet from it.
    Packet,
}

/// One act of a host in an address's name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sighting {
    /// It was not before.
    pub from: WallNs,
    /// It was not after.
    pub to: WallNs,
    /// The host's number: 3 for h3.
    pub host: u8,
    /// What it did.
    pub how: How,
}

/// Who owned a group under an epoch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Owner {
    /// The host's number.
    pub host: u8,
    /// When the leader proposed it, rounded down to a millisecond.
    pub at: WallNs,
}

/// The owners of one group by epoch.
pub type Owners = BTreeMap<u64, Owner>;

/// A former owner acted after a newer one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Overlap {
    /// What it did.
    pub old: Sighting,
    /// The newest epoch that somebody had acted under before.
    pub newer: u64,
    /// Who owned that.
    pub owner: Option<u8>,
}

impl fmt::Display for Overlap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.old.how {
            How::Answer => "answered",
            How::Claim => "claimed it",
            How::Packet => "sent a packet from it",
        };
        let owner = self
            .owner
            .map_or_else(|| "nobody".to_owned(), |host| format!("h{host}"));
        write!(
            f,
            "h{} {what} after {owner} had acted under epoch {}",
            self.old.host, self.newer
        )
    }
}

/// How many steps are remembered: far more than moves within the time that an answer may take.
const STEPS: usize = 256;

/// Judges one address.
#[derive(Clone, Debug, Default)]
pub struct Judge {
    /// From this moment on it was proven that this epoch had begun; both grow.
    steps: Vec<(WallNs, u64)>,
}

impl Judge {
    /// Judges what was seen since the last time; sorts it by its end.
    pub fn judge(&mut self, seen: &mut [Sighting], owners: &Owners) -> Vec<Overlap> {
        seen.sort_by_key(|sighting| sighting.to);
        let mut overlaps = Vec::new();
        for sighting in seen.iter() {
            let before = self.steps.partition_point(|(end, _)| *end < sighting.from);
            let bound = before.checked_sub(1).map_or(0, |place| self.steps[place].1);
            let fits = |owner: &Owner| owner.host == sighting.host && owner.at <= sighting.to;
            match owners.range(bound..).find(|(_, owner)| fits(owner)) {
                Some((epoch, _)) => self.proves(sighting.to, *epoch),
                None => overlaps.push(Overlap {
                    old: *sighting,
                    newer: bound,
                    owner: owners.get(&bound).map(|owner| owner.host),
                }),
            }
        }
        let excess = self.steps.len().saturating_sub(STEPS);
        self.steps.drain(..excess);
        overlaps
    }

    /// Somebody acted under an epoch, at this moment or before.
    fn proves(&mut self, at: WallNs, epoch: u64) {
        let place = self.steps.partition_point(|(end, _)| *end <= at);
        if place > 0 && self.steps[place - 1].1 >= epoch {
            return;
        }
        // What came later in time proves something only where it is newer.
        let rest = self.steps[place..].iter();
        let older = rest.take_while(|(_, later)| *later <= epoch).count();
        self.steps.splice(place..place + older, [(at, epoch)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: WallNs = 1_000_000;

    /// The owners of epochs 1, 2, … and when each was proposed, milliseconds.
    fn owners(list: &[(u8, u64)]) -> Owners {
        let owner = |(host, at): &(u8, u64)| Owner {
            host: *host,
            at: at * MS,
        };
        (1..).zip(list.iter().map(owner)).collect()
    }

    /// Answers: asked and received (milliseconds), by whom.
    fn answers(list: &[(u64, u64, u8)]) -> Vec<Sighting> {
        let answer = |(from, to, host): &(u64, u64, u8)| Sighting {
            from: from * MS,
            to: to * MS,
            host: *host,
            how: How::Answer,
        };
        list.iter().map(answer).collect()
    }

    fn overlaps(list: &[(u64, u64, u8)], epochs: &[(u8, u64)]) -> usize {
        Judge::default()
            .judge(&mut answers(list), &owners(epochs))
            .len()
    }

    #[test]
    fn the_old_owner_after_the_new_one_is_an_overlap() {
        let epochs = [(1, 0), (2, 300)];
        assert_eq!(
            overlaps(&[(100, 101, 1), (310, 311, 2), (312, 313, 2)], &epochs),
            0
        );
        assert_eq!(
            overlaps(&[(100, 101, 1), (310, 311, 2), (312, 313, 1)], &epochs),
            1
        );
        assert_eq!(
            overlaps(
                &[(310, 311, 2), (312, 313, 1), (314, 315, 2), (316, 317, 1)],
                &epochs
            ),
            2
        );
    }

    #[test]
    fn an_old_answer_that_is_merely_received_late_is_none() {
        let epochs = [(1, 0), (2, 300)];
        assert_eq!(overlaps(&[(290, 320, 1), (310, 311, 2)], &epochs), 0);
        assert_eq!(
            overlaps(&[(311, 330, 1), (310, 311, 2)], &epochs),
            0,
            "their order cannot be told"
        );
    }

    #[test]
    fn a_move_there_and_back_is_none() {
        let epochs = [(1, 0), (2, 300), (1, 600)];
        assert_eq!(
            overlaps(&[(100, 101, 1), (310, 311, 2), (610, 611, 1)], &epochs),
            0
        );
    }

    #[test]
    fn who_answers_before_it_was_decided_overlaps() {
        let epochs = [(1, 0), (2, 300), (1, 600)];
        assert_eq!(
            overlaps(&[(100, 101, 1), (310, 311, 2), (400, 401, 1)], &epochs),
            1
        );
    }

    #[test]
    fn an_owner_that_was_never_seen_between_is_no_matter() {
        let epochs = [(1, 0), (2, 300), (3, 320)];
        assert_eq!(overlaps(&[(100, 101, 1), (400, 401, 3)], &epochs), 0);
        assert_eq!(
            overlaps(&[(100, 101, 1), (400, 401, 3), (402, 403, 2)], &epochs),
            1
        );
    }

    #[test]
    fn who_never_owned_is_an_overlap() {
        assert_eq!(overlaps(&[(100, 101, 4)], &[(1, 0)]), 1);
    }

    #[test]
    fn it_is_remembered_from_one_time_to_the_next() {
        let mut judge = Judge::default();
        let epochs = owners(&[(1, 0), (2, 300)]);
        assert!(
            judge
                .judge(&mut answers(&[(100, 101, 1), (310, 311, 2)]), &epochs)
                .is_empty()
        );
        let late = judge.judge(&mut answers(&[(305, 309, 1), (320, 321, 1)]), &epochs);
        assert_eq!(
            late.len(),
            1,
            "the first of them began before the newer was proven"
        );
        assert_eq!(
            (late[0].old.from, late[0].newer, late[0].owner),
            (320 * MS, 2, Some(2))
        );
    }
}
