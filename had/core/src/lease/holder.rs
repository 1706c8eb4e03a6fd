//! The holder's side: what this node was granted, on its own `CLOCK_BOOTTIME`.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::ids::Sequence;
use crate::time::BootTime;

/// Asks whose answers are still awaited. At one ask a renewal (a twentieth of a lease) 64 reach back three leases: an
/// older answer could grant nothing any more.
const OUTSTANDING: usize = 64;

/// The lease of this node, as it may believe in it.
#[derive(Debug, Default)]
pub struct Holder {
    next: u64,
    /// When each outstanding ask was sent.
    asked: BTreeMap<Sequence, BootTime>,
    /// Granted, but counting only once this index is applied.
    waiting: BTreeMap<u64, BootTime>,
    /// The end of the lease that counts.
    until: BootTime,
    applied: u64,
    /// Asks since the leader was last heard to answer.
    unanswered: u32,
    /// Planted: grants count before their index is applied.
    index_ignored: bool,
}

impl Holder {
    /// Plants the mistake of ignoring the index of a grant, for the simulator's checkers.
    pub fn ignore_index(&mut self) {
        self.index_ignored = true;
    }

    /// Plants the mistake of counting a lease from the receipt of its grant.
    pub fn stamp_again(&mut self, sequence: Sequence, now: BootTime) {
        if let Some(asked) = self.asked.get_mut(&sequence) {
            *asked = now;
        }
    }

    /// A fresh ask, stamped before it leaves. A retry is another ask.
    pub fn ask(&mut self, now: BootTime) -> Sequence {
        self.next += 1;
        let sequence = Sequence(self.next);
        self.asked.insert(sequence, now);
        if self.asked.len() > OUTSTANDING {
            self.asked.pop_first();
        }
        self.unanswered = self.unanswered.saturating_add(1);
        sequence
    }

    /// Asks before the last one that went unanswered, since an answer was heard or another leader was asked first.
    #[must_use]
    pub fn unanswered(&self) -> u32 {
        self.unanswered.saturating_sub(1)
    }

    /// From now on another leader is asked, which has left nothing unanswered.
    pub fn asks_another(&mut self) {
        self.unanswered = 0;
    }

    /// A grant: the lease runs until the ask's send time + `duration`, once `index` is applied. Answers that come twice, or
    /// to asks of an earlier life, are no grants.
    pub fn granted(&mut self, sequence: Sequence, duration: Duration, index: u64) {
        let Some(sent) = self.asked.remove(&sequence) else {
            return;
        };
        self.unanswered = 0;
        let until = sent + duration;
        if index <= self.applied || self.index_ignored {
            self.until = self.until.max(until);
        } else {
            let waiting = self.waiting.entry(index).or_default();
            *waiting = (*waiting).max(until);
        }
    }

    /// A refused ask is over.
    pub fn refused(&mut self, sequence: Sequence) {
        if self.asked.remove(&sequence).is_some() {
            self.unanswered = 0;
        }
    }

    /// Everything up to `index` is applied: grants that waited for it count now.
    pub fn applied(&mut self, index: u64) {
        self.applied = self.applied.max(index);
        while let Some(entry) = self.waiting.first_entry() {
            if *entry.key() > self.applied {
                break;
            }
            self.until = self.until.max(entry.remove());
        }
    }

    /// The end of the lease; in the past where there is none.
    #[must_use]
    pub fn until(&self) -> BootTime {
        self.until
    }

    /// Whether this node may act now.
    #[must_use]
    pub fn is_valid(&self, now: BootTime) -> bool {
        now < self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRANT: Duration = Duration::from_nanos(100);

    #[test]
    fn the_lease_counts_from_the_moment_of_asking() {
        let mut holder = Holder::default();
        let ask = holder.ask(BootTime(1_000));
        holder.granted(ask, GRANT, 0);
        assert_eq!(holder.until(), BootTime(1_100));
        assert!(holder.is_valid(BootTime(1_099)));
        assert!(!holder.is_valid(BootTime(1_100)));
    }

    #[test]
    fn a_grant_counts_only_once_its_index_is_applied() {
        let mut holder = Holder::default();
        let ask = holder.ask(BootTime(1_000));
        holder.granted(ask, GRANT, 7);
        assert!(!holder.is_valid(BootTime(1_001)));
        holder.applied(6);
        assert!(!holder.is_valid(BootTime(1_001)));
        holder.applied(7);
        assert!(holder.is_valid(BootTime(1_001)));
    }

    #[test]
    fn an_answer_that_comes_twice_grants_once_and_never_shortens() {
        let mut holder = Holder::default();
        let (first, second) = (holder.ask(BootTime(1_000)), holder.ask(BootTime(1_050)));
        holder.granted(second, GRANT, 0);
        holder.granted(first, GRANT, 0);
        assert_eq!(holder.until(), BootTime(1_150));
        holder.granted(second, Duration::from_secs(9), 0);
        assert_eq!(holder.until(), BootTime(1_150));
    }

    #[test]
    fn asks_are_counted_until_an_answer_is_heard() {
        let mut holder = Holder::default();
        let first = holder.ask(BootTime(1_000));
        assert_eq!(holder.unanswered(), 0, "the first one is just on its way");
        holder.ask(BootTime(1_010));
        let third = holder.ask(BootTime(1_020));
        assert_eq!(holder.unanswered(), 2);
        holder.granted(first, GRANT, 0);
        holder.ask(BootTime(1_030));
        assert_eq!(holder.unanswered(), 0);
        holder.ask(BootTime(1_040));
        holder.refused(Sequence(99));
        holder.ask(BootTime(1_050));
        assert_eq!(holder.unanswered(), 2, "that was no ask of this life");
        holder.refused(third);
        holder.ask(BootTime(1_060));
        assert_eq!(holder.unanswered(), 0);
        holder.ask(BootTime(1_070));
        holder.asks_another();
        holder.ask(BootTime(1_080));
        assert_eq!(holder.unanswered(), 0);
    }

    #[test]
    fn an_answer_to_nothing_grants_nothing() {
        let mut holder = Holder::default();
        holder.granted(Sequence(5), GRANT, 0);
        assert_eq!(holder.until(), BootTime::ZERO);
    }
}
